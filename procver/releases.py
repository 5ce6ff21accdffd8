"""The life cycle of releases: activate, retire, discard; and what `release list` and `show` say."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from shlex import quote
from typing import Any, NamedTuple

from procver.creation import create
from procver.dialects import Call, Database, DdlError, Unit
from procver.errors import ConfigError, ConflictError, DatabaseError, StalePlanError, UsageError
from procver.evidence import dependents, left_alone, strangers
from procver.heartbeat import check_instance
from procver.known import (
    CONDEMNED,
    DROPPED,
    MOVING,
    Known,
    KnownChannel,
    KnownRelease,
    KnownVersion,
)
from procver.marking import Policy, drop_order, refuse_damaged
from procver.plan import restoration
from procver.project.workspace import Project
from procver.publish import ROUNDS, sparing
from procver.registry import writing
from procver.registry.actions import Action
from procver.registry.reading import read


class Changed(NamedTuple):
    """What a change of a release's life came to.

    Attributes:
        release: its name.
        state: what it is now.
        restored: physical names of versions that were re-created.
        freed: physical names of versions that were discarded.
        kept_by: instances that keep a retired release live.
        channels: channels that do.
        moved_from: the release that the named instance or channel was on before.
        without_instances: other releases that stay live though no instance is on them, where an instance moved.
        taken_off: whether the named instance is no longer on the release.
        remarks: objects that were left alone.
    """

    release: str
    state: str
    restored: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    kept_by: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    moved_from: str | None = None
    without_instances: tuple[str, ...] = ()
    taken_off: bool = False
    remarks: tuple[str, ...] = ()


def known_of(project: Project, database: Database) -> Known:
    """Return what the registry knows of the project.

    Raises:
        UsageError: nothing was published here yet.
    """
    known = read(database, project.config.name) if database.install(create=False) else None
    if known is None:
        raise unpublished(project)
    return known


def unpublished(project: Project) -> UsageError:
    """Return the error that says that the project is not known to a database."""
    return UsageError(
        f"project {project.config.name} has published nothing to this database",
        hint="run `procver publish --release NAME` first",
    )


def find_release(known: Known, name: str) -> KnownRelease:
    """Return a release by name.

    Raises:
        UsageError: there is no such release; the nearest names are in the hint.
    """
    release = known.release(name)
    if release is None:
        near = difflib.get_close_matches(name, [r.name for r in known.releases], 3, 0.5)
        raise UsageError(
            f"no release {name!r} in this database",
            hint=f"did you mean {' or '.join(near)}?" if near else "see `procver release list`",
        )
    return release


def activate(
    project: Project,
    database: Database,
    name: str,
    *,
    instance: str | None = None,
    channel: str | None = None,
    restore: bool = False,
) -> Changed:
    """Declare that a release is deployed: everywhere, on one instance, or wherever a channel is followed.

    Raises:
        UsageError: there is no such release.
        ConflictError: some of its versions were collected, and ``restore`` is not set.
    """
    if instance is not None:
        check_instance(instance)
    if channel is not None:
        check_channel(channel)
    for _ in range(ROUNDS):
        known = known_of(project, database)
        release = find_release(known, name)
        refuse_damaged(known, release)
        members = known.members(release)
        steps = restoration(members, known)
        if steps and not restore:
            hint = f"run `procver release activate {quote(name)} --restore` to re-create them"
            if any(step.known is not None and step.known.state != DROPPED for step in steps):
                hint += (
                    "; procver did not drop them all: if they are there, let this login see them"
                )
            raise ConflictError(
                f"release {name} needs {len(steps)} version(s) that are gone: "
                + ", ".join(step.physical for step in steps[:5])
                + (" ..." if len(steps) > 5 else ""),
                hint=hint,
            )
        closure = known.closure(version.id for version in members)
        spared = [v for v in closure if known.by_id[v].state == CONDEMNED]
        about = {
            "project_id": known.project_id,
            "release_id": release.id,
            "instance": instance,
            "channel": channel,
        }
        pointed = next((c.release_id for c in known.channels if c.name == channel), None)
        former = next((i for i in known.instances if i.name == instance and i.declared_at), None)
        active = release.activated_at is not None and release.retired_at is None
        settled = instance is None and (channel is None or pointed == release.id)
        empty = _without_instances(known, release, instance, project)
        if active and settled and not steps and not spared:
            return Changed(name, "live", without_instances=empty)
        unit = Unit(
            (
                Call("activate", about),
                *([Call("place_instance", about)] if instance else []),
                *([Call("point_channel", about)] if channel else []),
                *sparing(known, spared, name),
                *writing.recognise(known),
                writing.log(known.project_id, "activate", name, {"instance": instance})
                if channel is None
                else writing.log(known.project_id, "channel", name, {"channel": channel}),
            )
        )
        try:
            done = create(project, database, known, steps, name) if steps else 0
            for _ in database.run(known.project_id, known.generation + done, [unit]):
                pass
        except StalePlanError:
            continue
        left = former.release_id if former else pointed
        moved = next((r.name for r in known.releases if r.id == left and r != release), None)
        restored = tuple(s.physical for s in steps)
        return Changed(name, "live", restored, moved_from=moved, without_instances=empty)
    raise _contended()


def _without_instances(
    known: Known, release: KnownRelease, instance: str | None, project: Project
) -> tuple[str, ...]:
    """Return the live releases that no instance is on, nor a channel points to, once ``instance`` is on ``release``."""
    found: list[str] = []
    if instance is None:
        return ()
    for other in known.releases:
        declared = other.activated_at is not None and other.retired_at is None
        if other == release or not declared:
            continue
        living = known.living(other, project.config.gc.idle)
        if {i.name for i in living} <= {instance} and not known.channels_of(other):
            found.append(other.name)
    return tuple(found)


def retire(
    project: Project, database: Database, name: str, *, instance: str | None = None
) -> Changed:
    """Declare that a release is no longer deployed, anywhere or on one instance.

    Taking the last instance off a release retires it. A release stays live as long as instances are declared to be on
    it or were heard from lately, whatever is said of it here.

    Raises:
        UsageError: there is no such release, it was never activated, or the instance is not on it and never was.
        ConflictError: a channel points to it.
    """
    if instance is not None:
        check_instance(instance)
    for _ in range(ROUNDS):
        known = known_of(project, database)
        release = find_release(known, name)
        policy = policy_of(project)
        here = next((i for i in known.instances_of(release) if i.name == instance), None)
        if instance is not None and here is None:
            told = _told(project, database, "retire", name)
            if any(detail.get("instance") == instance for _, detail in told):
                stay = tuple(i.name for i in known.living(release, policy.idle))
                state = known.state(release, policy.idle)
                channels = tuple(known.channels_of(release))
                return Changed(name, state, kept_by=stay, channels=channels, taken_off=True)
            raise UsageError(
                f"instance {instance!r} is not on release {name}",
                hint="see `procver release list` for the instances of each release",
            )
        if release.activated_at is None:
            hint = f"`procver release discard {quote(name)}` takes it back; an activated one is retired"
            if known.was_used(release):
                hint = f"it was run all the same: `procver release activate {quote(name)}` first"
            raise UsageError(f"release {name} was never activated", hint=hint)
        others = [i.name for i in known.living(release, policy.idle) if i.name != instance]
        # One that is said to have stopped, and was heard from since, is believed.
        beats = (
            here is not None and known.latest.get(here.name) == here and known.heard(here, MOVING)
        )
        kept_by = (*others, *([instance] if beats and instance else []))
        channels = tuple(known.channels_of(release))
        state = "live" if kept_by or channels else "retired"
        about = {
            "project_id": known.project_id,
            "release_id": release.id,
            "instance": instance,
            "beats": beats,
        }
        if channels and instance is None:
            raise ConflictError(
                f"channel {', '.join(channels)} points to release {name}: apps that follow it run it",
                hint=f"point it to another one first: procver release channel {quote(channels[0])} NAME",
            )
        steps: list[Call] = []
        if here is not None and not (beats and here.declared_at is None):
            steps.append(Call("remove_instance", about))
        if release.retired_at is None and not channels and (instance is None or not others):
            steps.append(Call("retire", about))
        off = instance is not None and not beats
        done = Changed(name, state, kept_by=kept_by, channels=channels, taken_off=off)
        if not steps:
            return done
        steps.append(writing.log(known.project_id, "retire", name, {"instance": instance}))
        try:
            for _ in database.run(known.project_id, known.generation, [Unit(tuple(steps))]):
                pass
        except StalePlanError:
            continue
        return done
    raise _contended()


def _told(
    project: Project, database: Database, action: Action, release: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield subject and detail of what was done, newest first.

    Who lost the connection before the answer came runs the same command again: what is done already is answered for.
    """
    about = {"project": project.config.name, "actions": [action], "others": []}
    if release is not None:
        about["release"] = release
    for _, _, _, _, subject, detail, _ in database.read(Call("events", about))[0]:
        yield subject, detail if isinstance(detail, dict) else {}


