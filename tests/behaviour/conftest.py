"""The sample project in each dialect, in the states that many tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.worlds import GONE, NOW, MssqlWorld, PostgresqlWorld, World


@pytest.fixture(scope="session")
def theatre() -> Iterator[Any]:
    """A database on SQL Server, or the reason why there is none."""
    from tests.behaviour.stages import Theatre
    from tests.mssql.conftest import with_registry

    with with_registry() as made:
        one = Theatre(made.url)
        yield one
        one.close()


@pytest.fixture(params=["postgresql", "mssql"])
def empty_world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A project directory and a database, with nothing in them yet."""
    root = tmp_path / "project"
    if request.param == "postgresql":
        return PostgresqlWorld(root, request.getfixturevalue("url"))
    return MssqlWorld(root, request.getfixturevalue("theatre"))


@pytest.fixture
def world(empty_world: World) -> World:
    """The sample project, never published."""
    empty_world.reach(bare)
    return empty_world


@pytest.fixture
def two(empty_world: World) -> World:
    """Releases 1 and 2, the second over a wider view, both active; what nothing needs goes at once."""
    empty_world.reach(both)
    return empty_world


@pytest.fixture
def replaced(empty_world: World) -> World:
    """Release 2 in place of 1, which is retired; what only that needed is condemned."""
    empty_world.reach(one_by_the_other)
    return empty_world


def bare(world: World) -> None:
    pass


def both(world: World) -> None:
    world.configure(more=NOW)
    world.publish("1")
    world.run("release", "activate", "1")
    world.widen()
    world.publish("2")
    world.run("release", "activate", "2")


def one_by_the_other(world: World) -> None:
    both(world)
    world.run("release", "retire", "1")
    condemned = world.json("gc", "--apply")["condemn"]
    assert {c["physical"] for c in condemned} == GONE
