"""log, status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice
from pathlib import Path

import click

from procver import audit
from procver.cli.group import Context, command
from procver.cli.output import table
from procver.errors import UsageError
from procver.project.files import is_stdout
from procver.project.outputs import write_output
from procver.registry.actions import ACTIONS, Action
from procver.status import Status, status

_NAMES = 3
"""Versions named in one line of the log; the JSON names all."""


@click.command()
@command()
@click.option("--since", metavar="TIME", help="Not before this: 7d (ago), or 2026-11-21T09:30.")
@click.option("--until", metavar="TIME", help="Before this; as --since.")
@click.option(
    "--action", "actions", multiple=True, type=click.Choice(ACTIONS), metavar="ACTION",
    help=f"Only these, repeatable: {', '.join(ACTIONS)}.",
)  # fmt: skip
@click.option("--actor", metavar="LOGIN", help="What this login did.")
@click.option("--release", metavar="NAME", help="What concerns this release.")
@click.option("--object", "version", metavar="NAME_N", help="What concerns this version.")
@click.option(
    "-n", "--limit", metavar="N", type=click.IntRange(min=1), default=50, show_default=True,
    help="At most the newest N.",
)  # fmt: skip
@click.option("--all", "all_", is_flag=True, help="No limit.")
def log_command(
    context: Context,
    since: str | None,
    until: str | None,
    actions: tuple[Action, ...],
    actor: str | None,
    release: str | None,
    version: str | None,
    limit: int,
    all_: bool,
) -> None:
    """Show the audit trail, newest first: when, who, from where, what."""
    project = context.project
    asked = audit.Asked(
        since=None if since is None else audit.moment(since),
        until=None if until is None else audit.moment(until),
        actions=actions,
        actor=actor,
        release=release,
        version=None if version is None else project.scanner.quote(project.name(version)),
    )
    found = audit.events(project, context.connect(), asked, None if all_ else limit)
    if context.output.as_json:
        context.output.data({"events": [event.as_json() for event in found]})
        return
    first = list(islice(found, 1))
    context.output.data(None, (_line(event) for event in chain(first, found)))
    if not first:
        context.output.remark("no event fits what was asked for")


def _line(event: audit.Event) -> str:
    who = event.actor if event.client is None else f"{event.actor} from {event.client}"
    what = click.style(_plain(event.action).ljust(10), fg=_COLOURS.get(event.action))
    words = "; ".join(_words(event))
    said = f"{event.subject or '-'}{': ' if words else ''}{words}  ({who})"
    return f"{_short(event.at)}  {what}  {_plain(said)}"


def _plain(text: str) -> str:
    """Return a text without what a terminal would obey: a role that only collects may write it."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


_COLOURS = {"drop": "red", "discard": "red", "condemn": "yellow", "quarantine": "yellow"}


_ORDER = {
    key: at
    for at, key in enumerate(
        ("why", "evidence", "because", "instance", "created", "reused", "versions")
    )
}


def _words(event: audit.Event) -> Iterator[str]:
    """Yield what the detail says: first why and how much, then which versions, then the rest."""
    detail = event.detail or {}
    for key in sorted(detail, key=lambda key: (_ORDER.get(key, len(_ORDER)), key)):
        value = detail[key]
        if value is None or value == [] or value == "":
            continue
        if key == "versions" and isinstance(value, list):
            names = [name for name in value if name != event.subject]
            more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
            if names:
                yield ", ".join(map(str, names[:_NAMES])) + more
        elif key in ("why", "evidence"):
            yield str(value)
        elif key == "because" and _reasons(value):
            yield _reasons(value)[0]
        elif key == "instance":
            yield f"on {value}"
        else:
            shown = (
                value if isinstance(value, (str, int)) else json.dumps(value, ensure_ascii=False)
            )
            yield f"{key.replace('_', ' ')} {shown}"


def _reasons(because: object) -> list[str]:
    """Return the first version's reasons."""
    values = because.values() if isinstance(because, dict) else ()
    first = next(iter(values), None)
    return [str(reason) for reason in first] if isinstance(first, list) else []


def _short(value: datetime) -> str:
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@click.command()
@command()
@click.option(
    "--format", "format_", type=click.Choice(["text", "prometheus"]), default="text",
    help="For people, or as Prometheus reads it.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write to a file, whole or not at all, instead of stdout.",
)  # fmt: skip
def status_command(context: Context, format_: str, output: Path | None) -> None:
    """Show releases, versions, instances and the last gc on one page, or as metrics."""
    if format_ == "prometheus" and context.output.as_json:
        raise UsageError("--json and --format prometheus at once", hint="leave one of them out")
    found = status(context.project, context.connect())
    if format_ == "prometheus":
        from procver.metrics import exposition

        lines = list(exposition(found))
    else:
        lines = list(_page(found))
    if output is None or is_stdout(output):
        context.output.data(found.as_json(), lines)
        return
    plain = [click.unstyle(line) for line in lines]
    text = json.dumps(found.as_json(), indent=2, ensure_ascii=False)
    write_output(
        context.project.config,
        output,
        (text if context.output.as_json else "\n".join(plain)) + "\n",
    )


def _page(found: Status) -> Iterator[str]:
    def row(title: str, text: str) -> str:
        return f"{title:<13}{text}"

    def counts(by: dict[str, int]) -> str:
        return ", ".join(f"{count} {state}" for state, count in by.items())

    yield click.style(f"project {found.project}, {_short(found.at)}", bold=True)
    names = ", ".join(found.live[:5]) + (" ..." if len(found.live) > 5 else "")
    yield row("releases", counts(found.releases) + (f" (live: {names})" if names else ""))
    yield row("versions", counts(found.versions))
    if found.oldest is None:
        yield row("unreferenced", "none")
    else:
        oldest = f"{found.oldest.physical}, for {_age(found.oldest.seconds)}"
        yield row("unreferenced", f"{found.unneeded}, the oldest {oldest}")
    last = found.gc
    if last is None:
        yield row("last gc", "never")
    else:
        where = f" from {last.client}" if last.client else ""
        yield row(
            "last gc",
            f"{_short(last.at)} by {last.actor}{where}:"
            f" {last.dropped} dropped, {last.condemned} condemned, {last.kept} kept",
        )
    if found.instances:
        yield ""
        rows = [(i.release, str(i.living), str(i.stale)) for i in found.instances]
        yield from table(("RELEASE", "LIVING", "STALE"), rows)


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
