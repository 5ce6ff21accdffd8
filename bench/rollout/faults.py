"""Faults at random: terminated backends, killed commands, bad weather on the network. Lost heartbeats are part of the story."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter

from bench.rollout.commands import Commands
from bench.rollout.proxy import CALM, ROUGH, Counts, Proxy
from bench.rollout.server import Server

PAUSE = (0.2, 1.2)
"""Seconds between two faults."""

STORM = 0.7
"""Seconds for which the network refuses every new connection, and breaks the others soon."""


class Faults(threading.Thread):
    """Disturbs until told to stop.

    Args:
        server: whose backends are terminated.
        commands: which are killed.
        proxies: all ways from app and commands to the server.
        seed: of the dice.

    Attributes:
        terminated: whose backends were terminated: instances, heartbeats, commands.
        storms: how often the network was down.
    """

    def __init__(self, server: Server, commands: Commands, proxies: list[Proxy], seed: str) -> None:
        super().__init__(name="faults", daemon=True)
        self.terminated: Counter[str] = Counter()
        self.storms = 0
        self.error: Exception | None = None
        self._server, self._commands, self._proxies = server, commands, proxies
        self._dice = random.Random(seed)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Disturb, now here, now there."""
        dice = self._dice
        try:
            self._weather(rough=True)
            while not self._stopped.wait(dice.uniform(*PAUSE)):
                kind = dice.choices(
                    ("terminate", "gc", "publish", "release", "storm"), (6, 2, 3, 1, 0.5)
                )[0]
                if kind == "terminate":
                    whose = self._server.terminate(dice)
                    if whose is not None:
                        self.terminated[_sort(whose)] += 1
                elif kind == "storm":
                    self._storm()
                else:
                    self._commands.kill(kind)
        except Exception as error:
            self.error = error
        finally:
            with contextlib.suppress(
                OSError, EOFError
            ):  # the proxies may be gone, if this program was stopped
                self._weather(rough=False)

    def _weather(self, *, rough: bool) -> None:
        for proxy in self._proxies:
            proxy.set(ROUGH if rough else CALM)

    def _storm(self) -> None:
        self.storms += 1
        for proxy in self._proxies:
            proxy.set(ROUGH._replace(refuse=1.0))
        self._stopped.wait(self._dice.uniform(0, STORM))
        self._weather(rough=True)

    @property
    def struck(self) -> bool:
        """Whether a backend was terminated and a command killed; connections break by themselves."""
        return self.terminated.total() > 0 and self._commands.killed.total() > 0

    def stop(self) -> None:
        """Let there be peace."""
        self._stopped.set()
        self.join()
        if self.error is not None:
            raise self.error

    def counts(self) -> Counts:
        """Return what all proxies have done."""
        found = [proxy.set(CALM) for proxy in self._proxies]
        return Counts(*(sum(column) for column in zip(*found, strict=True)))


def _sort(name: str) -> str:
    if "heartbeat" in name:
        return "heartbeats"
    return "instances" if name.startswith("web-") else "commands"
