"""The proof in short form on SQL Server; see tests/live/test_rollout.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mssql.conftest import Place, server_url

ROOT = Path(__file__).parents[2]


def play(*words: str, code: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "bench.rollout", "--target", server_url(), "--pause", "0.01", "--json", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_no_call_fails_while_releases_come_and_go() -> None:
    found = play("--releases", "3", "--calls", "2000", "--seed", "97")
    assert found["calls"]["begun"] == found["calls"]["right"] >= 2000
    assert len(found["calls"]["by_release"]) == 3
    assert found["versions"]["drop"] > 0


def test_no_call_is_lost_under_faults(shared: Place) -> None:
    if shared.sql("SELECT CAST(SERVERPROPERTY('Babelfish') AS int)") != [(None,)]:
        pytest.skip(
            "Babelfish takes longer for a command than the network holds between two faults"
        )
    found = play("--faults", "--releases", "2", "--calls", "2000", "--seed", "150")
    assert found["calls"]["begun"] == found["calls"]["right"] >= 2000
    assert found["calls"]["retries"] > 0
    assert found["faults"]["network"]["broken"] > 0


@pytest.mark.parametrize(("how", "what"), [("drop", "failed"), ("alter", "wrong")])
def test_a_broken_contract_would_be_noticed(how: str, what: str) -> None:
    found = play("--sabotage", how, "--releases", "2", "--calls", "1000000", code=1)
    assert what in {problem["what"] for problem in found["problems"][:20]}
