"""Which texts name which objects: what no catalog tracks, as what is in the body of a function or in dynamic SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

_WORD = re.compile(r"[\w@$#]+")


def mentions(
    texts: Iterable[tuple[str, str]], names: Mapping[int, str]
) -> Iterator[tuple[int, str]]:
    """Yield who names what, in time that grows with the texts and not with texts times names.

    A name counts wherever it stands as a word, in whatever case, in a comment or a string too: who looks for reasons to keep
    something errs on that side.

    Args:
        texts: what has a text, and the text.
        names: by key, the last part of a name, unquoted.

    Yields:
        the key of each name that a text holds, and what has that text.
    """
    words: dict[str, list[int]] = {}
    phrases: dict[str, list[int]] = {}  # with blanks, dots and the like, which only quotes allow
    for key, name in names.items():
        lowered = name.lower()
        (words if _WORD.fullmatch(lowered) else phrases).setdefault(lowered, []).append(key)
    for what, text in texts:
        text = text.lower()
        found = words.keys() & _WORD.findall(text)
        found.update(phrase for phrase in phrases if phrase in text)
        for name in found:
            for key in words.get(name) or phrases[name]:
                yield key, what
