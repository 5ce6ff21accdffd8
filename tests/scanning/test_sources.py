"""Which files are taken, which are refused, and what a refusal says."""

from __future__ import annotations

import pytest

from procver.errors import SourceError, UsageError
from procver.objects import AFTER, DEFINITION, SETTING, Header, Kind, Name, Span
from tests.scanning.shop import (
    SCANNER,
    SHOP,
    analyse,
    header,
    managed,
    rewritten,
    rules,
    statements,
)

FUNCTION = "create function app.x() returns int language sql as $$select 1$$"
VIEW = "create view app.x as select 1 a"


@pytest.mark.parametrize(
    ("text", "kind", "sent"),
    [
        (FUNCTION, Kind.FUNCTION, FUNCTION),
        ("CREATE OR REPLACE  FUNCTION app.x() RETURNS int RETURN 1", Kind.FUNCTION,
         "CREATE FUNCTION app.x() RETURNS int RETURN 1"),
        ("create or/* a */replace function app.x() returns int return 1", Kind.FUNCTION,
         "create /* a */function app.x() returns int return 1"),
        ("create procedure app.x() language sql as ''", Kind.PROCEDURE,
         "create procedure app.x() language sql as ''"),
        ("create or replace view app.x as select 1", Kind.VIEW, "create view app.x as select 1"),
        ("create recursive view app.x (a) as select 1", Kind.VIEW,
         "create recursive view app.x (a) as select 1"),
        ("create materialized view if not exists app.x as select 1 with no data",
         Kind.MATERIALIZED_VIEW, "create materialized view app.x as select 1 with no data"),
        ("create view x (a) with (security_invoker) as select 1 with local check option", Kind.VIEW,
         "create view x (a) with (security_invoker) as select 1 with local check option"),
        ("\n-- note; with a semicolon\n create view x as select ';' ; \n", Kind.VIEW,
         "create view x as select ';'"),
    ],
)  # fmt: skip
def test_definitions(text: str, kind: Kind, sent: str) -> None:
    expected = Header(Name("app", "x"), kind)
    assert header(text) == expected
    analysis = analyse(text)
    assert (analysis.name, analysis.kind) == expected
    assert rewritten(text).replace("x_3", "x") == sent


def test_atomic_bodies_hold_semicolons() -> None:
    text = (
        "create function app.x(a int) returns int begin atomic"
        " select case when a > 1 then 2 else app.fn(a) end; select t.end as end from t; end; "
        "grant execute on function app.x to b"
    )
    found = statements(text)
    assert [statement.role for statement in found] == [DEFINITION, AFTER]
    assert found[0].text.endswith("else app.fn_2(a) end AS fn; select t.end as end from t; end")


def test_settings_end_with_the_transaction() -> None:
    text = (
        "SET search_path = app, public; set session check_function_bodies to off;"
        f"set local work_mem = '1MB'; set time zone 'UTC'; {FUNCTION}"
    )
    found = statements(text)
    assert [statement.text for statement in found[:4]] == [
        "SET LOCAL search_path = app, public", "set LOCAL check_function_bodies to off",
        "set local work_mem = '1MB'", "set LOCAL time zone 'UTC'",
    ]  # fmt: skip
    assert [statement.role for statement in found] == [SETTING] * 4 + [DEFINITION]
    assert analyse(text).shape != analyse(FUNCTION).shape


def test_search_path_of_the_file_decides_its_schema() -> None:
    text = 'set search_path to "Shop", public; create view x as select * from v, "Shop".y'
    assert header(text) == Header(Name("Shop", "x"), Kind.VIEW)
    assert analyse(text).references == ()
    assert rules(text) == ["off-path"]


def test_search_path_of_the_function_decides_inside_it() -> None:
    text = "create function app.x() returns int language sql {} as $$select count(*) from o$$"
    assert analyse(text.format("")).references == ()
    for clause in ("set search_path = other", "set search_path to pg_catalog, other, pg_temp"):
        assert analyse(text.format(clause)).references == (Name("other", "o"),)
    assert analyse(text.format("set search_path = ''")).references == ()


def test_transaction_words_and_own_drops_are_left_out() -> None:
    text = f"begin; drop view if exists app.x cascade; {VIEW}; commit"
    assert rewritten(text) == VIEW.replace("app.x", "app.x_3")
    assert rules(text) == ["drop-skipped"]
    assert analyse(text).shape == analyse(VIEW).shape
    assert rules(f"drop function app.x(int, text[]); {FUNCTION}") == ["drop-skipped"]


