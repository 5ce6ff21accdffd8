"""Many versions are created over two connections: all of them, once, and nothing before what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from procver import Resolver, lanes, publish, releases
from procver.dialects import Database, Unit, connect
from procver.errors import DatabaseError, StalePlanError
from procver.plan import Create
from procver.project.workspace import Project
from procver.registry import writing
from procver.registry.reading import read
from procver.verify import verify
from tests.faults import copy_of, terminate
from tests.servers import Server
from tests.workshop import Workshop, in_lanes

pytestmark = pytest.mark.slow

VIEWS, FUNCTIONS = 8, 16
CREATED = VIEWS + FUNCTIONS


@contextmanager
def connected(shop: Workshop) -> Iterator[Database]:
    made = connect(shop.url, dialect="postgresql", root=shop.root, search_path=("app",))
    with closing(made):
        yield made


@pytest.fixture
def database(workshop: Workshop) -> Iterator[Database]:
    with connected(workshop) as made:
        yield made


@pytest.fixture
def many(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Views upon views, and functions that read them and call each other, all in transactions of two."""
    in_lanes(monkeypatch)
    monkeypatch.setattr(writing, "BATCH_OBJECTS", 2)
    workshop.remove("things", "find_things", "count_things", "alone")
    for index in range(VIEWS):
        below = f"app.v{index - 1}x" if index % 3 else "app.thing"
        text = f"CREATE VIEW app.v{index}x AS SELECT b.id, b.name FROM {below} b WHERE b.id <> {index};\n"
        workshop.write(**{f"v{index}x": text + f"GRANT SELECT ON app.v{index}x TO PUBLIC;\n"})
    for index in range(FUNCTIONS):
        called = f" + app.f{index - 2}x()" if index > 1 else ""
        text = (
            f"CREATE FUNCTION app.f{index}x() RETURNS bigint LANGUAGE sql STABLE AS\n"
            f"$$ SELECT (SELECT count(*) FROM app.v{index % VIEWS}x){called} $$;\n"
            f"COMMENT ON FUNCTION app.f{index}x() IS 'number {index}';\n"
        )
        workshop.write(**{f"f{index}x": text})
    workshop.run("lock")
    return workshop


def recorded(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT name, kind, number, fingerprint, shape, source_digest, source_path, physical, definition::text, seal,"
            " requires::text, state, CASE WHEN kind = 'function' THEN digest END, privileges::text,"
            " EXISTS (SELECT FROM procver.membership m WHERE m.version_id = v.id)"
            " FROM procver.version v ORDER BY name"
        ).fetchall()


def generations(shop: Workshop) -> tuple[int, list[int]]:
    """Return what was committed outside of lanes, and in each."""
    [(main,)] = shop.sql("SELECT generation FROM procver.project")
    found = shop.sql("SELECT generation FROM procver.lane ORDER BY number")
    return main, [count for (count,) in found]


def answer(function: int) -> int:
    """Return what a function answers, with the ids 1, 2, 3 in the table."""
    ids = [{1, 2, 3} - set(range(index - index % 3, index + 1)) for index in range(VIEWS)]
    return sum(len(ids[each % VIEWS]) for each in range(function % 2, function + 1, 2))


def check(shop: Workshop, database: Database) -> None:
    """All is there, once, and answers."""
    assert verify(Project.at(shop.root), database) == []
    assert shop.sql("SELECT count(*) FROM procver.version") == [(CREATED,)]
    with psycopg.connect(shop.url) as connection:
        mapping = Resolver.from_database(connection, project="shop", release="1")
        assert len(mapping) == CREATED
        for index in (FUNCTIONS - 2, FUNCTIONS - 1):
            query = f"SELECT {mapping[f'app.f{index}x']}()"
            assert connection.execute(query.encode()).fetchone() == (answer(index),)


@pytest.mark.parametrize("rest", [0, 6])
def test_all_is_as_if_created_in_order(
    many: Workshop, database: Database, server: Server, monkeypatch: pytest.MonkeyPatch, rest: int
) -> None:
    monkeypatch.setattr(lanes, "REST", rest)
    name = str(conninfo_to_dict(many.url)["dbname"])
    database.close()
    with copy_of(server, name) as url:
        many.publish("1")
        main, in_each = generations(many)
        assert (main == 1) == (rest == 0), "the release itself, and the rest"
        assert len(in_each) == lanes.LANES
        assert min(in_each) > 1
        assert sum(in_each) >= (CREATED - rest) / writing.BATCH_OBJECTS
        monkeypatch.setattr(lanes, "FROM", CREATED + 1)
        many.run("publish", "--release", "1", "-t", url)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM procver.lane").fetchone() == (0,)
        assert recorded(url) == recorded(many.url)
    assert many.publish("1")["create"] == []


def in_lane(shop: Workshop, lane: int, *, after: int = 0) -> str:
    """Return a function that is created in this lane, in the second wave or later."""
    names = (f"f{index}x" for index in range(after, FUNCTIONS))
    return next(name for name in names if lanes.lane_of(f"app.{name}") == lane)


