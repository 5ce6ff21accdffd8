"""From decisions to edits, from edits to the stretches that are sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from operator import itemgetter

from procver.errors import SourceError
from procver.objects import AFTER, DEFINITION, SETTING, Edit, Kind, Name
from procver.scanning.marks import Role
from procver.scanning.mssql.layout import Setting
from procver.scanning.mssql.lexer import blanks_end, delimited, is_string
from procver.scanning.mssql.names import quote, quote_part, too_long
from procver.scanning.mssql.reading import Reading
from procver.scanning.mssql.unit import Unit
from procver.scanning.stretches import Stretch, clear_of, line_feeds

_RETURN = re.compile("\r")


def rewrite(reading: Reading, physical: Mapping[Name, str]) -> tuple[Stretch, ...]:
    """Return what to send, in order, with every reference made physical.

    Args:
        reading: the source.
        physical: the leaf of the version that is meant, for the object and its references.

    Raises:
        SourceError: the name of a trigger is too long with its suffix.
    """
    return _Rewriter(reading, physical).stretches()


class _Rewriter:
    def __init__(self, reading: Reading, physical: Mapping[Name, str]) -> None:
        self.reading = reading
        self.text = reading.layout.file.text
        self.physical = physical
        own = reading.layout.own.name
        self.suffix = physical[own].removeprefix(own.leaf)

    def stretches(self) -> tuple[Stretch, ...]:
        layout = self.reading.layout
        definition = layout.definition
        found = [self._setting(setting) for setting in layout.settings]
        if layout.own.kind is Kind.TABLE_TYPE:
            found.append(self._part(layout.unit, definition.lo, definition.hi, DEFINITION))
        else:
            found.append(self._batch(layout.unit, DEFINITION))
        for piece in self.reading.pieces:
            found += [self._setting(setting) for setting in piece.settings]
            if piece.trigger is not None:
                found.append(self._batch(piece.unit, AFTER))
            else:
                found.append(self._part(piece.unit, piece.lo, piece.hi, AFTER))
        return tuple(found)

    def _setting(self, setting: Setting) -> Stretch:
        """Return one option as a statement of its own, spelled in one way."""
        start, end = setting.unit.span(setting.lo)[0], setting.unit.span(setting.hi - 1)[1]
        text = f"SET {setting.name.upper()} {setting.value.upper()}"
        edits = () if self.text[start:end] == text else (Edit(start, end, text),)
        return Stretch(SETTING, start, end, edits)

    def _batch(self, unit: Unit, role: str) -> Stretch:
        """Return a whole batch, comments included: that is what sys.sql_modules keeps."""
        text = self.text[unit.start : unit.end]
        start = unit.start + len(text) - len(text.lstrip())
        found = unit.marked(0, len(unit.written))
        return self._stretch(unit, found, start, unit.start + len(text.rstrip()), role)

    def _part(self, unit: Unit, lo: int, hi: int, role: str) -> Stretch:
        start, end = unit.span(lo)[0], unit.span(hi - 1)[1]
        return self._stretch(unit, unit.marked(lo, hi), start, end, role)

    def _stretch(
        self, unit: Unit, marked: Iterable[int], start: int, end: int, role: str
    ) -> Stretch:
        edits = [self._edit(unit, i) for i in marked]
        if self.text.find("\r", start, end) >= 0:
            edits += self._line_feeds(unit)
        edits = [edit for edit in edits if start <= edit.start and edit.end <= end]
        edits = self._with_explicit(unit, edits, start, end)
        edits.sort(key=itemgetter(0, 1))
        return Stretch(role, start, end, tuple(edits))

    def _line_feeds(self, unit: Unit) -> list[Edit]:
        """Return edits for the line ends within tokens: strings and delimited names."""
        offsets: list[int] = []
        for i, token in enumerate(unit.written):
            if "\r" in token and i not in unit.marks:
                start = unit.span(i)[0]
                offsets += (start + found.start() for found in _RETURN.finditer(token))
        return line_feeds(self.text, offsets)

    def _edit(self, unit: Unit, i: int) -> Edit:
        role, name = unit.marks[i]
        start, end = unit.span(i)
        written = unit.written[i]
        if role is Role.DROPPED:
            return Edit(start, blanks_end(self.text, end), "")
        if role is Role.CREATE:
            return Edit(start, end, "CREATE")
        if role in (Role.TRIGGER, Role.TRIGGER_TEXT):
            leaf = self._trigger(unit, i, name)
        else:
            leaf = self.physical[name]
        if role in (Role.TEXT, Role.TRIGGER_TEXT):
            return Edit(start, end, _in_string(written, leaf))
        text = _like(written, leaf)
        if role is Role.OWN and self._bare(unit, i):
            text = f"{_like(written, name.schema)}.{text}"
        return Edit(start, end, text)

    def _bare(self, unit: Unit, i: int) -> bool:
        """Return whether the server would look for the own name ``i`` in the login's default schema."""
        layout = self.reading.layout
        if unit is layout.unit and i == layout.definition.name[-1]:
            return len(layout.definition.name) == 1
        return i > 0 and unit.folded[i - 1] in ("on", "to", ":", "::")

    def _trigger(self, unit: Unit, i: int, name: Name) -> str:
        leaf = name.leaf + self.suffix
        problem = too_long(leaf)
        if problem is not None:
            raise SourceError(
                f"the trigger name {problem}",
                line=unit.line(i),
                hint="give the trigger a shorter name",
            )
        return leaf

    # ---- explicit references -------------------------------------------------------------------

    def _with_explicit(self, unit: Unit, edits: list[Edit], start: int, end: int) -> list[Edit]:
        spans = sorted(s for s in self.reading.spans if start <= s.start and s.end <= end)
        edits = clear_of(spans, edits)
        for span in spans:
            name = self.reading.names.exact(span.name)
            text = quote(Name(name.schema, self.physical[name]))
            edits.append(Edit(span.start, span.end, self._escaped(unit, span.start, text)))
        return edits

    def _escaped(self, unit: Unit, offset: int, text: str) -> str:
        """Return ``text`` as it must be written at an offset, inside a string perhaps."""
        i = unit.token_at(offset)
        if i < 0 or not is_string(unit.folded[i]):
            return text
        mark = '"' if unit.written[i][0] == '"' else "'"
        return text.replace(mark, mark * 2)


def _like(written: str, leaf: str) -> str:
    """Return ``leaf`` quoted as ``written`` is."""
    if written[0] == "[":
        return delimited(leaf)
    if written[0] == '"':
        return '"' + leaf.replace('"', '""') + '"'
    return quote_part(leaf)


def _in_string(written: str, leaf: str) -> str:
    """Return a string literal for ``leaf``, in the notation of ``written``."""
    if written[0] == '"':
        return '"' + leaf.replace('"', '""') + '"'
    prefix = written[: written.index("'")]
    if not prefix and not leaf.isascii():
        prefix = "N"
    return f"{prefix}'" + leaf.replace("'", "''") + "'"
