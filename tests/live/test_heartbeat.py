"""Heartbeats over psycopg: they never harm the app, and no drop comes between. What the registry makes of them: tests/behaviour."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from procver import Heartbeat, UsageError, background
from procver.background import Background
from tests.behaviour.test_heartbeat import wait_for
from tests.behaviour.worlds import PostgresqlWorld
from tests.live.conftest import THINGS

WIDER = THINGS.replace("t.name", "t.name, t.price")


@pytest.fixture
def shop(two: PostgresqlWorld) -> PostgresqlWorld:
    """Releases 1 and 2, both active, and everything else collected at once."""
    return two


def test_a_beat_disturbs_no_publisher(shop: PostgresqlWorld) -> None:
    before = shop.sql("SELECT generation FROM procver.project")
    shop.beat("1")
    shop.beat("1", leaving=True)
    assert shop.sql("SELECT generation FROM procver.project") == before
    with psycopg.connect(shop.url) as publisher:
        publisher.execute("SELECT procver.hold(id, generation) FROM procver.project")
        publisher.execute("UPDATE procver.release SET retired_at = NULL")
        started = time.monotonic()
        shop.beat("1", "web-7")
        shop.beat("1", "web-7")
        assert time.monotonic() - started < 2
    with psycopg.connect(shop.url) as app:
        app.execute("SELECT procver.beat('shop', '2', 'slow')")
        shop.write(things=THINGS)
        shop.publish("4")
        shop.run("release", "activate", "4", "-i", "slow")


def test_many_beat_move_and_leave_at_once(shop: PostgresqlWorld) -> None:
    """Copies of two names on two releases, all of it old enough to be tidied up each time: nobody stands in another's way."""
    failed: list[object] = []
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        chosen = random.Random(seed)
        with psycopg.connect(shop.url, autocommit=True) as connection:
            start.wait(30)
            for _ in range(60):
                if chosen.random() < 0.3:
                    connection.execute(
                        "UPDATE procver.instance SET last_seen_at = last_seen_at - interval '16 minutes' WHERE (name, release_id) IN"
                        " (SELECT name, release_id FROM procver.instance FOR UPDATE SKIP LOCKED)"
                    )
                about = chosen.choice("12"), f"web-{chosen.choice('12')}", chosen.random() < 0.3
                try:
                    connection.execute("SELECT procver.beat('shop', %s, %s, %s)", about)
                except psycopg.Error as error:
                    failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert shop.sql(query) == [(0,)]


