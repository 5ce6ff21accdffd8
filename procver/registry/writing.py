"""Writing to the registry: what each change consists of, as units that commit whole.

Nothing here talks to a database. A unit holds DDL and the registry rows that go with it, so that an object and
what the registry says of it can never part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import Any, Literal, NamedTuple

from procver.contract import Contract
from procver.dialects import Call, Ddl, Unit
from procver.fingerprint import seal
from procver.known import Known, KnownRelease, KnownVersion
from procver.objects import AFTER, SETTING, Name
from procver.plan import Plan
from procver.registry.actions import Action

BATCH_OBJECTS = 500
"""Versions created in one transaction."""

BATCH_CHARACTERS = 2_000_000
"""Text sent in one transaction, about."""

LONGEST = 2_000_000_000.0
"""Seconds that every server can take from its clock: 63 years."""

_INDEXED = re.compile(r"\bCLUSTERED\s+INDEX\b", re.IGNORECASE)


def target_of(version: KnownVersion | NewVersion) -> dict[str, Any]:
    """Return a version's physical name as the registry's functions take it.

    With the id of one that was created before, they leave alone what else carries its name.
    """
    name = version.name
    about: dict[str, Any] = {"schema": name.schema, "leaf": name.leaf, "kind": str(version.kind)}
    if isinstance(version, KnownVersion):
        about["id"] = version.id
    return about


class NewVersion(NamedTuple):
    """A version ready to be created.

    ``definition`` holds each statement with its role (`Statement.role`); ``privileges`` is what the registry's
    ``carry`` shall do for it, or None; ``awaits`` are those of ``requires`` that come after it: the rest of a cycle;
    ``partly`` says that some of its overloads exist, and only the others are created.
    """

    label: str
    kind: str
    number: int
    fingerprint: str
    shape: str
    source_digest: str
    source_path: str
    name: Name
    physical: str
    definition: tuple[tuple[str, str], ...]
    requires: tuple[tuple[str, int], ...]
    privileges: dict[str, Any] | None = None
    deferred: bool = False
    awaits: tuple[tuple[str, int], ...] = ()
    partly: bool = False

    @property
    def target(self) -> dict[str, Any]:
        """Its physical name as the registry's functions take it."""
        return target_of(self)

    @property
    def restored(self) -> bool:
        """Whether it was there before, and comes back as it was."""
        return bool(self.privileges and self.privileges.get("wholly"))

    @property
    def alone(self) -> bool:
        """Whether it has session settings."""
        return SETTING in [role for _, role in self.definition]

    @property
    def indexed(self) -> bool:
        """Whether it is an indexed view: what reads it may say NOEXPAND, which needs the index to be there."""
        if self.definition[-1][1] != AFTER:  # the last of them would be
            return False
        return any(role == AFTER and _INDEXED.search(text) for text, role in self.definition)

    def as_row(self) -> dict[str, Any]:
        """Return what the registry keeps of it."""
        return {
            **self.target,
            "name": self.label,
            "number": self.number,
            "fingerprint": self.fingerprint,
            "shape": self.shape,
            "source_digest": self.source_digest,
            "source_path": self.source_path,
            "physical": self.physical,
            "definition": self.definition,
            "seal": seal(self.fingerprint, self.definition),
            "requires": self.requires,
        }


class Subject(NamedTuple):
    """The subject of a step: a version, the index of its statement, and that of the unit."""

    version: NewVersion
    statement: int
    unit: int


class Steps:
    """The steps of a unit, made as they are taken, and remembered in case they have to be taken again."""

    def __init__(self, source: Iterator[Call | Ddl]) -> None:
        self._source = source
        self._made: list[Call | Ddl] = []

    def __iter__(self) -> Iterator[Call | Ddl]:
        yield from self._made
        for step in self._source:
            self._made.append(step)
            yield step


def creation(
    project_id: int,
    versions: Iterable[NewVersion],
    subjects: list[Subject],
    release: str | None = None,
    *,
    lightly: bool = False,
) -> Iterator[Unit]:
    """Yield the units that create ``versions`` in order; each is made while its steps are taken.

    Args:
        project_id: the project.
        versions: what to create, dependencies first.
        subjects: filled with what each `Ddl.subject` in the units means.
        release: for which release, if for one.
        lightly: another commit will follow, and make the last one of these last as well.
    """
    source = _Ahead(iter(versions))
    for unit in count():
        if source.next is None:
            return
        steps = Steps(_batch(project_id, source, subjects, unit, release, lightly))
        yield Unit(steps)
        for _ in steps:  # what the taker left
            pass


class _Ahead:
    """Versions, with a look at the next one and whether that is to be alone in its transaction."""

    def __init__(self, source: Iterator[NewVersion]) -> None:
        self._source = source
        self._look()

    def _look(self) -> None:
        self.next = next(self._source, None)
        self.alone = self.next is not None and self.next.alone

    def take(self) -> NewVersion:
        version = self.next
        assert version is not None
        self._look()
        return version


