"""Versions of a plan made ready to be created: texts, privileges, what each one needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import Any

from procver.dialects import Call, Database, Row
from procver.errors import ConflictError, DatabaseError, StalePlanError
from procver.fingerprint import seal
from procver.known import Known, KnownVersion
from procver.objects import Name
from procver.plan import Create
from procver.project.config import Config
from procver.project.sources import Source
from procver.project.workspace import Project
from procver.registry.writing import NewVersion, target_of

_logger = logging.getLogger(__name__)


class Prepared:
    """The versions of a plan's steps, made ready one by one while earlier ones are being created."""

    def __init__(
        self, project: Project, database: Database, known: Known, steps: tuple[Create, ...]
    ) -> None:
        stored = [s.known.id for s in steps if s.known is not None]
        stored += [s.previous.id for s in steps if s.previous and not speaks(s.previous)]
        first = [s.member for s in steps if s.member and not s.known and not s.previous]
        names = [{**_target(m.name), "kind": str(m.kind)} for m in first]
        definitions, namesakes, parts = database.read(
            Call("definitions", {"ids": stored}),
            Call("unmanaged_namesakes", {"names": names}),
            Call("parts", {"ids": [s.known.id for s in steps if s.known is not None]}),
        )
        self._partly = {row[0] for row in parts}
        self._definitions = {row[0]: row for row in definitions}
        if not self._definitions.keys() >= set(stored):
            raise StalePlanError("a version was discarded by another procver command")
        self._namesakes = {(row[0], row[1]) for row in namesakes}
        self._project, self._known = project, known
        self._alone = Lock()

    def versions(self, steps: Sequence[Create]) -> Iterator[NewVersion]:
        """Yield the versions of some of the steps, in the order of these."""
        to_come = {(step.label, step.number) for step in steps}
        for step in steps:
            to_come.discard((step.label, step.number))
            with self._alone:  # what was read of the sources is shared by all lanes
                version = self._version(step)
            awaited = [need for need in version.requires if need in to_come]
            yield version._replace(awaits=tuple(awaited)) if awaited else version

    def _version(self, step: Create) -> NewVersion:
        if step.known is not None:
            row = self._definitions[step.known.id]
            again = _again(step, row[1], row[9], row[10], _kept(row), self._known)
            return again._replace(partly=step.known.id in self._partly)
        return _fresh(step, self._project, self._privileges(step))

    def _privileges(self, step: Create) -> dict[str, Any] | None:
        """Say where a new version's owner, grants and comments come from."""
        member, previous = step.member, step.previous
        assert member is not None  # a step without one is restored
        found: dict[str, Any] = {}
        if previous is not None and same_sort(previous.kind, member.kind):
            if speaks(previous):
                found["like"] = target_of(previous)
            else:
                _kept(self._definitions[previous.id])
                found["version"] = previous.id
        elif previous is None and (member.name.schema, member.name.leaf) in self._namesakes:
            found["like"] = {**_target(member.name), "kind": str(member.kind)}
        rule = granted(self._project.config, member.label, str(member.kind))
        if rule is not None:
            found["exactly"] = rule
        return found or None


def speaks(version: KnownVersion) -> bool:
    """Return whether the catalog still tells who may use a version: one in quarantine says nobody."""
    return version.usable and version.quarantined_at is None


def _kept(row: Row) -> Any:
    """Return what the registry keeps of a version's privileges.

    Raises:
        DatabaseError: that is not what procver read from the catalog.
    """
    if not row[11]:
        raise DatabaseError(
            f"the registry's privileges of {row[6]} are not those that procver read from the catalog",
            hint="somebody changed procver.version by hand: bring that row back from a backup of the database",
        )
    return row[2]


def _target(name: Name) -> dict[str, str]:
    return {"schema": name.schema, "leaf": name.leaf}


def _again(
    step: Create, definition: Any, path: str, sealed: str, privileges: Any, known: Known
) -> NewVersion:
    version = step.known
    assert version is not None
    try:
        sound = sealed == seal(version.fingerprint, definition)
    except (AttributeError, TypeError):  # it is not even a list of texts
        sound = False
    if not sound:
        raise ConflictError(
            f"the registry's text of {version.physical} is not what was published",
            hint="somebody changed procver.version by hand: bring that row back from a backup of the database",
        )
    for part in privileges or ():
        for how in part.get("signed", ()):
            _logger.warning(
                "%s was signed when it was dropped, and comes back without its signature: %s",
                version.physical, how.replace("{name}", version.physical),
            )  # fmt: skip
    needs = (known.by_id[need] for need in known.requires.get(version.id, ()))
    return NewVersion(
        version.label, version.kind, version.number, version.fingerprint, version.shape,
        version.source_digest, path, version.name, version.physical,
        tuple((text, role) for text, role in definition),
        tuple((need.label, need.number) for need in needs),
        {"version": version.id, "wholly": True} if privileges else None,
        deferred=True,
    )  # fmt: skip


def _fresh(step: Create, project: Project, privileges: dict[str, Any] | None) -> NewVersion:
    member = step.member
    assert member is not None  # a step without one is restored from the registry
    source = project.sources.by_name[member.name]
    numbers = numbers_of(project, source, member.number, member.requires)
    statements = project.sources.statements(member.name, numbers)
    return NewVersion(
        member.label, member.kind, member.number, member.fingerprint, member.shape,
        source.digest, source.path, member.physical, member.quoted,
        tuple([(statement.text, statement.role) for statement in statements]),
        member.requires, privileges, deferred=member.deferred,
    )  # fmt: skip


def same_sort(one: Any, other: Any) -> bool:
    """Return whether two kinds have the same privileges."""
    return bool(one.is_routine == other.is_routine and one.is_relation == other.is_relation)


def granted(config: Config, label: str, kind: str) -> list[list[Any]] | None:
    """Return what ``[grants]`` says of an object, as [[grantee, privilege, grantable], ...]; None if nothing."""
    found: list[list[Any]] | None = None
    for rule in config.grants:
        if config.matches(rule, label):
            found = found or []
            for privilege, roles in rule.privileges.items():
                if config.grantable(privilege, kind):
                    found += [
                        [None if role in ("public", "PUBLIC") else role, privilege.upper(), False]
                        for role in roles
                    ]
    return found


def numbers_of(
    project: Project, source: Source, number: int, requires: Iterable[tuple[str, int]]
) -> dict[Name, int]:
    """Return which version a source and each of its references is, given what the version requires."""
    pins, references = dict(source.analysis.pins), set(source.analysis.references)
    numbers = {source.name: number}
    for label, required in requires:
        name = project.names.get(label) or project.name(label)
        # Of a version that is mentioned by its number, another one may be required as well.
        if name in references and pins.get(name, required) == required:
            numbers.setdefault(name, required)
    return numbers
