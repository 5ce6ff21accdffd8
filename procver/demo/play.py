"""The story: two releases, two app servers, a roll-back, and gc at the end, through the use cases themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from procver import mapping
from procver.collect import collect, survey
from procver.demo.app import AppServer
from procver.demo.sample import Answer, Sample
from procver.demo.stage import SCHEMA, Stage
from procver.dialects import Database, connect
from procver.plan import Create
from procver.project.files import write_atomic
from procver.project.workspace import Project
from procver.publish import Published, publish
from procver.releases import activate, difference, find_release, known_of, retire
from procver.restore import why
from procver.verify import verify

KEPT = f"{SCHEMA}.order_totals_1"
"""A version that both releases use: what `why` is asked about."""

ROUNDS = 3
"""How often each server makes all of its calls before a scene ends."""

PLAIN, GOOD, BAD, QUIET = "plain", "good", "bad", "quiet"
"""Tones in which a line is said."""


class Shown(NamedTuple):
    """An answer with who gave it and the call that was made."""

    title: str
    call: str
    answer: Answer


class Narrator(Protocol):
    """Who tells the story while it happens."""

    def scene(self, title: str) -> None:
        """Begin a new scene."""

    def command(self, words: str) -> None:
        """Say which command a user would type for what comes next."""

    def line(self, text: str, tone: str = PLAIN) -> None:
        """Say something."""

    def created(self, versions: tuple[Create, ...]) -> None:
        """Show versions that were created, with the reason for each."""

    def beside(self, left: Shown, right: Shown) -> None:
        """Show two answers beside each other."""


class Step(NamedTuple):
    """A scene as it went; ``calls`` and ``errors`` are the app servers' during it."""

    step: str
    title: str
    commands: tuple[str, ...]
    seconds: float
    calls: int
    errors: int


class Report(NamedTuple):
    """What the play came to. ``collected`` lists physical names; ``failures`` the first calls that went wrong."""

    seconds: float
    calls: int
    errors: int
    collected: tuple[str, ...]
    findings: int
    steps: tuple[Step, ...]
    failures: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        steps = [{**s._asdict(), "commands": list(s.commands)} for s in self.steps]
        return {
            **self._asdict(),
            "collected": list(self.collected),
            "steps": steps,
            "failures": list(self.failures),
        }


def play(stage: Stage, narrator: Narrator) -> Report:
    """Play a rolling deployment on a stage.

    Args:
        stage: an empty directory and database.
        narrator: told of everything as it happens.

    Raises:
        DatabaseError: the database failed.
    """
    play = _Play(stage, narrator)
    try:
        return play.run()
    finally:
        play.close()


