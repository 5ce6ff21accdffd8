"""No role gains rights through procver: what one writes is neither executed by another, nor stops it."""

from __future__ import annotations

import itertools
import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from procver import Heartbeat, Resolver
from procver.cli import cli
from tests.live.conftest import ALONE, THINGS
from tests.live.staff import Staff, staffed
from tests.workshop import Workshop

Rows = list[tuple[Any, ...]]


@pytest.fixture
def staff(tmp_path: Path, url: str) -> Iterator[Staff]:
    """A project whose roles are there, and nothing else yet."""
    made = staffed(tmp_path / "project", url)
    made.hire()
    yield made
    made.dismiss()


@pytest.fixture
def working(staff: Staff) -> Staff:
    """The same with two releases, the first of them retired, and a condemned version."""
    staff.prepare()
    staff.run("collector", "gc", "--apply")
    return staff


def as_role(staff: Staff, role: str, statement: str, *values: Any) -> Rows:
    """Run a statement as a role's login and return its rows."""
    with psycopg.connect(staff.url(role), autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def denied(staff: Staff, role: str, statement: str, *values: Any) -> str:
    """Fail unless a role may not do this; return what the server says."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as refusal:
        as_role(staff, role, statement, *values)
    return str(refusal.value)


FORGED = (
    '[{"part": "", "owner": "%s_publisher", "comment": null, "columns": null, "acl": [["%s_collector",'
    ' "SELECT ON app.things_1 TO PUBLIC; CREATE FUNCTION app.owned() RETURNS text LANGUAGE sql SECURITY DEFINER'
    " AS 'SELECT current_user::text'; GRANT SELECT\", false]]}]"
)


def forged(staff: Staff) -> str:
    return FORGED % (staff.prefix, staff.prefix)


# What the collector may write.


@pytest.mark.parametrize(
    "column",
    ["state", "condemned_at", "quarantined_at", "dropped_at", "privileges", "privileges_seal"],
)
def test_the_collector_writes_no_column_of_a_version(working: Staff, column: str) -> None:
    denied(working, "collector", f"UPDATE procver.version SET {column} = NULL")


def test_forged_privileges_are_refused_by_name_and_nothing_of_them_runs(working: Staff) -> None:
    shop = working.shop
    denied(working, "collector", "UPDATE procver.version SET privileges = %s", forged(working))
    # As a registry of an earlier version could hold it; then an ordinary publication.
    shop.sql(
        "UPDATE procver.version SET state = 'condemned', condemned_at = now(), quarantined_at = now(), privileges = %s"
        " WHERE name = 'app.things'",
        forged(working),
    )
    shop.write(things=THINGS.replace("t.name", "t.name, t.price"))
    for words in (("publish", "-r", "3"), ("restore", "app.things_1")):
        said = working.run("publisher", *words, code=3)
        assert "app.things_1" in said
        assert "not those that procver read from the catalog" in said
    assert "app.owned" not in shop.objects()
    assert "grants-unknown" in working.run("publisher", "verify", "--json", code=1)
    for words in (
        ("status",),
        ("log",),
        ("gc",),
        ("release", "list"),
        ("plan",),
    ):
        working.run("publisher", *words)
    assert "app.things_1" in working.run("publisher", "gc", "--apply", code=3)  # it is needed again


def test_a_word_that_is_no_privilege_is_not_granted(working: Staff) -> None:
    # Whoever owns the registry could seal it; it is still no privilege.
    with psycopg.connect(working.shop.url, autocommit=True) as connection:
        connection.execute(
            "UPDATE procver.version SET privileges = %s WHERE name = 'app.things'",
            (forged(working),),
        )
        connection.execute(
            "UPDATE procver.version SET privileges_seal = procver.seal_of(project_id, name, number, privileges)"
        )
        with pytest.raises(psycopg.Error, match="not a privilege"):
            connection.execute(
                "SELECT procver.carry(jsonb_build_array(jsonb_build_object('version', v.id, 'target',"
                " jsonb_build_object('schema', v.schema, 'leaf', v.leaf, 'kind', v.kind))))"
                " FROM procver.version v WHERE name = 'app.things'"
            )
    assert "app.owned" not in working.shop.objects()


@pytest.mark.parametrize("state", ["condemned", "dropped"])
@pytest.mark.parametrize("leaf", ["alone_2", "things_1", "count_things_1"])
def test_a_version_of_a_live_release_is_not_dropped_whatever_its_state(
    working: Staff, state: str, leaf: str
) -> None:
    working.shop.sql(
        "UPDATE procver.version SET state = %s, condemned_at = now() - interval '1 year' WHERE leaf = %s",
        state,
        leaf,
    )
    ((key,),) = working.shop.sql("SELECT id FROM procver.version WHERE leaf = %s", leaf)
    arguments = as_role(
        working, "collector",
        "SELECT pg_get_function_identity_arguments(p.oid) FROM pg_proc p WHERE proname = %s UNION ALL SELECT '' LIMIT 1", leaf,
    )[0][0]  # fmt: skip
    drop = "SELECT procver.drop_part(%s, %s)"
    assert "live release" in denied(working, "collector", drop, key, arguments)
    mark = "SELECT procver.drop_versions(json_build_array(json_build_object('id', %s::bigint)))"
    denied(working, "collector", mark, key)
    denied(working, "collector", "SELECT procver.condemn(ARRAY[%s::bigint])", key)
    assert f"app.{leaf}" in working.shop.objects()


LIVING = {
    "channel": "INSERT INTO procver.channel (project_id, name, release_id) SELECT project_id, 'stable', id FROM procver.release WHERE name = '1'",
    "heard": "INSERT INTO procver.instance (project_id, name, release_id, last_seen_at) SELECT project_id, 'web-1', id, now() FROM procver.release WHERE name = '1'",
    "declared": "INSERT INTO procver.instance (project_id, name, release_id, declared_at) SELECT project_id, 'web-1', id, now() FROM procver.release WHERE name = '1'",
    "activated": "UPDATE procver.release SET retired_at = NULL WHERE name = '1'",
}


@pytest.mark.parametrize("why", LIVING)
def test_what_makes_a_release_live_keeps_its_versions(working: Staff, why: str) -> None:
    ((key,),) = working.shop.sql("SELECT id FROM procver.version WHERE leaf = 'alone_1'")
    working.shop.sql(LIVING[why])
    assert "live release" in denied(working, "collector", "SELECT procver.drop_part(%s, '')", key)
    as_role(working, "collector", "SELECT procver.forget_instances(1, '-10 years')")
    denied(working, "collector", "SELECT procver.drop_part(%s, '')", key)
    assert "app.alone_1" in working.shop.objects()
    working.shop.sql("DELETE FROM procver.channel; DELETE FROM procver.instance; UPDATE procver.release SET retired_at = now() WHERE name = '1'")  # fmt: skip
    as_role(working, "collector", "SELECT procver.drop_part(%s, '')", key)
    assert "app.alone_1" not in working.shop.objects()


def test_a_version_that_a_live_release_only_refers_to_is_not_dropped(staff: Staff) -> None:
    shop = staff.shop
    staff.run("publisher", "publish", "-r", "1")
    shop.sql(staff.script())
    shop.write(
        things=THINGS.replace("t.name", "t.name, t.price"),
        find_things="-- procver: pin app.things = 1\n"
        + (shop.root / "sql/find_things.sql").read_text(),
    )
    staff.run("publisher", "publish", "-r", "2")
    staff.run("publisher", "release", "activate", "2")
    ((key,),) = shop.sql("SELECT id FROM procver.version WHERE physical = 'app.things_1'")
    denied(staff, "collector", "SELECT procver.condemn(ARRAY[%s::bigint])", key)
    shop.sql("UPDATE procver.version SET state = 'condemned' WHERE id = %s", key)
    denied(staff, "collector", "SELECT procver.drop_part(%s, '')", key)


# What others create in a schema that is on the search_path.

OPERATORS = """
SELECT o.oprname, pg_catalog.format_type(o.oprleft, NULL), pg_catalog.format_type(o.oprright, NULL),
       pg_catalog.format_type(o.oprresult, NULL)
FROM pg_catalog.pg_operator o
WHERE o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace AND o.oprleft <> 0
  AND o.oprleft = ANY (ARRAY[{types}]::pg_catalog.regtype[]) AND o.oprright = ANY (ARRAY[{types}]::pg_catalog.regtype[])
""".format(
    types=", ".join(
        f"'pg_catalog.{name}'"
        for name in [
            "text",
            "name",
            "int4",
            "int8",
            "oid",
            "json",
            "jsonb",
            "timestamptz",
            "interval",
            "bool",
            '"char"',
            "varchar",
            "_text",
            "_int8",
            "xid",
            "regclass",
            "float8",
            "numeric",
        ]
    )
)
FUNCTIONS = """
SELECT p.oid, p.proname, p.prokind, pg_catalog.pg_get_function_identity_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid)
FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.proname = ANY ($1) AND p.prokind IN ('f', 'a')
"""
EVIL = "RAISE EXCEPTION 'PLANTED CODE RAN AS %', current_user;"
WORDS = re.compile(r"\b([a-z_0-9]+)\s*\(")
PACKAGE = Path(__file__).parents[2] / "procver"


def planted(staff: Staff) -> int:
    """Create, as the app, what could take the place of whatever our statements call; return how much of it."""
    texts = [
        path.read_text("utf-8") for path in PACKAGE.rglob("*") if path.suffix in (".sql", ".py")
    ]
    names = sorted({name for text in texts for name in WORDS.findall(text)})
    count = 0
    with psycopg.connect(
        f"{staff.url('app')}&options=-c%20search_path%3Dpg_catalog", autocommit=True
    ) as connection:

        def create(text: str) -> None:
            nonlocal count
            try:
                connection.execute(text.encode())
                count += 1
            except psycopg.Error:  # it takes a pseudo-type, or is there already
                pass

        for at, (name, left, right, result) in enumerate(
            connection.execute(OPERATORS.encode()).fetchall()
        ):
            create(
                f'CREATE FUNCTION public.evil_{at} ("a" {left}, "b" {right}) RETURNS {result} LANGUAGE plpgsql AS $$BEGIN {EVIL} END$$'
            )
            create(
                f"CREATE OPERATOR public.{name} (leftarg = {left}, rightarg = {right}, function = public.evil_{at})"
            )
        create(
            f"CREATE FUNCTION public.evil(text, anyelement) RETURNS text LANGUAGE plpgsql AS $$BEGIN {EVIL} END$$"
        )
        for left, right in itertools.permutations(
            ("int4", "int8", "text", "name", "oid", "jsonb"), 2
        ):
            create(
                f"CREATE FUNCTION public.mixed({left}, {right}) RETURNS bool LANGUAGE plpgsql AS $$BEGIN {EVIL} END$$"
            )
            for sign in ("=", "<>", "||", "<", ">", "->", "->>"):
                create(
                    f"CREATE OPERATOR public.{sign} (leftarg = {left}, rightarg = {right}, function = public.mixed)"
                )
        cursor = psycopg.RawCursor(connection)
        cursor.execute(FUNCTIONS, (names,))
        for _, name, kind, arguments, result in cursor.fetchall():
            quoted = sql.Identifier(name).as_string(connection)
            if kind == "f":
                create(
                    f"CREATE FUNCTION public.{quoted}({arguments}) RETURNS {result} LANGUAGE plpgsql AS $$BEGIN {EVIL} END$$"
                )
            else:
                create(
                    f"CREATE AGGREGATE public.{quoted}({arguments or '*'}) (sfunc = public.evil, stype = text)"
                )
        for name in (
            "format",
            "concat",
            "concat_ws",
            "jsonb_build_object",
            "jsonb_build_array",
            "greatest",
            "json_build_array",
        ):
            for width in range(1, 5):
                arguments = ", ".join(["text"] * width)
                create(
                    f"CREATE FUNCTION public.{name}({arguments}) RETURNS text LANGUAGE plpgsql AS $$BEGIN {EVIL} END$$"
                )
        create("CREATE AGGREGATE public.string_agg(name, text) (sfunc = public.evil, stype = text)")
        create("CREATE AGGREGATE public.count(*) (sfunc = public.never, stype = int8)")
        create(
            f"CREATE FUNCTION public.refuse(anyelement) RETURNS bool LANGUAGE plpgsql AS $$BEGIN {EVIL} END$$"
        )
        for name in [
            "text",
            "name",
            "json",
            "jsonb",
            "oid",
            "int4",
            "int8",
            "bool",
            "timestamptz",
            "interval",
            "regclass",
            "regprocedure",
            "regnamespace",
            "xid",
        ]:
            create(f"CREATE DOMAIN public.{name} AS pg_catalog.{name} CHECK (public.refuse(VALUE))")
    return count


def test_nothing_that_the_app_created_runs_as_somebody_else(staff: Staff) -> None:
    shop, prefix = staff.shop, staff.prefix
    ((database,),) = shop.sql("SELECT current_database()")
    shop.sql(
        "GRANT CREATE ON SCHEMA public TO PUBLIC;"
        f" CREATE ROLE {prefix}_dba LOGIN SUPERUSER; CREATE ROLE {prefix}_web LOGIN IN ROLE {prefix}_app"
    )
    logins = [f"{prefix}_{name}" for name in ("dba", "web", "publisher_login", "collector_login")]
    dba, web = (
        staff.url("app").replace(staff.login("app"), f"{prefix}_{name}") for name in ("dba", "web")
    )
    try:
        assert planted(staff) > 400
        for login in logins:
            # What PostgreSQL searches first by itself comes last: each planted thing wins wherever a name is not full.
            shop.sql(
                f"ALTER ROLE {login} IN DATABASE {database} SET search_path = public, pg_catalog"
            )
        with psycopg.connect(dba) as connection:
            for trap in (
                "SELECT 1::int4 = 1::int4",
                "SELECT pg_get_userbyid(10)",
                "SELECT 'x'::text",
                "SELECT string_agg('x'::name, 'y')",
            ):
                with pytest.raises(psycopg.Error, match=r"PLANTED CODE RAN|refuse|evil"):
                    connection.execute(trap.encode())
                connection.rollback()

        said = staff.run("publisher", "publish", "-r", "1")
        assert "PUBLIC may create in schema public" in said
        with psycopg.connect(dba, autocommit=True) as connection:
            connection.execute(staff.script().encode())
        shop.write(alone=ALONE.replace("42", "43"), proc="CREATE PROCEDURE app.proc(INOUT a int) LANGUAGE plpgsql AS 'BEGIN a := 1; END';\n")  # fmt: skip
        for role, words in (
            ("publisher", "release activate 1"), ("publisher", "plan"), ("publisher", "publish -r 2"), ("publisher", "release activate 2"),
            ("publisher", "release channel stable 2"), ("publisher", "release retire 1"), ("publisher", "verify"),
            ("collector", "gc"), ("collector", "gc --apply"), ("collector", "status"), ("collector", "log"), ("collector", "plan"),
            ("collector", "release list"), ("collector", "why app.alone_1"), ("collector", "verify"), ("collector", "gc --apply"),
            ("publisher", "restore app.alone_1"), ("publisher", "release activate 1 --restore -i web-1"),
            ("publisher", "release retire 1 -i web-1"), ("publisher", "publish -r 3"), ("publisher", "release discard 3"),
            ("publisher", "gc --apply"), ("publisher", "status"), ("publisher", "release show 2"), ("publisher", "log --release 2"),
        ):  # fmt: skip
            staff.run(role, *words.split())
        with psycopg.connect(dba, autocommit=True) as connection:
            connection.execute(staff.script().encode())
        for words in ("status", "verify", "gc --apply", "publish -r 4", "release discard 4"):
            shop.run(*words.split(), "-t", dba)
        with psycopg.connect(web) as connection:
            procs = Resolver.from_database(connection, release="2", project="shop")
            procs.verify(connection)
            Resolver.follow(connection, "stable").refresh(strict=True)
        beat = Heartbeat(lambda: psycopg.connect(web), procs, "web-1")
        assert beat.beat(), beat.error
    finally:
        shop.sql(
            "; ".join(f"DROP OWNED BY {login} CASCADE; DROP ROLE {login}" for login in logins[:2])
        )


def test_the_app_s_operator_does_not_run_as_the_publisher(staff: Staff) -> None:
    staff.shop.sql(
        "GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE TABLE public.ran (who name); GRANT INSERT ON public.ran TO PUBLIC"
    )
    as_role(
        staff, "app",
        "CREATE FUNCTION public.evil(int, text) RETURNS text LANGUAGE plpgsql AS $$BEGIN"
        " INSERT INTO public.ran VALUES (current_user); RETURN $1::text OPERATOR(pg_catalog.||) $2; END$$;"
        " CREATE OPERATOR public.|| (leftarg = int, rightarg = text, function = public.evil)",
    )  # fmt: skip
    staff.prepare()
    staff.run("publisher", "verify")
    assert staff.shop.sql("SELECT * FROM public.ran") == []


def test_the_script_runs_nothing_that_the_publisher_owns(staff: Staff) -> None:
    shop = staff.shop
    staff.run("publisher", "publish", "-r", "1")
    evil = f"CREATE OR REPLACE FUNCTION procver.{{}} LANGUAGE plpgsql AS $$BEGIN {EVIL} END$$"
    for name in ("parts(work jsonb) RETURNS TABLE (schema text, leaf text, kind text, objid oid, part text, owner oid, acl aclitem[], digest text, id bigint, sort \"char\", types oidvector, signature bigint, local bigint)",
                 "acl_json(acl aclitem[]) RETURNS jsonb", "spring() RETURNS trigger"):  # fmt: skip
        as_role(staff, "publisher", evil.format(name))
    shop.sql(staff.script())
    assert shop.sql("SELECT app_role FROM procver.project") == [(f"{staff.prefix}_app",)]
    shop.sql("UPDATE procver.project SET app_role = NULL")
    for trap in ("TRIGGER trap BEFORE UPDATE ON procver.project FOR EACH ROW EXECUTE FUNCTION procver.spring()",
                 "RULE trap AS ON UPDATE TO procver.project DO ALSO SELECT procver.spring()"):  # fmt: skip
        if "RULE" in trap:
            as_role(staff, "publisher", evil.format("snare() RETURNS int"))
            trap = trap.replace("spring", "snare")
        as_role(staff, "publisher", f"CREATE {trap}")
        shop.sql(staff.script())
        assert shop.sql("SELECT app_role FROM procver.project") == [(None,)], (
            "left to the publisher"
        )
        as_role(staff, "publisher", f"DROP {trap.split()[0]} trap ON procver.project")


# Every statement of ours.


def test_every_function_of_the_registry_has_a_path_of_its_own(working: Staff) -> None:
    found = working.shop.sql(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'procver'::regnamespace"
        " AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)"
        " AND p.prosqlbody IS NULL"  # names in it are bound for good
    )
    assert found == [("execute",)]
    open_to_all = working.shop.sql(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'procver'::regnamespace AND p.prosecdef"
        " AND has_function_privilege('public', p.oid, 'EXECUTE')"
    )
    assert open_to_all == []


SIGNS = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|OPERATOR\(pg_catalog\.[^)]*\)|--[^\n]*|\{[^{}]*\}|%s|\$\d|::|[-+*/<>=~!@#%^&|?]+|[\w.]+|\S"
)
GRAMMAR = re.compile(
    "in|and|or|not|exists|values|as|when|then|else|case|from|select|where|on|join|coalesce|distinct|by|returning|with"
    "|execute|upgrade",
    re.IGNORECASE,
)
PLAIN_TYPES = ("int", "bigint", "boolean")


def loose(statement: str) -> list[str]:
    """Return what is looked up on the search_path: operators, functions and types whose names are not full."""
    tokens = [t for t in SIGNS.findall(statement) if not t.startswith("--")]
    found = []
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if token == "::" and "." not in after and after not in PLAIN_TYPES:
            found.append(f"::{after}")
        elif re.fullmatch(r"[-+*/<>=~!@#%^&|?]+", token) and not (
            token == "*" and before.lower() in ("(", "select", ".", ",")
        ):
            found.append(token)
        elif (
            after == "("
            and re.fullmatch(r"\w+", token)
            and not GRAMMAR.fullmatch(token)
            and before.lower() not in ("as", "procver")
        ):
            found.append(f"{token}(")
        elif token.lower() in (
            "like",
            "ilike",
            "between",
            "similar",
            "using",
            "natural",
            "nullif",
            "in",
        ) or (token.lower() == "case" and after.lower() != "when"):
            found.append(token)
    return found


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT a = b", ["="]),
        ("SELECT a OPERATOR(pg_catalog.=) b", []),
        ("SELECT count(*) FROM procver.x", ["count("]),
        ("SELECT pg_catalog.count(*) FROM procver.x", []),
        ("SELECT x::text", ["::text"]),
        ("SELECT x::pg_catalog.text", []),
        ("SELECT CASE x WHEN 1 THEN 2 END", ["CASE"]),
        ("SELECT 1 WHERE x IN (1)", ["IN"]),
        ("SELECT 'a = b', \"f(\"", []),
    ],
)
def test_the_reader_of_statements_finds_what_is_not_full(
    statement: str, expected: list[str]
) -> None:
    assert loose(statement) == expected


def test_what_runs_on_another_search_path_is_named_in_full() -> None:
    folder = PACKAGE / "registry" / "postgresql"
    parts = dict(
        part.split("\n", 1)
        for part in (folder / "queries.sql").read_text("utf-8").split("-- name: ")[1:]
    )
    for name in ("execute", "check_bodies", "defer_checks"):
        assert loose(parts[name]) == [], name
    trust = (folder / "002_trust.sql").read_text("utf-8")
    body = (
        trust.split("CREATE OR REPLACE FUNCTION procver.execute")[1]
        .split("END $$")[0]
        .split("$$")[1]
    )
    assert loose(body.replace("FOR statement IN", "")) == []
    assert "EXECUTE" in body


def test_statements_in_modules_are_named_in_full() -> None:
    import ast

    seen = 0
    for path in PACKAGE.rglob("*.py"):
        if (
            "demo" in path.parts
            or path.name.startswith("mssql")
            or path.name in ("cache.py", "odbc.py", "babelfish.py")
        ):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                text = "".join(
                    v.value if isinstance(v, ast.Constant) else "{}" for v in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
                text = node.value if isinstance(node.value, str) else node.value.decode()
            else:
                continue
            if (
                re.match(
                    r"\s*(SELECT [\w.(\"]+|INSERT INTO|UPDATE \w+\.|DELETE FROM|CREATE TABLE) ?\S",
                    text,
                )
                and "OPENJSON" not in text
                and "@@" not in text
            ):
                seen += 1
                assert loose(text.replace("{equals(connection)}", "")) in ([], [","]), (
                    path.name,
                    text,
                )
    assert seen > 5


@pytest.mark.parametrize(
    "path",
    [
        "registry/postgresql/001_registry.sql",
        "registry/postgresql/002_trust.sql",
        "roles/postgresql.sql",
    ],
)
def test_files_name_every_relation_with_its_schema(path: str) -> None:
    text = re.sub(r"--[^\n]*|'(?:[^']|'')*'", " ", (PACKAGE / path).read_text("utf-8"))
    found = re.findall(r"\b(?:CREATE (?:OR REPLACE )?(?:TABLE|VIEW|FUNCTION)|ALTER (?:TABLE|FUNCTION|VIEW)|INSERT INTO|DELETE FROM|ON FUNCTION)\s+(?!%)([\w.\"]+)", text)  # fmt: skip
    assert found or "roles" in path
    assert [
        name for name in found if not name.startswith("procver.") and name not in ("ONLY",)
    ] == []


def test_the_script_for_roles_begins_with_a_path_of_its_own() -> None:
    lines = [
        line
        for line in (PACKAGE / "roles/postgresql.sql").read_text("utf-8").splitlines()
        if line and not line.startswith("--")
    ]
    assert lines[0] == "SET search_path = pg_catalog, pg_temp;"
    assert any(line.startswith("RESET search_path") for line in lines)


# Rows that others may write.

VALUES: dict[str, tuple[str, ...]] = {
    "bigint": ("NULL", "0", "-1", "1", "9223372036854775807"),
    "integer": ("NULL", "0", "-1", "1", "2147483647"),
    "text": ("NULL", "''", "'x'", "E'\\x01\\x1b[2J'", "'drop'", "'discard'", "'shop'", "'1'", "repeat('y', 100000)"),
    "boolean": ("NULL", "true", "false"),
    "interval": ("NULL", "'0'", "'-1 day'", "'100000000 years'", "'1 second'"),
    "timestamp with time zone": ("NULL", "'infinity'", "'-infinity'", "'4713-01-01 BC'", "'200000-01-01'"),
    "json": ("NULL", "'null'", "'5'", "'[]'", "'{}'", "'[null]'", "'[{\"id\": 1}]'", "'[{\"id\": \"x\"}]'"),
    "jsonb": ("NULL", "'null'", "'5'", "'[]'", "'{}'", "'{\"versions\": 5, \"because\": [], \"why\": {}}'", "'\"x\"'"),
    "bigint[]": ("NULL", "'{}'", "'{NULL}'", "'{-1,0}'", "ARRAY(SELECT id FROM procver.version)"),
}  # fmt: skip
MOST = 400
"""Calls of one function."""


def writes(staff: Staff, role: str) -> Iterator[str]:
    """Yield every statement by which a role could write, by what the catalog says that it may."""
    login = staff.login(role)
    columns = staff.shop.sql(
        "SELECT c.relname, a.attname, format_type(a.atttypid, NULL), has_column_privilege(%s, c.oid, a.attnum, 'UPDATE'),"
        " has_column_privilege(%s, c.oid, a.attnum, 'INSERT')"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relnamespace = 'procver'::regnamespace AND c.relkind = 'r'",
        login, login,
    )  # fmt: skip
    for table, column, kind, update, insert in columns:
        for value in VALUES.get(kind, ("NULL",)):
            if update:
                yield f"UPDATE procver.{table} SET {column} = {value}"
            if insert:
                yield f"INSERT INTO procver.{table} ({column}) VALUES ({value})"
    for table, delete, truncate in staff.shop.sql(
        "SELECT c.relname, has_table_privilege(%s, c.oid, 'DELETE'), has_table_privilege(%s, c.oid, 'TRUNCATE')"
        " FROM pg_class c WHERE c.relnamespace = 'procver'::regnamespace AND c.relkind = 'r'",
        login, login,
    ):  # fmt: skip
        if delete:
            yield f"DELETE FROM procver.{table}"
        if truncate:
            yield f"TRUNCATE procver.{table} CASCADE"
    functions = staff.shop.sql(
        "SELECT p.proname, ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t) FROM pg_proc p"
        " WHERE p.pronamespace = 'procver'::regnamespace AND has_function_privilege(%s, p.oid, 'EXECUTE')",
        login,
    )
    for name, kinds in functions:
        choices = [VALUES.get(kind, ("NULL",)) for kind in kinds]
        for values in itertools.islice(itertools.product(*choices), MOST):
            casts = ", ".join(
                f"({value})::{kind}" for value, kind in zip(values, kinds, strict=True)
            )
            yield f"SELECT procver.{name}({casts})"


RIGHTS = """
SELECT 'routine', p.oid::regprocedure::text, p.proacl::text, p.proowner::regrole::text FROM pg_proc p
WHERE p.pronamespace IN ('app'::regnamespace, 'procver'::regnamespace, 'public'::regnamespace)
UNION ALL
SELECT 'relation', c.oid::regclass::text, c.relacl::text, c.relowner::regrole::text FROM pg_class c
WHERE c.relnamespace IN ('app'::regnamespace, 'procver'::regnamespace, 'public'::regnamespace)
UNION ALL SELECT 'member', m.roleid::regrole::text, m.member::regrole::text, '' FROM pg_auth_members m WHERE m.roleid::regrole::text ~ %s
ORDER BY 1, 2
"""


@pytest.mark.slow
@pytest.mark.parametrize("role", ["collector", "app"])
def test_whatever_a_role_writes_the_others_go_on(working: Staff, role: str) -> None:
    shop = working.shop
    before = shop.sql(RIGHTS, working.prefix)
    done = tried = 0
    with psycopg.connect(working.url(role), autocommit=True) as connection:
        connection.execute("SET lock_timeout = '2s'; SET statement_timeout = '20s'")
        for statement in writes(working, role):
            tried += 1
            with suppress(psycopg.Error):
                connection.execute(statement.encode())
                done += 1
        assert connection.execute("SELECT 1").fetchall() == [(1,)], "the server lives"
    assert done > 5
    assert tried > 200
    gone = ["app.alone_1"] if role == "collector" else []
    after = shop.sql(RIGHTS, working.prefix)
    assert [
        row for row in before if row not in after and not any(name in row[1] for name in gone)
    ] == []
    assert [row for row in after if row not in before] == []

    shop.write(alone=ALONE.replace("42", "44"))
    commands = (
        ("publisher", "plan"), ("publisher", "publish -r 3"), ("publisher", "release activate 3"), ("publisher", "release retire 2"),
        ("publisher", "verify"), ("publisher", "status"), ("publisher", "status --json"), ("publisher", "log --all"), ("publisher", "log --all --json"),
        ("publisher", "release list"), ("publisher", "release show 3"), ("publisher", "why app.alone_2"), ("publisher", "gc"), ("publisher", "gc --apply"),
        ("publisher", "restore app.alone_1"), ("publisher", "release activate 1 --restore"), ("publisher", "release discard x"),
        ("publisher", "release channel stable 3"), ("publisher", "gc --apply"),
        ("collector", "status"), ("collector", "log --all"), ("collector", "verify"), ("collector", "gc"), ("collector", "gc --apply"), ("collector", "plan"),
    )  # fmt: skip
    for who, words in commands:
        result = CliRunner().invoke(
            cli, [*words.split(), "-C", str(shop.root), "-t", working.url(who)]
        )
        assert result.exit_code in range(5), (who, words, result.output, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            who,
            words,
            result.exception,
        )
        assert "\x1b[2J" not in result.output
        if words.split()[0] in ("plan", "publish", "status", "log"):
            assert result.exit_code == 0, (who, words, result.output)
    shop.sql(working.script())
    now = {row[1]: row for row in shop.sql(RIGHTS, working.prefix)}
    changed = [row for row in before if row[1] in now and now[row[1]] != row]
    assert changed == [], "nobody has another right than before"
    with psycopg.connect(working.url("app")) as connection:
        for release in ("1", "3"):
            Resolver.from_database(connection, release=release, project="shop").verify(connection)


def test_hidden_rows_are_not_taken_for_missing_ones(working: Staff) -> None:
    as_role(working, "publisher", "ALTER TABLE procver.release ENABLE ROW LEVEL SECURITY")
    for words in (("gc", "--apply"), ("status",)):
        assert "row-level security" in working.run("collector", *words, code=3)
    assert "app.alone_2" in working.shop.objects()


@pytest.mark.parametrize(
    "change",
    [
        "version SET condemned_at = 'infinity'",
        "version SET privileges = '5'",
        "version SET requires = '5'",
        "version SET definition = 'null'",
        "event SET detail = '5'",
        "event SET at = '-infinity'",
        "collection SET at = 'infinity'",
        "release SET heard_until = '20000-01-01'",
    ],
)
def test_the_registry_refuses_what_no_command_could_read(working: Staff, change: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        working.shop.sql(f"UPDATE procver.{change}")


# Who may report for an instance.


@pytest.fixture
def neighbours(tmp_path: Path, staff: Staff) -> Iterator[tuple[Staff, Staff]]:
    """Two projects with roles of their own in one database, each with release 1."""
    staff.run("publisher", "publish", "-r", "1")
    staff.shop.sql(staff.script())
    other = Staff(
        Workshop(tmp_path / "other", staff.shop.url, "depot"), f"t{uuid.uuid4().hex[:10]}"
    )
    other.shop.write(weigh="CREATE FUNCTION app.weigh() RETURNS int LANGUAGE sql AS 'SELECT 1';\n")
    other.shop.publish("1")
    other.shop.sql(
        f"CREATE ROLE {other.prefix}_app; CREATE ROLE {other.login('app')} LOGIN IN ROLE {other.prefix}_app"
    )
    other.shop.sql(
        f"GRANT USAGE ON SCHEMA procver TO {other.prefix}_app; GRANT EXECUTE ON FUNCTION procver.beat TO {other.prefix}_app;"
        f" UPDATE procver.project SET app_role = '{other.prefix}_app' WHERE name = 'depot'"
    )
    yield staff, other
    for role in (other.login("app"), f"{other.prefix}_app"):
        other.shop.sql(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


BEAT = "SELECT procver.beat(%s, '1', 'web-1', %s)"


def test_an_app_reports_for_its_own_project_only(neighbours: tuple[Staff, Staff]) -> None:
    one, other = neighbours
    for here, there, project in ((one, other, "shop"), (other, one, "depot")):
        as_role(here, "app", BEAT, project, False)
        for leaving in (False, True):
            assert "is not a member of role" in denied(there, "app", BEAT, project, leaving)
    assert one.shop.sql(
        "SELECT count(*) FROM procver.instance WHERE last_seen_at IS NOT NULL AND left_at IS NULL"
    ) == [(2,)]
    as_role(one, "publisher", BEAT, "depot", False)  # the registry's owner
    one.shop.sql("SELECT procver.beat('depot', '1', 'web-2')")
    as_role(other, "app", BEAT, "depot", True)


def test_a_superuser_is_warned_of_a_registry_that_another_role_owns(staff: Staff) -> None:
    assert f"belongs to {staff.prefix}_publisher" not in staff.run(
        "publisher", "publish", "-r", "1"
    )
    staff.shop.write(alone=ALONE.replace("42", "43"))
    said = staff.shop.run("publish", "-r", "2").output
    assert f"the registry belongs to {staff.prefix}_publisher" in said


def test_a_pooler_is_measured_by_the_role_it_sets(neighbours: tuple[Staff, Staff]) -> None:
    one, other = neighbours
    pool = f"{one.prefix}_pool"
    one.shop.sql(
        f"CREATE ROLE {pool} LOGIN; GRANT {one.login('app')}, {other.login('app')} TO {pool}"
    )
    try:
        with psycopg.connect(
            one.url("app").replace(one.login("app"), pool), autocommit=True
        ) as connection:
            connection.execute(f"SET ROLE {one.login('app')}".encode())
            connection.execute(BEAT, ("shop", False))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(BEAT, ("depot", False))
    finally:
        one.shop.sql(f"DROP ROLE {pool}")


def test_a_role_that_is_gone_has_no_members(neighbours: tuple[Staff, Staff]) -> None:
    one, _ = neighbours
    one.shop.sql("UPDATE procver.project SET app_role = 'nobody_has_this_name'")
    denied(one, "app", BEAT, "shop", False)
    one.run("publisher", "status")


def test_publish_warns_as_long_as_no_role_is_recorded(
    staff: Staff, caplog: pytest.LogCaptureFixture
) -> None:
    assert "heartbeats" not in staff.run("publisher", "publish", "-r", "1"), (
        "nobody can send any yet"
    )
    staff.shop.sql(staff.script())
    staff.shop.sql("UPDATE procver.project SET app_role = NULL")
    staff.shop.write(alone=ALONE.replace("42", "43"))
    assert "may send them for this project's instances" in staff.run(
        "publisher", "publish", "-r", "2"
    )
    as_role(staff, "app", BEAT, "shop", False)
    staff.shop.sql(staff.script())
    staff.shop.write(alone=ALONE.replace("42", "44"))
    assert "heartbeats" not in staff.run("publisher", "publish", "-r", "3")
    other = Heartbeat(lambda: psycopg.connect(staff.url("collector")), "1", "web-1", project="shop")
    with caplog.at_level(logging.WARNING):
        assert not other.beat()


# From registry 1.

OLD_GRANTS = """
GRANT USAGE ON SCHEMA procver TO {prefix}_collector, {prefix}_app;
GRANT SELECT ON ALL TABLES IN SCHEMA procver TO {prefix}_collector;
GRANT UPDATE (generation) ON procver.project TO {prefix}_collector;
GRANT UPDATE (state, condemned_at, quarantined_at, dropped_at, privileges) ON procver.version TO {prefix}_collector;
GRANT UPDATE (heard_until) ON procver.release TO {prefix}_collector;
GRANT DELETE ON procver.instance TO {prefix}_collector;
GRANT INSERT (project_id, action, subject, detail) ON procver.event TO {prefix}_collector;
GRANT INSERT (project_id, dropped, condemned, kept), UPDATE ON procver.collection TO {prefix}_collector;
GRANT EXECUTE ON FUNCTION procver.drop_part, procver.require_silence TO {prefix}_collector;
GRANT INSERT, UPDATE, DELETE ON procver.usage TO {prefix}_collector;
GRANT SELECT ON procver.mapping, procver.channel_release TO {prefix}_app;
GRANT EXECUTE ON FUNCTION procver.beat TO {prefix}_app;
"""
"""The grants of the first version's script."""
UPGRADE = (
    "CREATE TABLE procver.upgrade (number int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    " applied_by text NOT NULL DEFAULT session_user)"
)
MADE = """
INSERT INTO procver.project (name, default_schema) VALUES ('shop', 'app');
INSERT INTO procver.version (project_id, name, kind, number, fingerprint, shape, source_digest, source_path, schema, leaf, physical,
                             definition, seal, requires, state, privileges, condemned_at)
SELECT 1, 'app.old', 'function', n, 'v1:' || n, n, n, 'sql/old.sql', 'app', 'old_' || n, 'app.old_' || n, '[]', 'x', '[]', 'present',
       (ARRAY['[{"part": "()", "owner": "postgres", "acl": [[null, "EXECUTE", false]]}]', '5', %(forged)s, NULL])[n]::jsonb,
       CASE n WHEN 4 THEN 'infinity'::timestamptz END
FROM generate_series(1, 4) n;
INSERT INTO procver.release (project_id, name, number, content) VALUES (1, '1', 1, 'x');
UPDATE procver.project SET last_release = 1;
INSERT INTO procver.event (project_id, action, subject, detail) VALUES (1, 'discard', 'x', '5'), (1, 'discard', 'y', 'null'), (1, 'drop', 'z', '{"why": 1}');
INSERT INTO procver.instance (project_id, name, release_id, last_seen_at) VALUES (1, 'web-1', 1, 'infinity');
INSERT INTO procver.usage VALUES (1, 'x', 1, '-infinity', 'infinity', now());
INSERT INTO procver.collection (project_id, at, dropped, condemned, kept) VALUES (1, 'infinity', 1, 1, 1);
"""


