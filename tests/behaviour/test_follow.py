"""Channels, and an app that follows one: it switches as a whole, and back, and never onto something that is not there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from procver import FindingsError, Heartbeat, Resolver, UsageError, background
from tests.behaviour.test_heartbeat import wait_for
from tests.behaviour.worlds import NEW, NOW, OLD, World
from tests.cli.untouched import refused


@pytest.fixture
def shop(empty_world: World) -> World:
    """Releases 1 and 2; the channel stable points to 1."""
    empty_world.reach(channelled)
    return empty_world


def channelled(world: World) -> None:
    world.configure(more=NOW)
    world.publish("1")
    world.widen()
    world.publish("2")
    world.run("release", "channel", "stable", "1")


@pytest.fixture(params=[False, True], ids=["transactions", "autocommit"])
def connection(shop: World, request: pytest.FixtureRequest) -> Iterator[Any]:
    opened = shop.connect(autocommit=request.param)
    yield opened
    opened.close()


def point(world: World, release: str, channel: str = "stable") -> Any:
    return world.json("release", "channel", channel, release)


# The channel.


def test_a_channel_activates_what_it_points_to(shop: World) -> None:
    assert shop.json("release", "show", "1")["state"] == "live"
    done = point(shop, "2")
    assert done == {"channel": "stable", "release": "2", "moved_from": "1", "restored": []}
    assert point(shop, "2")["moved_from"] is None, "again changes nothing"
    listed = shop.json("release", "channel")["channels"]
    assert [(c["channel"], c["release"]) for c in listed] == [("stable", "2")]
    assert shop.json("release", "channel", "stable")["channels"] == listed
    states = {
        r["name"]: (r["state"], r["channels"]) for r in shop.json("release", "list")["releases"]
    }
    assert states == {"1": ("live", []), "2": ("live", ["stable"])}
    assert "channel stable points to it" in shop.run("release", "show", "2").output
    events = shop.json("log", "--action", "channel")["events"]
    assert [(e["subject"], e["detail"]["channel"]) for e in reversed(events)] == [
        ("1", "stable"),
        ("2", "stable"),
    ]


def test_a_release_that_a_channel_points_to_is_a_root(shop: World) -> None:
    assert "release 1 (channel stable)" in shop.run("why", "app.things_1").output
    refused(
        shop, "release", "retire", "1", code=4, error="conflict",
        says=("channel stable points to release 1",), hint=("procver release channel stable",),
    )  # fmt: skip
    refused(shop, "release", "discard", "1", code=4, error="conflict", says=("release 1 is live",))
    shop.run("release", "activate", "1", "-i", "web-1")
    assert shop.json("release", "retire", "1", "-i", "web-1")["state"] == "live"
    for _ in range(3):
        assert shop.json("gc", "--apply")["condemn"] == []
    point(shop, "2")
    assert shop.json("release", "retire", "1")["state"] == "retired"
    shop.run("gc", "--apply")
    assert shop.json("gc", "--apply")["dropped"] == 3


def test_a_channel_is_removed_and_its_release_stays(shop: World) -> None:
    for _ in range(2):  # who did not hear of it asks again, and is told the same
        done = shop.json("release", "channel", "stable", "--remove")
        assert done == {"channel": "stable", "release": None, "moved_from": "1"}
    assert shop.json("release", "show", "1")["state"] == "live"
    assert shop.run("release", "channel").output == "no channels\n"
    shop.run("release", "retire", "1")


CANNOT = [
    (("stable", "9"), "no release '9'", "release list"),
    (("stabel",), "no channel 'stabel'", "did you mean stable"),
    (("nightly",), "no channel 'nightly'", "procver release channel nightly RELEASE"),
    (("nightly", "--remove"), "no channel 'nightly'", "procver release channel nightly"),
    (("", "1"), "'' cannot be a channel name", "stable"),
    (("a\tb", "1"), "cannot be a channel name", "stable"),
    ((" a", "1"), "cannot be a channel name", "stable"),
    (("x" * 201, "1"), "cannot be a channel name", "stable"),
    (("stable", "1", "--remove"), "--remove takes a channel alone", "--help"),
    (("--remove",), "--remove takes a channel alone", "--help"),
    (("stable", "--restore"), "--restore a channel and a release", "--help"),
]


def test_what_a_channel_cannot_be(shop: World) -> None:
    for words, says, hint in CANNOT:
        about: Any = {"code": 2, "error": "usage", "says": (says,), "hint": (hint,)}
        refused(shop, "release", "channel", *words, **about)


def test_hostile_channels(shop: World) -> None:
    for name in ("Ąж 💚", "'; DROP SCHEMA procver CASCADE; --", "%s %(a)s ?", '"x"', "x" * 200):
        if shop.babelfish and '"' in name:  # its JSON functions do not undo escapes
            refused(
                shop, "release", "channel", name, "2", code=2, error="usage",
                says=("Babelfish cannot hold the name",), hint=("choose a name without them",),
            )  # fmt: skip
            continue
        point(shop, "2", name)
        connection = shop.connect(autocommit=False)
        procs = Resolver.follow(connection, name)
        assert procs.release == "2"
        assert procs.refresh(strict=True) is False
        connection.close()
        assert name in shop.run("release", "channel").output
        shop.run("release", "channel", name, "--remove")


def test_a_collected_release_is_pointed_to_once_restored(shop: World, connection: Any) -> None:
    point(shop, "2")
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    shop.run("gc", "--apply")
    refused(
        shop, "release", "channel", "stable", "1", code=4, error="conflict",
        says=("release 1 needs 3 version(s) that are gone",), hint=("--restore",),
    )  # fmt: skip
    procs = Resolver.follow(connection, "stable")
    done = shop.json("release", "channel", "stable", "1", "--restore")
    assert len(done["restored"]) == 3
    assert procs.refresh(strict=True)
    procs.verify(connection)


# The app.


def test_it_switches_and_back(shop: World, connection: Any) -> None:
    procs = Resolver.follow(connection, "stable")
    assert (procs.release, procs.project, procs.dialect, procs.default_schema) == (
        "1", "shop", shop.dialect, "app",
    )  # fmt: skip
    assert procs["app.find_things"] == procs["find_things"] == "app.find_things_1"
    assert procs.refresh() is False
    with procs.pinned() as pinned:
        before = dict(procs)
        point(shop, "2")
        assert procs.refresh(strict=True) is True
        assert dict(pinned) == before, "a request under way keeps its release"
    assert procs["app.find_things"] == "app.find_things_2"
    assert shop.call(procs["app.find_things"], 2) == NEW
    assert procs.get("app.nothing") is None
    assert "find_things" in procs
    assert len(procs) == len(list(procs)) == 4
    assert "release '2'" in repr(procs)
    point(shop, "1")
    assert procs.refresh(strict=True) is True
    assert shop.call(procs["app.find_things"], 2) == OLD


def test_it_never_switches_to_what_is_not_there(
    shop: World, connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    procs = Resolver.follow(connection, "stable")
    point(shop, "2")
    shop.drop("app.things_2")
    for _ in range(3):
        assert procs.refresh() is False
    assert procs.release == "1"
    assert isinstance(procs.error, FindingsError)
    assert procs.failures == 3
    assert len(caplog.records) == 1
    assert "release 1 stays" in caplog.text
    assert "app.things_2" in caplog.text
    with pytest.raises(FindingsError, match=r"app\.things_2"):
        procs.refresh(strict=True)
    with pytest.raises(FindingsError):
        Resolver.follow(connection, "stable")
    point(shop, "1")
    assert procs.refresh(strict=True) is False
    assert procs.failures == 0


def test_a_channel_that_is_gone_leaves_the_last_mapping(
    shop: World, connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    procs = Resolver.follow(connection, "stable")
    shop.run("release", "channel", "stable", "--remove")
    assert procs.refresh() is False
    assert procs["app.find_things"] == "app.find_things_1"
    assert "no channel 'stable'" in caplog.text
    with pytest.raises(UsageError, match="no channel 'stable'"):
        procs.refresh(strict=True)
    with pytest.raises(UsageError, match="no channel 'stable'"):
        Resolver.follow(connection, "stable")


def test_two_projects_may_have_a_channel_of_one_name(shop: World) -> None:
    other = shop.another("till")
    other.write(ring=other.constant("app.ring", 7))
    other.publish("7")
    other.run("release", "channel", "stable", "7")
    connection = shop.connect()
    with pytest.raises(UsageError, match="several projects have a channel 'stable': shop, till"):
        Resolver.follow(connection, "stable")
    assert Resolver.follow(connection, "stable", project="till")["app.ring"] == "app.ring_1"
    with pytest.raises(UsageError, match="no channel 'stable' of project 'nobody'"):
        Resolver.follow(connection, "stable", project="nobody")
    connection.close()


def test_arguments_that_make_no_sense(shop: World) -> None:
    connection = shop.connect()
    for arguments, options, says in (
        (("stable",), {"every": 1}, "cannot share the app's connection"),
        (("",), {}, "is no channel"),
        ((None,), {}, "is no channel"),
    ):
        with pytest.raises(UsageError, match=says):
            Resolver.follow(connection, *arguments, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot share"):
        Resolver.follow(connection, "stable").start()
    with pytest.raises(UsageError, match="makes no sense"):
        Resolver.follow(shop.connect, "stable", every=0)
    connection.close()


def test_a_thread_follows_and_survives_what_happens_to_its_connection(
    shop: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "FIRST_RETRY", 0.01)
    caplog.set_level(logging.INFO, "procver")
    with Resolver.follow(shop.connect, "stable", every=0.05) as procs:
        assert procs.release == "1"
        point(shop, "2")
        wait_for(lambda: procs.release == "2")
        shop.hang_up()
        point(shop, "1")
        wait_for(lambda: procs.release == "1")
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert procs["app.find_things"] == "app.find_things_1", "names still resolve once it is closed"
    assert not any(t.name == "procver-follow" for t in threading.enumerate())


def test_an_instance_is_where_its_resolver_is(shop: World, connection: Any) -> None:
    procs = Resolver.follow(connection, "stable")
    with Heartbeat(shop.connect, procs, "web-1", every=0.05):
        wait_for(lambda: shop.instances() == [("web-1", "1", False, True, False)])
        point(shop, "2")
        procs.refresh(strict=True)
        wait_for(lambda: len(shop.instances()) == 2)
        # Calls of a moment ago may still be under way: the release it left is kept for a while.
        assert shop.json("release", "retire", "1")["kept_by"] == ["web-1"]
        assert shop.json("verify")["findings"] == []
    assert shop.instances() == []
