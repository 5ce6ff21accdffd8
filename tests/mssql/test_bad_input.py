"""Bad input on SQL Server: each with its words, its exit code, in both modes, and nothing changed anywhere."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from procver.dialects import Ddl, Unit, mssql
from procver.dialects.mssql import MssqlDatabase, pyodbc
from procver.dialects.odbc import read_target
from procver.errors import DatabaseError
from procver.known import Known
from tests.cli.untouched import refused
from tests.mssql.conftest import Place, for_database, new_database
from tests.mssql.yard import ALONE, FIND, NOW, THINGS, Yard

OTHER = ALONE.replace("42", "43")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A project with one release, on a database that no test of this module changes."""
    with new_database() as place:
        made = Yard(tmp_path_factory.mktemp("once") / "project", place, NOW)
        made.lay()
        made.publish("1")
        yield made


@pytest.fixture
def published(once: Yard, tmp_path: Path) -> Yard:
    """The same, in a directory of its own: what is wrong with its sources stays here."""
    shutil.copytree(once.root, tmp_path / "project")
    return Yard(tmp_path / "project", once.place, NOW)


@pytest.fixture
def yard(tmp_path: Path, place: Place) -> Yard:
    """A project that was never published, on a database that is emptied after the test."""
    made = Yard(tmp_path / "project", place, NOW)
    made.lay()
    return made


# ---- sources ------------------------------------------------------------------------------------


class Case(NamedTuple):
    """What is done to a published project, and what every command that reads the sources must say."""

    id: str
    prepare: Callable[[Yard], object]
    says: tuple[str, ...]
    hint: tuple[str, ...]
    error: str = "source"
    code: int = 2


def wrote(text: str) -> Callable[[Yard], object]:
    return lambda yard: yard.write(bad=text)


def raw(name: str, data: bytes) -> Callable[[Yard], object]:
    return lambda yard: (yard.root / "sql" / name).write_bytes(data)


