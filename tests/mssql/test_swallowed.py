"""Triggers that keep the registry's rows from being written: no command reports success."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mssql.conftest import Place
from tests.mssql.yard import ALONE, NOW, Yard


@pytest.fixture
def yard(tmp_path: Path, place: Place) -> Yard:
    made = Yard(tmp_path / "project", place, NOW)
    made.lay()
    made.publish("1")
    return made


def trap(yard: Yard, table: str, event: str) -> None:
    yard.sql(f"CREATE TRIGGER procver.trap ON procver.{table} INSTEAD OF {event} AS SET NOCOUNT ON")


@pytest.mark.parametrize(
    ("table", "event", "words"),
    [
        ("version", "INSERT", ("publish", "-r", "2")),
        ("membership", "INSERT", ("publish", "-r", "2")),
        ("membership", "UPDATE", ("publish", "-r", "2")),
        ("release", "INSERT", ("publish", "-r", "2")),
        ("event", "INSERT", ("publish", "-r", "2")),
        ("release", "UPDATE", ("release", "activate", "1")),
        ("release", "DELETE", ("release", "discard", "1")),
        ("channel", "INSERT", ("release", "channel", "stable", "1")),
        ("instance", "INSERT", ("release", "activate", "1", "-i", "web-1")),
    ],
)
def test_a_write_that_is_swallowed(
    yard: Yard, table: str, event: str, words: tuple[str, ...]
) -> None:
    yard.write(alone=ALONE.replace("42", "43"))
    before = yard.json("release", "list")
    trap(yard, table, event)
    try:
        error = yard.json(*words, code=3)["error"]
        assert f"procver.{table}" in error["message"]
        assert error["hint"]
        assert yard.json("release", "list") == before
    finally:
        yard.sql("DROP TRIGGER procver.trap")
    yard.run(*words)


def test_a_generation_that_cannot_be_counted(yard: Yard) -> None:
    yard.write(alone=ALONE.replace("42", "43"))
    before = yard.json("release", "list")
    trap(yard, "project", "UPDATE")
    try:
        assert yard.json("publish", "-r", "2", code=None)["error"]["hint"]
        assert yard.json("release", "list") == before
    finally:
        yard.sql("DROP TRIGGER procver.trap")
    yard.run("publish", "-r", "2")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("channel", ("release", "channel", "stable", "--remove")),
        ("instance", ("release", "retire", "1", "-i", "web-1")),
    ],
)
def test_a_removal_that_is_swallowed(yard: Yard, table: str, words: tuple[str, ...]) -> None:
    yard.run("release", "channel", "stable", "1")
    yard.run("release", "activate", "1", "-i", "web-1")
    before = yard.json("release", "list")
    trap(yard, table, "DELETE")
    try:
        assert f"procver.{table}" in yard.json(*words, code=3)["error"]["message"]
        assert yard.json("release", "list") == before
    finally:
        yard.sql("DROP TRIGGER procver.trap")
    yard.run(*words)
    assert yard.json("release", "list") != before


def test_condemning_and_dropping(yard: Yard) -> None:
    yard.run("release", "activate", "1")
    yard.write(alone=ALONE.replace("42", "43"))
    yard.publish("2")
    yard.run("release", "activate", "2")
    yard.run("release", "retire", "1")
    for _ in range(2):  # condemned by the first run, dropped by the second
        trap(yard, "version", "UPDATE")
        try:
            assert "procver.version" in yard.json("gc", "--apply", code=3)["error"]["message"]
        finally:
            yard.sql("DROP TRIGGER procver.trap")
        assert "app.alone_1" in yard.objects()
        yard.run("gc", "--apply")
    assert "app.alone_1" not in yard.objects()
