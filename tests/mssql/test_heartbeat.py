"""Heartbeats on SQL Server: the procedure, and the class over pyodbc."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from procver import Heartbeat, Resolver, UsageError
from procver.collect import collect
from procver.dialects import Call, Unit
from procver.dialects.mssql import MssqlDatabase, pyodbc
from procver.errors import StalePlanError
from procver.project.workspace import Project
from procver.registry import reading, writing
from tests.mssql.conftest import Place
from tests.mssql.shop import WIDER, Shop


def beat(place: Place, release: str, instance: str = "web-1", **more: Any) -> None:
    place.sql(
        "EXEC procver.beat @project = ?, @release = ?, @instance = ?, @leaving = ?",
        more.get("project", "shop"), release, instance, more.get("leaving", False),
    )  # fmt: skip


def rows(place: Place) -> list[tuple[Any, ...]]:
    """Who is on which release: declared, heard from, left."""
    found = place.sql(
        "SELECT i.name, r.name, i.declared_at, i.last_seen_at, i.left_at FROM procver.instance i"
        " JOIN procver.release r ON r.id = i.release_id ORDER BY 1, 2"
    )
    return [(*row[:2], *(at is not None for at in row[2:])) for row in found]


def age(place: Place, minutes: int, release: str) -> None:
    """Let what was heard of instances on a release be older."""
    place.sql(
        "UPDATE i SET last_seen_at = DATEADD(minute, ?, i.last_seen_at) FROM procver.instance i"
        " JOIN procver.release r ON r.id = i.release_id WHERE r.name = ?",
        -minutes, release,
    )  # fmt: skip


@pytest.fixture
def two(shop: Shop) -> Shop:
    """Releases 1 and 2, both active."""
    shop.publish("1")
    shop.run("release", "activate", "1")
    shop.write(vThings=WIDER)
    shop.publish("2")
    shop.run("release", "activate", "2")
    return shop


def test_a_beat_from_first_to_last(two: Shop) -> None:
    place = two.place
    before = place.sql("SELECT generation FROM procver.project")
    beat(place, "1")
    beat(place, "1", project=None)
    assert rows(place) == [("web-1", "1", False, True, False)]
    beat(place, "2")
    age(place, 16, "1")
    assert len(rows(place)) == 2
    beat(place, "2")
    assert rows(place) == [("web-1", "2", False, True, False)]
    beat(place, "2", leaving=True)
    assert rows(place) == []
    assert place.sql("SELECT generation FROM procver.project") == before
    two.run("release", "activate", "1", "-i", "web-1")
    beat(place, "1")
    beat(place, "1", leaving=True)
    assert rows(place) == [("web-1", "1", True, True, True)]
    assert two.run("release", "activate", "2", "-i", "web-1")["moved_from"] == "1"
    assert rows(place) == [("web-1", "2", True, False, False)]
    beat(place, "1")
    findings = two.run("verify", code=1)["findings"]
    assert [(f["rule"], f["object"], f["releases"]) for f in findings] == [
        ("instance-contradictory", "web-1", ["1", "2"])
    ]
    assert two.run("release", "retire", "1")["kept_by"] == ["web-1"]
    beat(place, "1", leaving=True)
    two.run("release", "retire", "2", "-i", "web-1")
    assert rows(place) == []


def test_two_of_one_name(two: Shop) -> None:
    for release in ("1", "2", "1", "2"):
        beat(two.place, release)
    findings = two.run("verify", code=1)["findings"]
    assert [f["rule"] for f in findings] == ["instance-contradictory"]


@pytest.mark.parametrize(
    ("release", "project", "instance", "number", "says"),
    [
        ("9", "shop", "web-1", "51004", "no release '9' of project 'shop'"),
        ("1", "till", "web-1", "51004", "no release '1' of project 'till'"),
        ("1", "shop", "", "51005", "cannot be an instance name"),
        ("1", "shop", "a\tb", "51005", "cannot be an instance name"),
        ("1", "shop", "x" * 201, "51005", "cannot be an instance name"),
        ("'; DROP TABLE procver.instance; --", "shop", "web-1", "51004", "no release"),
    ],
)
def test_what_is_refused(
    two: Shop, release: str, project: str, instance: str, number: str, says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with pytest.raises(pyodbc.Error) as caught:
        beat(two.place, release, instance, project=project)
    assert number in str(caught.value)
    assert says in str(caught.value)
    assert rows(two.place) == []
    if number == "51004":
        assert not Heartbeat(two.place.plain, release, instance, project=project).beat()
        assert "publish the release" in caplog.text


@pytest.mark.parametrize("autocommit", [True, False])
def test_the_class_over_pyodbc(
    two: Shop, autocommit: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "procver")
    place = two.place
    name = "Ąж 'web' 1"
    with Heartbeat(
        lambda: place.plain(autocommit=autocommit), two.resolver(), name, every=0.2
    ) as heart:
        end = time.monotonic() + 20
        while not rows(place) and time.monotonic() < end:
            time.sleep(0.05)
        assert rows(place) == [(name, "2", False, True, False)]
        time.sleep(0.6)
        assert heart.failures == 0
    assert rows(place) == []
    assert caplog.records == []


def test_a_beat_between_plan_and_drop_keeps_what_it_needs(two: Shop) -> None:
    two.run("release", "retire", "1")
    two.run("gc", "--apply")
    place, project = two.place, Project.at(two.root)
    database = place.open()
    known = reading.read(database, "shop")
    assert known is not None
    beat(place, "1")
    unit = Unit((writing.silence(known, project.config.gc.idle),))
    with pytest.raises(StalePlanError):
        list(database.run(known.project_id, known.generation, [unit]))
    assert collect(project, database).drop == ()
    beat(place, "1", leaving=True)
    two.run("gc", "--apply")
    assert len(collect(project, database).drop) == 4
    database.close()


def test_a_drop_waits_for_a_beat_that_is_under_way(two: Shop) -> None:
    place, database = two.place, two.place.open()
    two.run("release", "retire", "1")
    known = reading.read(database, "shop")
    assert known is not None
    app = place.plain(autocommit=False)
    app.execute("EXEC procver.beat 'shop', '1', 'web-1'")
    refused: list[str] = []

    def drop() -> None:
        unit = Unit((writing.silence(known, Project.at(two.root).config.gc.idle),))
        try:
            list(database.run(known.project_id, known.generation, [unit]))
        except StalePlanError:
            refused.append("stale")

    thread = threading.Thread(target=drop)
    thread.start()
    time.sleep(1.0)
    assert thread.is_alive()
    app.commit()
    thread.join(30)
    assert refused == ["stale"]
    app.close()
    database.close()


def test_a_beat_does_not_wait_for_a_publisher(two: Shop, database: MssqlDatabase) -> None:
    place = two.place
    ((project, generation),) = place.sql(
        "SELECT id, generation FROM procver.project WHERE name = 'shop'"
    )

    def publishing() -> Any:
        started = time.monotonic()
        beat(place, "1", "new")
        beat(place, "1", "new")
        assert time.monotonic() - started < 3
        yield Call(
            "log", {"project_id": project, "action": "publish", "subject": "x", "detail": None}
        )

    assert list(database.run(project, generation, [Unit(publishing())])) == [0]


@pytest.mark.parametrize("autocommit", [True, False])
def test_an_app_follows_a_channel(two: Shop, autocommit: bool) -> None:
    place = two.place
    two.run("release", "channel", "stable", "1")
    assert "dbo.vThings_1" not in str(two.run("gc")["condemn"])
    connection = place.plain(autocommit=autocommit)
    procs = Resolver.follow(connection, "stable")
    assert (procs.release, procs.project, procs["spFindThings"]) == (
        "1",
        "shop",
        "dbo.spFindThings_1",
    )
    assert procs.refresh(strict=True) is False
    assert two.run("release", "channel", "stable", "2")["moved_from"] == "1"
    connection.commit()
    assert procs.refresh(strict=True) is True
    assert procs["DBO.SPFINDTHINGS"] == "dbo.spFindThings_2"
    two.run("release", "retire", "2", code=4)
    assert [c["release"] for c in two.run("release", "channel")["channels"]] == ["2"]
    two.run("release", "channel", "stable", "--remove")
    connection.commit()
    assert procs.refresh() is False
    with pytest.raises(UsageError, match="no channel 'stable'"):
        procs.refresh(strict=True)
    assert procs["spFindThings"] == "dbo.spFindThings_2"
    connection.close()
