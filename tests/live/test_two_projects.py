"""Several projects in one database: each sees, publishes and collects its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.untouched import refused
from tests.live.conftest import ALONE, THINGS
from tests.workshop import Workshop

NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
STOCK = "CREATE VIEW depot.stock AS SELECT t.id FROM app.thing t;\n"


@pytest.fixture
def depot(workshop: Workshop, tmp_path: Path) -> Workshop:
    """A second project on the same database, with a schema of its own."""
    workshop.configure(more=NOW)
    made = Workshop(tmp_path / "depot", workshop.url, name="depot", more=NOW)
    made.sql("CREATE SCHEMA depot")
    made.write(stock=STOCK)
    return made


def registry(workshop: Workshop, project: str) -> list[tuple[Any, ...]]:
    """Return every row that belongs to a project, its counters included."""
    rows: list[tuple[Any, ...]] = workshop.sql(
        "SELECT 'project', to_jsonb(p)::text FROM procver.project p WHERE name = %s", project
    )
    for table in ("version", "release", "membership", "instance", "event"):
        rows += workshop.sql(
            f"SELECT '{table}', to_jsonb(t)::text FROM procver.{table} t JOIN procver.project p ON p.id = t.project_id"
            " WHERE p.name = %s ORDER BY 2", project,
        )  # fmt: skip
    return rows


def test_each_has_its_own_releases_numbers_and_garbage(workshop: Workshop, depot: Workshop) -> None:
    workshop.publish("1")
    workshop.run("release", "activate", "1", "-i", "web-1")
    depot.publish("1")
    depot.run("release", "activate", "1", "-i", "web-1")
    depot.write(stock=STOCK.replace("t.id", "t.id, t.name"))
    depot.publish("2")
    depot.run("release", "activate", "2", "-i", "web-1")
    theirs = registry(workshop, "shop")
    assert [r["name"] for r in workshop.json("release", "list")["releases"]] == ["1"]
    assert [r["name"] for r in depot.json("release", "list")["releases"]] == ["1", "2"]
    depot.run("release", "retire", "1")
    assert {c["physical"] for c in depot.json("gc")["condemn"]} == {"depot.stock_1"}
    depot.run("gc", "--apply")
    assert depot.json("gc", "--apply")["dropped"] == 1
    assert workshop.json("gc", "--apply")["dropped"] == 0
    assert registry(workshop, "shop") == theirs
    assert workshop.json("verify")["findings"] == depot.json("verify")["findings"] == []
    mine = registry(workshop, "depot")
    workshop.run("release", "retire", "1", "-i", "web-1")
    workshop.run("release", "discard", "1")
    assert registry(workshop, "depot") == mine
    assert workshop.objects() == {"depot.stock_2"}


def test_commands_do_not_see_the_other_project(workshop: Workshop, depot: Workshop) -> None:
    workshop.publish("shop-1")
    depot.publish("depot-1")
    for words in (
        ("release", "show", "shop-1"), ("release", "activate", "shop-1"), ("release", "retire", "shop-1"),
        ("release", "discard", "shop-1"), ("why", "app.things_1"), ("restore", "app.things_1"),
    ):  # fmt: skip
        refused(depot, *words, code=2, error="usage", says=(words[-1].removesuffix("_1"),))
    assert depot.json("release", "discard", "--leftovers")["freed"] == []
    assert len(workshop.objects()) == 5


def test_a_name_that_the_other_project_published(workshop: Workshop, depot: Workshop) -> None:
    workshop.publish("1")
    depot.write(alone=ALONE.replace("42", "7"))
    for words in (("plan",), ("publish", "-r", "1")):
        refused(
            depot, *words, code=4, error="conflict",
            says=("a routine called app.alone_1", "project shop published it"),
            hint=("another suffix or schema",),
        )  # fmt: skip
    assert workshop.sql("SELECT name FROM procver.project") == [("shop",)], "nothing was entered"
    text = (depot.root / "procver.toml").read_text()
    (depot.root / "procver.toml").write_text(
        text.replace('"sql"]', '"sql"]\nsuffix = "_d{version}"', 1)
    )
    depot.publish("1")
    assert depot.sql("SELECT app.alone_1(), app.alone_d1()") == [(42, 7)]


def test_a_view_over_the_other_projects_version_keeps_it(
    workshop: Workshop, depot: Workshop
) -> None:
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    depot.write(over="CREATE VIEW depot.over AS SELECT t.id FROM app.things_1 t;\n")
    depot.publish("1")
    workshop.write(things=THINGS.replace("t.name", "t.price"))
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")
    for _ in range(3):
        workshop.run("gc", "--apply")
    assert "app.things_1" in workshop.objects()
    assert depot.json("verify")["findings"] == []
    because = [k["because"] for k in workshop.json("gc")["keep"] if k["physical"] == "app.things_1"]
    assert "depot.over_1" in str(because)
    refused(workshop, "release", "discard", "1", code=4, error="conflict", says=("over_1",))


def test_two_checkouts_that_took_the_same_project_name(workshop: Workshop, tmp_path: Path) -> None:
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    other = Workshop(tmp_path / "stranger", workshop.url, name="shop")
    other.write(alone=ALONE.replace("42", "7"))
    refused(
        other, "publish", "-r", "mine", code=4, error="conflict",
        says=("app.alone_1 already holds other content", "release 1 brought it"), hint=("release 1 is live",),
    )  # fmt: skip
