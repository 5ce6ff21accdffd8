"""Numbers in git: no number that any branch assigned ever gets other content."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from procver.cli import cli
from procver.lock import HEADER, Entry, Lock

TOML = """\
[project]
name = "shop"
dialect = "postgresql"
sources = ["sql"]
default_schema = "app"
"""


class Clone:
    """A clone of a repository with one project in it, and a user who works there."""

    def __init__(self, root: Path, below: str = "") -> None:
        self.top = root
        self.root = root / below

    def git(self, *words: str, code: int | None = 0) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        done = subprocess.run(
            ["git", *identity, *words], cwd=self.top, capture_output=True, text=True, check=False,
            env=environ(),
        )  # fmt: skip
        assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout

    def run(self, *words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(cli, [*words, "-C", str(self.root)])
        assert done.exit_code == code, (words, done.exit_code, done.output, done.exception)
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def returns(self, value: int, name: str = "f") -> None:
        """Make the function ``app.f`` return ``value``."""
        (self.root / "sql").mkdir(parents=True, exist_ok=True)
        text = f"CREATE FUNCTION app.{name}() RETURNS int LANGUAGE sql AS $$ SELECT {value} $$;\n"
        (self.root / "sql" / f"{name}.sql").write_text(text)

    def commit(self, value: int, name: str = "f") -> None:
        """Make a version of ``app.f``, number it and commit both."""
        self.returns(value, name)
        self.run("lock")
        self.save(f"{name} returns {value}")

    def save(self, message: str = "change") -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def lock(self, rev: str | None = None) -> Lock:
        path = self.root / "procver.lock"
        if rev is None:
            return Lock.parse(path.read_text("utf-8"))
        where = path.relative_to(self.top).as_posix()
        return Lock.parse(self.git("show", f"{rev}:{where}"))

    def numbers(self, name: str = "app.f") -> dict[int, str]:
        """Return what each number of a function returns."""
        return {entry.number: meaning(entry) for entry in self.lock() if entry.name == name}


MEANINGS: dict[str, str] = {}
"""The answer of a version, by its fingerprint."""


def meaning(entry: Entry) -> str:
    return MEANINGS[entry.name + entry.fingerprint]


@pytest.fixture(scope="module", autouse=True)
def meanings(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = Clone(tmp_path_factory.mktemp("meanings"))
    (place.root / "procver.toml").write_text(TOML)
    for value in (1, 2, 3, 4, 5, 100, 200, 300):
        for name in "fg":
            place.returns(value, name)
        place.run("lock")
        for entry in place.lock():
            MEANINGS.setdefault(entry.name + entry.fingerprint, str(value))


def environ() -> dict[str, str]:
    """Return an environment in which git reads nobody's settings and finds procver."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_EDITOR": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in environ().items():
        monkeypatch.setenv(name, value)


def clone(tmp_path: Path, name: str, *options: str, below: str = "") -> Clone:
    remote = (tmp_path / "remote.git").as_uri()
    subprocess.run(["git", "clone", "-q", *options, remote, name], cwd=tmp_path, check=True)
    return Clone(tmp_path / name, below)


def start(tmp_path: Path, branch: str = "main", below: str = "") -> Clone:
    """Return the first clone of a remote that holds app.f returning 1."""
    subprocess.run(
        ["git", "init", "-q", "--bare", "-b", branch, "remote.git"], cwd=tmp_path, check=True
    )
    first = clone(tmp_path, "ann", below=below)
    first.git("checkout", "-q", "-B", branch)
    first.root.mkdir(exist_ok=True, parents=True)
    (first.root / "procver.toml").write_text(TOML)
    (first.top / ".gitignore").write_text(".procver/\n")
    first.commit(1)
    first.git("push", "-q", "-u", "origin", branch)
    first.git("remote", "set-head", "origin", "-a")
    return first


BELOW = pytest.mark.parametrize("two", ["", "db/shop"], indirect=True, ids=["top", "below"])


