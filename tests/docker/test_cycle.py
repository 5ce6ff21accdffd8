"""The steps of the compose file, run without Docker against PROCVER_TEST_MSSQL_URL; and every call of the sample."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

from tests.mssql.conftest import for_database, server_url

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sql" / "mssql"
SCRIPTS = ROOT / "docker" / "scripts"

CREATED_BY_2 = {
    "OrderLines", "fnThingsOver", "spDailyReport", "spFindAllThings", "spPlaceOrder", "spQuotePrice",
    "spStockValue", "vBackorders", "vBestsellers", "vStockLevels", "vThingListing",
}  # fmt: skip


class Shop:
    """The sample's database and project, and the scripts that compose runs in its containers.

    Args:
        url: the server, and a database of it that is there.
        place: an empty directory.
    """

    def __init__(self, url: str, place: Path) -> None:
        import pyodbc

        from procver.dialects.odbc import read_target

        self.admin = _connection(url)
        self.name = f"shop_{uuid.uuid4().hex[:12]}"
        self.admin.execute(f"CREATE DATABASE {self.name}")
        self.url = for_database(url, self.name)
        self.connection = _connection(self.url)
        row = self.admin.execute("SELECT CAST(SERVERPROPERTY('Babelfish') AS int)").fetchone()
        self.babelfish = row[0] == 1
        self.project = place / "project"
        self.project.mkdir()
        sample = shutil.copytree(SAMPLE, place / "sample")
        if self.babelfish:
            config = sample / "release-1" / "procver.toml"
            text = config.read_text("utf-8")
            assert "babelfish = false" in text
            config.write_text(text.replace("babelfish = false", "babelfish = true"), "utf-8")
        programs = place / "bin"
        programs.mkdir()
        (programs / "procver").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m procver "$@"\n')
        (programs / "procver").chmod(0o755)
        self.environ = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SAMPLE": str(sample),
            "SHOP_DATABASE_URL": self.url,
            "SHOP_WEB_DATABASE_URL": read_target(self.url, pyodbc.drivers()).text,
        }
        for migration in sorted((SAMPLE / "migrations").glob("*.sql")):
            for batch in re.split(r"(?m)^GO$", migration.read_text("utf-8")):
                if re.sub(r"--.*", "", batch).strip():
                    self.connection.execute(batch)
        if not self.babelfish:  # which knows no user without a login
            self.connection.execute(
                "CREATE USER web WITHOUT LOGIN; ALTER ROLE shop_app ADD MEMBER web;"
            )

    def run(self, *words: str) -> str:
        """Run a command in the project as a container would; return what it printed."""
        done = subprocess.run(
            words, cwd=self.project, env=self.environ, capture_output=True, text=True
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def script(self, name: str, *words: str) -> str:
        """Run a script of the compose file."""
        return self.run("sh", str(SCRIPTS / name), *words)

    @contextmanager
    def cleanup(self) -> Iterator[None]:
        """Run the scheduled job beside the block; it must end when it is told to."""
        environ = {**self.environ, "CLEANUP_INTERVAL": "1"}
        job = subprocess.Popen(
            ["sh", str(SCRIPTS / "cleanup.sh")],
            cwd=self.project,
            env=environ,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            job.terminate()
            assert job.wait(60) == 0

    def mapping(self, release: str) -> dict[str, str]:
        """Return the physical names of a release."""
        text = (self.project / f"release-{release}.json").read_text("utf-8")
        objects = json.loads(text)["objects"]
        return {name: entry["physical"] for name, entry in objects.items()}

    def problems(self, release: str) -> list[str]:
        """Return where the database breaks a promise of calls.toml for a release."""
        names, found, asked = self.mapping(release), [], 0
        for call in tomllib.loads((SAMPLE / "calls.toml").read_text("utf-8"))["call"]:
            promise = call.get(f"release-{release}", call.get("both"))
            if promise is None or (self.babelfish and call.get("only") == "sqlserver"):
                continue
            asked += 1
            sql = re.sub(r"\{([\w.]+)\}", lambda match: names[match[1]], call["sql"])
            problem = self._problem(sql, promise)
            if problem:
                found.append(f"{sql.strip()}: {problem}")
        assert asked > 15
        return found

    def _problem(self, sql: str, promise: Mapping[str, Any]) -> str | None:
        import pyodbc

        cursor = self.connection.cursor()
        columns: list[str] = []
        rows: list[list[str]] = []
        error = None
        as_web = ("", "") if self.babelfish else ("EXECUTE AS USER = 'web'; ", " REVERT;")
        try:
            cursor.execute("BEGIN TRANSACTION")
            cursor.execute(f"SET NOCOUNT ON; {as_web[0]}{sql}")
            while True:
                if cursor.description:
                    columns = [column[0] for column in cursor.description]
                    rows = [[_text(value) for value in row] for row in cursor.fetchall()]
                if not cursor.nextset():
                    break
        except pyodbc.Error as raised:
            error = str(raised)
        finally:
            cursor.close()
            self.connection.execute(f"IF @@TRANCOUNT > 0 ROLLBACK;{as_web[1]}")
        if "error" in promise:
            # Babelfish sends most of its errors under one number of its own.
            numbers = [promise["error"]] + (["33557097"] if self.babelfish else [])
            if error is None or not any(f"({number})" in error for number in numbers):
                return f"{error or rows}, not error {promise['error']}"
            return None
        if error is not None or columns != promise["columns"]:
            return f"{error or columns}, not {promise['columns']}"
        wanted = promise.get("rows")
        if wanted is not None and not _same(rows, wanted):
            return f"{rows}, not {wanted}"
        return None

    def close(self) -> None:
        """Drop the database."""
        self.connection.close()
        if not self.babelfish:
            self.admin.execute(
                f"ALTER DATABASE {self.name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE"
            )
        self.admin.execute(f"DROP DATABASE {self.name}")
        self.admin.close()


def _connection(url: str) -> Any:
    import pyodbc

    from procver.dialects.odbc import read_target

    return pyodbc.connect(read_target(url, pyodbc.drivers()).text, autocommit=True)


def _text(value: object) -> str:
    return "NULL" if value is None else str(value)


def _same(rows: list[list[str]], wanted: list[list[str]]) -> bool:
    return [[_plain(v) for v in row] for row in rows] == [[_plain(v) for v in r] for r in wanted]


def _plain(text: str) -> object:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(server_url(), tmp_path)
    yield made
    made.close()


def test_the_cycle_of_the_compose_file(shop: Shop) -> None:
    shop.script("publish.sh", "1")
    one = shop.mapping("1")
    assert len(one) == 23
    assert all(physical.endswith("_1") for physical in one.values())
    assert shop.problems("1") == []

    shop.script("publish.sh", "2")
    two = shop.mapping("2")
    assert len(two) == 23
    created = {name.removeprefix("shop.") for name in two if two[name] != one.get(name)}
    assert created == CREATED_BY_2
    assert shop.problems("1") == []
    assert shop.problems("2") == []
    # Two app servers, each with its own release; they look for all of it before they start.
    for release, figures in (("1", ("5 things", "383")), ("2", ("3 things", "327"))):
        said = shop.run(sys.executable, str(SCRIPTS / "app.py"), release, "1")
        assert all(figure in said for figure in figures), said
        assert f"shop.spFindAllThings_{release}" in said

    shop.run("procver", "release", "retire", "1", "--instance", "app-1")
    planned = json.loads(shop.run("procver", "gc", "--json"))
    assert {c["physical"] for c in planned["condemn"]} == {
        one[name] for name in one if one[name] != two.get(name)
    }
    assert len(planned["condemn"]) == 11
    with shop.cleanup():
        assert "everything is as it was published" in shop.script("check.sh")
    left = json.loads(shop.run("procver", "gc", "--json"))
    assert (left["drop"], left["condemn"], len(left["keep"])) == ([], [], 23)
    assert shop.problems("2") == []

    # Started again, as by a second `docker compose up`: back to what was published then.
    shop.script("publish.sh", "1")
    assert shop.problems("1") == []


def test_both_releases_hold_the_contract_that_the_readme_names() -> None:
    files = {
        release: {
            p.relative_to(SAMPLE / release).as_posix() for p in (SAMPLE / release).rglob("*.sql*")
        }
        for release in ("release-1", "release-2")
    }
    removed = {
        line
        for line in (SAMPLE / "release-2" / "REMOVED").read_text("utf-8").splitlines()
        if not line.startswith("#")
    }
    assert removed <= files["release-1"]
    assert files["release-2"] - files["release-1"] == {"shop/views/vBackorders.sql"}
    readme = (SAMPLE / "README.md").read_text("utf-8")
    for path in files["release-1"] | files["release-2"]:
        assert f"| `{Path(path).name.split('.')[0]}` |" in readme
