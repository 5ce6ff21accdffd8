"""The proof in short form (bench/rollout): calls under a rolling deployment, with gc every second, are never failed nor wrong.

The long form and its figures: docs/proof.md.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.servers import Server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Ground:
    """A server on which the proof makes a database of its own."""

    def __init__(self, target: str, patience: float) -> None:
        self.target = target
        self.patience = patience
        self.babelfish = False

    def play(self, *words: str, code: int = 0) -> Any:
        """Run the proof to its end, with room for others on the machine; return its document."""
        done = subprocess.run(
            [sys.executable, "-m", "bench.rollout", "--target", self.target, "--json", *words],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=self.patience,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        named = re.search("database (rollout_[0-9a-f]+)", done.stderr)
        assert named is not None, done.stderr
        assert self.left(named[1]) == [], "it drops its database and role"
        return json.loads(done.stdout)

    def left(self, name: str) -> list[Any]:
        """Return what is left of a run on the server."""
        raise NotImplementedError


class PostgresqlGround(Ground):
    def left(self, name: str) -> list[Any]:
        with psycopg.connect(self.target) as connection:
            return connection.execute(
                "SELECT datname FROM pg_database WHERE datname = %s"
                " UNION ALL SELECT rolname FROM pg_roles WHERE rolname = %s",
                (name, name),
            ).fetchall()


class MssqlGround(Ground):
    def __init__(self, target: str, patience: float) -> None:
        from tests.mssql.conftest import Place, for_database

        super().__init__(target, patience)
        self.place = Place(for_database(target, "master"))
        self.babelfish = self.place.sql("SELECT CAST(SERVERPROPERTY('Babelfish') AS int)") == [(1,)]

    def left(self, name: str) -> list[Any]:
        return self.place.sql("SELECT name FROM sys.databases WHERE name = ?", name)


@pytest.fixture(params=["postgresql", "mssql"])
def ground(request: pytest.FixtureRequest) -> Ground:
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("server")
        return PostgresqlGround(server.url("postgres"), 300)
    from tests.mssql.conftest import server_url

    return MssqlGround(server_url(), 600)


def test_no_call_fails_while_releases_come_and_go(ground: Ground) -> None:
    found = ground.play("--pause", "0.005", "--releases", "3", "--calls", "2000", "--seed", "101")
    calls, versions = found["calls"], found["versions"]
    assert calls["begun"] == calls["right"] >= 2000
    assert len(calls["by_release"]) == 3
    assert min(calls["by_instance"].values()) > 0
    assert found["done"]["channels switched"] > 0
    assert versions["drop"] > 0
    # On Babelfish a command takes seconds: the calls may be over before anything is rolled back.
    if not ground.babelfish:
        assert found["done"]["rolled back"] > 0
    assert found["problems"] == []


def test_no_call_is_lost_under_faults(ground: Ground) -> None:
    if ground.babelfish:
        pytest.skip(
            "Babelfish takes longer for a command than the network holds between two faults"
        )
    found = ground.play(
        "--pause", "0.005", "--faults", "--collectors", "1", "--releases", "2", "--calls", "6000", "--seed", "150",
    )  # fmt: skip
    calls, faults = found["calls"], found["faults"]
    assert calls["begun"] == calls["right"] >= 6000
    assert calls["retries"] > 0
    assert sum(faults["terminated"].values()) > 0
    assert faults["network"]["broken"] > 0
    assert sum(found["commands"]["killed"].values()) > 0
    assert found["problems"] == []


@pytest.mark.parametrize(("how", "what"), [("drop", "failed"), ("alter", "wrong")])
def test_a_broken_contract_would_be_noticed(ground: Ground, how: str, what: str) -> None:
    found = ground.play(
        "--pause", "0.005", "--sabotage", how, "--releases", "2", "--calls", "1000000", code=1
    )
    assert found["calls"][what] >= 20
    first = found["problems"][:20]
    if ground.babelfish and how == "alter":
        # It looks a function up and calls it in two steps: what was just replaced may be gone in between.
        first = [problem for problem in first if problem["what"] != "failed"]
    assert first[0]["what"] == what
    assert "steady_1" in first[0]["call"]