@pytest.fixture
def two(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Clone, Clone]:
    """Ann, whose main is pushed with 2 = 200; Bob, whose feature has 2 = 100 and who fetched.

    Bob's local main is behind, at 1.
    """
    below = getattr(request, "param", "")
    ann = start(tmp_path, below=below)
    bob = clone(tmp_path, "bob", below=below)
    bob.git("checkout", "-q", "-b", "feature")
    bob.commit(100)
    ann.commit(200)
    ann.git("push", "-q")
    bob.git("fetch", "-q")
    return ann, bob


@BELOW
def test_a_local_main_that_is_behind(two: tuple[Clone, Clone]) -> None:
    """The first failure: lock --base main kept only this branch's entries."""
    ann, bob = two
    bob.git("merge", "-q", "origin/main", code=1)
    bob.returns(100)
    bob.run("lock", "--base", "main")
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}
    bob.run("lock", "--check")
    bob.save("merged")
    bob.git("push", "-q", "origin", "feature")
    ann.git("fetch", "-q")
    ann.git("merge", "-q", "origin/feature")
    ann.run("lock", "--check")
    assert ann.numbers() == {1: "1", 2: "200", 3: "100"}


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("merge", ()), ("diff3", ()), ("zdiff3", ()), ("merge", ("--base",)),
        ("diff3", ("--base", "origin/main")), ("merge", ("--base", "feature")),
    ],
)  # fmt: skip
def test_a_merge(two: tuple[Clone, Clone], words: tuple[str, ...], style: str) -> None:
    _, bob = two
    bob.git("config", "merge.conflictStyle", style)
    bob.git("merge", "-q", "origin/main", code=1)
    bob.returns(100)
    for command in (("lock", "--check"), ("map", "-r", "1")):
        assert "unresolved git conflict" in bob.run(*command, code=2).stderr
    found = bob.json("lock", *words)
    assert [(e["name"], e["version"]) for e in found["added"]] == [("app.f", 3)]
    assert [(e["name"], e["from"], e["version"]) for e in found["moved"]] == [("app.f", 2, 3)]
    assert found["main"] == "origin/main"
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}
    assert bob.json("lock", "--check")["added"] == []
    assert bob.run("lock").stdout == "procver.lock is up to date\n"


@pytest.mark.parametrize("how", ["rebase", "cherry-pick", "pull"])
def test_ours_and_theirs_in_other_places(two: tuple[Clone, Clone], how: str) -> None:
    """In a rebase "ours" is what is rebased onto: the remote's main decides, wherever it is."""
    _, bob = two
    if how == "rebase":
        bob.git("rebase", "-q", "origin/main", code=1)
    elif how == "pull":
        bob.git("pull", "-q", "--no-rebase", "origin", "main", code=1)
    else:
        bob.git("checkout", "-q", "-b", "other", "origin/main")
        bob.git("cherry-pick", "feature", code=1)
    bob.returns(100)
    bob.run("lock")
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}
    bob.run("lock", "--check")


def test_markers_without_a_conflict_in_the_index(two: tuple[Clone, Clone]) -> None:
    _, bob = two
    bob.git("merge", "-q", "origin/main", code=1)
    bob.returns(100)
    bob.git("add", "-A")
    bob.run("lock")
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}


@BELOW
def test_a_conflict_that_was_settled_by_taking_one_side(two: tuple[Clone, Clone]) -> None:
    for side in ("--ours", "--theirs"):
        _, bob = two
        bob.git("merge", "-q", "origin/main", code=1)
        bob.git("checkout", side, "--", "*procver.lock")
        bob.returns(100)
        bob.run("lock")
        assert bob.numbers() == {1: "1", 2: "200", 3: "100"}
        bob.git("reset", "-q", "--hard")


def test_a_side_taken_and_committed_is_found_by_the_check(two: tuple[Clone, Clone]) -> None:
    """Hosting sites run no merge driver: the check of the merge result is the guard."""
    _, bob = two
    bob.git("merge", "-q", "-X", "ours", "origin/main")
    done = bob.run("lock", "--check", code=1)
    assert "would renumber app.f 2 to 3 (function)" in done.stdout
    found = bob.json("lock", "--check", code=1)
    assert [(e["name"], e["from"]) for e in found["moved"]] == [("app.f", 2)]
    bob.run("lock")
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}
    bob.run("lock", "--check")