REFUSED = [
    ("", 1, "no statement"),
    ("  -- nothing\n/* here */ ;;", 1, "no statement"),
    ("\n\ncreate table app.t (a int)", 3, "a table is not versioned"),
    ("create unlogged table t (a int)", 1, "a table"),
    ("create temp view app.x as select 1", 1, "temporary view"),
    ("create type app.t as (a int)", 1, "a type"),
    ("create domain d as int", 1, "a domain"),
    ("create aggregate a (int) (sfunc = f)", 1, "an aggregate"),
    ("create operator + (function = f)", 1, "an operator"),
    ("create sequence s", 1, "a sequence"),
    ("create schema app", 1, "a schema"),
    ("create extension hstore", 1, "an extension"),
    ("create trigger t before insert on app.t execute function f()", 1, "a trigger"),
    ("create event trigger t on ddl_command_end execute function f()", 1, "an event trigger"),
    ("insert into t values (1)", 1, "data (INSERT)"),
    ("do $$begin end$$", 1, "a DO block"),
    ("select set_config('search_path', '', false)", 1, "a query (SELECT)"),
    ("create function pg_temp.f() returns int language sql as 'select 1'", 1,
     "pg_temp.f cannot be published: schema pg_temp is reserved"),
    (f"set search_path = pg_temp, app; {VIEW.replace('app.', '')}", 1, "schema pg_temp is reserved"),
    (VIEW.replace("app", "pg_catalog"), 1, "schema pg_catalog is reserved"),
    (VIEW.replace("app", "pg_toast"), 1, "schema pg_toast is reserved"),
    (VIEW.replace("app", "information_schema"), 1, "schema information_schema is reserved"),
    (VIEW.replace("app", "procver"), 1, "schema procver is reserved"),
    (f"\nset standard_conforming_strings = off; {VIEW}", 2, "standard_conforming_strings = off"),
    (f"set local standard_conforming_strings to 'false'; {VIEW}", 1, "standard_conforming_strings"),
    (FUNCTION.replace(" as ", " set standard_conforming_strings to off as "), 1,
     "standard_conforming_strings"),
    ("create function app.x() returns int language plpgsql as $$begin\n"
     "set local standard_conforming_strings = 0; end$$", 2, "standard_conforming_strings"),
    ("create function app.x() returns int language plpgsql as $$begin\n"
     "perform set_config('standard_conforming_strings', 'off', true); end$$", 2,
     "standard_conforming_strings"),
    (f"reset all; {VIEW}", 1, "RESET"),
    (f"set role a; {VIEW}", 1, "SET ROLE"),
    (f"set session authorization a; {VIEW}", 1, "SET AUTHORIZATION"),
    (f"{VIEW}; set work_mem = 1", 1, "SET after the definition"),
    (f"grant select on app.x to a; {VIEW}", 1, "GRANT"),
    (f"{VIEW};\ngrant select on app.y to a", 2, "GRANT on something else"),
    (f"{VIEW};\ngrant select on app.v to a", 2, "GRANT on app.v in the file of app.x"),
    (f"{VIEW};\ngrant usage on schema app to a", 2, "GRANT on something else"),
    (f"{VIEW}; comment on table app.v is 'a'", 1, "COMMENT on app.v"),
    (f"{VIEW}; create index i on app.t (a)", 1, "index on something else"),
    (f"{VIEW}; create trigger t after insert on app.t execute function f()", 1, "a trigger on"),
    (f"{VIEW}; alter view app.x rename to y", 1, "RENAME TO"),
    (f"{VIEW}; alter view app.x set schema y", 1, "SET SCHEMA"),
    (f"{VIEW}; alter table app.t add a int", 1, "ALTER TABLE"),
    (f"{VIEW}; drop view app.v", 1, "DROP VIEW"),
    (f"{VIEW}; select 1", 1, "a query (SELECT)"),
    (f"{VIEW}; rollback", 1, "ROLLBACK"),
    (f"{VIEW}; refresh materialized view app.mv", 1, "REFRESH on app.mv"),
    ("create materialized view app.x as select 1 a; create index concurrently i on app.x (a)", 1,
     "CONCURRENTLY"),
    ("create function app.x() returns trigger language plpgsql as $$begin end$$", 1,
     "a trigger function"),
    ("create function app.x() returns pg_catalog.event_trigger language c as 'a'", 1,
     "a trigger function"),
    (f"{VIEW};\n{VIEW}", 2, "view app.x twice"),
    (f"{VIEW};\ncreate view app.y as select 1", 2, "two objects: view app.x and view app.y"),
    (f"{FUNCTION};\ncreate procedure app.x() language sql as ''", 2,
     "two objects: function app.x and procedure app.x"),
    ("create view app.x as select null::int as a; create function app.x() returns int return 1", 1,
     "two objects: view app.x and function app.x"),
    (f"\\set a 1\n{VIEW}", 1, "\\set is a command of psql"),
    ("create view app.x as\nselect 'a", 2, "string literal that starts here never ends"),
    ('create view app.x as\n\nselect "a', 3, "quoted name"),
    ("create view app.x as select 1 /* a /* b */", 1, "comment"),
    ("create function app.x() returns int language sql as\n$b$select 1$$", 2, "$b$ string"),
    ("create function app.x() returns int language sql as\n$$select\n'a $$", 3, "string literal"),
    ("create view app.x as select " + "/*" * 20 + "*/" * 20 + " 1", 1, "nested deeper"),
    ("create view app.x as\nselect 1\x00", 2, "NUL"),
    ('create view app."a\tb" as select 1', 1, "control"),
    ("create view db.app.x as select 1", 1, "more than two parts"),
    ('create view U&"app".x as select 1', 1, "Unicode escapes"),
    ("create view app.x as select " + "(" * 3000 + "app.fn(1)" + ")" * 3000, 1, "nested too deep"),
    ("create function app.x() returns int language sql as 'select 1'\n' + 2'", 1, "literal"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), REFUSED, ids=[row[2] for row in REFUSED])
