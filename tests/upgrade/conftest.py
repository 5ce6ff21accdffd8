"""procver 0.1.0 out of its wheel, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.worlds import NOW, MssqlWorld, PostgresqlWorld, World

WHEEL = Path(__file__).with_name("procver-0.1.0-py3-none-any.whl")

APP = """\
import importlib, json, sys
import procver
from procver import Heartbeat, Resolver

assert procver.__version__ == "0.1.0", procver.__version__
driver, target, mapping = sys.argv[1:]
connect = lambda: importlib.import_module(driver).connect(target, autocommit=True)
opened = connect()
loaded = Resolver.load(mapping)
for line in sys.stdin:
    try:
        print(json.dumps(eval(line)), flush=True)
    except Exception as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
"""


class OldApp:
    """An app that uses 0.1.0, and evaluates what it is told."""

    def __init__(self, folder: Path, world: World, mapping: Path) -> None:
        driver, target = "psycopg", world.url
        if isinstance(world, MssqlWorld):
            from procver.dialects.mssql import pyodbc
            from procver.dialects.odbc import read_target

            driver, target = "pyodbc", read_target(world.url, pyodbc.drivers()).text
        self.process = subprocess.Popen(
            [sys.executable, "-c", APP, driver, target, str(mapping)], cwd=folder, text=True,
            env={**os.environ, "PYTHONPATH": str(folder)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, expression: str) -> Any:
        """Return the value of an expression, or the error that it raised."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(30) == 0


class Previous:
    """The command line and the apps of 0.1.0, unpacked into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.apps: list[OldApp] = []
        with zipfile.ZipFile(WHEEL) as wheel:
            wheel.extractall(folder)

    def run(self, world: Any, *words: str, code: int = 0) -> Any:
        """Run a command of 0.1.0 in a project; return its document."""
        done = subprocess.run(
            [sys.executable, "-m", "procver", *words, "--json", "-C", str(world.root)], cwd=self.folder,
            capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(self.folder)},
        )  # fmt: skip
        if "data type name to varchar" in done.stdout:
            pytest.skip("Babelfish 4.4 and newer refuse the registry of 0.1.0")
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def app(self, world: World, mapping: Path) -> OldApp:
        """Start an app on the world's database that ships with a mapping file."""
        self.apps.append(OldApp(self.folder, world, mapping))
        return self.apps[-1]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("previous")


@pytest.fixture
def previous(folder: Path) -> Iterator[Previous]:
    """The previous procver."""
    made = Previous(folder)
    yield made
    for app in made.apps:
        app.close()


@pytest.fixture(params=["postgresql", "mssql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The sample project on a database without a registry."""
    root = tmp_path / "project"
    if request.param == "postgresql":
        made: World = PostgresqlWorld(root, request.getfixturevalue("url"), more=NOW)
        made.make()
        yield made
        return
    from tests.mssql.conftest import new_database

    with new_database() as place:
        made = MssqlWorld(root, place, more=NOW)
        made.make()
        yield made


@pytest.fixture
def lived(world: World, previous: Previous) -> World:
    """A database as 0.1.0 left it: release 1 retired and condemned, release 2 on an instance and a channel, a trial."""
    old = world.root / "old"
    old.mkdir()
    mapping = world.root / "procver.map.json"
    for release in ("1", "2", "trial"):
        previous.run(world, "publish", "-r", release)
        mapping.rename(old / f"{release}.json")
        if release == "1":
            previous.run(world, "release", "activate", "1")
            world.beat("1", "web-1")
            world.widen()
        else:
            world.answer(100)
    previous.run(world, "release", "activate", "2", "-i", "web-2")
    previous.run(world, "release", "channel", "stable", "2")
    world.beat("1", "web-1", leaving=True)
    previous.run(world, "release", "retire", "1")
    world.beat("2", "web-3")
    previous.run(world, "gc", "--apply")
    if isinstance(world, PostgresqlWorld):
        world.sql("INSERT INTO procver.lane SELECT id, 1, 0 FROM procver.project")
    assert world.sql("SELECT MAX(number) FROM procver.upgrade") == [(1,)]
    return world
