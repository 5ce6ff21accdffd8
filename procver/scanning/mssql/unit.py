"""A batch, lexed, with the decisions taken on its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from procver.errors import SourceError
from procver.objects import LineIndex, Name
from procver.scanning.mssql.lexer import (
    UNTERMINATED,
    as_string,
    fold,
    is_string,
    shaped,
    tokens,
    unterminated,
)


class Role(Enum):
    """What becomes of a token."""

    REFERENCE = "reference"
    OWN = "own"
    """The object's own name where it is defined or described."""
    SELF = "self"
    """The object's own name where it is used: a recursive call."""
    TEXT = "text"
    """A string literal that is, whole, the object's own name: ``@level1name = N'spFoo'``."""
    TRIGGER = "trigger"
    """The name of a trigger of the object: it gets the suffix of the version."""
    TRIGGER_TEXT = "trigger-text"
    """A string literal that is, whole, such a name."""
    DROPPED = "dropped"
    """Left out, with the blanks after it: OR ALTER."""
    CREATE = "create"
    """ALTER, sent as CREATE."""


class Mark(NamedTuple):
    """A decision on one token."""

    role: Role
    name: Name


class File:
    """The text of a source.

    Args:
        text: the text, without a byte order mark.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _lines(self) -> LineIndex:
        return LineIndex(self.text)

    def line_at(self, offset: int) -> int:
        """Return the line, from 1, of an offset."""
        return self._lines.line(offset)


class Unit:
    """One batch.

    Args:
        file: the file it is part of.
        start: offset of its first character.
        end: offset after its last.
        written: its tokens as they are written.
        quoted: whether QUOTED_IDENTIFIER is on: ``"x"`` is a name, otherwise a string.

    Attributes:
        folded: the tokens, folded for comparing.
        distinct: the folded tokens, each once, in order of appearance.
        marks: token index to decision.

    Raises:
        SourceError: a string, name or comment never ends.
    """

    def __init__(
        self, file: File, start: int, end: int, written: list[str], *, quoted: bool = True
    ) -> None:
        self.file = file
        self.start = start
        self.end = end
        self.written = written
        self.quoted = quoted
        folded = list(map(fold, written))
        if not quoted and '"' in file.text:
            folded = [
                as_string(raw) if raw[0] == '"' else token
                for raw, token in zip(written, folded, strict=True)
            ]
        self.folded = folded
        self.distinct = dict.fromkeys(folded)
        self.marks: dict[int, Mark] = {}
        self._spans: list[tuple[int, int]] | None = None
        self._starts: dict[str, list[int]] = {}
        if not UNTERMINATED.isdisjoint(self.distinct):
            for at, stop in self.spans():
                if file.text[at:stop] in UNTERMINATED:
                    raise unterminated(file.text, at, file.line_at(at))

    def shapes(self) -> list[str]:
        """Return what of each token a version stands for."""
        found = list(map(shaped, self.written))
        if not self.quoted:
            for i, raw in enumerate(self.written):
                if raw[0] == '"':
                    found[i] = self.folded[i]
        return found

    def strings(self) -> list[str]:
        """Return the distinct string literals."""
        return [token for token in self.distinct if is_string(token)]

    def spans(self) -> list[tuple[int, int]]:
        """Return [start, end) in the file of each token."""
        if self._spans is None:
            self._spans = list(tokens(self.file.text, self.start, self.end))
        return self._spans

    def span(self, index: int) -> tuple[int, int]:
        """Return [start, end) of token ``index``, without looking at all tokens if it can."""
        if self._spans is None:
            token = self.written[index]
            starts = self._starts.get(token) or self._find(token)
            if starts:
                start = starts[self.written[:index].count(token)]
                return start, start + len(token)
        return self.spans()[index]

    def _find(self, token: str) -> list[int]:
        """Return where ``token`` stands, if it is found in the text as often as as a token.

        Then no comment, string or longer word holds it, so that each find is a token. Only for
        words and names in brackets, which cannot overlap each other.
        """
        if not (token.isidentifier() or (token[0] == "[" and "]]" not in token)):
            return []
        text = self.file.text
        count = text.count(token, self.start, self.end)
        if count != self.written.count(token):
            return []
        starts: list[int] = []
        at = self.start - 1
        for _ in range(count):
            at = text.find(token, at + 1)
            starts.append(at)
        self._starts[token] = starts
        return starts

    def line(self, index: int) -> int:
        """Return the line of the file on which token ``index`` starts."""
        if not self.written:
            return self.file.line_at(self.start)
        return self.file.line_at(self.span(min(index, len(self.written) - 1))[0])

    def error(self, index: int, message: str, hint: str) -> SourceError:
        """Return an error at token ``index``."""
        return SourceError(message, line=self.line(index), hint=hint)


def positions(
    toks: Sequence[str], candidates: Sequence[str] | frozenset[str], lo: int, hi: int
) -> list[int]:
    """Return the indexes in [lo, hi) of the tokens that are ``candidates``, ascending."""
    found: list[int] = []
    for candidate in candidates:
        at = lo
        while True:
            try:
                at = toks.index(candidate, at, hi)
            except ValueError:
                break
            found.append(at)
            at += 1
    found.sort()
    return found


def matches(toks: Sequence[str], lo: int, hi: int) -> dict[int, int]:
    """Return opening to closing bracket of each pair in [lo, hi)."""
    found: dict[int, int] = {}
    stack: list[int] = []
    for i in range(lo, hi):
        token = toks[i]
        if token == "(":
            stack.append(i)
        elif token == ")" and stack:
            found[stack.pop()] = i
    return found
