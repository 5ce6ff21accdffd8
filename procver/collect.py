"""Collect: condemn versions that nothing deployed needs, and drop those condemned for long enough."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from procver.creation import Progress
from procver.decision import Collection, Drop, Retire, decide
from procver.dialects import Call, Database, DdlError
from procver.errors import DatabaseError, StalePlanError
from procver.evidence import evidence_against, left_alone, sample, strangers
from procver.known import CONDEMNED, PRESENT, Known
from procver.marking import damage
from procver.project.workspace import Project
from procver.publish import ROUNDS, sparing
from procver.registry import writing
from procver.registry.writing import Goner
from procver.releases import drop_statements, known_of, policy_of

SLICE = 160
"""Drops sent at once; the limits are looked at in between."""

TOGETHER = 32
"""Drops in one transaction. If one of them is refused, or meets a lock, each gets a transaction of its own."""

TRIES = 2
"""How often a drop that meets a lock is tried before it is left to the next run."""


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
    candidates = [d.version for d in first.drop]
    candidates += [q.version for q in first.quarantine] + [c.version for c in first.condemn]
    evidence = evidence_against(database, project.config.name, candidates, known.now)
    others = strangers(database, project.config.name, candidates)
    damaged = damage(known, policy)
    if damaged and candidates:
        refused = {**(refused or {}), **{version.id: damaged[0] for version in candidates}}
        first = decide(known, policy, {}, before, refused)
    against = evidence.weighed(
        [version.id for version in candidates],
        keep_unknown=project.config.gc.unknown == "keep",
    )
    if against:
        first = decide(known, policy, against, before, refused)
    pinned = policy.pinned(version.physical for version in known.by_id.values())
    strays = tuple(pin for pin in policy.pins if pin not in pinned.values())
    found = first._replace(
        drop=tuple(drop._replace(evidence=evidence.absent) for drop in first.drop),
        unknown=evidence.unknown,
        remarks=(
            *evidence.remarks,
            *damaged,
            *(r for v in candidates for r in left_alone(v, others.get(v.id, ()))),
        ),
        strays=strays,
    )
    return known, found


class Limits(NamedTuple):
    """How much one run may drop; None: no limit. ``seconds`` is when it stops to begin new drops."""

    versions: int | None = None
    seconds: float | None = None


UNLIMITED = Limits()


def collect(
    project: Project,
    database: Database,
    progress: Progress | None = None,
    limits: Limits = UNLIMITED,
    *,
    retire_idle: bool = False,
) -> Collection:
    """Condemn and drop. All is decided anew if anything was written to the registry in between.

    Args:
        project: whose versions.
        database: where.
        progress: told of every drop.
        limits: where to stop; the next run goes on from there.
        retire_idle: retire live releases that fell silent first.

    Raises:
        UsageError: nothing was published here yet.
        DatabaseError: the server failed; what was dropped is dropped, the next run goes on.
    """
    sweep = _Sweep(database, progress, limits)
    started: datetime | None = None
    idle = 0
    retired: tuple[Retire, ...] = ()
    if database.install(create=False):
        sample(database, project.config.name)
    while idle < ROUNDS:
        known, found = survey(project, database, sweep.refused, started)
        started = started or known.now
        before = sweep.progress
        try:
            if retire_idle and found.retire:
                _retire(database, known, found)
                retired += found.retire
                continue
            generation = _condemn(database, known, found)
            sweep.drop(known, generation, found)
        except StalePlanError:
            idle = 0 if sweep.progress > before else idle + 1
            continue
        if len(sweep.refused) > before[1]:
            _, found = survey(project, database, sweep.refused, started)
            sweep.remaining = len(found.drop)
        done = found._replace(
            applied=True,
            retire=retired if retire_idle else found.retire,
            retired=retire_idle,
            drop=tuple(sweep.dropped),
            dropped=len(sweep.dropped),
            remaining=sweep.remaining,
        )
        counts = {"dropped": done.dropped, "condemned": len(done.condemn), "kept": len(done.keep)}
        age = min(found.policy.idle.total_seconds(), writing.LONGEST)
        database.note(Call("forget_instances", {"project_id": known.project_id, "idle": age}))
        database.note(Call("note_collection", {"project_id": known.project_id} | counts))
        return done
    raise DatabaseError(
        f"other commands kept writing to the registry: gave up after {ROUNDS} attempts",
        hint="run the same command again: it goes on where it stopped",
    )


def _retire(database: Database, known: Known, found: Collection) -> None:
    idle = found.policy.idle
    units = [writing.retire_silent(known, r.release, r.why, idle) for r in found.retire]
    for _ in database.run(known.project_id, known.generation, units):
        pass


def _condemn(database: Database, known: Known, found: Collection) -> int:
    """Write what is decided on versions that stay for now; return the generation after that."""
    condemned = [c.version for c in found.condemn if c.version.state == PRESENT]
    closed = [q.version for q in found.quarantine if q.version.quarantined_at is None]
    spared = [k for k in found.keep if k.version.state == CONDEMNED and not k.waits]
    units = []
    if condemned:
        units.append(writing.condemn(known.project_id, condemned))
    if closed:
        units.append(writing.quarantine(known.project_id, closed))
    if spared:
        steps = sparing(known, [keep.version.id for keep in spared])
        because = {keep.version.physical: list(keep.because) for keep in spared}
        units.append(writing.spared(known.project_id, steps, because))
    for _ in database.run(known.project_id, known.generation, units):
        pass
    return known.generation + len(units)


class _Sweep:
    """The drops of one run, over all times that it was decided anew.

    Attributes:
        dropped: what was dropped.
        refused: by version id, why the server refused to drop it.
        remaining: what the limits left.
    """

    def __init__(self, database: Database, progress: Progress | None, limits: Limits) -> None:
        self.dropped: list[Drop] = []
        self.refused: dict[int, str] = {}
        self.remaining = 0
        self._database = database
        self._progress = progress
        self._most = limits.versions
        self._end = None if limits.seconds is None else time.monotonic() + limits.seconds

    @property
    def progress(self) -> tuple[int, int]:
        """How far it is: never less than before."""
        return len(self.dropped), len(self.refused)

    def drop(self, known: Known, generation: int, found: Collection) -> None:
        """Drop what is ripe, in short transactions, in this order, if no instance speaks up meanwhile.

        What the server refuses is remembered, and stays with all that it needs.

        Raises:
            StalePlanError: somebody else wrote to the registry.
        """
        todo = list(found.drop)
        statements = drop_statements(self._database, [drop.version.id for drop in todo])
        single: set[int] = set()
        while todo:
            some = todo[: self._room()]
            if not some:
                break
            groups = list(_together(some, single))
            units = [writing.keep_privileges([drop.version for drop in some])]
            for group in groups:
                unit = writing.drop(
                    [
                        Goner(d.version, statements.get(d.version.id, ()), d.why, d.evidence)
                        for d in group
                    ]
                )
                units.append(writing.silent(unit, known, found.policy.idle))
            committed = gone = 0
            waits: set[int] = set()
            try:
                for index in self._database.run(known.project_id, generation, units, tries=TRIES):
                    committed = index + 1
                    if index:
                        self.dropped += groups[index - 1]
                        gone += len(groups[index - 1])
                    if self._progress:
                        self._progress(len(self.dropped), len(self.dropped) + len(todo) - gone)
            except DatabaseError as error:
                if not committed or isinstance(error, StalePlanError):
                    raise
                group = groups[committed - 1]
                if len(group) > 1:
                    single.update(drop.version.id for drop in group)
                elif isinstance(error, DdlError):
                    refused = error.step.subject
                    self.refused[refused] = f"the server refused to drop it: {error.message}"
                    waits = set(known.closure([refused]))
                else:
                    raise
            todo = [drop for drop in todo[gone:] if drop.version.id not in waits]
            generation += committed
        self.remaining = len(todo)

    def _room(self) -> int:
        if self._end is not None and time.monotonic() >= self._end:
            return 0
        return SLICE if self._most is None else min(SLICE, self._most - len(self.dropped))


def _together(drops: Sequence[Drop], single: Container[int]) -> Iterator[tuple[Drop, ...]]:
    """Yield drops in groups for one transaction each; those whose ids are in ``single`` alone."""
    group: list[Drop] = []
    for drop in drops:
        alone = drop.version.id in single
        if group and (alone or len(group) == TOGETHER):
            yield tuple(group)
            group = []
        if alone:
            yield (drop,)
        else:
            group.append(drop)
    if group:
        yield tuple(group)
