"""What does collecting cost? Marking in a registry with a long history, and drops beside raw ones.

    python -m bench.collect [--objects 10000] [--releases 1000] [--drops 5000] [--rounds 3]

The history is made of real publications, the first and the last, and of rows between them as so many publications would have
left: each release changes ten objects. The raw side is ``psql -f`` with one DROP for each version, each its own transaction.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from bench import corpus
from bench.measure import Cost, run
from bench.publish import database, psql
from procver.dialects import embedded

CHANGES = 10
PROCVER = [sys.executable, "-m", "procver"]
HISTORY = """
WITH project AS (SELECT id FROM procver.project WHERE name = 'bench'),
object AS (SELECT v.*, row_number() OVER (ORDER BY v.id) - 1 AS place FROM procver.version v),
step AS (SELECT n, o.* FROM generate_series(1, {releases}) n JOIN object o ON o.place % ({objects} / {changes}) = n % ({objects} / {changes})),
made AS (
    INSERT INTO procver.version (project_id, name, kind, number, fingerprint, shape, source_digest, source_path, schema, leaf,
                                 physical, definition, seal, requires, state, digest, privileges, dropped_at)
    SELECT project_id, name, kind, number + n, fingerprint || n, shape || n, source_digest, source_path, schema, leaf || '_' || n,
           physical || '_' || n, definition, seal, requires, 'dropped', digest, privileges, now()
    FROM step RETURNING id, project_id, number
)
INSERT INTO procver.membership (project_id, version_id, since, until) SELECT project_id, id, number, number + 1 FROM made;
INSERT INTO procver.release (project_id, name, number, content, activated_at, retired_at)
SELECT p.id, 'history ' || n, n + 1, n::text, now(), now() FROM procver.project p, generate_series(1, {releases}) n
WHERE p.name = 'bench';
UPDATE procver.project SET last_release = {releases} + 1 WHERE name = 'bench';
ANALYZE;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--releases", type=int, default=1_000)
    parser.add_argument("--drops", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="procver-bench-"))
    place.chmod(0o755)
    base = embedded.start(place, "postgres")
    try:
        _history(place, base, arguments.objects, arguments.releases, arguments.rounds)
        _drops(place, base, arguments.drops, arguments.rounds)
    finally:
        embedded.stop(place, "postgres")


def _history(place: Path, base: str, objects: int, releases: int, rounds: int) -> None:
    url, project = database(base), place / "history"
    project.mkdir()
    corpus.write_project(project, url, objects)
    run(*PROCVER, "publish", "-q", "--release", "first", cwd=project)
    run(*PROCVER, "release", "activate", "first", cwd=project)
    with psycopg.connect(url, autocommit=True) as connection:
        text = HISTORY.format(releases=releases, objects=objects, changes=CHANGES)
        connection.execute(text.encode())
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM procver.release), (SELECT count(*) FROM procver.version),"
            " (SELECT count(*) FROM procver.membership), pg_total_relation_size('procver.version') / 1048576"
        ).fetchone()
    print("releases, versions, memberships, MB of versions:", *(counts or ()))
    costs = [run(*PROCVER, "gc", cwd=project) for _ in range(rounds)]
    print(f"gc, nothing to do: {_middle(costs)}")
    costs = [run(*PROCVER, "why", "bench.report_2x_1", cwd=project) for _ in range(rounds)]
    print(f"why of one version: {_middle(costs)}")


def _drops(place: Path, base: str, count: int, rounds: int) -> None:
    ratios = []
    for number in range(rounds):
        raw, ours, project = database(base), database(base), place / f"drops-{number}"
        project.mkdir()
        for url in (raw, ours):
            corpus.write_project(project, url, count)
            run(*PROCVER, "publish", "-q", "--release", "1", cwd=project)
            run(*PROCVER, "release", "activate", "1", cwd=project)
            run(*PROCVER, "release", "retire", "1", cwd=project)
            _keep_nothing(project)
            run(*PROCVER, "gc", "--apply", cwd=project)
        script = place / "drops.sql"
        script.write_text(_script(project))
        by_hand = run(psql(), "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), raw, cwd=place)
        collected = run(*PROCVER, "gc", "--apply", cwd=project)
        with psycopg.connect(ours) as connection:
            row = connection.execute(
                "SELECT count(*) FROM procver.version WHERE state = 'dropped'"
            ).fetchone()
        assert row == (count,), row
        ratios.append(collected.wall / by_hand.wall)
        print(
            f"{count} drops: psql {by_hand.wall:.2f} s, gc {collected.wall:.2f} s wall, {collected.cpu:.2f} s CPU"
        )
    print(
        f"gc / psql, wall: median {statistics.median(ratios):.2f} ({', '.join(f'{r:.2f}' for r in ratios)})"
    )


def _keep_nothing(project: Path) -> None:
    file = project / "procver.toml"
    if "[gc]" not in file.read_text():
        file.write_text(file.read_text() + '[gc]\nkeep_releases = 0\ngrace = "0s"\n')


def _script(project: Path) -> str:
    """Return one DROP for each version that gc would drop, in its order."""
    words = [*PROCVER, "gc", "--json"]
    found = subprocess.run(words, cwd=project, check=True, capture_output=True).stdout
    drops = json.loads(found)["drop"]
    return "".join(f"DROP {drop['kind']} {drop['physical']};\n" for drop in drops)


def _middle(costs: list[Cost]) -> str:
    wall, cpu, peak = (statistics.median(column) for column in zip(*costs, strict=True))
    return f"{wall:.2f} s wall, {cpu:.2f} s CPU, {peak:.0f} MB"


if __name__ == "__main__":
    main()
