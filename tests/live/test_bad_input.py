"""Bad input: each with its words, its exit code, in both modes, and nothing changed anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from procver.lock import HEADER
from tests.cli.untouched import refused
from tests.live.conftest import ALONE, THINGS
from tests.workshop import Workshop

OTHER = ALONE.replace("42", "43")
THIRD = ALONE.replace("42", "44")
NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'


def function(name: str, body: str = "SELECT 1") -> str:
    return f"CREATE FUNCTION app.{name}() RETURNS int LANGUAGE sql AS $$ {body} $$;\n"


class Case(NamedTuple):
    """What is done to a published project, and what every command that reads the sources must say."""

    id: str
    prepare: Callable[[Workshop], object]
    says: tuple[str, ...]
    hint: tuple[str, ...]
    error: str = "source"
    code: int = 2


def wrote(**texts: str) -> Callable[[Workshop], object]:
    return lambda workshop: workshop.write(**texts)


def raw(name: str, data: bytes) -> Callable[[Workshop], object]:
    return lambda workshop: (workshop.root / "sql" / name).write_bytes(data)


def locked(change: Callable[[str], str]) -> Callable[[Workshop], object]:
    def prepare(workshop: Workshop) -> None:
        path = workshop.root / "procver.lock"
        path.write_text(change(path.read_text("utf-8")), "utf-8")

    return prepare


def conflict(text: str) -> str:
    ours = next(line for line in text.splitlines() if line.startswith("app.alone"))
    return text.replace(ours, f"<<<<<<< HEAD\n{ours}\n=======\n{ours[:-4]}0000\n>>>>>>> branch")


VIEW = b"CREATE VIEW app.bad AS\nSELECT 1 AS n"
LONG = "l" * 62

SOURCES = [
    Case("no-file", lambda w: w.remove("things", "find_things", "count_things", "alone"),
         ("no *.sql file in sql/",), ("procver init",)),
    Case("empty-file", wrote(bad=""), ("sql/bad.sql:1", "holds no statement"), ("write CREATE", "delete it")),
    Case("comment-only", wrote(bad="-- later\n"), ("sql/bad.sql:1", "holds no statement"), ("write CREATE",)),
    Case("two-objects", wrote(bad=function("one") + function("two")),
         ("sql/bad.sql:2", "two objects", "app.one", "app.two"), ("a file of its own",)),
    Case("same-object-twice", wrote(things_again=THINGS),
         ("sql/things_again.sql", "app.things", "sql/things.sql already"), ("keep one", "overloads")),
    Case("not-utf-8", raw("bad.sql", VIEW + b", '\xff'"),
         ("sql/bad.sql:2", "not UTF-8", "0xff"), ("as UTF-8", "encoding in procver.toml")),
    Case("odd-utf-16", raw("bad.sql", b"\xff\xfe" + VIEW.decode().encode("utf-16-le") + b"x"),
         ("sql/bad.sql", "UTF-16", "odd number of bytes"), ("restore the file",)),
    Case("utf-16-without-mark", raw("bad.sql", VIEW.decode().encode("utf-16-le")),
         ("sql/bad.sql:1", "NUL byte"), ("as UTF-8",)),
    Case("open-string", wrote(bad="CREATE VIEW app.bad AS\nSELECT 'abc;\n"),
         ("sql/bad.sql:2", "string literal", "never ends"), ("close",)),
    Case("open-body", wrote(bad="CREATE FUNCTION app.bad() RETURNS int\nLANGUAGE sql AS $x$ SELECT 1 $y$;\n"),
         ("sql/bad.sql:2", "$x$", "never ends"), ("close",)),
    Case("open-comment", wrote(bad="CREATE VIEW app.bad AS /* /* */\nSELECT 1"),
         ("sql/bad.sql:1", "comment", "never ends"), ("close",)),
    Case("unknown-ref", raw("bad.sql.j2", b"CREATE VIEW app.bad AS\nSELECT * FROM {{ ref('app.thingz') }} t"),
         ("sql/bad.sql.j2:2", "ref() names app.thingz"), ("did you mean app.things",)),
    Case("ref-that-is-no-name", raw("bad.sql.j2", b"CREATE VIEW app.bad AS\nSELECT * FROM {{ ref('a.b.c.d') }} t"),
         ("sql/bad.sql.j2:2", "'a.b.c.d' is no name"), ("schema.name",)),
    Case("undefined-variable", raw("bad.sql.j2", b"CREATE VIEW app.bad AS\nSELECT {{ colour }} AS n"),
         ("sql/bad.sql.j2:2", "template error", "'colour' is undefined"), ("[variables]",)),
    Case("template-syntax", raw("bad.sql.j2", b"CREATE VIEW app.bad AS\n\nSELECT {% if %}"),
         ("sql/bad.sql.j2:3", "template error"), ("*.sql, not *.sql.j2",)),
    Case("template-reaches-out", raw("bad.sql.j2", b"{{ ref.__globals__ }}"),
         ("sql/bad.sql.j2:1", "template error", "__globals__"), ("*.sql, not *.sql.j2",)),
    Case("cycle-through-a-view",
         wrote(v="CREATE VIEW app.v AS SELECT app.f() AS n",
               f="CREATE FUNCTION app.f() RETURNS int RETURN (SELECT count(*)::int FROM app.v)"),
         ("reference cycle", "app.v -> app.f -> app.v"), ("break the cycle",)),
    Case("a-view-and-a-function", wrote(b="CREATE VIEW app.alone AS SELECT 1 AS n"),
         ("app.alone is defined in sql/alone.sql already", "a function and a view cannot share a version", "sql/b.sql"),
         ("another name",)),
    Case("name-too-long", wrote(bad=function(LONG)),
         ("sql/bad.sql", f"{LONG}_1", "64 bytes", "63"), ("shorter name",)),
    Case("looks-like-a-version", wrote(bad=function("alone_1")),
         ("sql/bad.sql", "app.alone_1 looks like version 1 of app.alone"), ("rename",)),
    Case("table", wrote(bad="CREATE TABLE app.bad (n int);"),
         ("sql/bad.sql:1", "a table is not versioned"), ("migration tool",)),
    Case("trigger-function",
         wrote(bad="CREATE FUNCTION app.bad() RETURNS trigger\nLANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"),
         ("sql/bad.sql", "trigger function"), ("migration tool",)),
    Case("data", wrote(bad="CREATE VIEW app.bad AS SELECT 1;\nDELETE FROM app.thing;"),
         ("sql/bad.sql:2", "data (DELETE)"), ("migration tool",)),
    Case("psql-command", wrote(bad="\\set x 1\n" + function("bad")), ("sql/bad.sql:1", "psql"), ("remove it",)),
    Case("unknown-directive", wrote(bad="-- procver: requiers app.things\n" + function("bad")),
         ("sql/bad.sql:1", "unknown directive"), ("requires app.v", "pin app.v = 2")),
    Case("requires-nothing-known", wrote(bad="-- procver: requires app.thing_s\n" + function("bad")),
         ("sql/bad.sql:1", "app.thing_s is not managed"), ("did you mean app.things",)),
    Case("pin-that-the-lock-lacks", wrote(bad="-- procver: pin app.things = 7\n" + function("bad")),
         ("sql/bad.sql", "pin app.things = 7", "no such version"), ("the newest is 1",)),
    Case("several-at-once", wrote(a="", b="CREATE TABLE t (n int)", c="nonsense"),
         ("sql/a.sql:1", "2 more files", "sql/b.sql:1", "sql/c.sql:1"), ("write CREATE",)),
    Case("no-directory", lambda w: (w.root / "sql").rename(w.root / "sequel"),
         ("'sql' does not exist",), ("create sql/",), "config"),
    Case("toml", lambda w: (w.root / "procver.toml").write_text("[project]\nname = shop\n"),
         ("procver.toml", "line 2"), ("correct the TOML",), "config"),
    Case("lock-conflict", locked(conflict),
         ("procver.lock:2", "unresolved git conflict", "<<<<<<<"), ("procver lock --base",), "lock"),
    Case("lock-two-branches", locked(lambda t: t + t.splitlines()[1][:-4] + "0000\n"),
         ("procver.lock:6", "there twice, with different content"), ("procver lock --base",), "lock"),
    Case("lock-number-by-hand", locked(lambda t: t.replace(" 1 v1:", " 01 v1:", 1)),
         ("procver.lock:2", "'01' is no version number"), ("git checkout -- procver.lock",), "lock"),
    Case("lock-kind-by-hand", locked(lambda t: t.replace(" view ", " vue ")),
         ("procver.lock:5", "'vue' is no kind"), ("git checkout -- procver.lock",), "lock"),
    Case("lock-fingerprint-by-hand", locked(lambda t: t.replace("v1:", "v1:x", 1)),
         ("procver.lock:2", "is no fingerprint"), ("git checkout -- procver.lock",), "lock"),
    Case("lock-of-a-newer-procver", locked(lambda t: t.replace("v1:", "v9:", 1)),
         ("procver.lock:2", "newer procver"), ("upgrade procver",), "lock"),
    Case("lock-prose", locked(lambda t: t + "hello world\n"),
         ("procver.lock:6", "name kind number fingerprint"), ("git checkout -- procver.lock",), "lock"),
    Case("lock-not-text", lambda w: (w.root / "procver.lock").write_bytes(HEADER.encode() + b"\n\xfe\xff"),
         ("procver.lock:2", "not UTF-8"), ("git checkout -- procver.lock",), "lock"),
]  # fmt: skip


@pytest.mark.parametrize("case", SOURCES, ids=[case.id for case in SOURCES])
def test_sources_and_lock(workshop: Workshop, case: Case) -> None:
    workshop.publish("1")
    case.prepare(workshop)
    about = {"code": case.code, "error": case.error, "says": case.says, "hint": case.hint}
    refused(workshop, "lock", **about)  # type: ignore[arg-type]
    refused(workshop, "lock", "--check", **about)  # type: ignore[arg-type]
    refused(workshop, "plan", **about)  # type: ignore[arg-type]
    refused(workshop, "publish", "--release", "2", **about)  # type: ignore[arg-type]
    if case.error != "source":
        refused(workshop, "map", "--release", "2", **about)  # type: ignore[arg-type]


def test_no_project(workshop: Workshop, tmp_path: Path) -> None:
    (workshop.root / "procver.toml").unlink()
    for words in (
        ("lock",),
        ("plan",),
        ("publish", "-r", "2"),
        ("gc",),
        ("verify",),
        ("release", "list"),
    ):
        refused(
            workshop,
            *words,
            code=2,
            error="config",
            says=("no procver.toml in",),
            hint=("procver init",),
        )


REFUSED_BY_THE_SERVER = [
    ("syntax", "-- one\nCREATE VIEW app.things AS\nSELECT t.id\nFROM FROM app.thing t;", 4, "syntax error", "correct"),
    ("column", "CREATE VIEW app.things AS\nSELECT t.id,\n\n t.nmae FROM app.thing t;", 4, "t.nmae", '"t.name"'),
    ("relation", "/* a\n b */ CREATE VIEW app.things AS SELECT *\nFROM app.nowhere;", 3, "app.nowhere", "correct"),
    ("crlf", "CREATE VIEW app.things AS\r\nSELECT t.id,\r\n t.nope FROM app.thing t;\r\n", 3, "t.nope", '"t.name"'),
    ("grant", THINGS + "\n\nGRANT SELECT ON app.things\nTO nobody_here;", 4, "nobody_here", "correct"),
    ("after", THINGS + "COMMENT ON VIEW app.things IS 'x';\nCOMMENT ON COLUMN app.things.nope IS 'x';", 3, "nope", "correct"),
    ("astral", "CREATE VIEW app.things AS SELECT '\U0001f600\U0001f600' AS a,\n'é' AS b,\n t.nope FROM app.thing t", 3,
     "t.nope", '"t.name"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"), [case[1:] for case in REFUSED_BY_THE_SERVER],
    ids=[case[0] for case in REFUSED_BY_THE_SERVER],
)  # fmt: skip
def test_the_servers_message_comes_with_the_sources_line(
    workshop: Workshop, text: str, line: int, says: str, hint: str
) -> None:
    workshop.publish("1")
    (workshop.root / "sql/things.sql").write_bytes(text.encode())
    workshop.run("lock")
    place = f"sql/things.sql:{line}: app.things_2"
    refused(
        workshop, "publish", "--release", "2", code=3, error="ddl", says=(place, says), hint=(hint,)
    )


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("LANGUAGE sql AS $$\n\n SELECT x.id\n FROM app.nowhere x\n$$", 5),
        ("LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN FROM;\n  IF IF;\nEND $$", 4),
        ("LANGUAGE sql AS 'SELECT\n ''it''::int,\n FROM'", 4),
        ("\nBEGIN ATOMIC\n SELECT 1;\n SELECT t.colour FROM app.things t;\nEND", 5),
    ],
    ids=["sql", "plpgsql", "quoted", "atomic"],
)
def test_the_line_of_an_error_inside_a_body(workshop: Workshop, body: str, line: int) -> None:
    workshop.publish("1")
    workshop.write(alone=f"CREATE FUNCTION app.alone() RETURNS int\n{body};\n")
    workshop.run("lock")
    refused(
        workshop, "publish", "--release", "2", code=3, error="ddl",
        says=(f"sql/alone.sql:{line}: app.alone_2",),
    )  # fmt: skip


def test_a_template_is_told_by_its_rendered_line(workshop: Workshop) -> None:
    workshop.publish("1")
    text = "{# a\n comment #}CREATE VIEW app.made AS\nSELECT t.nope FROM {{ ref('app.things') }} t"
    (workshop.root / "sql/made.sql.j2").write_text(text)
    workshop.run("lock")
    refused(
        workshop, "publish", "--release", "2", code=3, error="ddl",
        says=("sql/made.sql.j2:2 (of the rendered text)", "t.nope"), hint=("t.name",),
    )  # fmt: skip


FOREIGN = [
    ("table", "CREATE TABLE app.things_2 (n int)", "a table called app.things_2"),
    ("view", "CREATE VIEW app.things_2 AS SELECT 1", "a view called app.things_2"),
    ("sequence", "CREATE SEQUENCE app.things_2", "a sequence called app.things_2"),
    ("type", "CREATE TYPE app.things_2 AS ENUM ('a')", "a type called app.things_2"),
    ("index", "CREATE INDEX things_2 ON app.thing (name)", "an index called app.things_2"),
    ("function", "CREATE FUNCTION app.find_things_2() RETURNS int LANGUAGE sql AS 'SELECT 1'",
     "a routine called app.find_things_2"),
    ("procedure", "CREATE PROCEDURE app.find_things_2(n int) LANGUAGE sql AS 'SELECT 1'",
     "a routine called app.find_things_2"),
    ("other-arguments", "CREATE FUNCTION app.find_things_2(x text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
     "a routine called app.find_things_2"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "says"), [case[1:] for case in FOREIGN], ids=[case[0] for case in FOREIGN]
)
def test_a_name_taken_by_a_foreign_object(workshop: Workshop, sql: str, says: str) -> None:
    workshop.publish("1")
    workshop.write(things=THINGS.replace("t.name", "t.price"))
    workshop.sql(sql)
    for words in (("plan",), ("publish", "-r", "2", "--dry-run"), ("publish", "-r", "2")):
        refused(
            workshop, *words, code=4, error="conflict",
            says=(says, "procver did not make it"), hint=("rename or drop it", "suffix"),
        )  # fmt: skip


def test_nothing_is_set_up_where_the_first_publish_is_refused(workshop: Workshop) -> None:
    workshop.sql("CREATE TABLE app.things_1 (n int)")
    refused(workshop, "plan", code=4, error="conflict", says=("a table called app.things_1",))
    refused(workshop, "publish", "-r", "1", code=4, error="conflict", says=("app.things_1",))
    assert workshop.sql("SELECT to_regnamespace('procver')") == [(None,)]
    assert not (workshop.root / "procver.lock").exists()


def test_a_schema_that_is_missing(workshop: Workshop) -> None:
    workshop.write(bad='CREATE VIEW "My ""Schema".bad AS SELECT 1 AS n')
    for words in (("plan",), ("publish", "-r", "1")):
        refused(
            workshop, *words, code=3, error="database", says=('sql/bad.sql: schema "My ""Schema" does not exist',),
            hint=('CREATE SCHEMA "My ""Schema"', "migration tool"),
        )  # fmt: skip


def test_a_role_of_grants_that_is_missing(workshop: Workshop) -> None:
    workshop.configure(
        more='[grants]\n"app.*" = { execute = ["app", "Nobody; here"], select = ["app"] }\n'
    )
    for words in (("plan",), ("publish", "-r", "1")):
        refused(
            workshop, *words, code=3, error="database", says=('role "Nobody; here"', "[grants]"),
            hint=('CREATE ROLE "Nobody; here"', "correct [grants]"),
        )  # fmt: skip
    workshop.configure(more='[grants]\n"app.*" = { execute = ["app"], select = ["app"] }\n')
    workshop.publish("1")
    assert workshop.sql("SELECT has_function_privilege('app', 'app.alone_1()', 'execute')") == [
        (True,)
    ]


def test_a_schema_of_our_name_that_is_not_ours(workshop: Workshop) -> None:
    workshop.sql("CREATE SCHEMA procver; CREATE TABLE procver.theirs (n int)")
    for words in (("plan",), ("publish", "-r", "1"), ("gc",)):
        refused(
            workshop, *words, code=4, error="conflict",
            says=("schema procver exists", "procver did not make it"), hint=("rename that schema",),
        )  # fmt: skip


def test_no_embedded_server(workshop: Workshop) -> None:
    workshop.publish("1")
    refused(
        workshop, "embedded", "url", code=2, error="usage", says=("no embedded server",),
        hint=("--target embedded:",),
    )  # fmt: skip


def test_a_body_that_is_rejected_in_a_cycle(workshop: Workshop) -> None:
    """Bodies of a cycle are checked when all of it exists: still, the source is named."""
    workshop.write(
        even="CREATE FUNCTION app.even(n int) RETURNS bool LANGUAGE sql AS $$ SELECT app.odd(n - 1) $$;",
        odd="CREATE FUNCTION app.odd(n int) RETURNS bool LANGUAGE sql AS $$ SELECT app.even(nope) $$;",
        fine="CREATE FUNCTION app.fine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;",
    )
    error = workshop.publish("1", code=3)["error"]
    assert "sql/odd.sql:1: app.odd_1: column " in error["message"]
    assert "nope" in error["message"]
    assert workshop.objects() >= {"app.fine_1", "app.things_1"}
    assert not {name for name in workshop.objects() if "odd" in name or "even" in name}
    workshop.write(
        odd="CREATE FUNCTION app.odd(n int) RETURNS bool LANGUAGE sql AS $$ SELECT app.even(n) $$;"
    )
    workshop.publish("1")
