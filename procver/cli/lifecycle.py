"""The release commands: list, show, activate, retire, discard, diff."""

from __future__ import annotations

from datetime import datetime
from shlex import quote
from typing import Any

import click

from procver import releases
from procver.cli.group import Context, command
from procver.cli.output import table
from procver.errors import UsageError
from procver.instances import Discord, discords
from procver.known import Known, KnownRelease
from procver.releases import Changed, find_release, known_of, policy_of


@click.group()
def release_command() -> None:
    """Releases: what is published, live and retired."""


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _short(value: datetime | None) -> str:
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S") if value else "-"


def _about(
    context: Context, known: Known, release: KnownRelease, found: list[Discord]
) -> dict[str, Any]:
    rules: dict[str, list[str]] = {}
    for discord in found:
        if release.name in discord.releases:
            rules.setdefault(discord.instance, []).append(discord.rule)
    return {
        "name": release.name,
        "state": known.state(release, policy_of(context.project).idle),
        "published_at": _time(release.published_at),
        "published_by": release.published_by,
        "activated_at": _time(release.activated_at),
        "retired_at": _time(release.retired_at),
        "channels": known.channels_of(release),
        "instances": [
            {
                "name": i.name,
                "declared_at": _time(i.declared_at),
                "last_seen_at": _time(i.last_seen_at),
                "left_at": _time(i.left_at),
                "moved": i.last_seen_at is not None and known.latest[i.name] != i,
                "rules": rules.get(i.name, []),
            }
            for i in known.instances_of(release)
        ],
    }


def _instances(about: dict[str, Any]) -> str:
    """Return the names of a release's instances, with what is remarkable about them."""
    shown = []
    for instance in about["instances"]:
        words = [rule.removeprefix("instance-") for rule in instance["rules"]]
        if not words and (instance["left_at"] or instance["moved"]):
            words = ["left" if instance["left_at"] else "moved on"]
        shown.append(instance["name"] + (f" ({', '.join(words)})" if words else ""))
    return ", ".join(shown) or "-"


@release_command.command("list")
@command()
def list_(context: Context) -> None:
    """List releases in the order of their publication."""
    known = known_of(context.project, context.connect())
    found: dict[str, list[Discord]] = {}
    for discord in discords(known, policy_of(context.project).idle):
        for of in discord.releases:
            found.setdefault(of, []).append(discord)
    about = [_about(context, known, r, found.get(r.name, [])) for r in known.releases]
    rows = [
        (
            a["name"], a["state"], _short(r.published_at), _short(r.activated_at), _short(r.retired_at),
            _instances(a),
        )
        for a, r in zip(about, known.releases, strict=True)
    ]  # fmt: skip
    head = ("RELEASE", "STATE", "PUBLISHED", "ACTIVATED", "RETIRED", "INSTANCES")
    context.output.data({"releases": about}, table(head, rows))


@release_command.command()
@command()
@click.argument("name")
def show(context: Context, name: str) -> None:
    """Show a release: its state, its instances, its versions."""
    known = known_of(context.project, context.connect())
    release = find_release(known, name)
    members = known.members(release)
    found = discords(known, policy_of(context.project).idle)
    document = _about(context, known, release, found) | {
        "objects": {
            v.label: {
                "kind": str(v.kind),
                "version": v.number,
                "physical": v.physical,
                "fingerprint": v.fingerprint,
                "state": v.state if v.found else "dropped",
            }
            for v in members
        }
    }
    lines = [
        f"release {name}: {document['state']}",
        f"  published {_short(release.published_at)} by {release.published_by}",
        f"  activated {_short(release.activated_at)}, retired {_short(release.retired_at)}",
        *(f"  channel {channel} points to it" for channel in document["channels"]),
        *(
            f"  instance {i.name}, declared {_short(i.declared_at)}, last heard from {_short(i.last_seen_at)}"
            + (f", left {_short(i.left_at)}" if i.left_at else "")
            for i in known.instances_of(release)
        ),
        *(f"  {d.rule} {d.instance}: {d.message}" for d in found if name in d.releases),
        *table(
            ("OBJECT", "KIND", "PHYSICAL", "STATE"),
            [
                (v.label, str(v.kind), v.physical, v.state if v.found else "dropped")
                for v in members
            ],
        ),
    ]
    context.output.data(document, lines)


def _say(context: Context, done: Changed, *lines: str, **more: Any) -> None:
    document = {"release": done.release, "state": done.state, **more}
    said = [
        f"release {done.release} is {done.state}",
        *(f"  {line}" for line in lines),
        *(f"  restored {physical}" for physical in done.restored),
        *(f"  freed {physical}" for physical in done.freed),
    ]
    context.output.data(document, said)


def _without_instances(done: Changed) -> list[str]:
    """Return a line for each release that is live with nobody on it, with the command that ends that."""
    return [
        f"release {name} is still live, and no instance is on it: when nothing runs it any more,"
        f" `procver release retire {quote(name)}`"
        for name in done.without_instances
    ]


def _retired(done: Changed, instance: str | None) -> list[str]:
    """Return what `release retire` did, in words."""
    lines = []
    if instance is not None and done.taken_off:
        lines.append(f"instance {instance} is no longer on it")
    elif instance is not None:
        lines.append(f"instance {instance} was heard from on it just now, and is believed")
    if done.channels:
        lines.append(f"channel {', '.join(done.channels)} points to it")
    if done.kept_by:
        lines.append(
            f"kept live by instance {', '.join(done.kept_by)}, declared or heard from lately"
        )
        if instance is None:
            lines.append("it is retired as soon as no instance is on it; one that has stopped:")
            lines += [
                f"  `procver release retire {quote(done.release)} --instance {quote(name)}`"
                for name in done.kept_by
            ]
    return lines


