"""A database of its own for each test, on the server that PROCVER_TEST_MSSQL_URL names."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from procver.dialects import connect
from procver.dialects.mssql import MssqlDatabase, pyodbc
from procver.dialects.odbc import read_target
from procver.known import Known
from procver.registry import reading

VARIABLE = "PROCVER_TEST_MSSQL_URL"
TABLES = ("usage", "collection", "event", "instance", "channel", "membership", "release", "version", "project")  # fmt: skip
"""The registry's tables, in an order in which they can be emptied."""


def server_url() -> str:
    """Return the server's URL, or skip the test with the reason."""
    url = os.environ.get(VARIABLE)
    if not url:
        pytest.skip(f"{VARIABLE} names no SQL Server")
    return url


def for_database(url: str, name: str) -> str:
    """Return a target that is another database of the same server."""
    if url.startswith("mssql://"):
        return re.sub(r"^(mssql://[^/]*/)[^?]*", rf"\g<1>{name}", url)
    changed, found = re.subn(r"(?i)\b(Database=)[^;]*", rf"\g<1>{name}", url)
    return changed if found else f"{url};Database={name};"


class Place:
    """A database for one test.

    Args:
        url: its target.
    """

    Error = pyodbc.Error

    def __init__(self, url: str) -> None:
        self.url = url
        self._admin = self.plain()
        # Babelfish fails a foreign key's checks in a session that made the first one before its first temporary table.
        self._admin.execute("DECLARE @first TABLE (id int)")

    def plain(self, *, autocommit: bool = True, login: tuple[str, str] | None = None) -> Any:
        """Return a new connection that knows nothing of procver, made with another login and password if they are given."""
        text = read_target(self.url, pyodbc.drivers()).text
        if login is not None:
            text = re.sub(r"(?i)\bUID=[^;]*", f"UID={login[0]}", text)
            text = re.sub(r"(?i)\bPWD=[^;]*", f"PWD={login[1]}", text)
        return pyodbc.connect(text, autocommit=autocommit)

    def sql(self, batch: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a batch and return the rows of its last result."""
        cursor = self._admin.cursor()
        cursor.execute(batch, *parameters)
        rows: list[tuple[Any, ...]] = []
        while True:
            if cursor.description:
                rows = [tuple(row) for row in cursor.fetchall()]
            if not cursor.nextset():
                return rows

    def script(self, text: str) -> None:
        """Run batches separated by GO."""
        for batch in re.split(r"(?m)^GO[ \t]*$", text):
            if batch.strip():
                self.sql(batch)

    def open(self, lock_timeout: float = 3.0) -> MssqlDatabase:
        """Return a new connection of procver's."""
        made = connect(
            self.url, dialect="mssql", root=Path(), search_path=("dbo",), lock_timeout=lock_timeout
        )
        assert isinstance(made, MssqlDatabase)
        return made

    def objects(self) -> set[str]:
        """Return the names of all routines, views and table types outside the registry, in lower case."""
        rows = self.sql(
            "SELECT SCHEMA_NAME(schema_id) + '.' + name FROM sys.objects"
            " WHERE RTRIM(type) IN ('P', 'V', 'FN', 'IF', 'TF') AND SCHEMA_NAME(schema_id) <> 'procver'"
            " AND SCHEMA_NAME(schema_id) <> 'sys'"
            " UNION ALL SELECT SCHEMA_NAME(schema_id) + '.' + name FROM sys.table_types"
        )
        return {name.lower() for (name,) in rows}

    def clear(self) -> None:
        """Drop all that a test made, and empty the registry."""
        for table in TABLES:
            self.sql(f"DELETE FROM procver.{table}")
        self.sql("DELETE FROM procver.upgrade WHERE number > 50")
        for _ in range(10):
            left = self._drops()
            for statement in left:
                with suppress(pyodbc.Error):  # something still depends on it
                    self.sql(statement)
            if not left:
                return
        raise AssertionError(left)

    def _drops(self) -> list[str]:
        words = {
            "P": "PROCEDURE",
            "V": "VIEW",
            "FN": "FUNCTION",
            "IF": "FUNCTION",
            "TF": "FUNCTION",
            "U": "TABLE",
            "TR": "TRIGGER",
        }
        objects = self.sql(
            "SELECT RTRIM(type), SCHEMA_NAME(schema_id), name FROM sys.objects"
            " WHERE (parent_object_id = 0 OR RTRIM(type) = 'TR') AND SCHEMA_NAME(schema_id) NOT IN ('procver', 'sys') AND is_ms_shipped = 0"
        )
        found = [f"DROP {words[t]} [{s}].[{n}]" for t, s, n in objects if t in words]
        found += [
            f"DROP TYPE [{s}].[{n}]"
            for s, n in self.sql("SELECT SCHEMA_NAME(schema_id), name FROM sys.table_types")
        ]
        fixed = "('db_owner', 'db_accessadmin', 'db_securityadmin', 'db_ddladmin', 'db_datareader', 'db_datawriter')"
        found += [
            f"DROP ROLE [{n}]"
            for (n,) in self.sql(
                "SELECT name FROM sys.database_principals WHERE type = 'R' AND name <> 'public'"
                f" AND name NOT LIKE 'db[_]%' COLLATE Latin1_General_100_BIN2 AND name NOT IN {fixed}"
            )
        ]
        found += [
            f"DROP SCHEMA [{n}]"
            for (n,) in self.sql("SELECT name FROM sys.schemas")
            if n.startswith(("app", "depot"))
        ]
        return found

    def close(self) -> None:
        """Close the test's own connection."""
        self._admin.close()


@contextmanager
def new_database() -> Iterator[Place]:
    """Make a database and drop it in the end."""
    url = server_url()
    name = f"procver_{uuid.uuid4().hex[:12]}"
    server = Place(for_database(url, "master"))
    for attempt in range(10):
        try:
            server.sql(f"CREATE DATABASE {name}")
            break
        except pyodbc.Error as error:  # Babelfish, while another session makes one
            if attempt == 9 or "concurrently updated" not in str(error):
                raise
            time.sleep(1)
    made = Place(for_database(url, name))
    try:
        yield made
    finally:
        made.close()
        server.sql(
            f"IF SERVERPROPERTY('Babelfish') IS NULL"
            f" EXEC(N'ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE')"
        )
        server.sql(f"DROP DATABASE {name}")
        server.close()


@pytest.fixture
def empty() -> Iterator[Place]:
    """A new, empty database, dropped after the test."""
    with new_database() as made:
        yield made


@contextmanager
def with_registry() -> Iterator[Place]:
    """Make a database with a registry: setting one up takes Babelfish seconds."""
    with new_database() as made:
        database = made.open()
        database.install()
        database.close()
        yield made


@pytest.fixture(scope="session")
def shared() -> Iterator[Place]:
    """A database with a registry, for all tests."""
    with with_registry() as made:
        yield made


@pytest.fixture
def place(shared: Place) -> Iterator[Place]:
    """That database, with nothing in it but an empty registry; emptied after the test."""
    yield shared
    shared.clear()


@pytest.fixture
def database(place: Place) -> Iterator[MssqlDatabase]:
    """A connection of procver's to a database with a registry and the project ``shop``."""
    made = place.open()
    made.enter("shop", "dbo")
    yield made
    made.close()


@pytest.fixture
def known(database: MssqlDatabase) -> Callable[[], Known]:
    """What the registry says now."""

    def read() -> Known:
        found = reading.read(database, "shop")
        assert found is not None
        return found

    return read


@pytest.fixture
def shop(tmp_path: Path, place: Place) -> Any:
    """A type, a view, what reads them, and a procedure apart."""
    from tests.mssql.shop import Shop

    made = Shop(tmp_path, place)
    made.make()
    return made
