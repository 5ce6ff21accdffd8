"""A command that dies at any statement leaves nothing half done, and the same command again completes it."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from procver import Resolver
from procver.dialects.postgresql import PostgresqlDatabase
from procver.project.workspace import Project
from procver.verify import verify
from tests.faults import Command, Cut, Kennel, Proxy, copy_of, terminate
from tests.live.conftest import ALONE, COUNT, FIND, TABLES, THINGS
from tests.servers import Server
from tests.workshop import Workshop

pytestmark = pytest.mark.slow

Connection = psycopg.Connection[Any]
BATCH = 2
GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
WIDER = "CREATE VIEW app.things AS SELECT t.id, t.name, t.price FROM app.thing t;\n"
DEAREST = """\
CREATE MATERIALIZED VIEW app.dearest AS SELECT v.id, v.name FROM app.things v ORDER BY v.id DESC LIMIT 1;
CREATE UNIQUE INDEX dearest_id_1 ON app.dearest (id);
COMMENT ON MATERIALIZED VIEW app.dearest IS 'one row';
GRANT SELECT ON app.dearest TO reporting;
"""
EVEN = """\
CREATE FUNCTION app.even(n int) RETURNS boolean LANGUAGE sql
AS $$ SELECT CASE WHEN n = 0 THEN true ELSE app.odd(n - 1) END $$;
REVOKE EXECUTE ON FUNCTION app.even FROM PUBLIC;
"""
ODD = """\
CREATE FUNCTION app.odd(n int) RETURNS boolean LANGUAGE sql
AS $$ SELECT CASE WHEN n = 0 THEN false ELSE app.even(n - 1) END $$;
"""
CALLS = {
    "app.find_things": "(2)",
    "app.count_things": "()",
    "app.alone": "()",
    "app.even": "(7)",
    "app.dearest": "",
}
FIRST = {
    "app.find_things": [(2, "bolt"), (3, "crane")],
    "app.count_things": [(3,)],
    "app.alone": [(42,)],
    "app.even": [(False,)],
    "app.dearest": [(3, "crane")],
}
SECOND = {
    "app.find_things": [(2, "bolt", 1), (3, "crane", 5000)],
    "app.count_things": [(3,)],
    "app.even": [(False,)],
    "app.dearest": [(3, "crane")],
}
LANES = {name: rows for name, rows in FIRST.items() if name != "app.even"}
CONTRACTS = {"1": FIRST, "2": SECOND, "lanes": LANES}


def bare(shop: Workshop) -> None:
    shop.configure(more=GC_NOW)
    shop.sql(TABLES)
    shop.sql("CREATE FUNCTION app.by_hand_1() RETURNS int LANGUAGE sql AS 'SELECT 7'")
    shop.write(things=THINGS, find_things=FIND, count_things=COUNT, alone=ALONE)
    shop.write(even=EVEN, odd=ODD, dearest=DEAREST)
    shop.run("lock")


def no_cycle(shop: Workshop) -> None:
    """What can be created over two connections."""
    bare(shop)
    shop.remove("even", "odd")
    shop.run("lock")


def first_is_live(shop: Workshop) -> None:
    bare(shop)
    shop.publish("1")
    shop.run("release", "activate", "1")
    shop.sql("GRANT EXECUTE ON FUNCTION app.alone_1 TO app WITH GRANT OPTION")


def edited(shop: Workshop) -> None:
    first_is_live(shop)
    shop.write(things=WIDER, dearest=DEAREST.replace("dearest_id_1", "dearest_id_2"))
    shop.remove("alone")
    shop.run("lock")


def second_is_published(shop: Workshop) -> None:
    edited(shop)
    shop.publish("2")


def half_condemned(shop: Workshop) -> None:
    """Release 1 is ripe for dropping; a trial that was given up is yet to be condemned."""
    second_is_published(shop)
    shop.run("release", "activate", "2")
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    things = shop.root / "sql" / "things.sql"
    kept = things.read_text("utf-8")
    shop.write(things=THINGS.replace("t.name", "t.name, 1 AS trial"))
    shop.remove("dearest")
    shop.publish("trial")
    shop.write(things=kept)
    shop.publish("trial")


def collected(shop: Workshop) -> None:
    half_condemned(shop)
    shop.run("gc", "--apply")
    shop.run("gc", "--apply")


class Scenario(NamedTuple):
    """``prepare`` makes the state in which ``words`` are run, ``times`` over until nothing is left to do.

    ``transactions`` is how many the command writes at least.
    """

    prepare: Callable[[Workshop], None]
    words: tuple[str, ...]
    transactions: int
    times: int = 1


SCENARIOS = {
    "first-publish": Scenario(bare, ("publish", "--release", "1"), 5),
    "in-lanes": Scenario(no_cycle, ("publish", "--release", "lanes"), 4),
    "second-publish": Scenario(edited, ("publish", "--release", "2"), 3),
    "gc": Scenario(half_condemned, ("gc", "--apply"), 4, times=2),
    "restore": Scenario(collected, ("release", "activate", "1", "--restore"), 3),
    "discard": Scenario(second_is_published, ("release", "discard", "2"), 1),
}


class Stage:
    """A scenario's database and project, of which every run gets a copy of its own."""

    def __init__(self, server: Server, base: Path, scenario: Scenario) -> None:
        self.server, self.base, self.scenario = server, base, scenario
        self.kennel = Kennel(BATCH, laned=scenario.prepare is no_cycle)
        self.template = f"stage_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self.template}")
        scenario.prepare(Workshop(base / "project", server.url(self.template)))

    def close(self) -> None:
        self.kennel.close()
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self.template} WITH (FORCE)")

    @contextlib.contextmanager
    def copy(self) -> Iterator[Workshop]:
        root = self.base / "copy"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.base / "project", root)
        with copy_of(self.server, self.template) as url:
            yield Workshop(root, url, more=GC_NOW)

    def start(self, shop: Workshop, url: str) -> Command:
        return self.kennel.start(*self.scenario.words, "-C", str(shop.root), "-t", url)

    def complete(self, shop: Workshop, times: int) -> None:
        for _ in range(times):
            code, output = self.start(shop, shop.url).wait()
            assert code == 0, output

    def reference(self) -> tuple[list[str], list[str]]:
        """Run the command undisturbed: the statements it sends, and what it leaves."""
        with self.copy() as shop, Proxy(shop.url, stepping=True) as proxy:
            code, output = self.start(shop, proxy.url).wait()
            assert code == 0, output
            look(shop)
            self.complete(shop, self.scenario.times - 1)
            return proxy.statements, look(shop)