def test_an_entry_that_a_merge_lost_is_found_by_the_check(two: tuple[Clone, Clone]) -> None:
    ann, bob = two
    ann.commit(300)
    ann.git("push", "-q")
    bob.git("fetch", "-q")
    bob.git("merge", "-q", "-X", "ours", "origin/main")
    lock = bob.lock("origin/main")
    lost = [entry for entry in lock if entry.number != 3]
    (bob.root / "procver.lock").write_text(Lock(lost).render())
    bob.save("lost")
    bob.returns(200)
    assert "would restore app.f 3 (function)" in bob.run("lock", "--check", code=1).stdout
    bob.returns(100)
    bob.run("lock")
    assert bob.numbers() == {1: "1", 2: "200", 3: "300", 4: "100"}


def test_before_any_merge(two: tuple[Clone, Clone]) -> None:
    """A new number is above those of the remote's main, and what it has taken is not kept here."""
    _, bob = two
    assert bob.run("lock", "--check", code=1).stdout.startswith("would renumber app.f 2 to 3")
    bob.returns(300)
    assert [e["version"] for e in bob.json("lock")["added"]] == [3, 4]
    assert bob.numbers() == {1: "1", 2: "200", 3: "100", 4: "300"}
    bob.run("lock", "--check")


def test_a_branch_that_is_behind_numbers_after_main(two: tuple[Clone, Clone]) -> None:
    _, bob = two
    bob.git("checkout", "-q", "-f", "main")
    bob.run("lock", "--check")  # to be behind is no fault
    bob.returns(300)
    assert bob.json("lock", "--check", code=1)["added"][0]["version"] == 3
    bob.run("lock")
    assert bob.numbers() == {1: "1", 3: "300"}
    bob.returns(200)
    bob.run("lock")
    assert bob.numbers() == {1: "1", 2: "200", 3: "300"}


def test_who_else_pushed_to_the_branch(two: tuple[Clone, Clone], tmp_path: Path) -> None:
    _, bob = two
    bob.git("push", "-q", "-u", "origin", "feature")
    bob.run("lock")
    bob.save("renumbered")
    cat = clone(tmp_path, "cat", "-b", "feature", below=str(bob.root.relative_to(bob.top)))
    cat.returns(4)
    cat.run("lock")
    assert cat.numbers() == {1: "1", 2: "200", 3: "100", 4: "4"}
    cat.save()
    cat.git("push", "-q")
    bob.git("fetch", "-q")
    bob.returns(5)
    bob.run("lock")
    assert bob.numbers()[5] == "5"
    assert 4 not in bob.numbers()


def test_two_branches_without_main(two: tuple[Clone, Clone]) -> None:
    """Main has not assigned the number: it stays with our side."""
    _, bob = two
    bob.git("rebase", "-q", "-X", "theirs", "origin/main")
    bob.run("lock")
    bob.save()
    for branch, value in (("a", 4), ("b", 5)):
        bob.git("checkout", "-q", "-b", branch, "feature")
        bob.commit(value)
    bob.git("merge", "-q", "a", code=1)
    bob.returns(5)
    bob.run("lock")
    assert bob.numbers() == {1: "1", 2: "200", 3: "100", 4: "5", 5: "4"}


@pytest.mark.parametrize("words", [(), ("--base",)])
def test_a_main_branch_of_another_name(tmp_path: Path, words: tuple[str, ...]) -> None:
    ann = start(tmp_path, "trunk")
    bob = clone(tmp_path, "bob", "-o", "upstream")
    bob.git("checkout", "-q", "-b", "feature")
    bob.commit(100)
    ann.commit(200)
    ann.git("push", "-q")
    bob.git("fetch", "-q")
    assert bob.json("lock", *words)["main"] == "upstream/trunk"
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}


