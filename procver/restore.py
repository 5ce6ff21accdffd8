"""Restore a collected version; and `why`: who keeps a version alive."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

from procver.creation import create
from procver.dialects import Database
from procver.errors import DatabaseError, StalePlanError, UsageError
from procver.evidence import evidence_against
from procver.known import Known, KnownVersion
from procver.marking import Marks, mark
from procver.plan import restoration
from procver.project.workspace import Project
from procver.publish import ROUNDS, sparing
from procver.registry import writing
from procver.releases import known_of, policy_of


class Why(NamedTuple):
    """Why a version is there.

    Attributes:
        version: which.
        kept: whether anything keeps it from being collected.
        chains: for each reason, the way from the release or evidence to the version.
    """

    version: KnownVersion
    kept: bool
    chains: tuple[tuple[str, ...], ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        version = self.version
        return {
            "physical": version.physical,
            "name": version.label,
            "version": version.number,
            "kind": str(version.kind),
            "state": version.state if version.found else "dropped",
            "kept": self.kept,
            "because": [list(chain) for chain in self.chains],
        }


def find_version(project: Project, known: Known, text: str) -> KnownVersion:
    """Return a version by its physical name, as printed by procver or spelled otherwise.

    Raises:
        UsageError: no version has this name; the nearest ones are in the hint.
    """
    by_physical = {version.physical: version for version in known.by_id.values()}
    if text in by_physical:
        return by_physical[text]
    key = project.scanner.key
    name = key(project.name(text))
    for version in known.by_id.values():
        if key(version.name) == name:
            return version
    near = difflib.get_close_matches(text, by_physical, 3, 0.6)
    raise UsageError(
        f"{text} is no version that was published here",
        hint=f"did you mean {' or '.join(near)}?"
        if near
        else "a version is named like app.find_things_3",
    )


def why(project: Project, database: Database, text: str) -> Why:
    """Return who keeps a version alive.

    Raises:
        UsageError: there is no such version.
    """
    known = known_of(project, database)
    version = find_version(project, known, text)
    policy = policy_of(project)
    marks = mark(known, policy)
    if version.usable:
        marks = mark(known, policy, _evidence(project, database, known, version, marks))
    chains: list[tuple[str, ...]] = []
    for root in marks.direct.get(version.id, ()):
        chains.append((str(root), version.physical))
    needers = [v for v in known.required_by.get(version.id, ()) if v in marks.marked]
    chains += [(*marks.chain(needer, known), version.physical) for needer in needers]
    return Why(version, bool(chains), tuple(chains))


def _evidence(
    project: Project, database: Database, known: Known, version: KnownVersion, marks: Marks
) -> dict[int, str]:
    """Return by version id what in the database keeps a version, or what needs it: as gc would find it."""
    above = {version.id}
    stack = [version.id]
    while stack:
        for needer in known.required_by.get(stack.pop(), ()):
            if needer not in above and needer not in marks.marked and known.by_id[needer].usable:
                above.add(needer)
                stack.append(needer)
    candidates = [known.by_id[version_id] for version_id in above]
    found = evidence_against(database, project.config.name, candidates, known.now)
    return found.weighed(
        sorted(above - marks.marked), keep_unknown=project.config.gc.unknown == "keep"
    )


def restore(project: Project, database: Database, text: str) -> tuple[str, ...]:
    """Re-create a collected version, and all that it needs, from the registry; return the physical names.

    What is in quarantine gets back what was taken from it.

    Raises:
        UsageError: there is no such version.
        ConflictError: something else has taken its name meanwhile.
    """
    for _ in range(ROUNDS):
        known = known_of(project, database)
        version = find_version(project, known, text)
        steps = restoration([version], known)
        closed = [
            known.by_id[v] for v in known.closure([version.id]) if known.by_id[v].quarantined_at
        ]
        try:
            done = create(project, database, known, steps) if steps else 0
            if closed:
                lifted = sparing(known, [v.id for v in closed])
                because = {v.physical: ["restored"] for v in closed}
                unit = writing.spared(known.project_id, lifted, because)
                for _ in database.run(known.project_id, known.generation + done, [unit]):
                    pass
        except StalePlanError:
            continue
        return (*(step.physical for step in steps), *(v.physical for v in closed))
    raise DatabaseError(
        "other commands kept writing to the registry", hint="run the same command again"
    )
