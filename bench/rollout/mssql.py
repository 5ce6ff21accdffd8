"""Sources, calls and connections on SQL Server, Azure SQL and Babelfish."""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyodbc

from bench.rollout.contract import Asked, Question, Source
from bench.rollout.server import Address, LostError, Rows
from procver.dialects.odbc import read_target

TABLES = (
    "CREATE SCHEMA app",
    "CREATE TABLE app.Thing (id int NOT NULL PRIMARY KEY, name varchar(50) NOT NULL)",
    "INSERT app.Thing (id, name) VALUES (1, 'anvil'), (2, 'bolt'), (3, 'crane')",
    "CREATE PROCEDURE app.by_hand_0 AS SELECT 7 AS n",
)

SOURCES: dict[str, Source] = {
    "origin": Source(
        ("CREATE VIEW app.origin AS\n"
         "SELECT t.id, t.name, CAST('{own}' AS varchar(200)) AS tag FROM app.Thing t\nGO\n",)
    ),
    "summary": Source(
        ("CREATE VIEW app.summary AS\n"
         "SELECT COUNT(*) AS things, CAST('{own}(' + MIN(o.tag) + ')' AS varchar(400)) AS tag FROM app.origin o\nGO\n",),
        ("origin",),
    ),
    "things_from": Source(
        ("CREATE FUNCTION app.things_from(@minimum int) RETURNS TABLE AS RETURN (\n"
         "    SELECT o.id, o.name, CAST('{own}(' + o.tag + ')' AS varchar(400)) AS tag FROM app.origin o WHERE o.id >= @minimum\n"
         ")\nGO\n",),
        ("origin",),
    ),
    "find_things": Source(
        ("CREATE PROCEDURE app.find_things @minimum int AS\nBEGIN\n    SET NOCOUNT ON;\n"
         "    SELECT f.id, f.name, '{own}(' + f.tag + ')' AS tag FROM app.things_from(@minimum) f ORDER BY f.id;\nEND\nGO\n",),
        ("things_from",),
    ),
    "describe": Source(
        ("CREATE FUNCTION app.describe(@wanted int) RETURNS varchar(800) AS\nBEGIN\n"
         "    RETURN '{own}(' + (SELECT f.tag FROM app.things_from(@wanted) f WHERE f.id = @wanted)\n"
         "        + (SELECT s.tag FROM app.summary s) + ')'\nEND\nGO\n",),
        ("things_from", "summary"),
    ),
    "settle": Source(
        ("CREATE PROC app.settle AS SELECT '{own}(' + app.describe(1) + ')' AS answer\nGO\n",),
        ("describe",),
    ),
    "quote": Source(
        ("CREATE PROCEDURE app.quote @quantity int AS\n"
         "SELECT @quantity * 10 AS price, '{own}(' + s.tag + ')' AS tag FROM app.summary s\nGO\n",
         "CREATE PROCEDURE app.quote @quantity int, @discount int AS\n"
         "SELECT @quantity * 10 AS price, @quantity * 10 - @discount AS discounted, '{own}(' + s.tag + ')' AS tag\n"
         "FROM app.summary s\nGO\n"),
        ("summary",),
    ),
    "wanted": Source(
        ("CREATE TYPE app.wanted AS TABLE (id int NOT NULL)\nGO\n",
         "CREATE TYPE app.wanted AS TABLE (id int NOT NULL, note varchar(20) NULL)\nGO\n"),
    ),
    "find_wanted": Source(
        ("CREATE PROCEDURE app.find_wanted @wanted app.wanted READONLY AS\n"
         "SELECT o.name, '{own}(' + o.tag + ')' AS tag FROM app.origin o JOIN @wanted w ON w.id = o.id\nGO\n",),
        ("origin",),
    ),
    "ping": Source(
        ("CREATE FUNCTION app.ping(@n int) RETURNS varchar(400) AS\nBEGIN\n"
         "    RETURN '{own}' + CASE WHEN @n > 0 THEN app.pong(@n - 1) ELSE '' END\nEND\nGO\n",),
    ),
    "pong": Source(
        ("CREATE FUNCTION app.pong(@n int) RETURNS varchar(400) AS\nBEGIN\n"
         "    RETURN '{own}' + CASE WHEN @n > 0 THEN app.ping(@n - 1) ELSE '' END\nEND\nGO\n",),
    ),
    "greet": Source(
        ("CREATE PROCEDURE app.greet @who varchar(20) AS SELECT '{own} ' + @who AS answer\nGO\n",),
        optional=True,
    ),
    "steady": Source(
        ("CREATE FUNCTION app.steady() RETURNS varchar(50) AS\nBEGIN\n    RETURN '{own}'\nEND\nGO\n",),
        steady=True,
    ),
    "carried": Source(
        ("CREATE PROCEDURE app.carried AS SELECT '{own}(' + s.tag + ')' AS answer FROM app.summary s\nGO\n",),
        ("summary",), steady=True,
    ),
}  # fmt: skip

