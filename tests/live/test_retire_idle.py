"""Releases that fell silent: proposed for retirement, and retired where that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import THINGS
from tests.workshop import Workshop

CONFIG = '[gc]\nkeep_releases = 0\ngrace = "0s"\nidle = "14d"\n'


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """Releases 1, 2 and 3, all active; release 3 is heard from."""
    workshop.configure(more=CONFIG)
    for release, column in (("1", "t.name"), ("2", "t.name, t.price"), ("3", "t.price")):
        workshop.write(things=THINGS.replace("t.name", column))
        workshop.publish(release)
        workshop.run("release", "activate", release)
    beat(workshop, "3", "web-9")
    return workshop


def beat(shop: Workshop, release: str, instance: str, *, leaving: bool = False) -> None:
    shop.sql("SELECT procver.beat('shop', %s, %s, %s)", release, instance, leaving)


def age(shop: Workshop, release: str, days: int) -> None:
    """Let a release, and all that was heard from it, be older."""
    span = f"{days} days"
    shop.sql(
        "UPDATE procver.instance i SET last_seen_at = last_seen_at - %s::interval FROM procver.release r"
        " WHERE r.id = i.release_id AND r.name = %s",
        span, release,
    )  # fmt: skip
    shop.sql(
        "UPDATE procver.release SET activated_at = activated_at - %s::interval,"
        " heard_until = heard_until - %s::interval WHERE name = %s",
        span, span, release,
    )  # fmt: skip


def proposed(shop: Workshop) -> list[str]:
    return [r["release"] for r in shop.json("gc")["retire"]]


def states(shop: Workshop) -> dict[str, Any]:
    return {r["name"]: r["state"] for r in shop.json("release", "list")["releases"]}


@pytest.mark.parametrize("way", ["crashed", "left"])
def test_a_release_that_fell_silent_is_proposed_and_retired_when_asked(
    shop: Workshop, way: str
) -> None:
    beat(shop, "1", "web-1")
    if way == "left":
        beat(shop, "1", "web-1", leaving=True)
    assert proposed(shop) == []
    age(shop, "1", 13)
    assert proposed(shop) == []
    age(shop, "1", 2)
    assert proposed(shop) == ["1"]
    assert "would retire release 1: the last heartbeat came 15 d ago" in shop.run("gc").output
    shop.run("gc", "--apply")
    assert states(shop)["1"] == "live", "a proposal is none until it is taken"
    done = shop.json("gc", "--apply", "--retire-idle")
    assert (done["retired"], [r["release"] for r in done["retire"]]) == (True, ["1"])
    assert {c["physical"] for c in done["condemn"]} == {
        "app.things_1", "app.find_things_1", "app.count_things_1",
    }  # fmt: skip
    assert states(shop) == {"1": "retired", "2": "live", "3": "live"}
    (event,) = shop.sql("SELECT subject, detail FROM procver.event WHERE action = 'retire'")
    assert event == ("1", {"why": "the last heartbeat came 15 d ago"})
    assert shop.json("gc", "--apply", "--retire-idle")["dropped"] == 3


def test_what_never_beat_cannot_fall_silent(shop: Workshop) -> None:
    age(shop, "1", 400)
    age(shop, "2", 400)
    assert shop.json("gc", "--apply", "--retire-idle")["retire"] == []
    assert set(states(shop).values()) == {"live"}


def test_an_instance_that_was_only_declared_keeps_its_release(shop: Workshop) -> None:
    beat(shop, "1", "web-1")
    shop.run("release", "activate", "1", "--instance", "batch-1")
    age(shop, "1", 400)
    assert proposed(shop) == []


def test_when_nobody_is_heard_any_more_it_is_the_heartbeats_that_fail(shop: Workshop) -> None:
    beat(shop, "1", "web-1")
    age(shop, "1", 400)
    age(shop, "3", 400)
    assert shop.json("gc", "--apply", "--retire-idle")["retire"] == []


def test_neither_the_newest_release_nor_the_one_activated_last(shop: Workshop) -> None:
    beat(shop, "2", "web-2")
    beat(shop, "1", "web-1")
    shop.sql("SELECT procver.beat('shop', '2', 'web-9')")
    for release in ("1", "2", "3"):
        age(shop, release, 20)
    shop.run("release", "retire", "1")
    shop.run("release", "activate", "1")  # rolled back to, by hand, a moment ago
    shop.sql("UPDATE procver.release SET activated_at = now() WHERE name = '1'")
    age(shop, "1", 0)
    beat(shop, "1", "web-3")
    beat(shop, "1", "web-3", leaving=True)
    shop.sql("UPDATE procver.release SET heard_until = now() - interval '20 days' WHERE name = '1'")
    shop.sql("DELETE FROM procver.instance")
    beat(shop, "2", "web-2")
    assert proposed(shop) == [], "1 was activated last, 2 is heard from, 3 is the newest"


def test_a_heartbeat_that_comes_meanwhile_is_believed(shop: Workshop) -> None:
    beat(shop, "1", "web-1")
    age(shop, "1", 20)
    assert proposed(shop) == ["1"]
    beat(shop, "1", "web-1")
    assert shop.json("gc", "--apply", "--retire-idle")["retire"] == []
    assert states(shop)["1"] == "live"


def test_instances_with_a_name_for_each_start_are_forgotten(shop: Workshop) -> None:
    for number in range(5):
        beat(shop, "1", f"pod-{number}")
    age(shop, "1", 29)
    shop.run("gc", "--apply")
    assert shop.sql("SELECT name FROM procver.instance") == [("web-9",)]
    assert proposed(shop) == ["1"], "when the release was heard from last is known all the same"
