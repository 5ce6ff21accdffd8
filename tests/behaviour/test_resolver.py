"""The mapping that an app ships with, and the one that the registry holds: the same, and checked against what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from procver import FindingsError, Resolver, UsageError
from tests.behaviour.worlds import NEW, OLD, World


@pytest.fixture(params=[False, True], ids=["transactions", "autocommit"])
def connection(two: World, request: pytest.FixtureRequest) -> Iterator[Any]:
    opened = two.connect(autocommit=request.param)
    yield opened
    opened.close()


def test_the_file_and_the_registry_say_the_same(two: World, connection: Any) -> None:
    shipped = two.resolver()
    found = Resolver.from_database(connection, release="2")
    assert dict(found) == dict(shipped)
    assert (found.release, found.project, found.dialect, found.default_schema) == (
        "2", "shop", two.dialect, "app",
    )  # fmt: skip
    assert (shipped.release, shipped.dialect) == ("2", two.dialect)
    old = Resolver.from_database(connection, release="1")
    for name in ("find_things", "app.find_things"):
        assert two.call(old[name], 2) == OLD
        assert two.call(found[name], 2) == NEW
    assert old["alone"] == found["alone"] == "app.alone_1"
    document = json.loads((two.root / "procver.map.json").read_text("utf-8"))
    assert document["dialect"] == two.dialect
    assert {name: entry["physical"] for name, entry in document["objects"].items()} == dict(found)
    with pytest.raises(KeyError, match=r"app\.find_things"):
        found["find_thing"]


def test_it_is_checked_at_start(two: World, connection: Any) -> None:
    shipped = two.resolver()
    shipped.verify(connection)
    connection.commit()
    two.drop("app.count_things_2", "app.find_things_2")
    with pytest.raises(FindingsError) as caught:
        shipped.verify(connection)
    assert "app.count_things_2" in str(caught.value)
    assert "app.find_things_2" in str(caught.value)
    assert "app.things_2" not in str(caught.value)
    assert "restore" in str(caught.value.hint)
    Resolver.from_database(connection, release="1").verify(connection)
    connection.commit()
    two.run("restore", "app.count_things_2")
    shipped.verify(connection)


def test_an_unknown_release(two: World, connection: Any) -> None:
    for release in ("9", "", "'; DROP SCHEMA procver CASCADE; --", "%s ?"):
        with pytest.raises(UsageError) as caught:
            Resolver.from_database(connection, release=release)
        assert "procver release list" in str(caught.value.hint)
    assert Resolver.from_database(connection, release="1").release == "1"


def test_two_projects_may_have_a_release_of_one_name(two: World, connection: Any) -> None:
    other = two.another("till")
    other.write(ring=other.constant("app.ring", 7))
    other.publish("2")
    with pytest.raises(UsageError, match="several projects have a release '2': shop, till"):
        Resolver.from_database(connection, release="2")
    found = Resolver.from_database(connection, release="2", project="till")
    assert dict(found) == {"app.ring": "app.ring_1"}


def test_offline_and_published_mappings_are_one(world: World) -> None:
    world.publish("1")
    published = (world.root / "procver.map.json").read_bytes()
    world.run("map", "-r", "1", "--format", "json", "-o", str(world.root / "offline.json"))
    assert (world.root / "offline.json").read_bytes() == published
