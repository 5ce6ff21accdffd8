"""why, gc, restore, verify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import click

from procver import restore
from procver.cli.group import Context, command
from procver.collect import Limits, collect, survey
from procver.decision import Collection
from procver.errors import ConfigError, FindingsError, UsageError
from procver.project.config import duration
from procver.verify import verify


@click.command()
@command()
@click.argument("version", metavar="NAME_N")
def why_command(context: Context, version: str) -> None:
    """Show who keeps a version alive."""
    found = restore.why(context.project, context.connect(), version)
    state = found.as_json()["state"]
    head = f"{found.version.physical}: version {found.version.number} of {found.version.label}, {state}"
    lines = [head, *(f"  {' -> '.join(chain)}" for chain in found.chains)]
    if not found.chains:
        lines.append(
            "  nothing needs it: gc may collect it"
            if state != "dropped"
            else f"  nothing needs it; `procver restore {found.version.physical}` brings it back"
        )
    context.output.data(found.as_json(), lines)


@click.command()
@command()
@click.option("--apply", "apply_", is_flag=True, help="Condemn and drop; without it gc only shows.")
@click.option(
    "--max", "most", type=click.IntRange(min=0), metavar="N", help="Drop at most N versions."
)
@click.option(
    "--for", "time", metavar="DURATION", help="Begin no drop after this time, such as 90s or 5m."
)
@click.option(
    "--retire-idle", is_flag=True,
    help="Retire live releases from which no instance was heard for [gc] idle; never the newest.",
)  # fmt: skip
def gc_command(
    context: Context, apply_: bool, most: int | None, time: str | None, retire_idle: bool
) -> None:
    """Collect versions that nothing deployed needs any more."""
    limits = Limits(most, None if time is None else _seconds(time))
    database = context.connect()
    if apply_:
        with context.output.progress("collecting") as progress:
            found = collect(context.project, database, progress, limits, retire_idle=retire_idle)
    else:
        _, found = survey(context.project, database)
    for what in found.unknown:
        context.output.remark(
            f"{click.style('warning:', fg='yellow')} what depends on a version cannot be known: {what};"
            ' [gc] unknown = "drop" in procver.toml collects nevertheless'
        )
    for remark in found.remarks:
        context.output.remark(f"{click.style('note:', fg='blue')} {remark}")
    for pin in found.strays:
        context.output.remark(
            f"{click.style('warning:', fg='yellow')} [gc] pins names {pin}, which is no version that was published here"
        )
    context.output.data(found.as_json(), _gc_lines(found))


def _seconds(text: str) -> float:
    try:
        return duration(text).total_seconds()
    except ConfigError as error:
        raise UsageError(f"--for: {error.message}", hint=error.hint) from None


def _short(value: datetime) -> str:
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _gc_lines(found: Collection) -> Iterator[str]:
    for idle in found.retire:
        said = "retired" if found.retired else "`procver gc --apply --retire-idle` would retire"
        yield f"  {click.style(said, fg='yellow')} release {idle.release.name}: {idle.why}"
    verb = "dropped" if found.applied else "would drop"
    for drop in found.drop:
        yield f"  {click.style(verb, fg='red')} {drop.version.physical}: {drop.why}"
    for condemned in found.condemn:
        verb = "condemned" if found.applied or condemned.version.condemned_at else "would condemn"
        then = "be dropped" if found.policy.quarantine is None else "go into quarantine"
        yield f"  {click.style(verb, fg='yellow')} {condemned.version.physical}: may {then} after {_short(condemned.until)}"
    for shut in found.quarantine:
        verb = "quarantined" if found.applied or shut.version.quarantined_at else "would quarantine"
        yield (
            f"  {click.style(verb, fg='yellow')} {shut.version.physical}: only its owner may use it;"
            f" may be dropped after {_short(shut.until)}"
        )
    for keep in found.keep:
        if keep.evidence:
            yield f"  {click.style('kept', fg='green')} {keep.version.physical}: {'; '.join(keep.because)}"
    held = {reason for keep in found.keep if keep.evidence for reason in keep.because}
    reasons: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for keep in found.keep:
        if not keep.evidence:
            chains = (reason.split(" -> ") for reason in keep.because)
            # What holds a version was said with that version: what it needs is kept for it.
            roots = {chain[1] if chain[0] in held else chain[0] for chain in chains}
            reasons.update(roots)
            alone.update(roots if len(roots) == 1 else ())
    for reason, count in sorted(reasons.items()):
        only = "" if alone[reason] == count else f", {alone[reason] or 'none'} of them for it alone"
        yield f"  kept {count} for {reason}{only}"
    done = f"{found.dropped} dropped" if found.applied else f"{len(found.drop)} to drop"
    closed = f", {len(found.quarantine)} in quarantine" if found.quarantine else ""
    yield f"{done}, {len(found.condemn)} condemned{closed}, {len(found.keep)} kept"
    if found.remaining:
        yield f"{found.remaining} more may be dropped: the next run goes on"
    if not found.applied and (found.drop or found.condemn or found.quarantine):
        yield "nothing was changed: `procver gc --apply` does it"


@click.command()
@command()
@click.argument("version", metavar="NAME_N")
def restore_command(context: Context, version: str) -> None:
    """Re-create a collected version, and what it needs, as it was."""
    database = context.connect()
    done = restore.restore(context.project, database, version)
    lines = [f"restored {physical}" for physical in done] or ["nothing to do: it is there"]
    if done and not restore.why(context.project, database, version).kept:
        lines.append("no release needs it: pin it in [gc] pins, or a later gc collects it again")
    context.output.data({"restored": list(done)}, lines)


@click.command()
@command()
def verify_command(context: Context) -> None:
    """Look for drift: missing, altered or wrongly granted versions of releases that are kept."""
    findings = verify(context.project, context.connect())
    lines = [
        f"{click.style(f.rule, fg='red')} {f.object}: {f.message}"
        + (f" (release {', '.join(f.releases)})" if f.releases else "")
        for f in findings
    ]
    context.output.data(
        {"findings": [finding.as_json() for finding in findings]},
        lines or ["everything is as it was published"],
    )
    if findings:
        raise SystemExit(FindingsError.exit_code)
