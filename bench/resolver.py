"""What does the resolver cost the app? Nanoseconds per lookup, milliseconds to load and to import.

    python -m bench.resolver [--names 10000] [--pairs 20]

lookup   `resolver[name]`, timed by timeit: one name again and again (hot), and every name of the mapping in shuffled
         order, less the same loop without the lookup. Beside it a plain dict of the same names, as the floor. A bare name relies
         on the default schema. The smallest of several repetitions, as timeit's manual advises: the others measure the machine.
load     `Resolver.load` of the mapping file that `procver map` writes; the median.
import   a process `python -c "from procver import Resolver"` less a process `python -c pass`, run as pairs in alternating
         order, so that a busy machine slows both; the median. Beside it what `-X importtime` says of procver and all that it
         imports: free of the noise of processes, with the cost of measuring on top; the smallest.

Bytecode is cached and the files are in memory (one process of each sort runs before the first pair).
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Mapping
from pathlib import Path

from procver import Resolver
from procver.mapping import Mapped, to_json
from procver.objects import Kind

ROOT = Path(__file__).resolve().parent.parent
IMPORT = "from procver import Resolver"
REPEATS = 7


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=20)
    arguments = parser.parse_args()
    names = [f"shop.report_{number}" for number in range(arguments.names)]
    with tempfile.TemporaryDirectory(prefix="procver-bench-") as place:
        file = Path(place) / "procver.map.json"
        rows = [
            Mapped(name, Kind.FUNCTION, 3, f"{name}_3", "v1:" + f"{number:064x}")
            for number, name in enumerate(names)
        ]
        file.write_text(to_json("1", "postgresql", rows, default_schema="shop"), "utf-8")
        resolver = Resolver.load(file)
        loads = timeit.repeat(lambda: Resolver.load(file), number=1, repeat=3 * REPEATS)
        size = file.stat().st_size / 1e6
    # Equal strings, not the very keys: as in an app, whose literals are not the file's.
    asked = [name[:-1] + name[-1:] for name in names]
    print(f"Python {sys.version.split()[0]}, a mapping of {len(resolver)} names ({size:.1f} MB)\n")
    print("| what | measured |\n|---|---:|")
    for label, mapping in (("resolver", resolver), ("plain dict", dict(resolver.items()))):
        print(f"| lookup, {label}, hot | {_hot(mapping, asked[len(asked) // 2]):.0f} ns |")
        print(f"| lookup, {label}, shuffled | {_shuffled(mapping, asked):.0f} ns |")
    bare = [name.partition(".")[2] for name in names]
    print(f"| lookup, resolver, bare names, hot | {_hot(resolver, bare[len(bare) // 2]):.0f} ns |")
    first = _shuffled(resolver, bare, repeats=1)
    print(f"| lookup, resolver, bare names, the first time | {first:.0f} ns |")
    print(f"| load | {statistics.median(loads) * 1e3:.1f} ms |")
    extra, base, spread = _import_pairs(arguments.pairs)
    print(
        f"| import over bare Python, {arguments.pairs} pairs | {extra:.1f} ms"
        f" (quartiles {spread[0]:.1f} to {spread[1]:.1f}; `python -c pass`: {base:.1f} ms) |"
    )
    print(f"| import, `-X importtime` | {_import_time():.1f} ms |")
    print(f"\nloaded beyond bare Python: {', '.join(_loaded())}")


def _hot(mapping: Mapping[str, str], name: str) -> float:
    """Return nanoseconds of one lookup of the same name."""
    number = 200_000
    known = {"mapping": mapping, "name": name}
    empty = min(timeit.repeat("name", number=number, repeat=REPEATS, globals=known))
    taken = min(timeit.repeat("mapping[name]", number=number, repeat=REPEATS, globals=known))
    return (taken - empty) / number * 1e9


def _shuffled(mapping: Mapping[str, str], names: list[str], repeats: int = REPEATS) -> float:
    """Return nanoseconds of one lookup, over all names in an order of no pattern."""
    order = random.Random(7).sample(names, len(names))

    def loop() -> None:
        for _ in order:
            pass

    def look_up() -> None:
        for name in order:
            mapping[name]

    empty = min(timeit.repeat(loop, number=1, repeat=repeats))
    return (min(timeit.repeat(look_up, number=1, repeat=repeats)) - empty) / len(order) * 1e9


def _import_pairs(pairs: int) -> tuple[float, float, tuple[float, float]]:
    """Return the import's milliseconds, those of bare Python, and the import's quartiles."""
    _process("pass"), _process(IMPORT)
    differences, bases = [], []
    for pair in range(pairs):
        if pair % 2:
            ours, bare = _process(IMPORT), _process("pass")
        else:
            bare, ours = _process("pass"), _process(IMPORT)
        differences.append(ours - bare)
        bases.append(bare)
    low, middle, high = statistics.quantiles(differences, n=4)
    return middle, statistics.median(bases), (low, high)


def _process(script: str) -> float:
    started = time.perf_counter()
    subprocess.run((sys.executable, "-c", script), cwd=ROOT, check=True)
    return (time.perf_counter() - started) * 1e3


def _import_time() -> float:
    """Return the milliseconds that -X importtime counts for procver, what it imports included."""
    found = []
    for _ in range(REPEATS):
        done = subprocess.run(
            (sys.executable, "-X", "importtime", "-c", IMPORT),
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        line = re.search(r"^import time:\s*\d+ \|\s*(\d+) \| procver$", done.stderr, re.MULTILINE)
        assert line, done.stderr
        found.append(int(line[1]) / 1e3)
    return min(found)


def _loaded() -> list[str]:
    script = (
        f"import sys; bare = set(sys.modules); {IMPORT}; print(*sorted(set(sys.modules) - bare))"
    )
    command = (sys.executable, "-c", script)
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


if __name__ == "__main__":
    main()