QUESTIONS: tuple[Question, ...] = (
    Question("origin", (Asked("SELECT id, tag FROM {origin} WHERE id = ?", ("id", "tag"), ((2, "{origin}"),), (2,)),)),
    Question("summary", (Asked("SELECT things, tag FROM {summary}", ("things", "tag"), ((3, "{summary}"),)),)),
    Question("find_things", (Asked(
        "EXEC {find_things} @minimum = ?", ("id", "name", "tag"),
        ((2, "bolt", "{find_things}"), (3, "crane", "{find_things}")), (2,)),)),
    Question("describe", (Asked("SELECT {describe}(1) AS answer", ("answer",), (("{describe}",),)),)),
    Question("settle", (Asked("EXEC {settle}", ("answer",), (("{settle}",),)),)),
    Question("quote", (
        Asked("EXEC {quote} @quantity = ?", ("price", "tag"), ((70, "{quote}"),), (7,)),
        Asked("EXEC {quote} @quantity = ?, @discount = ?", ("price", "discounted", "tag"), ((70, 65, "{quote}"),), (7, 5)))),
    Question("wanted", (
        Asked("SET NOCOUNT ON; DECLARE @w {wanted}; INSERT @w VALUES (2); EXEC {find_wanted} @wanted = @w",
              ("name", "tag"), (("bolt", "{find_wanted}"),)),
        Asked("SET NOCOUNT ON; DECLARE @w {wanted}; INSERT @w (id, note) VALUES (3, 'x'); EXEC {find_wanted} @wanted = @w",
              ("name", "tag"), (("crane", "{find_wanted}"),)))),
    Question("ping", (Asked("SELECT {ping}(2) AS answer", ("answer",), (("{ping}{pong}{ping}",),)),)),
    Question("greet", (Asked("EXEC {greet} @who = 'Ada'", ("answer",), (("{greet} Ada",),)),)),
    Question("steady", (Asked("SELECT {steady}() AS answer", ("answer",), (("{steady}",),)),)),
    Question("carried", (Asked("EXEC {carried}", ("answer",), (("{carried}",),)),)),
)  # fmt: skip

_BROKEN = ("08", "HYT", "IMSSP")
_BREAKING = (
    "terminating connection", "kill state", "Communication link", "TCP Provider", "connection is broken",
    "server closed the connection", "not connected", "Unexpected EOF",
)  # fmt: skip


def _text(url: str) -> str:
    return read_target(url, pyodbc.drivers()).text


def _replaced(text: str, keys: str, value: str) -> str:
    """Return a connection string with another value of a keyword that has several names."""
    changed, found = re.subn(rf"(?i)(^|;)\s*({keys})\s*=[^;]*", rf"\1\2={value}", text, count=1)
    return changed if found else f"{text.rstrip(';')};{keys.partition('|')[0]}={value};"


