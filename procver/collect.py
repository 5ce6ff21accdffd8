"""Collect: condemn versions that nothing deployed needs, and drop those condemned for long enough."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from procver.dialects import Call, Database, DdlError, Unit
from procver.errors import DatabaseError, StalePlanError
from procver.known import CONDEMNED, DROPPED, PRESENT, Known, KnownVersion
from procver.marking import Marks, Policy, drop_order, mark
from procver.project.workspace import Project
from procver.publish import ROUNDS, Progress
from procver.registry import writing
from procver.releases import drop_statements, known_of, policy_of


class Drop(NamedTuple):
    """A version that may be dropped, and why."""

    version: KnownVersion
    why: str


class Condemn(NamedTuple):
    """A version that nothing needs; ``until`` is when it may be dropped."""

    version: KnownVersion
    until: datetime


class Keep(NamedTuple):
    """A version that stays, and why.

    ``evidence`` tells a reason found in the database from a release's need; ``waits`` that it stays for this run
    only, as the server refused a drop, and remains condemned.
    """

    version: KnownVersion
    because: tuple[str, ...]
    evidence: bool = False
    waits: bool = False


class Collection(NamedTuple):
    """What collecting would do, or did: then ``dropped`` counts.

    ``unknown`` is what the server does not let us know about what depends on versions; ``strays`` are pins of
    the configuration that name no version here.
    """

    applied: bool
    drop: tuple[Drop, ...]
    condemn: tuple[Condemn, ...]
    keep: tuple[Keep, ...]
    dropped: int = 0
    unknown: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it in the shape that scripts rely on."""
        return {
            "applied": self.applied,
            "drop": [
                {"physical": d.version.physical, "kind": str(d.version.kind), "why": d.why}
                for d in self.drop
            ],
            "condemn": [
                {"physical": c.version.physical, "until": c.until.isoformat()} for c in self.condemn
            ],
            "keep": [
                {"physical": k.version.physical, "because": list(k.because)} for k in self.keep
            ],
            "dropped": self.dropped,
            "unknown": list(self.unknown),
            "strays": list(self.strays),
        }


def decide(
    known: Known,
    policy: Policy,
    evidence: dict[int, str],
    before: datetime | None = None,
    refused: dict[int, str] | None = None,
) -> Collection:
    """Return what to do with every version that exists.

    Args:
        known: one read of the registry.
        policy: how long things are kept.
        evidence: by version id, what speaks against dropping it.
        before: drop only what was condemned before this; now, if None. What one run condemns, a later one drops.
        refused: by version id, why the server refused a drop just now.
    """
    before = before or known.now
    evidence, needed = {**(refused or {}), **evidence}, evidence
    marks = mark(known, policy, evidence)
    lasting = mark(known, policy, needed).marked if refused else marks.marked
    condemned: list[Condemn] = []
    ripe: dict[int, str] = {}
    keep: list[Keep] = []
    for version in sorted(known.versions.values()):
        if version.state == DROPPED:
            continue
        if version.id in marks.marked:
            kept = _kept(version, marks, known, evidence)
            keep.append(kept._replace(waits=version.id not in lasting))
            continue
        since = version.condemned_at if version.state == CONDEMNED else None
        until = (since or known.now) + policy.grace
        if since is not None and since < before and until <= known.now:
            ripe[version.id] = f"{_history(version, known)}; condemned {_ago(known.now, since)}"
        else:
            condemned.append(Condemn(version, until))
    order = drop_order(known, ripe)
    for version_id in sorted(ripe.keys() - set(order)):
        condemned.append(Condemn(known.by_id[version_id], known.now))
    drops = tuple(Drop(known.by_id[v], ripe[v]) for v in order)
    return Collection(False, drops, tuple(condemned), tuple(keep))


def _kept(version: KnownVersion, marks: Marks, known: Known, evidence: dict[int, str]) -> Keep:
    direct = marks.direct.get(version.id)
    if direct:
        return Keep(version, tuple(str(root) for root in direct), version.id in evidence)
    return Keep(version, (" -> ".join(marks.chain(version.id, known)),))


def _history(version: KnownVersion, known: Known) -> str:
    users = known.users(known.releases).get(version.id, [])
    if not users:
        return "no release maps to it"
    names = ", ".join(release.name for release in users[-3:])
    return f"only retired releases map to it ({'..., ' if len(users) > 3 else ''}{names})"


