"""Instances say which release they run: what the registry makes of it, and what it keeps gc from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from procver import Heartbeat, UsageError
from procver.dialects import Call, Unit
from tests.behaviour.worlds import GONE, World

Act = Callable[[World], object]


def age(world: World, instance: str = "web-1", release: str | None = None, **span: float) -> None:
    """Let everything that is known of an instance be older."""
    moments = ("last_seen_at", "declared_at", "left_at", "returned_at")
    older = ", ".join(f"{column} = {world.ago(column, **span)}" for column in moments)
    where = f"UPDATE procver.instance SET {older} WHERE name = ?"
    if release is None:
        world.sql(where, instance)
    else:
        of = " AND release_id IN (SELECT r.id FROM procver.release r WHERE r.name = ?)"
        world.sql(where + of, instance, release)


def found(world: World) -> list[tuple[str, str, list[str]]]:
    """What verify says of instances."""
    document = world.json("verify", code=1)
    return [(f["rule"], f["object"], f["releases"]) for f in document["findings"]]


def wait_for(what: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_beat_is_one_row_and_moves_with_its_instance(two: World) -> None:
    before = two.sql("SELECT generation FROM procver.project")
    two.beat("1")
    two.beat("1", project=None)
    assert two.instances() == [("web-1", "1", False, True, False)]
    two.beat("2")
    assert two.instances() == [
        ("web-1", "1", False, True, False),
        ("web-1", "2", False, True, False),
    ]
    listed = two.json("release", "list")["releases"]
    assert [[i["moved"] for i in r["instances"]] for r in listed] == [[True], [False]]
    assert "web-1 (moved on)" in two.run("release", "list").output
    age(two, release="1", minutes=16)
    two.beat("2")
    assert two.instances() == [("web-1", "2", False, True, False)]
    two.beat("2", leaving=True)
    assert two.instances() == []
    assert two.sql("SELECT generation FROM procver.project") == before


def test_declared_and_observed_are_kept_apart(two: World) -> None:
    two.run("release", "activate", "1", "-i", "web-1")
    assert two.instances() == [("web-1", "1", True, False, False)]
    shown = two.json("release", "list")["releases"][0]["instances"]
    assert [(i["name"], i["last_seen_at"]) for i in shown] == [("web-1", None)]
    two.beat("1")
    assert two.instances() == [("web-1", "1", True, True, False)]
    two.beat("1", leaving=True)
    assert two.instances() == [("web-1", "1", True, True, True)]
    two.beat("1")
    assert two.instances() == [("web-1", "1", True, True, False)]
    assert two.json("release", "activate", "2", "-i", "web-1")["moved_from"] == "1"
    assert two.instances() == [
        ("web-1", "1", False, True, False),
        ("web-1", "2", True, False, False),
    ]


def test_a_release_that_still_beats_is_retired_and_kept(two: World) -> None:
    two.beat("1")
    done = two.json("release", "retire", "1")
    assert (done["state"], done["kept_by"]) == ("live", ["web-1"])
    assert "kept live by instance web-1" in two.run("release", "retire", "1").output
    both = two.objects()
    for _ in range(3):
        assert two.json("gc", "--apply")["condemn"] == []
    assert "instance web-1 is on it" in str(two.json("gc")["keep"])
    assert "instance web-1" in two.run("why", "app.things_1").output
    two.beat("1", leaving=True)
    two.run("gc", "--apply")
    assert two.json("gc", "--apply")["dropped"] == 3
    assert two.objects() < both


def test_one_that_is_said_to_have_stopped_and_beats_is_believed(two: World) -> None:
    two.run("release", "activate", "1", "-i", "web-1")
    two.beat("1")
    done = two.json("release", "retire", "1", "-i", "web-1")
    assert (done["state"], done["kept_by"]) == ("live", ["web-1"])
    assert two.instances() == [("web-1", "1", False, True, False)]
    assert two.json("release", "retire", "1", "-i", "web-1") == done, "again changes nothing"
    two.beat("1")
    assert found(two) == [("instance-contradictory", "web-1", ["1"])]
    age(two, minutes=16)
    assert two.json("release", "retire", "1", "-i", "web-1")["state"] == "retired"
    assert two.instances() == []
    again = two.json("release", "retire", "1", "-i", "web-1")
    assert (again["state"], again["kept_by"]) == ("retired", []), (
        "who did not hear of it asks again"
    )
    two.json("release", "retire", "1", "-i", "web-2", code=2)


def test_one_that_never_beats_stays_where_it_was_declared(two: World) -> None:
    two.run("release", "activate", "1", "-i", "web-1")
    two.run("release", "activate", "2", "-i", "web-2")
    for name in ("web-1", "web-2"):
        age(two, name, years=2)
    assert two.json("verify")["findings"] == [], "where nobody beats, nobody is missed"
    assert two.json("release", "retire", "1")["kept_by"] == ["web-1"]
    for _ in range(3):
        assert two.json("gc", "--apply")["condemn"] == []
    two.beat("2", "web-2")
    assert found(two) == [("instance-stale", "web-1", ["1"])]
    assert two.json("gc", "--apply")["condemn"] == [], "silence is no proof for who never spoke"
    two.beat("2", "web-1")
    assert found(two) == [("instance-contradictory", "web-1", ["2", "1"])]
    age(two, release="1", seconds=1)
    assert len(two.json("gc", "--apply")["condemn"]) == 3, "it was heard from elsewhere"


def test_a_beating_instance_that_falls_silent_keeps_its_release_for_idle(two: World) -> None:
    two.beat("1")
    two.run("release", "retire", "1")
    age(two, hours=14 * 24 - 1)
    assert two.json("gc", "--apply")["condemn"] == []
    age(two, minutes=61)
    assert len(two.json("gc", "--apply")["condemn"]) == 3
    assert two.json("verify")["findings"] == [], "its release is retired: nobody waits for it"


@pytest.fixture
def three(empty_world: World) -> World:
    """Releases 1 and 2, both active, and release 3, that nobody activated."""
    empty_world.reach(and_a_third)
    return empty_world


def and_a_third(world: World) -> None:
    for release, columns in (("1", "t.id, t.name"), ("2", "t.id, t.name, t.price"), ("3", "t.id, t.price")):  # fmt: skip
        world.show(columns)
        world.publish(release)
    for release in ("1", "2"):
        world.run("release", "activate", release)


@pytest.mark.parametrize(
    ("make", "rules"),
    [
        (lambda w: w.beat("2"), []),
        (lambda w: w.beat("3"), [("instance-undeclared", "web-1", ["3"])]),
        (lambda w: (w.beat("1"), age(w, days=15)), [("instance-stale", "web-1", ["1"])]),
        (
            lambda w: (w.run("release", "activate", "1", "-i", "web-1"), w.beat("1"), age(w, days=15)),
            [("instance-stale", "web-1", ["1"])],
        ),
        (
            lambda w: (w.run("release", "activate", "1", "-i", "web-1"), w.beat("2")),
            [("instance-contradictory", "web-1", ["2", "1"])],
        ),
        (lambda w: (w.beat("1"), w.run("release", "activate", "2", "-i", "web-1")), []),
        (
            lambda w: (w.run("release", "retire", "1"), w.beat("1")),
            [("instance-contradictory", "web-1", ["1"])],
        ),
        (
            lambda w: [w.beat(release) for release in ("1", "2", "1", "2")],
            [("instance-contradictory", "web-1", ["1", "2"])],
        ),
        (lambda w: [w.beat(release) for release in ("1", "2", "1")], []),
        (
            lambda w: (w.beat("1"), w.beat("1", leaving=True), w.beat("2"), w.beat("2", leaving=True),
                       w.beat("1"), w.beat("2"), w.beat("2")),
            [],
        ),
    ],
    ids=[
        "on a live release", "on one that nobody activated", "silent", "declared and silent",
        "declared elsewhere", "declared elsewhere after its last beat", "on a retired release", "two of one name",
        "rolled back", "restarted in turn",
    ],
)  # fmt: skip
def test_what_does_not_agree_is_found(
    three: World, make: Act, rules: list[tuple[str, str, list[str]]]
) -> None:
    make(three)
    assert [
        (f["rule"], f["object"], f["releases"])
        for f in three.json("verify", code=1 if rules else 0)["findings"]
    ] == rules
    listed = {r["name"]: r["instances"] for r in three.json("release", "list")["releases"]}
    for rule, name, releases in rules:
        assert rule in [
            rule for i in listed[releases[0]] if i["name"] == name for rule in i["rules"]
        ]
        word = rule.removeprefix("instance-")
        assert f"{name} ({word})" in three.run("release", "list").output
        assert f"{rule} {name}: " in three.run("release", "show", releases[0]).output


def test_two_of_one_name_keep_both_releases(two: World) -> None:
    for release in ("1", "2", "1", "2"):
        two.beat(release)
    two.run("release", "retire", "1")
    assert two.json("gc", "--apply")["condemn"] == []


def test_a_project_need_not_be_named_where_only_one_has_the_release(two: World) -> None:
    two.beat("1", project=None)
    assert len(two.instances()) == 1
    till = two.another("till")
    till.write(ring=till.constant("app.ring", 7))
    till.publish("1")
    with pytest.raises(two.Error, match="several projects have a release '1'"):
        two.beat("1", project=None)
    two.beat("1", "web-2", project="till")
    assert len(two.instances()) == 2


def test_a_clock_that_jumps_back_loses_no_beat(two: World) -> None:
    two.beat("1")
    age(two, hours=-3)
    ((before,),) = two.sql("SELECT last_seen_at FROM procver.instance")
    two.beat("1")
    assert two.sql("SELECT last_seen_at FROM procver.instance") == [(before,)]
    two.run("release", "retire", "1")
    assert two.json("gc", "--apply")["condemn"] == []


def test_a_beat_waits_for_no_publisher(two: World) -> None:
    ((project, generation),) = two.sql("SELECT id, generation FROM procver.project")

    def publishing() -> Any:
        started = time.monotonic()
        two.beat("1", "new")
        two.beat("1", "new")
        assert time.monotonic() - started < 3
        yield Call(
            "log", {"project_id": project, "action": "publish", "subject": "x", "detail": None}
        )

    database = two.open()
    assert list(database.run(project, generation, [Unit(publishing())])) == [0]
    database.close()
    assert two.instances() == [("new", "1", False, True, False)]


def test_a_publisher_waits_for_no_beat(two: World) -> None:
    app = two.connect(autocommit=False)
    two.beat("2", "slow", by=app)
    two.narrow()
    two.answer(43)
    two.publish("4")
    two.run("release", "activate", "4", "-i", "slow")
    app.commit()
    app.close()
    assert [row[:2] for row in two.instances()] == [("slow", "2"), ("slow", "4")]


def test_a_trial_that_beats_is_neither_discarded_nor_replaced(two: World) -> None:
    two.show("t.id", "t.price")
    two.publish("3")
    two.beat("3")
    refused = two.json("release", "discard", "3", code=4)["error"]
    assert "release 3 is live on web-1" in refused["message"]
    two.narrow()
    refused = two.publish("3", code=4)["error"]
    assert "runs on web-1" in refused["message"]
    assert "app.things_3" in two.objects()
    two.beat("3", leaving=True)
    two.publish("3")
    assert two.resolver()["things"] == "app.things_1"


def test_what_is_refused(two: World, caplog: pytest.LogCaptureFixture) -> None:
    for release, project in (("9", "shop"), ("1", "till"), ("'; DROP TABLE procver.instance; --", "shop")):  # fmt: skip
        with pytest.raises(two.Error, match="no release"):
            two.beat(release, project=project)
        caplog.clear()
        assert not Heartbeat(two.connect, release, "web-1", project=project).beat()
        assert f"of project '{project}'" in caplog.text
        assert "publish the release" in caplog.text
    for name in ("", "  ", "a\tb", "a\nb", "\x1b[2J", "x" * 201, None, "\u0085"):
        with pytest.raises(two.Error, match="cannot be an instance name"):
            two.beat("1", name)
        if name is not None:
            with pytest.raises(UsageError, match="cannot be an instance name"):
                Heartbeat(two.connect, "1", name)
    assert two.instances() == []


@pytest.mark.parametrize(
    ("name", "autocommit"),
    [
        ("Ąж 💚 '\"web\"' 1", True),
        ("'; DROP SCHEMA procver CASCADE; --", False),
        ("%s %(a)s ?", False),
        ("x" * 200, True),
    ],
)
def test_a_thread_beats_and_says_goodbye(
    two: World, name: str, autocommit: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "procver")
    made = []

    def connect() -> Any:
        made.append(two.connect(autocommit=autocommit))
        return made[-1]

    with Heartbeat(connect, two.resolver(), name, every=0.1) as heart:
        wait_for(lambda: two.instances() == [(name, "2", False, True, False)])
        ((first,),) = two.sql("SELECT last_seen_at FROM procver.instance")
        wait_for(lambda: two.sql("SELECT last_seen_at FROM procver.instance") > [(first,)])
        assert heart.failures == 0
    assert not heart.running
    assert two.instances() == []
    assert len(made) == 1
    assert caplog.records == []


def test_one_call_keeps_what_the_release_needs(two: World) -> None:
    two.run("release", "retire", "1")
    two.run("gc", "--apply")
    heart = Heartbeat(two.connect, "1", project="shop")
    assert heart.beat()
    assert two.json("gc", "--apply")["dropped"] == 0
    assert two.objects() > GONE
    assert heart.stop()
    assert two.instances() == []
