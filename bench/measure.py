"""Running commands and reading off what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

# A child's peak memory counts from its parent's at the moment of the fork: so the parent is a small one.
_LAUNCH = """
import json, os, sys, time
started = time.monotonic()
pid = os.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
cost = [time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
with open(sys.argv[1], "w") as file:
    json.dump(cost, file)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Cost(NamedTuple):
    """Wall and CPU seconds of one process, and its peak memory in MB."""

    wall: float
    cpu: float
    peak: float


def run(*words: str, cwd: Path, env: dict[str, str] | None = None) -> Cost:
    """Run a command to its end; its output is shown only if it fails."""
    with tempfile.NamedTemporaryFile("r") as file:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCH, file.name, *words],
            cwd=cwd, env={**os.environ, **(env or {})}, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode:
            text = done.stdout.decode(errors="replace")[-3000:]
            raise SystemExit(f"{' '.join(words)} failed:\n{text}")
        return Cost(*json.load(file))
