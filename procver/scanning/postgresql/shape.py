"""The shape of a source: what of it a version number stands for."""

from __future__ import annotations

from procver.scanning import analysis
from procver.scanning.analysis import CLOSE, END, OPEN, OWN
from procver.scanning.marks import Role
from procver.scanning.postgresql.reading import Reading
from procver.scanning.postgresql.unit import Unit, read_literal
from procver.scanning.tokens import within


class Shape(analysis.Shape):
    """The shape of a source; bodies that are read count token by token, in whatever quotes."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self._unit, self._bodies = reading.unit, reading.bodies
        layout = reading.layout
        toks = reading.unit.folded
        self._special = self._special_tokens(reading.unit)
        for lo, hi in layout.settings:
            is_scoped = toks[lo + 1] in ("local", "session")
            self._statement(reading.unit, lo + 1 + is_scoped, hi)
        ranges = [(d.lo, d.hi) for d in layout.definitions] + layout.following
        for lo, hi in sorted(ranges):
            self._statement(reading.unit, lo, hi)

    def _statement(self, unit: Unit, lo: int, hi: int) -> None:
        self._tokens(unit, lo, hi)
        self.out.append(END)

    def _tokens(self, unit: Unit, lo: int, hi: int) -> None:
        toks, out = unit.folded, self.out
        bodies = self._bodies if unit is self._unit else {}
        special = self._special if unit is self._unit else self._special_tokens(unit)
        at = lo
        for i in within(special, lo, hi):
            out += toks[at:i]
            at = i + 1
            if i in unit.hints:
                out.append(unit.hints[i])
            if i in bodies:
                body = bodies[i]
                out.append(OPEN)
                self._tokens(body, 0, len(body.folded))
                out.append(CLOSE)
            elif i in unit.raw:
                content = read_literal(unit.written[i])
                out += (OPEN, content[0] if content else unit.written[i], CLOSE)
            elif i in unit.marks:
                self._mark(unit, i)
            else:
                out.append(toks[i])
        out += toks[at:hi]

    def _special_tokens(self, unit: Unit) -> list[int]:
        bodies = self._bodies if unit is self._unit else {}
        return sorted(unit.marks.keys() | bodies.keys() | unit.hints.keys() | unit.raw)

    def _mark(self, unit: Unit, i: int) -> None:
        role, name = unit.marks[i]
        if role is Role.REFERENCE:
            self.out.append(self.reference(name))
        elif role is Role.OWN or role is Role.SELF:
            self.out.append(OWN)
        elif role is Role.INDEX:
            self.out.append(unit.folded[i])
