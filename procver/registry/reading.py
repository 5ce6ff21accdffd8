"""Reading the registry: rows in, `Known` out, in one round trip."""

from __future__ import annotations

from typing import Any

from procver.dialects import Call, Database, Row
from procver.errors import DatabaseError
from procver.known import Known, KnownChannel, KnownInstance, KnownRelease, KnownVersion, Membership
from procver.objects import Kind, Name
from procver.registry.integrity import checked, damaged

KINDS = {kind.value: kind for kind in Kind}


def _pairs(requires: Any, physical: str) -> list[tuple[str, int]]:
    """Return what a version refers to.

    Raises:
        DatabaseError: the row was changed by hand.
    """
    try:
        return [(str(label), int(number)) for label, number in requires]
    except (TypeError, ValueError):
        raise _damaged(physical, "requires") from None


def _damaged(physical: str, column: str) -> DatabaseError:
    return DatabaseError(
        f"the registry cannot be read: procver.version.{column} of {physical} is not what procver writes",
        hint="somebody changed procver.version by hand: bring that row back from a backup of the database",
    )


def read(database: Database, project: str) -> Known | None:
    """Return all that the registry knows of a project, in one snapshot; None if it does not know it.

    Raises:
        DatabaseError: the registry cannot be read.
    """
    about = {"project": project}
    projects, versions, releases, instances, channels, memberships, now = database.read(
        Call("project", about),
        Call("versions", about),
        Call("releases", about),
        Call("instances", about),
        Call("channels", about),
        Call("memberships", about),
        Call("now", about),
    )
    if not projects:
        return None
    try:
        return checked(_known(projects, versions, releases, instances, channels, memberships, now))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(f"a row holds what procver does not write ({error!r:.80})") from error


def _known(
    projects: list[Row],
    versions: list[Row],
    releases: list[Row],
    instances: list[Row],
    channels: list[Row],
    memberships: list[Row],
    now: list[Row],
) -> Known:
    project_id, _, _, generation, last_release, trials, *laned = projects[0]
    main, lanes = laned or (generation, None)
    known: dict[tuple[str, int], KnownVersion] = {}
    needs: dict[int, list[tuple[str, int]]] = {}
    for row in versions:
        label, number, version_id, kind, print_, shape, source, schema, leaf, *rest = row
        physical, state, since, quarantined, requires, found, *moved = rest
        if kind not in KINDS:
            raise _damaged(physical, "kind")
        known[label, number] = KnownVersion(
            label, number, version_id, KINDS[kind], print_, shape, source, Name(schema, leaf),
            physical, state, since, quarantined, found, *moved,
        )  # fmt: skip
        if requires:
            needs[version_id] = _pairs(requires, physical)
    # What was forgotten by `release discard` is nobody's need any more.
    requirements = {
        version_id: tuple(
            version.id for label, number in pairs if (version := known.get((label, number)))
        )
        for version_id, pairs in needs.items()
    }
    ids = {version.id for version in known.values()}
    rows = [Membership(*row) for row in memberships]
    return Known(
        project_id=project_id,
        generation=generation,
        last_release=last_release,
        now=now[0][0],
        versions=known,
        releases=tuple(KnownRelease(*row) for row in releases),
        instances=tuple(KnownInstance(*row) for row in instances),
        channels=tuple(KnownChannel(*row) for row in channels),
        memberships=tuple(row for row in rows if row.version_id in ids),
        astray=tuple(row for row in rows if row.version_id not in ids),
        requires=requirements,
        main=main,
        lanes={int(lane): count for lane, count in (lanes or {}).items()},
        trials=trials,
    )
