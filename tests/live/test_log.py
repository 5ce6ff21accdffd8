"""`procver log`: every command that writes leaves its event, and each filter finds what it should."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from procver.registry.actions import ACTIONS
from tests.cli.untouched import refused
from tests.live.conftest import ALONE
from tests.workshop import Workshop

GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
OTHER = ALONE.replace("42", "43")
FIRST = ["app.alone_1", "app.count_things_1", "app.find_things_1", "app.things_1"]


def log(shop: Workshop, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shop.json("log", *words)["events"]
    return found


def told(shop: Workshop, *words: str) -> list[tuple[str, str]]:
    """Return action and subject of events, oldest first."""
    return [(event["action"], event["subject"]) for event in reversed(log(shop, *words))]


def life(shop: Workshop) -> None:
    """Do everything that leaves an event."""
    shop.configure(more=GC_NOW)
    shop.publish("1")
    shop.run("release", "activate", "1")
    shop.write(alone=OTHER)
    shop.publish("2")
    shop.run("release", "activate", "2", "--instance", "web-1")
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    shop.run("gc", "--apply")
    shop.run("restore", "app.alone_1")
    shop.write(alone=ALONE.replace("42", "44"))
    shop.publish("3")
    shop.run("release", "discard", "3")


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


def test_every_command_that_writes_is_told_of(workshop: Workshop) -> None:
    life(workshop)
    assert told(workshop) == LIFE
    events = {(e["action"], e["subject"]): e for e in log(workshop)}
    details = {key: event["detail"] for key, event in events.items()}
    assert sorted(details["create", "1"]["versions"]) == FIRST
    assert details["publish", "1"] == {"created": 4, "reused": 0}
    assert details["create", "2"] == {"versions": ["app.alone_2"]}
    assert details["publish", "2"] == {"created": 1, "reused": 3}
    assert details["activate", "2"]["instance"] == "web-1"
    assert details["condemn", "app.alone_1"]["versions"] == ["app.alone_1"]
    assert "only retired releases map to it (1)" in details["drop", "app.alone_1"]["why"]
    assert details["drop", "app.alone_1"]["evidence"] == (
        "nothing but its own project's versions depends on it;"
        " calls of functions are not counted here: track_functions is none"
    )
    assert details["restore", "app.alone_1"] == {"release": None, "versions": ["app.alone_1"]}
    assert details["discard", "3"] == {"versions": ["app.alone_3"]}
    for event in events.values():
        assert list(event) == ["at", "actor", "client", "action", "subject", "detail"]
        assert event["actor"] == "postgres"
        assert event["action"] in ACTIONS
    moments = [datetime.fromisoformat(e["at"]) for e in log(workshop)]
    assert moments == sorted(moments, reverse=True), "newest first"
    assert moments[-1].tzinfo is not None


def test_a_release_that_is_brought_back_says_what_was_restored(workshop: Workshop) -> None:
    life(workshop)
    workshop.run("gc", "--apply")
    workshop.run("gc", "--apply")
    workshop.run("release", "activate", "1", "--restore")
    (event,) = log(workshop, "--action", "restore", "--release", "1")
    assert event["detail"] == {"release": "1", "versions": ["app.alone_1"]}
    assert ("activate", "1") in told(workshop, "--release", "1")


def test_what_is_needed_again_says_for_which_release(workshop: Workshop) -> None:
    life(workshop)
    workshop.run("gc", "--apply")
    assert log(workshop, "-n", "1")[0]["action"] == "condemn"
    workshop.write(alone=ALONE)
    workshop.publish("4")
    (event,) = log(workshop, "--action", "spare", "--release", "4")
    assert event["detail"] == {"release": "4", "versions": ["app.alone_1"]}


def test_what_gc_spares_says_why(workshop: Workshop) -> None:
    life(workshop)
    workshop.run("gc", "--apply")
    workshop.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\npins = ["app.alone_1"]\n')
    workshop.run("gc", "--apply")
    (event,) = log(workshop, "-n", "1")
    assert (event["action"], event["subject"]) == ("spare", "app.alone_1")
    assert event["detail"]["because"] == {"app.alone_1": ["[gc] pins"]}
    assert "  spare       app.alone_1: [gc] pins  (" in workshop.run("log").stdout


def test_what_a_killed_publication_made_is_told_of(workshop: Workshop) -> None:
    # Its release is never recorded, its versions are.
    workshop.write(
        bad="CREATE FUNCTION app.bad() RETURNS int LANGUAGE sql AS 'SELECT nothing FROM nowhere';\n"
    )
    workshop.publish("1", code=3)
    workshop.remove("bad")
    workshop.publish("1")
    assert [action for action, _ in told(workshop)][-1] == "publish"
    made = [name for e in log(workshop, "--action", "create") for name in e["detail"]["versions"]]
    assert sorted(made) == FIRST


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--action", "drop"), [("drop", "app.alone_1")]),
        (("--action", "drop", "--action", "condemn"), [("condemn", "app.alone_1"), ("drop", "app.alone_1")]),
        (("--release", "2"), [("create", "2"), ("publish", "2"), ("activate", "2")]),
        (("--release", "nowhere"), []),
        (("--object", "app.alone_1"), [LIFE[0], LIFE[7], LIFE[8], LIFE[9]]),
        (("--object", "APP.alone_1"), [LIFE[0], LIFE[7], LIFE[8], LIFE[9]]),
        (("--object", "app.alone_3"), [LIFE[10], LIFE[12]]),
        (("--actor", "postgres"), LIFE),
        (("--actor", "postgre"), []),
        (("--since", "1h"), LIFE),
        (("--until", "1h"), []),
        (("--since", "2020-01-01", "--until", "2020-01-02T03:04:05.678+02:00"), []),
        (("--since", "2020-01-01"), LIFE),
        (("--since", "36500d", "--until", "0s"), LIFE),
        (("--limit", "2"), LIFE[-2:]),
        (("-n", "2", "--action", "create"), [LIFE[3], LIFE[10]]),
        (("--all",), LIFE),
        (("--all", "--release", "1", "--action", "retire", "--since", "1d", "--actor", "postgres"), [("retire", "1")]),
    ],
)  # fmt: skip
def test_filters(lived: Workshop, words: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    assert told(lived, *words) == expected


@pytest.fixture
def lived(workshop: Workshop) -> Workshop:
    life(workshop)
    return workshop


def test_times(lived: Workshop) -> None:
    lived.sql("UPDATE procver.event SET at = at - interval '30 days' WHERE id <= 3")
    lived.sql("UPDATE procver.event SET at = at - interval '3 days' WHERE id BETWEEN 4 AND 6")
    assert told(lived, "--since", "7d") == LIFE[3:]
    assert told(lived, "--until", "7d") == LIFE[:3]
    assert told(lived, "--since", "2w", "--until", "1d") == LIFE[3:6]
    moment = log(lived)[-4]["at"]
    assert told(lived, "--since", moment)[0] == LIFE[3], "from this moment on"
    assert told(lived, "--until", moment)[-1] == LIFE[2], "before this moment"
    local = datetime.fromisoformat(moment).astimezone().replace(tzinfo=None)
    assert told(lived, "--since", local.isoformat())[0] == LIFE[3], "no offset: this machine's time"
    assert told(lived, "--since", (local + timedelta(seconds=1)).isoformat(" "))[0] != LIFE[3]


def test_a_release_is_not_taken_for_a_version_of_the_same_name(lived: Workshop) -> None:
    lived.publish("app.alone_1")
    lived.run("release", "activate", "app.alone_1")
    assert told(lived, "--release", "app.alone_1", "--all") == [
        ("create", "app.alone_1"), ("publish", "app.alone_1"), ("activate", "app.alone_1"),
    ]  # fmt: skip


def test_many_events_are_read_page_by_page(
    lived: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("procver.audit.PAGE", 5)
    assert told(lived, "--all") == LIFE
    assert told(lived, "--limit", "7") == LIFE[-7:]
    assert told(lived, "--limit", "5") == LIFE[-5:]
    assert told(lived, "--limit", "500") == LIFE


def test_one_readable_line_for_each_event(lived: Workshop) -> None:
    lines = lived.run("log").stdout.splitlines()
    assert len(lines) == len(LIFE)
    assert "  discard     3: app.alone_3  (postgres" in lines[0]
    assert (
        "  drop        app.alone_1: only retired releases map to it (1); condemned 0 s ago; nothing but its own"
        in lines[4]
    )
    assert "  activate    2: on web-1  (" in lines[7]
    assert "  publish     1: created 4; reused 0  (" in lines[11]
    assert " and 1 more  (" in lines[12]
    empty = lived.run("log", "--actor", "nobody")
    assert (empty.stdout, empty.stderr) == ("", "no event fits what was asked for\n")


def test_names_cannot_move_the_cursor(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql("UPDATE procver.event SET actor = E'\\x1b]0;x\\x07\\n', subject = E'a\\rb'")
    shown = workshop.run("log").stdout
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert json.loads(workshop.run("log", "--json").stdout)["events"][0]["subject"] == "a\rb"


def test_another_projects_events_are_its_own(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.configure(name="depot", more="[project.x]\n" if False else "")
    refused(
        workshop,
        "log",
        code=2,
        error="usage",
        says=("has published nothing",),
        hint=("procver publish",),
    )


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (("--since", "yesterday"), "'yesterday' is no duration", "2026-11-21T09:30"),
        (("--since", ""), "'' is no duration", "36h"),
        (("--since", "-1d"), "'-1d' is no duration", "36h"),
        (("--until", "2026-13-01"), "'2026-13-01' is no time", "2026-11-21"),
        (("--until", "2026-02-30T10:00"), "is no time", "2026-11-21"),
        (("--since", "200000d"), "longer than 100 years", "36h"),
        (("--action", "dropp"), "dropp", "log --help"),
        (("--limit", "0"), "0", "log --help"),
        (("--limit", "x"), "x", "log --help"),
        (("--object", "a.b.c.d"), "a.b.c.d", ""),
    ],
)
def test_what_cannot_be_asked(
    workshop: Workshop, words: tuple[str, ...], says: str, hint: str
) -> None:
    workshop.publish("1")
    refused(workshop, "log", *words, code=2, error="usage", says=(says,), hint=(hint,))
