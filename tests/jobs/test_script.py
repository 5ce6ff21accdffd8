"""The script that cron and systemd run, on a real server: what it does, and what each exit status becomes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.conftest import ALONE, TABLES
from tests.workshop import Workshop

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docker" / "jobs" / "procver-gc.sh"
GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'


@pytest.fixture
def shop(tmp_path: Path, url: str) -> Workshop:
    """A project with one version to condemn."""
    made = Workshop(tmp_path / "project", url, more=GC_NOW)
    made.sql(TABLES)
    made.write(alone=ALONE)
    made.publish("1")
    made.run("release", "activate", "1")
    made.write(alone=ALONE.replace("42", "43"))
    made.publish("2")
    made.run("release", "activate", "2")
    made.run("release", "retire", "1")
    return made


def job(shop: Workshop, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a scheduler would."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(SCRIPT), str(shop.root), *options], capture_output=True, text=True, timeout=120, cwd="/",
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PROCVER_PAUSE": "0", **environ},
    )  # fmt: skip


def test_it_collects_looks_for_drift_and_writes_metrics(shop: Workshop, tmp_path: Path) -> None:
    metrics = tmp_path / "procver.prom"
    for _ in range(2):
        done = job(shop, "--max", "10", "--for", "5m", PROCVER_METRICS=str(metrics))
        assert done.returncode == 0
        assert "error" not in done.stderr
    assert "dropped app.alone_1" in done.stdout
    assert "everything is as it was published" in done.stdout
    assert 'procver_last_gc_dropped{project="shop"} 1\n' in metrics.read_text("utf-8")
    assert shop.objects() == {"app.alone_2"}


def test_one_run_at_a_time(shop: Workshop) -> None:
    lock = shop.root / ".procver" / "gc.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = job(shop)
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            "",
            "another run is still under way\n",
        )
        assert shop.json("status")["gc"] is None
        elsewhere = job(shop, PROCVER_LOCK=str(shop.root / "other.lock"))
        assert (elsewhere.returncode, shop.json("status")["gc"]["condemned"]) == (0, 1)
    assert job(shop).returncode == 0


def test_drift_is_a_finding(shop: Workshop, tmp_path: Path) -> None:
    shop.sql("DROP FUNCTION app.alone_2()")
    done = job(shop, PROCVER_METRICS=str(tmp_path / "m.prom"))
    assert done.returncode == 1
    assert "missing app.alone_2" in done.stdout
    assert "not as it was published" in done.stderr
    assert (tmp_path / "m.prom").exists(), "metrics say how it is, well or not"


def test_a_database_that_is_away_is_tried_again(shop: Workshop, tmp_path: Path) -> None:
    done = job(
        shop,
        PROCVER_TARGET="postgresql://127.0.0.1:1/shop",
        PROCVER_METRICS=str(tmp_path / "m.prom"),
    )
    assert done.returncode == 3
    assert done.stderr.count("error:") == 3
    assert done.stderr.count("trying again") == 2
    assert "the next run goes on" in done.stderr
    assert not (tmp_path / "m.prom").exists()


def test_a_conflict_is_for_a_person(shop: Workshop) -> None:
    shop.sql("INSERT INTO procver.upgrade (number, name) VALUES (999, 'from the future')")
    done = job(shop)
    assert done.returncode == 4
    assert done.stderr.count("error:") == 1, "it is not tried again"
    assert "somebody has to look: procver ended with status 4" in done.stderr


@pytest.mark.parametrize("options", [["--no-such-option"], ["--for", "soon"]])
def test_a_wrong_call(shop: Workshop, options: list[str]) -> None:
    assert job(shop, *options).returncode == 2


def test_without_a_project_it_says_how_to_call_it() -> None:
    done = subprocess.run(["sh", str(SCRIPT)], capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith("usage:")) == (2, True)
