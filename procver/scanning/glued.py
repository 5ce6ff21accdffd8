"""Explicit references that stand within a token: in a string, a quoted name, a longer word.

What is sent there is no token that a plain name would give, so a version must count them as they
are: the text around them, and what they refer to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from procver.objects import Name, Span

_OPEN, _CLOSE = "\x01<", "\x01>"


class Lexed(Protocol):
    """A lexed text that knows where its tokens stand in the file."""

    def token_at(self, offset: int) -> int:
        """Return the token that holds an offset of the file, -1 if none does."""

    def bounds(self, index: int) -> tuple[int, int]:
        """Return [start, end) of token ``index`` in the file."""

    def cut(self, start: int, end: int) -> str:
        """Return the text between two offsets of the file, as it is read."""


class Glued(NamedTuple):
    """Tokens [first, last] that explicit references are part of: texts and names in turns."""

    first: int
    last: int
    parts: tuple[str | Name, ...]

    def shape(self, reference: Callable[[Name], str]) -> list[str]:
        """Return what stands for them in a shape."""
        return shape(self.parts, reference)


def shape(parts: Iterable[str | Name], reference: Callable[[Name], str]) -> list[str]:
    """Return what stands in a shape for texts with references in them."""
    middle = [reference(part) if isinstance(part, Name) else f"'{part}" for part in parts]
    return [_OPEN, *middle, _CLOSE]


def divided(unit: Lexed, start: int, end: int, spans: Sequence[Span]) -> tuple[str | Name, ...]:
    """Return the text between two offsets of the file, cut up by the references in it."""
    parts: list[str | Name] = []
    for span in spans:
        parts += (unit.cut(start, span.start), span.name)
        start = span.end
    return (*parts, unit.cut(start, end))


def glued(unit: Lexed, spans: Iterable[Span]) -> dict[int, Glued]:
    """Return the tokens that are more than a reference, by each token's index.

    Args:
        unit: the text.
        spans: explicit references, ascending.
    """
    found: dict[int, Glued] = {}
    groups: list[tuple[int, int, list[Span]]] = []
    for span in spans:
        first, last = unit.token_at(span.start), unit.token_at(span.end - 1)
        if first < 0 or last < 0:
            continue  # in a comment
        if (unit.bounds(first)[0], unit.bounds(last)[1]) == (span.start, span.end):
            continue
        if groups and first <= groups[-1][1]:
            first, _, held = groups.pop()
            groups.append((first, last, [*held, span]))
        else:
            groups.append((first, last, [span]))
    for first, last, held in groups:
        start, end = unit.bounds(first)[0], unit.bounds(last)[1]
        group = Glued(first, last, divided(unit, start, end, held))
        found.update(dict.fromkeys(range(first, last + 1), group))
    return found
