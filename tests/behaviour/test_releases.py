"""Releases that were used stay, mappings name their content, and commands say what they left behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from procver import FindingsError, Resolver
from tests.behaviour.worlds import NOW, World
from tests.cli.untouched import refused

# Discard.


def test_what_was_activated_is_never_discarded(two: World) -> None:
    two.run("release", "retire", "1")
    before = two.look()
    refused(
        two, "release", "discard", "1", code=4, error="conflict",
        says=("release 1 was activated on",), hint=("procver gc",),
    )  # fmt: skip
    assert two.look() == before
    assert two.json("release", "discard", "--leftovers")["freed"] == []
    # Nor is it under another content.
    two.answer(7)
    refused(two, "publish", "-r", "1", code=4, error="conflict", says=("and activated",))
    two.run("gc", "--apply")
    assert two.json("gc", "--apply")["dropped"] == 3


def test_what_an_instance_ran_is_never_discarded(two: World) -> None:
    two.answer(100)
    two.publish("3")
    two.beat("3")
    two.beat("3", leaving=True)
    about: dict[str, Any] = {"code": 4, "error": "conflict", "says": ("was run by an instance",)}
    refused(two, "release", "discard", "3", **about)
    two.answer(101)
    two.publish("3")  # it is not forgotten with its content
    refused(two, "release", "discard", "3", **about)
    refused(
        two, "release", "retire", "3", code=2, error="usage", says=("never activated",),
        hint=("procver release activate 3",),
    )  # fmt: skip


def test_a_trial_leaves_what_a_retired_release_shares(two: World) -> None:
    two.run("release", "retire", "1")
    two.narrow()
    two.answer(100)
    two.publish("trial")
    assert two.json("release", "discard", "trial")["freed"] == ["app.alone_2"]
    assert {"app.things_1", "app.things_2", "app.alone_1"} <= two.objects()


def test_a_discard_leaves_what_an_unfinished_publication_made(two: World) -> None:
    two.answer(100)
    two.publish("unfinished")
    two.sql("DELETE FROM procver.membership WHERE since = 3")
    two.sql("DELETE FROM procver.release WHERE name = 'unfinished'")
    two.answer(42)
    two.show("t.id", "t.price")
    two.publish("trial")
    assert two.json("release", "discard", "trial")["freed"] == [
        "app.count_things_3", "app.find_things_3", "app.things_3",
    ]  # fmt: skip
    assert two.json("release", "discard", "--leftovers")["freed"] == ["app.alone_2"]


def test_a_database_for_trials(world: World) -> None:
    world.configure(more=NOW, trials=True)
    assert "trials" not in {remark["rule"] for remark in world.publish("1")["remarks"]}
    world.run("release", "activate", "1", "-i", "web-1")
    world.answer(100)
    world.publish("2")
    refused(world, "release", "discard", "1", code=4, error="conflict", says=("is live on web-1",))
    world.run("release", "retire", "1", "-i", "web-1")
    assert world.json("release", "discard", "1")["freed"] == ["app.alone_1"]
    # The registry's word counts, and a target that does not know it is warned of.
    world.configure(more=NOW)
    (remark,) = world.json("plan")["remarks"]
    assert (remark["rule"], remark["file"]) == ("trials", "procver.toml")
    assert "SET trials = 'false'" in remark["hint"]
    world.run("release", "activate", "2")
    world.run("release", "retire", "2")
    assert len(world.json("release", "discard", "2")["freed"]) == 4


def test_a_database_is_not_marked_for_trials_later(two: World) -> None:
    two.run("release", "retire", "1")
    two.configure(more=NOW, trials=True)
    for words in (("plan",), ("publish", "-r", "3"), ("publish", "-r", "3", "--dry-run")):
        (remark,) = two.json(*words)["remarks"]
        assert "trials = true has no effect" in remark["message"]
        assert remark["line"] == 8
        assert "SET trials = 'true'" in remark["hint"]
    refused(two, "release", "discard", "1", code=4, error="conflict", says=("was activated",))
    two.sql("UPDATE procver.project SET trials = 'true' WHERE name = 'shop'")
    assert two.json("plan")["remarks"] == []
    assert len(two.json("release", "discard", "1")["freed"]) == 3


# Mappings.


def mapping(world: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((world.root / "procver.map.json").read_text("utf-8"))
    return found


def test_a_lost_mapping_comes_back_without_its_sources(two: World) -> None:
    lost = (two.root / "procver.map.json").read_bytes()
    offline = {f: two.run("map", "-r", "2", "--format", f).output for f in ("json", "python", "csharp")}  # fmt: skip
    for path in ("procver.lock", "sql/things.sql", "sql/find_things.sql"):
        (two.root / path).write_text("no source at all")
    two.run("map", "--from-database", "-r", "2", "-o", str(two.root / "procver.map.json"))
    assert (two.root / "procver.map.json").read_bytes() == lost
    for form, text in offline.items():
        assert two.run("map", "--from-database", "-r", "2", "--format", form).output == text
    digest = mapping(two)["digest"]
    assert f'DIGEST = "{digest}"' in offline["python"]
    assert f'Digest = "{digest}"' in offline["csharp"]
    assert two.sql("SELECT DISTINCT digest FROM procver.mapping WHERE release = '2'") == [(digest,)]
    refused(
        two, "map", "--from-database", "-r", "9", code=2, error="usage", says=("no release '9'",)
    )
    two.sql("DELETE FROM procver.membership WHERE version_id = (SELECT id FROM procver.version WHERE physical = 'app.alone_1')")  # fmt: skip
    refused(two, "map", "--from-database", "-r", "2", code=1, error="findings", says=("not those",))


def test_a_mapping_that_is_not_the_releases(two: World) -> None:
    connection = two.connect()
    path = two.root / "other.json"
    two.run("map", "-r", "2", "-o", str(path))
    Resolver.load(path).verify(connection)
    two.run("map", "-r", "1", "-o", str(path))
    with pytest.raises(FindingsError, match=r"release '1' has other versions .*: app.count_things, ") as caught:  # fmt: skip
        Resolver.load(path).verify(connection)
    assert "--from-database --release 1" in str(caught.value.hint)
    two.run("map", "-r", "9", "-o", str(path))
    with pytest.raises(FindingsError, match="release '9' is not known to project 'shop'"):
        Resolver.load(path).verify(connection)
    changed = mapping(two)
    changed["objects"]["app.alone"]["version"] = 9
    with pytest.raises(FindingsError, match="was changed after it was written"):
        Resolver.from_mapping(changed).verify(connection)
    # From the registry it has the same digest.
    for release in ("1", "2"):
        found = Resolver.from_database(connection, release=release)
        assert (found.digest == mapping(two)["digest"]) == (release == "2")
        found.verify(connection)


def test_two_projects_with_a_release_of_one_name(world: World) -> None:
    depot = world.another("depot", "depot")
    depot.write(stock="CREATE VIEW depot.stock AS SELECT t.id FROM app.thing t\n")
    world.publish("1")
    depot.publish("1")
    connection = world.connect()
    for one in (world, depot):
        one.resolver().verify(connection)
        nameless = {key: value for key, value in mapping(one).items() if key != "project"}
        Resolver.from_mapping(nameless).verify(connection)
        Resolver.from_mapping({**nameless, "digest": ""}).verify(connection)
    with pytest.raises(FindingsError, match="has other versions"):
        Resolver.from_mapping({**mapping(world), "project": "depot"}).verify(connection)


def test_a_login_without_a_right_on_the_registry(world: World) -> None:
    with world.user() as app:
        world.publish("1")
        world.allow(app.name, "app.things_1", "app.find_things_1", "app.count_things_1", "app.alone_1")  # fmt: skip
        connection = app.connect()
        for release in ("1", "9"):  # the catalog alone is looked at
            world.run("map", "-r", release, "-o", str(world.root / "procver.map.json"))
            world.resolver().verify(connection)


# The schema of bare names.


def test_each_release_keeps_its_default_schema(world: World) -> None:
    world.publish("1")
    world.run("release", "activate", "1")
    world.configure(schema="core")
    refused(
        world, "publish", "-r", "1", code=4, error="conflict",
        says=("already published with default_schema = 'app', and activated",),
    )  # fmt: skip
    world.publish("2")
    connection = world.connect()
    for release, schema in (("1", "app"), ("2", "core")):
        found = Resolver.from_database(connection, release=release)
        assert found.default_schema == schema
        assert ("alone" in found) == (schema == "app")
        written = json.loads(world.run("map", "--from-database", "-r", release).output)
        assert written["default_schema"] == schema
    assert mapping(world)["default_schema"] == "core"
    # A release that was never used is replaced.
    world.configure()
    assert world.publish("2")["create"] == []
    assert Resolver.from_database(connection, release="2").default_schema == "app"


# Plans.


def moves(document: dict[str, Any]) -> list[tuple[str, int | None, int, str]]:
    return [(m["name"], m["from"], m["to"], m["reason"]) for m in document["moved"]]


def test_what_moves_to_a_version_that_exists_is_named(world: World) -> None:
    assert moves(world.publish("1")) == []
    world.widen()
    assert moves(world.publish("2")) == []
    world.narrow()
    back = [(f"app.{name}", 2, 1, "returned") for name in ("count_things", "find_things", "things")]
    for document in (
        world.json("plan"),
        world.json("publish", "-r", "3", "-n"),
        world.publish("3"),
    ):
        assert moves(document) == back
        assert (document["create"], document["cosmetic"]) == ([], [])
    assert moves(world.publish("3")) == [], "it is there"
    pin = "-- procver: pin app.things = 2\n"
    world.write(find_things=pin + world.routines()["find_things"])
    shown = world.json("plan")
    assert moves(shown) == [
        ("app.count_things", 1, 2, "returned"), ("app.find_things", 1, 2, "pin"),
    ]  # fmt: skip
    assert shown["cosmetic"] == []
    said = world.run("plan").output
    assert "  > app.find_things_2  by its pin; the release before has app.find_things_1" in said
    assert (
        "app.count_things_2  back to version 2; the release before has app.count_things_1" in said
    )
    world.publish("4")
    world.remove("alone")
    world.publish("5")
    world.answer(42)
    assert moves(world.json("plan")) == [("app.alone", None, 1, "returned")]


def test_a_release_that_was_discarded_is_not_the_newest(world: World) -> None:
    world.publish("1")
    world.widen()
    world.publish("2")
    world.run("release", "discard", "2")
    world.narrow()
    shown = world.json("plan")
    assert (shown["moved"], shown["removed"], shown["cosmetic"]) == ([], [], [])


# What activate and retire leave.


def test_activating_on_the_last_instance_tells_of_the_release_before(two: World) -> None:
    two.run("release", "retire", "1")
    two.run("release", "activate", "2", "-i", "web-1")
    two.run("release", "activate", "2", "-i", "web-2")
    two.narrow()
    two.publish("3")
    assert two.json("release", "activate", "3", "-i", "web-1")["without_instances"] == []
    said = two.run("release", "activate", "3", "-i", "web-2").output
    assert "release 2 is still live, and no instance is on it" in said
    assert "`procver release retire 2`" in said
    assert two.json("release", "activate", "3", "-i", "web-2")["without_instances"] == ["2"]
    two.run("release", "retire", "2")
    assert two.json("release", "activate", "3", "-i", "web-2")["without_instances"] == []


def test_retiring_tells_what_keeps_a_release(two: World) -> None:
    two.run("release", "activate", "1", "-i", "web-1")
    two.run("release", "activate", "1", "-i", "web-2")
    said = two.run("release", "retire", "1").output
    assert "release 1 is live" in said
    assert "kept live by instance web-1, web-2" in said
    assert "`procver release retire 1 --instance web-1`" in said
    said = two.run("release", "retire", "1", "-i", "web-1").output
    assert "instance web-1 is no longer on it" in said
    assert "kept live by instance web-2" in said
    done = two.json("release", "retire", "1", "-i", "web-2")
    assert (done["state"], done["kept_by"], done["taken_off"]) == ("retired", [], True)
