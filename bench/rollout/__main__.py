"""The command line of the proof."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

from bench.rollout import __doc__ as about
from bench.rollout.run import Wanted, rollout


def main() -> int:
    """Run it; return 0 if all was well, 1 if not, 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.rollout",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--target", help="a server, postgresql://... or mssql://...; it makes a database of its own there and drops it (default: an embedded PostgreSQL)")  # fmt: skip
    parser.add_argument("--calls", type=_count, default=100_000, help="how many at least")
    parser.add_argument("--releases", type=_count, default=50)
    parser.add_argument("--faults", action="store_true", help="kill, terminate, drop and delay")
    parser.add_argument("--heartbeats", action=argparse.BooleanOptionalAction, default=True, help="whether the app sends them")  # fmt: skip
    parser.add_argument("--follow", action=argparse.BooleanOptionalAction, default=True, help="whether one instance follows a channel")  # fmt: skip
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two runs of gc")
    parser.add_argument("--collectors", type=_count, help="jobs that run gc (default: 1, with --faults 2)")  # fmt: skip
    parser.add_argument("--seed", type=int, help="what happens in which order (default: any)")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two requests of an instance (default: none)")  # fmt: skip
    parser.add_argument("--sabotage", choices=("drop", "alter"), help="harm a version in use behind procver's back: this must be noticed")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave server, database and project")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # even where a shell in the background ignores it
    try:
        result = rollout(Wanted(
            given.target, given.calls, given.releases, given.faults, given.heartbeats, given.follow, given.every,
            given.collectors or (2 if given.faults else 1), seed, given.pause, given.sabotage, given.keep,
        ))  # fmt: skip
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(json.dumps(result, indent=2) if given.json else "\n".join(_lines(result)))
    return 0 if result["ok"] else 1


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _lines(result: dict[str, Any]) -> Iterator[str]:
    calls, versions = result["calls"], Counter(result["versions"])
    yield f"seed {result['seed']}, {result['dialect']}, {result['seconds']:,} s"
    per = ", ".join(f"{name} {count:,}" for name, count in calls["by_instance"].items())
    counts = sorted(calls["by_release"].values())
    rows: list[tuple[str, object]] = [
        ("calls answered", f"{calls['answered']:,} ({calls['per_second']:,}/s; {per})"),
        ("  as their release promises", f"{calls['right']:,}"),
        ("  wrong, failed, lost", f"{calls['wrong']}, {calls['failed']}, {calls['lost']}"),
        ("  on how many releases", f"{len(counts)}, {counts[0]:,} to {counts[-1]:,} calls each" if counts else "0"),
        ("  milliseconds", f"median {calls['median_ms']}, 99% {calls['p99_ms']}, longest {calls['longest_ms']}"),
        ("  made again, connections", f"{calls['retries']:,}, {calls['connections']:,}"),
        *((what, f"{count:,}") for what, count in result["done"].items()),
        *((f"versions: {what}", f"{versions[what]:,}") for what in ("create", "condemn", "quarantine", "spare", "drop", "restore")),
        ("gc runs, of these to their end", f"{result['gc']['runs']:,}, {result['gc']['completed']:,}"),
        *((f"  kept: {why}", f"{count:,}") for why, count in result["gc"]["kept_because"].items()),
    ]  # fmt: skip
    if "faults" in result:
        faults = result["faults"]
        network = faults["network"]
        rows += [
            ("backends terminated", _counted(faults["terminated"])),
            ("commands killed", _counted(result["commands"]["killed"])),
            ("commands run again", _counted(result["commands"]["again"])),
            ("connections through proxies", f"{network['connections']:,}"),
            ("  broken, refused", f"{network['broken']:,}, {network['refused']:,}"),
            ("  packets delayed, storms", f"{network['delayed']:,}, {faults['storms']:,}"),
        ]
    width = max(len(what) for what, _ in rows)
    for what, value in rows:
        yield f"{what.ljust(width)}  {value}"
    for problem in result["problems"]:
        yield f"PROBLEM {problem if isinstance(problem, str) else json.dumps(problem)}"
    yield "all was well" if result["ok"] else f"{len(result['problems'])} problem(s)"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
