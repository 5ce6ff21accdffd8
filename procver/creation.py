"""Creation of versions: everything valid is kept, and every rejected definition is reported."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from procver import lanes, obstacles, owners
from procver.dialects import Database, DdlError, Laned
from procver.errors import StalePlanError, UsageError
from procver.known import Known, KnownVersion
from procver.objects import AFTER, LineIndex, Note
from procver.plan import Create
from procver.prepared import Prepared, granted, numbers_of
from procver.project.templates import SOURCE as TEMPLATE
from procver.project.workspace import Project
from procver.registry import writing
from procver.registry.reading import read
from procver.registry.writing import NewVersion, Subject

Progress = Callable[[int, int], None]
"""Called with how many versions exist now, and how many will."""

SMALLEST = 16
"""Versions per attempt at least, where one definition after the other is rejected."""

_Key = tuple[str, int]


def create(
    project: Project,
    database: Database,
    known: Known,
    steps: Iterable[Create],
    release: str | None = None,
    progress: Progress | None = None,
) -> int:
    """Create versions, dependencies first; return how many generations of the registry that took.

    Args:
        project: whose versions.
        database: where.
        known: the registry as the steps were planned from.
        steps: the versions.
        release: the release they are for, if any.
        progress: called after every commit.

    Raises:
        ConflictError: a name is taken.
        StalePlanError: another command wrote to the registry; plan anew.
        DdlError: the server rejected definitions. Everything that does not need them exists now.
    """
    steps = tuple(steps)
    check_obstacles(database, project, steps)
    return create_checked(project, database, known, steps, release, progress)


def create_checked(
    project: Project,
    database: Database,
    known: Known,
    steps: tuple[Create, ...],
    release: str | None,
    progress: Progress | None,
    *,
    recorded: bool = False,
) -> int:
    """Create versions whose obstacles were looked for already: see `create`.

    ``recorded`` means that the release is recorded next, by a commit that makes all of these durable.
    """
    work = _Creation(project, database, known, steps, release, progress, recorded=recorded)
    queue = work.in_lanes() if recorded else None
    return work.run(queue or _Queue(steps, known))


def check_obstacles(
    database: Database, project: Project, steps: tuple[Create, ...]
) -> tuple[tuple[str, Note], ...]:
    """Refuse what cannot be created here; return what a person has to do: see `obstacles.refuse`."""
    rules = [
        granted(project.config, s.member.label, s.kind) for s in steps if s.member and not s.known
    ]
    roles = {role for rule in rules for role, *_ in rule or () if role is not None}
    return obstacles.refuse(database, project, steps, sorted(roles), owners.wanted(project, steps))


class _Creation:
    """One run of `create_checked`. ``committed`` counts the generations that it took."""

    def __init__(
        self,
        project: Project,
        database: Database,
        known: Known,
        steps: tuple[Create, ...],
        release: str | None,
        progress: Progress | None,
        *,
        recorded: bool,
    ) -> None:
        self.committed = 0
        self._project, self._database, self._known = project, database, known
        self._steps, self._release, self._progress = steps, release, progress
        self._recorded = recorded
        self._prepared = Prepared(project, database, known, steps)
        self._sent = 0
        self._rejected: dict[_Key, DdlError] = {}

    def in_lanes(self) -> _Queue | None:
        """Create over two connections what is worth it; return the rest, None if nothing was."""
        if not isinstance(self._database, Laned):
            return None
        division = lanes.divide(self._steps)
        other = self._database.beside() if division else None
        if division is None or other is None:
            return None
        with contextlib.closing(other):
            together = lanes.Publication(
                (self._database, other), self._known, self._prepared, self._release,
                self._tell, self._reject,
            )  # fmt: skip
            try:
                together.create(division.waves)
            except DdlError as error:
                if error.general:
                    raise
            self.committed = together.committed
        return self._left() if self._rejected else _Queue(division.rest, self._known)

    def _left(self) -> _Queue:
        """Return the steps that the lanes left behind when a definition was rejected."""
        now = read(self._database, self._project.config.name)
        if now is None or now.generation != self._known.generation + self.committed:
            raise StalePlanError("the registry was changed by another procver command")
        there = {key for key, version in now.versions.items() if version.usable}
        queue = _Queue([s for s in self._steps if _key(s) not in there], self._known)
        for key in self._rejected:
            queue.reject(key)
        return queue

    def run(self, queue: _Queue) -> int:
        """Create what is queued, over one connection; return all generations taken.

        A rejected definition rolls its transaction back. What comes before it in that transaction
        is sound, and is sent again by itself; the rest follows, without what needs the rejected
        one. So every definition is sent a bounded number of times.
        """
        size = len(self._steps)
        again: list[Create] = []
        while steps := again or queue.take(size):
            subjects: list[Subject] = []
            units = writing.creation(
                self._known.project_id, self._prepared.versions(steps), subjects, self._release,
                lightly=self._recorded,
            )  # fmt: skip
            before, generation = self.committed, self._known.generation + self.committed
            try:
                for _ in self._database.run(self._known.project_id, generation, units):
                    self.committed += 1
                    self._tell(writing.BATCH_OBJECTS)
            except DdlError as error:
                self._reject(error, subjects)
                bad = _subject(error, subjects)
                queue.reject(bad)
                kept = {_key(s.version) for s in subjects if s.unit < self.committed - before}
                left = [s for s in steps if _key(s) not in kept and queue.wants(s)]
                if error.general:
                    again = [] if again else queue.resume_after(bad, left)
                    queue.close()
                else:
                    again = left if again else queue.resume_after(bad, left)
                size = max(SMALLEST, min(size, writing.BATCH_OBJECTS) // 2)
            else:
                size, again = size if again else 2 * size, []
        if self._rejected:
            first, *others = self._rejected.values()
            raise first.with_others(others) from None
        return self.committed

    def _reject(self, error: DdlError, subjects: list[Subject]) -> DdlError:
        """Remember a rejection; return it as an error that names the source's file and line."""
        explained = _explained(error, subjects, self._project)
        self._rejected.setdefault(_subject(error, subjects), explained)
        return explained

    def _tell(self, versions: int) -> None:
        self._sent += versions
        if self._progress:
            self._progress(min(self._sent, len(self._steps)), len(self._steps))


