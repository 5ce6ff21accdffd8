"""PostgreSQL's tokens, by one compiled regular expression (the manual's "Lexical Structure").

The pattern consumes blanks and comments together with the token before them, so that
``findall`` yields the significant tokens alone, at the speed of C. Comments that mean something,
optimizer hints (``/*+ ... */``) and procver's directives (``-- procver: ...``), are looked for
in a second pass over the few texts that may hold one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, NamedTuple

from procver.errors import SourceError
from procver.scanning import unfilled
from procver.scanning.lexing import (
    BLOCK_COMMENT,
    DIRECTIVE,
    Remembered,
    end_of,
    never_ends,
    open_comment,
)
from procver.scanning.postgresql.keywords import ALL

_BLANK = r"[ \t\n\r\f\v]"
_START = r"[^\x00-@\[-^`{-\x7f]"
_WORD = rf"{_START}[^\x00-#%-/:-@\[-^`{{-\x7f]*+"
_SKIP = rf"{_BLANK}*+(?>(?:(?:--[^\n\r]*+|{BLOCK_COMMENT}){_BLANK}*+)*)"
_PLAIN_SKIP = (
    rf"{_BLANK}*+(?>(?:(?:(?!{DIRECTIVE})--[^\n\r]*+|(?!/\*\+){BLOCK_COMMENT}){_BLANK}*+)*)"
)
# A string goes on after a newline: 'a' <newline> 'b' is one literal.
_GO_ON = r"(?>(?:[ \t\f\v]|--[^\n\r]*+)*)[\n\r](?>(?:[ \t\n\r\f\v]|--[^\n\r]*+[\n\r])*)"
_PLAIN = r"'[^']*+(?>(?:''[^']*+)*)'"
_STRING = rf"{_PLAIN}(?>(?:{_GO_ON}{_PLAIN})*)"
_ESCAPED = r"'[^'\\]*+(?>(?:(?:''|\\[\s\S])[^'\\]*+)*)'"
_ESTRING = rf"[eE]{_ESCAPED}(?>(?:{_GO_ON}{_ESCAPED})*)"
_DIGITS = r"[0-9](?>(?:_?[0-9])*)"
_OPEN = r"(?!--|/\*)"
_SIGN = r"[+\-*/<>=~!@#^&|`?%]"
# The server takes no operator of more than 63 characters; without that bound, a long row of signs
# would be read again from each of them.
_OPERATOR = (
    rf"(?={_SIGN})(?:=(?!{_SIGN})"
    rf"|(?>(?:{_OPEN}[+\-*/<>=]){{0,63}})(?:{_OPEN}[~!@#^&|`?%])(?>(?:{_OPEN}{_SIGN}){{0,63}})"
    rf"|(?:{_OPEN}[+\-*/<>=]){{0,63}}{_OPEN}[*/<>=]|(?!--)[+\-])"
)
_DOLLAR = r"\$\$[^$]*+(?>(?:\$(?!\$)[^$]*+)*)\$\$"
_TAGGED = rf"\$(?P<tag>{_START}[^\x00-/:-@\[-^`{{-\x7f]*+)\$[^$]*+(?>(?:\$(?!(?P=tag)\$)[^$]*+)*)\$(?P=tag)\$"


def _token(dollar: str) -> str:
    return "|".join(
        (
            rf"{_WORD}(?!['&])",
            r"[,();\[\]]",
            r"\.\.|\.(?![0-9])",
            _STRING,
            r'"[^"]++(?>(?:""[^"]*+)*)"|"(?>(?:""[^"]*+)+)"',
            _OPERATOR,
            r"0[xX](?>(?:_?[0-9a-fA-F])+)|0[oO](?>(?:_?[0-7])+)|0[bB](?>(?:_?[01])+)",
            rf"(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+\-]?{_DIGITS})?",
            r"::|:=|:",
            r"\$[0-9]++",
            dollar,
            _ESTRING,
            rf"[bBxX]'[^']*+'(?>(?:{_GO_ON}'[^']*+')*)",
            rf"[uU]&{_STRING}",
            r'[uU]&"[^"]++(?>(?:""[^"]*+)*)"',
            r"[eE]'",
            _WORD,
            r"/\*",
            r"[\s\S]",
        )
    )


@cache  # compiled when the first text is read: a command whose sources are cached reads none
def _leading() -> re.Pattern[str]:
    return re.compile(_SKIP)


# Most often a blank follows, no comment: the first branches make that case half as dear.
_AFTER = rf"(?: ?+(?![-/ \t\n\r\f\v])|{_BLANK}*+(?![-/])|{_SKIP})"


@cache
def _fast() -> re.Pattern[str]:
    return re.compile(rf"({_token(_DOLLAR)}){_AFTER}")


@cache
def _slow() -> re.Pattern[str]:
    return re.compile(rf"({_token(_DOLLAR + '|' + _TAGGED)}){_AFTER}")


@cache
def _special() -> re.Pattern[str]:
    return re.compile(
        rf"(?P<special>{DIRECTIVE}[^\n\r]*+|(?=/\*\+){BLOCK_COMMENT}){_PLAIN_SKIP}"
        rf"|(?:{_token(_DOLLAR + '|' + _TAGGED)}){_PLAIN_SKIP}"
    )


_BLANKS = re.compile(rf"{_BLANK}*+")
_HAS_TAG = re.compile(rf"\${_START}[^\x00-/:-@\[-^`{{-\x7f]*+\$")
_SIMPLE = re.compile(r"[a-z_][a-z0-9_$]*")
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
UNTERMINATED: Final = frozenset({"'", "E'", "e'", '"', "$", "/*", "{", "}"})
"""Tokens of texts that never end, and of what is no SQL."""
_OPENED = {"'": "string literal", '"': "quoted name"}


def lex(text: str) -> list[str]:
    """Return the significant tokens of ``text``, as they are written."""
    start = end_of(_leading(), text)
    if "$" in text and _HAS_TAG.search(text):
        return [found[0] for found in _slow().findall(text, start)]
    return _fast().findall(text, start)


def tokens(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each token that `lex` returns, lazily and in the same order."""
    pattern = _slow() if "$" in text and _HAS_TAG.search(text) else _fast()
    start = end_of(_leading(), text)
    for match in pattern.finditer(text, start):
        yield match.span(1)


