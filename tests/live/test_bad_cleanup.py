"""What people get wrong about releases, instances and cleanup: said clearly, and nothing changed."""

from __future__ import annotations

import pytest

from tests.live.conftest import THINGS
from tests.workshop import Workshop

NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
WIDER = THINGS.replace("t.name", "t.name, t.price")
UNKNOWN = "no release 'r2' in this database"


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """Release r1 is retired and collected, release r3 live on web-1, r4 a trial."""
    workshop.configure(more=NOW)
    workshop.publish("r1")
    workshop.run("release", "activate", "r1")
    workshop.write(things=WIDER)
    workshop.publish("r3")
    workshop.run("release", "activate", "r3", "-i", "web-1")
    workshop.run("release", "retire", "r1")
    for _ in range(2):
        workshop.run("gc", "--apply")
    workshop.publish("r4")
    return workshop


def state(shop: Workshop) -> list[tuple[object, ...]]:
    """All that the registry says, what only tells when gc ran left out."""
    return [
        row
        for table in ("project", "version", "release", "membership", "instance", "event")
        for row in shop.sql(f"SELECT t::text FROM procver.{table} t ORDER BY 1")
    ]


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (["release", "activate", "r2"], 2, UNKNOWN, "did you mean r"),
        (["release", "retire", "r2"], 2, UNKNOWN, "did you mean r"),
        (["release", "show", "r2"], 2, UNKNOWN, "did you mean r"),
        (["release", "discard", "r2"], 2, UNKNOWN, "did you mean r"),
        (["release", "retire", "r3", "-i", "web-7"], 2, "instance 'web-7' is not on release r3", "release list"),
        (["release", "retire", "r4"], 2, "release r4 was never activated", "release discard r4"),
        (["release", "activate", "r1"], 4, "release r1 needs 3 version(s) that are gone", "--restore"),
        (["release", "discard", "r3"], 4, "release r3 is live on web-1", "release retire r3"),
        (["restore", "app.things_7"], 2, "app.things_7 is no version that was published here", "did you mean"),
        (["why", "zzz"], 2, "zzz is no version that was published here", "a version is named like"),
        (["gc", "--apply", "--for", "-1h"], 2, "--for: '-1h' is no duration", '"7d"'),
    ],
)  # fmt: skip
def test_what_cannot_be_done(
    shop: Workshop, words: list[str], code: int, message: str, hint: str
) -> None:
    before, objects = state(shop), shop.objects()
    error = shop.json(*words, code=code)["error"]
    assert message in error["message"]
    assert hint in error["hint"]
    assert (state(shop), shop.objects()) == (before, objects)


@pytest.mark.parametrize("key", ["grace", "idle", "quarantine", "unactivated"])
@pytest.mark.parametrize("value", ["-7d", "soon", "7", "1.5d", "99999w", ""])
def test_a_duration_that_is_none(shop: Workshop, key: str, value: str) -> None:
    shop.configure(more=f'[gc]\n{key} = "{value}"\n')
    before = state(shop)
    error = shop.json("gc", "--apply", code=2)["error"]
    assert key in error["message"]
    assert error["hint"]
    assert state(shop) == before


def test_retiring_twice_is_retiring_once(shop: Workshop) -> None:
    shop.run("release", "retire", "r3")
    shop.run("release", "retire", "r3", "-i", "web-1")
    before = state(shop)
    assert shop.json("release", "retire", "r3")["state"] == "retired"
    assert state(shop) == before


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW app.things_1 AS SELECT 1 AS mine",
        "CREATE TABLE app.things_1 (mine int)",
    ],
)
def test_restoring_over_a_foreign_object(shop: Workshop, sql: str) -> None:
    shop.sql(sql)
    before = state(shop)
    for words in (["restore", "app.find_things_1"], ["release", "activate", "r1", "--restore"]):
        error = shop.json(*words, code=4)["error"]
        assert "things_1 exists already, and" in error["message"]
        assert state(shop) == before
    assert shop.sql("SELECT mine FROM app.things_1") in ([(1,)], [])


def test_gc_without_execution_statistics_says_so_and_goes_on(shop: Workshop) -> None:
    (name,) = shop.sql("SELECT current_database()")[0]
    shop.sql(f'ALTER DATABASE "{name}" SET track_functions = none')
    shop.run("release", "discard", "r4")
    shop.run("release", "retire", "r3", "-i", "web-1")
    shop.run("gc", "--apply")
    found = shop.json("gc")
    assert len(found["drop"]) == 4
    assert any("track_functions" in remark for remark in found["remarks"])
    assert shop.json("gc", "--apply")["dropped"] == 4