@release_command.command()
@command()
@click.argument("name")
@click.option("-i", "--instance", metavar="NAME", help="Only this instance of the app runs it now.")
@click.option("--restore", is_flag=True, help="Re-create versions of it that were collected.")
def activate(context: Context, name: str, instance: str | None, restore: bool) -> None:
    """Declare that a release is deployed. Rolling back is activating the earlier one."""
    done = releases.activate(
        context.project, context.connect(), name, instance=instance, restore=restore
    )
    moved = [f"the instance was on release {done.moved_from} before"] if done.moved_from else []
    _say(
        context, done, *moved, *_without_instances(done), instance=instance, restored=list(done.restored),
        moved_from=done.moved_from, without_instances=list(done.without_instances),
    )  # fmt: skip


@release_command.command()
@command()
@click.argument("name")
@click.option("-i", "--instance", metavar="NAME", help="Only this instance stopped running it.")
def retire(context: Context, name: str, instance: str | None) -> None:
    """Declare that a release is no longer deployed: gc may collect what only it needs."""
    done = releases.retire(context.project, context.connect(), name, instance=instance)
    _say(
        context, done, *_retired(done, instance), instance=instance, kept_by=list(done.kept_by),
        channels=list(done.channels), taken_off=done.taken_off,
    )  # fmt: skip


@release_command.command()
@command()
@click.argument("channel", required=False)
@click.argument("name", metavar="RELEASE", required=False)
@click.option("--restore", is_flag=True, help="Re-create versions of RELEASE that were collected.")
@click.option("--remove", is_flag=True, help="Remove the channel; its release stays active.")
def channel(
    context: Context, channel: str | None, name: str | None, restore: bool, remove: bool
) -> None:
    """Show where channels point to; point one to a release, which activates that."""
    if (remove and (channel is None or name)) or (restore and (name is None or remove)):
        raise UsageError(
            "--remove takes a channel alone, and --restore a channel and a release",
            hint="see: procver release channel --help",
        )
    database = context.connect()
    if channel is not None and name is not None:
        done = releases.activate(context.project, database, name, channel=channel, restore=restore)
        document = {
            "channel": channel,
            "release": done.release,
            "moved_from": done.moved_from,
            "restored": list(done.restored),
        }
        lines = [f"channel {channel} points to release {name}"]
        if done.moved_from:
            lines.append(
                f"  it pointed to release {done.moved_from}, which stays live until it is retired:"
                f" `procver release retire {quote(done.moved_from)}`"
            )
        lines += [f"  restored {physical}" for physical in done.restored]
        context.output.data(document, lines)
        return
    if channel is not None and remove:
        former = releases.remove_channel(context.project, database, channel)
        line = f"channel {channel} is removed; release {former} stays active"
        context.output.data({"channel": channel, "release": None, "moved_from": former}, [line])
        return
    known = known_of(context.project, database)
    chosen = known.channels if channel is None else [releases.find_channel(known, channel)]
    names = {release.id: release.name for release in known.releases}
    rows = [(c.name, names[c.release_id], _short(c.changed_at), c.changed_by) for c in chosen]
    listed = [
        {
            "channel": c.name,
            "release": names[c.release_id],
            "changed_at": _time(c.changed_at),
            "changed_by": c.changed_by,
        }
        for c in chosen
    ]
    head = ("CHANNEL", "RELEASE", "CHANGED", "BY")
    context.output.data({"channels": listed}, table(head, rows) if rows else ["no channels"])


@release_command.command()
@command()
@click.argument("name", required=False)
@click.option(
    "--leftovers", is_flag=True,
    help="Instead of a release: what no release uses, as an unfinished publish leaves it.",
)  # fmt: skip
def discard(context: Context, name: str | None, leftovers: bool) -> None:
    """Take back a release that was only a trial here, and free its numbers."""
    if leftovers == (name is not None):
        raise UsageError("name a release, or --leftovers", hint="see `procver release list`")
    done = releases.discard(context.project, context.connect(), name)
    for remark in done.remarks:
        context.output.remark(f"{click.style('note:', fg='blue')} {remark}")
    if name is not None:
        _say(context, done, freed=list(done.freed))
        return
    lines = [f"freed {physical}" for physical in done.freed] or ["nothing was left over"]
    context.output.data({"release": None, "state": done.state, "freed": list(done.freed)}, lines)


@release_command.command()
@command()
@click.argument("one")
@click.argument("other")
def diff(context: Context, one: str, other: str) -> None:
    """List the objects in which two releases differ."""
    known = known_of(context.project, context.connect())
    found = releases.difference(known, find_release(known, one), find_release(known, other))
    document = [
        {"name": label, "one": left and left.physical, "other": right and right.physical}
        for label, left, right in found
    ]
    rows = [
        (label, left.physical if left else "-", right.physical if right else "-")
        for label, left, right in found
    ]
    lines = list(table(("OBJECT", one, other), rows)) if rows else ["the two releases are alike"]
    context.output.data({"one": one, "other": other, "differences": document}, lines)
