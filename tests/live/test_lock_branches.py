"""Two git branches take one number: the conflict, the new number, the trial on staging, the way back."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from procver.lock import Lock
from tests.cli.untouched import files, refused
from tests.live.conftest import ALONE, TABLES, THINGS
from tests.servers import Server
from tests.workshop import Workshop

LEFT = ALONE.replace("42", "100")
RIGHT = ALONE.replace("42", "200")


def git(root: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.hooksPath=/dev/null", *words],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def commit(workshop: Workshop, message: str) -> None:
    git(workshop.root, "add", "procver.toml", "procver.lock", "sql")
    git(workshop.root, "commit", "-q", "-m", message)


@pytest.fixture
def branched(workshop: Workshop) -> Workshop:
    """A repository whose main and feature branches both took alone 2; main is checked out."""
    git(workshop.root, "init", "-q", "-b", "main")
    workshop.run("lock")
    commit(workshop, "first")
    for branch, text in (("feature", LEFT), ("main", RIGHT)):
        if branch == "feature":
            git(workshop.root, "checkout", "-q", "-b", branch)
        else:
            git(workshop.root, "checkout", "-q", branch)
        workshop.write(alone=text)
        workshop.run("lock")
        commit(workshop, text)
    return workshop


@pytest.fixture
def staging(server: Server) -> Iterator[str]:
    """The URL of a second database of the same kind."""
    name = f"staging_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute(TABLES.encode())
    yield server.url(name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def numbers(workshop: Workshop) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for entry in Lock.parse((workshop.root / "procver.lock").read_text("utf-8")):
        found.setdefault(entry.name, []).append(entry.number)
    return found


def test_the_same_number_on_two_branches(branched: Workshop) -> None:
    theirs = git(branched.root, "show", "main:procver.lock")
    git(branched.root, "checkout", "-q", "feature")
    git(branched.root, "merge", "-q", "main", code=1)
    assert "procver.lock" in git(branched.root, "diff", "--name-only", "--diff-filter=U")
    branched.write(alone=LEFT)
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
    assert branched.sql("SELECT app.alone_3()") == [(100,)]


def test_branches_that_changed_different_objects_merge_by_themselves(branched: Workshop) -> None:
    git(branched.root, "checkout", "-q", "-b", "other", "HEAD~1")
    branched.write(zebra=ALONE.replace("alone", "zebra"))
    branched.run("lock")
    commit(branched, "zebra")
    git(branched.root, "merge", "-q", "--no-edit", "main")
    assert branched.json("lock", "--check")["added"] == []
    assert numbers(branched)["app.alone"] == [1, 2]
    assert numbers(branched)["app.zebra"] == [1]


def test_the_trial_on_staging_is_discarded(branched: Workshop, staging: str) -> None:
    at_staging = ("-t", staging)
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
    assert ask(staging, "SELECT app.alone_2()") == 200
    branched.run("publish", "-r", "1", "--locked")
    assert branched.sql("SELECT app.alone_2()") == [(200,)]


def test_a_branch_that_took_a_new_number_tries_again_beside_its_first_trial(
    branched: Workshop, staging: str
) -> None:
    at_staging = ("-t", staging)
    git(branched.root, "checkout", "-q", "feature")
    branched.run("publish", "-r", "trial-1", *at_staging)
    branched.run("lock", "--base", "main")
    assert numbers(branched)["app.alone"] == [1, 2, 3]
    branched.run("publish", "-r", "trial-2", "--locked", *at_staging)
    assert ask(staging, "SELECT app.alone_2() + app.alone_3()") == 200
    commit(branched, "a new number")
    git(branched.root, "checkout", "-q", "main")
    branched.run("publish", "-r", "1", "--locked", *at_staging, code=4)
    assert branched.json("release", "discard", "trial-1", *at_staging)["freed"] == ["app.alone_2"]
    branched.run("publish", "-r", "1", "--locked", *at_staging)
    assert ask(staging, "SELECT app.alone_2() + app.alone_3()") == 300
    assert branched.json("verify", *at_staging)["findings"] == []


def test_what_two_trials_share_is_freed_with_the_last_of_them(branched: Workshop) -> None:
    main = (branched.root / "procver.lock").read_bytes()
    git(branched.root, "checkout", "-q", "feature")
    branched.publish("trial-1")
    branched.write(things=THINGS.replace("t.name", "t.price"))
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
    assert branched.sql("SELECT app.alone_2()") == [(200,)]


def test_a_published_number_with_other_content_and_the_ways_out(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    main = (workshop.root / "procver.lock").read_bytes()
    workshop.write(alone=LEFT)
    workshop.publish("trial one")
    (workshop.root / "procver.lock").write_bytes(main)
    workshop.write(alone=RIGHT)
    workshop.run("lock")
    for words in (("plan",), ("publish", "-r", "2")):
        refused(
            workshop, *words, code=4, error="conflict",
            says=("app.alone_2 already holds other content", "release trial one brought it"),
            hint=("procver release discard 'trial one'", "procver lock --base"),
        )  # fmt: skip
    assert workshop.json("release", "discard", "trial one")["freed"] == ["app.alone_2"]
    workshop.publish("2")
    assert workshop.sql("SELECT app.alone_1(), app.alone_2()") == [(42, 200)]
    assert [
        row
        for row in workshop.sql("SELECT action, subject FROM procver.event")
        if row[0] == "discard"
    ] == [("discard", "trial one")]


def test_a_number_that_a_live_release_holds_is_never_offered_for_discard(
    workshop: Workshop,
) -> None:
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    (workshop.root / "procver.lock").unlink()
    workshop.write(alone=LEFT)
    said = refused(
        workshop, "publish", "-r", "2", code=4, error="conflict",
        says=("app.alone_1", "release 1 brought it"), hint=("procver lock --base", "release 1 is live here"),
    )  # fmt: skip
    assert "discard" not in said


def test_what_an_unfinished_publish_left_can_be_freed(workshop: Workshop) -> None:
    workshop.publish("1")
    main = (workshop.root / "procver.lock").read_bytes()
    workshop.write(alone=LEFT)
    workshop.publish("killed before it was recorded")
    workshop.sql("DELETE FROM procver.release WHERE name LIKE 'killed%'")
    workshop.sql("DELETE FROM procver.membership WHERE since = 2")
    (workshop.root / "procver.lock").write_bytes(main)
    workshop.write(alone=RIGHT)
    workshop.run("lock")
    refused(
        workshop, "publish", "-r", "2", code=4, error="conflict",
        says=("app.alone_2", "no release uses it"), hint=("procver release discard --leftovers",),
    )  # fmt: skip
    assert workshop.json("release", "discard", "--leftovers")["freed"] == ["app.alone_2"]
    assert workshop.json("release", "discard", "--leftovers")["freed"] == []
    workshop.publish("2")
    assert workshop.sql("SELECT app.alone_2()") == [(200,)]


def test_back_to_an_earlier_content(branched: Workshop) -> None:
    branched.publish("b")
    for release, text, number in (("a", ALONE, 1), ("b again", RIGHT, 2), ("a again", ALONE, 1)):
        branched.write(alone=text)
        branched.publish(release)
        assert branched.resolver()["app.alone"] == f"app.alone_{number}"
    assert numbers(branched)["app.alone"] == [1, 2]
    assert branched.sql("SELECT app.alone_1(), app.alone_2()") == [(42, 200)]
    branched.write(things=THINGS.replace("t.name", "t.price"))
    branched.publish("wide")
    branched.write(things=THINGS)
    assert branched.publish("narrow")["create"] == []
    assert branched.resolver()["app.find_things"] == "app.find_things_1"


def test_back_to_a_content_that_was_collected(branched: Workshop) -> None:
    branched.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\n')
    branched.publish("b")
    branched.run("release", "activate", "b")
    branched.write(alone=ALONE)
    branched.publish("a")
    branched.run("release", "activate", "a")
    branched.run("release", "retire", "b")
    branched.run("gc", "--apply")
    assert branched.json("gc", "--apply")["dropped"] == 1
    branched.write(alone=RIGHT)
    again = branched.publish("b again")["create"]
    assert [(c["physical"], c["reason"]) for c in again] == [("app.alone_2", "restored")]
    assert branched.sql("SELECT app.alone_2()") == [(200,)]


def test_a_base_that_cannot_be_read(branched: Workshop, workshop: Workshop) -> None:
    for base in ("nowhere", "HEAD~99", "main:sql"):
        refused(
            branched, "lock", f"--base={base}", code=2, error="usage", says=(f"procver.lock at {base!r}",),
            hint=("branch, tag or commit",),
        )  # fmt: skip
    git(branched.root, "checkout", "-q", "--detach")
    git(branched.root, "branch", "-q", "-D", "main")
    refused(
        branched,
        "lock",
        "--base",
        code=2,
        error="usage",
        says=("'main'",),
        hint=("--base origin/main",),
    )


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]