def _batch(
    project_id: int,
    source: _Ahead,
    subjects: list[Subject],
    unit: int,
    release: str | None,
    lightly: bool,
) -> Iterator[Call | Ddl]:
    batch: list[NewVersion] = []
    later: list[Ddl] = []
    unchecked: list[dict[str, Any]] = []
    checked_for: list[int] = []
    awaited: set[tuple[str, int]] = set()
    size = 0
    while True:
        alone = source.alone
        version = source.take()
        batch.append(version)
        if version.deferred and not unchecked:
            yield Call("defer_checks", {"defer": True})
        if version.deferred:
            unchecked.append(version.target)
            checked_for.append(len(subjects))
        # What follows the definition comes after the grants were carried over, so that it has the last word.
        for index, (text, role) in enumerate(version.definition):
            size += len(text)
            subjects.append(Subject(version, index, unit))
            step = Ddl(text, len(subjects) - 1, role == SETTING, missing=version.partly)
            if role == AFTER:
                later.append(step)
            else:
                yield step
        awaited.update(version.awaits)
        awaited.discard((version.label, version.number))
        # A cycle stays in one transaction: its bodies can only be checked when all of them are there.
        full = len(batch) >= BATCH_OBJECTS or size >= BATCH_CHARACTERS or version.indexed
        full = full and not awaited
        # Settings end with their transaction, so a version that has some gets one of its own.
        end = full or source.next is None or alone or source.alone
        if unchecked and (end or not (source.next and source.next.deferred)):
            yield Call("defer_checks", {"defer": False})
            yield Call("check_bodies", unchecked, tuple(checked_for))
            unchecked, checked_for = [], []
        if end:
            break
    carry = [{"target": v.target, **v.privileges} for v in batch if v.privileges is not None]
    # A restored version is as it was before its drop, whatever its source once said after the definition.
    before = [item for item in carry if not item.get("wholly")]
    if before:
        yield Call("carry", before)
    yield from later
    if len(before) < len(carry):
        yield Call("carry", [item for item in carry if item.get("wholly")])
    yield Call("add_versions", [{"project_id": project_id, **v.as_row()} for v in batch])
    yield from _told(project_id, batch, release)
    if lightly or source.next is not None:
        # The next commit makes this one last as well; and the last one waits until all are on disk.
        yield Call("commit_lightly", {})


def _told(project_id: int, batch: Sequence[NewVersion], release: str | None) -> Iterator[Call]:
    """Yield the steps that tell the audit trail which versions came to be: new ones, and those that came back."""
    restored = [v.physical for v in batch if v.restored]
    created = [v.physical for v in batch if not v.restored]
    if created:
        yield log(project_id, "create", release or "", {"versions": created})
    if restored:
        detail = {"release": release, "versions": restored}
        yield log(project_id, "restore", _line(restored), detail)


def release(
    known: Known,
    plan: Plan,
    contract: Contract,
    versions: list[dict[str, Any]],
    spared: Sequence[Call],
) -> Unit:
    """Return the unit that records a release, after a last look that all of ``versions`` are there.

    Args:
        known: the registry that ``plan`` was made from.
        plan: what it consists of.
        contract: the same as it was built.
        versions: the physical names to look for.
        spared: the steps that `spare` made for what is needed again.
    """
    about = {
        "project_id": known.project_id,
        "release": plan.release,
        "number": plan.number,
        "content": contract.content,
        "default_schema": contract.default_schema,
    }
    added = [{"name": label, "number": number} for label, number in plan.added]
    return Unit(
        (
            Call("require_present", {"project_id": known.project_id, "versions": versions}),
            *recognise(known),
            *([silence(known, timedelta.max)] if plan.replaces else []),
            Call("add_release", {**about, "added": added, "removed": plan.removed}),
            Call("insert_release", about),
            *spared,
            log(
                known.project_id,
                "publish",
                str(plan.release),
                {"created": len(plan.create), "reused": plan.reuse},
            ),
        )
    )


def recognise(known: Known) -> list[Call]:
    """Return the step that keeps under which OIDs versions were found that a dump brought here; none without such."""
    moved = [version.id for version in known.by_id.values() if version.moved]
    return [Call("recognise", {"ids": moved})] if moved else []


def spare(versions: Sequence[KnownVersion]) -> list[Call]:
    """Return the steps that take versions out of the condemned; those in quarantine get back what was taken."""
    if not versions:
        return []
    given = [
        {"target": target_of(version), "version": version.id, "wholly": True}
        for version in versions
        if version.quarantined_at is not None and version.found
    ]
    steps = [Call("spare", {"ids": [version.id for version in versions]})]
    return [*steps, Call("carry", given)] if given else steps


def spared(project_id: int, steps: Sequence[Call], because: Mapping[str, Sequence[str]]) -> Unit:
    """Return the unit that takes the steps of `spare`, and says why, by physical name."""
    line = _line(list(because))
    return Unit(
        (
            *steps,
            log(project_id, "spare", line, {"versions": list(because), "because": dict(because)}),
        )
    )


