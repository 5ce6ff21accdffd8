"""Managed names inside strings, which nothing can rewrite: dynamic SQL and the like."""

from __future__ import annotations

import re

from procver.objects import Name
from procver.scanning.marks import Findings
from procver.scanning.names import Names
from procver.scanning.postgresql.lexer import fold, identifier
from procver.scanning.postgresql.names import RELATIONS, ROUTINES, label
from procver.scanning.postgresql.unit import Unit
from procver.scanning.tokens import positions

_ANY = ROUTINES | RELATIONS
_PART = r'(?:"[^"]+"|[A-Za-z_\x80-\U0010ffff][\w$]*)'
_PARTS = re.compile(_PART)
_BLANKS = r"[ \t\n\r\f\v]*+"
_CHAIN = re.compile(rf"{_PART}(?:{_BLANKS}\.{_BLANKS}{_PART})*")
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
    contexts: _Contexts | None = None
    for token in unit.strings():
        at = positions(unit.folded, (token,), lo, hi)
        if not at:
            continue
        for chain in _CHAIN.findall(token):
            parts = [identifier(fold(part)) for part in _PARTS.findall(chain)]
            words.update(dict.fromkeys(parts))
            schema = parts[0] if len(parts) > 1 else None
            found = names.find(schema, parts[1] if len(parts) > 1 else parts[0], _ANY)
            if found is None:
                continue
            contexts = contexts or _Contexts(unit.folded)
            for i in at:
                if i in contexts.printed:
                    continue
                if schema is not None or (not is_raw and contexts.is_dynamic(i)):
                    _note(unit, findings, i, found.name, is_raw=is_raw)
                    break
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


class _Contexts:
    """Which tokens of a text are printed by RAISE, and which become SQL."""

    def __init__(self, toks: list[str]) -> None:
        self.toks = toks
        self.printed: set[int] = set()
        self.built: set[int] = set()
        is_printed = is_built = False
        for i, token in enumerate(toks):
            if token == ";":
                is_printed = is_built = False
            elif token in _OPENINGS:
                is_printed = False
            elif token == "raise":
                is_printed = True
            elif token == "execute" or (token == "format" and toks[i + 1 : i + 2] == ["("]):
                is_built = True
            if is_printed:
                self.printed.add(i)
            if is_built:
                self.built.add(i)

    def is_dynamic(self, i: int) -> bool:
        """Return whether the string at token ``i`` is read as SQL, or as the name of an object."""
        toks = self.toks
        if i in self.built:
            return True
        if toks[i + 1 : i + 2] == ["::"] and toks[i + 2 : i + 3] and toks[i + 2].startswith("reg"):
            return True
        return i >= 2 and toks[i - 1] == "(" and toks[i - 2] in _OF_NAMES
