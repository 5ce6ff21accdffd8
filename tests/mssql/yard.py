"""A T-SQL project for what goes wrong: driven by the command line, looked at before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.mssql.conftest import Place
from tests.workshop import TABLES, Workshop

THINGS = "CREATE VIEW app.things AS\nSELECT t.id, t.name FROM app.thing t\n"
FIND = (
    "CREATE PROCEDURE app.find_things @minimum int AS\n"
    "SELECT v.* FROM app.things v WHERE v.id >= @minimum ORDER BY v.id\n"
)
ALONE = "CREATE PROC app.alone AS SELECT 42 AS n\n"
NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
_CATALOG = (
    "SELECT o.object_id, SCHEMA_NAME(o.schema_id), o.name, RTRIM(o.type),"
    " (SELECT m.definition FROM sys.sql_modules m WHERE m.object_id = o.object_id)"
    " FROM sys.objects o WHERE SCHEMA_NAME(o.schema_id) <> 'sys'",
    "SELECT schema_id, name, 'schema' FROM sys.schemas",
    "SELECT user_type_id, name, 'type' FROM sys.types WHERE is_user_defined = 1",
)


class Yard(Workshop):
    """A project directory and a database.

    Args:
        root: the project's directory.
        place: the database.
        more: further TOML.
    """

    dialect = "mssql"

    def __init__(self, root: Path, place: Place, more: str = "") -> None:
        super().__init__(root, place.url, "shop", more)
        self.place = place

    def lay(self) -> None:
        """Make the table and write the sources."""
        self.sql("CREATE SCHEMA app")
        self.sql("CREATE TABLE app.thing (id int NOT NULL PRIMARY KEY, name nvarchar(50) NOT NULL)")
        self.sql("INSERT app.thing (id, name) VALUES (1, N'anvil'), (2, N'bolt')")
        self.write(things=THINGS, find_things=FIND, alone=ALONE)

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.place.sql(query, *parameters)

    def objects(self) -> set[str]:
        return self.place.objects()

    def look(self) -> set[tuple[Any, ...]]:
        found: set[tuple[Any, ...]] = set()
        for query in _CATALOG:
            found.update(self.sql(query))
        there = self.sql("SELECT OBJECT_ID('procver.event')") != [(None,)]
        for table in TABLES if there else ():
            found.update((table, *row) for row in self.sql(f"SELECT * FROM procver.{table}"))
        return found

    @property
    def is_babelfish(self) -> bool:
        """Whether the server is Babelfish."""
        return self.sql("SELECT CAST(SERVERPROPERTY('Babelfish') AS int)") == [(1,)]
