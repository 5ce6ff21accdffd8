"""What a registry knows of one project, as plain data: the input of every plan."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from procver.objects import Kind, Name

PRESENT = "present"
CONDEMNED = "condemned"
DROPPED = "dropped"


class KnownVersion(NamedTuple):
    """A version that was published here.

    ``found`` says whether the catalog still has it, ``quarantined_at`` since when only its owner may use it.
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

    @property
    def usable(self) -> bool:
        """True if it can be called now."""
        return self.found and self.state != DROPPED


class KnownRelease(NamedTuple):
    """A release that was published here; ``number`` is its place in the order of publication."""

    name: str
    id: int
    number: int
    content: str
    published_at: datetime
    published_by: str
    activated_at: datetime | None
    retired_at: datetime | None


class KnownInstance(NamedTuple):
    """A running copy of the app, as declared by ``release activate --instance`` or its heartbeats."""

    name: str
    release_id: int
    activated_at: datetime
    last_seen_at: datetime


class Membership(NamedTuple):
    """A version is part of every release with ``since <= number < until`` (``until`` None: no end)."""

    version_id: int
    since: int
    until: int | None


@dataclass(frozen=True)
class Known:
    """One consistent read of the registry.

    ``requires`` maps a version's id to the ids it needs; ``now`` is the server's clock.
    """

    project_id: int
    generation: int
    last_release: int
    now: datetime
    versions: Mapping[tuple[str, int], KnownVersion]
    releases: tuple[KnownRelease, ...] = ()
    instances: tuple[KnownInstance, ...] = ()
    memberships: tuple[Membership, ...] = ()
    requires: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

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
        number = release.number
        return sorted(
            self.by_id[m.version_id]
            for m in self.memberships
            if m.since <= number and (m.until is None or m.until > number)
        )

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
        return [instance for instance in self.instances if instance.release_id == release.id]

    def living(self, release: KnownRelease, idle: timedelta) -> list[KnownInstance]:
        """Return the instances on a release that were seen within ``idle``."""
        return [i for i in self.instances_of(release) if i.last_seen_at + idle > self.now]

    def is_live(self, release: KnownRelease, idle: timedelta) -> bool:
        """Return whether a release is activated and not retired, or has a living instance."""
        declared = release.activated_at is not None and release.retired_at is None
        return declared or bool(self.living(release, idle))

    def state(self, release: KnownRelease, idle: timedelta) -> str:
        """Return ``published``, ``live`` or ``retired``."""
        if self.is_live(release, idle):
            return "live"
        return "published" if release.activated_at is None else "retired"
