"""States on SQL Server that many tests begin with: made once, and brought back as long as only rows of the registry changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.cli.untouched import files
from tests.mssql.conftest import TABLES, Place


class Stage(NamedTuple):
    """What a state is made by, and what it is made of besides the registry's rows, which schema ``kept`` holds."""

    build: Callable[[Any], object]
    files: dict[str, bytes]
    objects: list[tuple[Any, ...]]


class Theatre(Place):
    """A database on which one state after another is made; to make one takes Babelfish many seconds.

    Rights are not looked at: a test that grants or revokes makes its state by itself, out of `bare`, or leaves objects dropped.
    """

    _stage: Stage | None = None

    def reach(self, world: Any, build: Callable[[Any], object]) -> None:
        """Make the state in which ``build`` leaves a new project, or bring it back."""
        stage = self._stage
        if stage and stage.build is build and self._objects() == stage.objects:
            self._rewind()
            for name, data in stage.files.items():
                path = world.root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            return
        self._stage = None
        self.clear()
        world.make()
        build(world)
        self._keep()
        self._stage = Stage(build, files(world.root), self._objects())

    def _objects(self) -> list[tuple[Any, ...]]:
        return self.sql(
            "SELECT object_id, SCHEMA_NAME(schema_id), name FROM sys.objects WHERE parent_object_id = 0"
            " AND SCHEMA_NAME(schema_id) NOT IN ('sys', 'kept') ORDER BY 1"
        )

    def _keep(self) -> None:
        self.sql("IF SCHEMA_ID('kept') IS NULL EXEC('CREATE SCHEMA kept')")
        for table in TABLES:
            self.sql(f"IF OBJECT_ID('kept.{table}') IS NOT NULL DROP TABLE kept.{table}")
            self.sql(f"SELECT * INTO kept.{table} FROM procver.{table}")

    def _rewind(self) -> None:
        for table in TABLES:
            self.sql(f"DELETE FROM procver.{table}")
        for table in reversed(TABLES):
            columns = self.sql(
                f"SELECT name, is_identity FROM sys.columns WHERE object_id = OBJECT_ID('procver.{table}')"
                " AND is_computed = 0 ORDER BY column_id"
            )
            names = ", ".join(f"[{name}]" for name, _ in columns)
            copy = f"INSERT INTO procver.{table} ({names}) SELECT {names} FROM kept.{table}"
            if any(identity for _, identity in columns):
                on = f"SET IDENTITY_INSERT procver.{table}"
                copy = f"{on} ON; {copy}; {on} OFF"
            self.sql(copy)
        self.sql("DELETE FROM procver.upgrade WHERE number > 50")
