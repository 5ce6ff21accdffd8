"""lock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from procver.cli.group import Context, command
from procver.errors import FindingsError, UsageError
from procver.lock import Entry
from procver.project import lockfile
from procver.project.git import Branches
from procver.project.merging import Move
from procver.project.workspace import Renewed


class _Verbs(NamedTuple):
    add: str
    restore: str
    renumber: str


_DID = _Verbs("added", "restored", "renumbered")
_WOULD = _Verbs("would add", "would restore", "would renumber")


@click.command()
@command(target=False)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if the lock file would change.")
@click.option(
    "--base", metavar="REF", is_flag=False, flag_value="",
    help="Take over the lock file of this git revision [default: the remote's main branch].",
)  # fmt: skip
@click.option(
    "--merge-driver", is_flag=True,
    help="Merge THEIRS into OURS. Git runs this, see: init --git.",
)  # fmt: skip
@click.argument(
    "files", metavar="[BASE OURS THEIRS [PATH]]", nargs=-1, type=click.Path(path_type=Path)
)
def lock(
    context: Context, check: bool, base: str | None, merge_driver: bool, files: tuple[Path, ...]
) -> None:
    """Give numbers to new versions, in procver.lock, offline."""
    if merge_driver:
        if check or base is not None:
            raise UsageError("--merge-driver takes no other option", hint="see: procver init --git")
        _merge(context, files)
        return
    if files:
        raise UsageError(
            f"unexpected argument {str(files[0])!r}",
            hint="write procver lock --base REF for a revision; files go with --merge-driver",
        )
    project = context.project
    if check and base is None:
        lockfile.read(project.config)
    renewed = project.renewed(base)
    _, found, added = renewed.numbered
    project.check(renewed.numbered)
    main = _main(context, renewed.branches, check)
    for error in renewed.damaged:
        context.warn(f"{error}: this line was passed over", error.hint)
    document = {
        "added": [_entry(entry) for entry in added],
        "moved": [{**_entry(entry), "from": entry.number, "version": number} for entry, number in renewed.moved],
        "restored": [_entry(entry) for entry in renewed.restored],
        "versions": len(found),
        "main": main,
        "remarks": context.remarks(),
    }  # fmt: skip
    differs = not lockfile.holds(project.config, found)
    if differs and not check:
        lockfile.write(project.config, found)
    lines = list(_lines(renewed, _WOULD if check else _DID))
    if differs and not lines:
        lines = [f"{'would take' if check else 'took'} over the versions of other branches"]
    context.output.data(document, lines or ["procver.lock is up to date"])
    if check and differs:
        raise SystemExit(FindingsError.exit_code)


def _main(context: Context, branches: Branches, check: bool) -> str | None:
    """Return the name of the remote's main branch; warn, or refuse to check, without it."""
    if branches.main is not None:
        return branches.main.name
    if check and branches.shallow:
        raise UsageError(
            f"cannot compare procver.lock with the main branch: {branches.absent}, which is shallow",
            hint="fetch the whole history: fetch-depth: 0 for actions/checkout,"
            " git fetch --unshallow elsewhere",
        )
    if check or branches.shallow:
        context.warn(
            f"{branches.absent}: numbers are not compared with those of a remote's main branch",
            "run this where that branch was fetched",
        )
    return None


def _entry(entry: Entry) -> dict[str, Any]:
    name, kind, number, fingerprint, _ = entry
    return {"name": name, "kind": str(kind), "version": number, "fingerprint": fingerprint}


def _lines(renewed: Renewed, verbs: _Verbs) -> Iterator[str]:
    moved = {(entry.name, number) for entry, number in renewed.moved}
    yield from (_line(move, verbs) for move in renewed.moved)
    for verb, entries in (
        (verbs.restore, renewed.restored),
        (verbs.add, renewed.numbered.added),
    ):
        for e in entries:
            if (e.name, e.number) not in moved:
                yield f"{verb} {e.name} {e.number} ({e.kind})"


def _line(move: Move, verbs: _Verbs) -> str:
    entry, number = move
    return (
        f"{verbs.renumber} {entry.name} {entry.number} to {number} ({entry.kind}):"
        f" another branch has other content under {entry.number}"
    )


def _merge(context: Context, files: tuple[Path, ...]) -> None:
    if len(files) not in (3, 4):
        raise UsageError(
            "--merge-driver takes BASE OURS THEIRS and the file's path",
            hint="git runs it so: procver lock --merge-driver %O %A %B %P",
        )
    base, ours, theirs, *path = files
    settled = lockfile.merge_driver(base, ours, theirs, path[0] if path else Path(lockfile.FILE))
    for move in settled.moved:
        context.output.remark(f"{lockfile.FILE}: {_line(move, _DID)}")


lock_command = lock
