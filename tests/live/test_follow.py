"""An app that follows a channel over psycopg, and under load. What a channel is: tests/behaviour."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from procver import DatabaseError, Heartbeat, Resolver, UsageError
from procver.following import Following
from tests.behaviour.test_follow import channelled, point
from tests.behaviour.test_heartbeat import wait_for
from tests.behaviour.worlds import NEW, OLD, PostgresqlWorld


@pytest.fixture
def shop(workshop: PostgresqlWorld) -> PostgresqlWorld:
    """Releases 1 and 2; the channel stable points to 1."""
    channelled(workshop)
    return workshop


@pytest.fixture
def connection(shop: PostgresqlWorld) -> Iterator[psycopg.Connection[Any]]:
    """A connection whose rows are dictionaries."""
    with psycopg.connect(shop.url, row_factory=psycopg.rows.dict_row) as opened:
        yield opened


def test_it_switches_and_back_and_leaves_no_transaction_open(
    shop: PostgresqlWorld, connection: psycopg.Connection[Any]
) -> None:
    procs = Resolver.follow(connection, "stable")
    idle = psycopg.pq.TransactionStatus.IDLE
    for release in ("1", "2", "1"):
        point(shop, release)
        procs.refresh(strict=True)
        assert connection.info.transaction_status == idle
        assert (procs.release, procs["find_things"]) == (release, f"app.find_things_{release}")


def test_a_look_is_one_row_when_nothing_changed(shop: PostgresqlWorld) -> None:
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


def test_it_leaves_work_in_progress_alone(shop: PostgresqlWorld) -> None:
    with psycopg.connect(shop.url) as connection:
        procs = Resolver.follow(connection, "stable")
        connection.execute("CREATE TABLE app.mine (n int)")
        point(shop, "2")
        assert procs.refresh()
        connection.commit()
    assert shop.sql("SELECT to_regclass('app.mine') IS NOT NULL") == [(True,)]


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        ("DROP SCHEMA procver CASCADE", UsageError, "no procver registry"),
        (
            "DROP VIEW procver.channel_release; REVOKE ALL ON SCHEMA procver FROM app",
            UsageError,
            "no procver registry",
        ),
    ],
)
def test_a_failure_keeps_the_last_mapping(
    shop: PostgresqlWorld, connection: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture,
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


def test_no_permission(shop: PostgresqlWorld) -> None:
    with psycopg.connect(shop.url, autocommit=True) as connection:
        connection.execute("SET ROLE app")
        with pytest.raises(DatabaseError) as caught:
            Resolver.follow(connection, "stable")
        assert "SELECT on procver.channel_release" in str(caught.value.hint)
        shop.sql("GRANT USAGE ON SCHEMA procver TO app")
        shop.sql("GRANT SELECT ON procver.channel_release, procver.mapping TO app")
        assert Resolver.follow(connection, "stable").release == "1"


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


def test_switching_under_load_while_gc_runs(shop: PostgresqlWorld) -> None:
    connect: Callable[[], Any] = lambda: psycopg.connect(shop.url, autocommit=True)  # noqa: E731
    procs = [Resolver.follow(connect, "stable", every=0.02) for _ in range(2)]
    servers = [Server(shop.url, one) for one in procs]
    hearts = [
        Heartbeat(connect, one, f"web-{at}", every=0.05).start() for at, one in enumerate(procs)
    ]
    wait_for(lambda: len(shop.instances()) == 2)
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
