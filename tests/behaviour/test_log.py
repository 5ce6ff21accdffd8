"""`procver log`: every command that writes leaves its event, and each filter finds what it should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from procver.registry.actions import ACTIONS
from tests.behaviour.worlds import FIRST, NOW, World
from tests.cli.untouched import refused


@pytest.fixture
def lived(empty_world: World) -> World:
    """A project in which everything was done that leaves an event."""
    empty_world.reach(life)
    return empty_world


def life(world: World) -> None:
    world.configure(more=NOW)
    world.publish("1")
    world.run("release", "activate", "1")
    world.answer(43)
    world.publish("2")
    world.run("release", "activate", "2", "--instance", "web-1")
    world.run("release", "retire", "1")
    world.run("gc", "--apply")
    world.run("gc", "--apply")
    world.run("restore", "app.alone_1")
    world.answer(44)
    world.publish("3")
    world.run("release", "discard", "3")


LIFE = [
    ("create", "1"),
    ("publish", "1"),
    ("activate", "1"),
    ("create", "2"),
    ("publish", "2"),
    ("activate", "2"),
    ("retire", "1"),
    ("condemn", "app.alone_1"),
    ("drop", "app.alone_1"),
    ("restore", "app.alone_1"),
    ("create", "3"),
    ("publish", "3"),
    ("discard", "3"),
]


def log(world: World, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.json("log", *words)["events"]
    return found


def told(world: World, *words: str) -> list[tuple[str, str]]:
    """Return action and subject of events, oldest first."""
    return [(event["action"], event["subject"]) for event in reversed(log(world, *words))]


def test_every_command_that_writes_is_told_of(lived: World) -> None:
    assert told(lived) == LIFE
    events = {(e["action"], e["subject"]): e for e in log(lived)}
    details = {key: event["detail"] for key, event in events.items()}
    assert set(details["create", "1"]["versions"]) == FIRST
    assert details["publish", "1"] == {"created": 4, "reused": 0}
    assert details["create", "2"] == {"versions": ["app.alone_2"]}
    assert details["publish", "2"] == {"created": 1, "reused": 3}
    assert details["activate", "2"]["instance"] == "web-1"
    assert details["condemn", "app.alone_1"]["versions"] == ["app.alone_1"]
    assert "only retired releases map to it (1)" in details["drop", "app.alone_1"]["why"]
    evidence = details["drop", "app.alone_1"]["evidence"]
    assert evidence.startswith("nothing but its own project's versions depends on it")
    assert details["restore", "app.alone_1"] == {"release": None, "versions": ["app.alone_1"]}
    assert details["discard", "3"] == {"versions": ["app.alone_3"]}
    for event in events.values():
        assert list(event) == ["at", "actor", "client", "action", "subject", "detail"]
        assert event["actor"] == lived.actor()
        assert event["action"] in ACTIONS
    moments = [datetime.fromisoformat(e["at"]) for e in log(lived)]
    assert moments == sorted(moments, reverse=True), "newest first"
    assert all(abs(moment - datetime.now(UTC)) < timedelta(hours=1) for moment in moments)


def test_a_release_that_is_brought_back_says_what_was_restored(lived: World) -> None:
    lived.run("gc", "--apply")
    lived.run("gc", "--apply")
    lived.run("release", "activate", "1", "--restore")
    (event,) = log(lived, "--action", "restore", "--release", "1")
    assert event["detail"] == {"release": "1", "versions": ["app.alone_1"]}
    assert ("activate", "1") in told(lived, "--release", "1")


def test_what_is_needed_again_says_for_which_release(lived: World) -> None:
    lived.run("gc", "--apply")
    assert log(lived, "-n", "1")[0]["action"] == "condemn"
    lived.answer(42)
    lived.publish("4")
    (event,) = log(lived, "--action", "spare", "--release", "4")
    assert event["detail"] == {"release": "4", "versions": ["app.alone_1"]}


def test_what_gc_spares_says_why(lived: World) -> None:
    lived.run("gc", "--apply")
    lived.configure(more=NOW + 'pins = ["app.alone_1"]\n')
    lived.run("gc", "--apply")
    (event,) = log(lived, "-n", "1")
    assert (event["action"], event["subject"]) == ("spare", "app.alone_1")
    assert event["detail"]["because"] == {"app.alone_1": ["[gc] pins"]}
    assert "  spare       app.alone_1: [gc] pins  (" in lived.run("log").stdout


def test_what_a_refused_publication_made_is_told_of(world: World) -> None:
    # Its release is never recorded, its versions are.
    world.write(zebra="CREATE VIEW app.zebra AS SELECT nothing FROM app.nowhere\n")
    world.publish("1", code=3)
    world.remove("zebra")
    world.publish("1")
    assert [action for action, _ in told(world)][-1] == "publish"
    made = [name for e in log(world, "--action", "create") for name in e["detail"]["versions"]]
    assert sorted(made) == sorted(FIRST)


FILTERS: list[tuple[tuple[str, ...], list[tuple[str, str]]]] = [
    (("--action", "drop"), [("drop", "app.alone_1")]),
    (("--action", "drop", "--action", "condemn"), [("condemn", "app.alone_1"), ("drop", "app.alone_1")]),
    (("--release", "2"), [("create", "2"), ("publish", "2"), ("activate", "2")]),
    (("--release", "nowhere"), []),
    (("--object", "app.alone_1"), [LIFE[0], LIFE[7], LIFE[8], LIFE[9]]),
    (("--object", "APP.alone_1"), [LIFE[0], LIFE[7], LIFE[8], LIFE[9]]),
    (("--object", "app.alone_3"), [LIFE[10], LIFE[12]]),
    (("--since", "1h"), LIFE),
    (("--until", "1h"), []),
    (("--since", "2020-01-01", "--until", "2020-01-02T03:04:05.678+02:00"), []),
    (("--since", "2020-01-01"), LIFE),
    (("--since", "2020-01-01T10:00:00.123456+02:00"), LIFE),
    (("--until", "2020-01-01"), []),
    (("--since", "36500d", "--until", "0s"), LIFE),
    (("--limit", "2"), LIFE[-2:]),
    (("-n", "2", "--action", "create"), [LIFE[3], LIFE[10]]),
    (("--all",), LIFE),
]  # fmt: skip


def test_filters(lived: World) -> None:
    actor = lived.actor()
    more = [
        (("--actor", actor), LIFE),
        (("--actor", actor[:-1]), []),
        (("--all", "--release", "1", "--action", "retire", "--since", "1d", "--actor", actor), [("retire", "1")]),
    ]  # fmt: skip
    for words, expected in [*FILTERS, *more]:
        assert told(lived, *words) == expected, words


def test_times(lived: World) -> None:
    ids = [row[0] for row in lived.sql("SELECT id FROM procver.event ORDER BY id")]
    for days, first, last in ((30, 0, 2), (3, 3, 5)):
        lived.sql(
            f'UPDATE procver.event SET "at" = {lived.ago(chr(34) + "at" + chr(34), days=days)}'
            f" WHERE id BETWEEN {ids[first]} AND {ids[last]}"
        )
    assert told(lived, "--since", "7d") == LIFE[3:]
    assert told(lived, "--until", "7d") == LIFE[:3]
    assert told(lived, "--since", "2w", "--until", "1d") == LIFE[3:6]
    moment = log(lived)[-4]["at"]
    assert told(lived, "--since", moment)[0] == LIFE[3], "from this moment on"
    assert told(lived, "--until", moment)[-1] == LIFE[2], "before this moment"
    local = datetime.fromisoformat(moment).astimezone().replace(tzinfo=None)
    assert told(lived, "--since", local.isoformat())[0] == LIFE[3], "no offset: this machine's time"
    later = local + timedelta(minutes=5)
    assert told(lived, "--since", later.isoformat(" "))[0] == LIFE[6]


def test_a_release_is_not_taken_for_a_version_of_the_same_name(lived: World) -> None:
    lived.publish("app.alone_1")
    lived.run("release", "activate", "app.alone_1")
    assert told(lived, "--release", "app.alone_1", "--all") == [
        ("create", "app.alone_1"), ("publish", "app.alone_1"), ("activate", "app.alone_1"),
    ]  # fmt: skip


def test_many_events_are_read_page_by_page(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("procver.audit.PAGE", 5)
    assert told(lived, "--all") == LIFE
    assert told(lived, "--limit", "7") == LIFE[-7:]
    assert told(lived, "--limit", "5") == LIFE[-5:]
    assert told(lived, "--limit", "500") == LIFE


def test_one_readable_line_for_each_event(lived: World) -> None:
    lines = lived.run("log").stdout.splitlines()
    assert len(lines) == len(LIFE)
    assert f"  discard     3: app.alone_3  ({lived.actor()}" in lines[0]
    assert "  drop        app.alone_1: only retired releases map to it (1); condemned " in lines[4]
    assert " ago; nothing but its own" in lines[4]
    assert "  activate    2: on web-1  (" in lines[7]
    assert "  publish     1: created 4; reused 0  (" in lines[11]
    assert " and 1 more  (" in lines[12]
    empty = lived.run("log", "--actor", "nobody")
    assert (empty.stdout, empty.stderr) == ("", "no event fits what was asked for\n")


def test_names_cannot_move_the_cursor(lived: World) -> None:
    lived.sql("UPDATE procver.event SET actor = ?, subject = ?", "\x1b]0;x\x07\n", "a\rb")
    shown = lived.run("log").stdout
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert log(lived)[0]["subject"] == "a\rb"


def test_another_projects_events_are_its_own(lived: World) -> None:
    lived.configure(name="depot")
    refused(
        lived, "log", code=2, error="usage", says=("has published nothing",), hint=("procver publish",),
    )  # fmt: skip
