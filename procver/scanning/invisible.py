"""Characters that nobody sees and that make another word of the one they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

HINT: Final = "delete it: the server reads another word there, or none"

_FORMAT = r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064"
_MORE = r"\u2066-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
_INVISIBLE = re.compile(f"[{_FORMAT}{_MORE}]")
_JOINER = re.compile(r"(?<=[^\W\x00-\x7f])[\u200c\u200d](?=[^\W\x00-\x7f])")
"""Between letters of many scripts these two are spelling."""
_NAMES = {"\ufeff": "byte order mark"}


def complaints(text: str, words: Iterable[str], *, joiners: bool) -> Iterator[tuple[int, str]]:
    """Yield the index of each word that holds an invisible character, and what to say of it.

    Args:
        text: all text, which is looked through first.
        words: its words: no strings, no quoted names.
        joiners: whether the dialect takes zero width joiners in names.
    """
    if text.isascii() or _INVISIBLE.search(text) is None:
        return
    for index, word in enumerate(words):
        if word.isascii():
            continue
        found = _INVISIBLE.search(_JOINER.sub("", word) if joiners else word)
        if found is not None:
            yield index, _complaint(word, found.group())


def _complaint(word: str, character: str) -> str:
    from unicodedata import name  # rarely needed

    named = _NAMES.get(character) or name(character, "unnamed").lower()
    seen = _INVISIBLE.sub("", word)
    where = "inside" if seen else "alone on this line"
    if seen and word[0] == character:
        where = "before"
    elif seen and word[-1] == character:
        where = "after"
    return (
        f"an invisible character, U+{ord(character):04X} ({named}), stands {where} {seen}".rstrip()
    )