def test_refusals(text: str, line: int, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        analyse(text)
    assert message in caught.value.message
    assert caught.value.line == line
    assert caught.value.hint
    assert caught.value.file is None


@pytest.mark.parametrize(
    "text", ["", "create table t ()", "\x00", VIEW.replace("view", "temp view")]
)
def test_header_refuses_alike(text: str) -> None:
    with pytest.raises(SourceError):
        header(text)


def test_header_reads_no_further_than_the_name() -> None:
    assert header("create view app.x as select 'never ends").name == Name("app", "x")


def test_directives() -> None:
    text = (
        '-- procver: revision 3\n-- PROCVER: Requires app.w, "odd ""name", mv\n'
        "create function app.x() returns int language sql as $$\n"
        "  -- procver: pin app.v = 12\n  select 1 from app.v, app.w\n$$"
    )
    analysis = analyse(text)
    assert analysis.revision == 3
    assert analysis.pins == ((Name("app", "v"), 12),)
    assert analysis.references == (
        Name("app", "v"), Name("app", "w"), Name("app", 'odd "name'), Name("app", "mv"),
    )  # fmt: skip
    assert "-- procver: pin app.v = 12\n" in rewritten(text)
    assert analysis.shape == analyse(text.replace("-- procver: revision 3\n", "")).shape


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        ("require app.v", "unknown directive"),
        ("", "unknown directive"),
        ("requires", "malformed directive"),
        ("requires a.b.c", "no name"),
        ("requires app.v,", "malformed"),
        ("requires app.vv", "app.vv is not managed"),
        ("revision x", "malformed"),
        ("revision -1", "malformed"),
        ("revision 1\n-- procver: revision 2", "two revisions"),
        ("pin app.v", "malformed"),
        ("pin app.v = 0", "malformed"),
        ("pin app.v = 1\n-- procver: pin app.v = 2", "two pins"),
        ("pin app.x = 1", "pin itself"),
        ("pin app.nothing = 1", "not managed"),
    ],
)
def test_bad_directives(directive: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        analyse(f"{VIEW};\n-- procver: {directive}\n")
    assert message in caught.value.message
    assert caught.value.line in (2, 3)
    assert caught.value.hint


def test_bad_directive_names_the_nearest() -> None:
    with pytest.raises(SourceError) as caught:
        analyse(f"-- procver: requires app.add_jobs\n{VIEW}")
    assert "app.add_job" in (caught.value.hint or "")
    with pytest.raises(SourceError) as caught:
        analyse(f"-- procver: requires wrong.color\n{VIEW}")
    assert "public.color" in (caught.value.hint or "")


def test_what_only_looks_like_a_directive() -> None:
    text = f"/* -- procver: nonsense */ -- about procver: nothing\n{VIEW.replace('1', quoted())}"
    assert analyse(text).notes == ()


def quoted() -> str:
    return "'-- procver: nonsense'"


def test_spans_of_templates() -> None:
    text = "create function app.x() returns int language plpgsql as $$begin execute 'select app.v'; perform app.fn(1); end$$"
    spans = SHOP.spans(text, "app.v", "app.fn")
    analysis = analyse(text, spans)
    assert set(analysis.references) == {Name("app", "v"), Name("app", "fn")}
    assert analysis.notes == ()
    assert "execute 'select app.v_2'; perform app.fn_2(1)" in rewritten(text, spans)
    assert analyse(text).references == (Name("app", "fn"),)


def test_spans_keep_the_scope_and_are_escaped() -> None:
    text = "create view app.x as select v.a, '{}' from app.v"
    at = text.index("app.v", 20)
    spans = (Span(at, at + 5, Name("app", "v")),)
    assert rewritten(text, spans) == "create view app.x_3 as select v_2.a, '{}' from app.v_2"
    kinds = {Name("app", "it's"): Kind.VIEW}
    text = "create function app.x() returns int language sql as 'select ''N''::regclass'"
    at = text.index("N'")
    span = Span(at, at + 1, Name("app", "it's"))
    (statement,) = SCANNER.rewrite(
        text, "app", type(managed())(kinds, ("app",)),
        {Name("app", "x"): "x_1", Name("app", "it's"): "it's_1"}, (span,),
    )  # fmt: skip
    assert statement.text.endswith("""as 'select ''app."it''''s_1"''::regclass'""")


def test_span_of_an_unmanaged_name() -> None:
    with pytest.raises(SourceError, match=r"app\.nothing is not managed"):
        analyse(VIEW, (Span(0, 6, Name("app", "nothing")),))


def test_long_index_name() -> None:
    name = "i" * 62
    text = f"create materialized view app.x as select 1 a; create index {name} on app.x (a)"
    with pytest.raises(SourceError, match="64 bytes"):
        rewritten(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("app.v", Name("app", "v")), ("V", Name("d", "v")), ('"V"', Name("d", "V")),
        (' app . "a.b" ', Name("app", "a.b")), ('"a""b".C', Name('a"b', "c")),
        ("größe", Name("d", "größe")), ("GRÖSSE", Name("d", "grÖsse")), ("select", Name("d", "select")),
    ],
)  # fmt: skip
def test_parse(text: str, name: Name) -> None:
    assert SCANNER.parse(text, "d") == name


