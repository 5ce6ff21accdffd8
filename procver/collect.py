"""Collect: condemn versions that nothing deployed needs, and drop those condemned for long enough."""

from __future__ import annotations

from datetime import datetime

from procver.decision import Collection, Drop, decide
from procver.dialects import Database, DdlError, Unit
from procver.errors import DatabaseError, StalePlanError
from procver.evidence import evidence_against
from procver.known import CONDEMNED, PRESENT, Known
from procver.project.workspace import Project
from procver.publish import ROUNDS, Progress
from procver.registry import writing
from procver.releases import drop_statements, known_of, policy_of


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
