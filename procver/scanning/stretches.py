"""What a rewriting is made of, in every dialect: stretches of a source, and the edits in each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from procver.objects import Edit, Span, Statement


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


def clear_of(spans: Sequence[Span], edits: Iterable[Edit]) -> list[Edit]:
    """Return the edits that touch none of ``spans``, which ascend and do not overlap."""
    starts = [span.start for span in spans]
    found: list[Edit] = []
    for edit in edits:
        before = bisect_left(starts, edit.end) - 1
        if before < 0 or edit.start >= spans[before].end:
            found.append(edit)
    return found


def line_feeds(text: str, offsets: Iterable[int]) -> list[Edit]:
    """Return the edits that make line feeds of other ends of line.

    Args:
        text: the source.
        offsets: where a carriage return may stand in it; others are passed over.
    """
    return [
        Edit(at, at + 1, "" if text[at + 1 : at + 2] == "\n" else "\n")
        for at in offsets
        if text[at] == "\r"
    ]


def statements(text: str, stretches: Iterable[Stretch]) -> tuple[Statement, ...]:
    """Return the statements to send, in order, ``text`` being the source."""
    return tuple([stretch.statement(text) for stretch in stretches])
