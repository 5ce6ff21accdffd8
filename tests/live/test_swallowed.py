"""Triggers and rules that keep the registry's rows from being written: no command reports success."""

from __future__ import annotations

import pytest

from tests.behaviour.worlds import NOW
from tests.live.conftest import ALONE
from tests.workshop import Workshop

SWALLOW = (
    "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
)


def trap(shop: Workshop, table: str, event: str, how: str) -> None:
    if how == "trigger":
        shop.sql(SWALLOW)
        shop.sql(
            f"CREATE TRIGGER trap BEFORE {event} ON procver.{table} FOR EACH ROW EXECUTE FUNCTION public.swallow()"
        )
    else:
        shop.sql(f"CREATE RULE trap AS ON {event} TO procver.{table} DO INSTEAD NOTHING")


@pytest.mark.parametrize("how", ["trigger", "rule"])
@pytest.mark.parametrize(
    ("table", "event", "words"),
    [
        ("version", "INSERT", ("publish", "-r", "2")),
        ("membership", "INSERT", ("publish", "-r", "2")),
        ("membership", "UPDATE", ("publish", "-r", "2")),
        ("release", "INSERT", ("publish", "-r", "2")),
        ("project", "UPDATE", ("publish", "-r", "2")),
        ("event", "INSERT", ("publish", "-r", "2")),
        ("release", "UPDATE", ("release", "activate", "1")),
        ("release", "DELETE", ("release", "discard", "1")),
        ("version", "DELETE", ("release", "discard", "1")),
        ("channel", "INSERT", ("release", "channel", "stable", "1")),
        ("instance", "INSERT", ("release", "activate", "1", "-i", "web-1")),
    ],
)
def test_a_write_that_is_swallowed(
    workshop: Workshop, table: str, event: str, words: tuple[str, ...], how: str
) -> None:
    workshop.publish("1")
    workshop.write(alone=ALONE.replace("42", "43"))
    trap(workshop, table, event, how)
    before = workshop.json("release", "list")
    code = 3
    if (table, event, how) == ("project", "UPDATE", "trigger"):
        code = None  # the generation cannot be counted up: another command might be at work
    error = workshop.json(*words, code=code)["error"]
    assert code is None or f"procver.{table}" in error["message"]
    assert error["hint"]
    # Versions that no release maps to are harmless: the next run goes on from there.
    assert workshop.json("release", "list") == before
    how = "TRIGGER" if how == "trigger" else "RULE"
    workshop.sql(f"DROP {how} trap ON procver.{table}")
    workshop.run(*words)


@pytest.mark.parametrize("how", ["trigger", "rule"])
@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("channel", ("release", "channel", "stable", "--remove")),
        ("instance", ("release", "retire", "1", "-i", "web-1")),
    ],
)
def test_a_removal_that_is_swallowed(
    workshop: Workshop, table: str, words: tuple[str, ...], how: str
) -> None:
    workshop.publish("1")
    workshop.run("release", "channel", "stable", "1")
    workshop.run("release", "activate", "1", "-i", "web-1")
    trap(workshop, table, "DELETE", how)
    before = workshop.json("release", "list")
    assert f"procver.{table}" in workshop.json(*words, code=3)["error"]["message"]
    assert workshop.json("release", "list") == before
    workshop.sql(f"DROP {how.upper()} trap ON procver.{table}")
    workshop.run(*words)
    assert workshop.json("release", "list") != before


def test_condemning_and_dropping(workshop: Workshop) -> None:
    workshop.configure(more=NOW)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.write(alone=ALONE.replace("42", "43"))
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")
    trap(workshop, "version", "UPDATE", "trigger")
    assert "procver.version" in workshop.json("gc", "--apply", code=3)["error"]["message"]
    workshop.sql("DROP TRIGGER trap ON procver.version")
    workshop.run("gc", "--apply")
    workshop.sql(
        "CREATE TRIGGER trap BEFORE UPDATE ON procver.version FOR EACH ROW EXECUTE FUNCTION public.swallow()"
    )
    assert workshop.json("gc", "--apply", code=3)["error"]
    assert "app.alone_1" in workshop.objects()


@pytest.mark.parametrize("how", ["trigger", "rule"])
def test_a_project_that_cannot_be_entered(workshop: Workshop, how: str) -> None:
    workshop.publish("1")
    other = Workshop(workshop.root.parent / "other", workshop.url, "other")
    other.write(lone=ALONE.replace("alone", "lone"))
    trap(workshop, "project", "INSERT", how)
    assert "procver.project" in other.json("publish", "-r", "1", code=3)["error"]["message"]
