"""What `publish` would do, as data: printable, JSON-able, executable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from shlex import quote
from typing import Any, NamedTuple

from procver.contract import Contract, Member
from procver.errors import ConflictError
from procver.graph import components
from procver.known import CONDEMNED, Known, KnownRelease, KnownVersion
from procver.objects import Note

NEW, CHANGED, DEPENDENCY, RESTORED = "new", "changed", "dependency", "restored"
PIN, RETURNED, UNRELEASED = "pin", "returned", "unreleased"


class Create(NamedTuple):
    """A version to be created. ``known`` is set where the registry has it: it is re-created from there.

    ``previous`` is the version whose grants it takes over, None for an object's first.
    """

    label: str
    number: int
    kind: str
    physical: str
    reason: str
    because: tuple[str, ...] = ()
    member: Member | None = None
    known: KnownVersion | None = None
    previous: KnownVersion | None = None


class Moved(NamedTuple):
    """An object at another version than in the newest release, which an earlier publication created.

    ``reason`` is `PIN` (a pin asks for it), `RETURNED` (an earlier release has it) or `UNRELEASED` (none has it: a
    publication did not finish). ``before`` is its version in the newest release, None where that does not have it.
    """

    label: str
    before: KnownVersion | None
    version: KnownVersion
    reason: str


class Plan(NamedTuple):
    """Steps of one publication.

    Attributes:
        release: its name; None for a plan that records none.
        number: its place in the order of publication; None where the release exists already, alike.
        create: versions to create, in order.
        reuse: how many versions of the contract exist already.
        cosmetic: objects of the newest release whose source changed in comments or layout only.
        left: objects that the newest release has, and that no source defines any more.
        added: (label, number) of the memberships that the release begins.
        removed: ids of versions whose membership it ends.
        spared: ids of condemned versions that are needed again.
        replaces: the unactivated release of the same name whose content is replaced.
        moved: objects that go to another version which exists already or existed once, by name.
        remarks: what a person has to do besides, each with the source file that it is about.
    """

    release: str | None
    number: int | None
    create: tuple[Create, ...]
    reuse: int
    cosmetic: tuple[str, ...]
    left: tuple[str, ...]
    added: tuple[tuple[str, int], ...]
    removed: tuple[int, ...]
    spared: tuple[int, ...]
    replaces: KnownRelease | None
    moved: tuple[Moved, ...] = ()
    remarks: tuple[tuple[str, Note], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the plan in the shape that scripts rely on."""
        return {
            "release": self.release,
            "create": [
                {
                    "name": c.label,
                    "kind": str(c.kind),
                    "version": c.number,
                    "physical": c.physical,
                    "reason": c.reason,
                    "because": list(c.because),
                }
                for c in self.create
            ],
            "reuse": self.reuse,
            "moved": [
                {
                    "name": m.label,
                    "from": m.before and m.before.number,
                    "to": m.version.number,
                    "reason": m.reason,
                }
                for m in self.moved
            ],
            "cosmetic": list(self.cosmetic),
            "removed": list(self.left),
        }


def plan(contract: Contract, known: Known, release: str | None, digests: Mapping[str, str]) -> Plan:
    """Compare a contract with what a registry knows.

    Args:
        contract: what the release shall consist of.
        known: one read of the registry.
        release: the release's name.
        digests: by label, the digest of the source file, to tell cosmetic changes.

    Raises:
        ConflictError: a number holds other content or has another physical name here, the release exists with other
            content and was activated or runs on an instance, or a pinned version was never published here.
    """
    existing = known.release(release) if release else None
    alike = existing is not None and _alike(existing, contract)
    if existing and not alike:
        _refuse_used(existing, contract, known)
    newest = max(known.releases, key=lambda r: r.number, default=None)
    before = {v.label: v for v in known.versions_at(newest.number)} if newest else {}
    _refuse_other_content(contract, known)
    _refuse_other_names(contract, known)
    create: dict[tuple[str, int], Create] = {}
    cosmetic, moved = [], []
    for member in contract.members.values():
        version = known.versions.get((member.label, member.number))
        former = before.get(member.label)
        if version is not None and version is not former and newest and not alike:
            reason = _reason(member, version, former, contract, known)
            moved.append(Moved(member.label, former, version, reason))
        if version is None or not version.usable:
            _restore_pinned(member, contract, known, create)
            create[member.label, member.number] = _creation(member, version, known)
        elif version is former and version.source_digest != digests[member.label]:
            cosmetic.append(member.label)
    opened = {m.version_id for m in known.memberships if m.until is None}
    wanted = {
        version.id
        for m in contract.members.values()
        if (version := known.versions.get((m.label, m.number)))
    }
    return Plan(
        release=release,
        number=None if alike or release is None else known.last_release + 1,
        create=tuple(create.values()),
        reuse=len(contract.members) - sum(c.member is not None for c in create.values()),
        cosmetic=tuple(sorted(cosmetic)),
        left=()
        if alike
        else tuple(sorted(label for label in before if label not in contract.members)),
        added=tuple(
            (m.label, m.number)
            for m in contract.members.values()
            if (v := known.versions.get((m.label, m.number))) is None or v.id not in opened
        ),
        removed=tuple(sorted(opened - wanted)),
        spared=tuple(v for v in known.closure(wanted) if known.by_id[v].state == CONDEMNED),
        replaces=None if alike else existing,
        moved=tuple(sorted(moved, key=lambda m: m.label)),
    )


def _alike(existing: KnownRelease, contract: Contract) -> bool:
    same = existing.content == contract.content
    return same and existing.default_schema == contract.default_schema


