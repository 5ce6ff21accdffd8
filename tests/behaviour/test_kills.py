"""A command that dies at any statement leaves nothing half done, nobody who calls notices, and the same command completes it."""

from __future__ import annotations

import os
import queue
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from procver.dialects import Database
from procver.known import DROPPED, Known
from procver.project.workspace import Project
from procver.registry import reading
from procver.verify import verify
from tests.behaviour.worlds import NEW, OLD, World
from tests.faults import Command, Cut, Kennel

pytestmark = pytest.mark.slow

LONG = bool(os.environ.get("PROCVER_TEST_LONG"))
BATCH = 2
HOLD = re.compile(r"EXEC procver\.hold |procver\.hold\(\(\$1")
"""In the statement with which a transaction begins that writes."""

ONE = {"app.things_1", "app.find_things_1", "app.alone_1"}
TWO = {"app.things_2", "app.find_things_2", "app.alone_1"}
CALLS: dict[str, list[tuple[str, tuple[int, ...], list[tuple[Any, ...]]]]] = {
    "1": [("app.find_things_1", (2,), OLD), ("app.alone_1", (), [(42,)])],
    "2": [("app.find_things_2", (2,), NEW), ("app.alone_1", (), [(42,)])],
}

State = frozenset[tuple[object, ...]]


class Act(NamedTuple):
    """A command of the story.

    Attributes:
        before: what is done first, undisturbed.
        words: the command.
        live: the releases that must answer all the while.
        transactions: how many it commits; a command that died leaves it in one of as many states.
        objects: what is there in the end.
        events: what the audit trail says then of the command.
        times: how often it is run until nothing is left to do.
    """

    before: Callable[[World], object]
    words: tuple[str, ...]
    live: tuple[str, ...]
    transactions: int
    objects: set[str]
    events: dict[str, int]
    times: int = 1


def first_is_live(world: World) -> None:
    world.run("release", "activate", "1")
    world.widen()


def second_is_live(world: World) -> None:
    world.run("release", "activate", "2")
    world.run("release", "retire", "1")


def trial_is_published(world: World) -> None:
    world.answer(43)
    world.publish("trial")


STORY = [
    Act(
        lambda world: None, ("publish", "--release", "1"), (), 3, ONE, {"create": 2, "publish": 1}
    ),
    Act(
        first_is_live, ("publish", "--release", "2"), ("1",), 2, ONE | TWO,
        {"create": 1, "publish": 1},
    ),
    Act(second_is_live, ("gc", "--apply"), ("2",), 3, TWO, {"condemn": 1, "drop": 2}, times=2),
    Act(
        lambda world: None, ("release", "activate", "1", "--restore"), ("2",), 2, ONE | TWO,
        {"restore": 1, "activate": 1},
    ),
    Act(
        trial_is_published, ("release", "discard", "trial"), ("1", "2"), 1, ONE | TWO,
        {"discard": 1},
    ),
]  # fmt: skip


