"""A T-SQL project with what only SQL Server has: table types, session settings, and many ways to write a definition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.behaviour.worlds import NOW, MssqlWorld, World
from tests.mssql.conftest import Place

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
TABLES = (
    "CREATE TABLE dbo.Thing (id int NOT NULL PRIMARY KEY, name nvarchar(50) NOT NULL, price int NOT NULL)",
    "INSERT dbo.Thing (id, name, price) VALUES (1, N'anvil', 100), (2, N'bolt', 1), (3, N'crane', 5000)",
)


class Shop(MssqlWorld):
    """That project; what nothing needs is dropped by the second run of gc."""

    schema = "dbo"

    def __init__(self, root: Path, place: Place) -> None:
        super().__init__(root, place, more=NOW)

    def make(self) -> None:
        """Write the sources and make the table."""
        for statement in TABLES:
            self.sql(statement)
        self.write(**SOURCES)

    def reach(self, build: Callable[[World], object]) -> None:
        """Make the state in which ``build`` leaves the new project."""
        self.make()
        build(self)

    def created(self, release: str) -> dict[str, tuple[str, list[str]]]:
        """Publish, and return what was created: by physical name, why and because of what."""
        return {c["physical"]: (c["reason"], c["because"]) for c in self.publish(release)["create"]}