def check_channel(name: str) -> None:
    """Refuse a channel name that could not be printed or typed again.

    Raises:
        UsageError: it is empty, longer than 200 characters, begins like an option, or holds blanks at its ends
            or control characters.
    """
    plain = name.isprintable() and name == name.strip() and not name.startswith("-")
    if not name or len(name) > 200 or not plain:
        raise UsageError(
            f"{name!r} cannot be a channel name",
            hint="use 1 to 200 printable characters, such as: stable",
        )


def find_channel(known: Known, name: str) -> KnownChannel:
    """Return a channel by name.

    Raises:
        UsageError: there is no such channel; the nearest names are in the hint.
    """
    for channel in known.channels:
        if channel.name == name:
            return channel
    near = difflib.get_close_matches(name, [c.name for c in known.channels], 3, 0.5)
    raise UsageError(
        f"no channel {name!r} in this database",
        hint=f"did you mean {' or '.join(near)}?"
        if near
        else f"`procver release channel {quote(name)} RELEASE` makes it",
    )


def remove_channel(project: Project, database: Database, name: str) -> str:
    """Remove a channel and return the release that it pointed to, which stays active. Apps that follow it stay on it.

    Raises:
        UsageError: there is no such channel.
    """
    for _ in range(ROUNDS):
        known = known_of(project, database)
        if all(channel.name != name for channel in known.channels):
            for subject, detail in _told(project, database, "channel"):
                if detail.get("channel") == name:
                    return subject
        channel = find_channel(known, name)
        release = next(r.name for r in known.releases if r.id == channel.release_id)
        about = {"project_id": known.project_id, "channel": name}
        line = writing.log(known.project_id, "channel", release, {"channel": name, "removed": True})
        try:
            unit = Unit((Call("remove_channel", about), line))
            for _ in database.run(known.project_id, known.generation, [unit]):
                pass
        except StalePlanError:
            continue
        return release
    raise _contended()