@pytest.mark.parametrize(
    "text", ["", "a.b.c", "a.", ".a", "a b", "'a'", "1", "a;", '"', '""', 'U&"a"', '"a\tb"']
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        SCANNER.parse(text, "d")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "label", "quoted_"),
    [
        (Name("app", "v_1"), "app.v_1", "app.v_1"), (Name("App", "v"), '"App".v', '"App".v'),
        (Name("app", "select"), 'app."select"', 'app."select"'),
        (Name("app", "left"), 'app."left"', 'app."left"'),
        (Name("app", "values"), "app.values", 'app."values"'),
        (Name("app", 'a"b'), 'app."a""b"', 'app."a""b"'), (Name("a b", "ü"), '"a b"."ü"', '"a b"."ü"'),
    ],
)  # fmt: skip
def test_label_and_quote(name: Name, label: str, quoted_: str) -> None:
    assert SCANNER.label(name) == label
    assert SCANNER.quote(name) == quoted_
    assert SCANNER.parse(label, "d") == name


def test_a_misspelt_word_after_create() -> None:
    with pytest.raises(SourceError) as refused:
        SCANNER.header("CREATE OR REPLACE FUNTION app.f() RETURNS int AS 'SELECT 1'", "app")
    assert refused.value.hint == "did you mean CREATE FUNCTION?"


# ---- what pg_dump writes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f"SELECT pg_catalog.set_config('search_path', '', false);\n{VIEW}", "heads every pg_dump"),
        (f"\\restrict 5HpRkBf\n{VIEW}", "pg_dump writes this line for psql: delete it"),
        (f"{VIEW};\n\\unrestrict 5HpRkBf", "pg_dump writes this line for psql: delete it"),
        (f"create view app.x as select null::integer as id, null::numeric(1,2) as n;\n{VIEW}",
         "delete the first: pg_dump writes such a placeholder"),
        (f"{VIEW};\n{VIEW}", "keep one of the two definitions"),
        (f"{VIEW}; {FUNCTION}", "a view and a function cannot share a version"),
    ],
)  # fmt: skip
def test_lines_of_pg_dump_get_a_hint(text: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        analyse(text)
    assert hint in (caught.value.hint or "")


def test_a_dumped_view_is_taken_without_its_first_line() -> None:
    text = (
        "SET statement_timeout = 0; SET client_encoding = 'UTF8';"
        " SET standard_conforming_strings = on; SET check_function_bodies = false;"
        " SET default_tablespace = ''; SET default_table_access_method = heap;"
        f" {VIEW}; ALTER TABLE app.x OWNER TO a; ALTER VIEW app.x OWNER TO a;"
        " GRANT SELECT ON TABLE app.x TO a"
    )
    assert rules(text) == []
    assert rewritten(text).endswith("GRANT SELECT ON TABLE app.x_3 TO a")


def test_a_placeholder_of_pg_dump_is_reported() -> None:
    text = "create view app.x as\nselect null::integer as id, null::text as b{}"
    assert rules(text.format("")) == ["placeholder-view"]
    assert rules(text.format(" from t")) == []
    assert rules(text.format(", 1 as c")) == []
