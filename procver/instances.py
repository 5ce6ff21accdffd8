"""Instances: where what people declared and what heartbeats show do not agree. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from shlex import quote
from typing import NamedTuple

from procver.known import MOVING, Known, KnownInstance, KnownRelease, ago

UNDECLARED = "instance-undeclared"
STALE = "instance-stale"
CONTRADICTORY = "instance-contradictory"


class Discord(NamedTuple):
    """What does not agree about an instance.

    Attributes:
        rule: `UNDECLARED`, `STALE` or `CONTRADICTORY`.
        instance: its name.
        releases: the names of the releases concerned, the one it is on first.
        message: what was found, and what to do.
    """

    rule: str
    instance: str
    releases: tuple[str, ...]
    message: str


def discords(known: Known, idle: timedelta) -> list[Discord]:
    """Return what does not agree about the instances of a project, by name.

    Args:
        known: one read of the registry.
        idle: an instance that was silent for this long is stale.
    """
    by_id = {release.id: release for release in known.releases}
    # Where no instance ever beats, none can be missed.
    missed = any(known.heard(instance, idle) for instance in known.instances)
    rows: dict[str, list[KnownInstance]] = {}
    for row in known.instances:
        rows.setdefault(row.name, []).append(row)
    found: list[Discord] = []
    for name in sorted(rows):
        found += _of(_Instance(name, known, rows[name], by_id), idle, missed)
    return found


class _Instance:
    """All that is known of one instance."""

    def __init__(
        self, name: str, known: Known, rows: list[KnownInstance], by_id: dict[int, KnownRelease]
    ) -> None:
        self.name = name
        self.known = known
        self.rows = rows
        self.latest = known.latest.get(name)
        self.declared = next((row for row in self.rows if row.declared_at is not None), None)
        self._by_id = by_id

    def release(self, row: KnownInstance) -> KnownRelease:
        return self._by_id[row.release_id]

    def found(self, rule: str, message: str, *rows: KnownInstance) -> Discord:
        releases = dict.fromkeys(self.release(row).name for row in rows)
        return Discord(rule, self.name, tuple(releases), message)


def _of(instance: _Instance, idle: timedelta, missed: bool) -> Iterator[Discord]:
    known, latest = instance.known, instance.latest
    back = [row for row in instance.rows if _within(row.returned_at, known.now, MOVING)]
    if len(back) > 1:
        names = " and ".join(instance.release(row).name for row in back)
        message = (
            f"it is heard from on releases {names} in turn:"
            " give each copy of the app an instance name of its own"
        )
        yield instance.found(CONTRADICTORY, message, *back)
    elif latest is not None and known.heard(latest, idle):
        yield from _beating(instance, latest)
    else:
        yield from _silent(instance, idle, missed)


def _beating(instance: _Instance, latest: KnownInstance) -> Iterator[Discord]:
    release, declared = instance.release(latest), instance.declared
    on = f"{release.name}: `procver release activate {quote(release.name)}"
    assert latest.last_seen_at is not None  # it was heard
    if release.retired_at is not None and latest.last_seen_at > release.retired_at:
        message = f"it runs release {release.name}, which was retired: stop it, or `procver release activate {quote(release.name)}`"
        yield instance.found(CONTRADICTORY, message, latest)
    elif release.activated_at is None:
        message = f"it runs a release that nobody activated, {on}`"
        yield instance.found(UNDECLARED, message, latest)
    if declared is None or declared.release_id == latest.release_id:
        return
    assert declared.declared_at is not None  # it was declared
    if latest.last_seen_at > declared.declared_at:
        other = instance.release(declared).name
        message = f"it is declared to be on release {other} and runs {on} --instance {quote(instance.name)}`"
        yield instance.found(CONTRADICTORY, message, latest, declared)


def _silent(instance: _Instance, idle: timedelta, missed: bool) -> Iterator[Discord]:
    known, row = instance.known, instance.declared or instance.latest
    if row is None or (row.declared_at is None and instance.release(row).retired_at is not None):
        return  # it keeps nothing, and nobody expects it to be heard from
    if row.last_seen_at is None and not missed:
        return
    last = max(at for at in (row.declared_at, row.last_seen_at, row.left_at) if at is not None)
    if _within(last, known.now, idle):
        return
    name = instance.release(row).name
    since = f"was last heard from {ago(known.now, last)}"
    if row.left_at is not None:
        since = f"stopped {ago(known.now, row.left_at)}"
    elif row.last_seen_at is None:
        since = f"was never heard from since it was declared {ago(known.now, last)}"
    message = (
        f"it is on release {name} and {since}; if it is gone:"
        f" `procver release retire {quote(name)} --instance {quote(instance.name)}`"
    )
    yield instance.found(STALE, message, row)


def _within(at: datetime | None, now: datetime, span: timedelta) -> bool:
    return at is not None and now - at < span
