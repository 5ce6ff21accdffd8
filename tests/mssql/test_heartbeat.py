"""Heartbeats on SQL Server that come while something is dropped, and the numbers of what is refused."""

from __future__ import annotations

import threading
import time

import pytest

from procver.collect import collect
from procver.dialects import Unit
from procver.dialects.mssql import pyodbc
from procver.errors import StalePlanError
from procver.project.workspace import Project
from procver.registry import reading, writing
from tests.mssql.shop import WIDER, Shop


@pytest.fixture
def two(shop: Shop) -> Shop:
    """Releases 1 and 2, both active."""
    shop.publish("1")
    shop.json("release", "activate", "1")
    shop.write(vThings=WIDER)
    shop.publish("2")
    shop.json("release", "activate", "2")
    return shop


def test_what_is_refused_has_a_number_of_its_own(two: Shop) -> None:
    for release, instance, number in (("9", "web-1", "51004"), ("1", "a\tb", "51005")):
        with pytest.raises(pyodbc.Error) as caught:
            two.beat(release, instance)
        assert number in str(caught.value)
    assert two.instances() == []


def test_a_beat_between_plan_and_drop_keeps_what_it_needs(two: Shop) -> None:
    two.json("release", "retire", "1")
    two.json("gc", "--apply")
    place, project = two.place, Project.at(two.root)
    database = place.open()
    known = reading.read(database, "shop")
    assert known is not None
    two.beat("1")
    unit = Unit((writing.silence(known, project.config.gc.idle),))
    with pytest.raises(StalePlanError):
        list(database.run(known.project_id, known.generation, [unit]))
    assert collect(project, database).drop == ()
    two.beat("1", leaving=True)
    two.json("gc", "--apply")
    assert len(collect(project, database).drop) == 4
    database.close()


def test_a_drop_waits_for_a_beat_that_is_under_way(two: Shop) -> None:
    place, database = two.place, two.place.open()
    two.json("release", "retire", "1")
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