# What a server sees of a killed client and of a terminated backend is the same; PROCVER_TEST_LONG plays all of both.
LONG = os.environ.get("PROCVER_TEST_LONG")
KILLED = list(SCENARIOS) if LONG else ["first-publish", "in-lanes", "gc", "discard"]
TERMINATED = list(SCENARIOS) if LONG else ["second-publish", "in-lanes", "gc", "restore"]


@pytest.fixture
def stage(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(server, tmp_path, SCENARIOS[request.param])
    yield made
    made.close()


def look(shop: Workshop) -> list[str]:
    """Check that nothing is half done, and return all that is there, but for times and the registry's ids."""
    with psycopg.connect(shop.url, autocommit=True) as connection:
        if connection.execute("SELECT to_regnamespace('procver')").fetchone() == (None,):
            assert objects(connection) == {"app.by_hand_1"}
            return []
        check(shop, connection)
        rows = [
            # A view's digest holds its OID: `verify` compares it.
            *connection.execute(
                "SELECT name, kind, number, fingerprint, state, requires::text, privileges::text,"
                " definition::text, CASE WHEN kind LIKE '%view' THEN '' ELSE digest END"
                " FROM procver.version"
            ),
            *connection.execute(
                "SELECT name, number, content, activated_at IS NULL, retired_at IS NULL"
                " FROM procver.release"
            ),
            *connection.execute("SELECT release, physical FROM procver.mapping"),
            *objects(connection),
            *(shop.root / "procver.lock").read_text("utf-8").splitlines(),
        ]
    return sorted(map(str, rows))


def objects(connection: Connection) -> set[str]:
    found = connection.execute(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace UNION"
        " SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace"
        " AND c.relkind IN ('v', 'm')"
    )
    return {f"app.{name}" for (name,) in found}


def check(shop: Workshop, connection: Connection) -> None:
    """Registry and catalog agree, releases are whole, live ones answer, what is not ours is untouched."""
    recorded = connection.execute("SELECT physical FROM procver.version WHERE state <> 'dropped'")
    versions = {name for (name,) in recorded}
    assert objects(connection) == versions | {"app.by_hand_1"}
    assert connection.execute("SELECT app.by_hand_1()").fetchall() == [(7,)]
    if versions:
        assert verify(Project.at(shop.root), PostgresqlDatabase(connection, ("app",), 3.0)) == []
    live = connection.execute("SELECT name FROM procver.release WHERE retired_at IS NULL")
    for (release,) in live.fetchall():
        mapping = Resolver.from_database(connection, project="shop", release=release)
        contract = CONTRACTS.get(release, {})
        assert set(contract) <= set(mapping)
        for name, expected in contract.items():
            call = f"SELECT * FROM {mapping[name]}{CALLS[name]}"
            assert connection.execute(call.encode()).fetchall() == expected, release


def play(stage: Stage, fault: Callable[[Command, Proxy, Workshop], None], code: int) -> None:
    """Let the fault happen at each statement in turn. From every state that it leaves, the command completes."""
    statements, wanted = stage.reference()
    assert len(statements) > 10
    laned = any("procver.hold_lane(($1" in text for text in statements)
    assert laned == (stage.scenario.prepare is no_cycle)
    completed: set[tuple[str, ...]] = set()
    with contextlib.ExitStack() as copies:
        shop = copies.enter_context(stage.copy())
        untouched = look(shop)
        for number in range(1, len(statements) + 1):
            output = interrupt(stage, shop, number, fault, code)
            where = f"{number} of {len(statements)}, {statements[number - 1][:60]!r}: {output}"
            if code > 0 and "error: " in output:
                assert "run the same command again" in output, where
            try:
                left = look(shop)
                if left == untouched:
                    continue
                if tuple(left) not in completed:
                    stage.complete(shop, stage.scenario.times)
                    again = look(shop)
                    assert set(again) ^ set(wanted) == set()
                    assert again == wanted
                    completed.add(tuple(left))
            except AssertionError as error:
                error.add_note(where)
                raise
            copies.close()
            shop = copies.enter_context(stage.copy())
    assert len(completed) >= stage.scenario.transactions - 1


def interrupt(
    stage: Stage, shop: Workshop, number: int, fault: Callable[[Command, Proxy, Workshop], None],
    code: int,
) -> str:  # fmt: skip
    """Run the command with a fault right before the server gets statement ``number``; return its output."""
    command: list[Command] = []

    def before(at: int, text: str) -> None:
        if at == number:
            fault(command[0], proxy, shop)

    with Proxy(shop.url, before, stepping=True) as proxy:
        command.append(stage.start(shop, proxy.url))
        exit_code, output = command[0].wait()
    # A lane that has nothing left to do does not notice that its connection is gone.
    unnoticed = exit_code == 0 and code > 0 and stage.scenario.prepare is no_cycle
    assert exit_code == code or unnoticed, (number, output)
    assert unnoticed == ("error: " not in output) or code < 0, (number, output)
    assert len(proxy.statements) >= number, output
    return output


@pytest.mark.parametrize("stage", KILLED, indirect=True)
def test_killed_at_every_statement(stage: Stage) -> None:
    def kill(command: Command, proxy: Proxy, shop: Workshop) -> None:
        command.kill()
        raise Cut

    play(stage, kill, -9)


@pytest.mark.parametrize("stage", TERMINATED, indirect=True)
def test_backend_terminated_at_every_statement(stage: Stage) -> None:
    def cut(command: Command, proxy: Proxy, shop: Workshop) -> None:
        # Of two lanes now the one, now the other.
        terminate(shop.url, proxy.backends[-1 - len(proxy.statements) % len(proxy.backends)])

    play(stage, cut, 3)


@pytest.mark.parametrize("number", [25, 50, 100])
def test_the_server_is_still_busy_with_what_a_killed_client_sent(
    workshop: Workshop, number: int
) -> None:
    """A pipeline outlives its client for a while: the same command, run at once, meets its own ghost."""
    for index in range(60):
        body = f"SELECT {index} FROM pg_sleep(0.001)"
        text = f"CREATE FUNCTION app.fn_{index}x() RETURNS int LANGUAGE sql AS '{body}';\n"
        workshop.write(**{f"fn_{index}x": text})
    words = ("publish", "--release", "1", "-C", str(workshop.root), "-t")
    kennel = Kennel(BATCH)
    command: list[Command] = []

    def before(at: int, text: str) -> None:
        if at == number:
            command[0].kill()

    with Proxy(workshop.url, before) as proxy:
        command.append(kennel.start(*words, proxy.url))
        code, output = command[0].wait()
        assert code == -9, output
        code, output = kennel.start(*words, workshop.url).wait()
        assert code == 0, output
    kennel.close()
    assert workshop.sql("SELECT name FROM procver.release") == [("1",)]
    assert workshop.sql("SELECT count(*) FROM procver.version") == [(64,)]
    assert workshop.sql(f"SELECT {workshop.resolver()['app.fn_59x']}()") == [(59,)]
    assert workshop.json("verify")["findings"] == []