def discard(project: Project, database: Database, name: str | None) -> Changed:
    """Take back a release that was never used here: drop what only it used and free those numbers.

    Where the database is for trials, a retired release may be taken back too. One that was taken back already is answered
    for as it was then.

    Args:
        project: whose release.
        database: where.
        name: the release; None for what no release uses, as an unfinished publish leaves it.

    Raises:
        UsageError: there is no such release.
        ConflictError: it is live, or was, or something in the database holds on to its versions.
    """
    for _ in range(ROUNDS):
        known = known_of(project, database)
        if name is not None and known.release(name) is None:
            for _, detail in _told(project, database, "discard", name):
                freed = detail.get("versions")
                names = freed if isinstance(freed, list) else []
                return Changed(name, "discarded", freed=tuple(sorted(map(str, names))))
        release = None if name is None else find_release(known, name)
        if release and known.is_live(release, project.config.gc.idle):
            raise ConflictError(
                f"release {name} is live{_where(known, release, project)}",
                hint=f"`procver release retire {quote(release.name)}` first; a live release is never taken back",
            )
        if release and known.was_used(release) and not known.trials:
            raise ConflictError(
                f"release {release.name} was {_past(release)} here: what it used is not taken back but collected",
                hint="`procver gc` shows what nothing needs any more, and `procver gc --apply` drops it in time; only a"
                " database for trials (`trials = true`) lets a retired release be discarded",
            )
        others = [r for r in known.releases if r != release]
        kept = set(known.closure(known.users(others)))
        mine = [known.by_id[v] for v in sorted(_reach(known, release, kept))]
        present = [v for v in mine if v.state != DROPPED]
        order = drop_order(known, [v.id for v in present])
        what = "what no release uses" if name is None else f"release {name}"
        holders, _ = dependents(database, [known.by_id[version] for version in order])
        for version in order:
            if version in holders:  # not every server refuses to drop what others stand on
                raise ConflictError(
                    f"{what} cannot be discarded: {known.by_id[version].physical}: {holders[version]}",
                    hint="drop or change what depends on it, then run the same command again",
                )
        strange = strangers(database, project.config.name, [known.by_id[v] for v in order])
        statements = drop_statements(database, order)
        drops = [(known.by_id[v], statements.get(v, ())) for v in order]
        drops += [(v, ()) for v in mine if v.state == DROPPED]
        if release is None and not mine:
            return Changed("", "discarded")
        try:
            unit = writing.discard(known, release, drops, project.config.gc.idle)
            for _ in database.run(known.project_id, known.generation, [unit]):
                pass
        except StalePlanError:
            continue
        except DdlError as error:
            if error.refused:
                raise
            raise ConflictError(
                f"{what} cannot be discarded: {error.message}"
                + (f" ({error.detail})" if error.detail else ""),
                hint="drop or change what depends on it, then run the same command again",
            ) from None
        freed = tuple(sorted(version.physical for version in mine))
        left = (r for v in order for r in left_alone(known.by_id[v], strange.get(v, ())))
        return Changed(name or "", "discarded", freed=freed, remarks=tuple(left))
    raise _contended()


