"""Managed names inside strings, which nothing can rewrite: dynamic SQL and the like."""

from __future__ import annotations

import re

from procver.objects import Name
from procver.scanning.postgresql.lexer import fold, identifier
from procver.scanning.postgresql.names import RELATIONS, ROUTINES, Names, label
from procver.scanning.postgresql.unit import Unit, positions
from procver.scanning.postgresql.walker import Findings

_ANY = ROUTINES | RELATIONS
_PART = r'(?:"[^"]+"|[A-Za-z_\x80-\U0010ffff][\w$]*)'
_CHAIN = re.compile(rf"{_PART}(?:\s*\.\s*{_PART})*")
_OF_NAMES = frozenset(
    [
        "to_regclass",
        "to_regproc",
        "to_regprocedure",
        "to_regtype",
        "format",
        "nextval",
        "pg_get_viewdef",
    ]
)
_OPENINGS = frozenset({"then", "else", "begin", "loop"})


def read_strings(
    unit: Unit, names: Names, findings: Findings, lo: int, hi: int, *, is_raw: bool = False
) -> dict[str, None]:
    """Note the managed names in the strings of [lo, hi).

    A name with its schema counts everywhere, one without only where SQL is put together:
    EXECUTE, format(), a cast to regclass. What RAISE prints does not count.

    Args:
        unit: the text.
        names: what is managed.
        findings: where the notes go.
        lo: first token.
        hi: token after the last.
        is_raw: the string is the body of a routine in a language that is not read.

    Returns:
        every identifier in the strings.
    """
    words: dict[str, None] = {}
    for token in unit.strings():
        at = positions(unit.folded, (token,), lo, hi)
        if not at:
            continue
        for chain in _CHAIN.findall(token):
            parts = [identifier(fold(part.strip())) for part in chain.split(".")]
            words.update(dict.fromkeys(parts))
            schema = parts[0] if len(parts) > 1 else None
            found = names.find(schema, parts[1] if len(parts) > 1 else parts[0], _ANY)
            if found is None:
                continue
            for i in at:
                if _is_printed(unit.folded, i):
                    continue
                if schema is not None or (not is_raw and _is_dynamic(unit.folded, i)):
                    _note(unit, findings, i, found.name, is_raw=is_raw)
    words.pop("", None)
    return words


def _note(unit: Unit, findings: Findings, at: int, name: Name, *, is_raw: bool) -> None:
    place = "in a body that procver does not read" if is_raw else "in a string"
    findings.note(
        unit,
        at,
        "string-mention",
        f"{label(name)} is named {place}, where it cannot be given its version",
        f"write -- procver: requires {label(name)}, or use {{{{ ref('{label(name)}') }}}} in a"
        " template",
        name,
    )


def _is_dynamic(toks: list[str], i: int) -> bool:
    if toks[i + 1 : i + 2] == ["::"] and toks[i + 2].startswith("reg"):
        return True
    if i >= 2 and toks[i - 1] == "(" and toks[i - 2] in _OF_NAMES:
        return True
    while i > 0 and toks[i] != ";":
        if toks[i] == "execute" or (toks[i] == "format" and toks[i + 1] == "("):
            return True
        i -= 1
    return toks[0] == "execute"


def _is_printed(toks: list[str], i: int) -> bool:
    while i > 0 and toks[i] != ";" and toks[i] not in _OPENINGS:
        i -= 1
        if toks[i] == "raise":
            return True
    return False
