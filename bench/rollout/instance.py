"""One copy of the app, in a process of its own: calls without pause through its release's mapping, and checks every answer."""

from __future__ import annotations

import itertools
import logging
import math
import os
import random
import signal
import time
from contextlib import nullcontext
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench.rollout import skew
from bench.rollout.contract import Asked
from bench.rollout.server import LostError, Session, open_session
from procver import Heartbeat, Resolver
from procver.following import Following

TOLD = 0.3
"""Seconds between two reports."""

LOOK = 0.1
"""Seconds between two looks at a channel."""

TOGETHER = 20
"""One in so many requests makes three calls in one transaction."""

BUCKETS = 160
"""Of the histogram of durations: bucket n is up to 1.1 ** n * 10 microseconds."""


class Setup(NamedTuple):
    """What an instance is started with.

    Attributes:
        name: ``web-1``.
        dialect: of the server.
        url: where it connects to.
        role: as whom it calls.
        seed: of its dice.
        tries: how often a call is made, at most, if the connection breaks.
        every: seconds between two heartbeats; None: it sends none.
        skew: seconds by which its clock is wrong.
        zone: its time zone, as PostgreSQL's client library takes it.
        pause: seconds between two requests.
    """

    name: str
    dialect: str
    url: str
    role: str | None
    seed: str
    tries: int
    every: float | None
    skew: float = 0.0
    zone: str | None = None
    pause: float = 0.0


class Deployment(NamedTuple):
    """What an instance is told to run.

    Attributes:
        release: a release's name.
        promises: what it answers.
        mapping: the file with its mapping; None: in the registry.
        channel: what the instance follows to come to that release, without being stopped; None: it is replaced.
    """

    release: str
    promises: list[Asked]
    mapping: str | None = None
    channel: str | None = None


class Problem(NamedTuple):
    """A call that failed, was answered wrongly, or was never answered; ``what`` says which: failed, wrong, lost."""

    what: str
    instance: str
    release: str
    call: str
    detail: str
    at: float


class Stats(NamedTuple):
    """What an instance has done so far.

    Attributes:
        begun: calls begun.
        answered: calls that were answered, rightly or not.
        releases: calls answered rightly, by release.
        retries: calls made again because the connection broke.
        connections: connections opened for calls.
        longest: seconds of the slowest try of a call.
        histogram: how many calls took how long.
    """

    begun: int = 0
    answered: int = 0
    releases: dict[str, int] = {}  # noqa: RUF012 - never changed
    retries: int = 0
    connections: int = 0
    longest: float = 0.0
    histogram: tuple[int, ...] = (0,) * BUCKETS


def serve(setup: Setup, pipe: Connection) -> None:
    """Be an instance until told to stop, or until whoever tells is gone."""
    for sign in (signal.SIGINT, signal.SIGTERM):  # the driver ends it, or its own end does
        signal.signal(sign, signal.SIG_IGN)
    if setup.tries > 1:
        logging.getLogger("procver").setLevel(logging.CRITICAL)  # heartbeats fail here on purpose
    if setup.zone:
        os.environ["PGTZ"] = setup.zone
    skew.apply(setup.skew)
    instance = _Instance(setup, pipe)
    try:
        instance.run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(1)  # the driver is gone: nobody wants to hear a goodbye


