"""Temporary relations of a body: the server looks for them before all others."""

from __future__ import annotations

import re
from typing import NamedTuple

from procver.scanning.postgresql.lexer import fold, identifier
from procver.scanning.postgresql.unit import Unit, read_literal
from procver.scanning.tokens import positions

SCHEMA = "pg_temp"
_WORDS = ("temp", "temporary")
_NOUNS = frozenset(
    {"table", "view", "sequence", "type", "recursive", "unlogged", "if", "not", "exists"}
)
_BEFORE = frozenset({"create", "local", "global", "replace", "into"})
_IN_TEXT = re.compile(
    r"\b(?:CREATE\s+(?:OR\s+REPLACE\s+)?(?:GLOBAL\s+|LOCAL\s+)?TEMP(?:ORARY)?\s+(?:RECURSIVE\s+)?"
    r"(?:TABLE|VIEW|SEQUENCE)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:pg_temp\s*\.\s*)?|pg_temp\s*\.\s*)"
    r'("[^"]+"|[A-Za-z_\x80-\U0010ffff][\w$]*)',
    re.IGNORECASE,
)


class Temporary(NamedTuple):
    """A temporary relation.

    Attributes:
        first: the first token that says so.
        created: [start, end) of each statement that creates it. It does not exist yet there.
    """

    first: int
    created: list[tuple[int, int]]


def temporary(unit: Unit) -> dict[str, Temporary]:
    """Return the relations that the text of ``unit`` creates as temporary, by identifier.

    A relation that the text looks up in ``pg_temp`` counts as well.
    """
    if "temp" not in unit.text.lower():
        return {}
    found: dict[str, Temporary] = {}

    def add(name: str, at: int, created: tuple[int, int] | None) -> None:
        known = found.setdefault(name, Temporary(at, []))
        found[name] = known = known._replace(first=min(known.first, at))
        if created:
            known.created.append(created)

    toks = unit.folded
    for i in positions(toks, _WORDS, 1, len(toks)):
        if toks[i - 1] in _BEFORE:
            at = i + 1
            while at < len(toks) and toks[at] in _NOUNS:
                at += 1
            at += 2 * (toks[at : at + 2] == [SCHEMA, "."])
            if at < len(toks):
                add(identifier(toks[at]), i, _statement(toks, i))
    for i in positions(toks, (SCHEMA,), 0, len(toks)):
        start, end = _statement(toks, i)
        creates = toks[i - 1] in _NOUNS and toks[start] == "create"
        # Not the call of a function of that schema.
        if toks[i + 1 : i + 2] == ["."] and (creates or toks[i + 3 : i + 4] != ["("]):
            add(identifier(toks[i + 2]), i, (start, end) if creates else None)
    for token in unit.strings():
        for name in _in_text(token):
            add(identifier(fold(name)), toks.index(token), None)
    return found


def _in_text(token: str) -> list[str]:
    if "temp" not in token.lower():
        return []
    content = read_literal(token)
    return _IN_TEXT.findall(content[0] if content else token)


def _statement(toks: list[str], i: int) -> tuple[int, int]:
    start = end = i
    while start > 0 and toks[start - 1] != ";":
        start -= 1
    while end < len(toks) and toks[end] != ";":
        end += 1
    while start < i and toks[start] not in ("create", "select", "with"):
        start += 1
    return start, end
