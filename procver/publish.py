"""Publish: bring a database to hold every version of a release, then record the release."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from procver import lanes, obstacles, survey
from procver.contract import Contract
from procver.dialects import Call, Database, DdlError, Laned
from procver.errors import DatabaseError, StalePlanError, UsageError
from procver.known import Known
from procver.objects import AFTER, LineIndex, Note
from procver.plan import Create, Plan, plan
from procver.prepared import Prepared, granted, numbers_of
from procver.project.config import FILE
from procver.project.templates import SOURCE as TEMPLATE
from procver.project.workspace import Project
from procver.registry import writing
from procver.registry.reading import read
from procver.registry.writing import NewVersion, Subject

Progress = Callable[[int, int], None]
"""Called with how many versions exist now, and how many will."""

ROUNDS = 50
"""How often a publication is planned anew because another command wrote to the registry meanwhile."""


class Published(NamedTuple):
    """What a publication did. ``plan`` is what it found to do at first; ``seconds`` is wall time."""

    plan: Plan
    contract: Contract
    seconds: float


def check_release_name(name: str) -> None:
    """Refuse a release name that could not be printed or typed again.

    Raises:
        UsageError: it is empty, longer than 200 characters, begins like an option, or holds blanks at its ends
            or control characters.
    """
    plain = name.isprintable() and name == name.strip() and not name.startswith("-")
    if not name or len(name) > 200 or not plain:
        raise UsageError(
            f"{name!r} cannot be a release name",
            hint="use 1 to 200 printable characters, such as a version or commit: 2026.11.2",
        )


def preview(
    project: Project,
    database: Database,
    release: str | None,
    *,
    locked: bool = False,
    target: str | None = None,
) -> tuple[Plan, Contract]:
    """Return what `publish` would do, changing nothing, procver.lock included.

    Args:
        project: whose sources.
        database: where to.
        release: the release's name, if it has one.
        locked: refuse a lock file that lacks versions.
        target: what procver.toml calls the database; None if it does not.

    Raises:
        UsageError: ``release`` cannot be a name.
        ConflictError: the lock is stale and ``locked`` is set, or the database holds other content under a
            number or release.
        DatabaseError: the registry cannot be read.
    """
    if release is not None:
        check_release_name(release)
        database.check_name(release)
    contract = project.draft(locked=locked)
    known = _known(database, project)
    found = plan(contract, known or _nothing(), release, project.digests)
    remarks = _refuse(database, project, found.create) + _of_trials(project, known, target)
    return found._replace(remarks=remarks), contract


def publish(
    project: Project,
    database: Database,
    release: str,
    *,
    locked: bool = False,
    progress: Progress | None = None,
    target: str | None = None,
) -> Published:
    """Publish the project's sources as ``release``. Running it again completes or confirms it.

    Args:
        project: whose sources.
        database: where to.
        release: the release's name.
        locked: refuse to complete procver.lock first.
        progress: told of every committed step.
        target: what procver.toml calls the database; None if it does not.

    Raises:
        ConflictError: stale lock, or a number, name or release is taken by other content; nothing was changed.
        SourceError: a source cannot be published.
        DatabaseError: the server refused a statement; versions created before it stay, harmless, and the next
            run goes on from there.
    """
    check_release_name(release)
    database.check_name(release)
    started = time.monotonic()
    contract = project.draft(locked=locked)
    first: Plan | None = None
    looked = False
    known = _known(database, project)
    if known is None:
        # Nothing of ours is there yet, and what would be refused later must not leave a registry behind.
        first = plan(contract, _nothing(), release, project.digests)
        # Another publication may have come before this one just now: then it is read below.
        with contextlib.suppress(StalePlanError):
            first = first._replace(remarks=_refuse(database, project, first.create))
            looked = True
        database.install()
        trials = target in project.config.trials
        database.enter(project.config.name, project.config.default_schema, trials=trials)
    for _ in range(ROUNDS):
        known = known or read(database, project.config.name)
        assert known is not None  # entered above
        found = plan(contract, known, release, project.digests)
        try:
            if first is None or not looked or known.generation:
                remarks = _refuse(database, project, found.create)
                remarks += _of_trials(project, known, target)
                first = first or found._replace(remarks=remarks)
            _execute(project, database, known, found, contract, progress)
        except StalePlanError:
            first = first or found
            known = None
            continue
        return Published(first, contract, time.monotonic() - started)
    raise DatabaseError(
        f"other commands kept writing to the registry: gave up after {ROUNDS} attempts",
        hint="run the same command again: it goes on where it stopped",
    )


def _known(database: Database, project: Project) -> Known | None:
    return read(database, project.config.name) if database.install(create=False) else None


def _of_trials(
    project: Project, known: Known | None, target: str | None
) -> tuple[tuple[str, Note], ...]:
    """Return a remark where procver.toml and the registry do not agree on whether a database is for trials."""
    line = project.config.trials.get(target or "")
    if known is None or target is None or known.trials == (line is not None):
        return ()
    name = project.config.name.replace("'", "''")
    value = "false" if known.trials else "true"
    statement = f"UPDATE procver.project SET trials = '{value}' WHERE name = '{name}'"
    if known.trials:
        message = f"the database of target {target} is marked for trials: its retired releases can be discarded"
        hint = f"write trials = true for this target too; if it is not for trials: {statement}"
    else:
        message = f"trials = true has no effect: target {target} was first published to without it"
        hint = f"take it away again; if this database is for trials indeed: {statement}"
    return ((FILE, Note("trials", line or 1, message, hint)),)


def _nothing() -> Known:
    from datetime import UTC, datetime

    return Known(0, 0, 0, datetime.now(UTC), {})


def _execute(
    project: Project,
    database: Database,
    known: Known,
    found: Plan,
    contract: Contract,
    progress: Progress | None,
) -> None:
    done = known.generation
    # Before the first version: a number that exists in a database must be in the lock, whatever happens next.
    project.keep_lock()
    if found.create:
        recorded = found.number is not None
        done += _create(
            project, database, known, found.create, found.release, progress, recorded=recorded
        )
    if found.number is not None:
        there = [
            {
                "schema": m.physical.schema,
                "leaf": m.physical.leaf,
                "physical": m.quoted,
                "routine": m.kind.is_routine,
            }
            for m in contract.members.values()
        ]
        spared = sparing(database, known, found.spared, found.release)
        unit = writing.release(known, found, contract, there, spared)
        for _ in database.run(known.project_id, done, [unit]):
            pass


def sparing(
    database: Database, known: Known, ids: Iterable[int], release: str | None = None
) -> list[Call]:
    """Return the steps that take condemned versions back, giving those in quarantine what was taken from them.

    Args:
        database: where.
        known: one read of its registry.
        ids: which versions.
        release: which release needs them; the audit trail is told of it.
    """
    versions = [known.by_id[version_id] for version_id in ids]
    closed = [version.id for version in versions if version.quarantined_at is not None]
    rows = database.read(Call("definitions", {"ids": closed}))[0] if closed else []
    steps = writing.spare(versions, {row[0]: row[2] for row in rows})
    if versions and release is not None:
        steps.append(writing.spared_for(known.project_id, versions, release))
    return steps


def create(
    project: Project,
    database: Database,
    known: Known,
    steps: Iterable[Create],
    release: str | None = None,
    progress: Progress | None = None,
) -> int:
    """Create versions, dependencies first, for a release if for one; return how many generations that took.

    Raises:
        StalePlanError: somebody else wrote to the registry; plan anew.
        DdlError: the server refused a definition; the message names file and line.
    """
    steps = tuple(steps)
    _refuse(database, project, steps)
    return _create(project, database, known, steps, release, progress)


def _create(
    project: Project,
    database: Database,
    known: Known,
    steps: tuple[Create, ...],
    release: str | None,
    progress: Progress | None,
    *,
    recorded: bool = False,
) -> int:
    """See `create`. ``recorded``: the release is recorded next, by a commit that makes all of these last too."""
    prepared = Prepared(project, database, known, steps)
    done, total = 0, len(steps)

    def tell(versions: int) -> None:
        nonlocal done
        done += versions
        if progress:
            progress(min(done, total), total)

    def explain(error: DdlError, subjects: list[Subject]) -> DdlError:
        return _explained(error, subjects, project)

    committed = 0
    if (
        recorded
        and isinstance(database, Laned)
        and (division := lanes.divide(steps))
        and (other := database.beside())
    ):
        with contextlib.closing(other):
            together = lanes.Publication((database, other), known, prepared, release, tell, explain)
            committed = together.create(division.waves)
        steps = division.rest
    subjects: list[Subject] = []
    units = writing.creation(
        known.project_id, prepared.versions(steps), subjects, release, lightly=recorded
    )
    try:
        for _ in database.run(known.project_id, known.generation + committed, units):
            committed += 1
            tell(writing.BATCH_OBJECTS)
    except DdlError as error:
        first = explain(error, subjects)
        versions = prepared.versions(steps)
        name = project.config.name
        found = survey.others(database, name, versions, error, subjects, explain)
        raise first.with_others(found) from None
    return committed


def _refuse(
    database: Database, project: Project, steps: tuple[Create, ...]
) -> tuple[tuple[str, Note], ...]:
    rules = [
        granted(project.config, s.member.label, s.kind) for s in steps if s.member and not s.known
    ]
    roles = {role for rule in rules for role, *_ in rule or () if role is not None}
    return obstacles.refuse(database, project, steps, sorted(roles))


def _explained(error: DdlError, subjects: list[Subject], project: Project) -> DdlError:
    """Turn a server's refusal of a rewritten text into one that names the source's file and line."""
    version, index = subjects[error.step.subject]
    place, line = version.source_path, _line(error, version, index, project)
    hint = "correct the source, then run the same command again"
    if line is None:
        hint = "what it refers to may be gone or changed: bring that back, then run the same command again"
    else:
        rendered = " (of the rendered text)" if place.endswith(TEMPLATE) else ""
        place += f":{line}{rendered}"
    after = " (in what follows the definition)" if version.definition[index][1] == AFTER else ""
    message = f"{place}: {version.physical}{after}: {error.message}"
    if error.detail:
        message += f" ({error.detail})"
    return DdlError(
        message, step=error.step, unit=error.unit, position=error.position,
        hint=error.hint or hint, sqlstate=error.sqlstate,
    )  # fmt: skip


def _line(error: DdlError, version: NewVersion, index: int, project: Project) -> int | None:
    """Return the line of the source that was refused; None where the text came from the registry."""
    try:
        sources = project.sources
    except UsageError:  # a restore needs no sources, so they may be in any state
        return None
    name = next((n for n, s in sources.by_name.items() if s.label == version.label), None)
    if name is None:
        return None
    source, _ = sources.text(name)
    numbers = numbers_of(project, sources.by_name[name], version.number, version.requires)
    statements = sources.statements(name, numbers)
    if index >= len(statements) or statements[index].text != version.definition[index][0]:
        return None
    return LineIndex(source).line(statements[index].locate(error.position or 0))
