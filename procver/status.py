"""Status: one project in one database at a glance, for people and for monitoring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from procver.dialects import Call, Database
from procver.known import Known, KnownChannel, KnownInstance, KnownRelease
from procver.marking import release_roots
from procver.project.workspace import Project
from procver.releases import policy_of, unpublished

STATES = ("published", "live", "retired")


class Idle(NamedTuple):
    """A version that nothing needs, since the last release that needed it was retired, or since it was created."""

    physical: str
    since: datetime
    seconds: float


class Instances(NamedTuple):
    """How many instances of the app a release has: seen lately, and not seen for longer than ``[gc] idle``."""

    release: str
    living: int
    stale: int


class LastRun(NamedTuple):
    """The last ``gc --apply``: what it dropped, and what it left condemned and kept."""

    at: datetime
    actor: str
    client: str | None
    dropped: int
    condemned: int
    kept: int


class Status(NamedTuple):
    """What there is of a project in a database.

    Attributes:
        project: its name.
        at: when it was looked at, by the server's clock.
        versions: how many, by state: ``present``, ``condemned``, ``dropped``.
        releases: how many, by state: ``published``, ``live``, ``retired``.
        live: the names of the live ones.
        instances: of each release that has any.
        unneeded: how many versions are there that nothing needs: no release that gc keeps, no pin.
        oldest: the one of them that has been so for longest; None if there is none.
        gc: the last ``gc --apply``; None if there was none.
    """

    project: str
    at: datetime
    versions: dict[str, int]
    releases: dict[str, int]
    live: tuple[str, ...]
    instances: tuple[Instances, ...]
    unneeded: int
    oldest: Idle | None
    gc: LastRun | None

    def as_json(self) -> dict[str, Any]:
        """Return it in the shape that scripts rely on."""
        oldest = self.oldest and self.oldest._asdict() | {"since": self.oldest.since.isoformat()}
        last = self.gc and self.gc._asdict() | {"at": self.gc.at.isoformat()}
        return {
            "project": self.project,
            "at": self.at.isoformat(),
            "versions": self.versions,
            "releases": self.releases,
            "live": list(self.live),
            "instances": [i._asdict() for i in self.instances],
            "unreferenced": {"count": self.unneeded, "oldest": oldest},
            "gc": last,
        }


def status(project: Project, database: Database) -> Status:
    """Return what there is of the project in a database.

    It takes two reads, and the server counts the versions: the cost grows with releases and instances only.

    Raises:
        UsageError: nothing was published here yet.
        DatabaseError: the registry cannot be read.
    """
    if not database.install(create=False):
        raise unpublished(project)
    name = project.config.name
    about = {"project": name}
    projects, releases, instances, channels, now, last = database.read(
        Call("project", about),
        Call("releases", about),
        Call("instances", about),
        Call("channels", about),
        Call("now", about),
        Call("last_collection", about),
    )
    if not projects:
        raise unpublished(project)
    known = Known(
        project_id=projects[0][0],
        generation=projects[0][3],
        last_release=projects[0][4],
        now=now[0][0],
        versions={},
        releases=tuple(KnownRelease(*row) for row in releases),
        instances=tuple(KnownInstance(*row) for row in instances),
        channels=tuple(KnownChannel(*row) for row in channels),
    )
    policy = policy_of(project)
    roots = release_roots(known, policy)
    tally = {
        "project_id": known.project_id,
        "roots": [release.number for release in known.releases if release.name in roots],
        "pins": policy.pins,
    }
    present, condemned, dropped, unneeded, physical, since = database.read(Call("tally", tally))[0][
        0
    ]
    states = {release.name: known.state(release, policy.idle) for release in known.releases}
    counted = Counter(states.values())
    return Status(
        project=name,
        at=known.now,
        versions={"present": present, "condemned": condemned, "dropped": dropped},
        releases={state: counted[state] for state in STATES},
        live=tuple(release for release, state in states.items() if state == "live"),
        instances=tuple(_instances(known, project)),
        unneeded=unneeded,
        oldest=Idle(physical, since, max(0.0, (known.now - since).total_seconds()))
        if since
        else None,
        gc=LastRun(*last[0]) if last else None,
    )


def _instances(known: Known, project: Project) -> Iterator[Instances]:
    idle = project.config.gc.idle
    on = Counter(instance.release_id for instance in known.instances)
    for release in known.releases:
        if on[release.id]:
            living = len(known.living(release, idle))
            yield Instances(release.name, living, on[release.id] - living)
