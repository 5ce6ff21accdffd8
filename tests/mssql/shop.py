"""A T-SQL project on a database of its own, driven by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from procver import Resolver
from procver.cli import cli
from tests.mssql.conftest import Place

CONFIG = """\
[project]
name = "shop"
dialect = "mssql"
sources = ["sql"]
default_schema = "dbo"

[targets]
local = '{url}'

[gc]
keep_releases = 0
grace = "0s"
"""
TABLES = """
CREATE TABLE dbo.Thing (id int NOT NULL PRIMARY KEY, name nvarchar(50) NOT NULL, price int NOT NULL);
INSERT dbo.Thing (id, name, price) VALUES (1, N'anvil', 100), (2, N'bolt', 1), (3, N'crane', 5000);
"""
SOURCES = {
    "Wanted": "CREATE TYPE dbo.Wanted AS TABLE (id int NOT NULL)\nGO\n",
    "vThings": "CREATE VIEW dbo.vThings AS SELECT t.id, t.name FROM dbo.Thing t\nGO\n",
    "spFindThings": (
        "SET ANSI_NULLS ON\nGO\nSET QUOTED_IDENTIFIER ON\nGO\n"
        "ALTER PROCEDURE [dbo].[spFindThings] @minimum int\nAS\nBEGIN\n    SET NOCOUNT ON;\n"
        "    SELECT v.* FROM vThings v WHERE v.id >= @minimum ORDER BY v.id;\nEND\nGO\n"
        "GRANT EXECUTE ON dbo.spFindThings TO public\nGO\n"
    ),
    "spFindWanted": (
        "CREATE PROCEDURE dbo.spFindWanted @wanted dbo.Wanted READONLY AS\n"
        "SELECT v.name FROM dbo.vThings v JOIN @wanted w ON w.id = v.id\nGO\n"
    ),
    "fnCount": "CREATE FUNCTION dbo.fnCount() RETURNS int AS\nBEGIN\n    RETURN (SELECT COUNT(*) FROM dbo.vThings)\nEND\n",
    "spAlone": "CREATE PROC dbo.spAlone AS SELECT 42 AS n -- says: dbo.vThings\n",
}
WIDER = SOURCES["vThings"].replace("t.name", "t.name, t.price")


class Shop:
    """A project on a database of its own."""

    def __init__(self, root: Path, place: Place) -> None:
        self.root = root
        self.place = place
        (root / "sql").mkdir()
        (root / "procver.toml").write_text(CONFIG.format(url=place.url), "utf-8")
        self.write(**SOURCES)

    def write(self, **sources: str) -> None:
        for stem, text in sources.items():
            (self.root / "sql" / f"{stem}.sql").write_text(text, "utf-8")

    def run(self, *words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(cli, [*words, "--json", "-C", str(self.root)])
        assert result.exit_code == code, (words, result.exit_code, result.output, result.exception)
        return json.loads(result.stdout)

    def publish(self, release: str) -> dict[str, tuple[str, list[str]]]:
        done = self.run("publish", "--release", release)
        return {c["physical"]: (c["reason"], c["because"]) for c in done["create"]}

    def resolver(self) -> Resolver:
        return Resolver.load(self.root / "procver.map.json")
