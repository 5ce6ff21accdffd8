"""The app's operator: starts the instances, tells them what to run, hears what they report."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from bench.rollout.instance import BUCKETS, Deployment, Problem, Setup, Stats, serve

PATIENCE = 120.0
"""Seconds that an instance may take to do what it was told."""

MOST = 20
"""Problems after which there is no point in going on."""


class StuckError(Exception):
    """An instance died or does not answer."""


class Fleet:
    """All instances of the app.

    Attributes:
        on: the release that each instance runs, by name.
        stats: what each last reported.
        problems: what went wrong.
    """

    def __init__(self, setups: list[Setup]) -> None:
        context = multiprocessing.get_context("spawn")
        self.on: dict[str, str] = {}
        self.beats: dict[str, bool] = {setup.name: False for setup in setups}
        self.stats: dict[str, Stats] = {setup.name: Stats() for setup in setups}
        self.problems: list[Problem] = []
        self._changed = threading.Condition()
        self._pipes: dict[str, Connection] = {}
        self._gone: set[str] = set()
        self._replies: dict[str, Any] = {}
        self._processes = []
        for setup in setups:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=serve, args=(setup, theirs), name=setup.name, daemon=True
            )
            process.start()
            theirs.close()
            self._pipes[setup.name] = ours
            self._processes.append(process)
        self.names = tuple(self._pipes)
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def calls(self) -> int:
        """Calls answered so far, as far as was reported."""
        return sum(stats.answered for stats in self.stats.values())

    @property
    def hopeless(self) -> bool:
        """Whether so much went wrong that it makes no sense to go on."""
        return len(self.problems) >= MOST

    def _listen(self) -> None:
        by_pipe = {pipe: name for name, pipe in self._pipes.items()}
        while by_pipe:
            for pipe in wait(list(by_pipe)):
                assert isinstance(pipe, Connection)
                name = by_pipe[pipe]
                try:
                    kind, said = pipe.recv()
                except (EOFError, OSError):
                    kind, said = "gone", None
                    del by_pipe[pipe]
                with self._changed:
                    self._heard(name, kind, said)
                    self._changed.notify_all()

    def _heard(self, name: str, kind: str, said: Any) -> None:
        if kind == "stats":
            self.stats[name] = said
        elif kind == "problem":
            self.problems.append(said)
        elif kind == "gone":
            self._gone.add(name)
        else:
            if kind == "on":
                self.on[name] = said
            elif kind == "beats":
                self.beats[name] = said
            self._replies[name] = kind

    def _tell(self, name: str, order: str, argument: Any, reply: str) -> None:
        """Tell an instance something, and wait until it has done it.

        Raises:
            StuckError: it has not.
        """
        self._replies.pop(name, None)
        with suppress(OSError):  # seen below
            self._pipes[name].send((order, argument))
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            self._changed.wait_for(
                lambda: self._replies.get(name) == reply or name in self._gone,
                deadline - time.monotonic(),
            )
            if self._replies.get(name) != reply:
                state = "has died" if name in self._gone else f"did not answer for {PATIENCE:g} s"
                raise StuckError(f"{name} {state} when told to {order}")

    def deploy(self, name: str, deployment: Deployment, *, beats: bool) -> None:
        """Have an instance run a release; returns once it makes no call on the earlier one any more."""
        self._tell(name, "run", deployment, "on")
        self.beats[name] = beats

    def learn(self, name: str, deployment: Deployment) -> None:
        """Tell an instance that follows a channel what a release promises, to which that is about to point."""
        self._tell(name, "learn", deployment, "learned")

    def beat(self, name: str, on: bool) -> None:
        """Have an instance send heartbeats, or fall silent."""
        self._tell(name, "beat", on, "beats")

    def wait_for(self, calls: int) -> None:
        """Wait until so many calls were answered; ends early where all is lost."""
        self.wait_until(lambda: self.calls >= calls)

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait until something is so, while the calls go on; ends early where all is lost.

        Raises:
            StuckError: an instance died.
        """
        while not (reached() or self.hopeless):
            if self._gone:
                raise StuckError(f"{', '.join(sorted(self._gone))} died")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop all instances after the call that each is making."""
        for name in self.names:
            if name not in self._gone:
                self._tell(name, "stop", None, "stopped")
        for process in self._processes:
            process.join(10)

    def kill(self) -> None:
        """Make sure that no process is left."""
        for process in self._processes:
            if process.is_alive():
                process.kill()
            process.join(10)

    def quantile(self, share: float) -> float:
        """Return the seconds that this share of calls took at most, within a tenth."""
        counts = [sum(s.histogram[n] for s in self.stats.values()) for n in range(BUCKETS)]
        left = share * sum(counts)
        for bucket, count in enumerate(counts):
            left -= count
            if left <= 0:
                return 1e-5 * 1.1 ** (bucket + 1)
        return 0.0
