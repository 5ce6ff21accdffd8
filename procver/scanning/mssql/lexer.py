"""T-SQL's tokens, by one compiled regular expression.

The pattern consumes blanks and comments together with the token before them, so that ``findall``
yields the significant tokens alone. procver's directives (``-- procver: ...``) are looked for in a
second pass over the few texts that may hold one.

Rules from the manual: "Database Identifiers", "Constants (Transact-SQL)", "Slash Star (Block
Comment)". Blanks are those of Unicode: a no-break space separates tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate, chain
from typing import Final, NamedTuple

from procver.errors import SourceError
from procver.scanning.lexing import (
    BLOCK_COMMENT,
    DIRECTIVE,
    Remembered,
    end_of,
    never_ends,
    open_comment,
)
from procver.scanning.mssql.keywords import ALL, CASELESS

_WIDE_BLANKS = r"\x85\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_LINE_BLANKS = rf"\x01-\x09\x0b\x0c\x0e-\x20{_WIDE_BLANKS}"
_BLANKS = rf"\x01-\x20{_WIDE_BLANKS}\u2028\u2029"
LINE_BLANK: Final = f"[{_LINE_BLANKS}]"
BLANK: Final = f"[{_BLANKS}]"
_SKIP = rf"{BLANK}*+(?>(?:(?:--[^\n\r]*+|{BLOCK_COMMENT}){BLANK}*+)*)"
_PLAIN_SKIP = rf"{BLANK}*+(?>(?:(?:(?!{DIRECTIVE})--[^\n\r]*+|{BLOCK_COMMENT}){BLANK}*+)*)"
_NO_START = rf"\x00-\x22\x24-\x3f\x5b-\x5e\x60\x7b-\x7f{_WIDE_BLANKS}\u2028\u2029"
_NO_PART = rf"\x00-\x22\x25-\x2f\x3a-\x3f\x5b-\x5e\x60\x7b-\x7f{_WIDE_BLANKS}\u2028\u2029"
_WORD = rf"[^{_NO_START}][^{_NO_PART}]*+"
_TOKEN = "|".join(
    (
        r"(?![nN]')[A-Za-z_@#][A-Za-z0-9_@$#]*+(?![^\x00-\x7f])",
        r"[,();=]|\.(?![0-9])",
        r"[nN]?'[^']*+(?>(?:''[^']*+)*)'",
        r"\[[^\]]*+(?>(?:\]\][^\]]*+)*)\]",
        r'"[^"]*+(?>(?:""[^"]*+)*)"',
        r"0[xX][0-9a-fA-F]*+|(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+\-]?[0-9]++)?",
        r"[+\-*%&|^]=|/=|<>|[<>!]=|![<>]|::",
        r"\$(?:\(|[0-9.]++|[A-Za-z_]\w*+)",
        rf"(?![nN]'){_WORD}",
        r"(?:[nN]?'|[\"\[]|/\*)[\s\S]*",
        r"[\s\S]",
    )
)


@cache  # compiled when the first text is read: a command whose sources are cached reads none
def _leading() -> re.Pattern[str]:
    return re.compile(_SKIP)


# Most often plain blanks follow, no comment: the first branch makes that case cheap.
_AFTER = rf"(?:[ \t\r\n]*+(?=[A-Za-z0-9_@(),.\[='*<>+;])|{_SKIP})"


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(rf"({_TOKEN}){_AFTER}")


@cache
def _pairs() -> re.Pattern[str]:
    return re.compile(rf"({_TOKEN})({_AFTER})")


@cache
def _special() -> re.Pattern[str]:
    return re.compile(rf"(?P<special>{DIRECTIVE}[^\n\r]*+){_PLAIN_SKIP}|(?:{_TOKEN}){_PLAIN_SKIP}")


_ALL_BLANKS = re.compile(rf"{BLANK}*+")
_ONE_WORD = re.compile(rf"(?!@){_WORD}")
_REGULAR = re.compile(r"[A-Za-z_][A-Za-z0-9_@$#]*")


def lex(text: str, start: int = 0, end: int | None = None) -> list[str]:
    """Return the significant tokens of ``text`` in [start, end), as they are written."""
    stop = len(text) if end is None else end
    first = end_of(_leading(), text, start, stop)
    return _pattern().findall(text, first, stop)


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each token that `lex` returns, lazily and in the same order."""
    stop = len(text) if end is None else end
    first = end_of(_leading(), text, start, stop)
    for match in _pattern().finditer(text, first, stop):
        yield match.span(1)