def _past(release: KnownRelease) -> str:
    if release.activated_at is not None:
        return f"activated on {release.activated_at:%Y-%m-%d}"
    return "run by an instance"


def _reach(known: Known, release: KnownRelease | None, kept: set[int]) -> set[int]:
    """Return the ids of versions that only a release uses, with what stands on these; without one, all that are not kept."""
    if release is None:
        return known.by_id.keys() - kept
    found = set(known.closure(v.id for v in known.versions_at(release.number))) - kept
    stack = list(found)
    while stack:
        above = set(known.required_by.get(stack.pop(), ())) - found
        found |= above
        stack += above
    return found


def _where(known: Known, release: KnownRelease, project: Project) -> str:
    living = known.living(release, project.config.gc.idle)
    return f" on {', '.join(i.name for i in living[:5])}" if living else ""


def drop_statements(database: Database, ids: list[int]) -> dict[int, list[str]]:
    """Return the statements that drop each version, as the catalog has it now."""
    found: dict[int, list[str]] = {}
    for version_id, statement in database.read(Call("drops", {"ids": ids}))[0]:
        found.setdefault(version_id, []).append(statement)
    return found


def policy_of(project: Project) -> Policy:
    """Return the project's ``[gc]`` configuration as marking takes it.

    Raises:
        ConfigError: a pin is no name.
    """
    gc = project.config.gc
    pins: list[str] = []
    for pin in gc.pins:
        try:
            pins.append(project.scanner.quote(project.name(pin)))
        except UsageError as error:
            raise ConfigError(
                f"procver.toml: [gc] pins: {error.message}",
                hint="a pin is a version's name, such as app.find_things_3; see `procver release show`",
            ) from None
    return Policy(
        gc.keep_releases, gc.grace, gc.idle, gc.quarantine, gc.unactivated, tuple(pins),
        ignore_case=project.scanner.ignores_case,
    )  # fmt: skip


def difference(
    known: Known, one: KnownRelease, other: KnownRelease
) -> list[tuple[str, KnownVersion | None, KnownVersion | None]]:
    """Return the objects in which two releases differ: label, version in the one, version in the other."""
    left = {version.label: version for version in known.members(one)}
    right = {version.label: version for version in known.members(other)}
    return [
        (label, left.get(label), right.get(label))
        for label in sorted({*left, *right})
        if left.get(label) != right.get(label)
    ]


def _contended() -> DatabaseError:
    return DatabaseError(
        f"other commands kept writing to the registry: gave up after {ROUNDS} attempts",
        hint="run the same command again",
    )
