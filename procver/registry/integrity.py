"""Rows of the registry that contradict each other: somebody changed them by hand, or restored a part of a backup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from procver.errors import DatabaseError
from procver.known import DROPPED, Known

_HINT = (
    "somebody changed the registry by hand: bring that row back from a backup of the database,"
    " schema procver"
)


def damaged(what: str) -> DatabaseError:
    """Return the error that names a damaged row."""
    return DatabaseError(f"the registry cannot be read: {what}", hint=_HINT)


def checked(known: Known) -> Known:
    """Return what was read of the registry, if nothing in it contradicts the rest.

    Raises:
        DatabaseError: a row refers to one that does not exist, or holds what procver never writes.
    """
    for what in _damages(known):
        raise damaged(what)
    return known


def _damages(known: Known) -> Iterator[str]:
    versions, releases = known.by_id, {release.id for release in known.releases}
    for version in versions.values():
        if not version.label or not version.name.leaf or not version.physical:
            yield f"procver.version {version.id} has no name"
        if version.state not in ("present", "condemned", DROPPED):
            yield f"procver.version {version.id} has the state {version.state!r:.60}"
        if version.state == "condemned" and version.condemned_at is None:
            yield f"procver.version {version.id} was condemned at no time"
    numbers = [release.number for release in known.releases]
    if len(set(numbers)) < len(numbers):
        yield "two rows of procver.release have one number"
    for release in known.releases:
        if not isinstance(release.published_at, datetime):
            yield f"procver.release {release.name!r:.60} was published at no time"
    for membership in known.memberships:
        if membership.version_id not in versions:
            yield f"procver.membership has version {membership.version_id}, which procver.version has not"
    for table, rows in (("instance", known.instances), ("channel", known.channels)):
        for row in rows:
            if row.release_id not in releases:
                yield f"procver.{table} {row.name!r:.60} has a release that procver.release has not"
