"""A project in a directory and a database beside it: what a user has, driven as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
from click.testing import CliRunner, Result

from procver import Resolver
from procver.cli import cli

CONFIG = """\
[project]
name = "{name}"
dialect = "postgresql"
sources = ["sql"]
default_schema = "app"

[targets]
local = "{url}"

{more}
"""


class Workshop:
    """A project directory with one target.

    Args:
        root: the project's directory.
        url: its target.
        name: the project's name in the registry.
        more: further TOML.
    """

    def __init__(self, root: Path, url: str, name: str = "shop", more: str = "") -> None:
        self.root = root
        self.url = url
        root.mkdir(exist_ok=True)
        self.configure(name=name, more=more)
        (root / "sql").mkdir(exist_ok=True)

    def configure(self, name: str = "shop", more: str = "") -> None:
        """Write procver.toml anew."""
        text = CONFIG.format(name=name, url=self.url, more=more)
        (self.root / "procver.toml").write_text(text, "utf-8")

    def write(self, **files: str) -> None:
        """Write sources: ``write(things="CREATE VIEW ...")`` makes sql/things.sql."""
        for stem, text in files.items():
            (self.root / "sql" / f"{stem}.sql").write_text(text, "utf-8")

    def remove(self, *stems: str) -> None:
        """Delete sources."""
        for stem in stems:
            (self.root / "sql" / f"{stem}.sql").unlink()

    def run(self, *words: str, code: int = 0) -> Result:
        """Run a command in this project; fail unless it exits with ``code``."""
        result = CliRunner().invoke(cli, [*words, *self._place(words)])
        assert result.exit_code == code, (words, result.exit_code, result.output, result.exception)
        return result

    def json(self, *words: str, code: int = 0) -> Any:
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
        with psycopg.connect(self.url, autocommit=True) as connection:
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
