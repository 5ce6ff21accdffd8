"""What no dialect takes, and how that is said."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from procver.errors import SourceError

MIGRATION = "leave it to the team's migration tool, outside the sources of procver"


def misspelt(noun: str, known: Iterable[str]) -> str | None:
    """Return what to do about a word after CREATE that looks like one of those known here; None if it does not."""
    near = get_close_matches(noun, known, n=1, cutoff=0.7)
    return f"did you mean CREATE {near[0].upper()}?" if near and noun else None


def refuse_nul(text: str, server: str) -> None:
    """Raise for a NUL.

    Raises:
        SourceError: ``text`` holds one, and ``server`` takes none.
    """
    at = text.find("\x00")
    if at >= 0:
        raise SourceError(
            "the file holds a NUL character",
            line=text.count("\n", 0, at) + 1,
            hint=f"save it as text: {server} takes no NUL",
        )


def in_reserved_schema(label: str, schema: str, reason: str) -> tuple[str, str]:
    """Return message and hint for an object in a schema that is not the project's."""
    return (
        f"{label} cannot be published: schema {schema} is reserved, {reason}",
        "create it in a schema of your own",
    )


def too_deep() -> SourceError:
    """Return why a text that is nested beyond reason is not read."""
    return SourceError(
        "brackets or blocks are nested too deep to be read",
        line=1,
        hint="split the expression, or write the query in several views",
    )
