"""Several people publish, activate, retire, collect and edit in any order: every live release keeps its exact contract.

The model knows nothing of procver's plans. Every object's answer spells out its own content and that of all it refers to, so
what a release must answer follows from the sources it was published from, and any mixture of versions shows at once.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from procver import releases, restore
from procver.collect import collect
from procver.dialects import Database
from procver.dialects.postgresql import PostgresqlDatabase
from procver.errors import ConflictError, ProcverError, UsageError
from procver.lock import Entry, Lock
from procver.objects import Kind
from procver.project.workspace import Project
from procver.publish import Published, publish
from procver.verify import verify
from tests.faults import Paused, copy_of
from tests.meanings import SHAPES, Edit, Sources, answer, edit, everything, text
from tests.servers import Server
from tests.workshop import Workshop, in_lanes

pytestmark = pytest.mark.slow

LONG = bool(os.environ.get("PROCVER_TEST_LONG"))
PROFILE = settings(
    derandomize=not LONG,
    max_examples=200 if LONG else 4,
    stateful_step_count=40 if LONG else 12,
    phases=list(Phase) if LONG else [Phase.generate],  # to shrink a failure takes minutes
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    database=None,
)

CONFIG = '[gc]\nkeep_releases = 0\ngrace = "0s"\npins = ["app.leaf_1"]\n'
QUARANTINE = CONFIG + 'quarantine = "0s"\n'
FOREIGN = """\
CREATE SCHEMA app;
CREATE FUNCTION app.by_hand_1() RETURNS text LANGUAGE sql AS $$ SELECT 'by hand' $$;
CREATE VIEW app.by_hand AS SELECT 'by hand'::text AS tag;
"""
RELEASES = tuple(f"r{number}" for number in range(1, 10))
VERBS = ("publish", "publish", "activate", "retire", "retire", "gc", "gc", "discard", "restore")
INSTANCES = ("web-1", "web-2")
PODS = ("pod-1", "pod-2")  # never declared: they say by themselves where they are


@dataclass
class Release:
    """A release as its publisher understands it."""

    content: str
    answers: dict[str, tuple[str, str]]  # physical name and answer, by logical name
    activated: bool = False
    retired: bool = False
    instances: set[str] = field(default_factory=set)
    pods: set[str] = field(default_factory=set)
    heard: bool = False

    @property
    def live(self) -> bool:
        return (self.activated and not self.retired) or bool(self.instances | self.pods)

    @property
    def root(self) -> bool:
        return self.live or not self.activated


Model = dict[str, Release]


class Actor:
    """Somebody with a checkout of their own."""

    def __init__(
        self, root: Path, url: str, connection: psycopg.Connection[Any], config: str
    ) -> None:
        self.shop = Workshop(root, url, more=config)
        self.connection = connection
        self.database: Database = PostgresqlDatabase(
            connection, ("app",), 3.0, lambda: psycopg.connect(url, autocommit=True)
        )
        self.sources: Sources = everything()

    @property
    def project(self) -> Project:
        return Project.at(self.shop.root)

    def save(self, lock: Lock | None) -> None:
        """Write the checkout, with the lock file of the main branch if one is given."""
        for path in (self.shop.root / "sql").iterdir():
            path.unlink()
        self.shop.write(**{name: text(name, said) for name, said in self.sources.items()})
        if lock is not None:
            (self.shop.root / "procver.lock").write_text(lock.render(), "utf-8")


@dataclass
class Deed:
    """One command of one actor: how to do it, and what it makes of the model if it succeeds."""

    what: str
    run: Callable[[Database], Any]
    effect: Callable[[Model, Any], None]


class Shop(RuleBasedStateMachine):
    """A database that several actors publish to."""

    def __init__(self, server: Server, template: str) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.url = self.stack.enter_context(copy_of(server, template))
        place = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="pvm")))
        self.discarded: set[str] = set()
        self.taken_off: set[tuple[str, str]] = set()
        self.actors = [
            Actor(place / name, self.url, self.stack.enter_context(self.connect()), config)
            for name, config in (("ann", CONFIG), ("bob", QUARANTINE))
        ]
        self.observer = self.stack.enter_context(self.connect())
        self.model: Model = {}
        self.recorded: dict[tuple[str, int], tuple[str, str]] = {}  # kind and fingerprint
        self.meaning: dict[tuple[str, str], str] = {}  # what an object of a fingerprint answers
        self.attached: dict[str, str] = {}  # foreign views over versions, and what they answer

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, prepare_threshold=None)

    def teardown(self) -> None:
        self.stack.close()

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        return self.observer.execute(query.encode()).fetchall()

    # What they do to the database.

    def publishing(self, actor: Actor, release: str, rebased: bool) -> Deed:
        for name, said in actor.sources.items():
            known = ("app.base", said.pin) in self.recorded and "base" in said.references
            if said.pin and not known:
                actor.sources[name] = Edit(said.variant, said.references)
        # A pin means a number of the main branch's lock.
        rebased = rebased or any(said.pin for said in actor.sources.values())
        entries = (Entry(n, Kind(k), number, p) for (n, number), (k, p) in self.recorded.items())
        actor.save(Lock(entries) if rebased else None)
        sources = dict(actor.sources)

        def pinned(number: int) -> str:
            return self.meaning["app.base", self.recorded["app.base", number][1]]

        answers = {f"app.{name}": answer(name, sources, pinned) for name in sources}

        def effect(model: Model, done: Published) -> None:
            members = done.contract.members
            assert set(members) == set(answers)
            for label, member in members.items():
                # One fingerprint, one meaning: whoever published it, whenever.
                meaning = self.meaning.setdefault((label, member.fingerprint), answers[label])
                assert meaning == answers[label]
            there = model.get(release)
            if there is None or there.content != done.contract.content:
                assert there is None or not there.activated
                model[release] = Release(
                    done.contract.content,
                    {n: (members[n].quoted, answers[n]) for n in answers},
                    heard=there is not None and there.heard,
                )

        return Deed(f"publish {release}", lambda db: publish(actor.project, db, release), effect)

    def activating(self, actor: Actor, release: str, instance: str | None, back: bool) -> Deed:
        def effect(model: Model, _: Any) -> None:
            found = model[release]
            found.activated, found.retired = True, False
            if instance:
                for other in model.values():
                    other.instances.discard(instance)
                found.instances.add(instance)

        return Deed(
            f"activate {release} {instance} {back}",
            lambda db: releases.activate(
                actor.project, db, release, instance=instance, restore=back
            ),
            effect,
        )

    def retiring(self, actor: Actor, release: str, instance: str | None) -> Deed:
        def effect(model: Model, _: Any) -> None:
            found = model[release]
            if instance and instance not in found.instances:
                assert (release, instance) in self.taken_off  # as for `discarding`
                return
            if instance:
                found.instances.remove(instance)
                self.taken_off.add((release, instance))
            if instance is None or not (found.instances | found.pods):
                found.retired = True

        return Deed(
            f"retire {release} {instance}",
            lambda db: releases.retire(actor.project, db, release, instance=instance),
            effect,
        )

    def discarding(self, actor: Actor, release: str) -> Deed:
        def effect(model: Model, _: Any) -> None:
            # Once more is no error: who did not hear the answer asks again.
            gone = model.pop(release, None)
            assert gone or release in self.discarded
            assert gone is None or not (gone.activated or gone.heard)
            self.discarded.add(release)

        return Deed(
            f"discard {release}",
            lambda db: releases.discard(actor.project, db, release),
            effect,
        )

    def collecting(self, actor: Actor, times: int) -> Deed:
        """What one run condemns the next one drops."""
        return Deed(
            "gc",
            lambda db: [collect(actor.project, db) for _ in range(times)],
            lambda model, _: None,
        )

    def restoring(self, actor: Actor, physical: str) -> Deed:
        return Deed(
            f"restore {physical}",
            lambda db: restore.restore(actor.project, db, physical),
            lambda model, _: None,
        )

    def draw(self, data: st.DataObject, actor: Actor) -> Deed:
        """Choose something to do: what is likely to succeed, or anything."""
        verb = data.draw(st.sampled_from(VERBS))
        if verb == "publish":
            for _ in range(data.draw(st.integers(0, 3))):
                actor.sources = edit(data, actor.sources)
            new = [n for n in RELEASES if n not in self.model][:1]
            trials = sorted(n for n, r in self.model.items() if not r.activated)
            any_ = data.draw(st.sampled_from(RELEASES))
            release = data.draw(st.sampled_from((*new, *new, *new, *trials, any_)))
            return self.publishing(actor, release, data.draw(st.integers(0, 3)) > 0)
        if verb == "gc":
            return self.collecting(actor, data.draw(st.integers(1, 2)))
        there = self.objects()
        gone = sorted((n, v) for n, v in self.recorded if f"{n}_{v}" not in there)
        if verb == "restore":
            chosen = gone or sorted(self.recorded)
            if chosen:
                return self.restoring(actor, "{}_{}".format(*data.draw(st.sampled_from(chosen))))
        likely = {
            "retire": [n for n, r in self.model.items() if r.live],
            "discard": [n for n, r in self.model.items() if not r.activated and not r.heard],
        }.get(verb)
        names = likely if likely and data.draw(st.integers(0, 4)) else list(self.model)
        name = data.draw(st.sampled_from(sorted(names) or RELEASES))
        if verb == "discard":
            return self.discarding(actor, name)
        on_it = sorted(self.model[name].instances) if name in self.model else []
        instances = on_it if verb == "retire" else INSTANCES
        instance = data.draw(st.sampled_from((None, *instances)))
        if verb == "retire":
            return self.retiring(actor, name, instance)
        return self.activating(actor, name, instance, data.draw(st.booleans()))

    @initialize()
    def first(self) -> None:
        """A rollout that is over: the new release needs a version by its pin alone, which the old one brought."""
        ann, bob = self.actors
        self.alone(self.publishing(ann, "r1", False), ann)
        self.alone(self.activating(ann, "r1", None, False), ann)
        self.look()
        pinned = Edit(1, ("base", "mid"), 1)
        ann.sources = ann.sources | {"base": Edit(1), "leaf": pinned}
        self.alone(self.publishing(ann, "r2", True), ann)
        self.alone(self.activating(ann, "r2", "web-1", False), ann)
        self.alone(self.retiring(ann, "r1", None), ann)
        bob.sources = dict(ann.sources)

    @rule(who=st.integers(0, 1), data=st.data())
    def act(self, who: int, data: st.DataObject) -> None:
        for _ in range(6):
            self.alone(self.draw(data, self.actors[who]), self.actors[who])
            self.look()

    def alone(self, deed: Deed, actor: Actor) -> None:
        before = copy.deepcopy(self.model)
        done = self.attempt(deed, actor.database)
        if not isinstance(done, ProcverError):
            deed.effect(self.model, done)
        else:
            self.justify(deed, done, before)

    def attempt(self, deed: Deed, database: Database) -> Any:
        try:
            return deed.run(database)
        except (ConflictError, UsageError) as error:
            return error

    def justify(self, deed: Deed, error: ProcverError, model: Model) -> None:
        """A refusal needs a reason that the model knows too."""
        verb, _, rest = deed.what.partition(" ")
        name = rest.split(" ")[0]
        release = model.get(name)
        assert error.hint, error
        if verb == "publish":
            reused = release is not None and (release.activated or release.live)
            other = any(f"{label}_{number}" in error.message for label, number in self.recorded)
            assert reused or other or "never published" in error.message, error
        elif verb == "activate":
            members = {p for p, _ in release.answers.values()} if release else set()
            assert release is None or self.needs(members) - self.objects(), error
        elif verb == "retire":
            assert release is None or not release.activated or rest.split(" ")[1] != "None", error
        elif verb == "discard":
            assert release is None or release.activated or release.heard or self.attached, error
        else:
            raise AssertionError(f"{deed.what}: {error}")

    @rule(data=st.data(), pod=st.sampled_from(PODS), leaving=st.booleans())
    def beat(self, data: st.DataObject, pod: str, leaving: bool) -> None:
        """A copy of the app says where it is: the release that it runs is live, whatever was declared."""
        there = self.objects()
        whole = [
            n
            for n, r in self.model.items()
            if self.needs({p for p, _ in r.answers.values()}) <= there
        ]
        on_it = [n for n, r in self.model.items() if pod in r.pods]
        names = sorted(on_it if leaving else whole)
        if not names:
            return
        name = data.draw(st.sampled_from(names))
        self.sql(f"SELECT procver.beat('shop', '{name}', '{pod}', {leaving})")
        (self.model[name].pods.discard if leaving else self.model[name].pods.add)(pod)
        self.model[name].heard = True
        closed = self.sql("SELECT physical FROM procver.version WHERE quarantined_at IS NOT NULL")
        if {physical for (physical,) in closed} & self.needs(
            {p for p, _ in self.model[name].answers.values()}
        ):
            # Who comes back to what is in quarantine is let in by the next run, or by a person before that.
            collect(self.actors[0].project, self.actors[0].database)
        self.look()

    @rule(data=st.data())
    def act_at_once(self, data: st.DataObject) -> None:
        """Bob does something of his in the middle of what Ann does."""
        for _ in range(4):
            self.at_once(data, data.draw(st.integers(1, 8)))
            self.look()

    def at_once(self, data: st.DataObject, at: int) -> None:
        ann, bob = self.actors
        hers, his = self.draw(data, ann), self.draw(data, bob)
        answered: list[Any] = []
        database = Paused(
            ann.database, at, lambda: answered.append(self.attempt(his, bob.database))
        )
        done = self.attempt(hers, database)
        orders = [[(hers, done)]]
        if answered:
            orders = [[(his, answered[0]), (hers, done)], [(hers, done), (his, answered[0])]]
        # It must come out as if one had been first.
        outcomes = []
        for order in orders:
            model = copy.deepcopy(self.model)
            try:
                for deed, result in order:
                    if not isinstance(result, ProcverError):
                        deed.effect(model, result)
            except (KeyError, AssertionError):
                continue
            outcomes.append(model)
        there = self.registered()
        matching = [model for model in outcomes if summary(model) == there]
        assert matching, (hers.what, his.what, at, done, answered, there)
        self.model = matching[0]

    @rule()
    @precondition(lambda self: not self.attached)
    def collect_all(self) -> None:
        """Two runs later exactly what is needed is there."""
        for _ in range(2):
            collect(self.actors[0].project, self.actors[0].database)
        needed = {"app.leaf_1"} if "app.leaf_1" in self.objects() else set()
        for release in self.model.values():
            if release.root:
                needed |= {physical for physical, _ in release.answers.values()}
        assert self.objects() == self.needs(needed)

    @rule(number=st.integers(1, 3))
    def attach(self, number: int) -> None:
        """Somebody makes a view of their own over a version."""
        name = f"foreign_{number}"
        if f"app.base_{number}" in self.objects() and name not in self.attached:
            self.observer.execute(
                f"CREATE VIEW app.{name} AS SELECT * FROM app.base_{number}".encode()
            )
            self.attached[name] = str(self.sql(f"SELECT tag FROM app.{name}")[0][0])

    @rule()
    @precondition(lambda self: bool(self.attached))
    def detach(self) -> None:
        name, _ = self.attached.popitem()
        self.observer.execute(f"DROP VIEW app.{name}".encode())

    # What must hold after every step.

    @invariant()
    def look(self) -> None:
        self.numbers_mean_one_thing()
        self.registry_and_catalog_agree()
        self.releases_answer_their_exact_contract()
        self.nothing_drifted()
        self.foreign_objects_are_untouched()

    def numbers_mean_one_thing(self) -> None:
        rows = self.sql("SELECT name, number, kind, fingerprint FROM procver.version")
        now = {(name, number): (kind, print_) for name, number, kind, print_ in rows}
        for key in now.keys() & self.recorded.keys():
            assert now[key] == self.recorded[key], key
        if self.recorded.keys() - now.keys():
            freed = self.sql(
                "SELECT detail -> 'versions' FROM procver.event WHERE action = 'discard'"
            )
            names = {name for (detail,) in freed for name in detail}
            assert {f"{n}_{v}" for n, v in self.recorded.keys() - now.keys()} <= names
        self.recorded = now

    def registry_and_catalog_agree(self) -> None:
        rows = self.sql("SELECT physical FROM procver.version WHERE state <> 'dropped'")
        assert {name for (name,) in rows} == self.objects()
        assert self.registered() == summary(self.model)

    def releases_answer_their_exact_contract(self) -> None:
        mapped: dict[str, dict[str, str]] = {name: {} for name in self.model}
        for release, name, physical in self.sql(
            "SELECT release, name, physical FROM procver.mapping"
        ):
            mapped[release][name] = physical
        calls: dict[str, str] = {}
        for name, release in self.model.items():
            assert mapped[name] == {n: physical for n, (physical, _) in release.answers.items()}
            if release.root:
                for label, (physical, expected) in release.answers.items():
                    assert calls.setdefault(physical, expected) == expected
                    calls[physical] = expected
                    assert physical.startswith(label)
        if calls:
            shown = {
                p: SHAPES[p.removeprefix("app.").rpartition("_")[0]][2].format(p) for p in calls
            }
            for procedure in [p for p, call in shown.items() if call.startswith("CALL")]:
                assert self.sql(shown.pop(procedure)) == [(calls.pop(procedure),)]
            assert list(self.sql(f"SELECT {', '.join(shown.values())}")[0]) == list(calls.values())

    def nothing_drifted(self) -> None:
        database = PostgresqlDatabase(self.observer, ("app",), 3.0)
        findings = verify(self.actors[0].project, database)
        # A pod may well say what nobody declared.
        assert [f for f in findings if not f.rule.startswith("instance-")] == []

    def foreign_objects_are_untouched(self) -> None:
        assert self.sql("SELECT app.by_hand_1(), tag FROM app.by_hand") == [("by hand",) * 2]
        for name, tag in self.attached.items():
            assert self.sql(f"SELECT tag FROM app.{name}") == [(tag,)]

    # How the model looks at the database.

    def objects(self) -> set[str]:
        found = self.sql(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'app'::regnamespace UNION ALL"
            " SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace"
            " AND relkind IN ('v', 'm')"
        )
        foreign = {"by_hand", "by_hand_1", *self.attached}
        return {f"app.{name}" for (name,) in found if name not in foreign}

    def needs(self, physicals: set[str]) -> set[str]:
        """Return these versions and all that the registry says they need."""
        needs: dict[str, list[str]] = {}
        for physical, requires in self.sql("SELECT physical, requires FROM procver.version"):
            needs[physical] = [f"{name}_{number}" for name, number in requires]
        found: set[str] = set()
        stack = list(physicals)
        while stack:
            physical = stack.pop()
            if physical not in found:
                found.add(physical)
                stack += needs[physical]
        return found

    def registered(self) -> set[tuple[Any, ...]]:
        rows = self.sql(
            "SELECT r.name, r.content, r.activated_at IS NOT NULL, r.retired_at IS NOT NULL,"
            " coalesce(array_agg(i.name ORDER BY i.name) FILTER (WHERE i.name IS NOT NULL), '{}')"
            " FROM procver.release r LEFT JOIN procver.instance i ON i.release_id = r.id"
            " GROUP BY r.id"
        )
        return {(*row[:4], tuple(row[4])) for row in rows}


def summary(model: Model) -> set[tuple[Any, ...]]:
    return {
        (name, r.content, r.activated, r.retired, tuple(sorted(r.instances | r.pods)))
        for name, r in model.items()
    }


@pytest.fixture
def template(server: Server, url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FOREIGN.encode())
        name = connection.info.dbname
        PostgresqlDatabase(connection, ("app",), 3.0).install()
    return name


@pytest.mark.parametrize("laned", [False, True])
def test_any_order_of_commands_keeps_every_contract(
    server: Server, template: str, laned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if laned:
        in_lanes(monkeypatch, rest=1)
    # Hypothesis takes any factory, as its manual says; its annotation names a class.
    machine: Any = lambda: Shop(server, template)  # noqa: E731
    run_state_machine_as_test(machine, settings=PROFILE)
