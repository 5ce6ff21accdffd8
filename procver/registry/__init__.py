"""The registry: its DDL, its statements, and what a read of it means.

DDL and statements are ``.sql`` files, one folder per dialect: ``NNN_*.sql`` are upgrades, applied in order and
never edited once released; ``queries.sql`` holds the statements by name.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple


class Upgrade(NamedTuple):
    """One step of the registry's schema; ``sql`` may hold several statements."""

    number: int
    name: str
    sql: str


@cache
def upgrades(dialect: str) -> tuple[Upgrade, ...]:
    """Return the numbered upgrades of a dialect's registry, oldest first."""
    folder = resources.files(__name__) / dialect
    found = [
        Upgrade(int(entry.name[:3]), entry.name, entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name[:3].isdigit() and entry.name.endswith(".sql")
    ]
    return tuple(sorted(found))


@cache
def queries(dialect: str) -> dict[str, str]:
    """Return the registry's statements of a dialect, by name."""
    text = (resources.files(__name__) / dialect / "queries.sql").read_text("utf-8")
    found: dict[str, str] = {}
    for part in text.split("-- name: ")[1:]:
        name, _, body = part.partition("\n")
        found[name.strip()] = body.strip()
    return found
