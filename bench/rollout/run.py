"""One run from beginning to end."""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.rollout.commands import Collector, CommandError, Commands
from bench.rollout.faults import Faults
from bench.rollout.fleet import Fleet, StuckError
from bench.rollout.instance import Setup
from bench.rollout.proxy import Counts, Proxy
from bench.rollout.server import Server, make_server
from bench.rollout.story import GROUPS, Story
from procver.dialects import embedded

FOLLOWERS = ("web-4",)
"""Instances that are not replaced for another release, but follow a channel."""

NAMES = tuple(name for group in GROUPS for name in group)
SKEWS = {"web-1": 0.0, "web-2": -86400.0, "web-3": 7200.0, "web-4": -437.0}
ZONES = {"web-1": "UTC", "web-2": "Pacific/Kiritimati", "web-3": "America/St_Johns", "web-4": "Asia/Kathmandu"}  # fmt: skip

TRIES = 25
"""How often a client makes a call, at most, where connections break."""

TOLD = 5.0
"""Seconds between two lines of progress."""

STRUCK_BY = 60.0
"""Seconds that calls go on for after the last one that was asked for, at most, until each kind of fault has struck."""

DONE_BY = 120.0
"""Seconds that gc may take to drop what is left in the end."""


class Wanted(NamedTuple):
    """What to do.

    Attributes:
        target: the server; None: an embedded PostgreSQL of its own.
        calls: how many at least.
        releases: how many.
        faults: whether there are any.
        heartbeats: whether the app sends them.
        follow: whether one instance follows a channel.
        every: seconds between two runs of gc.
        collectors: how many of these jobs there are.
        seed: what all dice begin with.
        pause: seconds between two requests of an instance, to leave room for others on the machine.
        sabotage: ``drop`` or ``alter`` a version in use behind procver's back, to see that it is noticed.
        keep: whether to leave database and project for a look at them.
    """

    target: str | None
    calls: int
    releases: int
    faults: bool
    heartbeats: bool
    follow: bool
    every: float
    collectors: int
    seed: int
    pause: float = 0.0
    sabotage: str | None = None
    keep: bool = False


def rollout(wanted: Wanted) -> dict[str, Any]:
    """Do it, and return what came of it; ``ok`` says whether all was well."""
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="procver-rollout-"))
        place.chmod(0o755)
        if not wanted.keep:
            stack.callback(shutil.rmtree, place, ignore_errors=True)
        url = wanted.target
        if url is None:
            url = embedded.start(place, "postgres")
            if not wanted.keep:
                stack.callback(embedded.stop, place, "postgres")
        name = f"rollout_{uuid.uuid4().hex[:12]}"
        server = make_server(url, name)
        print(f"database {name}, project {place}", file=sys.stderr, flush=True)
        if not wanted.keep:
            stack.callback(server.drop)
        return _Run(wanted, server, place, stack).go()