def test_a_main_branch_that_was_renamed(tmp_path: Path) -> None:
    """Who cloned before still has the old name as the remote's HEAD."""
    ann = start(tmp_path, "master")
    bob = clone(tmp_path, "bob")
    bob.git("checkout", "-q", "-b", "feature")
    bob.commit(100)
    ann.git("branch", "-m", "master", "main")
    ann.commit(200)
    ann.git("push", "-q", "-u", "origin", "main")
    bob.git("fetch", "-q")
    assert bob.json("lock")["main"] == "origin/main"
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}


@pytest.mark.parametrize("main", ["dev", "origin/dev"])
def test_the_main_branch_of_procver_toml(two: tuple[Clone, Clone], main: str) -> None:
    ann, bob = two
    ann.git("checkout", "-q", "-b", "dev", "HEAD~1")
    ann.git("remote", "set-head", "origin", "-d")
    ann.git("update-ref", "-d", "refs/remotes/origin/main")
    ann.commit(300)
    ann.git("push", "-q", "origin", "dev")
    bob.git("fetch", "-q")
    (bob.root / "procver.toml").write_text(f'{TOML}main = "{main}"\n')
    assert bob.json("lock")["main"] == "origin/dev"
    assert bob.numbers() == {1: "1", 2: "300", 3: "100"}


@BELOW
def test_a_detached_head_and_a_linked_work_tree(two: tuple[Clone, Clone], tmp_path: Path) -> None:
    _, bob = two
    bob.git("checkout", "-q", "--detach")
    assert "would renumber" in bob.run("lock", "--check", code=1).stdout
    bob.git("worktree", "add", "-q", str(tmp_path / "tree"), "feature")
    tree = Clone(tmp_path / "tree", str(bob.root.relative_to(bob.top)))
    tree.run("lock")
    assert tree.numbers() == {1: "1", 2: "200", 3: "100"}


def test_a_shallow_clone(two: tuple[Clone, Clone], tmp_path: Path) -> None:
    _, bob = two
    bob.git("push", "-q", "origin", "feature")
    below = str(bob.root.relative_to(bob.top))
    cut = clone(tmp_path, "cut", "--depth", "1", "-b", "feature", below=below)
    error = cut.json("lock", "--check", code=2)["error"]
    assert "no main branch" in error["message"]
    assert "fetch-depth: 0" in error["hint"]
    assert "warning: " in cut.run("lock").stderr
    cut.git("fetch", "-q", "--unshallow", "origin", "+refs/heads/*:refs/remotes/origin/*")
    assert "would renumber" in cut.run("lock", "--check", code=1).stdout
    there = clone(tmp_path, "there", "--depth", "1", below=below)
    assert there.run("lock", "--check").stderr == ""


def test_without_a_remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Clone(tmp_path / "alone")
    place.root.mkdir()
    (place.root / "procver.toml").write_text(TOML)
    place.returns(1)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert place.run("lock").stderr == ""
    assert "warning: this is not a git repository" in place.run("lock", "--check").stderr
    place.git("init", "-q", "-b", "main")
    place.save()
    assert place.run("lock").stderr == ""
    assert "warning: this repository has no remote" in place.run("lock", "--check").stderr
    assert place.json("lock", "--check")["main"] is None
    place.returns(2)
    assert "would add app.f 2" in place.run("lock", "--check", code=1).stdout
    place.git("remote", "add", "origin", str(tmp_path / "nowhere"))
    place.run("lock")
    assert "has no main branch of the remote 'origin'" in place.run("lock", "--check").stderr