def _ago(now: datetime, then: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


class Evidence(NamedTuple):
    """What in the database speaks against dropping versions.

    Attributes:
        against: by version id, the objects that depend on it and that procver does not manage.
        unknown: what the server did not let us know.
    """

    against: dict[int, str]
    unknown: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    def weighed(self, ids: list[int], *, keep_unknown: bool) -> dict[int, str]:
        """Return by version id what keeps it: that something depends on it, or that nobody can know."""
        found = dict(self.against)
        if self.unknown and keep_unknown:
            for version_id in ids:
                found.setdefault(
                    version_id, f"nobody can tell what depends on it: {self.unknown[0]}"
                )
        return found


def evidence_against(database: Database, ids: list[int]) -> Evidence:
    """Return what in the database speaks against dropping versions: objects that procver does not manage."""
    found: dict[int, list[str]] = {}
    unknown: list[str] = []
    if ids:
        for version_id, what in database.read(Call("dependents", {"ids": ids}))[0]:
            if version_id is None:
                unknown.append(what)
            else:
                found.setdefault(version_id, []).append(what)
    against = {
        version_id: f"{', '.join(sorted(names)[:3])} depends on it and is none of this project's versions"
        for version_id, names in found.items()
    }
    return Evidence(against, tuple(unknown))


def survey(
    project: Project,
    database: Database,
    refused: dict[int, str] | None = None,
    before: datetime | None = None,
) -> tuple[Known, Collection]:
    """Return what `collect` would do now, changing nothing.

    Args:
        project: whose versions.
        database: where.
        refused: by version id, why the server refused a drop just now.
        before: as for `decide`.

    Raises:
        UsageError: nothing was published here yet.
    """
    known = known_of(project, database)
    policy = policy_of(project)
    first = decide(known, policy, {}, before, refused)
    candidates = [d.version.id for d in first.drop] + [c.version.id for c in first.condemn]
    evidence = evidence_against(database, candidates)
    against = evidence.weighed(candidates, keep_unknown=project.config.gc.unknown == "keep")
    if against:
        first = decide(known, policy, against, before, refused)
    physical = {version.physical for version in known.by_id.values()}
    strays = tuple(pin for pin in policy.pins if pin not in physical)
    return known, first._replace(unknown=evidence.unknown, strays=strays)


def collect(project: Project, database: Database, progress: Progress | None = None) -> Collection:
    """Condemn and drop. Every drop is decided anew if anything was written to the registry in between.

    Raises:
        UsageError: nothing was published here yet.
        DatabaseError: the server failed; what was dropped is dropped, the next run goes on.
    """
    dropped: list[Drop] = []
    refused: dict[int, str] = {}
    started: datetime | None = None
    for _ in range(ROUNDS):
        known, found = survey(project, database, refused, started)
        started = started or known.now
        try:
            generation = _condemn(database, known, found)
            if _drop(database, known, generation, found, dropped, refused, progress):
                continue
        except StalePlanError:
            continue
        return found._replace(applied=True, drop=tuple(dropped), dropped=len(dropped))
    raise DatabaseError(
        f"other commands kept writing to the registry: gave up after {ROUNDS} attempts",
        hint="run the same command again: it goes on where it stopped",
    )


def _condemn(database: Database, known: Known, found: Collection) -> int:
    ids = [c.version.id for c in found.condemn if c.version.state == PRESENT]
    spared = [k.version.id for k in found.keep if k.version.state == CONDEMNED and not k.waits]
    units = [writing.condemn(known.project_id, ids)] if ids else []
    if spared:
        units.append(Unit((writing.spare(spared),)))
    for _ in database.run(known.project_id, known.generation, units):
        pass
    return known.generation + len(units)


def _drop(
    database: Database,
    known: Known,
    generation: int,
    found: Collection,
    dropped: list[Drop],
    refused: dict[int, str],
    progress: Progress | None,
) -> bool:
    """Drop what is ripe; return True if the server refused one, so that all has to be decided anew."""
    statements = drop_statements(database, [d.version.id for d in found.drop])
    units = [
        writing.drop(known.project_id, d.version, statements.get(d.version.id, ()), d.why)
        for d in found.drop
    ]
    try:
        for index in database.run(known.project_id, generation, units):
            dropped.append(found.drop[index])
            if progress:
                progress(len(dropped), len(dropped) + len(units) - index - 1)
    except DdlError as error:
        refused[error.step.subject] = f"the server refused to drop it: {error.message}"
        return True
    return False
