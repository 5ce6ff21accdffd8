"""plan, publish, map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from procver import mapping
from procver.cli.group import Context, command
from procver.cli.output import emit
from procver.contract import Contract
from procver.errors import FindingsError
from procver.known import Known
from procver.plan import PIN, RESTORED, RETURNED, UNRELEASED, Plan
from procver.project.config import Config
from procver.project.files import is_stdout
from procver.project.outputs import check_map, write_map, write_output
from procver.publish import check_release_name, preview, publish
from procver.releases import find_release, known_of


@click.command()
@command()
@click.option("-r", "--release", metavar="NAME", help="Plan this release.")
def plan(context: Context, release: str | None) -> None:
    """Show what publish would do, and why each new version is needed."""
    database = context.connect()
    found, _ = preview(context.project, database, release, target=context.target_name)
    document = {**found.as_json(), "remarks": context.remarks(found.remarks)}
    context.output.data(document, _plan_lines(found))


@click.command("publish")
@command()
@click.option(
    "-r", "--release", metavar="NAME", required=True, help="The release's name, unique for ever."
)
@click.option("--locked", is_flag=True, help="Refuse to add to procver.lock: for pipelines.")
@click.option("-n", "--dry-run", is_flag=True, help="Show the plan, change nothing.")
def publish_(context: Context, release: str, locked: bool, dry_run: bool) -> None:
    """Publish the sources as a release, and write its mapping."""
    project, output = context.project, context.output
    check_map(project.config)
    target = context.target_name
    if dry_run:
        found, _ = preview(project, context.connect(), release, locked=locked, target=target)
        document = {**found.as_json(), "remarks": context.remarks(found.remarks)}
        output.data({**document, "seconds": 0.0, "mapping": None}, _plan_lines(found))
        return
    database = context.connect()
    with output.progress(f"publishing {release}") as progress:
        done = publish(project, database, release, locked=locked, progress=progress, target=target)
    remarks = context.remarks(done.plan.remarks, brief=True)
    write_map(project.config, _mapping(project.config, release, done.contract, "json"))
    document = {
        **(done.plan.as_json() if output.as_json else {}),
        "remarks": remarks,
        "seconds": round(done.seconds, 3),
        "mapping": project.config.map,
    }
    lines = [*_plan_lines(done.plan), f"mapping written to {project.config.map}"]
    output.data(document, lines)


@click.command("map")
@command()
@click.option(
    "-r", "--release", metavar="NAME", required=True, help="The release's name, put into the file."
)
@click.option(
    "--from-database", is_flag=True, help="The release as it was published: needs no sources."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(mapping.FORMATS)),
    default="json",
    show_default=True,
    help="For the resolver, or constants for an app in this language.",
)
@click.option("-o", "--output", "path", metavar="FILE", help="Write here instead of stdout (-).")
def map_(context: Context, release: str, from_database: bool, form: str, path: str | None) -> None:
    """Write the mapping of the sources as they are, offline, or of a published release."""
    project = context.project
    check_release_name(release)
    if from_database:
        text = _recorded(project.config, known_of(project, context.connect()), release, form)
    else:
        text = _mapping(project.config, release, project.contract(), form)
    if path is None or is_stdout(path):
        emit(text, newline=False)
        return
    write_output(project.config, Path(path), text)
    context.output.data({"release": release, "mapping": path}, [f"mapping written to {path}"])


def _mapping(config: Config, release: str, contract: Contract, form: str) -> str:
    return mapping.FORMATS[form](
        release,
        config.dialect,
        contract.mapped(),
        default_schema=contract.default_schema,
        project=config.name,
        digest=contract.content,
    )


def _recorded(config: Config, known: Known, name: str, form: str) -> str:
    """Return the mapping of a release as the registry holds it.

    Raises:
        UsageError: there is no such release.
        FindingsError: the registry lacks versions of it, or has others.
    """
    release = find_release(known, name)
    members = known.members(release)
    if not known.intact(release):
        raise FindingsError(
            f"the versions that the registry holds for release {name} are not those that were published",
            hint="somebody changed procver.membership or procver.version by hand; see `procver release show`",
        )
    mapped = [mapping.Mapped(v.label, v.kind, v.number, v.physical, v.fingerprint) for v in members]
    return mapping.FORMATS[form](
        name,
        config.dialect,
        mapped,
        default_schema=release.default_schema,
        project=config.name,
        digest=release.content,
    )


_COSMETIC = 10
"""How many objects are named of which only comments or layout changed: after a reformatting it is all of them, for ever."""

_MOVES = {
    PIN: "by its pin",
    RETURNED: "back to version {}",
    UNRELEASED: "created before, in no release yet",
}

_COLOURS = {"new": "green", "changed": "yellow", "dependency": "cyan", RESTORED: "magenta"}


def _plan_lines(plan: Plan) -> Iterator[str]:
    width = max((len(c.physical) for c in plan.create), default=0)
    reasons = {reason: click.style(reason, fg=colour) for reason, colour in _COLOURS.items()}
    for c in plan.create:
        because = f" of {', '.join(c.because)}" if c.because else ""
        yield f"  + {c.physical.ljust(width)}  {reasons[c.reason]}{because}"
    for m in plan.moved:
        how = click.style(_MOVES[m.reason].format(m.version.number), fg="magenta")
        was = m.before.physical if m.before else "no version"
        yield f"  > {m.version.physical}  {how}; the release before has {was}"
    for name in plan.cosmetic[:_COSMETIC]:
        yield f"  ~ {name}  only comments or layout changed: no new version"
    if len(plan.cosmetic) > _COSMETIC:
        yield f"  ~ and {len(plan.cosmetic) - _COSMETIC} more, of which only comments or layout changed"
    for name in plan.left:
        yield f"  - {name}  in the release before, and no source defines it"
    what = f"release {plan.release}: " if plan.release else ""
    note = "; the release is there already" if plan.release and plan.number is None else ""
    if plan.replaces is not None:
        note = "; it replaces what was published under this name and never activated"
    yield f"{what}{len(plan.create)} to create, {plan.reuse} reused{note}"


plan_command = plan
publish_command = publish_
map_command = map_
