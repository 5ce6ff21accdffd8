"""Publish: bring a database to hold every version of a release, then record the release."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import NamedTuple

from procver import exposure
from procver.contract import Contract
from procver.creation import Progress, check_obstacles, create_checked
from procver.dialects import Call, Database
from procver.errors import DatabaseError, StalePlanError, UsageError
from procver.known import Known
from procver.marking import MEND, damaged, refuse_damaged
from procver.namesakes import namesakes
from procver.objects import Note
from procver.plan import Plan, plan
from procver.project.config import FILE
from procver.project.workspace import Project
from procver.registry import writing
from procver.registry.reading import read

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
    remarks = (
        *namesakes(database, project, contract),
        *check_obstacles(database, project, found.create),
        *(_damaged(found, known) if known else ()),
        *_of_trials(project, known, target),
    )
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
    exposed: tuple[tuple[str, Note], ...] = ()
    others = namesakes(database, project, contract)
    known = _known(database, project)
    if known is None:
        # Nothing of ours is there yet, and what would be refused later must not leave a registry behind.
        first = plan(contract, _nothing(), release, project.digests)
        # Another publication may have come before this one just now: then it is read below.
        with contextlib.suppress(StalePlanError):
            first = first._replace(remarks=check_obstacles(database, project, first.create))
            looked = True
        database.install()
        trials = target in project.config.trials
        database.enter(project.config.name, project.config.default_schema, trials=trials)
    for _ in range(ROUNDS):
        known = known or read(database, project.config.name)
        if known is None:  # it was entered above
            raise DatabaseError(
                f"project {project.config.name} was not written to procver.project",
                hint="a trigger or rule on that table keeps it out: drop it, then run the same command again",
            )
        found = plan(contract, known, release, project.digests)
        damage = _damaged(found, known)
        try:
            if first is None or not looked or known.generation:
                remarks = check_obstacles(database, project, found.create)
                remarks = (*remarks, *damage, *_of_trials(project, known, target))
                first = first or found._replace(remarks=remarks)
            if found.create and not exposed:
                exposed = tuple(exposure.remarks(database, project))
            _execute(project, database, known, found, contract, progress)
        except StalePlanError:
            first = first or found
            known = None
            continue
        first = first._replace(remarks=(*first.remarks, *others, *exposed))
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
    statement = f"run: UPDATE procver.project SET trials = '{value}' WHERE name = '{name}'"
    if known.trials:
        message = f"the database of target {target} is marked for trials: its retired releases can be discarded"
        hint = f"write trials = true for this target too; if it is not for trials, {statement}"
    else:
        message = f"trials = true has no effect: target {target} was first published to without it"
        hint = f"take it away again; if this database is for trials indeed, {statement}"
    return ((FILE, Note("trials", line or 1, message, hint)),)


def _nothing() -> Known:
    from datetime import UTC, datetime

    return Known(0, 0, 0, datetime.now(UTC), {})


def _damaged(found: Plan, known: Known) -> tuple[tuple[str, Note], ...]:
    """Return a remark for each active release that no longer consists of what it was published with.

    Raises:
        DatabaseError: the release to be published is one.
    """
    remarks: list[tuple[str, Note]] = []
    for release in known.releases:
        if release.name == found.release and found.number is None:
            refuse_damaged(known, release)
        elif release.activated_at and not release.retired_at and not known.intact(release):
            remarks.append(
                ("procver.membership", Note("membership", 0, damaged(release.name), MEND))
            )
    return tuple(remarks)


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
        done += create_checked(
            project, database, known, found.create, found.release, progress, recorded=recorded
        )
    if found.number is not None:
        there = [
            {"name": m.label, "number": m.number, "physical": m.quoted}
            for m in contract.members.values()
        ]
        spared = sparing(known, found.spared, found.release)
        unit = writing.release(known, found, contract, there, spared)
        for _ in database.run(known.project_id, done, [unit]):
            pass


def sparing(known: Known, ids: Iterable[int], release: str | None = None) -> list[Call]:
    """Return the steps that take condemned versions back, giving those in quarantine what was taken from them.

    Args:
        known: one read of the registry.
        ids: which versions.
        release: which release needs them; the audit trail is told of it.
    """
    versions = [known.by_id[version_id] for version_id in ids]
    steps = writing.spare(versions)
    if versions and release is not None:
        steps.append(writing.spared_for(known.project_id, versions, release))
    return steps
