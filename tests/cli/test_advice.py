"""What messages advise is true: following it leads to where they say."""

from __future__ import annotations

from tests.cli.untouched import refused
from tests.workshop import Workshop

NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'


def test_pins_that_name_nothing(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.configure(more='[gc]\npins = ["a b c"]\n')
    for words in (("gc",), ("gc", "--apply"), ("verify",), ("why", "app.things_1")):
        refused(
            workshop, *words, code=2, error="config", says=("[gc] pins: 'a b c' is no name",), hint=("app.find_things_3",)
        )  # fmt: skip
    workshop.configure(more='[gc]\npins = ["things_9", "APP.Things_1"]\n')
    for words in (("gc",), ("gc", "--apply")):
        assert "[gc] pins names app.things_9, which is no version" in workshop.run(*words).stderr
        assert workshop.json(*words)["strays"] == ["app.things_9"]


def test_a_pin_may_be_spelled_in_any_way(workshop: Workshop) -> None:
    workshop.configure(more=NOW + 'pins = ["Things_1"]\n')
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.run("release", "retire", "1")
    workshop.run("gc", "--apply")
    assert workshop.json("gc", "--apply")["dropped"] == 3
    assert workshop.objects() == {"app.things_1"}


def test_what_verify_and_restore_say_to_do_is_true(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql("CREATE OR REPLACE FUNCTION app.alone_1() RETURNS int LANGUAGE sql AS 'SELECT 0'")
    found = workshop.json("verify", code=1)["findings"]
    assert [(f["rule"], f["object"]) for f in found] == [("altered", "app.alone_1")]
    assert "drop it and run `procver restore app.alone_1`" in found[0]["message"]
    workshop.sql("DROP FUNCTION app.alone_1()")
    done = workshop.run("restore", "app.alone_1")
    assert "no release needs it" not in done.stdout, "release 1 does"
    assert workshop.json("verify")["findings"] == []
    assert workshop.sql("SELECT app.alone_1()") == [(42,)]


def test_a_restore_whose_table_is_gone(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql("DROP VIEW app.things_1 CASCADE")
    workshop.sql("ALTER TABLE app.thing RENAME TO gone")
    workshop.write(things="CREATE TABLE nonsense")
    refused(
        workshop, "restore", "app.find_things_1", code=3, error="ddl",
        says=("sql/things.sql: app.things_1", "app.thing"), hint=("bring that back",),
    )  # fmt: skip
    workshop.sql("ALTER TABLE app.gone RENAME TO thing")
    assert workshop.json("restore", "app.find_things_1")["restored"] == [
        "app.things_1",
        "app.find_things_1",
    ]