PROC = "CREATE PROC app.bad AS\nSELECT 1 AS n"
SOURCES = [
    Case("empty-file", wrote(""), ("sql/bad.sql:1", "holds no statement"), ("write CREATE", "delete it")),
    Case("only-go", wrote("GO\n-- later\nGO\n"), ("sql/bad.sql:1", "holds no statement"), ("write CREATE",)),
    Case("two-objects", wrote(f"{PROC}\nGO\nCREATE PROC app.worse AS SELECT 2 AS n\nGO\n"),
         ("sql/bad.sql:4", "two objects", "app.bad", "app.worse"), ("a file of its own",)),
    Case("go-is-missing", wrote(f"{PROC}\n\nCREATE PROC app.worse AS SELECT 2 AS n\n"),
         ("sql/bad.sql:4", "CREATE PROC must be the first statement of its batch"), ("GO",)),
    Case("go-in-a-string", wrote(f"{PROC}, '\nGO\n' AS s\nCREATE VIEW app.worse AS SELECT 1 AS n"),
         ("sql/bad.sql:5", "must be the first statement of its batch"), ("GO",)),
    Case("go-in-a-comment", wrote(f"{PROC} /* /*\nGO\n*/\nGO\n*/\nCREATE VIEW app.worse AS SELECT 1 AS n"),
         ("sql/bad.sql:7", "must be the first statement of its batch"), ("GO",)),
    Case("open-brackets", wrote(f"{PROC}, [a\nGO\n"), ("sql/bad.sql:2", "name in brackets", "never ends"), ("close",)),
    Case("not-first", wrote(f"DECLARE @a int = 1\n{PROC}"),
         ("sql/bad.sql:2", "CREATE PROC must be the first statement of its batch"), ("GO",)),
    Case("not-first-but-in-an-if", wrote(f"IF OBJECT_ID('app.bad') IS NULL\n{PROC}"),
         ("sql/bad.sql:2", "must be the first"), ("GO",)),
    Case("same-object-twice", lambda y: y.write(again=ALONE),
         ("app.alone is defined in sql/again.sql already",), ("keep one",)),
    Case("same-object-in-another-case", lambda y: y.write(again=ALONE.replace("app.alone", "APP.Alone")),
         ("app.alone is defined in sql/again.sql already",), ("keep one",)),
    Case("open-string", wrote(f"{PROC}, 'abc\nGO\n"), ("sql/bad.sql:2", "string literal", "never ends"), ("close",)),
    Case("open-comment", wrote(f"{PROC} /* /* */\n"), ("sql/bad.sql:2", "comment", "never ends"), ("close",)),
    Case("not-utf-8", raw("bad.sql", PROC.encode() + b", '\xff'"), ("sql/bad.sql:2", "not UTF-8"), ("encoding",)),
    Case("odd-utf-16", raw("bad.sql", b"\xff\xfe" + PROC.encode("utf-16-le") + b"x"),
         ("sql/bad.sql", "UTF-16", "odd number of bytes"), ("restore the file",)),
    Case("unknown-ref", raw("bad.sql.j2", b"CREATE PROC app.bad AS\nSELECT * FROM {{ ref('app.thingz') }} t"),
         ("sql/bad.sql.j2:2", "ref() names app.thingz"), ("did you mean app.things",)),
    Case("name-too-long", wrote(f"CREATE PROC app.{'l' * 127} AS SELECT 1 AS n"),
         ("sql/bad.sql", "l_1", "129", "128"), ("shorter name",)),
    Case("looks-like-a-version", wrote("CREATE PROC app.ALONE_1 AS SELECT 1 AS n"),
         ("sql/bad.sql", "app.ALONE_1 looks like version 1 of app.alone"), ("rename",)),
    Case("three-parts", wrote("CREATE PROC shop.app.bad AS SELECT 1 AS n"),
         ("sql/bad.sql:1", "more than two parts"), ("schema.name",)),
    Case("encrypted", wrote("CREATE PROC app.bad WITH ENCRYPTION AS SELECT 1 AS n"), ("sql/bad.sql:1", "encrypted"), ("ENCRYPTION",)),
    Case("native", wrote("CREATE PROC app.bad WITH NATIVE_COMPILATION, SCHEMABINDING AS\nBEGIN ATOMIC WITH"
                         " (TRANSACTION ISOLATION LEVEL = SNAPSHOT, LANGUAGE = N'english') SELECT 1 AS n END"),
         ("sql/bad.sql:1", "natively compiled"), ("migration tool",)),
    Case("memory-type", wrote("CREATE TYPE app.bad AS TABLE (id int NOT NULL PRIMARY KEY NONCLUSTERED) WITH (MEMORY_OPTIMIZED = ON)"),
         ("sql/bad.sql:1", "memory-optimized"), ("migration tool",)),
    Case("clr", wrote("CREATE FUNCTION app.bad(@n int) RETURNS int AS EXTERNAL NAME code.[A.B].F"),
         ("sql/bad.sql:1", "CLR"), ("migration tool",)),
    Case("numbered", wrote("CREATE PROC app.bad;2 AS SELECT 1 AS n"), ("sql/bad.sql:1", "group number"), ("name",)),
    Case("temporary", wrote("CREATE PROC #bad AS SELECT 1 AS n"), ("sql/bad.sql:1", "temporary procedure"), ("",)),
    Case("synonym", wrote("CREATE SYNONYM app.bad FOR app.things"), ("sql/bad.sql:1", "a synonym is not"), ("migration tool",)),
    Case("trigger", wrote("CREATE TRIGGER app.bad ON app.thing AFTER INSERT AS SELECT 1"), ("sql/bad.sql:1", "a trigger is not"), ("migration tool",)),
    Case("alias-type", wrote("CREATE TYPE app.bad FROM int NOT NULL"), ("sql/bad.sql:1", "an alias type is not"), ("migration tool",)),
    Case("table", wrote("CREATE TABLE app.bad (n int)"), ("sql/bad.sql:1", "a table is not versioned"), ("migration tool",)),
    Case("data", wrote(f"{PROC}\nGO\nINSERT app.thing (id, name) VALUES (9, 'x')\n"),
         ("sql/bad.sql:4", "data (INSERT)"), ("migration tool",)),
    Case("other-settings", wrote(f"SET ANSI_PADDING OFF\nGO\n{PROC}"), ("sql/bad.sql:1", "SET ANSI_PADDING OFF"), ("QUOTED_IDENTIFIER",)),
    Case("sqlcmd-variable", wrote("CREATE PROC app.bad AS\nSELECT * FROM $(schema).things"),
         ("sql/bad.sql:2", "$(schema)", "sqlcmd"), (".sql.j2",)),
    Case("sqlcmd-command", wrote(f":setvar schema app\n{PROC}"), ("sql/bad.sql:1", ":setvar"), ("remove it",)),
    Case("go-often", wrote(f"{PROC}\nGO 5\n"), ("sql/bad.sql:1", "5 times"), ("remove the number",)),
    Case("cycle-through-a-view",
         lambda y: y.write(v="CREATE VIEW app.v AS SELECT n FROM app.f()",
                           f="CREATE FUNCTION app.f() RETURNS TABLE AS RETURN SELECT n FROM app.v"),
         ("reference cycle", "app.v -> app.f -> app.v"), ("break the cycle",)),
    Case("requires-nothing-known", wrote(f"-- procver: requires app.thing_s\n{PROC}"),
         ("sql/bad.sql:1", "app.thing_s is not managed"), ("did you mean app.things",)),
    Case("lock-number-by-hand", lambda y: _locked(y, " 1 v1:", " 01 v1:"),
         ("procver.lock:2", "'01' is no version number"), ("git checkout -- procver.lock",), "lock"),
]  # fmt: skip


