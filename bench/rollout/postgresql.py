"""Sources, calls and connections on PostgreSQL."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.rollout.contract import Asked, Question, Source
from bench.rollout.server import Address, LostError, Rows

TABLES = """
CREATE SCHEMA app;
CREATE TABLE app.thing (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO app.thing VALUES (1, 'anvil'), (2, 'bolt'), (3, 'crane');
CREATE FUNCTION app.by_hand_0() RETURNS int LANGUAGE sql AS 'SELECT 7';
"""

SOURCES: dict[str, Source] = {
    "origin": Source(
        ("CREATE VIEW app.origin AS\nSELECT t.id, t.name, '{own}'::text AS tag FROM app.thing t;\n",)
    ),
    "summary": Source(
        ("CREATE VIEW app.summary AS\n"
         "SELECT count(*) AS things, '{own}(' || min(o.tag) || ')' AS tag FROM app.origin o;\n",),
        ("origin",),
    ),
    "ledger": Source(
        ("CREATE MATERIALIZED VIEW app.ledger AS\n"
         "SELECT o.id, '{own}(' || o.tag || ')' AS tag FROM app.origin o;\n",),
        ("origin",), optional=True,
    ),
    "find_things": Source(
        ("CREATE FUNCTION app.find_things(minimum int) RETURNS TABLE (id int, name text, tag text)\n"
         "LANGUAGE sql STABLE AS $$\n"
         "    SELECT o.id, o.name, '{own}(' || o.tag || ')' FROM app.origin o WHERE o.id >= minimum ORDER BY o.id\n"
         "$$;\n",),
        ("origin",),
    ),
    "describe": Source(
        ("CREATE FUNCTION app.describe(wanted int) RETURNS text LANGUAGE plpgsql STABLE AS $$\n"
         "DECLARE\n    found text;\nBEGIN\n"
         "    SELECT f.tag INTO STRICT found FROM app.find_things(wanted) f WHERE f.id = wanted;\n"
         "    RETURN '{own}(' || found || (SELECT s.tag FROM app.summary s) || ')';\n"
         "END $$;\n",),
        ("find_things", "summary"),
    ),
    "settle": Source(
        ("CREATE PROCEDURE app.settle(INOUT answer text) LANGUAGE plpgsql AS $$\n"
         "BEGIN\n    answer := '{own}(' || app.describe(1) || ')';\nEND $$;\n",),
        ("describe",),
    ),
    "quote": Source(
        ("CREATE FUNCTION app.quote(quantity int) RETURNS TABLE (price int, tag text) LANGUAGE sql STABLE AS $$\n"
         "    SELECT quantity * 10, '{own}(' || s.tag || ')' FROM app.summary s\n$$;\n",
         "CREATE FUNCTION app.quote(quantity int, discount int) RETURNS TABLE (price int, discounted int, tag text)\n"
         "LANGUAGE sql STABLE AS $$\n"
         "    SELECT quantity * 10, quantity * 10 - discount, '{own}(' || s.tag || ')' FROM app.summary s\n$$;\n"),
        ("summary",),
    ),
    "ping": Source(
        ("CREATE FUNCTION app.ping(n int) RETURNS text LANGUAGE sql STABLE AS $$\n"
         "    SELECT '{own}' || CASE WHEN n > 0 THEN app.pong(n - 1) ELSE '' END\n$$;\n",),
    ),
    "pong": Source(
        ("CREATE FUNCTION app.pong(n int) RETURNS text LANGUAGE sql STABLE AS $$\n"
         "    SELECT '{own}' || CASE WHEN n > 0 THEN app.ping(n - 1) ELSE '' END\n$$;\n",),
    ),
    "greet": Source(
        ("CREATE FUNCTION app.greet() RETURNS text LANGUAGE sql AS $$ SELECT '{own}'::text $$;\n"
         "CREATE FUNCTION app.greet(who text) RETURNS text LANGUAGE sql AS $$ SELECT '{own} ' || who $$;\n",),
        optional=True,
    ),
    "steady": Source(
        ("CREATE FUNCTION app.steady() RETURNS text LANGUAGE sql AS $$ SELECT '{own}'::text $$;\n",),
        steady=True,
    ),
    "carried": Source(
        ("CREATE FUNCTION app.carried() RETURNS text LANGUAGE plpgsql STABLE AS $$\n"
         "BEGIN\n    RETURN (SELECT '{own}(' || s.tag || ')' FROM app.summary s);\nEND $$;\n",),
        ("summary",), steady=True,
    ),
}  # fmt: skip

QUESTIONS: tuple[Question, ...] = (
    Question("origin", (Asked("SELECT id, tag FROM {origin} WHERE id = %s", ("id", "tag"), ((2, "{origin}"),), (2,)),)),
    Question("summary", (Asked("SELECT * FROM {summary}", ("things", "tag"), ((3, "{summary}"),)),)),
    Question("ledger", (Asked("SELECT * FROM {ledger} WHERE id = 3", ("id", "tag"), ((3, "{ledger}"),)),)),
    Question("find_things", (Asked(
        "SELECT * FROM {find_things}(%s)", ("id", "name", "tag"),
        ((2, "bolt", "{find_things}"), (3, "crane", "{find_things}")), (2,)),)),
    Question("describe", (Asked("SELECT {describe}(%s) AS answer", ("answer",), (("{describe}",),), (1,)),)),
    Question("settle", (Asked("CALL {settle}(NULL)", ("answer",), (("{settle}",),)),)),
    Question("quote", (
        Asked("SELECT * FROM {quote}(%s)", ("price", "tag"), ((70, "{quote}"),), (7,)),
        Asked("SELECT * FROM {quote}(%s, %s)", ("price", "discounted", "tag"), ((70, 65, "{quote}"),), (7, 5)))),
    Question("ping", (Asked("SELECT {ping}(2) AS answer", ("answer",), (("{ping}{pong}{ping}",),)),)),
    Question("greet", (Asked("SELECT {greet}() AS one, {greet}('Ada') AS two", ("one", "two"), (("{greet}", "{greet} Ada"),)),)),
    Question("steady", (Asked("SELECT {steady}() AS answer", ("answer",), (("{steady}",),)),)),
    Question("carried", (Asked("SELECT {carried}() AS answer", ("answer",), (("{carried}",),)),)),
)  # fmt: skip


class Session:
    """A connection of the app's, as its role.

    Args:
        url: where.
        name: what it calls itself in pg_stat_activity.
        role: what it may do; None: all that the login may.
    """

    def __init__(self, url: str, name: str, role: str | None) -> None:
        with _lost():
            self.raw: psycopg.Connection[Any] = psycopg.connect(
                url, autocommit=True, application_name=name, connect_timeout=10
            )
            if role is not None:
                self.raw.execute(f'SET ROLE "{role}"'.encode())

    def ask(self, sql: str, parameters: tuple[Any, ...]) -> Rows:
        """Return the columns and rows of a call.

        Raises:
            LostError: the connection broke; anything may have become of the call.
        """
        with _lost(self.raw):
            cursor = self.raw.execute(sql.encode(), parameters or None)
            columns = tuple(column.name for column in cursor.description or ())
            return columns, cursor.fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All calls in here see one snapshot."""
        with _lost(self.raw):
            self.raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            yield
            self.raw.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(psycopg.Error):
            self.raw.close()


@contextlib.contextmanager
def _lost(connection: psycopg.Connection[Any] | None = None) -> Iterator[None]:
    """Tell a connection that broke from a statement that was refused."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        if connection is None or connection.closed or connection.broken:
            raise LostError(str(error).strip()) from error
        raise


class Server:
    """A database of its own on a PostgreSQL server, and what only its administrator can do.

    Args:
        url: the server's, of a login that may create databases and roles.
        name: the database to make.
    """

    dialect = "postgresql"
    sources: Mapping[str, Source] = SOURCES
    questions: Sequence[Question] = QUESTIONS

    def __init__(self, url: str, name: str) -> None:
        self.name = self.role = name
        self._base = conninfo_to_dict(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
            connection.execute(f"CREATE ROLE {name} NOLOGIN".encode())
        self._server = url
        self.url = self._url(dbname=name)
        self._admin = psycopg.connect(self.url, autocommit=True, application_name="rollout")
        self._admin.execute(TABLES)
        self._admin.execute(f"GRANT USAGE ON SCHEMA app TO {name}".encode())

    def _url(self, **changes: Any) -> str:
        parts = {key: str(value) for key, value in {**self._base, **changes}.items()}
        user, secret = quote(parts.pop("user", "postgres"), ""), parts.pop("password", None)
        login = user if secret is None else f"{user}:{quote(secret, '')}"
        host, port, database = parts.pop("host", ""), parts.pop("port", ""), parts.pop("dbname")
        if host.startswith("/") or not host:
            parts |= {"host": host} if host else {}
            parts |= {"port": port} if port else {}
            host = port = ""
        where = f"{host}:{port}" if port else host
        return f"postgresql://{login}@{where}/{database}?{urlencode(parts, quote_via=quote)}"

    @property
    def address(self) -> Address:
        """Where the server listens."""
        host, port = str(self._base.get("host") or "localhost"), int(self._base.get("port") or 5432)
        return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)

    def through(self, port: int) -> str:
        """Return the URL of the database by way of a proxy on this machine."""
        return self._url(dbname=self.name, host="127.0.0.1", port=port)

    def config(self) -> str:
        """Return what procver.toml says for this dialect alone."""
        return f'[grants]\n"app.*" = {{ execute = ["{self.role}"], select = ["{self.role}"] }}\n'

    def admit(self) -> None:
        """Let the app send heartbeats and read mappings, once there is a registry."""
        for grant in (
            "USAGE ON SCHEMA procver", "EXECUTE ON FUNCTION procver.beat",
            "SELECT ON procver.mapping, procver.channel_release",
        ):  # fmt: skip
            self._admin.execute(f"GRANT {grant} TO {self.role}".encode())

    def terminate(self, dice: random.Random) -> str | None:
        """Terminate a backend; return whose, or None if there was none."""
        found = self._admin.execute(
            "SELECT pid, application_name FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY application_name, pid"
        ).fetchall()
        if not found:
            return None
        pid, name = dice.choice(found)
        self._admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        return str(name)

    def objects(self) -> set[str]:
        """Return the physical names of all routines and views in the schema app."""
        rows = self._admin.execute(
            "SELECT DISTINCT 'app.' || p.proname FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace UNION"
            " SELECT 'app.' || c.relname FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('v', 'm')"
        )
        return {name for (name,) in rows}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the registry."""
        return self._admin.execute(query.encode()).fetchall()

    def hold(self, name: str, physical: str) -> None:
        """Make a view by hand that depends on a version of `origin`.

        Raises:
            LookupError: that version is not there any more.
        """
        try:
            self._admin.execute(f"CREATE VIEW {name} AS SELECT o.tag FROM {physical} o".encode())
        except psycopg.errors.UndefinedTable as error:
            raise LookupError(str(error)) from None

    def let_go(self, name: str) -> str:
        """Drop a view that `hold` made; return what it answered before."""
        row = self._admin.execute(f"SELECT min(tag) FROM {name}".encode()).fetchone()
        self._admin.execute(f"DROP VIEW {name}".encode())
        return str(row and row[0])

    def sabotage(self, physical: str, how: str) -> None:
        """Behind procver's back, ``drop`` a version of `steady` that is in use, or ``alter`` what it answers."""
        self._admin.execute(
            (f"DROP FUNCTION {physical}" if how == "drop" else
             f"CREATE OR REPLACE FUNCTION {physical}() RETURNS text LANGUAGE sql AS $$ SELECT 'steady.x'::text $$").encode()
        )  # fmt: skip

    def drop(self) -> None:
        """Drop the database and the role."""
        self._admin.close()
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)".encode())
            connection.execute(f"DROP ROLE IF EXISTS {self.role}".encode())
