"""A piece of text that was lexed as one: a whole file, or the body of one routine."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import islice
from typing import NamedTuple

from procver.errors import SourceError
from procver.objects import LineIndex
from procver.scanning.marks import Mark
from procver.scanning.postgresql.lexer import (
    UNTERMINATED,
    after_blanks,
    fold,
    is_string,
    lex,
    refuse_unterminated,
    tokens,
)
from procver.scanning.tokens import positions

_NEAR = 24
"""Tokens up to here are looked up one after the other: most headers are that short."""


class Literal(NamedTuple):
    """How the text of a unit is written inside the string token that holds it.

    Attributes:
        lead: characters before the content: the opening quote or ``$tag$``.
        breaks: ascending (offset in the content, offset in the token) of where the two drift
            apart: doubled quotes and escapes.
        quoting: ``""`` for dollar quotes, ``"'"`` or ``"E"``.
    """

    lead: int
    breaks: tuple[tuple[int, int], ...] = ()
    quoting: str = ""

    def place(self, offset: int) -> int:
        """Return the offset in the token of ``offset`` in the content."""
        found = bisect_right(self.breaks, (offset, 1 << 60)) - 1
        if found < 0:
            return offset + self.lead
        at, to = self.breaks[found]
        return to + offset - at

    def escape(self, text: str) -> str:
        """Return ``text`` as it must be written inside the literal."""
        if self.quoting == "E":
            text = text.replace("\\", "\\\\")
        return text.replace("'", "''") if self.quoting else text


class Unit:
    """One lexed text with the decisions taken on its tokens.

    Args:
        text: the text.
        parent: the unit one of whose string tokens holds ``text``; None for a whole file.
        token: which token of the parent.
        literal: how the token is written.

    Attributes:
        written: the tokens as they are written.
        folded: the same tokens, folded.
        distinct: the folded tokens, each once, in order of appearance.
        marks: token index to decision.
        aliases: token index after which an alias goes, to the text that goes there.
        hints: token index to the optimizer hints that stand before it.
        raw: tokens that are bodies in another language.
    """

    def __init__(
        self,
        text: str,
        parent: Unit | None = None,
        token: int = 0,
        literal: Literal | None = None,
    ) -> None:
        self.text = text
        self.literal = literal
        self.written = lex(text)
        self.folded = list(map(fold, self.written))
        self.distinct = dict.fromkeys(self.folded)
        self.marks: dict[int, Mark] = {}
        self.aliases: dict[int, str] = {}
        self.hints: dict[int, str] = {}
        self.raw: set[int] = set()
        self._parent = parent
        self._token = token
        self._base: int | None = None
        self._spans: list[tuple[int, int]] = []
        self._unread = tokens(text)
        self._starts: dict[str, dict[int, int]] = {}
        self._lines: LineIndex | None = None
        if not UNTERMINATED.isdisjoint(self.distinct):
            refuse_unterminated(text, self.line_at)

    def stretch(self, lo: int, hi: int) -> tuple[int, int]:
        """Return [start, end) of the statement of tokens [lo, hi), between two semicolons."""
        start = after_blanks(self.text, self.span(lo - 1)[1] if lo else 0)
        end = self.span(hi)[0] if hi < len(self.written) else len(self.text)
        return start, start + len(self.text[start:end].rstrip(" \t\n\r\f\v"))

    def strings(self) -> list[str]:
        """Return the distinct string literals."""
        if "'" not in self.text and "$" not in self.text:
            return []
        return [token for token in self.distinct if is_string(token)]

    def spans(self) -> list[tuple[int, int]]:
        """Return [start, end) of each token in the unit's text."""
        self._spans += self._unread
        return self._spans

    def span(self, index: int) -> tuple[int, int]:
        """Return [start, end) of token ``index``, without looking at all tokens if it can."""
        if index >= len(self._spans):
            token = self.written[index]
            if index < _NEAR:
                self._spans += islice(self._unread, index + 1 - len(self._spans))
            elif index in (starts := self._starts.get(token) or self._find(token)):
                return starts[index], starts[index] + len(token)
            else:
                self.spans()
        return self._spans[index]

    def _find(self, token: str) -> dict[int, int]:
        """Return where ``token`` stands, if it is found in the text as often as as a token.

        Then no comment, string or longer word holds it, so that each find is a token. Only for
        words, which cannot overlap each other, and for what stands alone.
        """
        is_alone = token[0] == "$" and len(token) > 40
        if not (is_alone or token == ";" or token.isidentifier()):
            return {}
        indexes = positions(self.written, (token,), 0, len(self.written))
        if self.text.count(token) != len(indexes):
            return {}
        starts = self._starts[token] = {}
        at = -1
        for index in indexes:
            at = starts[index] = self.text.find(token, at + 1)
        return starts

    def place(self, offset: int) -> int:
        """Return the offset in the file of ``offset`` in the unit's text."""
        if self._parent is None or self.literal is None:
            return offset
        if self._base is None:
            self._base = self._parent.place(self._parent.span(self._token)[0])
        return self._base + self.literal.place(offset)

    def inside(self, start: int, end: int) -> range:
        """Return the tokens that lie whole in [start, end) of the file."""
        spans = self.spans()
        first = last = bisect_left(spans, start, key=self._first)
        while last < len(spans) and self._last(spans[last]) < end:
            last += 1
        return range(first, last)

    def token_at(self, offset: int) -> int:
        """Return the token that holds an offset of the file, -1 if none does."""
        spans = self.spans()
        i = bisect_right(spans, offset, key=self._first) - 1
        return i if i >= 0 and offset <= self._last(spans[i]) else -1

    def bounds(self, index: int) -> tuple[int, int]:
        """Return [start, end) of token ``index`` in the file."""
        span = self.spans()[index]
        return self._first(span), self._last(span) + 1

    def cut(self, start: int, end: int) -> str:
        """Return the unit's text between two offsets of the file."""
        if self.literal is None:
            return self.text[start:end]
        offsets = range(len(self.text) + 1)
        lo, hi = (bisect_left(offsets, at, key=self.place) for at in (start, end))
        return self.text[lo:hi]

    def _first(self, span: tuple[int, int]) -> int:
        return self.place(span[0])

    def _last(self, span: tuple[int, int]) -> int:
        return self.place(span[1] - 1)

    def line_at(self, offset: int) -> int:
        """Return the line of the file of ``offset`` in the unit's text."""
        if self._parent is not None:
            return self._parent.line_at(self.place(offset))
        if self._lines is None:
            self._lines = LineIndex(self.text)
        return self._lines.line(offset)

    def line(self, index: int) -> int:
        """Return the line of the file on which token ``index`` starts."""
        if not self.written:
            return 1
        return self.line_at(self.span(min(index, len(self.written) - 1))[0])

    def error(self, index: int, message: str, hint: str) -> SourceError:
        """Return an error at token ``index``."""
        return SourceError(message, line=self.line(index), hint=hint)

    def body(self, index: int) -> Unit:
        """Return the unit inside the string token ``index``, lexed now.

        Raises:
            SourceError: the literal's notation cannot be read as a body, or something in it
                never ends.
        """
        content = read_literal(self.written[index])
        if content is None:
            raise self.error(
                index,
                "this body is written as a literal that procver does not read",
                "write the body between $$ and $$",
            )
        return Unit(content[0], self, index, content[1])


