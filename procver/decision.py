"""What to do with every version that exists: keep, condemn, drop, and why. Pure: the registry's knowledge in, data out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from procver.known import CONDEMNED, DROPPED, Known, KnownRelease, KnownVersion, ago
from procver.marking import Marks, Policy, drop_order, mark


class Drop(NamedTuple):
    """A version that may be dropped, why, and what was looked for in the database that would have kept it."""

    version: KnownVersion
    why: str
    evidence: str = ""


class Retire(NamedTuple):
    """A live release that no instance is on any more, and how that is known."""

    release: KnownRelease
    why: str


class Condemn(NamedTuple):
    """A version that nothing needs; ``until`` is when it may be dropped."""

    version: KnownVersion
    until: datetime


class Quarantine(NamedTuple):
    """A version that nobody but its owner may use now; ``until`` is when it may be dropped."""

    version: KnownVersion
    until: datetime


class Keep(NamedTuple):
    """A version that stays, and why.

    ``evidence`` tells a reason found in the database from a release's need; ``waits`` that it stays for this run
    only, as the server refused a drop, and remains condemned.
    """

    version: KnownVersion
    because: tuple[str, ...]
    evidence: bool = False
    waits: bool = False


class Collection(NamedTuple):
    """What collecting would do, or did: then ``dropped`` counts.

    Attributes:
        applied: whether it was done.
        drop: what may be dropped; once applied, what was.
        condemn: what waits for its grace to end.
        keep: what stays.
        quarantine: what waits, after its grace, for somebody to miss it.
        dropped: how many versions were dropped.
        retire: live releases that fell silent; once applied and asked for, they are retired.
        retired: whether they were.
        remaining: how many more may be dropped, and were left to the next run by its limits.
        unknown: what the server does not let us know about what depends on versions.
        remarks: which sources of evidence are silent here, for a person to know.
        strays: pins of the configuration that name no version here.
        at: the server's clock when it was decided.
        policy: by what.
    """

    applied: bool
    drop: tuple[Drop, ...]
    condemn: tuple[Condemn, ...]
    keep: tuple[Keep, ...]
    quarantine: tuple[Quarantine, ...] = ()
    retire: tuple[Retire, ...] = ()
    retired: bool = False
    dropped: int = 0
    remaining: int = 0
    unknown: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    at: datetime | None = None
    policy: Policy = Policy()

    def as_json(self) -> dict[str, Any]:
        """Return it in the shape that scripts rely on."""
        return {
            "applied": self.applied,
            "drop": [
                {
                    "physical": d.version.physical,
                    "kind": str(d.version.kind),
                    "why": d.why,
                    "evidence": d.evidence,
                }
                for d in self.drop
            ],
            "condemn": [_waiting(c) for c in self.condemn],
            "quarantine": [_waiting(q) for q in self.quarantine],
            "retire": [{"release": r.release.name, "why": r.why} for r in self.retire],
            "retired": self.retired,
            "keep": [
                {"physical": k.version.physical, "because": list(k.because)} for k in self.keep
            ],
            "dropped": self.dropped,
            "remaining": self.remaining,
            "unknown": list(self.unknown),
            "remarks": list(self.remarks),
            "strays": list(self.strays),
            "at": self.at.isoformat() if self.at else None,
            "policy": self.policy.as_json(),
        }


def _waiting(item: Condemn | Quarantine) -> dict[str, Any]:
    version = item.version
    found: dict[str, Any] = {"physical": version.physical, "until": item.until.isoformat()}
    if version.condemned_at is not None:
        found["condemned_at"] = version.condemned_at.isoformat()
    if version.quarantined_at is not None:
        found["quarantined_at"] = version.quarantined_at.isoformat()
    return found


def decide(
    known: Known,
    policy: Policy,
    evidence: dict[int, str],
    before: datetime | None = None,
    refused: dict[int, str] | None = None,
) -> Collection:
    """Return what to do with every version that exists.

    Args:
        known: one read of the registry.
        policy: how long things are kept.
        evidence: by version id, what speaks against dropping it.
        before: drop only what was condemned before this; now, if None. What one run condemns, a later one drops.
        refused: by version id, why the server refused a drop just now.
    """
    before = before or known.now
    evidence, needed = {**(refused or {}), **evidence}, evidence
    marks = mark(known, policy, evidence)
    lasting = mark(known, policy, needed).marked if refused else marks.marked
    condemned: list[Condemn] = []
    quarantined: list[Quarantine] = []
    ripe: dict[int, str] = {}
    keep: list[Keep] = []
    for version in sorted(known.versions.values()):
        if version.state == DROPPED:
            continue
        if version.id in marks.marked:
            kept = _kept(version, marks, known, evidence)
            keep.append(kept._replace(waits=version.id not in lasting))
            continue
        since = version.condemned_at if version.state == CONDEMNED else None
        until = (since or known.now) + policy.grace
        if since is None or since >= before or until > known.now:
            condemned.append(Condemn(version, until))
            continue
        why = f"{_history(version, known)}; condemned {ago(known.now, since)}"
        if policy.quarantine is not None:
            closed = version.quarantined_at
            until = (closed or known.now) + policy.quarantine
            if closed is None or closed >= before or until > known.now:
                quarantined.append(Quarantine(version, until))
                continue
            why += f", missed by nobody since its quarantine began {ago(known.now, closed)}"
        ripe[version.id] = why
    order = drop_order(known, ripe)
    for version_id in sorted(ripe.keys() - set(order)):
        condemned.append(Condemn(known.by_id[version_id], known.now))
    return Collection(
        applied=False,
        drop=tuple(Drop(known.by_id[v], ripe[v]) for v in order),
        condemn=tuple(condemned),
        keep=tuple(keep),
        quarantine=tuple(quarantined),
        retire=silent_releases(known, policy),
        at=known.now,
        policy=policy,
    )


def silent_releases(known: Known, policy: Policy) -> tuple[Retire, ...]:
    """Return the live releases from which no instance was heard for ``policy.idle``, oldest first.

    Never the newest release, nor the one activated last. Only what was heard can fall silent: not a release that
    never sent a heartbeat, and none at all while no instance of the project is heard from, as then it is
    the heartbeats that fail.
    """
    if not any(known.heard(instance, policy.idle) for instance in known.instances):
        return ()
    active = [r for r in known.releases if r.activated_at is not None and r.retired_at is None]
    spared = {max(known.releases, key=lambda release: release.number).id}
    if active:
        spared.add(max(active, key=lambda release: release.activated_at or known.now).id)
    found = []
    for release in active:
        seen = [i.last_seen_at for i in known.instances_of(release)] + [release.heard_until]
        last = max((at for at in seen if at is not None), default=None)
        if release.id in spared or last is None or known.living(release, policy.idle):
            continue
        last = max(last, release.activated_at or last)
        if known.now - last >= policy.idle:
            found.append(Retire(release, f"the last heartbeat came {ago(known.now, last)}"))
    return tuple(found)


def _kept(version: KnownVersion, marks: Marks, known: Known, evidence: dict[int, str]) -> Keep:
    direct = marks.direct.get(version.id)
    if direct:
        return Keep(version, tuple(str(root) for root in direct), version.id in evidence)
    return Keep(version, (" -> ".join(marks.chain(version.id, known)),))


def _history(version: KnownVersion, known: Known) -> str:
    users = known.users_of(version)
    if not users:
        return "no release maps to it"
    names = ", ".join(release.name for release in users[-3:])
    sort = (
        "retired" if all(release.retired_at for release in users) else "retired or never activated"
    )
    return f"only {sort} releases map to it ({'..., ' if len(users) > 3 else ''}{names})"
