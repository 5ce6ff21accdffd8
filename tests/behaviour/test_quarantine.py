"""What nobody may use any more, before it is dropped: whoever was forgotten notices, and is cured at once."""

from __future__ import annotations

import time

import pytest

from tests.behaviour.worlds import GONE, NOW, World

QUARANTINE = NOW + 'quarantine = "{time}"\n'


def replace(world: World) -> None:
    """Publish and activate release 2 in place of release 1, and condemn what only that needed."""
    world.run("release", "activate", "1")
    world.widen()
    world.publish("2")
    world.run("release", "activate", "2")
    world.run("release", "retire", "1")
    world.run("gc", "--apply")


def test_what_is_in_quarantine_can_be_used_by_nobody_and_then_goes(world: World) -> None:
    with world.user() as app:
        world.configure(more=QUARANTINE.format(time="1s"))
        world.publish("1")
        world.allow(app.name, "app.things_1", "app.find_things_1")
        replace(world)
        find = world.calling("app.find_things_1", 0)
        assert len(app.connect().execute(find).fetchall()) == 3
        found = world.json("gc", "--apply")
        assert found["drop"] == []
        assert {q["physical"] for q in found["quarantine"]} == GONE
        for statement in (find, "SELECT id FROM app.things_1"):
            assert world.denies(app.connect(), statement)
        assert len(app.connect().execute(world.calling("app.find_things_2", 0)).fetchall()) == 3
        time.sleep(1.1)
        done = world.json("gc", "--apply")
        assert {d["physical"] for d in done["drop"]} == GONE
        assert "missed by nobody" in done["drop"][0]["why"]


def test_a_caller_that_was_forgotten_is_cured_at_once(world: World) -> None:
    with world.user() as app:
        world.configure(more=QUARANTINE.format(time="1h"))
        world.publish("1")
        world.allow(app.name, "app.things_1", "app.find_things_1", "app.count_things_1")
        before = world.privileges()
        replace(world)
        assert world.json("gc", "--apply")["dropped"] == 0
        assert world.privileges() != before
        count = world.calling("app.count_things_1")
        assert world.denies(app.connect(), count)
        done = world.json("restore", "app.count_things_1")
        assert set(done["restored"]) == GONE, "and all that it needs"
        assert app.connect().execute(count) is not None
        assert world.privileges() == before


@pytest.mark.parametrize("way", ["activate", "publish"])
def test_a_release_that_needs_it_again_lifts_the_quarantine(world: World, way: str) -> None:
    with world.user() as app:
        world.configure(more=QUARANTINE.format(time="1h"))
        world.publish("1")
        world.allow(app.name, "app.things_1", "app.find_things_1")
        replace(world)
        world.run("gc", "--apply")
        if way == "activate":
            world.run("release", "activate", "1")
        else:
            world.narrow()
            assert world.publish("3")["create"] == []
        assert len(app.connect().execute(world.calling("app.find_things_1", 0)).fetchall()) == 3
        assert world.json("verify")["findings"] == []


def test_a_new_version_takes_its_grants_from_before_the_quarantine(world: World) -> None:
    with world.user() as app:
        world.configure(more=QUARANTINE.format(time="1h"))
        world.publish("1")
        world.allow(app.name, "app.things_1")
        world.remove("things", "find_things", "count_things")
        world.run("release", "activate", "1")
        world.publish("2")
        world.run("release", "activate", "2")
        world.run("release", "retire", "1")
        world.run("gc", "--apply")
        assert len(world.json("gc", "--apply")["quarantine"]) == 3
        world.widen()
        assert [c["physical"] for c in world.publish("3")["create"]] == ["app.things_2"]
        assert len(app.connect().execute("SELECT * FROM app.things_2").fetchall()) == 3


def test_a_version_dropped_out_of_quarantine_comes_back_as_it_was_before(world: World) -> None:
    with world.user() as app:
        world.configure(more=QUARANTINE.format(time="0s"))
        world.publish("1")
        world.allow(app.name, "app.things_1", "app.find_things_1")
        replace(world)
        world.run("gc", "--apply")
        assert world.json("gc", "--apply")["dropped"] == 3
        world.run("release", "activate", "1", "--restore")
        assert len(app.connect().execute(world.calling("app.find_things_1", 0)).fetchall()) == 3
        assert world.json("verify")["findings"] == []