class _Run:
    def __init__(self, wanted: Wanted, server: Server, place: Path, stack: ExitStack) -> None:
        self.wanted, self.server = wanted, server
        app = commands = server.url
        proxies: list[Proxy] = []
        if wanted.faults:
            for number in range(2):
                proxies.append(Proxy(server.address, f"{wanted.seed} network {number}"))
                stack.callback(proxies[-1].close)
            app, commands = (server.through(proxy.port) for proxy in proxies)
        seed = str(wanted.seed)
        self.commands = Commands(place / "project", commands, faults=wanted.faults, seed=seed)
        stack.callback(self.commands.kill_all)
        self.fleet = Fleet([self._setup(name, app) for name in NAMES])
        stack.callback(self.fleet.kill)
        self.story = Story(
            server, self.commands, self.fleet, random.Random(f"{seed} story"),
            kills=wanted.faults, heartbeats=wanted.heartbeats,
            followers=frozenset(FOLLOWERS if wanted.follow else ()),
        )  # fmt: skip
        self.collectors = [Collector(self.commands, wanted.every) for _ in range(wanted.collectors)]
        self.faults = (
            Faults(server, self.commands, proxies, f"{seed} faults") if wanted.faults else None
        )
        self.started = time.monotonic()
        self.ticker = threading.Thread(target=self._tick, daemon=True)
        self.over = threading.Event()
        self.seconds = 0.0
        self.stopped: str | None = None

    def _setup(self, name: str, url: str) -> Setup:
        wanted = self.wanted
        return Setup(
            name, self.server.dialect, url, self.server.role, f"{wanted.seed} {name}",
            TRIES if wanted.faults else 1, 0.5 if wanted.heartbeats else None,
            SKEWS[name] if wanted.faults else 0.0, ZONES[name] if wanted.faults else None,
            wanted.pause,
        )  # fmt: skip

    def go(self) -> dict[str, Any]:
        counts = Counts()
        self.ticker.start()
        try:
            self._serve()
            if self.faults is not None:
                self.faults.stop()
                counts = self.faults.counts()
            if self.fleet.hopeless:
                self.stopped = "too much went wrong"
            else:
                self._end()
        except (CommandError, StuckError) as error:
            self.stopped = str(error)
        finally:
            self.seconds = self.seconds or time.monotonic() - self.started
            if self.faults is not None and self.faults.is_alive():
                with suppress(Exception):
                    self.faults.stop()
            for collector in self.collectors:
                if collector.is_alive():
                    collector.stop()
            self.over.set()
            self.ticker.join()
        return self._result(counts)

    def _serve(self) -> None:
        """The releases come and go, and the calls go on."""
        wanted, story = self.wanted, self.story
        story.release("1")
        for collector in self.collectors:
            collector.start()
        if self.faults is not None:
            self.faults.start()
        self.started = time.monotonic()
        for number in range(2, wanted.releases + 1):
            if wanted.sabotage and number == 2:
                self.server.sabotage(story.published["1"].steady, wanted.sabotage)
            self.fleet.wait_for(wanted.calls * (number - 1) // wanted.releases)
            if self.fleet.hopeless:
                return
            story.release(str(number))
        self.fleet.wait_for(wanted.calls)
        deadline = time.monotonic() + STRUCK_BY
        self.fleet.wait_until(lambda: self._struck() or time.monotonic() > deadline)
        self.seconds = time.monotonic() - self.started

    def _struck(self) -> bool:
        """Whether each kind of fault has struck: a run in which one did not proves little of it."""
        if self.faults is None:
            return True
        retries = sum(stats.retries for stats in self.fleet.stats.values())
        return retries > 0 and self.faults.struck

    def _end(self) -> None:
        """Peace returns: nothing may be left that nobody needs, and nothing may be missing."""
        story = self.story
        story.settle()
        deadline = time.monotonic() + DONE_BY
        while left := story.leftovers():
            if time.monotonic() > deadline:
                story.wrong.append(f"gc leaves {', '.join(left[:20])} after {DONE_BY:g} s")
                break
            time.sleep(0.3)
        for collector in self.collectors:
            collector.stop()
        story.look()
        self.fleet.stop()

    def _tick(self) -> None:
        """Say how far it is, every few seconds."""
        while not self.over.wait(TOLD):
            self.progress()

    def progress(self) -> None:
        """Say how far it is."""
        events = self.events()
        calls, seconds = self.fleet.calls, max(time.monotonic() - self.started, 0.001)
        text = (
            f"{seconds:6.0f} s  {calls:9,} calls  {calls / seconds:6,.0f}/s  release {self.story.newest:>3}"
            f"  dropped {events['drop']:5,}  restored {events['restore']:4,}  problems {self.problems}"
        )
        if self.faults is not None:
            retries = sum(stats.retries for stats in self.fleet.stats.values())
            text += f"  retries {retries:,}  killed {self.commands.killed.total()}"
        print(text, file=sys.stderr, flush=True)

    @property
    def problems(self) -> int:
        failed = sum(len(collector.failed) for collector in self.collectors)
        return len(self.fleet.problems) + len(self.story.wrong) + failed

    def events(self) -> Counter[str]:
        """Return how many versions each kind of event concerned, as the audit trail has it."""
        found: Counter[str] = Counter()
        if not self.story.newest:
            return found
        for action, detail in self.server.rows("SELECT action, detail FROM procver.event"):
            about = json.loads(detail) if isinstance(detail, str) else detail or {}
            versions = about.get("versions")
            found[action] += len(versions) if isinstance(versions, list) else 1
        return found

    def _result(self, counts: Counts) -> dict[str, Any]:
        fleet, story, stats = self.fleet, self.story, list(self.fleet.stats.values())
        begun = sum(s.begun for s in stats)
        answered = sum(s.answered for s in stats)
        lost = sum(p.what == "lost" for p in fleet.problems)
        failed = sum(p.what == "failed" for p in fleet.problems)
        other = list(story.wrong) + [f"gc: {f}" for c in self.collectors for f in c.failed]
        if self.stopped is not None:
            other.append(f"stopped: {self.stopped}")
        elif not fleet.hopeless and begun != answered + lost + failed:
            other.append(f"{begun} calls begun, {answered} answered")
        releases: Counter[str] = Counter()
        for one in stats:
            releases.update(one.releases)
        because: Counter[str] = Counter()
        for collector in self.collectors:
            because.update(collector.because)
        result: dict[str, Any] = {
            "ok": not fleet.problems and not other,
            "dialect": self.server.dialect,
            "seed": self.wanted.seed,
            "seconds": round(self.seconds, 1),
            "calls": {
                "begun": begun,
                "answered": answered,
                "right": releases.total(),
                "wrong": sum(p.what == "wrong" for p in fleet.problems),
                "failed": failed,
                "lost": lost,
                "per_second": round(answered / max(self.seconds, 0.001)),
                "median_ms": round(fleet.quantile(0.5) * 1000, 2),
                "p99_ms": round(fleet.quantile(0.99) * 1000, 2),
                "longest_ms": round(max(s.longest for s in stats) * 1000, 1),
                "retries": sum(s.retries for s in stats),
                "connections": sum(s.connections for s in stats),
                "by_instance": {name: fleet.stats[name].answered for name in fleet.names},
                "by_release": dict(sorted(releases.items(), key=lambda item: int(item[0]))),
            },
            "done": dict(story.done) | {"returns to earlier content": story.author.returns},
            "versions": dict(self.events()),
            "gc": {
                "runs": sum(c.begun for c in self.collectors),
                "completed": sum(c.completed for c in self.collectors),
                "kept_because": dict(because.most_common()),
            },
            "commands": {
                "runs": dict(self.commands.runs),
                "killed": dict(self.commands.killed),
                "again": dict(self.commands.again),
            },
            "problems": [p._asdict() for p in fleet.problems] + other,
        }
        if self.faults is not None:
            result["faults"] = {
                "terminated": dict(self.faults.terminated),
                "storms": self.faults.storms,
                "network": counts._asdict(),
            }
        return result
