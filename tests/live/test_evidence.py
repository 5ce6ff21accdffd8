"""Execution statistics as evidence against a drop: what was called since it was condemned is needed by somebody."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from procver.dialects import connect
from procver.evidence import sample
from tests.workshop import Workshop

NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
# A simple function in SQL is inlined, and never counted.
FIRST = "CREATE FUNCTION app.alone() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 42; END';\n"
SECOND = FIRST.replace("42", "43")
OVERLOADS = (
    FIRST
    + "CREATE FUNCTION app.alone(x int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN x; END';\n"
    + "CREATE FUNCTION app.alone(x text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN x; END';\n"
)


@pytest.fixture
def counted(workshop: Workshop) -> Workshop:
    """A server that counts calls, and a release whose ``app.alone_1`` nobody needs any more."""
    name = workshop.sql("SELECT current_database()")[0][0]
    workshop.sql(f"ALTER DATABASE {name} SET track_functions = 'all'")
    leave(workshop)
    return workshop


def leave(workshop: Workshop, first: str = FIRST) -> None:
    """Publish and activate two releases that differ in one function, and retire the first."""
    workshop.configure(more=NOW)
    workshop.write(alone=first)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.write(alone=SECOND)
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")


def count(workshop: Workshop, routine: str = "app.alone_1()") -> int:
    asked = f"SELECT pg_stat_get_function_calls('{routine}'::regprocedure)"
    return int(workshop.sql(asked)[0][0] or 0)


def call(workshop: Workshop, call: str = "app.alone_1()", routine: str = "app.alone_1()") -> None:
    """Call a function, and wait until the server has counted that: a session does it when it ends."""
    before = count(workshop, routine)
    workshop.sql(f"SELECT {call}")
    until = time.monotonic() + 10
    while count(workshop, routine) == before:
        assert time.monotonic() < until, "never counted"
        time.sleep(0.02)


def kept(document: Any, physical: str = "app.alone_1") -> str | None:
    return next((k["because"][0] for k in document["keep"] if k["physical"] == physical), None)


def dropped(document: Any) -> list[str]:
    return [d["physical"] for d in document["drop"]]


def test_a_call_since_it_was_condemned_keeps_a_version(counted: Workshop) -> None:
    counted.run("gc", "--apply")
    call(counted)
    shown = counted.json("gc")
    assert dropped(shown) == []
    why = kept(shown)
    assert why is not None
    assert why.startswith("called since the sample taken")
    assert why.endswith("ago (execution statistics)")
    assert "execution statistics" in counted.run("why", "app.alone_1").stdout
    assert "app.alone_1: called since" in counted.run("gc").stdout
    done = counted.json("gc", "--apply")
    assert (done["dropped"], kept(done) is not None) == (0, True), "as the dry run said"
    assert "app.alone_1" in counted.objects()
    # Its grace begins anew: condemned by one run, dropped by a later one.
    assert [c["physical"] for c in counted.json("gc", "--apply")["condemn"]] == ["app.alone_1"]
    assert dropped(counted.json("gc")) == ["app.alone_1"]
    assert counted.json("gc", "--apply")["dropped"] == 1


def test_calls_from_before_it_was_condemned_are_none(counted: Workshop) -> None:
    call(counted)
    counted.run("gc", "--apply")
    assert dropped(counted.json("gc")) == ["app.alone_1"]
    assert counted.json("gc", "--apply")["dropped"] == 1


def test_showing_writes_nothing(counted: Workshop) -> None:
    state = "SELECT to_jsonb(u)::text FROM procver.usage u UNION ALL SELECT to_jsonb(v)::text FROM procver.version v ORDER BY 1"
    counted.run("gc", "--apply")
    before = counted.sql(state)
    call(counted)
    counted.run("gc")
    counted.run("why", "app.alone_1")
    assert counted.sql(state) == before


@pytest.mark.parametrize(("calls", "stays"), [(1, True), (0, False)])
def test_a_counter_that_was_set_back(counted: Workshop, calls: int, stays: bool) -> None:
    for _ in range(3):
        call(counted)
    counted.run("gc", "--apply")
    counted.sql("SELECT pg_stat_reset()")
    for _ in range(calls):
        call(counted)
    assert (kept(counted.json("gc")) is not None) == stays
    assert (counted.json("gc", "--apply")["dropped"] == 0) == stays


def test_a_sample_outlives_the_statistics(counted: Workshop) -> None:
    counted.run("gc", "--apply")
    call(counted)
    database = connect(counted.url, dialect="postgresql", root=Path(), search_path=("app",))
    sample(database, "shop")
    database.close()
    counted.sql("SELECT pg_stat_reset()")
    assert counted.json("gc", "--apply")["dropped"] == 0


def test_a_sample_waits_for_nobody(counted: Workshop) -> None:
    """Not for a publication that holds the project, nor for a discard that is about to delete versions."""
    with psycopg.connect(counted.url) as writer:
        writer.execute("UPDATE procver.project SET generation = generation + 1")
        writer.execute("DELETE FROM procver.membership")
        writer.execute("DELETE FROM procver.version")
        database = connect(
            f"{counted.url}&options=-cstatement_timeout%3D3s",
            dialect="postgresql", root=Path(), search_path=("app",),
        )  # fmt: skip
        sample(database, "shop")
        writer.rollback()
        assert counted.sql("SELECT count(*) > 0 FROM procver.usage") == [(True,)]
        database.close()


@pytest.mark.parametrize("overload", ["app.alone_1(7)", "app.alone_1('x'::text)"])
def test_any_overload_counts(workshop: Workshop, overload: str) -> None:
    name = workshop.sql("SELECT current_database()")[0][0]
    workshop.sql(f"ALTER DATABASE {name} SET track_functions = 'all'")
    leave(workshop, first=OVERLOADS)
    workshop.run("gc", "--apply")
    call(workshop, overload, overload.replace("7", "int").replace("'x'::", ""))
    assert kept(workshop.json("gc", "--apply")) is not None


def test_what_a_called_version_needs_is_kept_too(counted: Workshop) -> None:
    counted.write(things="CREATE VIEW app.things AS SELECT t.id, t.price FROM app.thing t;\n")
    counted.publish("3")
    counted.run("release", "activate", "3")
    counted.run("release", "retire", "2")
    counted.run("gc", "--apply")
    call(counted, "app.count_things_1()", "app.count_things_1()")
    done = counted.json("gc", "--apply")
    assert set(dropped(done)) == {"app.alone_1"}
    assert "execution statistics" in str(kept(done, "app.count_things_1"))
    assert "execution statistics" in str(kept(done, "app.things_1"))
    assert counted.sql("SELECT app.count_things_1()") == [(3,)]


def test_a_restored_version_is_counted_from_nothing(counted: Workshop) -> None:
    call(counted)
    counted.run("gc", "--apply")
    counted.run("gc", "--apply")
    counted.run("restore", "app.alone_1")
    counted.run("gc", "--apply")
    assert counted.json("gc", "--apply")["dropped"] == 1


def test_where_nothing_is_counted_it_is_said_once_and_keeps_nothing(workshop: Workshop) -> None:
    leave(workshop)
    assert workshop.json("gc")["remarks"] == [], "nothing is condemned yet"
    workshop.run("gc", "--apply")
    workshop.sql("SELECT app.alone_1()")
    shown = workshop.run("gc")
    assert shown.stderr.count("track_functions is none") == 1
    assert dropped(workshop.json("gc")) == ["app.alone_1"]
    done = workshop.json("gc", "--apply")
    assert done["dropped"] == 1
    assert done["remarks"] == ["calls of functions are not counted here: track_functions is none"]
    (event,) = workshop.json("log", "--action", "drop")["events"]
    assert event["detail"]["evidence"] == (
        "nothing but its own project's versions depends on it;"
        " calls of functions are not counted here: track_functions is none"
    )


def test_each_project_keeps_its_own_samples(counted: Workshop, tmp_path: Path) -> None:
    depot = Workshop(tmp_path / "depot", counted.url, name="depot", more=NOW)
    depot.sql("CREATE SCHEMA depot")
    depot.write(stock="CREATE FUNCTION depot.stock() RETURNS int LANGUAGE sql AS 'SELECT 1';\n")
    depot.publish("1")
    depot.run("gc", "--apply")
    mine = "SELECT DISTINCT p.name FROM procver.usage u JOIN procver.version v ON v.id = u.version_id JOIN procver.project p ON p.id = v.project_id"
    assert counted.sql(mine) == [("depot",)]
    counted.run("gc", "--apply")
    assert set(counted.sql(mine)) == {("depot",), ("shop",)}
