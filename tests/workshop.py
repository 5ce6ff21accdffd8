"""A project in a directory and a database beside it: what a user has, driven as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from procver import Resolver, lanes
from procver.cli import cli
from procver.errors import ProcverError

CONFIG = """\
[project]
name = "{name}"
dialect = "{dialect}"
sources = ["sql"]
default_schema = "{schema}"

[targets]
local = {target}

{more}
"""


class Workshop:
    """A project directory with one target, on PostgreSQL.

    Args:
        root: the project's directory.
        url: its target.
        name: the project's name in the registry.
        more: further TOML.
    """

    dialect = "postgresql"
    schema = "app"

    def __init__(self, root: Path, url: str, name: str = "shop", more: str = "") -> None:
        self.root = root
        self.url = url
        self.name = name
        root.mkdir(exist_ok=True)
        self.configure(more=more)
        (root / "sql").mkdir(exist_ok=True)

    def configure(
        self,
        name: str | None = None,
        more: str = "",
        *,
        schema: str | None = None,
        trials: bool = False,
    ) -> None:
        """Write procver.toml anew."""
        target = json.dumps(self.url, ensure_ascii=False)
        if trials:
            target = f"{{ url = {target}, trials = true }}"
        text = CONFIG.format(
            name=name or self.name,
            dialect=self.dialect,
            schema=schema or self.schema,
            target=target,
            more=more,
        )
        (self.root / "procver.toml").write_text(text, "utf-8")

    def write(self, **files: str) -> None:
        """Write sources: ``write(things="CREATE VIEW ...")`` makes sql/things.sql."""
        for stem, text in files.items():
            (self.root / "sql" / f"{stem}.sql").write_text(text, "utf-8")

    def remove(self, *stems: str) -> None:
        """Delete sources."""
        for stem in stems:
            (self.root / "sql" / f"{stem}.sql").unlink()

    def run(self, *words: str, code: int | None = 0) -> Result:
        """Run a command in this project; fail unless it exits with ``code``, if that is not None."""
        result = CliRunner().invoke(cli, [*words, *self._place(words)])
        assert code in (None, result.exit_code), (
            words,
            result.exit_code,
            result.output,
            result.exception,
        )
        return result

    def json(self, *words: str, code: int | None = 0) -> Any:
        """Run a command with --json and return its document, which must be all of stdout."""
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def _place(self, words: tuple[str, ...]) -> list[str]:
        return ["-C", str(self.root)]

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "procver", *words, "-C", str(self.root)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ},
        )  # fmt: skip

    def publish(self, release: str, code: int = 0) -> Any:
        """Publish the sources as ``release``."""
        return self.json("publish", "--release", release, code=code)

    def resolver(self) -> Resolver:
        """Return the resolver over the mapping that was written last."""
        return Resolver.load(self.root / "procver.map.json")

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run SQL in the target and return its rows."""
        with psycopg.connect(self.url, autocommit=True, client_encoding="utf8") as connection:
            connection.execute("SET DateStyle = 'ISO'")  # the only one that psycopg reads
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def objects(self) -> set[str]:
        """Return the names of all routines and relations outside the registry and the system."""
        rows = self.sql(
            "SELECT n.nspname || '.' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'procver')"
            " UNION SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')"
            " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'procver')"
        )
        return {name for (name,) in rows}

    def look(self) -> set[tuple[Any, ...]]:
        """Return every object of the database, and every row of the registry if there is one."""
        found: set[tuple[Any, ...]] = set()
        with psycopg.connect(self.url, autocommit=True) as connection:
            for query in _CATALOG:
                found.update(connection.execute(query.encode()))
            there = connection.execute("SELECT to_regclass('procver.event') IS NOT NULL").fetchone()
            for table in TABLES if there == (True,) else ():
                rows = f"SELECT row_to_json(t)::text FROM procver.{table} t"
                found.update((table, row) for (row,) in connection.execute(rows.encode()))
        return found


_CATALOG = (
    "SELECT 'schema', n.oid, n.nspname, n.nspacl::text, '' FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)'",
    "SELECT 'routine', p.oid, p.proname, p.proacl::text, concat(p.prosrc, pg_get_function_sqlbody(p.oid), p.proowner)"
    " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
    " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')",
    "SELECT 'relation', c.oid, c.relname, c.relacl::text, concat(c.relkind, pg_get_viewdef(c.oid), c.relowner)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind <> 'i'",
)
TABLES = (
    "project",
    "version",
    "dependency",
    "release",
    "membership",
    "instance",
    "channel",
    "event",
    "collection",
    "upgrade",
)
"""The registry's tables and views; what statistics were sampled is left out."""


def in_lanes(monkeypatch: pytest.MonkeyPatch, rest: int = 0) -> None:
    """Have publications use two connections however little there is to create, but for cycles and the ``rest``."""
    monkeypatch.setattr(lanes, "FROM", 0)
    monkeypatch.setattr(lanes, "MOST_WAVES", 1000)
    monkeypatch.setattr(lanes, "REST", rest)


def together(*work: Callable[[], Any]) -> list[Any]:
    """Do all of it at once; return what each returned, or the error of ours that it raised."""
    barrier = threading.Barrier(len(work))

    def start(one: Callable[[], Any]) -> Any:
        barrier.wait(30)
        try:
            return one()
        except ProcverError as error:
            return error

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(start, work))
