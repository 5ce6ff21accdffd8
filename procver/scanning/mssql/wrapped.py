"""A definition in a string, as Management Studio scripts views and functions with *check for object existence*: taken out of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from procver.scanning.lexing import end_of

if TYPE_CHECKING:
    from procver.scanning.mssql.unit import Unit

# Begins with one character, not with a word in any case: texts without such a string are passed over quickly.
_BEGINS = re.compile(r"'\s*+(?:[cC][rR][eE][aA][tT][eE]\b|--|/\*)")
_EXECUTED = re.compile(r"\bexec(?:ute)?\b[^;']{0,200}'", re.IGNORECASE)
_SKIPPED = re.compile(r"(?:\s|--[^\n]*+\n)*+")
_CREATE = re.compile(r"create\b", re.IGNORECASE)


def unwrapped(text: str, default_schema: str) -> str:
    """Return a source whose one definition is the text of an EXEC as if it were a batch of its own, on the same lines.

    Any other text is returned as it is, what cannot be read among them.
    """
    if _BEGINS.search(text) is None or not _creates(text):
        return text
    # Loaded where there may be something to do: most texts are only filled in from what the cache knows of them.
    from procver.scanning.mssql.layout import created_by_text

    found = created_by_text(text, default_schema)
    return _taken_out(text, *found[0]) if len(found) == 1 else text


def _creates(text: str) -> bool:
    """Return whether a string that begins with CREATE, after blanks and comments, seems to be executed."""
    close, last = 0, text.rfind("*/")
    for found in _EXECUTED.finditer(text):
        at = end_of(_SKIPPED, text, found.end())
        while text.startswith("/*", at) and at + 2 <= last:
            close = text.index("*/", at + 2) if close < at + 2 else close
            at = end_of(_SKIPPED, text, close + 2)
        if _CREATE.match(text, at):
            return True
    return False


def _taken_out(text: str, unit: Unit, token: int) -> str:
    before, after = unit.folded[:token], unit.folded[token + 1 :]
    plain = before[0] in ("if", "exec", "execute") and "set" not in before
    start, end = unit.span(token)
    written = text[start:end]
    if not plain or not set(after) <= {"end", ";", ")"} or '"' in written[:1]:
        return text
    body = written[written.index("'") + 1 : -1].replace("''", "'")
    lines = "\n" * text.count("\n", unit.start, start)
    rest = "\n" * text.count("\n", end, unit.end)
    return f"{text[: unit.start]}{lines}{body}{rest or chr(10)}{text[unit.end :]}"