def test_without_git(
    two: tuple[Clone, Clone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bob = two
    assert shutil.which("git")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "warning: git is not installed" in bob.run("lock", "--check").stderr
    assert bob.run("lock").stderr == ""
    assert (
        bob.json("lock", "--base", code=2)["error"]["message"]
        == "cannot run git: git is not installed"
    )


def test_a_conflict_without_a_remote_asks_for_a_base(two: tuple[Clone, Clone]) -> None:
    _, bob = two
    bob.git("merge", "-q", "origin/main", code=1)
    bob.git("branch", "-q", "-f", "main", "origin/main")
    bob.git("remote", "remove", "origin")
    bob.returns(100)
    error = bob.json("lock", code=2)["error"]
    assert "unresolved git conflict" in error["message"]
    assert "procver lock --base" in error["hint"]
    bob.run("lock", "--base")
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}


def test_two_lines_for_one_number(two: tuple[Clone, Clone]) -> None:
    """Keep every number of a file as merge=union leaves it."""
    _, bob = two
    bob.git("rebase", "-q", "-X", "theirs", "origin/main")
    both = [*bob.lock("origin/main"), *(e for e in bob.lock("ORIG_HEAD") if e.number == 2)]
    lines = [f"{e.name} {e.kind} {e.number} {e.fingerprint}" for e in both]
    (bob.root / "procver.lock").write_text("\n".join([HEADER, *lines, ""]))
    bob.returns(100)
    assert "there twice" in bob.run("lock", "--check", code=2).stderr
    bob.run("lock")
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}


def test_a_damaged_file_on_main_is_passed_over_with_a_warning(two: tuple[Clone, Clone]) -> None:
    ann, bob = two
    path = ann.root / "procver.lock"
    path.write_text(path.read_text() + "garbage\n")
    ann.save()
    ann.git("push", "-q")
    bob.git("fetch", "-q")
    done = bob.run("lock")
    assert "origin/main:procver.lock:4: not of the form" in done.stderr
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}
    path.write_text("# procver.lock 3\n")
    ann.save()
    ann.git("push", "-q")
    bob.git("fetch", "-q")
    error = bob.json("lock", code=2)["error"]
    assert "origin/main:procver.lock:1: format 3 is of a newer procver" in error["message"]
    assert "upgrade" in error["hint"]


def test_a_pin_to_a_version_of_main(two: tuple[Clone, Clone]) -> None:
    _, bob = two
    bob.run("lock")
    (bob.root / "sql" / "g.sql").write_text(
        "-- procver: pin app.f = 2\n"
        "CREATE FUNCTION app.g() RETURNS int LANGUAGE sql AS $$ SELECT app.f() $$;\n"
    )
    bob.run("lock")
    bob.run("lock", "--check")
    assert bob.numbers()[2] == "200"


def test_names_that_are_quoted_and_physical_names_survive(two: tuple[Clone, Clone]) -> None:
    ann, bob = two
    line = f'app."Old f" function 4 v1:{"a" * 64} as public."find ""it"" as_v3"'
    for place in (ann, bob):
        path = place.root / "procver.lock"
        path.write_text("# procver.lock 2\n" + path.read_text() + line + "\n")
        place.save()
    ann.git("push", "-q")
    bob.git("fetch", "-q")
    bob.git("merge", "-q", "origin/main", code=1)
    bob.returns(100)
    bob.run("lock")
    rows = (bob.root / "procver.lock").read_text().splitlines()
    assert rows[0] == "# procver.lock 2"
    assert line in rows
    assert bob.numbers() == {1: "1", 2: "200", 3: "100"}


# ---- the merge driver ------------------------------------------------------------------------


def tree(place: Clone) -> dict[int, str]:
    """Return the numbers as the last commit has them."""
    return {e.number: meaning(e) for e in place.lock("HEAD") if e.name == "app.f"}


@BELOW
@pytest.mark.parametrize("how", ["merge", "rebase", "cherry-pick"])
def test_the_merge_driver(two: tuple[Clone, Clone], how: str) -> None:
    _, bob = two
    if how == "cherry-pick":
        bob.git("checkout", "-q", "-b", "other", "origin/main")
    assert "commit it" in bob.run("init", "--git").stdout
    bob.save("attributes")
    if how == "rebase":  # the attributes must be there before the number is
        bob.git("rebase", "-q", "--onto", "main", "HEAD~1")
        bob.git("cherry-pick", "ORIG_HEAD~1")
    words = (how, "feature") if how == "cherry-pick" else (how, "-q", "origin/main")
    bob.git(*words, code=1)
    assert bob.git("diff", "--name-only", "--diff-filter=U").split() == [
        (bob.root / "sql" / "f.sql").relative_to(bob.top).as_posix()
    ]
    bob.returns(100)
    bob.git("add", "-A")
    bob.git(how, "--continue")
    assert tree(bob) == {1: "1", 2: "200", 3: "100"}
    assert bob.run("lock", "--check").stderr == ""


