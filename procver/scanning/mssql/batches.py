"""A file as batches: GO is a word of the client, on a line of its own, outside strings and comments."""

from __future__ import annotations

import re
from typing import NamedTuple

from procver.errors import SourceError
from procver.scanning.lexing import end_of
from procver.scanning.mssql.lexer import LINE_BLANK, is_open, lex, tokens
from procver.scanning.mssql.unit import File

_WORD = re.compile(r"[gG](?<![\w@#$].)[oO](?![\w@#$])")
_LINE_COMMENTS = rf"(?:{LINE_BLANK}|/\*(?:[^*/\r\n]++|\*(?!/)|/(?!\*))*+\*/)*+"
_LINE_START = re.compile(_LINE_COMMENTS)
_LINE = re.compile(r"[^\r\n]*+")
_REST = re.compile(
    rf"{LINE_BLANK}*+(?P<count>[0-9]++)?{_LINE_COMMENTS}(?P<semicolon>;)?{_LINE_COMMENTS}"
    r"(?:--[^\r\n]*+)?(?=[\r\n]|\Z)"
)


class Batch(NamedTuple):
    """A batch: [start, end) of the file, its tokens, and how often GO runs it."""

    start: int
    end: int
    written: list[str]
    repeats: int


class _Separator(NamedTuple):
    at: int
    line_start: int
    line_end: int
    repeats: int
    has_semicolon: bool


def split(file: File) -> list[Batch]:
    """Return the batches of a file, without those that hold no token.

    Raises:
        SourceError: GO with a semicolon, which clients do not take.
    """
    separators = _separators(file.text)
    found = _cut(file.text, separators)
    if any(batch.written and is_open(batch.written[-1]) for batch in found):
        # Perhaps a GO inside a string or comment: only reading from the start can tell.
        starts = {at for at, _ in tokens(file.text)}
        separators = [each for each in separators if each.at in starts]
        found = _cut(file.text, separators)
    for each in separators:
        if each.has_semicolon:
            raise SourceError(
                "GO; is no separator of batches",
                line=file.line_at(each.at),
                hint="remove the semicolon after GO",
            )
    return [batch for batch in found if batch.written]


def _cut(text: str, separators: list[_Separator]) -> list[Batch]:
    found: list[Batch] = []
    start = 0
    for each in separators:
        found.append(Batch(start, each.line_start, lex(text, start, each.line_start), each.repeats))
        start = each.line_end
    found.append(Batch(start, len(text), lex(text, start), 1))
    return found


def _separators(text: str) -> list[_Separator]:
    found: list[_Separator] = []
    line_start = line_end = first = 0
    for word in _WORD.finditer(text):
        at = word.start()
        if at >= line_end:
            line_start = max(text.rfind(mark, line_end, at) for mark in "\r\n") + 1
            line_end = end_of(_LINE, text, at)
            first = end_of(_LINE_START, text, line_start)
        if at != first:
            continue
        rest = _REST.match(text, word.end())
        if rest is None:
            continue
        count = int(rest["count"]) if rest["count"] else 1
        found.append(_Separator(at, line_start, rest.end(), count, bool(rest["semicolon"])))
    return found
