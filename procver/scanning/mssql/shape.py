"""The shape of a source: what of it a version number stands for."""

from __future__ import annotations

from procver.objects import Name
from procver.scanning import analysis
from procver.scanning.analysis import END, OWN
from procver.scanning.glued import glued
from procver.scanning.marks import Role
from procver.scanning.mssql.layout import Setting
from procver.scanning.mssql.lexer import shaped
from procver.scanning.mssql.names import quote_part
from procver.scanning.mssql.reading import Reading
from procver.scanning.mssql.unit import Unit


class Shape(analysis.Shape):
    """The shape of a source.

    CREATE, ALTER and CREATE OR ALTER, PROC and PROCEDURE, and the object's own schema, written or
    not, make no difference. Nor does a session option that says what is the default.
    """

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        layout = reading.layout
        exact = reading.names.exact
        self._own = layout.own.name
        self._spans = [span._replace(name=exact(span.name)) for span in sorted(reading.spans)]
        definition = layout.definition
        self._settings(layout.settings)
        self.out += ("create", layout.own.kind.value, OWN)
        self._tokens(layout.unit, definition.after, definition.hi)
        for piece in reading.pieces:
            lo = piece.lo
            if piece.trigger is not None:
                self._settings(piece.settings)
                self.out += ("create", "trigger")
                lo = piece.trigger.noun + 1
            self._tokens(piece.unit, lo, piece.hi)

    def _settings(self, settings: tuple[Setting, ...]) -> None:
        for setting in settings:
            self.out.append(f"\x01{setting.name} {setting.value}")

    def _tokens(self, unit: Unit, lo: int, hi: int) -> None:
        shapes = unit.shapes(lo, hi)
        for i in unit.marked(lo, hi):
            role, name = unit.marks[i]
            if role is Role.REFERENCE:
                shapes[i - lo] = self.reference(name)
            elif role in (Role.OWN, Role.SELF, Role.TEXT):
                shapes[i - lo] = OWN
            elif role is Role.DROPPED:
                shapes[i - lo] = ""
        if self._spans:
            shapes = self._with_explicit(unit, lo, shapes)
        self.out += filter(None, shapes)
        self.out.append(END)

    def _with_explicit(self, unit: Unit, lo: int, shapes: list[str]) -> list[str]:
        """Return the shapes of tokens from ``lo`` on, references counting as they are sent."""
        tokens = glued(unit, self._spans)
        schemas = {unit.token_at(span.start): span.name.schema for span in self._spans}
        found: list[str] = []
        for i, token in enumerate(shapes, lo):
            if i not in tokens:
                found.append(shaped(quote_part(schemas[i])) if i in schemas else token)
            elif tokens[i].first == i:
                found += tokens[i].shape(self._explicit)
        return found

    def _explicit(self, name: Name) -> str:
        return OWN if name == self._own else self.reference(name)
