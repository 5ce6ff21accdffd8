"""The shape of a source: what of it a version number stands for."""

from __future__ import annotations

from hashlib import sha256

from procver.objects import Name
from procver.scanning.marks import Role
from procver.scanning.postgresql.reading import Reading
from procver.scanning.postgresql.unit import Unit, read_literal

# No token is longer than one character and starts with \x01, so none looks like a mark.
_OWN = "\x01own"
_OPEN, _CLOSE, _END = "\x01(", "\x01)", "\x01;"


class Shape:
    """Gathers the significant tokens of a source, references replaced by their index.

    Attributes:
        references: the managed objects referred to, in order of first appearance.
    """

    def __init__(self, reading: Reading) -> None:
        self.references: dict[Name, int] = {}
        self._out: list[str] = []
        self._unit, self._bodies = reading.unit, reading.bodies
        layout = reading.layout
        toks = reading.unit.folded
        for lo, hi in layout.settings:
            is_scoped = toks[lo + 1] in ("local", "session")
            self._statement(reading.unit, lo + 1 + is_scoped, hi)
        ranges = [(d.lo, d.hi) for d in layout.definitions] + layout.following
        for lo, hi in sorted(ranges):
            self._statement(reading.unit, lo, hi)

    def digest(self) -> str:
        """Return the SHA-256 of all that was gathered, in hex.

        Line ends inside literals count as line feeds: a checkout on another system is no new
        version.
        """
        text = "\x00".join(self._out)
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def _statement(self, unit: Unit, lo: int, hi: int) -> None:
        self._tokens(unit, lo, hi)
        self._out.append(_END)

    def _tokens(self, unit: Unit, lo: int, hi: int) -> None:
        toks, out = unit.folded, self._out
        bodies = self._bodies if unit is self._unit else {}
        special = unit.marks.keys() | bodies.keys() | unit.hints.keys() | unit.raw
        at = lo
        for i in sorted(special):
            if not lo <= i < hi:
                continue
            out += toks[at:i]
            at = i + 1
            if i in unit.hints:
                out.append(unit.hints[i])
            if i in bodies:
                body = bodies[i]
                out.append(_OPEN)
                self._tokens(body, 0, len(body.folded))
                out.append(_CLOSE)
            elif i in unit.raw:
                content = read_literal(unit.written[i])
                out += (_OPEN, content[0] if content else unit.written[i], _CLOSE)
            elif i in unit.marks:
                self._mark(unit, i)
            else:
                out.append(toks[i])
        out += toks[at:hi]

    def _mark(self, unit: Unit, i: int) -> None:
        role, name = unit.marks[i]
        if role is Role.REFERENCE:
            index = self.references.setdefault(name, len(self.references))
            self._out.append(f"\x01{index}")
        elif role is Role.OWN or role is Role.SELF:
            self._out.append(_OWN)
        elif role is Role.INDEX:
            self._out.append(unit.folded[i])
