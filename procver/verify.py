"""Verify: does the database still hold what the live releases were promised, and do instances run what is said of them?"""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Any, NamedTuple

from procver.dialects import Call, Database
from procver.evidence import Stranger, by_version
from procver.instances import discords
from procver.known import DROPPED, Known, KnownVersion
from procver.marking import MEND, damaged, mark
from procver.prepared import granted
from procver.project.workspace import Project
from procver.publish import ROUNDS
from procver.releases import known_of, policy_of


class Finding(NamedTuple):
    """Something that is not as it was published or declared.

    ``object`` is a physical name or an instance; ``releases`` are those that it concerns.
    """

    rule: str
    object: str
    message: str
    releases: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it in the shape that scripts rely on."""
        return {**self._asdict(), "releases": list(self.releases)}


def verify(project: Project, database: Database) -> list[Finding]:
    """Return what differs from what was published, for every version that a release still keeps, and from what was declared.

    A finding counts if a second look confirms it: a version may be dropped while the catalog is read.

    Raises:
        UsageError: nothing was published here yet.
        DatabaseError: the registry or catalog cannot be read.
    """
    first = {(finding.rule, finding.object) for finding in _look(project, database)}
    return [f for f in _look(project, database) if (f.rule, f.object) in first] if first else []


def _look(project: Project, database: Database) -> list[Finding]:
    for _ in range(ROUNDS):
        known = known_of(project, database)
        policy = policy_of(project)
        marks = mark(known, policy)
        kept = [known.by_id[v] for v in sorted(marks.marked)]
        ids = [version.id for version in kept]
        rows, others, again = database.read(
            Call("catalog", {"ids": ids}),
            Call("strangers", {"project": project.config.name, "ids": ids}),
            Call("project", {"project": project.config.name}),
        )
        if again[0][3] == known.generation:  # else the catalog may be a step ahead of what we know
            break
    # What was collected under a shorter [gc] keep_releases has gone as it should.
    needed = mark(known, policy._replace(keep_releases=0)).marked
    promised = _promised(known, list(marks.roots))
    state = {row[0]: row[1:] for row in rows}
    strange = by_version(others)
    findings = [
        Finding("membership", release.name, f"{damaged(release.name)}; {MEND}", (release.name,))
        for release in known.releases
        if release.name in marks.roots and not known.intact(release)
    ]
    for version in sorted(kept):
        releases = promised.get(version.id, ())
        found = strange.get(version.id, [])
        if not version.usable:
            if version.state != DROPPED or version.id in needed:
                findings.append(_gone(version, found, releases))
            continue
        if version.id not in state:  # others kept writing, and took it back
            continue
        findings += (
            Finding(
                "overload-added",
                version.physical,
                f"{other} has its name and is not managed by procver: calls may reach it; rename or drop it",
                releases,
            )
            for other in found
            if other.kind is not None
        )
        before, now, given, given_now = state[version.id]
        if before is not None and now is None:
            message = "its definition cannot be read: this login may not see it (VIEW DEFINITION)"
            findings.append(Finding("unreadable", version.physical, message, releases))
            continue
        if before != now:
            message = (
                "its definition is not the one that was published; to have that back, drop it and run"
                f" `procver restore {quote(version.physical)}`"
            )
            findings.append(Finding("altered", version.physical, message, releases))
        findings += _grants(project, version, given, given_now, releases)
    findings += (
        Finding(found.rule, found.instance, found.message, found.releases)
        for found in discords(known, project.config.gc.idle)
    )
    return findings


def _gone(version: KnownVersion, found: list[Stranger], releases: tuple[str, ...]) -> Finding:
    """Return the finding for a version of which something, or all, is not there."""
    again = f"`procver restore {quote(version.physical)}` re-creates it"
    objects = [other for other in found if other.kind is not None]
    lost = [other.name for other in found if other.kind is None]
    if version.state == DROPPED:
        return Finding(
            "missing", version.physical, f"it is gone: it was collected; {again}", releases
        )
    if not objects:
        what = f"its overload {', '.join(lost)} is" if any(lost) else "it is"
        message = f"{what} gone: somebody dropped it by hand; {again}"
        return Finding("missing", version.physical, message, releases)
    there = ", ".join(map(str, objects))
    message = (
        f"something else has taken its name, which procver did not create: {there}; rename or drop that,"
        f" then {again}"
    )
    alike = any(other.kind == str(version.kind).replace("_", " ") for other in objects)
    return Finding("altered" if alike else "unreadable", version.physical, message, releases)


def _promised(known: Known, roots: list[str]) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    for release in known.releases:
        if release.name in roots:
            for version_id in known.closure(v.id for v in known.members(release)):
                found.setdefault(version_id, []).append(release.name)
    return {version_id: tuple(names) for version_id, names in found.items()}


def _grants(
    project: Project,
    version: KnownVersion,
    given: Any,
    now: Any,
    releases: tuple[str, ...],
) -> list[Finding]:
    findings: list[Finding] = []
    if given is None and now is not None:
        message = (
            "what was granted on it is not known: somebody changed procver.version by hand;"
            " bring that row back from a backup of the database"
        )
        return [Finding("grants-unknown", version.physical, message, releases)]
    was, has = _flat(given), _flat(now)
    if _owners(given) != _owners(now):
        message = f"its owner is {', '.join(_owners(now))}, it was {', '.join(_owners(given))}"
        findings.append(Finding("owner", version.physical, message, releases))
        return findings
    lost = sorted(was - has)
    if lost:
        message = f"it lost {_words(lost)}: grant it again"
        findings.append(Finding("grant-lost", version.physical, message, releases))
    rule = granted(project.config, version.label, str(version.kind))
    if rule is not None:
        allowed = {(grantee or "PUBLIC", privilege) for grantee, privilege, _ in rule}
        owners = _owners(now)
        extra = sorted(g for g in has - was if g not in allowed and g[0] not in owners)
        if extra:
            message = f"[grants] does not give {_words(extra)}"
            findings.append(Finding("grant-extra", version.physical, message, releases))
    return findings


def _flat(privileges: list[Mapping[str, Any]] | None) -> set[tuple[str, str]]:
    return {
        (grantee or "PUBLIC", privilege)
        for part in privileges or []
        for grantee, privilege, _ in part.get("acl") or []
    }


def _owners(privileges: list[Mapping[str, Any]] | None) -> list[str]:
    return sorted({str(part["owner"]) for part in privileges or []})


def _words(grants: list[tuple[str, str]]) -> str:
    return ", ".join(f"{privilege} for {grantee}" for grantee, privilege in grants)