class Killing:
    """A world in which every command dies at each of its statements, one after the other.

    In what writes it dies, in every state that it can find, at each statement of each transaction. A statement that only reads
    is met once in the whole story: each way to die takes every second one. Babelfish takes seconds for a command, so there the
    same goes for statements that write, but for the first of each transaction: to die there is to die after a commit. With
    PROCVER_TEST_LONG it dies in each way at every statement of every run.

    Args:
        world: the project.
        fault: what happens to a command, given its session.
        code: how it ends then.
        turn: where every second statement is meant: 1 for the odd ones, 0 for the even ones.
        deaf: instead of all this it never hears that a transaction was committed.
    """

    def __init__(
        self, world: World, fault: Callable[[World, Command, int], None], code: int, turn: int = 0,
        *, deaf: bool = False,
    ) -> None:  # fmt: skip
        self.world, self.fault, self.code, self.turn, self.deaf = world, fault, code, turn, deaf
        self.brief = world.babelfish and not LONG
        self.kennel = Kennel(BATCH, world.dialect)
        self.observer: Database = world.open()
        self.caller = world.bystander()
        self.played: set[tuple[object, ...]] = set()
        self.faults = 0

    def close(self) -> None:
        self.kennel.close()
        self.observer.close()
        self.caller.close()

    def perform(self, act: Act) -> None:
        """Run an act's command until it has died at each statement, and completed."""
        act.before(self.world)
        states = {self.state()}
        told, faults = len(self.events()), self.faults
        for _ in range(act.times):
            while (at := self.run(act)) is not None:
                try:
                    self.look()
                except AssertionError as error:
                    error.add_note(f"{act.words}, {at}")
                    raise
                states.add(self.state())
        self.look()
        self.answers(act)
        assert self.world.objects() == act.objects
        assert Counter(self.events()[told:]) == act.events
        if self.deaf:
            assert self.faults - faults == act.transactions
        else:
            # What was met before is not met again after the last one of gc.
            assert len(states) >= act.transactions - self.brief
            assert self.faults - faults >= act.transactions * (1 if self.brief else 4)

    def run(self, act: Act) -> str | None:
        """Run the command up to the next statement at which it is to die; return where, or None if it completed."""
        start = (act.words, self.state())
        started: queue.Queue[Command] = queue.Queue()
        place: list[str] = []
        writing = False

        def meet(number: int, text: str) -> None:
            self.faults += 1
            place.append(f"statement {number} {text[:60]!r}")
            self.fault(self.world, started.get(timeout=30), tap.backends[-1])

        def before(number: int, text: str) -> None:
            nonlocal writing
            writing = writing or HOLD.search(text) is not None
            self.answers(act)
            if not (place or self.deaf) and self.due(start, number, text, writing):
                meet(number, text)

        def after(number: int, text: str) -> None:
            commits = writing and text.startswith("COMMIT")
            if not place and commits and self.due(start, number, text, True):
                meet(number, text)

        with self.world.tap(before, after if self.deaf else None) as tap:
            words = (*act.words, "-C", str(self.world.root), "-t", tap.url)
            command = self.kennel.start(*words)
            started.put(command)
            code, output = command.wait(120)
        where = place[0] if place else "undisturbed"
        assert code == (self.code if place else 0), f"{act.words}, {where}: {output}"
        if code > 0:
            assert "run the same command again" in output, f"{act.words}, {where}: {output}"
        return where if place else None

    def due(self, start: tuple[object, ...], number: int, text: str, writing: bool) -> bool:
        begins = HOLD.search(text) is not None
        wholly = LONG or self.deaf or begins or (writing and not self.brief)
        key = (*start, number) if wholly else (text,)
        if key in self.played:
            return False
        self.played.add(key)
        return wholly or number % 2 == self.turn

    # What must hold whenever a command has died, and before each of its statements.

    def answers(self, act: Act) -> None:
        """Who runs on a live release never waits and gets what it was built for."""
        for release in act.live:
            for physical, arguments, expected in CALLS[release]:
                rows = self.caller.execute(self.world.calling(physical, *arguments)).fetchall()
                assert [tuple(row) for row in rows] == expected, physical

    def look(self) -> None:
        """Catalog and registry agree, and every release is whole."""
        known = self.known()
        if known is None or not known.versions:
            assert self.world.objects() == set()
            return
        there = {v.physical for v in known.versions.values() if v.state != DROPPED}
        assert self.world.objects() == there
        assert all(len(known.members(release)) == 3 for release in known.releases)
        if known.releases:
            assert verify(Project.at(self.world.root), self.observer) == []

    def known(self) -> Known | None:
        there = self.observer.install(create=False)
        return reading.read(self.observer, self.world.name) if there else None

    def state(self) -> State:
        """Return what the command goes on from: the registry's generation counts what changes nothing, too."""
        known = self.known()
        if known is None:
            return frozenset()
        releases = ((r.name, r.activated_at is None, r.retired_at is None) for r in known.releases)
        versions = ((v.physical, v.state, v.found) for v in known.versions.values())
        return frozenset((*releases, *versions))

    def events(self) -> list[str]:
        if not self.observer.install(create=False):
            return []
        return [a for (a,) in self.world.sql("SELECT action FROM procver.event ORDER BY id")]


@pytest.fixture
def bare(empty_world: World) -> Iterator[World]:
    """Two objects that refer to each other and one apart, on a database without a registry."""
    with empty_world.elsewhere() as world:
        world.narrow()
        world.write(find_things=world.routines()["find_things"])
        world.answer(42)
        world.run("lock")
        yield world


def play(killing: Killing) -> None:
    try:
        for act in STORY:
            killing.perform(act)
        assert killing.world.json("verify")["findings"] == []
    finally:
        killing.close()


def test_killed_at_every_statement(bare: World) -> None:
    def kill(world: World, command: Command, session: int) -> None:
        command.kill()
        raise Cut

    play(Killing(bare, kill, -9, 0))


def test_session_ended_by_the_server_at_every_statement(bare: World) -> None:
    def end(world: World, command: Command, session: int) -> None:
        world.terminate(session)

    play(Killing(bare, end, 3, 1))


def test_answer_to_each_commit_lost(bare: World) -> None:
    """What was done is done, though the command never heard of it: the same command again finds nothing left to do."""

    def end(world: World, command: Command, session: int) -> None:
        world.terminate(session)
        raise Cut

    play(Killing(bare, end, 3, deaf=True))