class _Instance:
    def __init__(self, setup: Setup, pipe: Connection) -> None:
        self.setup, self.pipe = setup, pipe
        self.dice = random.Random(setup.seed)
        self.session: Session | None = None
        self.heart: Heartbeat | None = None
        self.beats = setup.every is not None
        self.procs: Resolver | Following | None = None
        self.promises: dict[str, list[Asked]] = {}
        self.awaited: str | None = None
        self.begun = self.answered = self.retries = self.connections = 0
        self.releases: dict[str, int] = {}
        self.longest = 0.0
        self.histogram = [0] * BUCKETS

    def run(self) -> None:
        told = time.monotonic()
        for number in itertools.count():
            while self.procs is None or self.pipe.poll():
                if not self.obey(*self.pipe.recv()):
                    return
            procs = self.procs.current if isinstance(self.procs, Following) else self.procs
            if procs.release == self.awaited:
                self.awaited = None
                self.tell()
                self.pipe.send(("on", procs.release))
            promised = self.promises[procs.release]
            several = number % TOGETHER == 0
            self.request(procs, [self.dice.choice(promised) for _ in range(3 if several else 1)])
            if self.setup.pause:
                time.sleep(self.setup.pause)
            if time.monotonic() - told > TOLD:
                told = time.monotonic()
                self.tell()

    def obey(self, order: str, argument: Any = None) -> bool:
        """Do what the driver says, between two calls; return whether to go on."""
        if order == "run":
            self.awaited = argument.release
            self.promises[argument.release] = argument.promises
            if argument.channel is None:
                self.deploy(argument)
            elif self.procs is None:
                self.follow(argument.channel)
        elif order == "learn":
            self.promises[argument.release] = argument.promises
            self.pipe.send(("learned", argument.release))
        elif order == "beat":
            self.beats = argument
            if argument:
                self.pipe.send(("beats", self.begin_beating()))
            else:
                if self.heart is not None:
                    self.heart.stop(goodbye=False)  # it just falls silent
                    self.heart = None
                self.pipe.send(("beats", False))
        elif order == "stop":
            self.stop_beating()
            if isinstance(self.procs, Following):
                self.procs.close()
            self.close()
            self.tell()
            self.pipe.send(("stopped", None))
            return False
        return True

    def deploy(self, deployment: Deployment) -> None:
        """Go on as another release: as if this copy of the app were stopped, replaced and started."""
        self.stop_beating()
        if self.dice.random() < 0.5:
            self.close()  # otherwise the new one inherits the connection, and what the server prepared for it
        mapping = deployment.mapping
        procs: Resolver = self.patiently(
            lambda session: (
                Resolver.from_database(session.raw, release=deployment.release)
                if mapping is None
                else Resolver.load(mapping)
            )
        )
        self.patiently(lambda session: procs.verify(session.raw))
        self.procs = procs
        if self.beats:
            self.begin_beating()

    def follow(self, channel: str) -> None:
        """Run whatever release a channel points to, from now on."""
        self.procs = self.patiently(
            lambda _: Resolver.follow(lambda: self.open("channel").raw, channel, every=LOOK)
        )

    def open(self, what: str) -> Session:
        setup = self.setup
        return open_session(setup.dialect, setup.url, f"{setup.name} {what}".strip(), setup.role)

    def patiently(self, work: Any) -> Any:
        """Do what an app does at its start, again if the connection breaks."""
        for attempt in itertools.count(1):
            try:
                return work(self.connected())
            except Exception:
                if attempt >= self.setup.tries:
                    raise
                self.close()
                time.sleep(min(1.0, 0.01 * 2**attempt))

    def begin_beating(self) -> bool:
        """Send heartbeats from now on, the first one before any call; return whether it was recorded."""
        setup = self.setup
        if setup.every is None:
            return False
        self.heart = Heartbeat(
            lambda: self.open("heartbeat").raw, self.procs, setup.name, every=setup.every
        )
        for _ in range(setup.tries):
            if self.heart.beat():
                break
            time.sleep(0.05)
        self.heart.start()
        return self.heart.failures == 0

    def stop_beating(self) -> None:
        """Say goodbye to the release; as often as it takes, within reason."""
        if self.heart is not None:
            for _ in range(self.setup.tries):
                if self.heart.stop():
                    break
                time.sleep(0.05)
            self.heart = None

    def connected(self) -> Session:
        if self.session is None:
            self.session = self.open("")
            self.connections += 1
        return self.session

    def close(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def request(self, procs: Resolver, calls: list[Asked]) -> None:
        """Make calls, in one transaction if they are several, and again if the connection breaks."""
        self.begun += len(calls)
        call = calls[0]
        for attempt in itertools.count(1):
            answers = []
            try:
                session = self.connected()
                with session.transaction() if len(calls) > 1 else nullcontext():
                    for call in calls:
                        sql = call.sql.format_map(procs)
                        started = time.monotonic()
                        answers.append(session.ask(sql, call.parameters))
                        self.took(time.monotonic() - started)
            except LostError as error:
                self.close()
                if attempt >= self.setup.tries:
                    self.problem(procs, "lost", call, f"{error} ({attempt} tries)")
                    return
                self.retries += 1
                time.sleep(min(0.5, 0.005 * 2**attempt) * self.dice.random())
                continue
            except Exception as error:
                self.close()
                self.problem(procs, "failed", call, f"{type(error).__name__}: {error}")
                return
            break
        release = procs.release
        for call, (columns, rows) in zip(calls, answers, strict=True):
            self.answered += 1
            got = [tuple(row) for row in rows]
            named = tuple(column.lower() for column in columns)
            if named != call.columns or got != list(call.rows):
                self.problem(
                    procs,
                    "wrong",
                    call,
                    f"{named} {got}, promised {call.columns} {list(call.rows)}",
                )
            else:
                self.releases[release] = self.releases.get(release, 0) + 1

    def took(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        bucket = int(math.log(max(seconds, 1e-5) * 1e5, 1.1))
        self.histogram[min(bucket, BUCKETS - 1)] += 1

    def problem(self, procs: Resolver, what: str, call: Asked, detail: str) -> None:
        text = call.sql.format_map(procs)
        found = Problem(what, self.setup.name, procs.release, text, detail, time.time())
        self.pipe.send(("problem", found))

    def tell(self) -> None:
        self.pipe.send(("stats", Stats(
            self.begun, self.answered, dict(self.releases), self.retries, self.connections, self.longest,
            tuple(self.histogram),
        )))  # fmt: skip
