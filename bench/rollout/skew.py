"""A clock of its own for a process: as on a machine whose time is wrong.

    python -m bench.rollout.skew SECONDS WORD...     runs procver by that clock

What Python code can ask for the time is answered so. The database keeps its own, by which alone procver goes.
"""

from __future__ import annotations

import contextlib
import datetime
import sys
import time
from typing import Self


def apply(seconds: float) -> None:
    """Let this process's clock be wrong by some seconds from now on."""
    if not seconds:
        return
    with contextlib.suppress(ImportError):
        import psycopg  # noqa: F401 - its C code wants to see the real class first
    real, real_ns = time.time, time.time_ns

    class Skewed(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Self:
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> Self:
            return cls.now(datetime.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Self:
            return cls.now()

    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)
    datetime.datetime = Skewed  # type: ignore[misc]


def main() -> None:
    """Run procver's command line by a wrong clock."""
    apply(float(sys.argv.pop(1)))
    from procver.cli import main as procver

    procver()


if __name__ == "__main__":
    main()
