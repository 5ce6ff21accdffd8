"""T-SQL: what planning costs, and a publication beside the raw batches sent one by one over the same kind of connection.

    python -m bench.mssql [--objects 10000]                                # planning alone, no server
    python -m bench.mssql --target 'mssql://...' --publish 300 --rounds 3  # in a database of its own, made and dropped
    python -m bench.mssql --target ... --publish 300 --distance 5          # the server 5 ms away, there and back

The server is whatever the target reaches; its database is that in which CREATE DATABASE is said.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.distance import far
from bench.measure import run

COLUMNS = 24
TABLES = 10


def objects(count: int) -> Iterator[tuple[str, str]]:
    """Yield leaf and source of views on tables and views, and procedures that read and call, 3 kB each."""
    views: list[int] = []
    procedures: list[int] = []
    for number in range(count):
        if number % 5 < 2 or not views:
            below = (
                f"base_{number % TABLES}"
                if number % 5 == 0 or not views
                else f"overview_{views[-1]}x"
            )
            columns = ",\n".join(
                f"    CASE WHEN b.attribute_{c} > {number % 90 + c} THEN b.attribute_{c} ELSE {c} + b.attribute_{c} END"
                f" /* why attribute {c} is chosen so */ AS attribute_{c}"
                for c in range(COLUMNS)
            )
            yield (
                f"overview_{number}x",
                f"CREATE VIEW bench.overview_{number}x AS\nSELECT b.id,\n{columns}\n"
                f"FROM bench.{below} b WHERE b.id <> {number}\n",
            )
            if number % 5 == 0:
                views.append(number)
            continue
        reads = views[number % len(views)]
        call = (
            f"    EXEC bench.report_{procedures[-1]}x @minimum;\n"
            if procedures and number % 2
            else ""
        )
        steps = "".join(
            f"    IF @minimum > {step}\n    BEGIN\n        -- step {step} of report {number}\n"
            f"        SELECT @total = COUNT(*) FROM bench.overview_{reads}x o WHERE o.attribute_{step} > @minimum + {step};\n"
            f"        SET @amount = @amount + COALESCE(@total, 0) * {step};\n    END;\n"
            for step in range(11)
        )
        yield (
            f"report_{number}x",
            f"CREATE PROCEDURE bench.report_{number}x @minimum int AS\nBEGIN\n    SET NOCOUNT ON;\n"
            f"    DECLARE @total bigint, @amount bigint = {number};\n{steps}{call}    SELECT @amount AS amount;\nEND\n",
        )
        procedures.append(number)


def write_project(root: Path, count: int, target: str) -> None:
    """Write a procver project of ``count`` objects to ``root``."""
    root.mkdir()
    (root / "procver.toml").write_text(
        '[project]\nname = "bench"\ndialect = "mssql"\nsources = ["sql"]\ndefault_schema = "bench"\n'
        f"[targets]\nlocal = '{target}'\n"
    )
    for number, (leaf, text) in enumerate(objects(count)):
        folder = root / "sql" / f"{number // 500:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{leaf}.sql").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--target")
    parser.add_argument("--publish", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--distance", type=float, default=0, help="milliseconds there and back")
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="procver-bench-"))
    if not arguments.target:
        write_project(place / "plan", arguments.objects, "mssql://nobody@nowhere/none")
        size = sum(len(text) for _, text in objects(arguments.objects)) / 1e6
        print(f"{arguments.objects} objects, {size:.0f} MB")
        for step, words in (("cold", ("lock", "-q")), ("warm", ("lock", "--check", "-q"))):
            cost = run(sys.executable, "-m", "procver", *words, cwd=place / "plan")
            print(f"planning, {step}: {cost.cpu:.1f} s CPU, {cost.peak:.0f} MB")
        return
    ratios = []
    target = _moved(arguments.target, arguments.distance)
    for number in range(arguments.rounds):
        raw, ours = _round(place / str(number), target, arguments.publish, number)
        ratios.append(ours / raw)
        print(
            f"round {number + 1}: raw batches {raw:.2f} s, publish {ours:.2f} s, ratio {ours / raw:.2f}"
        )
    print(f"publish / raw batches: median {statistics.median(ratios):.2f}")


def _moved(target: str, distance: float) -> str:
    """Return a target that is the same server so many milliseconds away."""
    from procver.dialects.mssql import pyodbc
    from procver.dialects.odbc import read_target

    if not distance:
        return target
    text = read_target(target, pyodbc.drivers()).text
    server = re.search(r"(?i)\bserver=(?:tcp:)?([^;,]+)(?:,(\d+))?", text)
    if server is None:
        raise SystemExit("the target names no server by host and port")
    port = far(server[1], int(server[2] or 1433), distance / 1000)
    return text.replace(server[0], f"SERVER=127.0.0.1,{port}")


def _round(root: Path, target: str, count: int, number: int) -> tuple[float, float]:
    """Return the wall seconds of the raw batches and of ``procver publish``, sources locked before."""
    from procver.dialects.mssql import pyodbc
    from procver.dialects.odbc import read_target

    found = {}
    for contender in ("raw", "ours") if number % 2 else ("ours", "raw"):
        name = f"bench_{uuid.uuid4().hex[:8]}"
        url = re.sub(r"(?i)(\bdatabase=|^mssql://[^/]*/)[^;?]*", rf"\g<1>{name}", target, count=1)
        server = pyodbc.connect(read_target(target, pyodbc.drivers()).text, autocommit=True)
        server.execute(f"CREATE DATABASE {name}")
        try:
            connection = pyodbc.connect(read_target(url, pyodbc.drivers()).text, autocommit=True)
            connection.execute("CREATE SCHEMA bench")
            for table in range(TABLES):
                columns = ", ".join(f"attribute_{c} int NOT NULL" for c in range(COLUMNS))
                connection.execute(
                    f"CREATE TABLE bench.base_{table} (id int PRIMARY KEY, {columns})"
                )
            root.mkdir(exist_ok=True)
            write_project(root / contender, count, url)
            if contender == "raw":
                started = time.monotonic()
                for _, text in objects(count):
                    connection.execute(text)
                found[contender] = time.monotonic() - started
                connection.close()
            else:
                connection.close()
                procver = [sys.executable, "-m", "procver"]
                run(*procver, "lock", "-q", cwd=root / contender)
                found[contender] = run(
                    *procver, "publish", "-q", "-r", "1", cwd=root / contender
                ).wall
        finally:
            _drop(server, name)
            server.close()
    return found["raw"], found["ours"]


def _drop(server: Any, name: str) -> None:
    """Drop a database that Babelfish may take for used while sessions that were closed are ending."""
    for attempt in range(20):
        try:
            server.execute(f"DROP DATABASE {name}")
            return
        except Exception as error:
            if attempt == 19 or "in use" not in str(error):
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    main()
