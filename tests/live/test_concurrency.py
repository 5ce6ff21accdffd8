"""Several commands at once: nothing is lost, nobody deadlocks, and calls of live versions never wait."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from procver import Resolver, releases
from procver.collect import collect
from procver.decision import Collection
from procver.dialects import connect, postgresql
from procver.errors import ConflictError, UsageError
from procver.project.workspace import Project
from procver.publish import Published, publish
from procver.registry import writing
from procver.restore import restore
from procver.verify import verify
from tests.faults import Paused
from tests.live.conftest import THINGS
from tests.workshop import Workshop, in_lanes, together

pytestmark = pytest.mark.slow

MANY = 8
GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
WIDER = "CREATE VIEW app.things AS SELECT t.id, t.name, t.price FROM app.thing t;\n"
OLD, NEW = [(2, "bolt"), (3, "crane")], [(2, "bolt", 1), (3, "crane", 5000)]


@pytest.fixture(autouse=True)
def small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many short transactions give the others many moments to come between."""
    monkeypatch.setattr(writing, "BATCH_OBJECTS", 1)


@pytest.fixture(params=["on one connection", "in lanes"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How publications create versions."""
    if request.param == "in lanes":
        in_lanes(monkeypatch)


class Actor:
    """Somebody with a checkout and a connection of their own."""

    def __init__(self, shop: Workshop, lock_timeout: float = 3.0) -> None:
        self.shop = shop
        self.project = Project.at(shop.root)
        self.database = connect(
            shop.url, dialect="postgresql", root=shop.root, search_path=("app",),
            lock_timeout=lock_timeout,
        )  # fmt: skip

    def publish(self, release: str) -> Published:
        return publish(Project.at(self.shop.root), self.database, release)

    def collect(self) -> Collection:
        return collect(self.project, self.database)

    def activate(self, release: str) -> None:
        releases.activate(self.project, self.database, release, restore=True)

    def retire(self, release: str) -> None:
        releases.retire(self.project, self.database, release)

    def check(self) -> None:
        """All is as it was published, and no transaction had to be sacrificed."""
        assert verify(self.project, self.database) == []
        found = self.shop.sql(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert found == [(0,)]


@contextmanager
def crew(shop: Workshop, size: int, **options: float) -> Iterator[list[Actor]]:
    """Give each of several actors a copy of the project."""
    actors = []
    for index in range(size):
        root = shop.root.parent / f"checkout-{index}"
        shutil.copytree(shop.root, root)
        actors.append(Actor(_at(root, shop.url), **options))
    try:
        yield actors
    finally:
        for actor in actors:
            actor.database.close()


def _at(root: Path, url: str) -> Workshop:
    return Workshop(root, url, more=GC_NOW)


@contextmanager
def actor_at(shop: Workshop) -> Iterator[Actor]:
    actor = Actor(shop)
    try:
        yield actor
    finally:
        actor.database.close()


def mapping(shop: Workshop, release: str) -> Resolver:
    with psycopg.connect(shop.url) as connection:
        return Resolver.from_database(connection, release=release, project="shop")


def answer(shop: Workshop, release: str) -> list[tuple[Any, ...]]:
    return shop.sql(f"SELECT * FROM {mapping(shop, release)['app.find_things']}(2)")


@pytest.mark.usefixtures("either_way")
def test_eight_publish_the_same_release_to_an_empty_database(workshop: Workshop) -> None:
    with crew(workshop, MANY) as actors:
        done = together(*(lambda a=a: a.publish("1") for a in actors))
        assert [type(each) for each in done] == [Published] * MANY, done
        assert workshop.sql("SELECT name FROM procver.release") == [("1",)]
        assert workshop.sql("SELECT count(*) FROM procver.version") == [(4,)]
        assert answer(workshop, "1") == OLD
        actors[0].check()


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("at", range(1, 10))
def test_a_first_publish_in_the_middle_of_another(workshop: Workshop, at: int) -> None:
    """Before each use of the database in turn somebody else does all of it."""
    with crew(workshop, 2) as (ann, bob):
        came: list[Published] = []
        ann.database = Paused(ann.database, at, lambda: came.append(bob.publish("1")))
        assert ann.publish("1").contract.content == bob.publish("1").contract.content
        assert workshop.sql("SELECT name FROM procver.release") == [("1",)]
        assert workshop.sql("SELECT count(*) FROM procver.version") == [(4,)]
        assert answer(workshop, "1") == OLD
        bob.check()
        assert came or at > 8, "the publication was not interrupted"


@pytest.mark.usefixtures("either_way")
def test_eight_publish_releases_of_their_own(workshop: Workshop) -> None:
    with crew(workshop, MANY) as actors:
        for index, actor in enumerate(actors):
            text = f"CREATE FUNCTION app.own_{index}x() RETURNS int LANGUAGE sql AS 'SELECT {index}';\n"
            actor.shop.write(**{f"own_{index}": text})
        done = together(*(lambda a=a, i=i: a.publish(f"r{i}") for i, a in enumerate(actors)))
        assert [type(each) for each in done] == [Published] * MANY, done
        assert workshop.sql("SELECT count(*) FROM procver.version") == [(4 + MANY,)]
        for index in range(MANY):
            found = mapping(workshop, f"r{index}")
            assert len(found) == 5
            assert workshop.sql(f"SELECT {found[f'app.own_{index}x']}()") == [(index,)]
            assert answer(workshop, f"r{index}") == OLD
        actors[0].check()


@pytest.mark.usefixtures("either_way")
def test_eight_take_the_same_number_and_one_gets_it(workshop: Workshop) -> None:
    workshop.publish("1")
    with crew(workshop, MANY) as actors:
        for index, actor in enumerate(actors):
            actor.shop.write(things=THINGS.replace("t.name", f"t.name, {index} AS who"))
        done = together(*(lambda a=a, i=i: a.publish(f"r{i}") for i, a in enumerate(actors)))
        winners = [i for i, each in enumerate(done) if isinstance(each, Published)]
        assert len(winners) == 1, done
        for each in done:
            if not isinstance(each, Published):
                assert isinstance(each, ConflictError), each
                assert "app.things_2 already holds other content" in each.message
                assert each.hint is not None
                assert "procver lock --base" in each.hint
        assert workshop.sql("SELECT name FROM procver.release ORDER BY 1") == [
            ("1",), (f"r{winners[0]}",),
        ]  # fmt: skip
        assert answer(workshop, f"r{winners[0]}")[0] == (2, "bolt", winners[0])
        assert answer(workshop, "1") == OLD
        actors[0].check()


def test_eight_processes_publish_at_once(workshop: Workshop) -> None:
    with crew(workshop, MANY) as actors:
        running = [
            actor.shop.start("publish", "--release", "same" if index % 2 else f"r{index}")
            for index, actor in enumerate(actors)
        ]
        for process in running:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
        names = {name for (name,) in workshop.sql("SELECT name FROM procver.release")}
        assert names == {"same", "r0", "r2", "r4", "r6"}
        assert workshop.sql("SELECT count(*) FROM procver.version") == [(4,)]
        actors[0].check()


@pytest.mark.usefixtures("either_way")
def test_publish_against_gc(workshop: Workshop) -> None:
    """Contents that come and go are condemned, dropped, and wanted again, all at once."""
    dearer = WIDER.replace("t.price", "t.price * 2 AS price")
    workshop.configure(more=GC_NOW)
    workshop.publish("base")
    workshop.run("release", "activate", "base")
    for text in (WIDER, dearer, THINGS):
        workshop.write(things=text)
        workshop.run("lock")
    answers = (NEW, [(2, "bolt", 2), (3, "crane", 10000)])
    with crew(workshop, 4) as actors:
        for actor, text in zip(actors, (WIDER, dearer), strict=False):
            actor.shop.write(things=text)
        over = threading.Barrier(2)
        stop = threading.Event()

        def live(index: int) -> None:
            """Publish, activate, look, retire: in every other turn what it made is collected first."""
            try:
                for turn in range(6):
                    release = f"{index}.{turn}"
                    actors[index].publish(release)
                    actors[index].activate(release)
                    assert answer(workshop, release) == answers[index]
                    actors[index].retire(release)
                    patience = time.monotonic() + 20
                    while turn % 2 and f"app.things_{index + 2}" in workshop.objects():
                        assert time.monotonic() < patience, "gc never came between"
                        time.sleep(0.02)
                over.wait(60)
            finally:
                stop.set()

        def sweep(index: int) -> int:
            dropped = 0
            while not stop.is_set():
                dropped += actors[index].collect().dropped
            return dropped

        done = together(lambda: live(0), lambda: live(1), lambda: sweep(2), lambda: sweep(3))
        assert done[:2] == [None, None], done
        assert sum(done[2:]) >= 2 * 3 * 3, done  # three versions, three times, of two actors
        assert answer(workshop, "base") == OLD
        assert {name for name in workshop.objects() if not name.endswith("_1")} == set()
        actors[0].check()


@pytest.fixture
def ripe(workshop: Workshop) -> Workshop:
    """The contents of a retired release, ripe for dropping, lie in a checkout once more."""
    workshop.configure(more=GC_NOW)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.write(things=WIDER)
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "2")
    workshop.run("gc", "--apply")
    return workshop


@pytest.mark.parametrize("at", range(1, 9))
def test_gc_in_the_middle_of_a_publish(ripe: Workshop, at: int) -> None:
    with crew(ripe, 2) as (ann, bob):
        ann.database = Paused(ann.database, at, bob.collect)
        ann.publish("3")
        assert answer(ripe, "3") == NEW
        bob.check()
        assert bob.collect().drop == bob.collect().drop == ()


@pytest.mark.parametrize("verb", ["publish", "activate"])
@pytest.mark.parametrize("at", range(1, 9))
def test_somebody_wants_in_the_middle_of_gc_what_it_drops(
    ripe: Workshop, at: int, verb: str
) -> None:
    with crew(ripe, 2) as (ann, bob):
        wanted, want = ("3", bob.publish) if verb == "publish" else ("2", bob.activate)
        came: list[object] = []
        ann.database = Paused(ann.database, at, lambda: came.append(want(wanted)))
        ann.collect()
        if not came:
            want(wanted)
        assert answer(ripe, wanted) == NEW
        bob.check()
        assert bob.collect().drop == bob.collect().drop == ()
        assert answer(ripe, wanted) == NEW


@pytest.mark.parametrize("collected", [True, False])
@pytest.mark.parametrize("verb", ["restore", "activate", "publish", "verify"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_discard_in_the_middle_of_what_needs_it(
    ripe: Workshop, at: int, verb: str, collected: bool
) -> None:
    """Once, what was read before the discard and looked up after it was a fault in procver itself."""
    ripe.sql("UPDATE procver.project SET trials = true")
    with crew(ripe, 2) as (ann, bob):
        if collected:
            bob.collect()

        def discard() -> None:
            with suppress(ConflictError):  # live by now
                releases.discard(bob.project, bob.database, "2")

        ann.database = Paused(ann.database, at, discard)
        if verb == "publish":
            ann.publish("3")
            assert answer(ripe, "3") == NEW
        elif verb == "verify":
            assert verify(ann.project, ann.database) == []
        else:
            with suppress(UsageError):  # it is gone for good
                if verb == "activate":
                    ann.activate("2")
                    assert answer(ripe, "2") == NEW
                else:
                    restore(ann.project, ann.database, "app.find_things_2")
        bob.check()


class Caller:
    """An app that calls without pause, and remembers how long the slowest call took.

    Args:
        url: the database.
        call: what it asks.
        expected: the only right answer.
    """

    def __init__(self, url: str, call: str, expected: list[tuple[Any, ...]]) -> None:
        self._url, self._call, self._expected = url, call, expected
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.calls = 0
        self.slowest = 0.0
        self.wrong: list[object] = []

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stop.is_set():
                started = time.monotonic()
                try:
                    found: object = connection.execute(self._call.encode()).fetchall()
                except psycopg.Error as error:
                    found = error
                self.slowest = max(self.slowest, time.monotonic() - started)
                self.calls += 1
                if found != self._expected:
                    self.wrong.append(found)


def test_neither_publish_nor_gc_waits_for_readers_of_live_versions(workshop: Workshop) -> None:
    workshop.configure(more=GC_NOW)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    with (
        crew(workshop, 1) as (actor,),
        psycopg.connect(workshop.url) as reader,
        Caller(workshop.url, "SELECT * FROM app.find_things_1(2)", OLD) as caller,
    ):
        assert reader.execute("SELECT * FROM app.things_1").fetchall()
        assert reader.execute("SELECT * FROM app.find_things_1(2)").fetchall() == OLD
        started = time.monotonic()
        for turn, text in enumerate((WIDER, THINGS, WIDER)):
            actor.shop.write(things=text)
            actor.publish(f"try-{turn}")
        actor.activate("try-0")
        actor.retire("try-0")
        actor.activate("try-2")
        actor.retire("try-2")
        actor.collect()
        dropped = actor.collect().dropped
        assert time.monotonic() - started < 3.0, "something waited for a lock"
        # try-1, never activated, has the contents of release 1.
        assert dropped == 3
        assert reader.execute("SELECT * FROM app.find_things_1(2)").fetchall() == OLD
    assert caller.wrong == []
    assert caller.calls > 20
    assert caller.slowest < 1.0


def test_gc_lets_go_of_what_a_transaction_still_reads(
    replaced: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a short while, several times, goes on with the rest, and says what it left."""
    monkeypatch.setattr(postgresql, "PATIENCE", 3)
    with (
        crew(replaced, 1, lock_timeout=0.2) as (actor,),
        psycopg.connect(replaced.url) as reader,
        Caller(replaced.url, "SELECT * FROM app.find_things_2(2)", NEW) as live,
        Caller(replaced.url, "SELECT count(*) FROM app.things_1", [(3,)]) as late,
    ):
        assert len(reader.execute("SELECT * FROM app.things_1").fetchall()) == 3
        give_up = threading.Timer(15, reader.close)  # fail rather than hang
        give_up.start()
        done = actor.collect()
        give_up.cancel()
        assert {drop.version.physical for drop in done.drop} == {
            "app.find_things_1", "app.count_things_1",
        }  # fmt: skip
        kept = {keep.version.physical: keep.because for keep in done.keep if keep.evidence}
        assert list(kept) == ["app.things_1"]
        assert "lock timeout" in kept["app.things_1"][0]
        assert "app.things_1" in replaced.objects()
        reader.rollback()
        assert live.wrong == late.wrong == []
        assert live.slowest < 1.0, "a live version was blocked"
        assert late.slowest < 1.0, "a call queued behind the drop for longer than its lock timeout"
        assert late.calls > 5
    with actor_at(replaced) as actor:
        # It stayed condemned: a reader that comes by does not start its grace anew.
        assert actor.collect().dropped == 1
        assert "app.things_1" not in replaced.objects()
        actor.check()


def test_publish_gives_way_to_a_migration_that_holds_a_table(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.write(things=WIDER)
    with (
        crew(workshop, 1, lock_timeout=0.2) as (actor,),
        psycopg.connect(workshop.url) as migration,
    ):
        migration.execute("LOCK TABLE app.thing IN ACCESS EXCLUSIVE MODE")
        release = threading.Timer(0.9, migration.rollback)
        release.start()
        actor.publish("2")
        release.join()
        assert answer(workshop, "2") == NEW
        actor.check()


def test_old_contracts_stay_untouched_by_later_releases(workshop: Workshop) -> None:
    workshop.publish("1")
    first = mapping(workshop, "1")
    stamp = (
        "SELECT p.oid, p.xmin, md5(pg_get_functiondef(p.oid)) FROM pg_proc p WHERE p.proname LIKE '%\\_1'"
        " AND p.pronamespace = 'app'::regnamespace"
        " UNION ALL SELECT c.oid, c.xmin, md5(pg_get_viewdef(c.oid)) FROM pg_class c"
        " WHERE c.relname LIKE '%\\_1' AND c.relkind = 'v' ORDER BY 1"
    )
    before = workshop.sql(stamp)
    assert len(before) == 4
    for turn, column in enumerate(("t.price", "t.price * 2 AS price", "NULL::int AS price")):
        workshop.write(things=THINGS.replace("t.name", f"{column}, t.name"))
        workshop.publish(f"later-{turn}")
        assert answer(workshop, f"later-{turn}") != OLD
        assert workshop.sql(f"SELECT * FROM {first['app.find_things']}(2)") == OLD
        assert workshop.sql(f"SELECT {first['app.count_things']}()") == [(3,)]
    assert workshop.sql(stamp) == before
