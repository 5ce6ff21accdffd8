"""What to do with every version that exists: keep, condemn, drop, and why. Pure: the registry's knowledge in, data out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from procver.known import CONDEMNED, DROPPED, Known, KnownVersion
from procver.marking import Marks, Policy, drop_order, mark


class Drop(NamedTuple):
    """A version that may be dropped, and why."""

    version: KnownVersion
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
                {"physical": d.version.physical, "kind": str(d.version.kind), "why": d.why}
                for d in self.drop
            ],
            "condemn": [_waiting(c) for c in self.condemn],
            "quarantine": [_waiting(q) for q in self.quarantine],
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
        at=known.now,
        policy=policy,
    )


def _kept(version: KnownVersion, marks: Marks, known: Known, evidence: dict[int, str]) -> Keep:
    direct = marks.direct.get(version.id)
    if direct:
        return Keep(version, tuple(str(root) for root in direct), version.id in evidence)
    return Keep(version, (" -> ".join(marks.chain(version.id, known)),))


def _history(version: KnownVersion, known: Known) -> str:
    users = known.users(known.releases).get(version.id, [])
    if not users:
        return "no release maps to it"
    names = ", ".join(release.name for release in users[-3:])
    return f"only retired releases map to it ({'..., ' if len(users) > 3 else ''}{names})"


def ago(now: datetime, then: datetime) -> str:
    """Return how long ``then`` was before ``now``, in its largest unit: ``3 h ago``."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
