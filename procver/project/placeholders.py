"""Placeholders of other tools in sources, such as ``$(Schema)`` of sqlcmd: filled in before anything is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_FORM = re.compile(r"[^\w\s]\S*[^\w\s]")
"""Within signs at both ends, so that it is no part of a word; sqlcmd's, Flyway's, PostgreSQL's ``@extschema@``."""


def is_placeholder(text: str) -> bool:
    """Return whether ``text`` can be told from the SQL around it wherever it stands."""
    return len(text) > 2 and text.isprintable() and _FORM.fullmatch(text) is not None


def filler(values: Mapping[str, str]) -> Callable[[str], str]:
    """Return what fills placeholders in, strings and comments included, as the tools do that they are from.

    Args:
        values: by placeholder, as it is written. Case does not count, as in sqlcmd, but for letters beyond ASCII.
    """
    if not values:
        return lambda text: text
    folded = {placeholder.lower(): value for placeholder, value in values.items()}
    longest = sorted(values, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest)), re.IGNORECASE | re.ASCII)
    return lambda text: pattern.sub(lambda found: folded[found[0].lower()], text)
