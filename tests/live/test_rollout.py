"""The proof in short form (bench/rollout): calls under a rolling deployment, with gc every second, are never failed nor wrong.

The long form and its figures: docs/proof.md.
"""

from __future__ import annotations

import itertools
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from bench.rollout.contract import Author, named, promises, tag
from bench.rollout.postgresql import QUESTIONS, SOURCES
from tests.servers import Server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def start(server: Server, *words: str) -> subprocess.Popen[str]:
    """Start the proof on the tests' server, with room for others on the machine."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench.rollout", "--target", server.url("postgres"), "--pause", "0.005", "--json", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def left(server: Server, said: str) -> list[str]:
    """Return what is left of a run on the server, by what it said of itself."""
    found = re.search("database (rollout_[0-9a-f]+)", said)
    assert found is not None, said
    with psycopg.connect(server.url("postgres")) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE datname = %s"
            " UNION ALL SELECT rolname FROM pg_roles WHERE rolname = %s",
            (found[1], found[1]),
        ).fetchall()
    return [name for (name,) in rows]


def test_an_interrupted_proof_leaves_nothing(server: Server) -> None:
    process = start(server, "--releases", "50", "--faults")
    assert process.stderr is not None
    said = process.stderr.readline() + process.stderr.readline()
    assert len(left(server, said)) == 2
    time.sleep(2)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert left(server, said) == []
    assert len(children) >= 6, "four instances and two proxies"
    deadline = time.monotonic() + 10  # one that was just being started ends by itself
    while running := [pid for pid in children if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, running
        time.sleep(0.1)


def test_every_answer_tells_which_release_it_is_of() -> None:
    author = Author(SOURCES, random.Random(1))
    before = promises(author.contents, SOURCES, QUESTIONS)
    author.contents = author.contents | {"origin": 1}
    after = promises(author.contents, SOURCES, QUESTIONS)
    alike = [
        named(one.sql).pop()
        for one, other in zip(before, after, strict=True)
        if one.rows == other.rows
    ]
    assert sorted(alike) == ["greet", "ping", "steady"], "all that is not built on the view"
    assert tag("settle", author.contents, SOURCES) == (
        "settle.0(describe.0(find_things.0(origin.1)summary.0(origin.1)))"
    )


def test_the_author_changes_returns_and_leaves_out() -> None:
    author = Author(SOURCES, random.Random(1))
    editions = []
    for _ in range(50):
        editions.append(dict(author.contents))
        author.edit()
    assert all(one != other for one, other in itertools.pairwise(editions))
    assert author.returns > 10
    assert len({len(edition) for edition in editions}) > 1
    assert {edition["steady"] for edition in editions} == {0}
    texts = dict(author.files())
    assert texts["origin"] == SOURCES["origin"].text("origin", author.contents["origin"])
    assert (texts["greet"] is None) is ("greet" not in author.contents)
