"""A definition in a string, as Management Studio scripts views and functions with *check for object existence*: taken out of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from procver.scanning.mssql.unit import Unit

_MAYBE = re.compile(
    r"\bexec(?:ute)?\b[^;']{0,200}'(?:\s|--[^\n]*\n|/\*.*?\*/)*create\b",
    re.IGNORECASE | re.DOTALL,
)


def unwrapped(text: str, default_schema: str) -> str:
    """Return a source whose one definition is the text of an EXEC as if it were a batch of its own, on the same lines.

    Any other text is returned as it is, what cannot be read among them.
    """
    if _MAYBE.search(text) is None:
        return text
    # Loaded where there may be something to do: most texts are only filled in from what the cache knows of them.
    from procver.scanning.mssql.layout import created_by_text

    found = created_by_text(text, default_schema)
    return _taken_out(text, *found[0]) if len(found) == 1 else text


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
