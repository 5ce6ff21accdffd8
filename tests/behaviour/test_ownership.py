"""Only what procver created is a version; and the registry is believed no further than its own digests."""

from __future__ import annotations

import contextlib

import pytest

from procver import FindingsError, Resolver
from tests.behaviour.worlds import GONE, World


def test_what_replaced_a_version_outlives_it(replaced: World) -> None:
    replaced.drop("app.count_things_1")
    replaced.sql(replaced.constant("app.count_things_1", 7))
    said = replaced.run("gc", "--apply").output
    assert "app.count_things_1 and is not managed by procver: it stays" in said
    assert replaced.call("app.count_things_1") == [(7,)]
    assert replaced.objects().isdisjoint(GONE - {"app.count_things_1"})


def test_discard_leaves_what_replaced_a_version(world: World) -> None:
    world.publish("1")
    world.drop("app.count_things_1")
    world.sql(world.constant("app.count_things_1", 7))
    (found,) = world.json("verify", code=1)["findings"]
    assert (found["rule"], found["object"]) == ("altered", "app.count_things_1")
    for words in (("publish", "-r", "1"), ("restore", "app.count_things_1")):
        error = world.json(*words, code=4)["error"]
        assert "app.count_things_1" in error["message"]
        assert "not the version that procver created" in error["message"]
    said = world.run("release", "discard", "1").output
    assert "app.count_things_1 and is not managed by procver: it stays" in said
    assert world.objects() == {"app.count_things_1"}
    assert world.call("app.count_things_1") == [(7,)]


ALONE = "(SELECT v.id FROM procver.version v WHERE v.physical = 'app.alone_1')"
OTHER = "(SELECT v.id FROM procver.version v WHERE v.physical = 'app.things_2')"


@pytest.mark.parametrize(
    "damage",
    [
        f"DELETE FROM procver.membership WHERE version_id = {ALONE}",
        f"UPDATE procver.membership SET since = 1 WHERE version_id = {OTHER}",
        "UPDATE procver.version SET fingerprint = 'v1:00' WHERE physical = 'app.things_1'",
    ],
)
def test_membership_that_was_changed_by_hand(two: World, damage: str) -> None:
    two.run("release", "retire", "2")
    two.sql(damage)
    (found,) = (f for f in two.json("verify", code=1)["findings"] if f["rule"] == "membership")
    assert found["object"] == found["releases"][0] == "1"
    for words in (("release", "activate", "1"), ("release", "activate", "1", "--restore")):
        error = two.json(*words, code=3)["error"]
        assert "procver.membership" in error["message"]
        assert "release 1" in error["message"]
        assert error["hint"]
    assert "release 1 no longer consists" in two.run("plan", code=None).output
    with (
        contextlib.closing(two.connect()) as connection,
        pytest.raises(FindingsError, match="no longer consists"),
    ):
        Resolver.from_database(connection, release="1")
    before = two.objects()
    for _ in range(3):
        shown = two.json("gc", "--apply")
        assert (shown["dropped"], shown["condemn"]) == (0, [])
        assert any("release 1 no longer consists" in remark for remark in shown["remarks"])
    assert two.objects() == before


def test_publishing_a_damaged_release_again_is_refused(world: World) -> None:
    world.publish("1")
    world.sql(f"DELETE FROM procver.membership WHERE version_id = {ALONE}")
    assert "release 1" in world.json("publish", "-r", "1", code=3)["error"]["message"]
    world.publish("2")
    assert [f["object"] for f in world.json("verify", code=1)["findings"]] == ["1"]