class _Queue:
    """Steps still to be taken, in order, without those that need a rejected version."""

    def __init__(self, steps: Sequence[Create], known: Known) -> None:
        self._steps = steps
        self._known = known
        self._next = 0
        self._unwanted: set[_Key] = set()

    @cached_property
    def _places(self) -> dict[_Key, int]:
        return {_key(step): place for place, step in enumerate(self._steps)}

    @cached_property
    def _needed_by(self) -> dict[_Key, list[_Key]]:
        found: dict[_Key, list[_Key]] = {}
        for step in self._steps:
            for need in self._needs(step):
                found.setdefault(need, []).append(_key(step))
        return found

    def _needs(self, step: Create) -> Iterable[_Key]:
        if step.known is None:
            return step.member.requires if step.member else ()
        needs = self._known.requires.get(step.known.id, ())
        return [_key(self._known.by_id[need]) for need in needs]

    def take(self, size: int) -> list[Create]:
        """Return the next steps, about ``size``: a cycle stays whole. Empty at the end."""
        found: list[Create] = []
        while not found and self._next < len(self._steps):
            at, end = self._next, min(self._next + size, len(self._steps))
            while at < end < len(self._steps):
                end = max(
                    end, *(self._places.get(n, -1) + 1 for n in self._needs(self._steps[at])), 0
                )
                at += 1
            found = [step for step in self._steps[self._next : end] if self.wants(step)]
            self._next = end
        return found

    def wants(self, step: Create) -> bool:
        """Return whether a step needs no rejected version."""
        return _key(step) not in self._unwanted

    def reject(self, key: _Key) -> None:
        """Give up a version, and all that needs it."""
        stack = [key]
        while stack:
            key = stack.pop()
            if key not in self._unwanted:
                self._unwanted.add(key)
                stack += self._needed_by.get(key, ())

    def resume_after(self, key: _Key, steps: Iterable[Create]) -> list[Create]:
        """Take again from the step after ``key`` on; return those of ``steps`` before it."""
        place = self._places[key]
        self._next = min(self._next, place + 1)
        return [step for step in steps if self._places[_key(step)] < place]

    def close(self) -> None:
        """Give up everything that was not taken yet."""
        self._next = len(self._steps)


def _key(thing: Create | NewVersion | KnownVersion) -> _Key:
    return thing.label, thing.number


def _subject(error: DdlError, subjects: list[Subject]) -> _Key:
    return _key(subjects[error.step.subject].version)


def _explained(error: DdlError, subjects: list[Subject], project: Project) -> DdlError:
    """Turn a server's refusal of a rewritten text into one that names the source's file and line."""
    version, index, _ = subjects[error.step.subject]
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
        hint=error.hint or hint, sqlstate=error.sqlstate, busy=error.busy,
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
