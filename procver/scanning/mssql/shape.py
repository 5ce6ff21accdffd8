"""The shape of a source: what of it a version number stands for."""

from __future__ import annotations

from hashlib import sha256

from procver.objects import Name
from procver.scanning.marks import Role
from procver.scanning.mssql.layout import Setting
from procver.scanning.mssql.reading import Reading
from procver.scanning.mssql.unit import Unit

# No token is longer than one character and starts with \x01, so none looks like a mark.
_OWN, _END = "\x01own", "\x01;"


class Shape:
    """Gathers the significant tokens of a source, references replaced by their index.

    CREATE, ALTER and CREATE OR ALTER, PROC and PROCEDURE, and the object's own schema, written or
    not, make no difference. Nor does a session option that says what is the default.

    Attributes:
        references: the managed objects referred to, in order of first appearance.
    """

    def __init__(self, reading: Reading) -> None:
        self.references: dict[Name, int] = {}
        self._out: list[str] = []
        layout = reading.layout
        definition = layout.definition
        self._settings(layout.settings)
        self._out += ("create", layout.own.kind.value, _OWN)
        self._tokens(layout.unit, definition.after, definition.hi)
        for piece in reading.pieces:
            lo = piece.lo
            if piece.trigger is not None:
                self._settings(piece.settings)
                self._out += ("create", "trigger")
                lo = piece.trigger.noun + 1
            self._tokens(piece.unit, lo, piece.hi)

    def digest(self) -> str:
        """Return the SHA-256 of all that was gathered, in hex.

        Line ends inside literals count as line feeds: a checkout on another system is no new
        version.
        """
        text = "\x00".join(self._out)
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def _settings(self, settings: tuple[Setting, ...]) -> None:
        for setting in settings:
            self._out.append(f"\x01{setting.name} {setting.value}")

    def _tokens(self, unit: Unit, lo: int, hi: int) -> None:
        shapes = unit.shapes()
        for i in sorted(unit.marks):
            if not lo <= i < hi:
                continue
            role, name = unit.marks[i]
            if role is Role.REFERENCE:
                shapes[i] = f"\x01{self.references.setdefault(name, len(self.references))}"
            elif role in (Role.OWN, Role.SELF, Role.TEXT):
                shapes[i] = _OWN
        self._out += shapes[lo:hi]
        self._out.append(_END)
