"""What the lexers of both dialects are made of: comments, texts that never end, remembered forms."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Final

from procver.errors import SourceError

NESTING: Final = 12
"""How deep ``/* /* */ */`` may be nested: a regular expression has to spell out each level."""

DIRECTIVE: Final = r"--[ \t]*+[pP][rR][oO][cC][vV][eE][rR]:"
"""How the comments start that say something to procver."""

_COMMENT_MARK = re.compile(r"/\*|\*/")
_LONGEST, _LONGEST_LITERAL = 64, 12


def _block_comment(levels: int) -> str:
    pattern = r"/\*(?>(?:[^*/]++|\*(?!/)|/(?!\*))*)\*/"
    for _ in range(levels):
        pattern = rf"/\*(?>(?:[^*/]++|\*(?!/)|/(?!\*)|{pattern})*)\*/"
    return pattern


BLOCK_COMMENT: Final = _block_comment(NESTING)
"""A comment between ``/*`` and ``*/``, with those inside it."""


def end_of(pattern: re.Pattern[str], text: str, start: int = 0, stop: int = sys.maxsize) -> int:
    """Return where ``pattern`` ends in ``text`` from ``start`` on; it must be one that matches nothing too."""
    match = pattern.match(text, start, stop)
    assert match is not None
    return match.end()


def never_ends(what: str, line: int) -> SourceError:
    """Return the error that ``what`` (a string, a name), opened on ``line``, is not closed."""
    return SourceError(
        f"the {what} that starts here never ends", line=line, hint=f"close the {what}"
    )


def open_comment(text: str, start: int, line: int) -> SourceError:
    """Return what is wrong with the comment at ``start``, which no lexer could read to its end."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return SourceError(
                f"comments are nested deeper than {NESTING} levels",
                line=line,
                hint="flatten the nested /* */ comments",
            )
    return never_ends("comment", line)


class Remembered(dict[str, str]):
    """A function of tokens as a mapping: what is short and seen before costs one look-up.

    Args:
        make: the function. Few literals come twice, so of those only the shortest are kept.
    """

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, token: str) -> str:
        made = self._make(token)
        if len(token) <= (_LONGEST_LITERAL if token[-1:] == "'" else _LONGEST):
            if len(self) > 200_000:
                self.clear()
            self[token] = made
        return made