class _Play:
    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self.stage, self.say = stage, narrator
        self.sample = Sample()
        self.servers: list[AppServer] = []
        self.steps: list[Step] = []
        self.commands: list[str] = []
        self.started = time.monotonic()

    def run(self) -> Report:
        with self.scene("tables", "The shop has tables; a migration tool made them"):
            self.stage.migrate(self.sample.copy_migrations(self.stage.root))
            self.say.line(
                "procver never touches tables and data: it versions what stands above them."
            )
        with self.scene("release-1", "Release 1 goes to both app servers"):
            self.first_release()
        with self.scene("release-2", "Release 2 is published while both are serving"):
            self.second_release()
        with self.scene("rollout", "web-1 moves to release 2, web-2 stays: both contracts answer"):
            self.deploy(self.web_1, "2")
            self.show_both()
        with self.scene("rollback", "web-2 follows, goes back, and follows again: no script"):
            for release in ("2", "1", "2"):
                self.deploy(self.web_2, release)
            self.say.line(
                "To roll back is to deploy the earlier build with its mapping: the versions that it"
                " names are still there."
            )
        with self.scene("collect", "Release 1 is history: gc takes what it alone used"):
            collected, findings = self.clean_up()
        return Report(
            round(time.monotonic() - self.started, 3), self.calls, self.errors, collected, findings,
            tuple(self.steps), tuple(f for server in self.servers for f in server.failures),
        )  # fmt: skip

    def first_release(self) -> None:
        self.sample.lay_out(self.stage.root, 1)
        self.do("procver lock")
        project = self.project()
        added = len(project.numbered.added)
        project.contract(locked=False)
        self.say.line(
            f"{added} views, functions and procedures got their numbers, in a file for git: they are the"
            " same in every database."
        )
        done = self.publish("1")
        self.say.line(
            f"{len(done.plan.create)} versions created, in the order of their dependencies."
        )
        calls = self.sample.calls()
        for name in ("web-1", "web-2"):
            server = AppServer(name, self.stage.url, calls)
            self.servers.append(server)
            self.deploy(server, "1", wait=False)
        name = f"{SCHEMA}.find_things"
        self.say.line("Each server calls through the mapping that its build brought along:")
        self.say.line(f"  procs['{name}'] is {self.web_1.procs[name]}")

    def second_release(self) -> None:
        known = {m.name.leaf for m in self.contract_1.members.values()}
        laid_out = self.sample.lay_out(self.stage.root, 2)
        files = {name: Path(name).name.partition(".")[0] for name in laid_out}
        for what, names in (
            ("edited", [stem for name, stem in files.items() if name[0] != "-" and stem in known]),
            ("new", [stem for name, stem in files.items() if name[0] != "-" and stem not in known]),
            ("deleted", [stem for name, stem in files.items() if name[0] == "-"]),
        ):
            self.say.line(f"{(what + ':').ljust(8)} {', '.join(names)}")
        before = self.calls
        done = self.publish("2")
        during = self.calls - before
        self.say.created(done.plan.create)
        self.say.line(
            f"{len(done.plan.create)} versions created beside the old ones, {done.plan.reuse} shared"
            f" with release 1 ({', '.join(done.plan.cosmetic)}: only comments and layout changed)."
        )
        self.go_round()
        self.say.line(
            f"Nothing changed for the callers: {during} calls during the publish, and every one of"
            f" their {self.web_1.repertoire} calls after it, are answered as release 1 promises.", GOOD,
        )  # fmt: skip

    def show_both(self) -> None:
        table = "SELECT name, available FROM {shop.find_things}(20) AS t"
        self.say.line("A function nobody touched, over a view that changed: other rows.")
        self.beside(table, table)
        self.say.line("A function with other parameters and other columns:")
        quote = "SELECT * FROM {shop.quote_price}(2, 5, 3%s) AS quote"
        self.beside(quote % "", quote % ", 'DE'")

    def beside(self, old: str, new: str) -> None:
        shown = []
        for server, sql in ((self.web_2, old), (self.web_1, new)):
            text, answer = server.ask(sql)
            call = text.partition(" FROM ")[2].rpartition(" AS ")[0]
            shown.append(Shown(f"{server.name}, release {server.release}", call, answer))
        self.say.beside(*shown)

    def clean_up(self) -> tuple[tuple[str, ...], int]:
        known = known_of(self.project(), self.database)
        apart = difference(known, find_release(known, "1"), find_release(known, "2"))
        alone = {old.physical for _, old, _ in apart if old is not None}
        self.do("procver release retire 1")
        retire(self.project(), self.database, "1")
        self.do("procver gc")
        _, found = survey(self.project(), self.database)
        self.say.line(
            f"{len(found.condemn)} versions are needed by nothing that is deployed,"
            f" {len(found.keep)} are kept for release 2."
        )
        self.do("procver gc --apply")
        first = collect(self.project(), self.database)
        self.say.line(
            f"{len(first.condemn)} condemned, none dropped yet: that takes a second run, after `grace`"
            " (7 days by default, 0 here)."
        )
        self.do("procver gc --apply")
        second = collect(self.project(), self.database)
        collected = tuple(sorted(d.version.physical for d in (*first.drop, *second.drop)))
        exactly = alone == set(collected)
        self.say.line(f"{len(collected)} dropped: {', '.join(collected)}.")
        self.say.line(
            "Exactly what release 1 alone used." if exactly else "Not what release 1 alone used!",
            GOOD if exactly else BAD,
        )
        self.do(f"procver why {KEPT}")
        for chain in why(self.project(), self.database, KEPT).chains[:2]:
            self.say.line("  " + " -> ".join(chain))
        self.do("procver verify")
        findings = verify(self.project(), self.database)
        for finding in findings:
            self.say.line(f"{finding.rule} {finding.object}: {finding.message}", BAD)
        if not findings:
            self.say.line("Everything is as it was published.", GOOD)
        return collected, len(findings)

    def publish(self, release: str) -> Published:
        self.do(f"procver publish --release {release}")
        done = publish(self.project(), self.database, release)
        text = mapping.to_json(release, "postgresql", done.contract.mapped(), default_schema=SCHEMA)
        write_atomic(self.stage.root / "procver.map.json", text)
        build = self.build(release)
        build.parent.mkdir(parents=True)
        write_atomic(build, text)
        if release == "1":
            self.contract_1 = done.contract
        return done

    def build(self, release: str) -> Path:
        """The mapping in the build of an app release: what is deployed with it, and rolled back with it."""
        return self.stage.root / "builds" / release / "procver.map.json"

    def deploy(self, server: AppServer, release: str, *, wait: bool = True) -> None:
        self.do(f"procver release activate {release} --instance {server.name}")
        activate(self.project(), self.database, release, instance=server.name)
        server.load(self.build(release))
        if wait:
            self.go_round()

    def go_round(self) -> None:
        for server in self.servers:
            server.go_round()

    def do(self, words: str) -> None:
        self.commands.append(words)
        self.say.command(words)

    @contextmanager
    def scene(self, step: str, title: str) -> Iterator[None]:
        self.say.scene(title)
        self.commands = []
        started, calls, errors = time.monotonic(), self.calls, self.errors
        yield
        if self.servers:
            for _ in range(ROUNDS):
                self.go_round()
            states = ", ".join(f"{s.name} on release {s.release}" for s in self.servers)
            count = f"{self.calls:,} calls so far, {self.errors} errors"
            self.say.line(f"[{states}: {count}]", BAD if self.errors else QUIET)
        self.steps.append(Step(
            step, title, tuple(self.commands), round(time.monotonic() - started, 3),
            self.calls - calls, self.errors - errors,
        ))  # fmt: skip

    def project(self) -> Project:
        """The project as the next command finds it: read from disk anew."""
        return Project.at(self.stage.root)

    @cached_property
    def database(self) -> Database:
        return connect(
            self.stage.url,
            dialect="postgresql",
            root=self.stage.root,
            search_path=(SCHEMA, "public"),
        )

    @property
    def web_1(self) -> AppServer:
        return self.servers[0]

    @property
    def web_2(self) -> AppServer:
        return self.servers[1]

    @property
    def calls(self) -> int:
        return sum(server.count for server in self.servers)

    @property
    def errors(self) -> int:
        return sum(server.errors for server in self.servers)

    def close(self) -> None:
        for server in self.servers:
            server.stop()
        if "database" in self.__dict__:
            self.database.close()
