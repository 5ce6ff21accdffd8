r"""Names with Unicode escapes: ``U&"d\0061t"``."""

from __future__ import annotations

import re

from procver.scanning.marks import Findings
from procver.scanning.names import Names
from procver.scanning.postgresql.lexer import fold, identifier
from procver.scanning.postgresql.names import quoted
from procver.scanning.postgresql.unit import Unit

_OPENINGS = ('u&"', 'U&"')
_HEX = "[0-9a-fA-F]"


def decode_names(unit: Unit, names: Names, findings: Findings) -> None:
    """Fold the names with Unicode escapes that may be managed as if they had none.

    All others keep their tokens, and so the shape of their source. With an escape character of
    its own (UESCAPE) a name takes three tokens: it is left as it is, and noted.
    """
    if '&"' not in unit.text:
        return
    toks = unit.folded
    for i, token in enumerate(toks):
        if token[:3] not in _OPENINGS:
            continue
        has_escape = toks[i + 1 : i + 2] == ["uescape"] and len(toks[i + 2 : i + 3]) > 0
        name = _decoded(token[3:-1], toks[i + 2][1:-1] if has_escape else "\\")
        if name is None:
            continue
        plain = fold(quoted(name))
        if not names.candidates({plain: None}, identifier(plain)):
            unit.distinct.setdefault(plain)
            continue
        if has_escape:
            findings.note(
                unit,
                i,
                "unicode-name",
                f"{unit.written[i]} UESCAPE {unit.written[i + 2]} may name {name}, which is"
                " managed: it is left as it is",
                f"write {plain}",
            )
        else:
            toks[i] = plain
        unit.distinct.setdefault(plain)


def _decoded(text: str, escape: str) -> str | None:
    """Return the name that is written with escapes, None if they are malformed."""
    if len(escape) != 1:
        return None
    mark = re.escape(escape)
    pattern = rf"{mark}(?:({_HEX}{{4}})|\+({_HEX}{{6}})|({mark})|(.?))"
    text = text.replace('""', '"')
    if any(match[4] is not None for match in re.finditer(pattern, text, re.DOTALL)):
        return None

    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(min(int(code, 16), 0x10FFFF)) if code else escape

    found = re.sub(pattern, character, text, flags=re.DOTALL)
    return found if found and "\x00" not in found else None