def test_the_app_needs_one_right_alone(shop: PostgresqlWorld) -> None:
    shop.sql("GRANT USAGE ON SCHEMA procver TO app")
    with psycopg.connect(shop.url, autocommit=True) as connection:
        connection.execute("SET ROLE app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT procver.beat('shop', '1', 'web-1')")
        shop.sql("GRANT EXECUTE ON FUNCTION procver.beat TO app")
        # A schema of the caller's own must not be able to stand in for anything.
        connection.execute("CREATE TEMP TABLE instance (n int)")
        connection.execute("SET search_path = pg_temp, app")
        connection.execute("SELECT procver.beat('shop', '1', 'web-1')")
        for statement in (
            "SELECT * FROM procver.instance",
            "DELETE FROM procver.instance",
            "SELECT procver.require_silence(1, '1 day', '{}')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    assert shop.instances() == [("web-1", "1", False, True, False)]


def test_what_cannot_be_an_instance_has_a_state_of_its_own(shop: PostgresqlWorld) -> None:
    with pytest.raises(psycopg.Error, match="cannot be an instance name") as caught:
        shop.beat("1", "a\tb")
    assert caught.value.sqlstate == "PV005"


# A drop and a heartbeat that comes just before it.


def waiting(shop: PostgresqlWorld) -> bool:
    """Whether somebody listens for a heartbeat that is under way."""
    query = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'procver.instance'::regclass"
    return shop.sql(f"SELECT EXISTS ({query})") == [(True,)]


def test_a_beat_between_plan_and_drop_keeps_what_it_needs(
    shop: PostgresqlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever gc talks to the server next, the instance may already have spoken."""
    from procver import collect as collecting
    from procver.dialects import connect
    from procver.project.workspace import Project
    from tests.faults import Paused

    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    project = Project.at(shop.root)
    at = 0
    while True:
        at += 1
        came: list[None] = []
        database = connect(
            shop.url, dialect="postgresql", root=shop.root, search_path=("app",), lock_timeout=3.0
        )
        try:
            done = collecting.collect(
                project, Paused(database, at, lambda came=came: came.append(shop.beat("1")))
            )
        finally:
            database.close()
        missing = {"app.things_1", "app.find_things_1", "app.count_things_1"} - shop.objects()
        assert missing == {drop.version.physical for drop in done.drop}
        if not came:
            assert len(missing) == 3, "nobody spoke"
            break
        # What went before it spoke is gone; nothing goes afterwards.
        before = shop.objects()
        shop.run("gc", "--apply")
        assert shop.objects() == before
        assert not missing or at > 3
        shop.beat("1", leaving=True)
        shop.run("release", "activate", "1", "--restore")
        shop.run("release", "retire", "1")
        shop.run("gc", "--apply")
    assert at > 3


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_a_drop_waits_for_a_beat_that_is_under_way(shop: PostgresqlWorld, isolation: str) -> None:
    shop.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L',"
        f" current_database(), '{isolation}'); END $$"
    )
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    with psycopg.connect(shop.url) as app:
        app.execute("SELECT procver.beat('shop', '1', 'web-1')")
        assert shop.instances() == [], "nobody can see it yet"
        collecting = shop.start("gc", "--apply", "--json")
        wait_for(lambda: waiting(shop))
        app.commit()
        output, errors = collecting.communicate(timeout=60)
    assert collecting.returncode == 0, errors
    assert '"dropped": 0' in output
    assert {"app.things_1", "app.find_things_1"} <= shop.objects()


def test_a_trial_that_begins_to_beat_is_not_discarded(shop: PostgresqlWorld) -> None:
    shop.write(things=WIDER.replace("price", "price * 2 AS price"))
    shop.publish("3")
    with psycopg.connect(shop.url) as app:
        app.execute("SELECT procver.beat('shop', '3', 'web-1')")
        discarding = shop.start("release", "discard", "3")
        wait_for(lambda: waiting(shop))
        app.commit()
        assert discarding.wait(60) == 4
    assert "app.things_3" in shop.objects()
    shop.beat("3", leaving=True)
    refused = shop.json("release", "discard", "3", code=4)["error"]
    assert "release 3 was run by an instance here" in refused["message"]


def test_a_trial_that_beats_is_not_replaced(shop: PostgresqlWorld) -> None:
    shop.write(things=WIDER.replace("price", "price * 2 AS price"))
    shop.publish("3")
    shop.beat("3")
    shop.write(things=THINGS)
    refused = shop.publish("3", code=4)["error"]
    assert "runs on web-1" in refused["message"]
    shop.beat("3", leaving=True)
    with psycopg.connect(shop.url) as app:
        app.execute("SELECT procver.beat('shop', '3', 'web-1')")
        publishing = shop.start("publish", "--release", "3")
        wait_for(lambda: waiting(shop))
        app.commit()
        assert publishing.wait(60) == 4
    shop.beat("3", leaving=True)
    shop.publish("3")


# The class.


class Door:
    """A way to the database that can be shut; counts who came through."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url, self.options = url, options
        self.open = True
        self.tries = 0
        self.made: list[psycopg.Connection[Any]] = []

    def __call__(self) -> psycopg.Connection[Any]:
        self.tries += 1
        if not self.open:
            raise psycopg.OperationalError("the door is shut")
        self.made.append(psycopg.connect(self.url, **self.options))
        return self.made[-1]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_RETRY", 0.01)


@pytest.fixture(params=[{}, {"autocommit": True}, {"row_factory": psycopg.rows.dict_row}])
def door(shop: PostgresqlWorld, request: pytest.FixtureRequest) -> Iterator[Door]:
    made = Door(shop.url, **request.param)
    yield made
    for connection in made.made:
        connection.close()


def test_a_thread_beats_and_says_goodbye(shop: PostgresqlWorld, door: Door) -> None:
    procs = shop.resolver()
    with Heartbeat(door, procs, "web-1", every=0.02) as heart:
        assert heart.running
        wait_for(lambda: shop.instances() == [("web-1", "2", False, True, False)])
        ((first,),) = shop.sql("SELECT last_seen_at FROM procver.instance")
        wait_for(
            lambda: shop.sql("SELECT last_seen_at > %s FROM procver.instance", first) == [(True,)]
        )
        assert threading.current_thread().name not in {"procver-heartbeat"}
    assert not heart.running
    assert shop.instances() == []
    assert len(door.made) == 1
    assert door.made[0].closed


def test_one_call(shop: PostgresqlWorld, door: Door) -> None:
    heart = Heartbeat(door, "1", project="shop")
    assert heart.beat()
    assert shop.instances() == [(heart.instance, "1", False, True, False)]
    assert str(os.getpid()) in heart.instance
    assert heart.stop(goodbye=False)
    assert len(shop.instances()) == 1
    assert heart.beat()
    assert heart.stop()
    assert shop.instances() == []
    assert heart.stop(), "twice does no harm"


def test_failures_are_logged_once_and_it_recovers(
    shop: PostgresqlWorld, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "procver")
    door = Door(shop.url)
    door.open = False
    with Heartbeat(door, "1", "web-1", project="shop", every=0.05) as heart:
        wait_for(lambda: door.tries > 5)
        assert heart.failures > 3
        assert "failures in a row" in repr(heart)
        door.open = True
        wait_for(lambda: len(shop.instances()) == 1)
        shop.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        wait_for(lambda: len(door.made) == 2)
        wait_for(lambda: heart.failures == 0)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in said] == ["WARNING", "INFO", "WARNING", "INFO"], said
    assert "web-1 was not recorded" in said[0][1]
    assert "the door is shut" in said[0][1]
    assert shop.instances() == []


@pytest.mark.parametrize(
    ("prepare", "release", "project", "says"),
    [
        ("", "9", "shop", ("no release '9' of project 'shop'", "publish the release")),
        ("", "1", "till", ("no release '1' of project 'till'", "publish the release")),
        ("DROP SCHEMA procver CASCADE", "1", "shop", ("procver", "made by: procver publish")),
        ("DROP FUNCTION procver.beat", "1", "shop", ("procver.beat", "made by: procver publish")),
        (
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
            "1", "shop", ("read-only", "primary"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_is_said_once(
    shop: PostgresqlWorld, caplog: pytest.LogCaptureFixture, quick: None,
    prepare: str, release: str, project: str, says: tuple[str, ...],
) -> None:  # fmt: skip
    if prepare:
        shop.sql(prepare)
    door = Door(shop.url)
    with Heartbeat(door, release, "web-1", project=project, every=0.02) as heart:
        wait_for(lambda: heart.failures > 3)
    assert len(caplog.records) == 1
    for word in says:
        assert word in caplog.text
    assert "CONTEXT" not in caplog.text


def test_no_permission(shop: PostgresqlWorld, caplog: pytest.LogCaptureFixture) -> None:
    def connect() -> psycopg.Connection[Any]:
        connection = psycopg.connect(shop.url, autocommit=True)
        connection.execute("SET ROLE app")
        return connection

    assert not Heartbeat(connect, "1", "web-1", project="shop").beat()
    assert "GRANT EXECUTE ON FUNCTION procver.beat" in caplog.text


def test_a_server_that_does_not_answer_delays_nothing(shop: PostgresqlWorld) -> None:
    with psycopg.connect(shop.url) as blocker:
        blocker.execute("LOCK TABLE procver.instance IN ACCESS EXCLUSIVE MODE")
        heart = Heartbeat(Door(shop.url), "1", "web-1", project="shop").start()
        time.sleep(0.3)
        started = time.monotonic()
        assert heart.stop(timeout=0.2) is False
        assert time.monotonic() - started < 2


SCRIPT = """
import sys, time, psycopg
from procver import Heartbeat
connect = lambda: psycopg.connect(sys.argv[1])
heart = Heartbeat(connect, sys.argv[2], "web-1", project="shop").start()
while not heart._visited and not heart.failures:
    time.sleep(0.01)
print("ready")
"""


@pytest.mark.parametrize("release", ["1", "no such release"])
def test_the_interpreter_ends_without_waiting(shop: PostgresqlWorld, release: str) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, shop.url, release],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "ready\n", done.stderr
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started < 30
    assert len(shop.instances()) == (1 if release == "1" else 0)


def _in_child(heart: Heartbeat, pipe: Any) -> None:
    parent = heart.instance
    running = heart.running
    done = heart.beat()
    heart.stop(goodbye=False)
    pipe.send((running, done, parent))
    pipe.close()


def test_a_fork_takes_nothing_over(shop: PostgresqlWorld) -> None:
    door = Door(shop.url)
    with Heartbeat(door, "1", project="shop", every=0.02) as heart:
        wait_for(lambda: len(shop.instances()) == 1)
        context = multiprocessing.get_context("fork")
        mine, theirs = context.Pipe()
        child = context.Process(target=_in_child, args=(heart, theirs))
        child.start()
        running, done, name = mine.recv()
        child.join(30)
        assert (running, done) == (False, True)
        assert name != heart.instance, "a child is an instance of its own"
        assert {row[0] for row in shop.instances()} == {name, heart.instance}
        assert heart.failures == 0
        assert heart.beat(), "the parent's connection still works"


class Switching:
    release = "1"
    project = "shop"
    dialect = "postgresql"


def test_it_follows_what_the_app_resolves_with(shop: PostgresqlWorld) -> None:
    procs = Switching()
    with Heartbeat(Door(shop.url), procs, "web-1", every=0.02):
        wait_for(lambda: len(shop.instances()) == 1)
        procs.release = "2"
        wait_for(lambda: len(shop.instances()) == 2)
    assert shop.instances() == []


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (("postgresql://", "1"), {}, "must be a function"),
        ((print, ""), {}, "release's name is empty"),
        ((print, None), {}, "is no release"),
        ((print, 7), {}, "is no release"),
        ((print, "1"), {"every": 0}, "makes no sense"),
        ((print, "1"), {"every": -1}, "makes no sense"),
        ((print, "1"), {"every": "60"}, "makes no sense"),
        ((print, "1"), {"every": float("nan")}, "makes no sense"),
        ((print, "1"), {"dialect": "oracle"}, "no dialect"),
        ((print, "1", 7), {}, "cannot be an instance name"),
    ],
)
def test_arguments_that_make_no_sense(arguments: Any, options: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        Heartbeat(*arguments, **options)
    assert caught.value.hint


def test_pauses_grow_up_to_the_period_and_are_not_in_step() -> None:
    heart = Background(print, print, 60, name="x", failed=str, recovered=str)
    assert all(48 <= heart.pause() <= 72 for _ in range(100))
    assert len({heart.pause() for _ in range(10)}) > 1
    for failures, most in ((1, 1.2), (2, 2.4), (5, 19.2), (50, 72), (5000, 72)):
        heart.failures = failures
        assert 0 < heart.pause() <= most