@pytest.mark.parametrize("lane", range(lanes.LANES))
def test_a_rejected_definition_names_its_source_and_the_rest_is_created(
    many: Workshop, database: Database, lane: int
) -> None:
    name = in_lane(many, lane, after=4)
    source = many.root / "sql" / f"{name}.sql"
    good = source.read_text("utf-8")
    source.write_text(good.replace("(SELECT", "\n  (SELEC", 1), "utf-8")
    document = many.publish("1", code=3)
    assert f"sql/{name}.sql:3" in document["error"]["message"]
    [(present,)] = many.sql("SELECT count(*) FROM procver.version")
    index = int(name[1:-1])
    assert present == CREATED - len(range(index, FUNCTIONS, 2)), "those that call it are missing"
    assert {
        f"app.{leaf}" for (leaf,) in many.sql("SELECT leaf FROM procver.version")
    } == many.objects()
    source.write_text(good, "utf-8")
    many.run("lock")
    many.publish("1")
    check(many, database)


def test_a_server_that_grants_no_second_connection(many: Workshop) -> None:
    many.sql("CREATE ROLE single LOGIN CONNECTION LIMIT 1")
    try:
        many.sql(
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO single', current_database()); END $$"
        )
        many.sql("GRANT USAGE, CREATE ON SCHEMA app TO single")
        many.sql("GRANT SELECT ON app.thing TO single")
        parts = urlsplit(many.url)
        url = urlunsplit(parts._replace(netloc="single@" + parts.netloc.rpartition("@")[2]))
        many.run("publish", "--release", "1", "-t", url)
        assert generations(many)[1] == []
        assert many.sql("SELECT count(*) FROM procver.version") == [(CREATED,)]
    finally:
        many.sql("DROP OWNED BY single")
        many.sql("DROP ROLE single")


def write(shop: Workshop) -> None:
    """Write something to the registry, as another command would."""
    with connected(shop) as database:
        known = read(database, "shop")
        assert known is not None
        line = writing.log(known.project_id, "channel", "nothing")
        assert list(database.run(known.project_id, known.generation, [Unit((line,))])) == [0]


@pytest.mark.parametrize("rest", [0, 6])
def test_another_command_between_two_waves(
    many: Workshop, database: Database, monkeypatch: pytest.MonkeyPatch, rest: int
) -> None:
    """What it writes makes the plan stale; a new one goes on where the lanes stopped. So too before the rest."""
    monkeypatch.setattr(lanes, "REST", rest)
    times = 1 if rest else 3
    came: list[int] = []
    plain = lanes.divide

    class Disturbed(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            for number, wave in enumerate(super().__iter__()):
                if number and not rest and len(came) < times:
                    interrupt()
                yield wave
            if rest and len(came) < times:
                interrupt()

    def interrupt() -> None:
        came.append(sum(generations(many)[1]))
        write(many)

    plans: list[int] = []

    def disturbed(steps: tuple[Create, ...]) -> lanes.Division:
        plans.append(len(steps))
        division = plain(steps)
        assert division is not None
        return division._replace(waves=Disturbed(division.waves))

    monkeypatch.setattr(lanes, "divide", disturbed)
    published = publish.publish(Project.at(many.root), database, "1")
    assert len(came) == times
    assert len(plans) == times + 1, "each time the next transaction noticed"
    assert sorted(set(plans), reverse=True) == plans, "each went on where the one before stopped"
    assert len(published.plan.create) == CREATED
    check(many, database)


def test_a_plan_of_one_lane_is_stale_when_the_other_has_moved(
    many: Workshop, database: Database
) -> None:
    """Both count: the generation is that of the project and of its lanes together."""
    many.publish("1")
    project = Project.at(many.root)
    known = read(database, "shop")
    assert known is not None
    main, in_each = generations(many)
    assert known.generation == main + sum(in_each)
    many.sql("UPDATE procver.lane SET generation = generation + 1 WHERE number = 1")
    log = writing.log(known.project_id, "channel", "nothing")
    with pytest.raises(StalePlanError):
        list(database.run(known.project_id, known.generation, [Unit((log,))]))
    releases.activate(project, database, "1")


def test_ctrl_c_in_the_middle(many: Workshop, database: Database) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish.publish(Project.at(many.root), database, "1", progress=interrupt)
    [(present,)] = many.sql("SELECT count(*) FROM procver.version")
    assert 0 < present < CREATED
    assert {
        f"app.{leaf}" for (leaf,) in many.sql("SELECT leaf FROM procver.version")
    } == many.objects()
    many.publish("1")
    with connected(many) as again:
        check(many, again)


@pytest.mark.parametrize("lane", range(lanes.LANES))
def test_a_lane_whose_backend_is_terminated(many: Workshop, database: Database, lane: int) -> None:
    """The other ends with the transaction it is at, and the same command completes both."""
    done: list[int] = []

    def cut(so_far: int, total: int) -> None:
        if not done:
            busy = many.sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'procver' ORDER BY backend_start"
            )
            assert len(busy) == lanes.LANES
            terminate(many.url, busy[lane][0])
        done.append(so_far)

    with pytest.raises(DatabaseError, match="connection to the server was lost"):
        publish.publish(Project.at(many.root), database, "1", progress=cut)
    [(present,)] = many.sql("SELECT count(*) FROM procver.version")
    assert 0 < present < CREATED
    many.publish("1")
    with connected(many) as again:
        check(many, again)
