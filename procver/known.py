"""What a registry knows of one project, as plain data: the input of every plan."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from procver.objects import Kind, Name
from procver.recorded import digest

PRESENT = "present"
CONDEMNED = "condemned"
DROPPED = "dropped"

MOVING = timedelta(minutes=15)
"""How long an instance that moved on still counts on the release it left; the registry's ``beat`` knows it too."""


class KnownVersion(NamedTuple):
    """A version that was published here.

    ``found`` says whether the catalog still has all of it, ``moved`` whether under other OIDs, as after a dump;
    ``quarantined_at`` since when only its owner may use it.
    """

    label: str
    number: int
    id: int
    kind: Kind
    fingerprint: str
    shape: str
    source_digest: str
    name: Name
    physical: str
    state: str
    condemned_at: datetime | None
    quarantined_at: datetime | None
    found: bool
    moved: bool = False

    @property
    def usable(self) -> bool:
        """True if it can be called now."""
        return self.found and self.state != DROPPED


class KnownRelease(NamedTuple):
    """A release that was published here.

    ``number`` is its place in the order of publication, ``heard_until`` the last heartbeat of instances that are on it
    no longer, ``content`` the digest of its versions, ``default_schema`` the schema that a bare name means in its mapping.
    """

    name: str
    id: int
    number: int
    content: str
    published_at: datetime
    published_by: str
    activated_at: datetime | None
    retired_at: datetime | None
    heard_until: datetime | None = None
    default_schema: str = ""


class KnownInstance(NamedTuple):
    """A copy of the app on one release, as declared by ``release activate --instance``, as heard of, or both.

    Attributes:
        name: which copy.
        release_id: the release.
        declared_at: when it was declared to be on this release; None if it is not.
        last_seen_at: its last heartbeat for this release; None if there was none.
        left_at: when it said goodbye to this release, or was last heard from before it moved on; None if it did neither.
        returned_at: when it was last heard from here after it had been heard from on another release.
    """

    name: str
    release_id: int
    declared_at: datetime | None
    last_seen_at: datetime | None
    left_at: datetime | None = None
    returned_at: datetime | None = None


class KnownChannel(NamedTuple):
    """A name under which apps that follow it find the release to run."""

    name: str
    release_id: int
    changed_at: datetime
    changed_by: str


class Membership(NamedTuple):
    """A version is part of every release with ``since <= number < until`` (``until`` None: no end)."""

    version_id: int
    since: int
    until: int | None

    def covers(self, number: int) -> bool:
        """Return whether the release with this number is one of those."""
        return self.since <= number and (self.until is None or self.until > number)