def _refuse_used(existing: KnownRelease, contract: Contract, known: Known) -> None:
    """Refuse to publish other content under the name of a release that was activated or is running."""
    on_it = sorted(i.name for i in known.instances_of(existing) if known.heard(i, timedelta.max))
    other = "other content"
    if existing.content == contract.content:
        other = f"default_schema = {existing.default_schema!r}"
    already = f"release {existing.name} was already published with {other}"
    if existing.activated_at is not None:
        raise ConflictError(
            f"{already}, and activated",
            hint="publish under a new release name: an activated release never changes",
        )
    if on_it:
        raise ConflictError(
            f"{already}, and runs on {', '.join(on_it[:5])}",
            hint="publish under a new release name, or stop what runs it first",
        )


def _reason(
    member: Member,
    version: KnownVersion,
    former: KnownVersion | None,
    contract: Contract,
    known: Known,
) -> str:
    """Return why an object goes to a version that this database knows."""
    pinned = {
        (label, number)
        for label, number in member.requires
        if (own := contract.members.get(label)) is None or own.number != number
    }
    if former is not None:
        needs = (known.by_id[need] for need in known.requires.get(former.id, ()))
        pinned -= {(need.label, need.number) for need in needs}
    if pinned:
        return PIN
    return RETURNED if known.users_of(version) else UNRELEASED


def restoration(versions: Iterable[KnownVersion], known: Known) -> tuple[Create, ...]:
    """Return what must be re-created so that ``versions`` and all they need can be called."""
    closure = known.closure(version.id for version in versions)
    edges = {version_id: known.requires.get(version_id, ()) for version_id in closure}
    # The members of a cycle were created in the order of their ids.
    order = [known.by_id[id_] for component in components(edges) for id_ in sorted(component)]
    return tuple(_restored(version) for version in order if not version.usable)


def _restored(version: KnownVersion) -> Create:
    return Create(
        version.label, version.number, version.kind, version.physical, RESTORED, known=version
    )


def _restore_pinned(
    member: Member,
    contract: Contract,
    known: Known,
    create: dict[tuple[str, int], Create],
) -> None:
    """Add to ``create`` what a pinned version needs and this database no longer has."""
    for label, number in member.requires:
        within = contract.members.get(label)
        if within is not None and within.number == number:
            continue
        version = known.versions.get((label, number))
        if version is None:
            raise ConflictError(
                f"{member.label} pins {label} = {number}, which was never published to this database",
                hint="publish the release that brought that version first, or move the pin",
            )
        for step in restoration([version], known):
            create.setdefault((step.label, step.number), step)


def _creation(member: Member, version: KnownVersion | None, known: Known) -> Create:
    if version is not None:
        return Create(
            member.label, member.number, member.kind, member.quoted, RESTORED, (), member, version
        )
    previous = known.newest.get(member.label)
    if previous is None:
        return Create(member.label, member.number, member.kind, member.quoted, NEW, (), member)
    because: tuple[str, ...] = ()
    if previous.shape == member.shape:
        needed = {
            (known.by_id[need].label, known.by_id[need].number)
            for need in known.requires.get(previous.id, ())
        }
        because = tuple(sorted({label for label, n in member.requires if (label, n) not in needed}))
    # A revision, or a requirement taken back, changes neither shape nor what is needed beside.
    reason = DEPENDENCY if because else CHANGED
    return Create(
        member.label, member.number, member.kind, member.quoted, reason, because, member, None,
        _nearest(member.number, known.history[member.label]),
    )  # fmt: skip


def _nearest(number: int, history: list[KnownVersion]) -> KnownVersion:
    """Return the version whose grants a new one takes over: the one before it, of those still there if any is."""
    candidates = [version for version in history if version.usable] or history
    before = [version for version in candidates if version.number < number]
    return before[-1] if before else candidates[0]


def _refuse_other_content(contract: Contract, known: Known) -> None:
    clashes = [
        (member, version)
        for member in contract.members.values()
        if (version := known.versions.get((member.label, member.number)))
        and version.fingerprint != member.fingerprint
    ]
    if not clashes:
        return
    member, version = clashes[0]
    users = known.users_of(version)
    brought = f"release {users[0].name} brought it" if users else "no release uses it"
    others = f" (and {len(clashes) - 1} more)" if len(clashes) > 1 else ""
    raise ConflictError(
        f"{member.quoted} already holds other content in this database: {brought}{others}",
        hint=_way_out(users, known),
    )


def _refuse_other_names(contract: Contract, known: Known) -> None:
    """Refuse a suffix other than that under which versions of the contract were published: they keep their names."""
    for member in contract.members.values():
        version = known.versions.get((member.label, member.number))
        if version is not None and version.name.leaf != member.physical.leaf:
            raise ConflictError(
                f"version {member.number} of {member.label} was published to this database as {version.physical},"
                f" and suffix in procver.toml would make it {member.quoted}",
                hint="set suffix back to what it was: a published version keeps its name",
            )


def _way_out(users: list[KnownRelease], known: Known) -> str:
    """Return what to do about a number that holds other content, by who uses it here."""
    renumber = "`procver lock --base` takes a new number, after those of your main branch"
    live = [r for r in users if r.activated_at is not None and r.retired_at is None]
    if live:
        return f"{renumber}; release {live[0].name} is live here and keeps this one"
    used = [r for r in users if known.was_used(r) and not known.trials]
    if used:
        return f"{renumber}; release {used[0].name} was live here and keeps this one"
    if not users:
        leftovers = (
            "`procver release discard --leftovers` frees what an unfinished publish left here"
        )
        return f"{leftovers}; if another publish is under way, {renumber}"
    discards = ", ".join(f"`procver release discard {quote(r.name)}`" for r in users[:3])
    more = f" and {len(users) - 3} more" if len(users) > 3 else ""
    return f"if that was a trial here: {discards}{more}; otherwise {renumber}"
