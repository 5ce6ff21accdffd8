"""Writing to the registry: what each change consists of, as units that commit whole.

Nothing here talks to a database. A unit holds DDL and the registry rows that go with it, so that an object and
what the registry says of it can never part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from procver.dialects import Call, Ddl, Unit
from procver.known import Known, KnownRelease, KnownVersion
from procver.objects import AFTER, SETTING, Name
from procver.plan import Plan

BATCH_OBJECTS = 250
"""Versions created in one transaction."""

BATCH_CHARACTERS = 1_000_000
"""Text sent in one transaction, about."""


class NewVersion(NamedTuple):
    """A version ready to be created.

    ``definition`` holds each statement with its role (`Statement.role`); ``privileges`` is what the registry's
    ``carry`` shall do for it, or None.
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

    @property
    def target(self) -> dict[str, str]:
        """Its physical name as the registry's functions take it."""
        return {"schema": self.name.schema, "leaf": self.name.leaf, "kind": str(self.kind)}


class Subject(NamedTuple):
    """What a `Ddl` step was for: a version, and which of its statements."""

    version: NewVersion
    statement: int


def creation(
    project_id: int, versions: Iterable[NewVersion], subjects: list[Subject]
) -> Iterator[Unit]:
    """Yield the units that create ``versions`` in order, as they are taken.

    Args:
        project_id: the project.
        versions: what to create, dependencies first.
        subjects: filled with what each `Ddl.subject` in the units means.
    """
    batch: list[NewVersion] = []
    size = 0
    for version in versions:
        length = sum(len(text) for text, _ in version.definition)
        # Settings end with their transaction, so a version that has some gets one of its own.
        alone = any(role == SETTING for _, role in version.definition)
        full = len(batch) >= BATCH_OBJECTS or size + length > BATCH_CHARACTERS
        if batch and (alone or full):
            yield _batch(project_id, batch, subjects)
            batch, size = [], 0
        batch.append(version)
        size += length
        if alone:
            yield _batch(project_id, batch, subjects)
            batch, size = [], 0
    if batch:
        yield _batch(project_id, batch, subjects)


def _batch(project_id: int, batch: Sequence[NewVersion], subjects: list[Subject]) -> Unit:
    first: list[Call | Ddl] = []
    later: list[Call | Ddl] = []
    unchecked: list[dict[str, str]] = []
    for version, following in zip(batch, (*batch[1:], None), strict=True):
        if version.deferred and not unchecked:
            first.append(Call("defer_checks", {"defer": True}))
        if version.deferred:
            unchecked.append(version.target)
        # What follows the definition comes after the grants were carried over, so that it has the last word.
        for index, (text, role) in enumerate(version.definition):
            subjects.append(Subject(version, index))
            (later if role == AFTER else first).append(Ddl(text, len(subjects) - 1))
        if unchecked and not (following and following.deferred):
            first.append(Call("defer_checks", {"defer": False}))
            first.append(Call("check_bodies", unchecked))
            unchecked = []
    carry = [
        {"target": version.target, **version.privileges}
        for version in batch
        if version.privileges is not None
    ]
    middle = [Call("carry", carry)] if carry else []
    rows = [
        {
            "name": v.label,
            "kind": str(v.kind),
            "number": v.number,
            "fingerprint": v.fingerprint,
            "shape": v.shape,
            "source_digest": v.source_digest,
            "source_path": v.source_path,
            "schema": v.name.schema,
            "leaf": v.name.leaf,
            "physical": v.physical,
            "definition": v.definition,
        }
        for v in batch
    ]
    edges = [
        {"name": v.label, "number": v.number, "requires": label, "requires_number": number}
        for v in batch
        for label, number in v.requires
    ]
    last = [Call("add_versions", {"project_id": project_id, "versions": rows})]
    if edges:
        last.append(Call("add_dependencies", {"project_id": project_id, "edges": edges}))
    return Unit((*first, *middle, *later, *last))


def release(project_id: int, plan: Plan, content: str, versions: list[dict[str, Any]]) -> Unit:
    """Return the unit that records a release, after a last look that all of ``versions`` are there."""
    about = {
        "project_id": project_id,
        "release": plan.release,
        "number": plan.number,
        "content": content,
        "added": [{"name": label, "number": number} for label, number in plan.added],
        "removed": plan.removed,
        "spared": plan.spared,
    }
    return Unit(
        (
            Call("require_present", {"versions": versions}),
            Call("add_release", about),
            Call("insert_release", about),
            log(project_id, "publish", str(plan.release), {"created": len(plan.create)}),
        )
    )


def spare(ids: Sequence[int]) -> Call:
    """Return the step that takes versions out of the condemned."""
    return Call("spare", {"ids": list(ids)})


def drop(project_id: int, version: KnownVersion, statements: Sequence[str], why: str) -> Unit:
    """Return the unit that drops one version, keeping its text and privileges for a restore."""
    about = {"project_id": project_id, "id": version.id}
    return Unit(
        (
            Call("keep_privileges", about),
            *(Ddl(statement, version.id) for statement in statements),
            Call("drop_version", about),
            log(project_id, "drop", version.physical, {"why": why}),
        )
    )


def condemn(project_id: int, ids: Sequence[int]) -> Unit:
    """Return the unit that condemns versions: a later run may drop them."""
    return Unit(
        (Call("condemn", {"ids": list(ids)}), log(project_id, "condemn", "", {"ids": list(ids)}))
    )


def discard(
    known: Known, gone: KnownRelease, drops: Sequence[tuple[KnownVersion, Sequence[str]]]
) -> Unit:
    """Return the one unit that forgets a release and all versions that only it used."""
    steps: list[Call | Ddl] = []
    for version, statements in drops:
        steps += (Ddl(statement, version.id) for statement in statements)
    freed = [version.physical for version, _ in drops]
    return Unit(
        (
            *steps,
            Call("discard_release", {"release_id": gone.id}),
            Call("forget_versions", {"ids": [version.id for version, _ in drops]}),
            log(known.project_id, "discard", gone.name, {"freed": freed}),
        )
    )


def log(project_id: int, action: str, subject: str, detail: Any = None) -> Call:
    """Return the step that adds one line to the audit trail."""
    return Call(
        "log", {"project_id": project_id, "action": action, "subject": subject, "detail": detail}
    )
