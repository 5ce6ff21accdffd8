"""An analysis as a row of the cache, and when it still holds after the managed set changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Set
from typing import Any

from procver.objects import Analysis, Header, Kind, Managed, Name, Note

_KINDS = {kind.value: kind for kind in Kind}
_FEW = 32


def pack(analysis: Analysis) -> str:
    """Return ``analysis`` as JSON, without its words and recipe."""
    name, kind, shape, references, recursive, fixed, pins, revision, notes, _, _, early = analysis
    rare = [recursive, fixed, pins, revision, notes, early]
    return json.dumps([*name, kind, shape, references, rare if any(rare) else 0])


def unpack(payload: Any) -> tuple[Header, Analysis]:
    """Return what `pack` packed, given the parsed JSON.

    Raises:
        ValueError, TypeError, KeyError, IndexError: it is something else.
    """
    schema, leaf, word, shape, references, rare = payload
    name, kind = Name(schema, leaf), _KINDS[word]
    found = Analysis(name, kind, shape, tuple([Name(s, n) for s, n in references]))
    if rare:
        recursive, fixed, pins, revision, notes, early = rare
        found = found._replace(
            recursive=recursive,
            fixed=_numbered(fixed),
            pins=_numbered(pins),
            revision=revision,
            notes=tuple(Note(*note) for note in notes),
            early=tuple([Name(*name) for name in early]),
        )
    return Header(name, kind), found


def _numbered(rows: Iterable[Any]) -> tuple[tuple[Name, int], ...]:
    return tuple((Name(*name), number) for name, number in rows)


class Change:
    """Which words matter between two managed sets.

    Args:
        changed: names that one of the sets has and the other has not, or has as another kind.
        managed: the set as it is now, for its suffix.
    """

    def __init__(self, changed: Set[str], managed: Managed) -> None:
        # Where case does not count, words are kept in lower case.
        self._changed = {*changed, *(word.lower() for word in changed)}
        before, _, after = managed.suffix.partition("{version}")
        # A mention of v_1 is one of v too.
        self._version = re.compile(f"{re.escape(before)}[0-9]+{re.escape(after)}$", re.MULTILINE)

    def affects(self, words: str) -> bool:
        """Return whether a source with these words may now mean something else."""
        if len(self._changed) <= _FEW and not any(word in words for word in self._changed):
            return False
        bare = self._version.sub("", words)
        return not self._changed.isdisjoint((*words.split("\n"), *bare.split("\n")))