@dataclass(frozen=True)
class Known:
    """One consistent read of the registry.

    ``generation`` counts what was written so far; ``main`` is its part that was not written in lanes, ``lanes`` what was
    written in each. ``astray`` holds rows that make another project's version a member. ``requires`` maps a version's
    id to the ids it needs; ``now`` is the server's clock; ``trials`` says that retired releases may be discarded here.
    """

    project_id: int
    generation: int
    last_release: int
    now: datetime
    versions: Mapping[tuple[str, int], KnownVersion]
    releases: tuple[KnownRelease, ...] = ()
    instances: tuple[KnownInstance, ...] = ()
    channels: tuple[KnownChannel, ...] = ()
    memberships: tuple[Membership, ...] = ()
    requires: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    main: int = 0
    lanes: Mapping[int, int] = field(default_factory=dict)
    trials: bool = False
    astray: tuple[Membership, ...] = ()

    @cached_property
    def by_id(self) -> dict[int, KnownVersion]:
        """Versions by the registry's id."""
        return {version.id: version for version in self.versions.values()}

    @cached_property
    def history(self) -> dict[str, list[KnownVersion]]:
        """The versions of each object, dropped ones included, lowest number first."""
        found: dict[str, list[KnownVersion]] = {}
        for version in sorted(self.versions.values()):
            found.setdefault(version.label, []).append(version)
        return found

    @cached_property
    def newest(self) -> dict[str, KnownVersion]:
        """The version with the highest number of each object, dropped ones included."""
        return {label: versions[-1] for label, versions in self.history.items()}

    @cached_property
    def required_by(self) -> dict[int, list[int]]:
        """The reverse of `requires`."""
        found: dict[int, list[int]] = {}
        for version, needs in self.requires.items():
            for need in needs:
                found.setdefault(need, []).append(version)
        return found

    def release(self, name: str) -> KnownRelease | None:
        """Return the release called ``name``, or None."""
        return next((release for release in self.releases if release.name == name), None)

    def members(self, release: KnownRelease) -> list[KnownVersion]:
        """Return the versions of a release, sorted by name."""
        return sorted(self.versions_at(release.number))

    def versions_at(self, number: int) -> Iterator[KnownVersion]:
        """Yield the versions of the release with this number, in no order."""
        return (self.by_id[m.version_id] for m in self.memberships if m.covers(number))

    def intact(self, release: KnownRelease) -> bool:
        """Return whether a release consists of the versions with which it was published."""
        if any(m.covers(release.number) for m in self.astray):
            return False
        members = self.versions_at(release.number)
        return release.content == digest((v.label, v.number, v.fingerprint) for v in members)

    def users(self, releases: Iterable[KnownRelease]) -> dict[int, list[KnownRelease]]:
        """Return, for each version id, which of ``releases`` map to it directly, oldest first."""
        ordered = sorted(releases, key=lambda release: release.number)
        numbers = [release.number for release in ordered]
        found: dict[int, list[KnownRelease]] = {}
        for version_id, since, until in self.memberships:
            low = bisect_left(numbers, since)
            high = len(numbers) if until is None else bisect_left(numbers, until)
            if low < high:
                found.setdefault(version_id, []).extend(ordered[low:high])
        return found

    def users_of(self, version: KnownVersion) -> list[KnownRelease]:
        """Return the releases that map to one version directly, oldest first."""
        ordered, numbers = self._ordered
        found: list[KnownRelease] = []
        for _, since, until in self._spans.get(version.id, ()):
            high = len(numbers) if until is None else bisect_left(numbers, until)
            found += ordered[bisect_left(numbers, since) : high]
        return sorted(found, key=lambda release: release.number)

    @cached_property
    def _ordered(self) -> tuple[list[KnownRelease], list[int]]:
        ordered = sorted(self.releases, key=lambda release: release.number)
        return ordered, [release.number for release in ordered]

    @cached_property
    def _spans(self) -> dict[int, list[Membership]]:
        found: dict[int, list[Membership]] = {}
        for membership in self.memberships:
            found.setdefault(membership.version_id, []).append(membership)
        return found

    def closure(self, roots: Iterable[int]) -> Iterator[int]:
        """Yield the ids of ``roots`` and of everything they need, each once, needs after needers."""
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            version_id = stack.pop()
            if version_id not in seen:
                seen.add(version_id)
                yield version_id
                stack.extend(self.requires.get(version_id, ()))

    def instances_of(self, release: KnownRelease) -> list[KnownInstance]:
        """Return the instances that are on a release."""
        return self._on.get(release.id, [])

    @cached_property
    def _on(self) -> dict[int, list[KnownInstance]]:
        found: dict[int, list[KnownInstance]] = {}
        for instance in self.instances:
            found.setdefault(instance.release_id, []).append(instance)
        return found

    def channels_of(self, release: KnownRelease) -> list[str]:
        """Return the names of the channels that point to a release."""
        return [channel.name for channel in self.channels if channel.release_id == release.id]

    @cached_property
    def latest(self) -> dict[str, KnownInstance]:
        """By instance, what was heard from it last, wherever that was."""
        found: dict[str, KnownInstance] = {}
        for instance in self.instances:
            if (at := instance.last_seen_at) is not None:
                other = found.get(instance.name)
                if other is None or other.last_seen_at is None or at > other.last_seen_at:
                    found[instance.name] = instance
        return found

    def heard(self, instance: KnownInstance, within: timedelta) -> bool:
        """Return whether an instance sent a heartbeat from its release within this time, and no goodbye since."""
        at = instance.last_seen_at
        return at is not None and instance.left_at is None and self.now - at < within

    def stands(self, instance: KnownInstance, idle: timedelta) -> bool:
        """Return whether an instance is where it was declared, for all that is known.

        Its heartbeats from another release say that it is not, and so does its silence for ``idle`` after
        heartbeats from this one. One that never sent any is believed for ever.
        """
        if instance.declared_at is None:
            return False
        latest = self.latest.get(instance.name)
        if latest is None or latest.last_seen_at is None:
            return True
        if latest.last_seen_at > instance.declared_at and latest.release_id != instance.release_id:
            return False
        if instance.last_seen_at is None or instance.left_at is not None:
            return True
        return self.now - max(instance.declared_at, instance.last_seen_at) < idle

    def living(self, release: KnownRelease, idle: timedelta) -> list[KnownInstance]:
        """Return the instances that are on a release: declared, or heard from within ``idle``."""
        return [
            i for i in self.instances_of(release) if self.heard(i, idle) or self.stands(i, idle)
        ]

    def was_used(self, release: KnownRelease) -> bool:
        """Return whether a release was ever deployed here: it was activated, declared on an instance or heard from."""
        activated = release.activated_at is not None
        return activated or release.heard_until is not None or bool(self.instances_of(release))

    def is_live(self, release: KnownRelease, idle: timedelta) -> bool:
        """Return whether a release is activated and not retired, or has a living instance or a channel."""
        declared = release.activated_at is not None and release.retired_at is None
        return declared or bool(self.living(release, idle) or self.channels_of(release))

    def state(self, release: KnownRelease, idle: timedelta) -> str:
        """Return ``published``, ``live`` or ``retired``."""
        if self.is_live(release, idle):
            return "live"
        return "published" if release.activated_at is None else "retired"


def ago(now: datetime, then: datetime) -> str:
    """Return how long ago something was, in its largest unit."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
