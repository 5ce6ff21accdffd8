"""What a rewriting is made of, in every dialect: stretches of a source, and the edits in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from procver.objects import Edit, Statement


class Stretch(NamedTuple):
    """[start, end) of a source's text, sent as one statement.

    Attributes:
        role: as `Statement.role`.
        start: where it starts.
        end: where it ends.
        edits: what is replaced in it, in order, none overlapping another.
    """

    role: str
    start: int
    end: int
    edits: tuple[Edit, ...]

    def statement(self, text: str) -> Statement:
        """Return the statement to send, ``text`` being the source."""
        pieces: list[str] = []
        at = self.start
        for start, end, replacement in self.edits:
            pieces += (text[at:start], replacement)
            at = end
        pieces.append(text[at : self.end])
        return Statement("".join(pieces), self.start, self.edits, self.role)


def statements(text: str, stretches: Iterable[Stretch]) -> tuple[Statement, ...]:
    """Return the statements to send, in order, ``text`` being the source."""
    return tuple(stretch.statement(text) for stretch in stretches)
