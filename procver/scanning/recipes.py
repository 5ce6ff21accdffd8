"""A rewriting kept for later: what to replace where, with holes for the version numbers.

Reading a source decides what a rewriting replaces; the numbers come only with the lock. A recipe is the rewriting under
made-up numbers, one for each name, so that filling in the real ones needs no second reading.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from procver.errors import SourceError
from procver.objects import Edit, Name, Statement, physical_leaf
from procver.scanning.stretches import Stretch, statements

_HOLE = re.compile(r"9(\d{5})000000009")
_edit = partial(tuple.__new__, Edit)  # what Edit._make does, in a third of its time
_ENCODE = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _made_up(index: int) -> int:
    return int(f"9{index:05d}000000009")


def make(
    text: str,
    names: Sequence[Name],
    suffix: str,
    rewrite: Callable[[Mapping[Name, str]], Sequence[Stretch]],
) -> str:
    """Return the recipe of a source; empty if it has to be read again each time.

    Args:
        text: the source.
        names: the object, then its references.
        suffix: the pattern of physical names.
        rewrite: rewrites the source, given the leaf for each name.
    """
    if len(names) > 99_999 or _HOLE.search(text):
        return ""
    leafs = {
        name: physical_leaf(name.leaf, _made_up(index), suffix) for index, name in enumerate(names)
    }
    try:
        return _ENCODE(rewrite(leafs))
    except SourceError:  # a name that is too long only with so long a number
        return ""


def fill(recipe: str, text: str, numbers: Sequence[int]) -> tuple[Statement, ...]:
    """Return the statements of a source under real numbers.

    Args:
        recipe: as `make` made it.
        text: the same source.
        numbers: the version of each of the names that the recipe was made with, in that order.
    """
    # The source has nothing that looks like a hole, so in the whole recipe only the holes do.
    filled = _HOLE.sub(lambda hole: str(numbers[int(hole[1])]), recipe)
    return statements(
        text,
        [
            Stretch(role, start, end, tuple([_edit(edit) for edit in edits]))
            for role, start, end, edits in json.loads(filled)
        ],
    )