class Session:
    """A connection of the app's.

    Args:
        url: where.
        name: what it calls itself in sys.dm_exec_sessions.
        role: of no meaning here: the login's rights hold.
    """

    def __init__(self, url: str, name: str, role: str | None) -> None:
        with _lost(connecting=True):
            self.raw: Any = pyodbc.connect(
                _replaced(_text(url), "APP", name), autocommit=True, timeout=10
            )

    def ask(self, sql: str, parameters: tuple[Any, ...]) -> Rows:
        """Return the columns and rows of a call.

        Raises:
            LostError: the connection broke; anything may have become of the call.
        """
        with _lost():
            cursor = self.raw.cursor()
            try:
                cursor.execute(sql, *parameters)
                while cursor.description is None and cursor.nextset():
                    pass
                columns = tuple(column[0] for column in cursor.description or ())
                return columns, [tuple(row) for row in cursor.fetchall()]
            finally:
                with contextlib.suppress(pyodbc.Error):
                    cursor.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All calls in here are one transaction."""
        with _lost():
            self.raw.execute("BEGIN TRANSACTION")
            yield
            self.raw.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(pyodbc.Error):
            self.raw.close()


@contextlib.contextmanager
def _lost(*, connecting: bool = False) -> Iterator[None]:
    """Tell a connection that broke from a statement that was refused."""
    try:
        yield
    except pyodbc.Error as error:
        state = str(error.args[0]) if error.args else ""
        text = str(error)
        if connecting or state.startswith(_BROKEN) or any(sign in text for sign in _BREAKING):
            raise LostError(text) from error
        raise


class Server:
    """A database of its own on a SQL Server, and what only its administrator can do.

    Args:
        url: the server's, of a login that may create databases.
        name: the database to make.
    """

    dialect = "mssql"
    sources: Mapping[str, Source] = SOURCES
    questions: Sequence[Question] = QUESTIONS
    role: str | None = None

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._server = _replaced(_text(url), "Database|Initial Catalog", "master")
        with contextlib.closing(pyodbc.connect(self._server, autocommit=True)) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        self.url = _replaced(self._server, "Database|Initial Catalog", name)
        self._admin = pyodbc.connect(_replaced(self.url, "APP", "rollout"), autocommit=True)
        self._lock = threading.Lock()  # pyodbc's connections are for one thread at a time
        for batch in TABLES:
            self._run(batch)

    def _run(self, batch: str) -> list[tuple[Any, ...]]:
        with self._lock:
            cursor = self._admin.execute(batch)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    @property
    def address(self) -> Address:
        """Where the server listens."""
        found = re.search(
            r"(?i)(?:^|;)\s*(?:Server|Addr|Address)\s*=\s*(?:tcp:)?([^;,\\]+)(?:,(\d+))?", self.url
        )
        port = re.search(r"(?i)(?:^|;)\s*Port\s*=\s*(\d+)", self.url)
        assert found is not None  # it was connected to
        number = found[2] or (port[1] if port else "1433")
        return _host(found[1]), int(number)

    def through(self, port: int) -> str:
        """Return the target of the database by way of a proxy on this machine."""
        if re.search(r"(?i)(?:^|;)\s*Port\s*=", self.url):
            return _replaced(_replaced(self.url, "Server", "127.0.0.1"), "Port", str(port))
        return _replaced(self.url, "Server|Addr|Address", f"127.0.0.1,{port}")

    def config(self) -> str:
        """Return what procver.toml says for this dialect alone."""
        return ""

    def admit(self) -> None:
        """The login that made the database may do everything."""

    def terminate(self, dice: random.Random) -> str | None:
        """Kill a session; return whose, or None if there was none, or this server does not know KILL."""
        rows = self._run(
            "SELECT session_id, program_name FROM sys.dm_exec_sessions"
            " WHERE database_id = DB_ID() AND session_id <> @@SPID ORDER BY program_name, session_id"
        )
        if not rows:
            return None
        session, name = dice.choice(rows)
        try:
            self._run(f"KILL {int(session)}")
        except pyodbc.Error:  # it has just ended, or Babelfish
            return None
        return str(name)

    def objects(self) -> set[str]:
        """Return the physical names of all routines, views and table types in the schema app."""
        rows = self._run(
            "SELECT 'app.' + name FROM sys.objects WHERE RTRIM(type) IN ('P', 'V', 'FN', 'IF', 'TF')"
            " AND SCHEMA_NAME(schema_id) = 'app'"
            " UNION ALL SELECT 'app.' + name FROM sys.table_types WHERE SCHEMA_NAME(schema_id) = 'app'"
        )
        return {name for (name,) in rows}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the registry."""
        return self._run(query)

    def hold(self, name: str, physical: str) -> None:
        """Make a view by hand that depends on a version of `origin`."""
        self._run(f"CREATE VIEW {name} AS SELECT o.tag FROM {physical} o")

    def let_go(self, name: str) -> str:
        """Drop a view that `hold` made; return what it answered before."""
        [(answer,)] = self._run(f"SELECT MIN(tag) FROM {name}")
        self._run(f"DROP VIEW {name}")
        return str(answer)

    def sabotage(self, physical: str, how: str) -> None:
        """Behind procver's back, ``drop`` a version of `steady` that is in use, or ``alter`` what it answers."""
        steps = [f"DROP FUNCTION {physical}"]
        if how == "alter":
            text = (
                f"CREATE FUNCTION {physical}() RETURNS varchar(50) AS BEGIN RETURN ''steady.x'' END"
            )
            steps.append(f"EXEC(N'{text}')")
        self._run(f"BEGIN TRANSACTION; {'; '.join(steps)}; COMMIT TRANSACTION")

    def drop(self) -> None:
        """Drop the database."""
        self._admin.close()
        with contextlib.closing(pyodbc.connect(self._server, autocommit=True)) as connection:
            connection.execute(
                f"IF SERVERPROPERTY('Babelfish') IS NULL"
                f" EXEC(N'ALTER DATABASE {self.name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE')"
            )
            for _ in range(40):  # Babelfish: sessions take a moment to end
                try:
                    connection.execute(f"DROP DATABASE {self.name}")
                    return
                except pyodbc.Error as error:
                    if "in use" not in str(error):
                        raise
                    time.sleep(0.5)


def _host(text: str) -> str:
    host = text.strip("{} ")
    return "127.0.0.1" if host.lower() in (".", "(local)", "localhost") else host
