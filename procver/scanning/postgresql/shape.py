"""The shape of a source: what of it a version number stands for."""

from __future__ import annotations

from procver.objects import Name
from procver.scanning import analysis
from procver.scanning.analysis import CLOSE, END, OPEN, OWN
from procver.scanning.glued import Glued, divided, glued, shape
from procver.scanning.marks import Role
from procver.scanning.postgresql.lexer import special_comments
from procver.scanning.postgresql.reading import Reading
from procver.scanning.postgresql.unit import Unit, read_literal
from procver.scanning.tokens import within


class Shape(analysis.Shape):
    """The shape of a source; bodies that are read count token by token, in whatever quotes."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self._unit, self._bodies = reading.unit, reading.bodies
        self._own = reading.names.own.name
        self._spans = sorted(reading.spans)
        self._glued: dict[int, dict[int, Glued]] = {}
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
        self.out += self._hints(unit, hi)
        self.out.append(END)

    def _tokens(self, unit: Unit, lo: int, hi: int) -> None:
        toks, out = unit.folded, self.out
        bodies = self._bodies if unit is self._unit else {}
        special = self._special if unit is self._unit else self._special_tokens(unit)
        at = lo
        for i in within(special, lo, hi):
            out += toks[at:i]
            at = i + 1
            out += self._hints(unit, i)
            if i in bodies:
                body = bodies[i]
                size = len(body.folded)
                out.append(OPEN)
                self._tokens(body, 0, size)
                out += self._hints(body, size)
                out.append(CLOSE)
            elif i in (tokens := self._glued_in(unit)):
                if tokens[i].first == i:
                    out += tokens[i].shape(self._explicit)
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
        special = unit.marks.keys() | bodies.keys() | unit.hints.keys() | unit.raw
        return sorted(special | self._glued_in(unit).keys() if self._spans else special)

    def _glued_in(self, unit: Unit) -> dict[int, Glued]:
        """Return the tokens of a unit that explicit references are part of."""
        if not self._spans:
            return {}
        found = self._glued.get(id(unit))
        if found is None:
            found = self._glued[id(unit)] = glued(unit, self._spans)
        return found

    def _hints(self, unit: Unit, i: int) -> list[str]:
        """Return the optimizer hints before token ``i``, at most one text without references."""
        if i not in unit.hints:
            return []
        parts: list[str | Name] = []
        for comment in special_comments(unit.text) if self._spans else ():
            if comment.token == i and comment.text.startswith("/*"):
                end = comment.start + len(comment.text)
                start, end = unit.place(comment.start), unit.place(end - 1) + 1
                inside = [s for s in self._spans if start <= s.start and s.end <= end]
                parts += divided(unit, start, end, inside)
        if not any(isinstance(part, Name) for part in parts):
            return [unit.hints[i]]
        return shape(parts, self._explicit)

    def _explicit(self, name: Name) -> str:
        return OWN if name == self._own else self.reference(name)

    def _mark(self, unit: Unit, i: int) -> None:
        role, name = unit.marks[i]
        if role is Role.REFERENCE:
            self.out.append(self.reference(name))
        elif role is Role.OWN or role is Role.SELF:
            self.out.append(OWN)
        elif role is Role.INDEX:
            self.out.append(unit.folded[i])
