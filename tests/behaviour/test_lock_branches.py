"""Two git branches take one number: the conflict, the new number, the trial on staging, the way back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from procver.lock import Lock
from tests.behaviour.worlds import NOW, World
from tests.cli.untouched import files, refused


def git(root: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.hooksPath=/dev/null", *words],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def commit(world: World, message: str) -> None:
    git(world.root, "add", "procver.toml", "procver.lock", "sql")
    git(world.root, "commit", "-q", "-m", message)


def numbers(world: World) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for entry in Lock.parse((world.root / "procver.lock").read_text("utf-8")):
        found.setdefault(entry.name, []).append(entry.number)
    return found


@pytest.fixture
def branched(world: World) -> World:
    """A repository whose main and feature branches both took alone 2; main is checked out."""
    world.configure(more=NOW)
    return branch(world)


def branch(world: World) -> World:
    git(world.root, "init", "-q", "-b", "main")
    world.run("lock")
    commit(world, "first")
    git(world.root, "checkout", "-q", "-b", "feature")
    world.answer(100)
    world.run("lock")
    commit(world, "100")
    git(world.root, "checkout", "-q", "main")
    world.answer(200)
    world.run("lock")
    commit(world, "200")
    return world


def test_the_same_number_on_two_branches(branched: World) -> None:
    theirs = git(branched.root, "show", "main:procver.lock")
    git(branched.root, "checkout", "-q", "feature")
    git(branched.root, "merge", "-q", "main", code=1)
    assert "procver.lock" in git(branched.root, "diff", "--name-only", "--diff-filter=U")
    branched.answer(100)
    for words in (
        ("lock",),
        ("lock", "--check"),
        ("plan",),
        ("publish", "-r", "1"),
        ("map", "-r", "1"),
    ):
        refused(
            branched, *words, code=2, error="lock", says=("procver.lock:3", "unresolved git conflict"),
            hint=("procver lock --base",),
        )  # fmt: skip
    before = files(branched.root)
    assert branched.json("lock", "--base", "main", "--check", code=1)["added"][0]["version"] == 3
    assert files(branched.root) == before
    added = branched.json("lock", "--base")["added"]
    assert [(entry["name"], entry["version"]) for entry in added] == [("app.alone", 3)]
    assert numbers(branched)["app.alone"] == [1, 2, 3]
    assert set(theirs.splitlines()) < set((branched.root / "procver.lock").read_text().splitlines())
    assert branched.json("lock", "--check")["added"] == []
    git(branched.root, "commit", "-q", "-a", "--no-edit")
    branched.publish("1")
    assert branched.call("app.alone_3") == [(100,)]


def test_branches_that_changed_different_objects_merge_by_themselves(branched: World) -> None:
    git(branched.root, "checkout", "-q", "-b", "other", "HEAD~1")
    branched.write(zebra=branched.constant("app.zebra", 42))
    branched.run("lock")
    commit(branched, "zebra")
    git(branched.root, "merge", "-q", "--no-edit", "main")
    assert branched.json("lock", "--check")["added"] == []
    assert numbers(branched)["app.alone"] == [1, 2]
    assert numbers(branched)["app.zebra"] == [1]


def test_a_base_that_cannot_be_read(branched: World) -> None:
    for base in ("nowhere", "HEAD~99", "main:sql"):
        refused(
            branched, "lock", f"--base={base}", code=2, error="usage", says=(f"procver.lock at {base!r}",),
            hint=("branch, tag or commit",),
        )  # fmt: skip
    git(branched.root, "checkout", "-q", "--detach")
    git(branched.root, "branch", "-q", "-D", "main")
    refused(
        branched, "lock", "--base", code=2, error="usage", says=("'main'",), hint=("--base origin/main",),
    )  # fmt: skip


def test_the_trial_on_staging_is_discarded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.configure(more=NOW + '[targets.staging]\nurl = "${STAGING_URL}"\ntrials = true\n')
    branched = branch(world)
    with branched.elsewhere() as staging:
        monkeypatch.setenv("STAGING_URL", staging.url)
        at_staging = ("-t", "staging")
        git(branched.root, "checkout", "-q", "feature")
        branched.run("publish", "-r", "feature-7", *at_staging)
        git(branched.root, "checkout", "-q", "-f", "main")
        about = {"code": 4, "error": "conflict", "says": ("app.alone_2", "release feature-7 brought it"),
                 "hint": ("procver release discard feature-7", "procver lock --base")}  # fmt: skip
        refused(branched, "plan", *at_staging, **about)  # type: ignore[arg-type]
        refused(branched, "publish", "-r", "1", "--locked", *at_staging, **about)  # type: ignore[arg-type]
        branched.run("release", "activate", "feature-7", *at_staging)
        refused(
            branched, "publish", "-r", "1", "--locked", *at_staging, code=4, error="conflict",
            says=("release feature-7 brought it",), hint=("release feature-7 is live here",),
        )  # fmt: skip
        branched.run("release", "discard", "feature-7", *at_staging, code=4)
        branched.run("release", "retire", "feature-7", *at_staging)
        freed = branched.json("release", "discard", "feature-7", *at_staging)["freed"]
        assert freed == ["app.alone_2", "app.count_things_1", "app.find_things_1", "app.things_1"]
        branched.run("publish", "-r", "1", "--locked", *at_staging)
        assert staging.call("app.alone_2") == [(200,)]
        branched.run("publish", "-r", "1", "--locked")
        assert branched.call("app.alone_2") == [(200,)]


def test_a_branch_that_took_a_new_number_tries_again_beside_its_first_trial(
    branched: World,
) -> None:
    git(branched.root, "checkout", "-q", "feature")
    branched.run("publish", "-r", "trial-1")
    branched.run("lock", "--base", "main")
    assert numbers(branched)["app.alone"] == [1, 2, 3]
    branched.run("publish", "-r", "trial-2", "--locked")
    assert branched.call("app.alone_2") == branched.call("app.alone_3") == [(100,)]
    commit(branched, "a new number")
    git(branched.root, "checkout", "-q", "main")
    branched.run("publish", "-r", "1", "--locked", code=4)
    for _ in range(2):  # who did not hear of it asks again, and is told the same
        assert branched.json("release", "discard", "trial-1")["freed"] == ["app.alone_2"]
    branched.run("publish", "-r", "1", "--locked")
    assert branched.call("app.alone_2") == [(200,)]
    assert branched.call("app.alone_3") == [(100,)]
    assert branched.json("verify")["findings"] == []


def test_what_two_trials_share_is_freed_with_the_last_of_them(branched: World) -> None:
    main = (branched.root / "procver.lock").read_bytes()
    git(branched.root, "checkout", "-q", "feature")
    branched.publish("trial-1")
    branched.show("t.id", "t.price")
    branched.publish("trial-2")
    git(branched.root, "checkout", "-q", "-f", "main")
    assert (branched.root / "procver.lock").read_bytes() == main
    refused(
        branched, "publish", "-r", "1", code=4, error="conflict",
        hint=("`procver release discard trial-1`, `procver release discard trial-2`",),
    )  # fmt: skip
    assert branched.json("release", "discard", "trial-1")["freed"] == [
        "app.count_things_1", "app.find_things_1", "app.things_1",
    ]  # fmt: skip
    branched.run("publish", "-r", "1", code=4)
    assert "app.alone_2" in branched.json("release", "discard", "trial-2")["freed"]
    branched.publish("1")
    assert branched.call("app.alone_2") == [(200,)]


@pytest.fixture
def first(empty_world: World) -> World:
    """Release 1, active."""
    empty_world.reach(one)
    return empty_world


def one(world: World) -> None:
    world.publish("1")
    world.run("release", "activate", "1")


def test_a_published_number_with_other_content_and_the_ways_out(first: World) -> None:
    main = (first.root / "procver.lock").read_bytes()
    first.answer(100)
    first.publish("trial one")
    (first.root / "procver.lock").write_bytes(main)
    first.answer(200)
    first.run("lock")
    for words in (("plan",), ("publish", "-r", "2")):
        refused(
            first, *words, code=4, error="conflict",
            says=("app.alone_2 already holds other content", "release trial one brought it"),
            hint=("procver release discard 'trial one'", "procver lock --base"),
        )  # fmt: skip
    assert first.json("release", "discard", "trial one")["freed"] == ["app.alone_2"]
    first.publish("2")
    assert first.call("app.alone_1") == [(42,)]
    assert first.call("app.alone_2") == [(200,)]
    events = first.json("log", "--action", "discard")["events"]
    assert [e["subject"] for e in events] == ["trial one"]


def test_a_number_that_a_live_release_holds_is_never_offered_for_discard(first: World) -> None:
    (first.root / "procver.lock").unlink()
    first.answer(100)
    said = refused(
        first, "publish", "-r", "2", code=4, error="conflict",
        says=("app.alone_1", "release 1 brought it"), hint=("procver lock --base", "release 1 is live here"),
    )  # fmt: skip
    assert "discard" not in said


def test_what_an_unfinished_publish_left_can_be_freed(first: World) -> None:
    main = (first.root / "procver.lock").read_bytes()
    first.answer(100)
    first.publish("killed before it was recorded")
    first.sql("DELETE FROM procver.release WHERE name LIKE 'killed%'")
    first.sql("DELETE FROM procver.membership WHERE since = 2")
    (first.root / "procver.lock").write_bytes(main)
    first.answer(200)
    first.run("lock")
    refused(
        first, "publish", "-r", "2", code=4, error="conflict",
        says=("app.alone_2", "no release uses it"), hint=("procver release discard --leftovers",),
    )  # fmt: skip
    assert first.json("release", "discard", "--leftovers")["freed"] == ["app.alone_2"]
    assert first.json("release", "discard", "--leftovers")["freed"] == []
    first.publish("2")
    assert first.call("app.alone_2") == [(200,)]


def test_a_discard_that_others_hold_on_to(world: World) -> None:
    world.publish("1")
    world.sql("CREATE VIEW app.theirs AS SELECT t.id FROM app.things_1 t")
    refused(
        world, "release", "discard", "1", code=4, error="conflict",
        says=("release 1 cannot be discarded: app.things_1: ", "view app.theirs"), hint=("depends on it",),
    )  # fmt: skip
    assert len(world.sql("SELECT id FROM app.theirs")) == 3


def test_back_to_an_earlier_content(first: World) -> None:
    for release, number, expected in (("b", 200, 2), ("a", 42, 1), ("b again", 200, 2)):
        first.answer(number)
        first.publish(release)
        assert first.resolver()["app.alone"] == f"app.alone_{expected}"
    assert first.call("app.alone_1") == [(42,)]
    assert first.call("app.alone_2") == [(200,)]
    first.show("t.id", "t.price")
    first.publish("wide")
    first.narrow()
    assert first.publish("narrow")["create"] == []
    assert first.resolver()["app.find_things"] == "app.find_things_1"


def test_back_to_a_content_that_was_collected(first: World) -> None:
    first.configure(more=NOW)
    first.answer(43)
    first.publish("b")
    first.run("release", "activate", "b")
    first.run("release", "retire", "1")
    first.run("gc", "--apply")
    assert first.json("gc", "--apply")["dropped"] == 1
    first.answer(42)
    again = first.publish("a again")["create"]
    assert [(c["physical"], c["reason"]) for c in again] == [("app.alone_1", "restored")]
    assert first.call("app.alone_1") == [(42,)]
