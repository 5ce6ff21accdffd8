"""From decisions to edits, from edits to the stretches that are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import itemgetter

from procver.errors import SourceError
from procver.objects import AFTER, DEFINITION, SETTING, Edit, Name
from procver.scanning.marks import Role
from procver.scanning.postgresql.lexer import blanks_end, is_string
from procver.scanning.postgresql.names import quote, quote_part, quoted, too_long
from procver.scanning.postgresql.reading import Reading
from procver.scanning.postgresql.unit import Literal, Unit, read_literal
from procver.scanning.stretches import Stretch, clear_of, line_feeds
from procver.scanning.tokens import within

_RETURN = re.compile("\r")


def rewrite(reading: Reading, physical: Mapping[Name, str]) -> tuple[Stretch, ...]:
    """Return what to send, in order, with every reference made physical.

    Args:
        reading: the source.
        physical: the leaf of the version that is meant, for the object and its references.

    Raises:
        SourceError: the name of an index is too long with its suffix.
    """
    return _Rewriter(reading, physical).stretches()


class _Rewriter:
    def __init__(self, reading: Reading, physical: Mapping[Name, str]) -> None:
        self.reading = reading
        self.unit = reading.unit
        self.physical = physical
        own = reading.layout.own.name
        self.suffix = physical[own].removeprefix(own.leaf)
        self._changed = _changed(reading.unit)
        self._leafs: dict[tuple[Name, bool], str] = {}

    def stretches(self) -> tuple[Stretch, ...]:
        layout = self.reading.layout
        found = [self._stretch(lo, hi, SETTING) for lo, hi in layout.settings]
        ranges = [(d.lo, d.hi, DEFINITION) for d in layout.definitions]
        ranges += [(lo, hi, AFTER) for lo, hi in layout.following]
        found += [self._stretch(lo, hi, role) for lo, hi, role in sorted(ranges)]
        return tuple(found)

    def _stretch(self, lo: int, hi: int, role: str) -> Stretch:
        start, end = self.unit.stretch(lo, hi)
        edits = self._setting(lo) if role == SETTING else []
        self._edits(self.unit, lo, hi, edits)
        if self.reading.spans:
            edits = self._with_explicit(edits, start, end)
        edits.sort(key=itemgetter(0, 1))
        return Stretch(role, start, end, tuple(edits))

    def _setting(self, lo: int) -> list[Edit]:
        """Make SET end with the transaction."""
        word = self.unit.folded[lo + 1]
        if word == "local":
            return []
        if word == "session":
            return [Edit(*self.unit.span(lo + 1), "LOCAL")]
        end = self.unit.span(lo)[1]
        return [Edit(end, end, " LOCAL")]

    def _edits(self, unit: Unit, lo: int, hi: int, edits: list[Edit]) -> None:
        changed = self._changed if unit is self.unit else _changed(unit)
        for i in within(changed, lo, hi):
            if i in unit.marks:
                self._mark(unit, i, edits)
            if i in unit.aliases:
                end = unit.span(i)[1]
                self._add(unit, end, end, unit.aliases[i], edits)
        if "\r" in unit.text:
            edits += self._line_feeds(unit, lo, hi)
        if unit is not self.unit:
            return
        for i, body in self.reading.bodies.items():
            if lo <= i < hi:
                self._edits(body, 0, len(body.folded), edits)

    def _line_feeds(self, unit: Unit, lo: int, hi: int) -> list[Edit]:
        """Return edits for the line ends within tokens: strings, quoted names, bodies not read."""
        bodies = self.reading.bodies if unit is self.unit else {}
        offsets: list[int] = []
        for i in range(lo, hi):
            if "\r" in unit.written[i] and i not in bodies and i not in unit.marks:
                start = unit.span(i)[0]
                returns = _RETURN.finditer(unit.written[i])
                offsets += (unit.place(start + found.start()) for found in returns)
        return line_feeds(self.unit.text, offsets)

    def _add(self, unit: Unit, start: int, end: int, text: str, edits: list[Edit]) -> None:
        if unit.literal is not None:
            text = unit.literal.escape(text)
        first = unit.place(start)
        last = unit.place(end - 1) + 1 if end > start else first
        if end > start or start == 0:
            edits.append(Edit(first, last, text))
        else:
            # An insertion belongs after the character before it.
            last = unit.place(start - 1) + 1
            edits.append(Edit(last, last, text))

    def _mark(self, unit: Unit, i: int, edits: list[Edit]) -> None:
        role, name = unit.marks[i]
        start, end = unit.span(i)
        written = unit.written[i]
        if role is Role.DROPPED:
            self._add(unit, start, blanks_end(unit.text, end), "", edits)
        elif role is Role.INDEX:
            self._index(unit, i, edits)
        else:
            self._add(unit, start, end, self._leaf(name, written[0] == '"'), edits)

    def _leaf(self, name: Name, is_quoted: bool) -> str:
        found = self._leafs.get((name, is_quoted))
        if found is None:
            leaf = self.physical[name]
            found = quoted(leaf) if is_quoted else quote_part(leaf)
            self._leafs[name, is_quoted] = found
        return found

    def _index(self, unit: Unit, i: int, edits: list[Edit]) -> None:
        written = unit.written[i]
        if written[0] == '"':
            leaf = written[1:-1].replace('""', '"') + self.suffix
            text = quoted(leaf)
        else:
            leaf = unit.folded[i] + self.suffix
            text = quote_part(leaf)
        problem = too_long(leaf)
        if problem is not None:
            raise SourceError(
                f"the index name {problem}", line=unit.line(i), hint="give the index a shorter name"
            )
        start, end = unit.span(i)
        self._add(unit, start, end, text, edits)

    # ---- explicit references -----------------------------------------------------------------

    def _with_explicit(self, edits: list[Edit], start: int, end: int) -> list[Edit]:
        spans = sorted(s for s in self.reading.spans if start <= s.start and s.end <= end)
        edits = clear_of(spans, edits)
        for span in spans:
            name = Name(span.name.schema, self.physical[span.name])
            text = self._escaped(self.unit, span.start, quote(name))
            edits.append(Edit(span.start, span.end, text))
        return edits

    def _escaped(self, unit: Unit, offset: int, text: str) -> str:
        """Return ``text`` as it must be written at an offset of the file, strings considered."""
        i = unit.token_at(offset)
        if i < 0:
            return text
        if unit is self.unit and i in self.reading.bodies:
            body = self.reading.bodies[i]
            inner = self._escaped(body, offset, text)
            return body.literal.escape(inner) if body.literal else inner
        if is_string(unit.folded[i]):
            content = read_literal(unit.written[i])
            return (content[1] if content else Literal(0, (), "'")).escape(text)
        return text


def _changed(unit: Unit) -> list[int]:
    return sorted(unit.marks.keys() | unit.aliases.keys())