def _locked(yard: Yard, old: str, new: str) -> None:
    path = yard.root / "procver.lock"
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")


@pytest.mark.parametrize("case", SOURCES, ids=[case.id for case in SOURCES])
def test_sources_and_lock(published: Yard, case: Case) -> None:
    case.prepare(published)
    for words in (("lock",), ("publish", "--release", "2")):
        refused(published, *words, code=case.code, error=case.error, says=case.says, hint=case.hint)


REFUSED_BY_THE_SERVER = [
    ("syntax", "-- one\nCREATE VIEW app.things AS\nSELECT t.id\nFROM FROM app.thing t", 4, "FROM", "correct"),
    ("column", "CREATE VIEW app.things AS SELECT t.id, t.nmae FROM app.thing t", 1, "nmae", "correct"),
    ("relation", "/* a */ CREATE VIEW app.things AS SELECT * FROM app.nowhere", 1, "nowhere", ""),
    ("crlf", "-- one\r\n\r\nCREATE VIEW app.things AS\r\nSELECT t.id\r\nFROM FROM app.thing t\r\n", 5, "FROM", "correct"),
    ("no-end-of-line", "-- one\x0c\x85\u2028 two\nCREATE VIEW app.things AS\nSELECT t.id\nFROM FROM app.thing t", 4, "FROM", "correct"),
    ("grant", THINGS + "GO\n\nGRANT SELECT ON app.things\nTO nobody_here\nGO\n", 5, "nobody_here", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"), [case[1:] for case in REFUSED_BY_THE_SERVER],
    ids=[case[0] for case in REFUSED_BY_THE_SERVER],
)  # fmt: skip
def test_the_servers_message_comes_with_the_sources_line(
    published: Yard, text: str, line: int, says: str, hint: str
) -> None:
    (published.root / "sql/things.sql").write_bytes(text.encode())
    published.run("lock")
    refused(
        published, "publish", "--release", "2", code=3, error="ddl",
        says=(f"sql/things.sql:{line}: app.things_2", says), hint=(hint,),
    )  # fmt: skip


# ---- what is in the database --------------------------------------------------------------------

FOREIGN = [
    ("CREATE TABLE app.things_2 (n int)", "things_2"),
    ("CREATE VIEW app.THINGS_2 AS SELECT 1 AS n", "a view called app.things_2"),
    ("CREATE PROCEDURE app.things_2 AS SELECT 1 AS n", "procedure called app.things_2"),
    ("CREATE FUNCTION app.things_2() RETURNS int AS BEGIN RETURN 1 END", "function called app.things_2"),
    ("CREATE TYPE app.things_2 AS TABLE (n int)", "type called app.things_2"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "says"), FOREIGN)
def test_a_name_taken_by_a_foreign_object(published: Yard, sql: str, says: str) -> None:
    published.write(things=THINGS.replace("t.name", "t.name AS title"))
    word = sql.split()[1]
    published.sql(sql)
    try:
        refused(
            published, "publish", "-r", "2", code=4, error="conflict",
            says=(says, "procver did not make it"), hint=("rename or drop it", "suffix"),
        )  # fmt: skip
    finally:
        published.sql(f"DROP {word} app.things_2")


def test_a_schema_or_a_role_that_is_missing(published: Yard) -> None:
    published.write(bad="CREATE VIEW [My ]]Schema].bad AS SELECT 1 AS n")
    refused(
        published, "publish", "-r", "2", code=3, error="database",
        says=("sql/bad.sql: schema [My ]]Schema] does not exist",), hint=("CREATE SCHEMA [My ]]Schema]", "migration tool"),
    )  # fmt: skip
    published.remove("bad")
    published.write(alone=OTHER)
    published.configure(more='[grants]\n"app.*" = { execute = ["Nobody; here"] }\n')
    refused(
        published, "publish", "-r", "2", code=3, error="database",
        says=("role [Nobody; here]", "[grants]"), hint=("CREATE ROLE [Nobody; here]", "correct [grants]"),
    )  # fmt: skip


def test_names_of_other_databases_are_left_and_reported(published: Yard) -> None:
    """Be it another database, one on another server, or this one by its name: a target may be called otherwise."""
    name = published.sql("SELECT DB_NAME()")[0][0]
    for written in (
        f"{name}.app.things",
        "elsewhere.app.things",
        "elsewhere..things",
        "far.elsewhere.app.things",
    ):
        published.write(find_things=FIND.replace("app.things", written))
        found = published.json("lock", "--check", code=1)["remarks"]
        (remark,) = found
        assert (remark["rule"], remark["file"], remark["line"]) == (
            "database-name", "sql/find_things.sql", 2,
        )  # fmt: skip
        assert f"{written} names a database: it is left as it is" in remark["message"]
        assert "write app.things" in remark["hint"]
    published.write(find_things=FIND.replace("app.things", f"{name}.app.things"))
    assert [c["because"] for c in published.json("plan")["create"]] == [[]], "no use of the view"


# ---- what cannot be reached ---------------------------------------------------------------------


def changed(url: str, **parts: str) -> str:
    """Return the connection string of a target with other values under some of its keywords."""
    url = read_target(url, pyodbc.drivers()).text
    for key, value in parts.items():
        url = re.sub(rf"(?i)\b{key}=[^;]*", lambda _, k=key, v=value: f"{k}={v}", url)  # type: ignore[misc]
    return url


def test_targets_that_cannot_be_used(published: Yard) -> None:
    secret = "Wr0ng;-s3cret"
    braced = "{Wr0ng;-s3cret}"
    targets = [
        (3, changed(published.url, PWD=braced), ("the target cannot be reached",), ("user and password",)),
        (3, changed(published.url, UID="nobody", PWD=braced), ("nobody",), ("user and password",)),
        (3, changed(published.url, DATABASE="nowhere"), ("nowhere",), ("create the database",)),
        (3, changed(published.url, DRIVER="{No Such Driver}", PWD=braced), ("No Such Driver",), ("pip install",)),
        (3, f"mssql://procver:Wr0ng%3B-s3cret@127.0.0.1:1/shop?encrypt=no&driver={_driver(published.url)}",
         ("the target cannot be reached",), ("check that the server runs",)),
    ]  # fmt: skip
    for code, url, says, hint in targets:
        for words in (("plan", "-t", url), ("publish", "-r", "2", "-t", url)):
            refused(
                published, *words, code=code, error="database", says=says, hint=hint,
                never=(secret, "s3cret", braced), look=False,
            )  # fmt: skip
            if "127.0.0.1:1/" in url:
                break  # it takes the driver ten seconds


def _driver(url: str) -> str:
    found = re.search(r"(?i)\bdriver=([^;]*)", changed(url))
    assert found
    return found[1].strip("{}")


# ---- rights -------------------------------------------------------------------------------------


@pytest.fixture
def login(published: Yard) -> Iterator[str]:
    """A login that may connect to the database and nothing else; gives its target."""
    name = published.sql("SELECT DB_NAME()")[0][0] + "_low"
    published.sql(f"CREATE LOGIN {name} WITH PASSWORD = 'Procver-Low-1'")
    published.sql(f"CREATE USER {name} FOR LOGIN {name}")
    yield changed(published.url, UID=name, PWD="Procver-Low-1")
    for right in reading_rights(published):
        published.sql(f"REVOKE {right} FROM {name}")
    published.sql(f"DROP USER {name}")
    master = Place(for_database(published.url, "master"))
    master.sql(f"DROP LOGIN {name}")
    master.close()


def reading_rights(yard: Yard) -> list[str]:
    """Return what to grant so that somebody may use the registry, and call the versions."""
    rows = yard.sql(
        "SELECT SCHEMA_NAME(schema_id) + '.' + name, RTRIM(type) FROM sys.objects"
        " WHERE SCHEMA_NAME(schema_id) IN ('app', 'procver')"
    )
    words = {
        "U": "SELECT, INSERT, UPDATE, DELETE",
        "V": "SELECT",
        "IF": "SELECT",
        "P": "EXECUTE",
        "FN": "EXECUTE",
    }
    if yard.is_babelfish:
        words["IF"] = "EXECUTE"
    return [f"{words[sort]} ON {name}" for name, sort in rows if sort in words]


def test_a_login_that_may_not_create(published: Yard, login: str) -> None:
    published.write(alone=OTHER)
    published.run("lock")
    for words in (("plan",), ("publish", "-r", "2"), ("gc",), ("verify",)):
        refused(
            published, *words, "-t", login, code=3, error="database",
            says=("may not read the registry",), hint=("procver init --roles",), never=("Low-1",),
        )  # fmt: skip
    name = login.split("UID=")[1].split(";")[0]
    for right in reading_rights(published):
        published.sql(f"GRANT {right} TO {name}")
    shown = published.json("plan", "-t", login)
    assert [c["physical"] for c in shown["create"]] == ["app.alone_2"]
    assert published.json("verify", "-t", login)["findings"] == [], "whoever looks sees the same"
    refused(
        published, "publish", "-r", "2", "-t", login, code=3, error="ddl",
        says=("sql/alone.sql:1: app.alone_2",), hint=("CREATE", "ALTER on the schema"), never=("Low-1",),
    )  # fmt: skip


def test_a_login_that_may_not_set_up_the_registry(empty: Place, tmp_path: Path) -> None:
    yard = Yard(tmp_path / "project", empty)
    yard.lay()
    name = yard.sql("SELECT DB_NAME()")[0][0] + "_low"
    yard.sql(f"CREATE LOGIN {name} WITH PASSWORD = 'Procver-Low-1'")
    yard.sql(f"CREATE USER {name} FOR LOGIN {name}")
    try:
        refused(
            yard, "publish", "-r", "1", "-t", changed(yard.url, UID=name, PWD="Procver-Low-1"), code=3,
            error="database", says=("the registry cannot be set up",), hint=("CREATE", "procver init --roles"),
            never=("Low-1",),
        )  # fmt: skip
        assert not (yard.root / "procver.lock").exists()
    finally:
        yard.sql(f"DROP USER {name}")
        yard.sql(f"DROP LOGIN {name}")


# ---- what must work -----------------------------------------------------------------------------


def test_names_with_dots_and_brackets_from_first_to_last(yard: Yard) -> None:
    # Babelfish reads no ]] in a name, and finds none with a quote in it.
    view, proc, above = (
        ("a.b c", "sp x.", "q.") if yard.is_babelfish else ("a.b]]c", "sp 'x'.", '"q"')
    )
    yard.remove("things", "find_things", "alone")
    source = f"CREATE VIEW app.[{view}] AS\nSELECT t.id FROM app.thing t\n"
    yard.write(
        view=source,
        proc=f"CREATE PROC app.[{proc}] AS\nSELECT [{view}].id FROM app.[{view}] ORDER BY [{view}].id\n",
        above=f"CREATE PROC [app].[{above}] AS\nEXEC [app] . [{proc}]\nGO\nGRANT EXECUTE ON app.[{above}] TO public\n",
    )
    assert {c["physical"] for c in yard.publish("1")["create"]} == {
        f"app.[{view}_1]", f"app.[{proc}_1]", f"app.[{above}_1]",
    }  # fmt: skip
    yard.run("release", "activate", "1")
    first = yard.resolver()
    assert yard.sql("EXEC " + first[f"app.[{proc}]"]) == [(1,), (2,)]
    yard.write(view=source.replace("t.id", "t.id * 10 AS id"))
    assert {c["physical"] for c in yard.publish("2")["create"]} == {
        f"app.[{view}_2]", f"app.[{proc}_2]", f"app.[{above}_2]",
    }  # fmt: skip
    second = yard.resolver()
    assert yard.sql("EXEC " + second[f"app.[{above}]"]) == [(10,), (20,)]
    assert yard.sql("EXEC " + first[f"app.[{above}]"]) == [(1,), (2,)]
    yard.run("release", "activate", "2")
    yard.run("release", "retire", "1")
    assert yard.json("why", f"app.[{view}_2]")["because"]
    yard.run("gc", "--apply")
    assert yard.json("gc", "--apply")["dropped"] == 3
    yard.run("release", "activate", "1", "--restore")
    assert yard.sql("EXEC " + first[f"app.[{above}]"]) == [(1,), (2,)]
    assert yard.json("verify")["findings"] == []


def test_settings_that_differ_between_two_files(yard: Yard) -> None:
    yard.write(
        off='SET QUOTED_IDENTIFIER OFF\nGO\nSET ANSI_NULLS OFF\nGO\nCREATE PROC app.off_here AS\nSELECT "x" AS s, CASE WHEN NULL = NULL THEN 1 ELSE 0 END AS n\n',
        on='SET QUOTED_IDENTIFIER ON\nGO\nCREATE PROC app.on_here AS\nSELECT t."id" AS s, CASE WHEN NULL = NULL THEN 1 ELSE 0 END AS n FROM app.thing t WHERE t.id = 1\n',
    )
    yard.publish("1")
    kept = dict(
        yard.sql(
            "SELECT leaf, definition FROM procver.version WHERE leaf IN (N'off_here_1', N'on_here_1')"
        )
    )
    roles = {
        leaf: [s[0] for s in json.loads(text) if s[1] == "setting"] for leaf, text in kept.items()
    }
    assert roles == {
        "off_here_1": ["SET ANSI_NULLS OFF", "SET QUOTED_IDENTIFIER OFF"], "on_here_1": [],
    }  # fmt: skip
    assert yard.sql("EXEC app.on_here_1") == [(1, 0)]
    if not yard.is_babelfish:  # there both are the calling session's
        assert yard.sql("EXEC app.off_here_1") == [("x", 1)]
        modules = (
            "SELECT OBJECT_NAME(object_id), uses_quoted_identifier, uses_ansi_nulls FROM sys.sql_modules"
            " WHERE OBJECT_NAME(object_id) LIKE 'o%[_]here[_]1'"
        )
        assert {n: (q, a) for n, q, a in yard.sql(modules)} == {
            "off_here_1": (False, False), "on_here_1": (True, True),
        }  # fmt: skip
    assert yard.json("verify")["findings"] == []
    database = yard.place.open()
    options = "SELECT CAST(SESSIONPROPERTY('QUOTED_IDENTIFIER') AS int), CAST(SESSIONPROPERTY('ANSI_NULLS') AS int)"
    before = database._send(options)
    database.enter("settings", "app")
    project, generation = yard.sql(
        "SELECT id, generation FROM procver.project WHERE name = N'settings'"
    )[0]
    unit = Unit((Ddl("SET QUOTED_IDENTIFIER OFF"), Ddl("SET ANSI_NULLS OFF"), Ddl("SELECT 1 AS n")))
    assert list(database.run(project, generation, [unit])) == [0]
    assert database._send(options) == before
    database.close()


def test_a_type_that_somebody_else_takes_is_kept(yard: Yard) -> None:
    wanted = "CREATE TYPE app.wanted AS TABLE (id int NOT NULL)\n"
    yard.write(
        wanted=wanted,
        find_things="CREATE PROC app.find_things @w app.wanted READONLY AS\nSELECT v.name FROM app.things v JOIN @w w ON w.id = v.id\n",
    )
    yard.publish("1")
    yard.run("release", "activate", "1")
    yard.sql("CREATE PROC app.theirs @w app.wanted_1 READONLY AS SELECT COUNT(*) AS n FROM @w")
    yard.write(wanted=wanted.replace("NOT NULL", "NOT NULL, n int NULL"))
    assert {c["physical"] for c in yard.publish("2")["create"]} == {
        "app.wanted_2",
        "app.find_things_2",
    }
    yard.run("release", "activate", "2")
    yard.run("release", "retire", "1")
    yard.run("gc", "--apply")
    done = yard.json("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == {"app.find_things_1"}
    kept = {k["physical"]: " ".join(k["because"]) for k in done["keep"]}
    assert "procedure app.theirs" in kept["app.wanted_1"]
    assert yard.sql("DECLARE @w app.wanted_1; INSERT @w (id) VALUES (1); EXEC app.theirs @w") == [
        (1,)
    ]
    yard.sql("DROP PROCEDURE app.theirs")
    yard.run("gc", "--apply")
    assert {d["physical"] for d in yard.json("gc", "--apply")["drop"]} == {"app.wanted_1"}


# ---- locks and lines that break -----------------------------------------------------------------

Read = Callable[[], Known]


def test_a_deadlock_is_tried_again_and_completes(
    place: Place, database: MssqlDatabase, known: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one: both hold what the other waits for, and the server lets our unit lose."""
    place.sql("CREATE TABLE dbo.one (n int)")
    place.sql("CREATE TABLE dbo.two (n int)")
    place.sql("INSERT dbo.one (n) VALUES (0)")
    place.sql("INSERT dbo.two (n) VALUES (0)")
    other = place.plain()
    if place.sql("SELECT CAST(SERVERPROPERTY('Babelfish') AS int)") != [(1,)]:
        other.execute("SET DEADLOCK_PRIORITY HIGH")
    other.execute("BEGIN TRANSACTION; UPDATE dbo.two SET n = n + 10")
    done: list[str] = []

    def cross() -> None:
        time.sleep(0.5)  # Babelfish lets the one lose who waited first
        other.execute("UPDATE dbo.one SET n = n + 10; COMMIT TRANSACTION")
        done.append("other")

    crossing = threading.Thread(target=cross)

    def steps() -> Iterator[Ddl]:
        yield Ddl("UPDATE dbo.one SET n = n + 1")
        if not crossing.ident:
            crossing.start()
        yield Ddl("UPDATE dbo.two SET n = n + 1")

    class Steps:
        def __iter__(self) -> Iterator[Ddl]:
            return steps()

    pauses: list[int] = []
    monkeypatch.setattr(mssql, "_pause", pauses.append)
    patient = place.open(lock_timeout=20.0)
    found = known()
    assert list(patient.run(found.project_id, found.generation, [Unit(Steps())])) == [0]
    crossing.join(30)
    assert (done, len(pauses) >= 1) == (["other"], True)
    assert place.sql("SELECT (SELECT n FROM dbo.one), (SELECT n FROM dbo.two)") == [(11, 11)]
    patient.close()
    other.close()


def test_a_connection_killed_in_the_middle_of_a_batch(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    place.sql("CREATE TABLE dbo.one (n int)")
    victim = place.open()
    session = victim._send("SELECT @@SPID")[0][0]
    found = known()
    killer = threading.Timer(0.7, lambda: place.sql(f"KILL {session}"))
    slow = Unit(
        (
            Ddl("INSERT dbo.one (n) VALUES (1)"),
            Ddl("DECLARE @i int = 0; WHILE @i < 90000000 SET @i = @i + 1"),
        )
    )
    killer.start()
    with pytest.raises(DatabaseError, match="connection to the server was lost") as lost:
        list(victim.run(found.project_id, found.generation, [slow]))
    killer.join()
    assert "run the same command again" in str(lost.value.hint)
    victim.close()
    assert place.sql("SELECT COUNT(*) FROM dbo.one") == [(0,)]
    again = Unit((Ddl("INSERT dbo.one (n) VALUES (1)"),))
    assert list(database.run(found.project_id, known().generation, [again])) == [0]
    assert place.sql("SELECT COUNT(*) FROM dbo.one") == [(1,)]
    with pytest.raises(pyodbc.Error):
        victim._send("SELECT 1")


# ---- databases of a special sort ----------------------------------------------------------------


def only_sql_server(place: Place, why: str) -> None:
    if place.sql("SELECT CAST(SERVERPROPERTY('Babelfish') AS int)") == [(1,)]:
        pytest.skip(f"Babelfish {why}")


@pytest.mark.parametrize(
    ("option", "words", "hint"),
    [
        ("READ_ONLY", "read-only", "publish to the primary"),
        ("SINGLE_USER", "single", "single-user mode"),
    ],
)
def test_a_database_that_cannot_be_written(
    empty: Place, tmp_path: Path, option: str, words: str, hint: str
) -> None:
    only_sql_server(empty, "has no ALTER DATABASE ... SET")
    yard = Yard(tmp_path / "project", empty)
    yard.lay()
    yard.publish("1")
    name = yard.sql("SELECT DB_NAME()")[0][0]
    yard.write(alone=OTHER)
    yard.run("lock")
    yard.sql(f"ALTER DATABASE [{name}] SET {option} WITH ROLLBACK IMMEDIATE")
    try:
        refused(
            yard, "publish", "-r", "2", code=3, error="database", says=(words,), hint=(hint,),
            look=option == "READ_ONLY",
        )  # fmt: skip
    finally:
        yard.sql(f"ALTER DATABASE [{name}] SET READ_WRITE, MULTI_USER")
    yard.publish("2")


def test_a_database_that_compares_with_case(empty: Place, tmp_path: Path) -> None:
    """Names keep their spelling, and two that differ in case only are refused there too."""
    server = Place(for_database(empty.url, "master"))
    name = empty.sql("SELECT DB_NAME()")[0][0] + "_cs"
    try:
        server.sql(f"CREATE DATABASE {name} COLLATE Latin1_General_100_CS_AS")
    except pyodbc.Error as error:
        server.close()
        pytest.skip(f"this server makes no such database: {str(error)[:200]}")
    place = Place(for_database(empty.url, name))
    try:
        yard = Yard(tmp_path / "project", place, NOW)
        yard.lay()
        assert {c["physical"] for c in yard.publish("1")["create"]} == {
            "app.things_1", "app.find_things_1", "app.alone_1",
        }  # fmt: skip
        yard.write(things=THINGS.replace("t.name", "t.name AS title"))
        yard.publish("2")
        yard.run("release", "activate", "2")
        assert yard.json("verify")["findings"] == []
        yard.write(again=ALONE.replace("app.alone", "app.Alone"))
        refused(
            yard, "publish", "-r", "3", code=2, error="source",
            says=("app.alone", "app.Alone", "differ in case only"), hint=("rename one",),
        )  # fmt: skip
    finally:
        place.close()
        server.sql(
            f"IF SERVERPROPERTY('Babelfish') IS NULL"
            f" EXEC(N'ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE')"
        )
        server.sql(f"DROP DATABASE {name}")
        server.close()


def test_what_has_taken_a_versions_name(published: Yard) -> None:
    """Of another kind it is no version, whatever it is called."""
    published.sql("DROP PROCEDURE app.alone_1")
    published.sql("CREATE FUNCTION app.alone_1() RETURNS int AS BEGIN RETURN 42 END")
    try:
        (found,) = published.json("verify", code=1)["findings"]
        assert (found["rule"], found["object"]) == ("unreadable", "app.alone_1")
        assert "something else has taken its name" in found["message"]
    finally:
        published.sql("DROP FUNCTION app.alone_1")
        published.sql(ALONE.replace("alone", "alone_1"))
    assert published.json("verify")["findings"] == []
