"""Rows of the registry with anything in them that its constraints let pass: commands name what is wrong, or go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from psycopg import sql

from procver import ProcverError, Resolver
from tests.behaviour.worlds import FIND
from tests.fuzz.profiles import examples, run
from tests.live.conftest import ALONE, TABLES, THINGS
from tests.servers import Server
from tests.workshop import Workshop

COMMANDS = [
    ("release", "list"), ("release", "show", "1"), ("release", "diff", "1", "2"), ("release", "channel"), ("status",),
    ("status", "--format", "prometheus"), ("log",), ("log", "--release", "1"), ("plan",), ("publish", "-r", "2", "-n"), ("verify",), ("gc",),
    ("why", "app.things_1"), ("map", "-r", "2"), ("release", "activate", "1"), ("release", "retire", "2"),
    ("restore", "app.alone_1"), ("publish", "-r", "2"), ("release", "channel", "stable", "1"),
]  # fmt: skip
ODD = [
    "NULL", "DEFAULT", "''", "'x'", "'\x01'", "repeat('x', 100000)", "'{}'", "'[]'", "'null'", "'1'", "'\"x\"'", "'[1]'", "'[[1]]'",
    "'[{}]'", "'{\"a\": [1]}'", "'[{\"part\": 1, \"owner\": 2, \"acl\": 3}]'", "-1", "0", "1", "2147483647",
    "9223372036854775807", "'infinity'", "'-infinity'", "'0001-01-01 BC'", "'294276-01-01'", "true", "'nan'",
    "'postgres'", "'dropped'", "'live'", "'\"'", "';--'", "E'\\n'",
]  # fmt: skip


class Registry:
    """A published project whose registry is put back after each change."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.connection = psycopg.connect(workshop.url, autocommit=True)
        rows = self.connection.execute(
            "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c JOIN pg_attribute a"
            " ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE c.relnamespace = 'procver'::regnamespace AND c.relkind = 'r' AND a.attgenerated = '' GROUP BY 1 ORDER BY 1"
        ).fetchall()
        self.tables: dict[str, list[str]] = dict(rows)
        self.connection.execute("CREATE SCHEMA kept; SET session_replication_role = replica")
        for table in self.tables:
            self.connection.execute(f"CREATE TABLE kept.{table} AS TABLE procver.{table}".encode())

    def change(self, table: str, column: str, value: str) -> bool:
        """Set a column of a row; return whether the registry's constraints let it."""
        query = sql.SQL(
            "UPDATE procver.{0} SET {1} = {2} WHERE ctid = (SELECT max(ctid) FROM procver.{0})"
        ).format(sql.Identifier(table), sql.Identifier(column), sql.SQL(value))  # type: ignore[arg-type]
        try:
            return self.connection.execute(query).rowcount > 0
        except psycopg.Error:
            return False

    def delete(self, table: str) -> bool:
        query = f"DELETE FROM procver.{table} WHERE ctid = (SELECT max(ctid) FROM procver.{table})"
        return self.connection.execute(query.encode()).rowcount > 0

    def restore(self) -> None:
        with self.connection.transaction():
            for table, columns in self.tables.items():
                names = ", ".join(f'"{column}"' for column in columns)
                self.connection.execute(f"DELETE FROM procver.{table}".encode())
                self.connection.execute(
                    f"INSERT INTO procver.{table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM kept.{table}".encode()
                )


@pytest.fixture(scope="module")
def registry(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    name = "test_fuzz_rows"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
    workshop = Workshop(Path(tmp_path_factory.mktemp("rows")), server.url(name))
    workshop.sql(TABLES)
    workshop.write(things=THINGS, find_things=FIND, alone=ALONE)
    workshop.publish("1")
    workshop.run("release", "activate", "1", "-i", "web-1")
    workshop.run("release", "channel", "stable", "1")
    workshop.write(things=THINGS.replace("t.name", "t.name, t.price"))
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("gc", "--apply")
    made = Registry(workshop)
    yield made
    made.connection.close()
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@examples(60, 1500)
@given(data=st.data())
def test_any_rows(registry: Registry, data: st.DataObject) -> None:
    try:
        changed = False
        for _ in range(data.draw(st.integers(1, 2))):
            table = data.draw(st.sampled_from(sorted(registry.tables)))
            if data.draw(st.integers(0, 9)) == 0:
                changed |= registry.delete(table)
            else:
                column = data.draw(st.sampled_from(registry.tables[table]))
                changed |= registry.change(table, column, data.draw(st.sampled_from(ODD)))
        assume(changed)
        for words in data.draw(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=3)):
            run(*words, "-C", str(registry.workshop.root))
        _resolve(registry.workshop.url)
    finally:
        registry.restore()


def _resolve(url: str) -> Any:
    with psycopg.connect(url) as connection:
        try:
            found = Resolver.from_database(connection, release="1")
            found.verify(connection)
        except ProcverError as error:
            return error
    return found
