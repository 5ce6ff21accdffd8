"""Objects that refer to each other: created, collected and restored in an order that the server takes."""

from __future__ import annotations

import pytest

from tests.behaviour.worlds import MssqlWorld, PostgresqlWorld, World
from tests.live.conftest import workshop  # noqa: F401

LATE = {
    "postgresql": "CREATE FUNCTION app.a(x int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN"
    " IF x > {n} THEN RETURN (SELECT count(*) FROM app.b); END IF; RETURN x; END $$;\n",
    "mssql": "CREATE FUNCTION app.a(@x int) RETURNS bigint AS BEGIN"
    " IF @x > {n} RETURN (SELECT COUNT(*) FROM app.b); RETURN @x; END\n",
}
VIEW = "CREATE VIEW app.b AS SELECT id, app.a(id) AS n FROM app.thing\n"


@pytest.fixture
def cycle(world: World) -> World:
    """A view, and a function that reads it and that it calls."""
    world.remove("things", "find_things", "count_things", "alone")
    world.write(b=VIEW, a=LATE[world.dialect].format(n=5))
    world.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\n')
    return world


def test_a_view_and_a_function_that_read_each_other(cycle: World) -> None:
    made = cycle.publish("1")
    assert [(c["physical"], c["reason"]) for c in made["create"]] == [
        ("app.a_1", "new"), ("app.b_1", "new"),
    ]  # fmt: skip
    assert cycle.sql("SELECT n FROM app.b_1 ORDER BY id") == [(1,), (2,), (3,)]
    cycle.run("release", "activate", "1")
    cycle.write(a=LATE[cycle.dialect].format(n=9))
    assert {c["physical"] for c in cycle.publish("2")["create"]} == {"app.a_2", "app.b_2"}
    cycle.run("release", "activate", "2")
    cycle.run("release", "retire", "1")
    cycle.run("gc", "--apply")
    assert cycle.json("gc", "--apply")["dropped"] == 2
    assert cycle.objects() == {"app.a_2", "app.b_2"}
    cycle.run("release", "activate", "1", "--restore")
    assert cycle.objects() == {"app.a_1", "app.b_1", "app.a_2", "app.b_2"}
    assert cycle.sql("SELECT n FROM app.b_1 ORDER BY id") == [(1,), (2,), (3,)]
    assert cycle.json("verify")["findings"] == []


REFUSED = {
    "a view under its own row type": {
        "a": "CREATE FUNCTION app.a() RETURNS SETOF app.b LANGUAGE sql AS 'SELECT * FROM app.b';\n",
        "b": "CREATE VIEW app.b AS SELECT 1 AS id UNION SELECT id FROM app.a();\n",
    },
    "a standard body": {
        "a": "CREATE FUNCTION app.a() RETURNS bigint RETURN (SELECT count(*) FROM app.b);\n",
        "b": "CREATE VIEW app.b AS SELECT app.a() AS n;\n",
    },
    "two views": {
        "a": "CREATE VIEW app.a AS SELECT id FROM app.b;\n",
        "b": "CREATE VIEW app.b AS SELECT id FROM app.a;\n",
    },
    "a default": {
        "a": "CREATE FUNCTION app.a(x bigint DEFAULT (SELECT max(n) FROM app.b)) RETURNS bigint"
        " LANGUAGE plpgsql AS $$ BEGIN RETURN x; END $$;\n",
        "b": "CREATE VIEW app.b AS SELECT app.a(1) AS n;\n",
    },
}


@pytest.mark.parametrize("sources", REFUSED.values(), ids=REFUSED)
def test_what_the_server_cannot_create_is_refused(
    workshop: PostgresqlWorld,  # noqa: F811
    sources: dict[str, str],
) -> None:
    workshop.remove("things", "find_things", "count_things", "alone")
    workshop.write(**sources)
    said = workshop.json("publish", "--release", "1", code=2)["error"]
    assert "reference cycle" in said["message"]
    assert "app.a -> app.b -> app.a" in said["message"] or (
        "app.b -> app.a -> app.b" in said["message"]
    )
    assert "break the cycle" in said["hint"]


def test_longer_cycles_in_any_order_of_files(workshop: PostgresqlWorld) -> None:  # noqa: F811
    """The late ones first, then what needs them, through any number of views and bound bodies."""
    workshop.remove("things", "find_things", "count_things", "alone")
    workshop.write(
        a="CREATE VIEW app.a AS SELECT * FROM app.c;\n",
        b="CREATE FUNCTION app.b(r app.a) RETURNS int LANGUAGE sql AS $$ SELECT app.z(1) $$;\n",
        c="CREATE VIEW app.c AS SELECT app.z(1) AS n;\n",
        d="CREATE FUNCTION app.d(x int) RETURNS int RETURN app.z(x);\n",
        z="CREATE FUNCTION app.z(x int) RETURNS int LANGUAGE plpgsql AS $$ DECLARE r app.a; BEGIN"
        " IF x > 1 THEN RETURN app.b(r) + app.d(x); END IF; RETURN x; END $$;\n",
    )
    made = [c["physical"] for c in workshop.publish("1")["create"]]
    assert made.index("app.z_1") < made.index("app.c_1") < made.index("app.a_1")
    assert made.index("app.a_1") < made.index("app.b_1")
    assert workshop.sql("SELECT n, app.z_1(1) FROM app.a_1") == [(1, 1)]


def test_an_inline_function_is_bound_at_once(world: World) -> None:
    if not isinstance(world, MssqlWorld):
        pytest.skip("T-SQL")
    world.remove("things", "find_things", "count_things", "alone")
    world.write(
        a="CREATE FUNCTION app.a() RETURNS TABLE AS RETURN SELECT id FROM app.b\n",
        b="CREATE VIEW app.b AS SELECT id FROM app.a()\n",
    )
    said = world.json("publish", "--release", "1", code=2)["error"]
    assert "reference cycle" in said["message"]
