"""Hostile names through every command: none reaches SQL, a shell hint or a generated file unquoted."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from procver import FindingsError, Resolver
from tests.cli.untouched import refused
from tests.live.conftest import ALONE
from tests.servers import Server
from tests.workshop import Workshop

HOSTILE = [
    'O"Brien',
    "it's",
    "two words",
    '"; DROP SCHEMA "app" CASCADE; --',
    "'; DROP TABLE thing; --",
    "$(touch hacked) `touch hacked`",
    "$$ dollar $1 $x$",
    "100% %s %(x)s {0} {version}",
    "back\\slash\\'",
    "/* no comment */",
    "-- no comment",
    "select",
    "Upper",
    "dotted.name",
    "Ünïcödé–ẞ",
    "日本語",
    "\U0001f600",
    "a,b",
    "x" * 59,
    "é" * 29,
    "[x]*?!",
    "{{ ref('x') }} {% raw %} {# #}",
    "#hash",
    "None",
    "0",
    "name_7",
]  # fmt: skip
IDS = [str(index) for index in range(len(HOSTILE))]


def quoted(*parts: str) -> str:
    return ".".join(sql.Identifier(part).as_string(None) for part in parts)


def published(tmp_path: Path, server_url: str, hostile: str) -> Workshop:
    """Return a project of that name, with objects, columns, schema and files called so as well."""
    made = Workshop(tmp_path / "project", server_url)
    schema = quoted(hostile)
    made.sql(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.thing (id int, {schema} text)")
    made.sql(f"INSERT INTO {schema}.thing VALUES (1, 'one'), (2, 'two')")
    toml = (made.root / "procver.toml").read_text()
    toml = toml.replace('name = "shop"', f"name = {json.dumps(hostile, ensure_ascii=False)}")
    toml = toml.replace(
        'default_schema = "app"', f"default_schema = {json.dumps(hostile, ensure_ascii=False)}"
    )
    toml += '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
    (made.root / "procver.toml").write_text(toml, "utf-8")
    stem = hostile.replace("/", "_")[:50]
    folder = made.root / "sql" / stem
    folder.mkdir()
    (folder / f"{stem} view.sql").write_text(view(hostile), "utf-8")
    (folder / f"{stem} fn.sql").write_text(
        f"CREATE FUNCTION {schema}.{quoted(hostile[:20] + ' fn')}({quoted('arg ' + hostile[:20])} int)\n"
        f"RETURNS SETOF {schema}.{schema} LANGUAGE sql AS $body$\n"
        f"    SELECT v.* FROM {schema}.{schema} v WHERE v.id >= {quoted('arg ' + hostile[:20])}\n$body$;\n",
        "utf-8",
    )
    return made


def view(hostile: str, more: str = "") -> str:
    name = quoted(hostile)
    return f"CREATE VIEW {name}.{name} AS\nSELECT t.id, t.{name}{more} FROM {name}.thing t;\n"


@pytest.mark.parametrize("hostile", HOSTILE, ids=IDS)
def test_through_every_command(
    tmp_path: Path, url: str, hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = published(tmp_path, url, hostile)
    first, second = "v1 " + hostile, "v2 " + hostile
    schema = quoted(hostile)
    untouched = made.sql(f"SELECT count(*) FROM {schema}.thing")

    assert [entry["version"] for entry in made.json("lock")["added"]] == [1, 1]
    assert made.json("lock", "--check")["added"] == []
    assert {c["version"] for c in made.json("plan", "-r", first)["create"]} == {1}
    made.publish(first)
    assert made.publish(first)["create"] == []
    one = made.resolver()
    assert rows(made, one) == [(1, "one"), (2, "two")]
    with psycopg.connect(url) as connection:
        assert dict(Resolver.from_database(connection, release=first)) == dict(one)

    module: dict[str, Any] = {}
    exec(
        compile(made.run("map", "-r", first, "--format", "python").stdout, "generated", "exec"),
        module,
    )
    assert module["MAPPING"] == json.loads(made.run("map", "-r", first).stdout)
    assert set(module["MAPPING"]["objects"]) == set(one)
    made.run("map", "-r", first, "-o", str(tmp_path / f"{hostile.replace('/', '_')[:50]} map.json"))

    source = next(
        path for path in (made.root / "sql").rglob("*") if path.name.endswith(" view.sql")
    )
    source.write_text(view(hostile, ", 7 AS seven"), "utf-8")
    made.publish(second)
    two = made.resolver()
    assert rows(made, two) == [(1, "one", 7), (2, "two", 7)]
    assert rows(made, one) == [(1, "one"), (2, "two")]

    instance = "web " + hostile
    made.run("release", "activate", first, "--instance", instance)
    assert made.json("release", "activate", second, "-i", instance)["moved_from"] == first
    shown = made.json("release", "list")["releases"]
    assert [r["name"] for r in shown] == [first, second]
    assert shown[1]["instances"][0]["name"] == instance
    assert list(made.json("release", "show", second)["objects"]) == sorted(two)
    assert {d["name"] for d in made.json("release", "diff", first, second)["differences"]} == set(
        two
    )
    old = [one[name] for name in one]
    assert made.json("why", old[0])["kept"]
    assert made.json("release", "retire", first)["state"] == "retired"
    assert {c["physical"] for c in made.json("gc")["condemn"]} == set(old)
    made.run("gc", "--apply")
    assert made.json("gc", "--apply")["dropped"] == 2
    command = pasted(made.json("release", "activate", first, code=4)["error"]["hint"])
    assert command == ["release", "activate", first, "--restore"]
    assert set(made.json("restore", old[0])["restored"]) <= set(old)
    made.run(*command)
    assert rows(made, one) == [(1, "one"), (2, "two")]
    assert made.json("verify")["findings"] == []

    made.sql(f"DROP FUNCTION {next(name for name in old if ' fn_1' in name)}")
    found = made.json("verify", code=1)["findings"]
    assert [f["rule"] for f in found] == ["missing"]
    made.run(*pasted(found[0]["message"]))
    made.run("release", "retire", first)
    assert "gc" in made.json("release", "discard", first, code=4)["error"]["hint"]
    made.sql("UPDATE procver.project SET trials = true")
    assert set(made.json("release", "discard", first)["freed"]) == set(old)
    for words in (
        ("plan",), ("release", "list"), ("release", "show", second), ("release", "diff", second, second), ("gc",),
        ("why", two[next(iter(two))]), ("verify",), ("lock",), ("publish", "-r", second),
    ):  # fmt: skip
        made.run(*words)
    assert made.sql(f"SELECT count(*) FROM {schema}.thing") == untouched
    assert made.sql("SELECT count(*) FROM procver.project") == [(1,)]
    assert not list(tmp_path.rglob("hacked"))


def rows(made: Workshop, resolver: Resolver) -> list[tuple[Any, ...]]:
    """Call the function of a release, whose name ends in fn."""
    function = next(name for name in resolver if name.rstrip('"').endswith(" fn"))
    return made.sql(f"SELECT * FROM {resolver[function]}(0) ORDER BY 1")


def pasted(message: str) -> list[str]:
    """Return the words a shell makes of the command between backquotes in a message, without the program."""
    words = shlex.split(message[message.index("`") + 1 : message.rindex("`")])
    assert words[0] == "procver"
    return words[1:]


@pytest.fixture
def roles(server: Server) -> Iterator[list[str]]:
    """Roles called like that, dropped after the test."""
    mark = uuid.uuid4().hex[:8]
    made = [f"{name} {mark}" for name in HOSTILE if len(name.encode()) < 50]
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for role in made:
            connection.execute(f"CREATE ROLE {quoted(role)}".encode())
        yield made
        for role in made:
            connection.execute(f"DROP ROLE {quoted(role)}".encode())


HELD = "SELECT grantee, privilege_type FROM information_schema."


# The roles come first, so that they outlive the database that uses them.
def test_grants_owners_and_comments_travel(roles: list[str], workshop: Workshop) -> None:
    columns = ", ".join(f"t.id AS {quoted(name)}" for name in HOSTILE)
    wide = f"CREATE VIEW app.wide AS\nSELECT {columns} FROM app.thing t;\n"
    workshop.write(wide=wide)
    workshop.publish("1")
    workshop.sql("REVOKE ALL ON FUNCTION app.alone_1() FROM PUBLIC")
    for role, column in zip(roles, HOSTILE, strict=False):
        workshop.sql(f"GRANT EXECUTE ON FUNCTION app.alone_1() TO {quoted(role)}")
        workshop.sql(
            f"GRANT SELECT ({quoted(column)}) ON app.wide_1 TO {quoted(role)} WITH GRANT OPTION"
        )
        workshop.sql(f"COMMENT ON COLUMN app.wide_1.{quoted(column)} IS {literal(role)}")
    workshop.sql(f"GRANT CREATE ON SCHEMA app TO {quoted(roles[3])}")
    workshop.sql(f"ALTER FUNCTION app.alone_1() OWNER TO {quoted(roles[3])}")
    workshop.sql(f"COMMENT ON FUNCTION app.alone_1() IS {literal(''.join(HOSTILE))}")
    queries = [
        HELD + "routine_privileges WHERE routine_name = 'alone_{n}'",
        HELD + "column_privileges WHERE table_name = 'wide_{n}'",
        "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'app.wide_{n}'::regclass",
        "SELECT pg_get_userbyid(proowner), obj_description(oid, 'pg_proc') FROM pg_proc WHERE proname = 'alone_{n}'",
    ]

    def held(number: int) -> list[list[tuple[Any, ...]]]:
        return [sorted(workshop.sql(query.format(n=number))) for query in queries]

    before = held(1)
    assert len(before[0]) >= len(roles)
    workshop.write(wide=wide.replace("t.id AS", "t.id + 0 AS"), alone=ALONE.replace("42", "43"))
    workshop.publish("2")
    assert held(2) == before
    found = workshop.json("verify", code=1)["findings"]
    assert [(f["rule"], f["object"]) for f in found] == [("owner", "app.alone_1")]
    assert f"its owner is {roles[3]}, it was postgres" in found[0]["message"]
    workshop.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\n')
    workshop.run("release", "activate", "1")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")
    workshop.run("gc", "--apply")
    assert workshop.json("gc", "--apply")["dropped"] == 2
    workshop.run("release", "activate", "1", "--restore")
    assert held(1) == before


def literal(text: str) -> str:
    return sql.Literal(text).as_string(None)


def test_grants_of_the_configuration(roles: list[str], workshop: Workshop) -> None:
    workshop.sql(
        'DO $$ BEGIN CREATE ROLE "Public"; EXCEPTION WHEN duplicate_object THEN NULL; END $$'
    )
    names = json.dumps([*roles, "Public"], ensure_ascii=False)
    workshop.configure(more=f'[grants]\n"app.*" = {{ execute = {names}, select = {names} }}\n')
    workshop.publish("1")
    rows = workshop.sql(
        HELD + "routine_privileges WHERE routine_name = 'alone_1' AND grantee <> 'postgres'"
    )
    assert {grantee for grantee, _ in rows} == {*roles, "Public"}, (
        "a role called Public is not everybody"
    )
    workshop.sql(f"REVOKE ALL ON app.things_1 FROM {quoted(roles[0])}")
    finding = workshop.json("verify", code=1)["findings"][0]
    assert finding["rule"] == "grant-lost"
    assert roles[0] in finding["message"]


def test_what_other_people_call_their_objects(workshop: Workshop) -> None:
    workshop.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\n')
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.run("release", "retire", "1")
    for name in (*HOSTILE, "\x1b[2J\x1b]0;owned\x07"):
        workshop.sql(f"CREATE VIEW app.{quoted(name)} AS SELECT * FROM app.things_1")
        workshop.sql(
            "INSERT INTO procver.instance (project_id, name, release_id, last_seen_at)"
            " SELECT project_id, %s, id, now() - interval '1 year' FROM procver.release", name,
        )  # fmt: skip
    for words in (
        ("gc",),
        ("gc", "--apply"),
        ("why", "app.things_1"),
        ("release", "list"),
        ("release", "show", "1"),
    ):
        shown = workshop.run(*words).output
        assert not {"\x1b", "\x07"} & set(shown)
        workshop.json(*words)
    assert "app.things_1" in {k["physical"] for k in workshop.json("gc")["keep"]}
    refused = workshop.run("release", "discard", "1", code=4)
    assert not {"\x1b", "\x07"} & set(refused.output)


def test_types_of_one_name_in_two_schemas(workshop: Workshop) -> None:
    workshop.sql(
        "CREATE TYPE app.colour AS ENUM ('red'); CREATE TYPE public.colour AS ENUM ('blue')"
    )
    text = (
        "CREATE FUNCTION app.tint(c app.colour) RETURNS text LANGUAGE sql AS $$ SELECT 'app' $$;\n"
        "CREATE FUNCTION app.tint(c public.colour) RETURNS text LANGUAGE sql AS $$ SELECT 'public' $$;\n"
    )
    workshop.write(tint=text)
    workshop.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\n')
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.write(tint=text.replace("'app'", "'APP'"))
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")
    workshop.run("gc", "--apply")
    assert workshop.json("gc", "--apply")["dropped"] == 1
    assert workshop.sql(
        "SELECT app.tint_2('red'::app.colour), app.tint_2('blue'::public.colour)"
    ) == [("APP", "public")]
    workshop.run("release", "activate", "1", "--restore")
    assert workshop.sql(
        "SELECT app.tint_1('red'::app.colour), app.tint_1('blue'::public.colour)"
    ) == [("app", "public")]


@pytest.mark.parametrize(
    "name", ["bell\x07.sql", "escape\x1b[2J.sql", "line\nbreak.sql", "\udcff.sql"]
)
def test_a_file_that_no_one_can_name(workshop: Workshop, name: str) -> None:
    (workshop.root / "sql" / name).write_text(ALONE)
    refused(
        workshop,
        "lock",
        code=2,
        error="source",
        says=("that no one can read",),
        hint=("rename it",),
    )


@pytest.mark.parametrize("extra", [(), (b"--json",)], ids=["text", "json"])
@pytest.mark.parametrize(
    "words",
    [
        (b"why", b"\xff"), (b"publish", b"-r", b"\xff"), (b"plan", b"-t", b"\xff"), (b"lock", b"--base", b"\xff"),
        (b"\xff",),
    ],
)  # fmt: skip
def test_bytes_that_are_no_text(
    workshop: Workshop, words: tuple[bytes, ...], extra: tuple[bytes, ...]
) -> None:
    if words[0] == b"why":
        workshop.publish("1")
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"procver", *words, *extra],
        cwd=workshop.root, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr
    if extra:
        assert json.loads(done.stdout)["error"]["hint"]


def test_a_session_that_knows_no_encoding(workshop: Workshop) -> None:
    """The driver then hands text over as bytes."""
    workshop.write(straße='CREATE VIEW app."Straße" AS SELECT 1 AS n;\n')
    workshop.publish("1")
    with psycopg.connect(workshop.url, client_encoding="SQL_ASCII") as connection:
        found = Resolver.from_database(connection, release="1")
        assert found['app."Straße"'] == 'app."Straße_1"'
        assert dict(found) == dict(workshop.resolver())
        assert (found.release, found.project, found.default_schema) == ("1", "shop", "app")
        found.verify(connection)
        workshop.resolver().verify(connection)
        workshop.sql('DROP VIEW app."Straße_1"')
        with pytest.raises(FindingsError, match="Straße_1"):
            found.verify(connection)
