"""Releases that fell silent: proposed for retirement, and retired where that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.behaviour.worlds import GONE, NOW, World


@pytest.fixture
def three(empty_world: World) -> World:
    """Releases 1, 2 and 3, all active; release 3 is heard from."""
    empty_world.reach(three_releases)
    return empty_world


def three_releases(world: World) -> None:
    world.configure(more=NOW + 'idle = "14d"\n')
    for release, columns in (("1", "t.id, t.name"), ("2", "t.id, t.name, t.price"), ("3", "t.id, t.price")):  # fmt: skip
        world.show(columns)
        world.publish(release)
        world.run("release", "activate", release)
    world.beat("3", "web-9")


def age(world: World, release: str, days: int) -> None:
    """Let a release, and all that was heard from it, be older."""
    world.sql(
        f"UPDATE procver.instance SET last_seen_at = {world.ago('last_seen_at', days=days)}"
        " WHERE release_id IN (SELECT r.id FROM procver.release r WHERE r.name = ?)",
        release,
    )
    world.sql(
        f"UPDATE procver.release SET activated_at = {world.ago('activated_at', days=days)},"
        f" heard_until = {world.ago('heard_until', days=days)} WHERE name = ?",
        release,
    )


def proposed(world: World) -> list[str]:
    return [r["release"] for r in world.json("gc")["retire"]]


def states(world: World) -> dict[str, Any]:
    return {r["name"]: r["state"] for r in world.json("release", "list")["releases"]}


@pytest.mark.parametrize("way", ["crashed", "left"])
def test_a_release_that_fell_silent_is_proposed_and_retired_when_asked(
    three: World, way: str
) -> None:
    three.beat("1")
    if way == "left":
        three.beat("1", leaving=True)
    assert proposed(three) == []
    age(three, "1", 13)
    assert proposed(three) == []
    age(three, "1", 2)
    assert proposed(three) == ["1"]
    assert "would retire release 1: the last heartbeat came 15 d ago" in three.run("gc").output
    three.run("gc", "--apply")
    assert states(three)["1"] == "live", "a proposal is none until it is taken"
    done = three.json("gc", "--apply", "--retire-idle")
    assert (done["retired"], [r["release"] for r in done["retire"]]) == (True, ["1"])
    assert {c["physical"] for c in done["condemn"]} == GONE
    assert states(three) == {"1": "retired", "2": "live", "3": "live"}
    (event,) = three.json("log", "--action", "retire")["events"]
    assert (event["subject"], event["detail"]) == ("1", {"why": "the last heartbeat came 15 d ago"})
    assert three.json("gc", "--apply", "--retire-idle")["dropped"] == 3


def test_what_never_beat_cannot_fall_silent(three: World) -> None:
    age(three, "1", 400)
    age(three, "2", 400)
    assert three.json("gc", "--apply", "--retire-idle")["retire"] == []
    assert set(states(three).values()) == {"live"}


def test_an_instance_that_was_only_declared_keeps_its_release(three: World) -> None:
    three.beat("1")
    three.run("release", "activate", "1", "--instance", "batch-1")
    age(three, "1", 400)
    assert proposed(three) == []


def test_when_nobody_is_heard_any_more_it_is_the_heartbeats_that_fail(three: World) -> None:
    three.beat("1")
    age(three, "1", 400)
    age(three, "3", 400)
    assert three.json("gc", "--apply", "--retire-idle")["retire"] == []


def test_neither_the_newest_release_nor_the_one_activated_last(three: World) -> None:
    three.beat("2", "web-2")
    three.beat("1")
    three.beat("2", "web-9")
    for release in ("1", "2", "3"):
        age(three, release, 20)
    three.run("release", "retire", "1")
    three.run("release", "activate", "1")  # rolled back to, by hand, a moment ago
    three.sql(f"UPDATE procver.release SET activated_at = {three.now} WHERE name = '1'")
    age(three, "1", 0)
    three.beat("1", "web-3")
    three.beat("1", "web-3", leaving=True)
    silent = three.ago(three.now, days=20)
    three.sql(f"UPDATE procver.release SET heard_until = {silent} WHERE name = '1'")
    three.sql("DELETE FROM procver.instance")
    three.beat("2", "web-2")
    assert proposed(three) == [], "1 was activated last, 2 is heard from, 3 is the newest"


def test_a_heartbeat_that_comes_meanwhile_is_believed(three: World) -> None:
    three.beat("1")
    age(three, "1", 20)
    assert proposed(three) == ["1"]
    three.beat("1")
    assert three.json("gc", "--apply", "--retire-idle")["retire"] == []
    assert states(three)["1"] == "live"


def test_instances_with_a_name_for_each_start_are_forgotten(three: World) -> None:
    for number in range(5):
        three.beat("1", f"pod-{number}")
    age(three, "1", 29)
    three.run("gc", "--apply")
    assert three.sql("SELECT name FROM procver.instance") == [("web-9",)]
    assert proposed(three) == ["1"], "when the release was heard from last is known all the same"
