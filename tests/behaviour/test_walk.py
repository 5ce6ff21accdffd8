"""Somebody edits, publishes, activates, retires, collects and restores in any order: every release keeps its exact contract.

The short form, for every dialect, of what tests/live/test_model.py does at length on PostgreSQL. What an object answers spells out
its own content and that of all it refers to, so any mixture of versions shows at once.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from procver import releases, restore
from procver.collect import collect
from procver.dialects import Database
from procver.known import DROPPED, Known
from procver.project.workspace import Project
from procver.publish import publish
from procver.registry import reading
from procver.verify import verify
from tests.behaviour.worlds import World
from tests.faults import Paused

pytestmark = pytest.mark.slow

LONG = bool(os.environ.get("PROCVER_TEST_LONG"))
STEPS = 40
REFERENCES = {"base": (), "mid": ("base",), "leaf": ("base", "mid"), "crown": ("leaf", "mid")}
"""What each object may refer to: two views, a function and a routine."""

Sources = dict[str, "Source"]


class Source(NamedTuple):
    """What a source says: which of its three contents, and what it refers to."""

    content: int
    references: tuple[str, ...]


class Contract:
    """A release as its publisher understands it: physical name and answer of each object."""

    def __init__(self, answers: dict[str, tuple[str, str]]) -> None:
        self.answers = answers
        self.activated = self.retired = False

    @property
    def kept(self) -> bool:
        """Whether everything of it must be there: unless it was retired it may be in use."""
        return not self.retired


def answer(name: str, sources: Sources) -> str:
    source = sources[name]
    return f"{name}{source.content}({''.join(answer(r, sources) for r in source.references)})"


class Walk:
    """Somebody's way through the commands, and what must come of it."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.database: Database = world.open()
        self.other: Database = world.open()
        self.sources: Sources = {name: Source(0, refs) for name, refs in REFERENCES.items()}
        self.contracts: dict[str, Contract] = {}
        self.meanings: dict[tuple[str, int], tuple[str, str]] = {}
        self.done: Counter[str] = Counter()

    def close(self) -> None:
        self.database.close()
        self.other.close()

    @property
    def project(self) -> Project:
        return Project.at(self.world.root)

    def known(self) -> Known:
        known = reading.read(self.database, self.world.name)
        assert known is not None
        return known

    def meanwhile(self) -> Database:
        """Return the connection; now and then somebody else collects while it is used."""
        if not self.contracts or self.random.random() < 0.7:
            return self.database
        at = self.random.randint(1, 5)
        self.done["gc meanwhile"] += 1
        return Paused(self.database, at, lambda: collect(self.project, self.other))

    # What can be done.

    def step(self) -> None:
        """Do one thing that may be done now."""
        there = self.contracts
        trials = [n for n, c in there.items() if not c.activated]
        live = [n for n, c in there.items() if c.activated and not c.retired]
        retired = [n for n, c in there.items() if c.retired]
        possible: list[tuple[str, Callable[[str], None], list[str]]] = [
            ("publish", self.publish, [f"r{1 + self.done.total()}", *trials]),
            ("activate", self.activate, [*trials, *trials, *there]),
            ("retire", self.retire, live),
            ("gc", self.gc, ["1", "2", "2"]),
            ("gc", self.gc, ["1", "2", "2"]),
            ("discard", self.discard, [*trials, *retired]),
            ("restore", self.restore, self.gone()),
        ]
        what, do, choices = self.random.choice([one for one in possible if one[2]])
        chosen = self.random.choice(choices)
        self.done[what] += 1
        do(chosen)
        try:
            self.look()
        except AssertionError as error:
            error.add_note(f"{what} {chosen}, after {dict(self.done)}")
            raise

    def gone(self) -> list[str]:
        versions = self.known().versions.values() if self.contracts else ()
        return sorted(v.physical for v in versions if v.state == DROPPED)

    def edit(self) -> None:
        """Change a source, add it again, go back to an earlier content, or delete it with all that names it."""
        name = self.random.choice(list(REFERENCES))
        if self.random.random() < 0.2 and name in self.sources and len(self.sources) > 1:
            del self.sources[name]
            for other, source in self.sources.items():
                kept = tuple(r for r in source.references if r != name)
                self.sources[other] = Source(source.content, kept)
            return
        possible = [r for r in REFERENCES[name] if r in self.sources]
        kept = tuple(r for r in possible if self.random.random() < 0.8)
        self.sources[name] = Source(self.random.randrange(3), kept)

    def write(self) -> None:
        for path in (self.world.root / "sql").iterdir():
            path.unlink()
        for name, source in self.sources.items():
            parts = [self.world.asking(f"app.{r}", self.kind(r)) for r in source.references]
            value = ", ".join([f"'{name}{source.content}('", *parts, "')'"])
            text = self.world.saying(f"app.{name}", self.kind(name), f"CONCAT({value})")
            self.world.write(**{name: text})

    def kind(self, name: str) -> str:
        return {"base": "view", "mid": "view", "leaf": "function"}.get(name, "routine")

    def publish(self, release: str) -> None:
        for _ in range(self.random.randint(0, 3)):
            self.edit()
        self.write()
        contract = publish(self.project, self.meanwhile(), release).contract
        answers = {}
        assert set(contract.members) == {f"app.{name}" for name in self.sources}
        for name in self.sources:
            member = contract.members[f"app.{name}"]
            answers[name] = (member.quoted, answer(name, self.sources))
            # One number, one meaning, for ever: `discard` is the only way out.
            meaning = (member.fingerprint, answers[name][1])
            assert self.meanings.setdefault((name, member.number), meaning) == meaning
        self.contracts[release] = Contract(answers)

    def activate(self, release: str) -> None:
        releases.activate(self.project, self.meanwhile(), release, restore=True)
        self.contracts[release].activated, self.contracts[release].retired = True, False

    def retire(self, release: str) -> None:
        releases.retire(self.project, self.meanwhile(), release)
        self.contracts[release].retired = True

    def discard(self, release: str) -> None:
        freed = releases.discard(self.project, self.meanwhile(), release).freed
        del self.contracts[release]
        kept = {physical for c in self.contracts.values() for physical, _ in c.answers.values()}
        assert not kept & set(freed)

    def restore(self, physical: str) -> None:
        restore.restore(self.project, self.database, physical)
        assert physical in self.world.objects()

    def gc(self, times: str) -> None:
        """What one run condemns the next one drops: then exactly what is needed is there."""
        for _ in range(int(times)):
            collect(self.project, self.database)
        if times == "2":
            assert self.world.objects() == self.needed()

    def needed(self) -> set[str]:
        kept = (c for c in self.contracts.values() if c.kept)
        return {physical for contract in kept for physical, _ in contract.answers.values()}

    # What must hold after every step.

    def look(self) -> None:
        known = self.known()
        assert self.world.objects() == {
            v.physical for v in known.versions.values() if v.state != DROPPED
        }
        assert {
            r.name: {v.label: v.physical for v in known.members(r)} for r in known.releases
        } == {
            name: {f"app.{n}": physical for n, (physical, _) in c.answers.items()}
            for name, c in self.contracts.items()
        }
        states = {r.name: (bool(r.activated_at), bool(r.retired_at)) for r in known.releases}
        assert states == {n: (c.activated, c.retired) for n, c in self.contracts.items()}
        assert verify(self.project, self.database) == []
        expected: dict[str, tuple[str, str]] = {}
        for contract in self.contracts.values():
            for name, (physical, said) in contract.answers.items() if contract.kept else ():
                assert expected.setdefault(physical, (name, said)) == (name, said)
        for physical, (name, said) in expected.items():
            asked: Any = self.world.sql(self.world.asked(physical, self.kind(name)))
            assert asked == [(said,)], physical


@pytest.mark.parametrize("seed", range(20) if LONG else [1, 2])
def test_any_order_of_commands_keeps_every_contract(empty_world: World, seed: int) -> None:
    with empty_world.elsewhere() as world:
        walk = Walk(world, seed)
        try:
            walk.publish("r0")
            world.sql("UPDATE procver.project SET trials = 'true'")
            for _ in range(STEPS):
                walk.step()
        finally:
            walk.close()
        if not LONG:  # these walks lead everywhere
            assert set(walk.done) >= {"publish", "activate", "retire", "gc", "discard", "restore"}
            assert walk.done["gc meanwhile"] > 3
        assert world.json("verify")["findings"] == []
