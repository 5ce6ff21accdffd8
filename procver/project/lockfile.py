"""``procver.lock`` on disk and in git."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from procver.errors import LockError, ProcverError, UsageError
from procver.lock import Entry, Lock
from procver.project import git
from procver.project.config import FILE as CONFIG
from procver.project.config import Config
from procver.project.config import load as load_config
from procver.project.files import read_bytes, write_atomic
from procver.project.merging import Conflict, Settled, merged, read_conflict, settle

FILE = "procver.lock"


def read(config: Config) -> Lock:
    """Return the project's lock; an empty one when there is no file yet.

    Raises:
        LockError: the file cannot be read or parsed.
    """
    return Lock.parse(_decode(_bytes(config.root / FILE), FILE), path=FILE)


def holds(config: Config, lock: Lock) -> bool:
    """Return whether the file says just what ``lock`` does; one that cannot be read does not."""
    try:
        return read(config) == lock
    except LockError:
        return False


def write(config: Config, lock: Lock) -> None:
    """Write the project's lock, atomically.

    Raises:
        UsageError: it cannot be written; the old file is untouched.
    """
    write_atomic(config.root / FILE, lock.render(), within=config.root)


def read_at(config: Config, rev: str) -> Lock:
    """Return the lock as it is at a git revision; an empty one when that has no such file.

    Args:
        config: the project, inside a git work tree.
        rev: anything git resolves to a commit: ``main``, ``origin/main``, ``HEAD~3``.

    Raises:
        UsageError: git is not installed, this is no git work tree, or the revision is unknown.
        LockError: the file at that revision cannot be parsed.
    """
    wanted = ("rev-parse", "--verify", "--quiet", "--end-of-options", rev + "^{commit}")
    found = git.run(config.root, *wanted)
    if found.returncode:
        # --quiet: git prints nothing when only the revision is at fault.
        why = found.stderr.decode(errors="replace").strip() or "git knows no such revision"
        raise UsageError(
            f"cannot read {FILE} at {rev!r}: {why}",
            hint="name a branch, tag or commit that this clone has (git fetch origin, then "
            "--base origin/main); the default is the remote's main branch, then main in "
            "procver.toml",
        )
    commit = found.stdout.decode().strip()
    (data,) = git.blobs(config.root, [f"{commit}:./{FILE}"])
    place = f"{rev}:{FILE}"
    return Lock() if data is None else Lock.parse(_decode(data, place), path=place)


class Sides(NamedTuple):
    """The entries of everybody who may have assigned a number.

    Attributes:
        branches: the branches that were found.
        first: those that keep a contested number: the remote's main branch, then the base.
        file: the lock file's; in a conflict of both sides.
        lock: the lock file; None where it is damaged or in conflict.
        rest: all others' that are part of a conflict.
        fork: those of the commit at which the current branch left the main branch.
        reserved: those of the branch's upstream.
        whole: True where the result holds all entries: for a base, and in a conflict.
        damaged: errors of lines that were passed over.
    """

    branches: git.Branches
    first: Sequence[Entry]
    file: Sequence[Entry]
    lock: Lock | None
    rest: Sequence[Entry]
    fork: Sequence[Entry]
    reserved: Sequence[Entry]
    whole: bool
    damaged: Sequence[LockError]

    @property
    def agreed(self) -> Lock | None:
        """The lock file if it holds the entries of all other sides; else None."""
        others = {*self.first, *self.rest, *self.fork, *self.reserved}
        return self.lock if self.lock is not None and others.issubset(self.lock.entries) else None

    @property
    def merged(self) -> Lock:
        """All entries; a contested number stays with whoever comes first."""
        return merged((*self.first, *self.file, *self.rest, *self.fork, *self.reserved))

    @property
    def kept(self) -> Sequence[Entry]:
        """The entries that the lock file must go on to hold."""
        if self.whole:
            return (*self.first, *self.file, *self.rest, *self.fork)
        return (*self.file, *self.fork)


def sides(config: Config, base: str | None = None) -> Sides:
    """Return the entries of the lock file, of both sides of a conflict, and of other branches.

    Args:
        config: the project.
        base: a revision that keeps its numbers after the remote's main branch, and whose entries
            are all taken over; an empty one is the main branch.

    Raises:
        UsageError: the repository or the base cannot be read.
        LockError: the file is damaged, or in conflict and no main branch decides.
    """
    known = git.branches(config.root, config.main)
    if base == "" and known.main is None:
        base = _local_main(config)
    named: Sequence[Entry] = read_at(config, base).entries if base else ()
    damaged: list[LockError] = []
    main, upstream, fork = _of_branches(config.root, known, damaged)
    staged = _staged(config.root, known, damaged)
    text = _decode(_bytes(config.root / FILE), FILE) if base is None else _lenient(config, damaged)
    file = read_conflict(text, FILE, None if base is None else damaged)
    whole = base is not None or staged is not None
    lock: Lock | None = None
    try:
        lock = Lock.parse(text, path=FILE)
    except LockError:
        if base is None and known.main is None:
            raise
        whole = True
    staged = staged or Conflict()
    return Sides(
        known,
        (*main, *named),
        (*file.ours, *file.theirs) if file.marked else file.ours,
        lock,
        (*staged.ours, *staged.theirs, *staged.base, *file.base),
        fork,
        upstream,
        whole,
        damaged,
    )


def merge_driver(base: Path, ours: Path, theirs: Path, path: Path) -> Settled:
    """Merge three versions of a lock file into ``ours``, as git's merge driver.

    Args:
        base: the common ancestor.
        ours: the current version; the result is written here.
        theirs: the other branches' version.
        path: where the file is, from the top of the work tree, which is the current directory.

    Returns:
        the result, with the contents that got another number.

    Raises:
        LockError: a version cannot be parsed; ``ours`` is as it was.
        UsageError: a file or the repository cannot be read.
    """
    versions = [
        Lock.parse(_decode(_bytes(file), place), path=place).entries
        for file, place in (
            (ours, f"our {path}"),
            (theirs, f"their {path}"),
            (base, f"base {path}"),
        )
    ]
    top = Path()
    try:
        name = load_config(top.absolute() / path.parent / CONFIG).main
    except ProcverError:  # it may be in conflict itself
        name = git.DEFAULT
    known = git.branches(top, name)
    main: Sequence[Entry] = ()
    if known.main is not None:
        (data,) = git.blobs(top, [f"{known.main.commit}:{path.as_posix()}"])
        main = _entries(data, f"{known.main.name}:{path}", [])
    kept = [entry for version in versions for entry in version]
    settled = settle(merged((*main, *kept)), kept)
    write_atomic(ours, settled.lock.render())
    return settled


def _local_main(config: Config) -> str:
    if config.main != git.DEFAULT:
        return config.main
    return git.main_name(config.root) or git.DEFAULT


def _of_branches(
    root: Path, known: git.Branches, damaged: list[LockError]
) -> list[Sequence[Entry]]:
    """Return the entries of the main branch, of the upstream and of the fork from the main branch."""
    fork = git.fork(root, known.main.commit) if known.main else None
    commits = {ref.commit: ref.name for ref in (known.upstream, known.main) if ref}
    if fork is not None:
        commits.setdefault(fork, fork[:12])
    data = git.blobs(root, [f"{commit}:./{FILE}" for commit in commits])
    found = {
        commit: _entries(content, f"{name}:{FILE}", damaged)
        for (commit, name), content in zip(commits.items(), data, strict=True)
    }
    wanted = (known.main and known.main.commit, known.upstream and known.upstream.commit, fork)
    return [found[commit] if commit else () for commit in wanted]


def _staged(root: Path, known: git.Branches, damaged: list[LockError]) -> Conflict | None:
    """Return the sides of a conflict that git's index holds; None if it holds none."""
    if not known.repository:
        return None
    stages = git.stages(root, FILE)
    if not stages:
        return None
    data = dict(zip(stages, git.blobs(root, list(stages.values())), strict=True))
    base, ours, theirs = (
        _entries(data.get(stage), f":{stage}:{FILE}", damaged) for stage in (1, 2, 3)
    )
    return Conflict(ours, theirs, base, marked=True)


def _entries(data: bytes | None, path: str, damaged: list[LockError]) -> Sequence[Entry]:
    """Return the entries of another branch's file, passing over what is damaged there."""
    if data is None:
        return ()
    try:
        text = _decode(data, path)
    except LockError as error:
        damaged.append(error)
        return ()
    found = read_conflict(text, path, damaged)
    return (*found.ours, *found.theirs, *found.base)


def _lenient(config: Config, damaged: list[LockError]) -> str:
    try:
        return _decode(_bytes(config.root / FILE), FILE)
    except LockError as error:
        damaged.append(error)
        return ""


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise LockError(
            f"cannot read {path}: {error.strerror or error}",
            hint="make it a file that this user may read, then run the same command again",
        ) from error


def _decode(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LockError(
            f"{path}:{line}: not UTF-8 (byte {error.start})",
            hint="restore procver.lock from git (git checkout -- procver.lock), then run: "
            "procver lock",
        ) from error