def read_literal(token: str) -> tuple[str, Literal] | None:
    """Return the content of a string token and how it is written; None if it is unusual."""
    if token[0] == "$":
        lead = token.index("$", 1) + 1
        return token[lead:-lead], Literal(lead)
    if token[0] == "'" and _ONE_PLAIN.fullmatch(token):
        return _from_plain(token)
    if token[0] in "eE" and _ONE_ESCAPED.fullmatch(token):
        return _from_escaped(token)
    return None


_ONE_PLAIN = re.compile(r"'[^']*+(?>(?:''[^']*+)*)'")
_ONE_ESCAPED = re.compile(r"[eE]'[^'\\]*+(?>(?:(?:''|\\[\s\S])[^'\\]*+)*)'")
_ESCAPE = re.compile(
    r"''|\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{1,2}|[0-7]{1,3}|[\s\S])"
)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _from_plain(token: str) -> tuple[str, Literal]:
    parts = token[1:-1].split("''")
    breaks: list[tuple[int, int]] = []
    at, to = 0, 1
    for part in parts[:-1]:
        at += len(part) + 1
        to += len(part) + 2
        breaks.append((at, to))
    return "'".join(parts), Literal(1, tuple(breaks), "'")


def _unescaped(escape: str) -> str:
    if escape == "''":
        return "'"
    kind = escape[1]
    if kind in "uUx" and len(escape) > 2:
        return chr(min(int(escape[2:], 16), 0x10FFFF))
    if kind in "01234567":
        return chr(int(escape[1:], 8) & 0xFF)
    return _CONTROLS.get(kind, kind)


def _from_escaped(token: str) -> tuple[str, Literal]:
    pieces: list[str] = []
    breaks: list[tuple[int, int]] = []
    done, size = 2, 0
    for match in _ESCAPE.finditer(token, 2, len(token) - 1):
        plain = token[done : match.start()]
        character = _unescaped(match.group())
        pieces += (plain, character)
        size += len(plain) + len(character)
        done = match.end()
        breaks.append((size, done))
    pieces.append(token[done:-1])
    return "".join(pieces), Literal(2, tuple(breaks), "E")