def test_the_merge_driver_of_main(two: tuple[Clone, Clone]) -> None:
    """On main, ours is main; with two other branches, ours is the one that is checked out."""
    ann, bob = two
    bob.git("push", "-q", "origin", "feature")
    ann.git("fetch", "-q")
    ann.run("init", "--git")
    ann.save("attributes")
    ann.git("merge", "-q", "origin/feature", code=1)
    assert ann.numbers() == {1: "1", 2: "200", 3: "100"}


@pytest.mark.parametrize("side", ["ours", "theirs", "base"])
def test_a_version_that_cannot_be_merged_is_left_to_git(tmp_path: Path, side: str) -> None:
    for name in ("ours", "theirs", "base"):
        text = "garbage\n" if name == side else f"app.f function 1 v1:{'a' * 64}\n"
        (tmp_path / name).write_text(text)
    before = (tmp_path / "ours").read_bytes()
    names = [str(tmp_path / name) for name in ("base", "ours", "theirs")]
    place = Clone(tmp_path)
    error = place.json("lock", "--merge-driver", *names, "procver.lock", code=2)["error"]
    assert "not of the form" in error["message"]
    assert (tmp_path / "ours").read_bytes() == before


def test_the_merge_driver_keeps_every_entry(tmp_path: Path) -> None:
    def row(number: int, digit: str, more: str = "") -> str:
        return f"app.f function {number} v1:{digit * 64}{more}\n"

    texts = {
        "base": row(1, "a"),
        "ours": row(1, "a") + row(2, "b") + row(4, "c"),
        "theirs": row(1, "a", ' as app."f old"') + row(2, "d") + row(3, "c"),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    names = [str(tmp_path / name) for name in ("base", "ours", "theirs")]
    done = Clone(tmp_path).run("lock", "--merge-driver", *names)
    assert "renumbered app.f 2 to 5" in done.stderr
    assert (tmp_path / "ours").read_text() == (
        "# procver.lock 2\n" + HEADER + "\n" + row(1, "a", ' as app."f old"') + row(2, "b")
        + row(3, "c") + row(4, "c") + row(5, "d")
    )  # fmt: skip


def test_words_that_do_not_go_together(tmp_path: Path) -> None:
    place = Clone(tmp_path)
    for words in (("--merge-driver", "a"), ("--merge-driver", "--check", "a", "b", "c"), ("main",)):
        assert place.json("lock", *words, code=2)["error"]["hint"]


def test_init_installs_the_driver_once(tmp_path: Path) -> None:
    place = Clone(tmp_path / "shop")
    place.root.mkdir()
    (place.root / ".gitattributes").write_bytes(b"*.sql text\r\n*.png binary")
    error = place.json("init", "--git", code=2)["error"]
    assert "not a git repository" in error["message"]
    assert not (place.root / "procver.toml").exists()
    place.git("init", "-q", "-b", "master")
    for _ in range(2):
        place.run("init", "--git")
        assert (place.root / ".gitattributes").read_bytes() == (
            b"*.sql text\r\n*.png binary\nprocver.lock merge=procver-lock\n"
        )
    assert 'main = "master"\n' in (place.root / "procver.toml").read_text()
    driver = place.git("config", "--local", "merge.procver-lock.driver")
    assert driver == "procver lock --merge-driver %O %A %B %P\n"
    assert "procver-lock" in place.git("check-attr", "merge", "procver.lock")


def test_init_in_a_clone_knows_the_main_branch(tmp_path: Path) -> None:
    start(tmp_path, "trunk")
    bob = clone(tmp_path, "bob")
    bob.git("checkout", "-q", "-b", "feature")
    (bob.root / "new").mkdir()
    CliRunner().invoke(cli, ["init", "-C", str(bob.root / "new")])
    assert 'main = "trunk"\n' in (bob.root / "new" / "procver.toml").read_text()