def spared_for(project_id: int, versions: Sequence[KnownVersion], release: str) -> Call:
    """Return the step that tells the audit trail for which release versions were taken out of the condemned."""
    names = [version.physical for version in versions]
    return log(project_id, "spare", _line(names), {"release": release, "versions": names})


def keep_privileges(versions: Sequence[KnownVersion]) -> Unit:
    """Return the unit that keeps what is granted on versions that are about to be dropped, and how they are signed."""
    ids = {"ids": [version.id for version in versions if version.found]}
    return Unit((Call("keep_privileges", ids), Call("keep_signatures", ids)))


class Goner(NamedTuple):
    """A version to be dropped: by which statements, why, and on what evidence."""

    version: KnownVersion
    statements: Sequence[str]
    why: str
    evidence: str = ""


def drop(goners: Sequence[Goner]) -> Unit:
    """Return the unit that drops versions, in this order, and says why; their texts and privileges stay in the registry.

    Several together have no patience: while one of them waits for a lock, others may wait for what it holds.
    """
    told = [{"id": g.version.id, "why": g.why, "evidence": g.evidence} for g in goners]
    ddl = (Ddl(statement, g.version.id) for g in goners for statement in g.statements)
    return Unit((Call("drop_versions", told), *ddl), patient=len(goners) == 1)


def condemn(project_id: int, versions: Sequence[KnownVersion]) -> Unit:
    """Return the unit that condemns versions: a later run may drop them."""
    return _each("condemn", project_id, versions, {"ids": [version.id for version in versions]})


def quarantine(project_id: int, versions: Sequence[KnownVersion]) -> Unit:
    """Return the unit that takes from everybody but their owners what they may do with condemned versions.

    The registry keeps what is granted on them now, for `spare` to give back.
    """
    closed = [
        {
            "target": target_of(v),
            "version": v.id,
            "exactly": [],
            "wholly": True,
            "closed": True,
        }
        for v in versions
        if v.found
    ]
    unit = _each("quarantine", project_id, versions, {"ids": [v.id for v in versions]})
    return Unit((*unit.steps, *([Call("carry", closed)] if closed else [])))


def _each(
    action: Literal["condemn", "quarantine"],
    project_id: int,
    versions: Sequence[KnownVersion],
    argument: dict[str, Any],
) -> Unit:
    names = [version.physical for version in versions]
    return Unit(
        (Call(action, argument), log(project_id, action, _line(names), {"versions": names}))
    )


def _line(names: Sequence[str]) -> str:
    """Return what fits into one line of the audit trail; the detail holds the rest."""
    return names[0] if len(names) == 1 else f"{len(names)} versions"


def discard(
    known: Known,
    gone: KnownRelease | None,
    drops: Sequence[tuple[KnownVersion, Sequence[str]]],
    idle: timedelta,
) -> Unit:
    """Return the one unit that forgets a release, if any, and all versions that only it used."""
    steps: list[Call | Ddl] = []
    for version, statements in drops:
        steps += (Ddl(statement, version.id) for statement in statements)
    freed = [version.physical for version, _ in drops]
    about = {"release_id": gone.id, "trial": known.trials} if gone else {}
    return Unit(
        (
            *steps,
            silence(known, idle),
            *([Call("discard_release", about)] if gone else []),
            Call("forget_versions", {"ids": [version.id for version, _ in drops]}),
            log(known.project_id, "discard", gone.name if gone else "", {"versions": freed}),
        )
    )


def retire_silent(known: Known, release: KnownRelease, why: str, idle: timedelta) -> Unit:
    """Return the unit that retires a release from which nothing is heard any more, if that is so still."""
    about = {"project_id": known.project_id, "release_id": release.id}
    said = log(known.project_id, "retire", release.name, {"why": why})
    # Locks come in the order of a goodbye: first the instances, then the release.
    return Unit((silence(known, idle), Call("retire", about), said))


def silent(unit: Unit, known: Known, idle: timedelta) -> Unit:
    """Return a unit whose last step refuses it if an instance was heard from on a release that was taken for dead.

    A heartbeat does not count the generation up, so what is decided on silence has to listen once more.
    """
    return unit._replace(steps=(*unit.steps, silence(known, idle)))


def silence(known: Known, idle: timedelta) -> Call:
    """Return the step that refuses a unit if other releases are heard from than when ``known`` was read."""
    heard = sorted({i.release_id for i in known.instances if known.heard(i, idle)})
    seconds = min(idle.total_seconds(), LONGEST)
    return Call(
        "require_silence", {"project_id": known.project_id, "idle": seconds, "heard": heard}
    )


def log(project_id: int, action: Action, subject: str, detail: Any = None) -> Call:
    """Return the step that adds one line to the audit trail."""
    return Call(
        "log", {"project_id": project_id, "action": action, "subject": subject, "detail": detail}
    )