class Special(NamedTuple):
    """A comment that means something.

    Attributes:
        token: how many tokens stand before it.
        start: its offset in the text.
        text: the comment, whole.
    """

    token: int
    start: int
    text: str


def special_comments(text: str) -> list[Special]:
    """Return hints and directives of ``text``, in order."""
    if "/*+" not in text and "procver:" not in text.lower():
        return []
    found: list[Special] = []
    count = 0
    start = end_of(re.compile(_PLAIN_SKIP), text)
    for match in _special().finditer(text, start):
        comment = match["special"]
        if comment is None:
            count += 1
        else:
            found.append(Special(count, match.start(), comment))
    return found


def after_blanks(text: str, start: int) -> int:
    """Return where the blanks and comments that start at ``start`` end."""
    return end_of(_leading(), text, start)


def blanks_end(text: str, start: int) -> int:
    """Return where the blanks that start at ``start`` end."""
    return end_of(_BLANKS, text, start)


def lower(word: str) -> str:
    """Return ``word`` as the server folds what is not quoted: ASCII letters only."""
    return word.lower() if word.isascii() else word.translate(_ASCII_LOWER)


def is_simple(name: str) -> bool:
    """Return whether ``name`` survives without quotes, keywords aside."""
    return _SIMPLE.fullmatch(name) is not None


def _is_word(token: str) -> bool:
    first = token[0]
    return (first.isalpha() or first == "_" or first > "\x7f") and token[-1] not in "'\""


def _folded(token: str) -> str:
    if token[0] == '"':
        name = token[1:-1]
        return name if is_simple(name) and name not in ALL else token
    return lower(token) if _is_word(token) else token


def _identifier(token: str) -> str:
    if token[0] == '"':
        return token[1:-1].replace('""', '"')
    return token if _is_word(token) else ""


fold = Remembered(_folded).__getitem__
"""The folded form of a token: words in lower case, ``"abc"`` as ``abc``, all else verbatim."""
identifier = Remembered(_identifier).__getitem__
"""The identifier for which a folded token stands, as the database keeps it; ``""`` for others."""


def is_string(token: str) -> bool:
    """Return whether ``token`` is a string literal in any of its notations."""
    return token[-1] == "'" or (token[0] == "$" and token[-1] == "$")


def refuse_unterminated(text: str, line_at: Callable[[int], int]) -> None:
    """Raise for the string, name or comment in ``text`` that never ends, and for ``{``.

    Args:
        text: the text that was lexed.
        line_at: gives the line in the file of an offset in ``text``.

    Raises:
        SourceError: at the first token of `UNTERMINATED`.
    """
    for start, end in tokens(text):
        token = text[start:end]
        if token not in UNTERMINATED:
            continue
        line = line_at(start)
        if token == "/*":
            raise open_comment(text, start, line)
        if token in ("{", "}"):
            raise SourceError(unfilled.message(text, start), line=line, hint=unfilled.HINT)
        if token == "$":
            match = _HAS_TAG.match(text, start)
            token = match.group() if match else text[start : start + 2]
            if match is None and token != "$$":
                raise SourceError(
                    "a lone $ is no SQL",
                    line=line,
                    hint="remove it; or say in [placeholders] of procver.toml what ${name} stands for",
                )
        raise never_ends(_OPENED.get(token[-1], f"{token} string"), line)
