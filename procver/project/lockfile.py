"""``procver.lock`` on disk and in git."""

from __future__ import annotations

import os
import subprocess

from procver.errors import LockError, UsageError
from procver.lock import Lock
from procver.project.config import Config
from procver.project.files import read_bytes, write_atomic

FILE = "procver.lock"


def read(config: Config) -> Lock:
    """Return the project's lock; an empty one when there is no file yet.

    Raises:
        LockError: the file cannot be read or parsed.
    """
    path = config.root / FILE
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise LockError(
            f"cannot read {path}: {error.strerror or error}",
            hint="make it a file that this user may read, then run the same command again",
        ) from error
    return _parse(data, FILE)


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
    found = _git(config, *wanted)
    if found.returncode:
        # --quiet: git prints nothing when only the revision is at fault.
        why = found.stderr.decode(errors="replace").strip() or "git knows no such revision"
        raise UsageError(
            f"cannot read {FILE} at {rev!r}: {why}",
            hint="name a branch, tag or commit that this clone has (git fetch origin, then "
            "--base origin/main); the default is main in procver.toml",
        )
    commit = found.stdout.decode().strip()
    listed = _git(config, "ls-tree", "--name-only", commit, "--", FILE)
    if listed.returncode == 0 and not listed.stdout.strip():
        return Lock()
    shown = _git(config, "cat-file", "blob", f"{commit}:./{FILE}")
    if shown.returncode:
        why = shown.stderr.decode(errors="replace").strip()
        raise UsageError(f"cannot read {FILE} at {rev!r}: {why}", hint="see: git status; git fsck")
    return _parse(shown.stdout, f"{rev}:{FILE}")


def _git(config: Config, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ("git", *arguments),
            cwd=config.root,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in the revision
        why = "git is not installed" if isinstance(error, FileNotFoundError) else str(error)
        raise UsageError(
            f"cannot run git: {why}", hint="install git, or run the command without --base"
        ) from error


def _parse(data: bytes, path: str) -> Lock:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LockError(
            f"{path}:{line}: not UTF-8 (byte {error.start})",
            hint="restore procver.lock from git (git checkout -- procver.lock), then run: "
            "procver lock",
        ) from error
    return Lock.parse(text, path=path)