def test_an_upgrade_mends_what_the_collector_could_write_before(staff: Staff) -> None:
    first = (PACKAGE / "registry/postgresql/001_registry.sql").read_text("utf-8")
    with psycopg.connect(staff.url("publisher")) as connection:
        connection.execute(UPGRADE.encode())
        connection.execute(first.encode())
        connection.execute(
            "INSERT INTO procver.upgrade (number, name) VALUES (1, '001_registry.sql')"
        )
        connection.execute(
            MADE.replace("%(forged)s", "'" + forged(staff).replace("'", "''") + "'").encode()
        )
    staff.shop.sql(OLD_GRANTS.format(prefix=staff.prefix))
    as_role(staff, "collector", "UPDATE procver.version SET privileges = privileges")

    staff.run("publisher", "status")  # with no right but the publisher's
    denied(staff, "collector", "UPDATE procver.version SET privileges = privileges")
    denied(staff, "collector", "UPDATE procver.project SET generation = 0")
    sealed = staff.shop.sql(
        "SELECT number FROM procver.version WHERE privileges_seal IS NOT NULL ORDER BY 1"
    )
    assert sealed == [(1,)]
    for role, words in (
        ("publisher", "log --all"), ("publisher", "release list"), ("publisher", "gc"), ("publisher", "publish -r 2"),
        ("publisher", "release activate 2"), ("publisher", "release discard x"), ("collector", "status"), ("collector", "gc --apply"), ("collector", "log"),
    ):  # fmt: skip
        staff.run(role, *words.split())
    for name in ("old_2", "old_3"):
        assert "app." + name in staff.run("publisher", "restore", f"app.{name}", code=3)
    assert "app.owned" not in staff.shop.objects()
    assert staff.shop.sql("SELECT max(number) FROM procver.upgrade") == [(2,)]
