"""The lock file on disk and at a git revision, in real repositories."""

import shutil
import subprocess

import pytest

from procver.errors import LockError, UsageError
from procver.lock import Lock
from procver.objects import Kind
from procver.project import lockfile


def lock_of(*digits):
    wanted = [("public.v", Kind.VIEW, "v1:" + digit * 64) for digit in digits]
    return Lock().extended(wanted)[0]


def git(root, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def commit(project, lock):
    lockfile.write(project.config, lock)
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", "lock")


@pytest.fixture
def repository(project):
    """A repository whose main has two commits: without a lock file, and with one."""
    git(project.root, "init", "-q", "-b", "main")
    git(project.root, "add", "procver.toml")
    git(project.root, "commit", "-q", "-m", "start")
    git(project.root, "tag", "empty")
    commit(project, lock_of("a"))
    return project


def test_no_file_is_an_empty_lock(project):
    assert lockfile.read(project.config) == Lock()


def test_written_and_read(project):
    lockfile.write(project.config, lock_of("a", "b"))
    assert lockfile.read(project.config) == lock_of("a", "b")


def test_a_file_that_cannot_be_read(project):
    project.write("procver.lock", b"# \xff\n")
    with pytest.raises(LockError, match=r"procver\.lock:1: not UTF-8 \(byte 2\)"):
        lockfile.read(project.config)
    (project.root / "procver.lock").unlink()
    (project.root / "procver.lock").mkdir()
    with pytest.raises(LockError, match="Is a directory"):
        lockfile.read(project.config)


@pytest.mark.parametrize("rev", ["main", "HEAD", "refs/heads/main", "empty~0"])
def test_at_a_revision(repository, rev):
    lockfile.write(repository.config, lock_of("f"))
    expected = Lock() if rev.startswith("empty") else lock_of("a")
    assert lockfile.read_at(repository.config, rev) == expected


def test_at_a_revision_whatever_state_the_file_is_in(repository):
    """Two branches took number 2; main's number stays, the branch's content gets the next."""
    git(repository.root, "checkout", "-q", "-b", "feature")
    commit(repository, lock_of("a", "b"))
    git(repository.root, "checkout", "-q", "main")
    commit(repository, lock_of("a", "c"))
    git(repository.root, "checkout", "-q", "feature")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository.root, "merge", "main")
    with pytest.raises(LockError, match="unresolved git conflict") as caught:
        lockfile.read(repository.config)
    assert "--base" in caught.value.hint
    base = lockfile.read_at(repository.config, "main")
    extended, _ = base.extended([("public.v", Kind.VIEW, "v1:" + "b" * 64)])
    assert extended == lock_of("a", "c", "b")


def test_in_a_directory_below_the_repository(project, tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    commit(project, lock_of("a"))
    assert lockfile.read_at(project.config, "main") == lock_of("a")


@pytest.mark.parametrize("rev", ["nosuch", "", "--help", "main:procver.lock", "-1", "a b"])
def test_an_unknown_revision(repository, rev):
    with pytest.raises(UsageError, match=r"cannot read procver\.lock at") as caught:
        lockfile.read_at(repository.config, rev)
    assert "git fetch" in caught.value.hint


def test_a_broken_file_at_a_revision(repository):
    repository.write("procver.lock", "app.v view one\n")
    git(repository.root, "commit", "-q", "-am", "broken")
    with pytest.raises(LockError, match=r"^main:procver\.lock:1: "):
        lockfile.read_at(repository.config, "main")


def test_no_repository(project, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.root.parent))
    with pytest.raises(UsageError, match="not a git repository"):
        lockfile.read_at(project.config, "main")


def test_no_git(repository, monkeypatch, tmp_path):
    assert shutil.which("git")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git is not installed") as caught:
        lockfile.read_at(repository.config, "main")
    assert "--base" in caught.value.hint
