"""A batch, lexed, with the decisions taken on its tokens."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import islice

from procver.errors import SourceError
from procver.objects import LineIndex
from procver.scanning.marks import Mark
from procver.scanning.mssql.lexer import (
    as_string,
    fold,
    is_open,
    is_string,
    shaped,
    starts,
    tokens,
    unterminated,
)
from procver.scanning.tokens import positions, within

_WORD_PARTS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@#$")
_UNCLEAR = frozenset("0123456789$")
_QUOTES = frozenset("'\"[]*")
_NEAR = 24
"""Tokens up to here are looked up one after the other: most headers are that short."""


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
        spellings: the tokens as they are written, each once.
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
        self.spellings = dict.fromkeys(written)
        self.distinct = dict.fromkeys(map(fold, self.spellings) if quoted else folded)
        self.marks: dict[int, Mark] = {}
        self._marked: list[int] | None = None
        self._all: list[int] = []
        self._near: list[tuple[int, int]] = []
        self._unread = tokens(file.text, start, end)
        self._starts: dict[str, dict[int, int]] = {}
        if written and is_open(written[-1]):
            raise unterminated(written[-1], self.line(len(written) - 1))

    def shapes(self, lo: int, hi: int) -> list[str]:
        """Return what of each token in [lo, hi) a version stands for."""
        found = list(map(shaped, self.written[lo:hi]))
        if not self.quoted:
            for i, raw in enumerate(self.written[lo:hi]):
                if raw[0] == '"':
                    found[i] = self.folded[lo + i]
        return found

    def marked(self, lo: int, hi: int) -> Sequence[int]:
        """Return the marked tokens in [lo, hi); to be asked when all marks are made."""
        if self._marked is None:
            self._marked = sorted(self.marks)
        return within(self._marked, lo, hi)

    def strings(self) -> list[str]:
        """Return the distinct string literals."""
        return [token for token in self.distinct if token[-1] == "'" and is_string(token)]

    def inside(self, start: int, end: int) -> range:
        """Return the tokens that lie whole in [start, end) of the file."""
        self._look_up()
        first = last = bisect_left(self._all, start)
        while last < len(self.written) and self._all[last] + len(self.written[last]) <= end:
            last += 1
        return range(first, last)

    def token_at(self, offset: int) -> int:
        """Return the token that holds an offset of the file, -1 if none does."""
        self._look_up()
        i = bisect_right(self._all, offset) - 1
        is_held = 0 <= i < len(self.written) and offset < self._all[i] + len(self.written[i])
        return i if is_held else -1

    def bounds(self, index: int) -> tuple[int, int]:
        """Return [start, end) of token ``index`` in the file."""
        self._look_up()
        return self.span(index)

    def cut(self, start: int, end: int) -> str:
        """Return the text between two offsets of the file."""
        return self.file.text[start:end]

    def _look_up(self) -> None:
        if not self._all:
            self._all = starts(self.file.text, self.start, self.end)

    def span(self, index: int) -> tuple[int, int]:
        """Return [start, end) of token ``index``, without looking at all tokens if it can."""
        token = self.written[index]
        if self._all:
            start = self._all[index]
        elif index < _NEAR:
            if index >= len(self._near):
                self._near += islice(self._unread, index + 1 - len(self._near))
            return self._near[index]
        elif index in (found := self._starts.get(token) or self._find(token)):
            start = found[index]
        else:
            self._look_up()
            start = self._all[index]
        return start, start + len(token)

    def _find(self, token: str) -> dict[int, int]:
        """Return where ``token`` stands, if it is found in the text as often as as a token.

        Then each find is a token: no string or comment holds one more. Only for words and names in
        brackets, which cannot overlap each other. Finds in longer words and after ``--`` are no
        tokens for certain.
        """
        if not (token.isidentifier() or (token[0] == "[" and "]]" not in token)):
            return {}
        text = self.file.text
        indexes = positions(self.written, (token,), 0, len(self.written))
        found: list[int] = []
        at = text.find(token, self.span(0)[0], self.end)
        comments = _LineComments(text, at)
        while at >= 0:
            after = at + len(token)
            around = text[at - 1 : at], text[after : after + 1]
            if token[0] != "[" and (around[0] in _UNCLEAR or not "".join(around).isascii()):
                return {}
            is_part = token[0] != "[" and not _WORD_PARTS.isdisjoint(around)
            if not is_part and not comments.cover(at):
                found.append(at)
            at = text.find(token, after, self.end)
        if len(found) != len(indexes):
            return {}
        self._starts[token] = dict(zip(indexes, found, strict=True))
        return self._starts[token]

    def line(self, index: int) -> int:
        """Return the line of the file on which token ``index`` starts."""
        if not self.written:
            return self.file.line_at(self.start)
        token, text = self.written[min(index, len(self.written) - 1)], self.file.text
        if is_string(token) and text.count(token, self.start, self.end) == 1:
            return self.file.line_at(text.find(token, self.start))
        return self.file.line_at(self.span(min(index, len(self.written) - 1))[0])

    def error(self, index: int, message: str, hint: str) -> SourceError:
        """Return an error at token ``index``."""
        return SourceError(message, line=self.line(index), hint=hint)


class _LineComments:
    """Which offsets certainly stand in a ``--`` comment, asked for in ascending order.

    Args:
        text: the text of the file.
        start: the first offset that will be asked for.
    """

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.line = self.seen = text.rfind("\n", 0, max(start, 0)) + 1
        self.is_open = self.is_unclear = False

    def cover(self, at: int) -> bool:
        """Return whether ``--`` stands before ``at`` on its line, and nothing that might quote it."""
        line = self.text.rfind("\n", self.seen, at) + 1
        if line:
            self.line = self.seen = line
            self.is_open = self.is_unclear = False
        if not self.is_open:
            if self.text.find("--", self.seen, at) < 0:
                self.seen = at
                return False
            self.is_open, self.seen = True, self.line
        if not self.is_unclear:
            self.is_unclear = not _QUOTES.isdisjoint(self.text[self.seen : at])
        self.seen = at
        return not self.is_unclear
