"""Running commands and reading off what they cost."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """Wall and CPU seconds of one process, and its peak memory in MB."""

    wall: float
    cpu: float
    peak: float


def run(*words: str, cwd: Path, env: dict[str, str] | None = None) -> Cost:
    """Run a command to its end; its output is shown only if it fails."""
    started = time.monotonic()
    with subprocess.Popen(
        words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{output.decode(errors='replace')[-3000:]}")
    wall = time.monotonic() - started
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
