"""`procver demo` as a newcomer runs it: a process of its own, on real servers, leaving nothing behind."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from procver.demo.app import AppServer
from procver.demo.sample import Answer, Call, Expected, Sample

COLLECTED = {
    "shop.bestsellers_1", "shop.find_things_1", "shop.place_order_1", "shop.price_tag_1",
    "shop.quote_price_1", "shop.refresh_bestsellers_1", "shop.stock_levels_1", "shop.stock_value_1",
    "shop.thing_listing_1",
}  # fmt: skip
"""What release 1 alone used, as sql/postgresql/README.md says."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for temporary files, with a path too long for a socket; `start` gives it to the demo."""
    with tempfile.TemporaryDirectory(prefix="demo-") as base:
        found = Path(base).resolve() / ("t" * 60)
        found.mkdir()
        yield found


ELSEWHERE = {
    "PGHOST": "192.0.2.1", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGSERVICE": "nowhere",
    "PGUSER": "nobody", "PGDATABASE": "nothing", "PGOPTIONS": "-c nonsense=1", "PGDATA": "/nowhere",
    "PGSSLMODE": "verify-full", "PGREQUIREAUTH": "scram-sha-256", "PGCLIENTENCODING": "latin1",
}  # fmt: skip
"""The environment of somebody who works with another server."""


def start(*words: str, place: Path, **streams: object) -> subprocess.Popen[str]:
    runtime = str(place.parent / "r")
    environ = {**os.environ, "TMPDIR": str(place), "XDG_RUNTIME_DIR": runtime, "COLUMNS": "80"}
    if "--target" not in words and "-t" not in words:
        environ |= ELSEWHERE
    environ.pop("NO_COLOR", None)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **streams}
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-u", "-m", "procver", *words], cwd=place, env=environ, **streams
    )


