"""Several commands at once: nothing is lost, and nobody gets in another's way. With many more of them: tests/live/test_concurrency.py."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from procver import Resolver
from procver.collect import collect
from procver.dialects import Database
from procver.errors import ConflictError, DatabaseError
from procver.project.workspace import Project
from procver.publish import Published, publish
from procver.registry import writing
from procver.verify import verify
from tests.behaviour.worlds import GONE, NEW, OLD, World
from tests.faults import Paused
from tests.workshop import together


@pytest.fixture(autouse=True)
def small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many short transactions give the others many moments to come between."""
    monkeypatch.setattr(writing, "BATCH_OBJECTS", 1)


class Actor:
    """Somebody with a checkout and a connection of their own."""

    def __init__(self, world: World, number: int) -> None:
        root = world.root.parent / f"checkout-{number}"
        shutil.copytree(world.root, root)
        self.world = world.at(root)
        self.database: Database = self.world.open()

    def publish(self, release: str) -> Published:
        return publish(Project.at(self.world.root), self.database, release)

    def collect(self) -> int:
        return collect(Project.at(self.world.root), self.database).dropped


@contextmanager
def crew(world: World, size: int) -> Iterator[list[Actor]]:
    actors = [Actor(world, number) for number in range(size)]
    try:
        yield actors
    finally:
        for actor in actors:
            actor.database.close()


def answer(world: World, release: str) -> list[tuple[Any, ...]]:
    connection = world.connect()
    found = Resolver.from_database(connection, release=release, project="shop")
    connection.close()
    return world.call(found["app.find_things"], 2)


def releases(world: World) -> list[str]:
    return [name for (name,) in world.sql("SELECT name FROM procver.release ORDER BY name")]


def test_three_publish_the_same_release(world: World) -> None:
    with crew(world, 3) as actors:
        done = together(*(lambda a=a: a.publish("1") for a in actors))
        assert [type(each) for each in done] == [Published] * 3, done
        assert releases(world) == ["1"]
        assert world.sql("SELECT COUNT(*) FROM procver.version") == [(4,)]
        assert answer(world, "1") == OLD
        assert verify(Project.at(world.root), actors[0].database) == []


def test_two_publish_releases_of_their_own(world: World) -> None:
    with crew(world, 2) as actors:
        for index, actor in enumerate(actors):
            actor.world.write(**{f"own{index}": world.constant(f"app.own_{index}x", index)})
        done = together(*(lambda a=a, i=i: a.publish(f"r{i}") for i, a in enumerate(actors)))
        assert [type(each) for each in done] == [Published] * 2, done
        assert world.sql("SELECT COUNT(*) FROM procver.version") == [(6,)]
        for index in range(2):
            assert world.call(f"app.own_{index}x_1") == [(index,)]
            assert answer(world, f"r{index}") == OLD
        assert verify(Project.at(world.root), actors[0].database) == []


def test_two_take_the_same_number_and_one_gets_it(world: World) -> None:
    world.publish("1")
    with crew(world, 2) as actors:
        for index, actor in enumerate(actors):
            actor.world.show("t.id", "t.name", f"{index} AS who")
        done = together(*(lambda a=a, i=i: a.publish(f"r{i}") for i, a in enumerate(actors)))
        (winner,) = [i for i, each in enumerate(done) if isinstance(each, Published)]
        (lost,) = [each for each in done if not isinstance(each, Published)]
        assert isinstance(lost, ConflictError), lost
        assert "app.things_2 already holds other content" in lost.message
        assert "procver lock --base" in str(lost.hint)
        assert releases(world) == ["1", f"r{winner}"]
        assert answer(world, f"r{winner}")[0] == (2, "bolt", winner)
        assert answer(world, "1") == OLD


def test_two_gc_at_once_share_the_work(replaced: World) -> None:
    with crew(replaced, 2) as actors:
        done = together(*(actor.collect for actor in actors))
        assert sum(done) == 3, done
        assert not GONE & replaced.objects()
        assert verify(Project.at(replaced.root), actors[0].database) == []


@pytest.mark.parametrize("at", [2, 4])
def test_somebody_wants_in_the_middle_of_gc_what_it_drops(replaced: World, at: int) -> None:
    replaced.narrow()
    with crew(replaced, 2) as (ann, bob):
        came: list[object] = []
        ann.database = Paused(ann.database, at, lambda: came.append(bob.publish("3")))
        ann.collect()
        assert came
        assert answer(replaced, "3") == OLD
        assert answer(replaced, "2") == NEW
        assert verify(Project.at(replaced.root), bob.database) == []
        assert bob.collect() == bob.collect() == 0


@pytest.mark.parametrize("after", [1, 3])
def test_a_publication_whose_session_is_killed_is_completed_by_the_same_command(
    two: World, after: int
) -> None:
    two.show("t.id", "t.price")
    two.answer(43)
    killed = Killed(two.open(), after, two.hang_up)
    with pytest.raises(DatabaseError) as lost:
        publish(Project.at(two.root), killed, "3")
    assert "run the same command again" in str(lost.value.hint)
    killed.close()
    assert releases(two) == ["1", "2"], "whole or not at all"
    assert answer(two, "1") == OLD
    assert answer(two, "2") == NEW
    done = two.publish("3")
    assert {c["physical"] for c in done["create"]} <= {
        "app.things_3", "app.find_things_3", "app.count_things_3", "app.alone_2",
    }  # fmt: skip
    assert two.call("app.alone_2") == [(43,)]
    assert answer(two, "3") == [(2, 1), (3, 5000)]
    assert two.json("verify")["findings"] == []


class Killed(Paused):
    """A `Database` whose server hangs up in the middle of the ``at``-th unit that it is given."""

    def _tick(self) -> None:
        pass

    def run(self, project_id: int, generation: int, units: Any, **options: Any) -> Iterator[int]:
        return self._database.run(project_id, generation, self._struck(units), **options)

    def _struck(self, units: Any) -> Iterator[Any]:
        for number, unit in enumerate(units, 1):
            yield unit._replace(steps=self._steps(unit.steps)) if number == self._left else unit

    def _steps(self, steps: Any) -> Iterator[Any]:
        first, *rest = steps
        yield first
        self._meanwhile()
        yield from rest
