"""Running procver's commands as processes, as a pipeline and a scheduled job would; killing them, and running them again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

TRIES = 40
"""How often a command is run, at most, if faults end it."""

SPARED = 6
"""Attempts after which a command is killed no more: on a slow server none would ever come to its end."""

LOST = 3
"""The exit code of a command that the database refused or that lost its connection."""


class CommandError(Exception):
    """A command ended as it should not have."""


class Commands:
    """procver in a project's directory.

    Args:
        root: the project.
        url: its target.
        faults: whether a command may lose its connection or be killed, and is then run again.
        seed: of the clocks that commands run by, under faults.

    Attributes:
        runs: how often each command was run.
        again: how often each was run again, because of a fault.
        killed: how often each was killed.
    """

    def __init__(self, root: Path, url: str, *, faults: bool, seed: str) -> None:
        self.root = root
        self.faults = faults
        self.runs: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self._environ = {**os.environ, "PROCVER_TARGET": url, "PYTHONPATH": str(ROOT)}
        self._dice = random.Random(f"{seed} clocks")
        self._lock = threading.Lock()
        self._running: dict[subprocess.Popen[str], str] = {}

    def run(
        self, *words: str, kill_after: float | None = None, allowed: tuple[int, ...] = (0,)
    ) -> Any:
        """Run a command to its end, again and again if faults end it early; return its document.

        Args:
            words: the command.
            kill_after: seconds after which the first attempt is killed.
            allowed: exit codes that are no error; others than 0 only for an attempt after the first.

        Raises:
            CommandError: it failed.
        """
        for attempt in range(1, TRIES + 1):
            code, output, errors = self.once(*words, kill_after=kill_after, spared=attempt > SPARED)
            kill_after = None
            if code == 0 or (attempt > 1 and code in allowed):
                return json.loads(output) if code == 0 else None
            if not (self.faults and code in (LOST, -9)):
                break
            self.again[words[0]] += 1
            time.sleep(0.05)
        said = (output or errors).strip()[-2000:]
        raise CommandError(f"procver {' '.join(words)}: exit code {code}: {said}")

    def once(
        self, *words: str, kill_after: float | None = None, spared: bool = False
    ) -> tuple[int, str, str]:
        """Run a command, ``spared`` by `kill`; return exit code, stdout and stderr."""
        skew = self._dice.choice((0, -86400, -61, 5400, 31e6)) if self.faults else 0
        module = ["bench.rollout.skew", f"{skew:g}"] if skew else ["procver"]
        process = subprocess.Popen(
            [sys.executable, "-m", *module, *words, "--json", "-C", str(self.root)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self._environ, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        with self._lock:
            self.runs[words[0]] += 1
            self._running[process] = f"spared {words[0]}" if spared else words[0]
        timer = threading.Timer(kill_after, self._kill, (process,)) if kill_after else None
        if timer:
            timer.start()
        try:
            output, errors = process.communicate()
        finally:
            if timer:
                timer.cancel()
            with self._lock:
                del self._running[process]
        return process.returncode, output, errors

    def _kill(self, process: subprocess.Popen[str]) -> None:
        with self._lock:
            command = self._running.get(process)
            if command is not None and process.poll() is None:
                self.killed[command] += 1
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    def kill(self, command: str) -> bool:
        """Send SIGKILL to a running ``command``; return whether there was one."""
        with self._lock:
            found = next((p for p, word in self._running.items() if word == command), None)
        if found is None:
            return False
        self._kill(found)
        return True

    def kill_all(self) -> None:
        """Let no command outlive this program."""
        with self._lock:
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


class Collector(threading.Thread):
    """The scheduled job: ``gc --apply`` every second, or at once again if it took longer.

    Attributes:
        every: seconds from one start to the next.
        failed: what no fault explains.
        because: how often versions were kept, by reason.
        begun: how many runs there were.
        completed: how many of them came to their end.
    """

    def __init__(self, commands: Commands, every: float) -> None:
        super().__init__(name="gc", daemon=True)
        self.every = every
        self.failed: list[str] = []
        self.because: Counter[str] = Counter()
        self.begun = self.completed = 0
        self._commands = commands
        self._stopped = threading.Event()

    def run(self) -> None:
        """Collect until `stop`."""
        while not self._stopped.is_set():
            started = time.monotonic()
            self.begun += 1
            code, output, errors = self._commands.once("gc", "--apply")
            if code == 0:
                self.completed += 1
                for keep in json.loads(output)["keep"]:
                    self.because[_reason(keep["because"][0])] += 1
            elif not (self._commands.faults and code in (LOST, -9)) and not self._stopped.is_set():
                self.failed.append(f"exit code {code}: {(output or errors).strip()[-1000:]}")
            self._stopped.wait(max(0.0, started + self.every - time.monotonic()))

    def stop(self) -> None:
        """End it after the present run."""
        self._stopped.set()
        self.join()


def _reason(because: str) -> str:
    """Return a reason to keep a version without the names in it."""
    root = because.partition(" -> ")[0]
    if "instance" in root:
        return "an instance is on the release"
    if "depends on it" in root:
        return "an object made by hand depends on it"
    return root.partition(" (")[2].rstrip(")") or root