def starts(text: str, start: int, end: int) -> list[int]:
    """Return where each token that `lex` returns starts, and where the last one's blanks end."""
    first = end_of(_leading(), text, start, end)
    pairs = _pairs().findall(text, first, end)
    return list(accumulate(map(len, chain.from_iterable(pairs)), initial=first))[::2]


class Special(NamedTuple):
    """A directive: its offset in the text, and the comment, whole."""

    start: int
    text: str


def directive_comments(text: str) -> list[Special]:
    """Return the ``-- procver:`` comments of ``text``, in order."""
    if "procver:" not in text.lower():
        return []
    start = end_of(re.compile(_PLAIN_SKIP), text)
    return [
        Special(match.start(), match["special"])
        for match in _special().finditer(text, start)
        if match["special"] is not None
    ]


def blanks_end(text: str, start: int) -> int:
    """Return where the blanks that start at ``start`` end."""
    return end_of(_ALL_BLANKS, text, start)


def is_regular(name: str) -> bool:
    """Return whether ``name`` is a regular identifier of ASCII letters, keywords aside."""
    return _REGULAR.fullmatch(name) is not None


def is_word(name: str) -> bool:
    """Return whether ``name``, without brackets, is read as one word that is no variable."""
    return _ONE_WORD.fullmatch(name) is not None


def delimited(name: str) -> str:
    """Return ``name`` in brackets."""
    return "[" + name.replace("]", "]]") + "]"


def _content(token: str) -> str | None:
    """Return the name inside brackets or double quotes, None for other tokens."""
    if len(token) > 1:
        if token[0] == "[":
            return token[1:-1].replace("]]", "]")
        if token[0] == '"':
            return token[1:-1].replace('""', '"')
    return None


def _is_word_token(token: str) -> bool:
    first = token[0]
    return first.isalpha() or first in "_@#" or first > "\x7f"


def _folded(token: str) -> str:
    if token[-1] == "'":
        return token
    content = _content(token)
    if content is not None:
        lowered = content.lower()
        is_plain = is_word(lowered) and lowered not in ALL
        return lowered if is_plain else delimited(lowered)
    return token.lower() if _is_word_token(token) else token


def _shaped(token: str) -> str:
    if token[-1] == "'":
        return "N" + token[1:] if token[0] == "n" else token
    content = _content(token)
    if content is not None:
        lowered = content.lower()
        is_plain = is_word(content) and lowered not in ALL and lowered not in CASELESS
        return content if is_plain else delimited(content)
    if _is_word_token(token) and (lowered := token.lower()) in CASELESS:
        return lowered
    return token


def _identifier(token: str) -> str:
    if token[-1:] in ("'", ""):
        return ""
    if token[0] == "[" and len(token) > 1:
        return token[1:-1].replace("]]", "]")
    return token if token[0] != "@" and _is_word_token(token) else ""


def _written_identifier(token: str) -> str:
    if token[-1] == "'":
        return ""
    content = _content(token)
    if content is not None:
        return content
    return token if token[0] != "@" and _is_word_token(token) else ""


fold = Remembered(_folded).__getitem__
"""The folded form of a token, for comparing names: words in lower case, ``[abc]`` and ``"abc"`` as
``abc`` unless that is a keyword, all else verbatim."""
shaped = Remembered(_shaped).__getitem__
"""What of a token a version stands for: as folded, but only keywords lose their case."""
identifier = Remembered(_identifier).__getitem__
"""The identifier for which a folded token stands, in lower case; ``""`` for others."""
written_identifier = Remembered(_written_identifier).__getitem__
"""The identifier for which an unfolded token stands, its case kept; ``""`` for others."""


def is_string(token: str) -> bool:
    """Return whether ``token`` is a string literal."""
    return token[-1] == "'"


def as_string(token: str) -> str:
    """Return the string literal that ``"..."`` is while QUOTED_IDENTIFIER is off."""
    return "'" + token[1:-1].replace('""', '"').replace("'", "''") + "'"


def string_value(token: str) -> str:
    """Return the text for which a string literal stands."""
    return token[token.index("'") + 1 : -1].replace("''", "'")


def is_open(token: str) -> bool:
    """Return whether ``token`` is a string, name or comment that never ends: the rest of the text."""
    first = token[1] if token[:2] in ("n'", "N'") else token[0]
    if first == "[":
        return token.count("]") % 2 == 0
    return token[:2] == "/*" or (first in "'\"" and token.count(first) % 2 == 1)


def unterminated(token: str, line: int) -> SourceError:
    """Return what is wrong with a token that `is_open`."""
    if token[:2] == "/*":
        return open_comment(token, 0, line)
    what = {"[": "name in brackets", '"': "quoted name"}.get(token[0], "string literal")
    return never_ends(what, line)
