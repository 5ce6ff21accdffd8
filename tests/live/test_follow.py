"""Channels, and an app that follows one: it switches as a whole, and back, and never onto something that is not there."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from procver import DatabaseError, FindingsError, Heartbeat, Resolver, UsageError, background
from procver.following import Following
from tests.cli.untouched import refused
from tests.live.conftest import THINGS
from tests.live.test_heartbeat import rows, wait_for
from tests.workshop import Workshop

GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
WIDER = THINGS.replace("t.name", "t.name, t.price")
OLD, NEW = [(2, "bolt"), (3, "crane")], [(2, "bolt", 1), (3, "crane", 5000)]


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """Releases 1 and 2; the channel stable points to 1."""
    workshop.configure(more=GC_NOW)
    workshop.publish("1")
    workshop.write(things=WIDER)
    workshop.publish("2")
    workshop.run("release", "channel", "stable", "1")
    return workshop


@pytest.fixture(params=["tuples", "autocommit", "dictionaries"])
def connection(shop: Workshop, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    options: dict[str, Any] = {
        "tuples": {},
        "autocommit": {"autocommit": True},
        "dictionaries": {"row_factory": psycopg.rows.dict_row},
    }[request.param]
    with psycopg.connect(shop.url, **options) as opened:
        yield opened


def point(shop: Workshop, release: str, channel: str = "stable") -> Any:
    return shop.json("release", "channel", channel, release)


# The channel.


def test_a_channel_activates_what_it_points_to(shop: Workshop) -> None:
    assert shop.json("release", "show", "1")["state"] == "live"
    done = point(shop, "2")
    assert done == {"channel": "stable", "release": "2", "moved_from": "1", "restored": []}
    assert point(shop, "2")["moved_from"] is None, "again changes nothing"
    listed = shop.json("release", "channel")["channels"]
    assert [(c["channel"], c["release"]) for c in listed] == [("stable", "2")]
    assert shop.json("release", "channel", "stable")["channels"] == listed
    states = {
        r["name"]: (r["state"], r["channels"]) for r in shop.json("release", "list")["releases"]
    }
    assert states == {"1": ("live", []), "2": ("live", ["stable"])}
    assert "channel stable points to it" in shop.run("release", "show", "2").output
    events = shop.sql(
        "SELECT action, subject, detail ->> 'channel' FROM procver.event WHERE action = 'channel' ORDER BY id"
    )
    assert events == [("channel", "1", "stable"), ("channel", "2", "stable")]


def test_a_release_that_a_channel_points_to_is_a_root(shop: Workshop) -> None:
    assert "release 1 (channel stable)" in shop.run("why", "app.things_1").output
    refused(
        shop, "release", "retire", "1", code=4, error="conflict",
        says=("channel stable points to release 1",), hint=("procver release channel stable",),
    )  # fmt: skip
    refused(shop, "release", "discard", "1", code=4, error="conflict", says=("release 1 is live",))
    shop.run("release", "activate", "1", "-i", "web-1")
    assert shop.json("release", "retire", "1", "-i", "web-1")["state"] == "live"
    for _ in range(3):
        assert shop.json("gc", "--apply")["condemn"] == []
    point(shop, "2")
    assert shop.json("release", "retire", "1")["state"] == "retired"
    shop.run("gc", "--apply")
    assert shop.json("gc", "--apply")["dropped"] == 3


def test_a_channel_is_removed_and_its_release_stays(shop: Workshop) -> None:
    done = shop.json("release", "channel", "stable", "--remove")
    assert done == {"channel": "stable", "release": None, "moved_from": "1"}
    assert shop.json("release", "show", "1")["state"] == "live"
    assert shop.run("release", "channel").output == "no channels\n"
    shop.run("release", "retire", "1")


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (("stable", "9"), "no release '9'", "release list"),
        (("stabel",), "no channel 'stabel'", "did you mean stable"),
        (("nightly",), "no channel 'nightly'", "procver release channel nightly RELEASE"),
        (("nightly", "--remove"), "no channel 'nightly'", "procver release channel nightly"),
        (("", "1"), "'' cannot be a channel name", "stable"),
        (("a\tb", "1"), "cannot be a channel name", "stable"),
        ((" a", "1"), "cannot be a channel name", "stable"),
        (("x" * 201, "1"), "cannot be a channel name", "stable"),
        (("stable", "1", "--remove"), "--remove takes a channel alone", "--help"),
        (("--remove",), "--remove takes a channel alone", "--help"),
        (("stable", "--restore"), "--restore a channel and a release", "--help"),
    ],
)
def test_what_a_channel_cannot_be(
    shop: Workshop, words: tuple[str, ...], says: str, hint: str
) -> None:
    refused(shop, "release", "channel", *words, code=2, error="usage", says=(says,), hint=(hint,))


@pytest.mark.parametrize(
    "name", ["Ąж 💚", "'; DROP SCHEMA procver CASCADE; --", "%s %(a)s", '"x"', "x" * 200]
)
def test_hostile_channels(shop: Workshop, name: str) -> None:
    point(shop, "2", name)
    with psycopg.connect(shop.url) as connection:
        procs = Resolver.follow(connection, name)
        assert procs.release == "2"
        assert procs.refresh(strict=True) is False
    assert name in shop.run("release", "channel").output
    shop.run("release", "channel", name, "--remove")


def test_a_collected_release_is_pointed_to_once_restored(shop: Workshop) -> None:
    point(shop, "2")
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    shop.run("gc", "--apply")
    refused(
        shop, "release", "channel", "stable", "1", code=4, error="conflict",
        says=("release 1 needs 3 version(s) that are gone",), hint=("--restore",),
    )  # fmt: skip
    with psycopg.connect(shop.url) as connection:
        procs = Resolver.follow(connection, "stable")
        done = shop.json("release", "channel", "stable", "1", "--restore")
        assert len(done["restored"]) == 3
        assert procs.refresh(strict=True)
        procs.verify(connection)


# The app.


def test_it_switches_and_back(shop: Workshop, connection: psycopg.Connection[Any]) -> None:
    procs = Resolver.follow(connection, "stable")
    idle = psycopg.pq.TransactionStatus.IDLE
    assert connection.info.transaction_status == idle
    assert (procs.release, procs.project, procs.dialect, procs.default_schema) == (
        "1",
        "shop",
        "postgresql",
        "app",
    )
    assert procs["app.find_things"] == procs["find_things"] == "app.find_things_1"
    assert procs.refresh() is False
    with procs.pinned() as pinned:
        before = dict(procs)
        point(shop, "2")
        assert procs.refresh() is True
        assert connection.info.transaction_status == idle
        assert dict(pinned) == before, "a request under way keeps its release"
    assert procs["app.find_things"] == "app.find_things_2"
    assert shop.sql(f"SELECT * FROM {procs['app.find_things']}(2)") == NEW
    assert procs.get("app.nothing") is None
    assert "find_things" in procs
    assert len(procs) == len(list(procs)) == 4
    assert "release '2'" in repr(procs)
    point(shop, "1")
    assert procs.refresh() is True
    assert shop.sql(f"SELECT * FROM {procs['app.find_things']}(2)") == OLD


def test_a_look_is_one_row_when_nothing_changed(shop: Workshop) -> None:
    sent: list[str] = []

    class Counting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            sent.append(str(query))
            return super().execute(query, *arguments, **options)

    with psycopg.connect(shop.url, cursor_factory=Counting) as connection:
        procs = Resolver.follow(connection, "stable")
        sent.clear()
        for _ in range(5):
            procs.refresh()
        assert len(sent) == 5
        assert all("procver.channel_release" in query for query in sent)


def test_it_leaves_work_in_progress_alone(shop: Workshop) -> None:
    with psycopg.connect(shop.url) as connection:
        procs = Resolver.follow(connection, "stable")
        connection.execute("CREATE TABLE app.mine (n int)")
        point(shop, "2")
        assert procs.refresh()
        connection.commit()
    assert shop.sql("SELECT to_regclass('app.mine') IS NOT NULL") == [(True,)]


def test_it_never_switches_to_what_is_not_there(
    shop: Workshop, connection: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    procs = Resolver.follow(connection, "stable")
    point(shop, "2")
    shop.sql("DROP VIEW app.things_2 CASCADE")
    for _ in range(3):
        assert procs.refresh() is False
    assert procs.release == "1"
    assert isinstance(procs.error, FindingsError)
    assert procs.failures == 3
    assert len(caplog.records) == 1
    assert "release 1 stays" in caplog.text
    assert "app.things_2" in caplog.text
    with pytest.raises(FindingsError, match=r"app\.things_2"):
        procs.refresh(strict=True)
    with pytest.raises(FindingsError):
        Resolver.follow(connection, "stable")
    point(shop, "1")
    assert procs.refresh(strict=True) is False
    assert procs.failures == 0


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        ("DELETE FROM procver.channel", UsageError, "no channel 'stable'"),
        ("DROP SCHEMA procver CASCADE", UsageError, "no procver registry"),
        (
            "DROP VIEW procver.channel_release; REVOKE ALL ON SCHEMA procver FROM app",
            UsageError,
            "no procver registry",
        ),
    ],
)
def test_a_failure_keeps_the_last_mapping(
    shop: Workshop, connection: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture,
    spoil: str, error: type[Exception], says: str,
) -> None:  # fmt: skip
    procs = Resolver.follow(connection, "stable")
    shop.sql(spoil)
    assert procs.refresh() is False
    assert procs["app.find_things"] == "app.find_things_1"
    assert says in caplog.text
    with pytest.raises(error, match=says):
        procs.refresh(strict=True)
    with pytest.raises(error, match=says):
        Resolver.follow(connection, "stable")


def test_no_permission(shop: Workshop) -> None:
    with psycopg.connect(shop.url, autocommit=True) as connection:
        connection.execute("SET ROLE app")
        with pytest.raises(DatabaseError) as caught:
            Resolver.follow(connection, "stable")
        assert "SELECT on procver.channel_release" in str(caught.value.hint)
        shop.sql("GRANT USAGE ON SCHEMA procver TO app")
        shop.sql("GRANT SELECT ON procver.channel_release, procver.mapping TO app")
        assert Resolver.follow(connection, "stable").release == "1"


def test_two_projects_may_have_a_channel_of_one_name(shop: Workshop) -> None:
    other = Workshop(shop.root.parent / "till", shop.url, name="till")
    other.write(alone="CREATE FUNCTION app.ring() RETURNS int LANGUAGE sql AS 'SELECT 7';\n")
    other.publish("7")
    other.run("release", "channel", "stable", "7")
    with psycopg.connect(shop.url) as connection:
        with pytest.raises(
            UsageError, match="several projects have a channel 'stable': shop, till"
        ):
            Resolver.follow(connection, "stable")
        assert Resolver.follow(connection, "stable", project="till")["app.ring"] == "app.ring_1"
        with pytest.raises(UsageError, match="no channel 'stable' of project 'nobody'"):
            Resolver.follow(connection, "stable", project="nobody")


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (("stable",), {"every": 1}, "cannot share the app's connection"),
        (("",), {}, "is no channel"),
        ((None,), {}, "is no channel"),
    ],
)
def test_arguments_that_make_no_sense(
    shop: Workshop, arguments: Any, options: Any, says: str
) -> None:
    with psycopg.connect(shop.url) as connection:
        with pytest.raises(UsageError, match=says):
            Resolver.follow(connection, *arguments, **options)
        with pytest.raises(UsageError, match="cannot share"):
            Resolver.follow(connection, "stable").start()
    with pytest.raises(UsageError, match="makes no sense"):
        Resolver.follow(lambda: psycopg.connect(shop.url), "stable", every=0)


def test_a_thread_follows_and_survives_what_happens_to_its_connection(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "FIRST_RETRY", 0.01)
    caplog.set_level(logging.INFO, "procver")
    with Resolver.follow(lambda: psycopg.connect(shop.url), "stable", every=0.05) as procs:
        assert procs.release == "1"
        point(shop, "2")
        wait_for(lambda: procs.release == "2")
        shop.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        point(shop, "1")
        wait_for(lambda: procs.release == "1")
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert procs["app.find_things"] == "app.find_things_1", "names still resolve once it is closed"
    assert not any(t.name == "procver-follow" for t in threading.enumerate())


def test_an_instance_is_where_its_resolver_is(shop: Workshop) -> None:
    with psycopg.connect(shop.url) as connection:
        procs = Resolver.follow(connection, "stable")
        with Heartbeat(lambda: psycopg.connect(shop.url), procs, "web-1", every=0.05):
            wait_for(lambda: rows(shop) == [("web-1", "1", False, True, False)])
            point(shop, "2")
            procs.refresh()
            wait_for(lambda: len(rows(shop)) == 2)
            # Calls of a moment ago may still be under way: the release it left is kept for a while.
            assert shop.json("release", "retire", "1")["kept_by"] == ["web-1"]
            assert shop.json("verify")["findings"] == []
        assert rows(shop) == []


class Server(threading.Thread):
    """An app server that never stops to call; each call must get the answer of one release, whole."""

    def __init__(self, url: str, procs: Following) -> None:
        super().__init__()
        self.url, self.procs = url, procs
        self.over = threading.Event()
        self.calls: dict[str, int] = {}
        self.wrong: list[object] = []

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.over.is_set():
                try:
                    with self.procs.pinned() as names:
                        found = connection.execute(
                            f"SELECT * FROM {names['app.find_things']}(2)".encode()
                        ).fetchall()
                        (counted,) = connection.execute(
                            f"SELECT {names['app.count_things']}()".encode()
                        ).fetchone() or (None,)
                except psycopg.Error as error:
                    self.wrong.append(error)
                    continue
                if (found, counted) != ({"1": OLD, "2": NEW}[names.release], 3):
                    self.wrong.append((names.release, found, counted))
                self.calls[names.release] = self.calls.get(names.release, 0) + 1


def test_switching_under_load_while_gc_runs(shop: Workshop) -> None:
    connect: Callable[[], Any] = lambda: psycopg.connect(shop.url, autocommit=True)  # noqa: E731
    procs = [Resolver.follow(connect, "stable", every=0.02) for _ in range(2)]
    servers = [Server(shop.url, one) for one in procs]
    hearts = [
        Heartbeat(connect, one, f"web-{at}", every=0.05).start() for at, one in enumerate(procs)
    ]
    wait_for(lambda: len(rows(shop)) == 2)
    for server in servers:
        server.start()
    try:
        release = "1"
        for _ in range(4):
            former, release = release, "2" if release == "1" else "1"
            done = shop.json("release", "channel", "stable", release, "--restore")
            assert done["moved_from"] == former
            shop.run("release", "retire", former)
            wait_for(lambda release=release: all(one.release == release for one in procs))
            for _ in range(2):
                shop.run("gc", "--apply")
            time.sleep(0.1)
    finally:
        for server in servers:
            server.over.set()
            server.join(30)
        for one in (*hearts, *procs):
            one.stop() if isinstance(one, Heartbeat) else one.close()
    assert [server.wrong for server in servers] == [[], []]
    assert all(set(server.calls) == {"1", "2"} for server in servers)
    assert json.dumps(shop.json("verify")["findings"]) == "[]"
