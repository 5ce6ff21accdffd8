"""Several projects in one database: each sees, publishes and collects its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.behaviour.worlds import NOW, World
from tests.cli.untouched import refused

STOCK = "CREATE VIEW depot.stock AS SELECT t.id FROM app.thing t\n"


@pytest.fixture
def depot(world: World) -> World:
    """A second project on the same database, with a schema of its own."""
    world.configure(more=NOW, trials=True)
    made = world.another("depot", "depot")
    made.write(stock=STOCK)
    return made


def registry(world: World, project: str) -> list[tuple[Any, ...]]:
    """Return every row that belongs to a project, its counters included."""
    rows = [repr(row) for row in world.sql("SELECT * FROM procver.project WHERE name = ?", project)]
    for table in ("version", "release", "membership", "instance", "event"):
        mine = f"SELECT * FROM procver.{table} WHERE project_id = (SELECT p.id FROM procver.project p WHERE p.name = ?)"
        rows += sorted(f"{table} {row!r}" for row in world.sql(mine, project))
    return rows


def test_each_has_its_own_releases_numbers_and_garbage(world: World, depot: World) -> None:
    world.publish("1")
    world.run("release", "activate", "1", "-i", "web-1")
    depot.publish("1")
    depot.run("release", "activate", "1", "-i", "web-1")
    depot.write(stock=STOCK.replace("t.id", "t.id, t.name"))
    depot.publish("2")
    depot.run("release", "activate", "2", "-i", "web-1")
    theirs = registry(world, "shop")
    assert len(theirs) > 10
    assert [r["name"] for r in world.json("release", "list")["releases"]] == ["1"]
    assert [r["name"] for r in depot.json("release", "list")["releases"]] == ["1", "2"]
    depot.run("release", "retire", "1")
    assert {c["physical"] for c in depot.json("gc")["condemn"]} == {"depot.stock_1"}
    depot.run("gc", "--apply")
    assert depot.json("gc", "--apply")["dropped"] == 1
    assert world.json("gc", "--apply")["dropped"] == 0
    assert registry(world, "shop") == theirs
    assert world.json("verify")["findings"] == depot.json("verify")["findings"] == []
    mine = registry(world, "depot")
    world.run("release", "retire", "1", "-i", "web-1")
    world.run("release", "discard", "1")
    assert registry(world, "depot") == mine
    assert world.objects() == {"depot.stock_2"}


def test_commands_do_not_see_the_other_project(world: World, depot: World) -> None:
    world.publish("shop-1")
    depot.publish("depot-1")
    for words in (
        ("release", "show", "shop-1"), ("release", "activate", "shop-1"), ("release", "retire", "shop-1"),
        ("release", "discard", "shop-1"), ("why", "app.things_1"), ("restore", "app.things_1"),
    ):  # fmt: skip
        refused(depot, *words, code=2, error="usage", says=(words[-1].removesuffix("_1"),))
    assert depot.json("release", "discard", "--leftovers")["freed"] == []
    assert len(world.objects()) == 5


def test_a_name_that_the_other_project_published(world: World, depot: World) -> None:
    world.publish("1")
    depot.write(alone=depot.constant("app.alone", 7))
    for words in (("plan",), ("publish", "-r", "1")):
        refused(
            depot, *words, code=4, error="conflict", says=("app.alone_1", "project shop published it"),
            hint=("another suffix",),
        )  # fmt: skip
    assert world.sql("SELECT name FROM procver.project") == [("shop",)], "nothing was entered"
    text = (depot.root / "procver.toml").read_text()
    (depot.root / "procver.toml").write_text(
        text.replace('"sql"]', '"sql"]\nsuffix = "_d{version}"', 1)
    )
    depot.publish("1")
    assert depot.call("app.alone_1") == [(42,)]
    assert depot.call("app.alone_d1") == [(7,)]


def test_a_view_over_the_other_projects_version_keeps_it(world: World, depot: World) -> None:
    world.publish("1")
    world.run("release", "activate", "1")
    depot.write(over="CREATE VIEW depot.over_things AS SELECT t.id FROM app.things_1 t\n")
    depot.publish("1")
    world.show("t.id", "t.price")
    world.publish("2")
    world.run("release", "activate", "2")
    world.run("release", "retire", "1")
    for _ in range(3):
        world.run("gc", "--apply")
    assert "app.things_1" in world.objects()
    assert depot.json("verify")["findings"] == []
    because = [k["because"] for k in world.json("gc")["keep"] if k["physical"] == "app.things_1"]
    assert "depot.over_things_1" in str(because)
    refused(
        world, "release", "discard", "1", code=4, error="conflict", says=("depot.over_things_1",)
    )


def test_two_checkouts_that_took_the_same_project_name(world: World) -> None:
    world.publish("1")
    world.run("release", "activate", "1")
    other = world.another("stranger")
    other.configure(name="shop")
    other.write(alone=other.constant("app.alone", 7))
    refused(
        other, "publish", "-r", "mine", code=4, error="conflict",
        says=("app.alone_1 already holds other content", "release 1 brought it"), hint=("release 1 is live",),
    )  # fmt: skip
