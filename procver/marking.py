"""Which versions are still needed, and why: the mark of mark and sweep. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from procver.errors import DatabaseError
from procver.known import DROPPED, Known, KnownRelease


class Policy(NamedTuple):
    """How long things are kept; the ``[gc]`` table of procver.toml.

    Attributes:
        keep_releases: how many of the releases retired last keep their versions.
        grace: how long a version stays condemned before it may be dropped.
        idle: an instance unseen for this long is not living.
        quarantine: how long after that nobody but its owner may use it before it is dropped; None: not at all.
        unactivated: how long a release that was never activated keeps its versions; None: for ever.
        pins: physical names that are kept whatever happens.
        ignore_case: whether the case of these does not count.
    """

    keep_releases: int = 2
    grace: timedelta = timedelta(days=7)
    idle: timedelta = timedelta(days=14)
    quarantine: timedelta | None = None
    unactivated: timedelta | None = None
    pins: tuple[str, ...] = ()
    ignore_case: bool = False

    def pinned(self, physical: Iterable[str]) -> dict[str, str]:
        """Return which of some physical names are pinned, each with the pin as it is written."""
        if not self.ignore_case:
            return {name: name for name in physical if name in self.pins}
        pins = {pin.lower(): pin for pin in self.pins}
        return {name: pins[name.lower()] for name in physical if name.lower() in pins}

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data, durations in seconds."""
        return {
            key: value.total_seconds() if isinstance(value, timedelta) else value
            for key, value in self._asdict().items()
        }


class Root(NamedTuple):
    """Why a release, or a single version, keeps what it needs."""

    subject: str
    reason: str

    def __str__(self) -> str:
        return f"{self.subject} ({self.reason})" if self.reason else self.subject


class Marks(NamedTuple):
    """The outcome of marking.

    Attributes:
        roots: the releases that keep their versions, with the reason.
        direct: version id to the roots that name it themselves.
        needed_by: version id to one marked version that needs it, where no root names it.
        marked: ids of all versions that must stay.
    """

    roots: Mapping[str, Root]
    direct: Mapping[int, tuple[Root, ...]]
    needed_by: Mapping[int, int]
    marked: frozenset[int]

    def chain(self, version_id: int, known: Known) -> list[str]:
        """Return why a version stays, from root to version: release, object, ..., version."""
        links = [version_id]
        while links[-1] not in self.direct and links[-1] in self.needed_by:
            links.append(self.needed_by[links[-1]])
        shown = [known.by_id[link].physical for link in reversed(links)]
        roots = self.direct.get(links[-1], ())
        return [str(roots[0]), *shown] if roots else shown


def release_roots(known: Known, policy: Policy) -> dict[str, Root]:
    """Return the releases that keep their versions, by name, with the reason."""
    roots: dict[str, Root] = {}
    retired: list[KnownRelease] = []
    for release in known.releases:
        subject = f"release {release.name}"
        living = known.living(release, policy.idle)
        if channels := known.channels_of(release):
            roots[release.name] = Root(subject, f"channel {', '.join(channels)}")
        elif release.activated_at is not None and release.retired_at is None:
            roots[release.name] = Root(subject, "live")
        elif living:
            roots[release.name] = Root(subject, f"instance {living[0].name} is on it")
        elif release.activated_at is None:
            age = known.now - release.published_at
            if policy.unactivated is None or age < policy.unactivated:
                roots[release.name] = Root(subject, "published, not yet activated")
        else:
            retired.append(release)
    retired.sort(key=lambda release: (release.retired_at or known.now, release.number))
    if policy.keep_releases:
        for release in retired[-policy.keep_releases :]:
            roots[release.name] = Root(
                f"release {release.name}", f"one of the last {policy.keep_releases} retired"
            )
    return roots


def damage(known: Known, policy: Policy) -> list[str]:
    """Return a message for each release that keeps its versions and no longer consists of those it was published with."""
    roots = release_roots(known, policy)
    return [
        damaged(release.name)
        for release in known.releases
        if release.name in roots and not known.intact(release)
    ]


MEND = "bring the rows back from a backup; or publish its sources again, under another release name"
"""The hint for a release whose rows were changed."""


def damaged(release: str) -> str:
    """Return what to say of a release whose rows were changed."""
    return (
        f"release {release} no longer consists of the versions it was published with:"
        " somebody changed procver.membership or procver.version"
    )


def refuse_damaged(known: Known, release: KnownRelease) -> None:
    """Refuse to go on with a release that no longer consists of the versions it was published with.

    Raises:
        DatabaseError: it does not.
    """
    if not known.intact(release):
        raise DatabaseError(
            damaged(release.name),
            hint=MEND,
        )


def mark(known: Known, policy: Policy, evidence: Mapping[int, str] | None = None) -> Marks:
    """Mark what must stay: roots, pins, versions with evidence against their drop, and all these need.

    Args:
        known: one read of the registry.
        policy: how long things are kept.
        evidence: by version id, what speaks against dropping it.
    """
    roots = release_roots(known, policy)
    users = known.users(release for release in known.releases if release.name in roots)
    direct: dict[int, tuple[Root, ...]] = {
        version_id: tuple(roots[release.name] for release in releases)
        for version_id, releases in users.items()
    }
    pins = policy.pinned(version.physical for version in known.by_id.values())
    for version in known.by_id.values():
        if version.physical in pins:
            direct[version.id] = (*direct.get(version.id, ()), Root("[gc] pins", ""))
    for version_id, why in (evidence or {}).items():
        direct[version_id] = (*direct.get(version_id, ()), Root(why, ""))
    needed_by = _closure(known, direct)
    return Marks(roots, direct, needed_by, frozenset((*direct, *needed_by)))


def _closure(known: Known, direct: Iterable[int]) -> dict[int, int]:
    named = set(direct)
    found: dict[int, int] = {}
    stack = sorted(named)
    while stack:
        needer = stack.pop()
        for need in known.requires.get(needer, ()):
            if need not in named and need not in found:
                found[need] = needer
                stack.append(need)
    return found


def drop_order(known: Known, ids: Iterable[int]) -> list[int]:
    """Return ids so that nothing is dropped before what needs it; what something else still needs is left out."""
    from procver.graph import components

    chosen = set(ids)
    left_out = [
        version.id
        for version in known.by_id.values()
        if version.state != DROPPED and version.id not in chosen
    ]
    chosen -= set(known.closure(left_out))
    edges = {v: [n for n in known.requires.get(v, ()) if n in chosen] for v in sorted(chosen)}
    # The members of a cycle were created in the order of their ids.
    return [v for component in reversed(components(edges)) for v in sorted(component)[::-1]]
