"""The git repository around a directory, as it is on disk: nothing is fetched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from procver.errors import UsageError

DEFAULT = "main"
"""The main branch's name where nothing else is said."""

_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


class Ref(NamedTuple):
    """A branch and the commit it points to: ``origin/main``."""

    name: str
    commit: str


class Branches(NamedTuple):
    """Branches as last fetched.

    ``main`` is the remote's main branch, ``upstream`` the one that the current branch follows.
    Without ``main``, ``absent`` tells the reason; ``shallow`` is True in a shallow clone without it.
    ``repository`` is False where there is no repository at all.
    """

    main: Ref | None
    upstream: Ref | None
    absent: str = ""
    shallow: bool = False
    repository: bool = True


def run(
    directory: Path, *arguments: str, data: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git in ``directory`` and return what it did; its messages are in English.

    Raises:
        UsageError: git is not installed or cannot be started.
    """
    environ = {**os.environ, "LC_ALL": "C"}
    # A hook or merge driver gets places relative to the current directory, the work tree's top.
    if "GIT_DIR" in environ:
        environ.setdefault("GIT_WORK_TREE", ".")
    for name in _PLACES:
        if name in environ:
            environ[name] = str(Path(environ[name]).absolute())
    try:
        return subprocess.run(
            ("git", *arguments),
            cwd=directory,
            env=environ,
            input=b"" if data is None else data,
            capture_output=True,
            check=False,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in the revision
        why = "git is not installed" if isinstance(error, FileNotFoundError) else str(error)
        raise UsageError(
            f"cannot run git: {why}",
            hint="install git, or run the command without --base and --git",
        ) from error


def branches(directory: Path, main: str) -> Branches:
    """Return the branches whose numbers count, as they were fetched last.

    Args:
        directory: the project's.
        main: the main branch's name, or that of a remote-tracking branch such as
            ``upstream/main``; for ``main`` the remote's own choice comes first.

    Raises:
        UsageError: git cannot read the repository.
    """
    try:
        found = run(directory, "remote")
    except UsageError as error:
        why = error.message.removeprefix("cannot run git: ")
        return Branches(None, None, why, repository=False)
    if found.returncode:
        why = found.stderr.decode(errors="replace").strip()
        if "not a git repository" in why:
            return Branches(None, None, "this is not a git repository", repository=False)
        raise UsageError(f"git cannot read this repository: {why}", hint="see: git status")
    remotes = found.stdout.decode(errors="replace").split("\n")[:-1]
    if not remotes:
        return Branches(None, None, "this repository has no remote")
    upstream = _upstream(directory)
    own = upstream.name.split("/")[0] if upstream else ""
    remote = next((name for name in ("origin", own, *remotes) if name in remotes), remotes[0])
    known = _refs(directory, _candidates(remote, main))
    chosen = next((known[name] for name in _candidates(remote, main) if name in known), None)
    if chosen is None:
        shallow = run(directory, "rev-parse", "--is-shallow-repository").stdout.strip()
        why = f"this clone has no main branch of the remote {remote!r}"
        return Branches(None, upstream, why, shallow == b"true")
    for other in dict.fromkeys(known.values()):
        # A remote that renamed its main branch leaves HEAD here on the old name.
        if main == DEFAULT and other.commit != chosen.commit and contains(directory, other, chosen):
            chosen = other
    return Branches(chosen, upstream)


def contains(directory: Path, ref: Ref, other: Ref) -> bool:
    """Return whether ``ref`` has all commits of ``other``."""
    done = run(directory, "merge-base", "--is-ancestor", other.commit, ref.commit)
    return done.returncode == 0


def fork(directory: Path, commit: str) -> str | None:
    """Return the commit at which the current branch left another one's, if there is any."""
    done = run(directory, "merge-base", "HEAD", commit)
    return done.stdout.decode().strip() or None if done.returncode == 0 else None


def stages(directory: Path, path: str) -> dict[int, str]:
    """Return the object of each side of a file in conflict: 1 is the base, 2 ours, 3 theirs."""
    done = run(directory, "ls-files", "-u", "-z", "--", path)
    rows = (row.split(b"\t")[0].split() for row in done.stdout.split(b"\0") if row)
    return {int(stage): blob.decode() for _, blob, stage in rows}


def blobs(directory: Path, names: Sequence[str]) -> list[bytes | None]:
    """Return the content of each object, ``commit:./path`` or a hash; None where there is none."""
    if not names:
        return []
    done = run(directory, "cat-file", "--batch", data="".join(f"{n}\n" for n in names).encode())
    found: list[bytes | None] = []
    rest = done.stdout
    for _ in names:
        head, _, rest = rest.partition(b"\n")
        words = head.rsplit(b" ", 2)
        if len(words) == 3 and words[1] == b"blob":
            size = int(words[2])
            found.append(rest[:size])
            rest = rest[size + 1 :]
        else:
            found.append(None)
    return found


def check(directory: Path) -> None:
    """Check that ``directory`` is in a work tree.

    Raises:
        UsageError: it is not, or git is not installed.
    """
    done = run(directory, "rev-parse", "--is-inside-work-tree")
    if done.stdout.strip() != b"true":
        why = done.stderr.decode(errors="replace").strip() or "this is not a work tree"
        raise UsageError(
            f"git cannot be set up here: {why}", hint="run git init, then the same command again"
        )


def configure(directory: Path, name: str, value: str) -> None:
    """Set a value in the configuration of this clone.

    Raises:
        UsageError: it cannot be written.
    """
    done = run(directory, "config", "--local", name, value)
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"git cannot set {name}: {why}", hint="see: git config --local --list")


def main_name(directory: Path) -> str | None:
    """Return the name of the repository's main branch; None where nothing tells it.

    Raises:
        UsageError: git cannot read the repository.
    """
    found = branches(directory, DEFAULT)
    if found.main is not None:
        return found.main.name.partition("/")[2]
    done = run(directory, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    names = done.stdout.decode(errors="replace").splitlines()
    current = run(directory, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.decode().strip()
    alone = current if not set(names) - {current} else ""
    return next((name for name in ("main", "master") if name in names), alone) or None


def _candidates(remote: str, main: str) -> list[str]:
    names = [f"{remote}/HEAD", f"{remote}/main", f"{remote}/master"]
    return names if main == DEFAULT else [f"{remote}/{main}", main, *names]


def _refs(directory: Path, names: Iterable[str]) -> dict[str, Ref]:
    """Return the remote-tracking branches that exist, those that HEAD stands for by their own name."""
    form = "--format=%(refname)%09%(symref)%09%(objectname)"
    done = run(directory, "for-each-ref", form, *(f"refs/remotes/{name}" for name in names))
    found: dict[str, Ref] = {}
    for row in done.stdout.decode(errors="replace").splitlines():
        full, symbolic, commit = row.split("\t")
        name = full.removeprefix("refs/remotes/")
        found[name] = Ref((symbolic or full).removeprefix("refs/remotes/"), commit)
    return found


def _upstream(directory: Path) -> Ref | None:
    done = run(directory, "rev-parse", "--verify", "--quiet", "@{upstream}^{commit}")
    if done.returncode:
        return None
    name = run(directory, "rev-parse", "--abbrev-ref", "@{upstream}").stdout.decode().strip()
    return Ref(name, done.stdout.decode().strip())