def run(*words: str, place: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    process = start(*words, place=place)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, (words, out, err)
    return subprocess.CompletedProcess(words, code, out, err)


def servers_in(place: Path) -> list[str]:
    """Return the command lines of processes that have to do with a directory."""
    found = (
        " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
    )
    return [line for line in found if str(place) in line]


def nothing_is_left(place: Path) -> bool:
    # The wheel keeps one lock for all its servers, in the user's runtime directory: that is not ours.
    runtime = [path for path in (place.parent / "r").glob("*/*") if path.name != ".lockfile"]
    assert [*place.iterdir(), *runtime, *servers_in(place.parent)] == []
    return True


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT nspname FROM pg_namespace")}


def refused_as_too_old(place: Path, url: str) -> bool:
    """Return whether the server is older than the sample application needs; then the demo has said so."""
    with psycopg.connect(url) as connection:
        if connection.info.server_version >= 150000:
            return False
    error = json.loads(run("demo", "--target", url, "--json", place=place, code=2).stdout)["error"]
    assert error["message"] == "the server is PostgreSQL 14"
    assert "needs 15 or newer" in error["hint"]
    return True


@pytest.mark.slow
def test_it_needs_nothing_and_leaves_nothing(place: Path) -> None:
    done = run("demo", "--json", place=place)
    document = json.loads(done.stdout)
    assert set(document["collected"]) == COLLECTED
    assert len(document["collected"]) == len(COLLECTED)
    assert (document["errors"], document["findings"], document["failures"]) == (0, 0, [])
    steps = document["steps"]
    assert [step["step"] for step in steps] == [
        "tables", "release-1", "release-2", "rollout", "rollback", "collect",
    ]  # fmt: skip
    least = 2 * 23  # both servers have made every call at least once in every scene
    assert all(step["calls"] > least for step in steps[1:])
    assert sum(step["calls"] for step in steps) == document["calls"]
    assert sum(step["seconds"] for step in steps) < 30
    assert nothing_is_left(place)


def test_a_given_database_is_left_as_it_was(place: Path, url: str) -> None:
    if refused_as_too_old(place, url):
        return
    before = schemas(url)
    parent, child = pty.openpty()  # so that it has a terminal to be colourful on
    process = start("demo", "--target", url, place=place, stdout=child)
    os.close(child)
    shown = b""
    while True:
        try:
            shown += os.read(parent, 65536)
        except OSError:  # Linux's way to say that the other end was closed
            break
    os.close(parent)
    assert process.wait(60) == 0, process.communicate()
    assert b"\x1b[35mshop.find_things_2\x1b[0m" in shown.replace(b"\x1b[36m", b"\x1b[35m")
    assert b", 0 errors, 9 versions collected" in shown
    assert schemas(url) == before
    assert nothing_is_left(place)


@pytest.mark.slow
def test_an_embedded_target_is_found_whatever_the_environment_names(place: Path) -> None:
    run("init", "--name", "hello", place=place)
    try:
        run("publish", "--release", "1", place=place)
        assert json.loads(run("verify", "--json", place=place).stdout)["findings"] == []
    finally:
        run("embedded", "stop", place=place)


def test_what_is_kept_can_be_played_on(place: Path) -> None:
    kept = place.parent / "kept"
    try:
        told = run("demo", "--keep", str(kept), place=place).stdout
        assert "\x1b" not in told
        assert [
            line for line in told.splitlines() if len(line) > 80 and str(kept) not in line
        ] == []
        assert "unit_price  discount     net    tax   gross" in told
        assert "Exactly what release 1 alone used." in told
        assert servers_in(kept) != []
        why = run("why", "shop.order_totals_1", "-C", str(kept), place=place).stdout
        assert "release 2 (live) -> shop.order_totals_1" in why
        back = run("release", "activate", "1", "--restore", "--json", "-C", str(kept), place=place)
        assert set(json.loads(back.stdout)["restored"]) == COLLECTED
        again = run("demo", "--keep", str(kept), "--json", place=place, code=2)
        assert "not empty" in json.loads(again.stdout)["error"]["message"]
    finally:
        run("embedded", "stop", "-C", str(kept), place=place)
    assert servers_in(kept) == []
    assert list(place.glob("procver-*")) == []


@pytest.mark.slow
@pytest.mark.parametrize(("own", "number"), [(True, signal.SIGINT), (False, signal.SIGTERM)])
def test_an_interrupted_demo_leaves_nothing(
    place: Path, url: str, own: bool, number: signal.Signals
) -> None:
    before = schemas(url)
    target = () if own else ("--target", url)
    process = start("demo", "--pace", "0.5", *target, place=place)
    assert process.stdout is not None
    for line in process.stdout:
        if "$ procver publish --release 2" in line:
            break
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "everything that the demo made is removed" in said
    assert nothing_is_left(place)
    assert schemas(url) == before


def test_an_interrupted_start_leaves_nothing(place: Path) -> None:
    process = start("demo", place=place)
    assert process.stdout is not None
    for line in process.stdout:
        if "Starting a PostgreSQL" in line:
            break
    while not list(place.glob("procver-demo-*/.procver/postgres/PG_VERSION")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert nothing_is_left(place)


@pytest.mark.parametrize("schema", ["shop", "procver"])
def test_a_database_in_use_is_refused(place: Path, url: str, schema: str) -> None:
    if refused_as_too_old(place, url):
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    before = schemas(url)
    done = run("demo", "--target", url, "--json", place=place, code=4)
    error = json.loads(done.stdout)["error"]
    assert error["message"] == f"a schema {schema} exists in this database already"
    assert "empty database" in error["hint"]
    assert schemas(url) == before
    assert nothing_is_left(place)


def test_a_password_is_never_shown(place: Path) -> None:
    target = "postgresql://shop:s3cret@127.0.0.1:1/shop"
    done = run("demo", "--target", target, place=place, code=3)
    assert "cannot be reached" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        (Expected(("one",), (("1",),)), None),
        (Expected(("one",)), None),
        (Expected(("one",), (("2",),)), "rows (('1',),), not (('2',),)"),
        (Expected(("two",), (("1",),)), "columns ('one',), not ('two',)"),
        (Expected(error="42883"), "error None, not 42883"),
    ],
)
def test_a_broken_promise_is_counted(
    tmp_path: Path, url: str, expected: Expected, problem: str | None
) -> None:
    mapping = tmp_path / "procver.map.json"
    mapping.write_text('{"procver": 1, "release": "1", "dialect": "postgresql", "objects": {}}')
    server = AppServer("web-1", url, [Call("SELECT 1 AS one", {"1": expected})])
    try:
        server.load(mapping)
        server.go_round()
        assert server.ask("SELECT 1 AS one")[1] == Answer(("one",), (("1",),))
    finally:
        server.stop()
    assert (server.errors > 0) is (problem is not None)
    if problem:
        assert server.failures[0] == f"web-1 on release 1: SELECT 1 AS one: {problem}"


def test_an_installed_sample_is_as_good_as_a_checkout(tmp_path: Path) -> None:
    found = Sample()
    for path in found.directory.rglob("*"):
        if path.is_file():
            copy = tmp_path / "sample" / path.relative_to(found.directory)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o444)
    root = tmp_path / "project"
    Sample(tmp_path / "sample").lay_out(root, 1)
    done = Sample(tmp_path / "sample").lay_out(root, 2)
    assert "-shop/functions/price_tag.sql" in done
    assert not (root / "shop/functions/price_tag.sql").exists()
    assert (root / "shop/views/stock_levels.sql").read_bytes() == (
        found.directory / "release-2/shop/views/stock_levels.sql"
    ).read_bytes()
