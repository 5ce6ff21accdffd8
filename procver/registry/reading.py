"""Reading the registry: rows in, `Known` out, in one round trip."""

from __future__ import annotations

from procver.dialects import Call, Database
from procver.known import Known, KnownInstance, KnownRelease, KnownVersion, Membership
from procver.objects import Kind, Name


def read(database: Database, project: str) -> Known | None:
    """Return all that the registry knows of a project, in one snapshot; None if it does not know it.

    Raises:
        DatabaseError: the registry cannot be read.
    """
    about = {"project": project}
    projects, versions, needs, releases, instances, memberships, now = database.read(
        Call("project", about),
        Call("versions", about),
        Call("dependencies", about),
        Call("releases", about),
        Call("instances", about),
        Call("memberships", about),
        Call("now", about),
    )
    if not projects:
        return None
    project_id, _, _, generation, last_release = projects[0]
    requires: dict[int, list[int]] = {}
    for version_id, needed in needs:
        requires.setdefault(version_id, []).append(needed)
    known = (
        KnownVersion(r[0], r[1], r[2], Kind(r[3]), r[4], r[5], r[6], Name(r[7], r[8]), *r[9:])
        for r in versions
    )
    return Known(
        project_id=project_id,
        generation=generation,
        last_release=last_release,
        now=now[0][0],
        versions={(v.label, v.number): v for v in known},
        releases=tuple(KnownRelease(*row) for row in releases),
        instances=tuple(KnownInstance(*row) for row in instances),
        memberships=tuple(Membership(*row) for row in memberships),
        requires={version_id: tuple(needed) for version_id, needed in requires.items()},
    )
