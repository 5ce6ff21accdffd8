"""The rows of the table "References: what to rewrite" that concern PostgreSQL."""

from __future__ import annotations

import pytest
from pglast.parser import parse_sql

from procver.objects import Kind, Name
from procver.scanning.postgresql import PostgresqlScanner
from tests.scanning.shop import (
    KINDS,
    analyse,
    in_body,
    in_view,
    managed,
    rewritten,
    rules,
    view_rules,
)

QUERIES = [
    ("1", "SELECT v.a FROM app.v", "SELECT v_2.a FROM app.v_2"),
    ("2", "SELECT app.v.a, app.v.* FROM app.v", "SELECT app.v_2.a, app.v_2.* FROM app.v_2"),
    ("3", "SELECT v.a FROM other AS v", "SELECT v.a FROM other AS v"),
    ("3-bare", "SELECT v.a FROM app.w v", "SELECT v.a FROM app.w_2 v"),
    ("4", "SELECT row_to_json(v) FROM app.v", "SELECT row_to_json(v_2) FROM app.v_2"),
    (
        "4-pretty",
        "SELECT row_to_json(v, true) FROM app.v",
        "SELECT row_to_json(v_2, true) FROM app.v_2",
    ),
    (
        "4-ordered",
        "SELECT json_agg(v ORDER BY v.a), jsonb_agg(DISTINCT v), array_agg(v) FILTER (WHERE v.b) FROM v",
        "SELECT json_agg(v_2 ORDER BY v_2.a), jsonb_agg(DISTINCT v_2), array_agg(v_2) FILTER (WHERE v_2.b) FROM v_2",
    ),
    (
        "4-unclear",
        "SELECT v, coalesce(v, w), json_object_agg(v.a, v), to_json(v, 1) FROM v, w",
        "SELECT v, coalesce(v, w), json_object_agg(v_2.a, v), to_json(v, 1) FROM v_2, w_2",
    ),
    ("4-star", "SELECT count(v.*) FROM v", "SELECT count(v_2.*) FROM v_2"),
    ("4-field", "SELECT (v).a FROM v", "SELECT (v_2).a FROM v_2"),
    ("5", "SELECT app.fn(1)", "SELECT app.fn_2(1) AS fn"),
    ("5-named", "SELECT app.fn(1) AS one, fn(2) two", "SELECT app.fn_2(1) AS one, fn_2(2) two"),
    (
        "5-over",
        "SELECT fn(a) OVER (PARTITION BY b) FROM t",
        "SELECT fn_2(a) OVER (PARTITION BY b) AS fn FROM t",
    ),
    (
        "5-filter",
        "SELECT fn(a) FILTER (WHERE b) OVER w FROM t WINDOW w AS (ORDER BY c)",
        "SELECT fn_2(a) FILTER (WHERE b) OVER w AS fn FROM t WINDOW w AS (ORDER BY c)",
    ),
    (
        "5-cast",
        "SELECT fn(1)::double precision, CAST(fn(2) AS int)",
        "SELECT fn_2(1)::double precision AS fn, CAST(fn_2(2) AS int) AS fn",
    ),
    (
        "5-case",
        "SELECT CASE WHEN a THEN 1 ELSE fn(a) END FROM t",
        "SELECT CASE WHEN a THEN 1 ELSE fn_2(a) END AS fn FROM t",
    ),
    (
        "5-scalar",
        "SELECT (SELECT fn(1)), ((fn(2)))",
        "SELECT (SELECT fn_2(1) AS fn), ((fn_2(2))) AS fn",
    ),
    (
        "5-expression",
        "SELECT fn(1) + 1, fn(1) IS NULL, -fn(1), (fn(1)).a",
        "SELECT fn_2(1) + 1, fn_2(1) IS NULL, -fn_2(1), (fn_2(1)).a",
    ),
    (
        "5-subquery",
        "SELECT fn FROM (SELECT fn(a) FROM t) s",
        "SELECT fn FROM (SELECT fn_2(a) AS fn FROM t) s",
    ),
    ("5-quoted", 'SELECT "fn"(1)', 'SELECT "fn_2"(1) AS "fn"'),
    ("6", "SELECT fn FROM app.fn(1) ORDER BY fn", "SELECT fn FROM app.fn_2(1) AS fn ORDER BY fn"),
    ("6-qualified", "SELECT fn.a FROM fn(1)", "SELECT fn.a FROM fn_2(1) AS fn"),
    (
        "6-named",
        "SELECT f.a FROM fn(1) f, fn(2) AS g(a)",
        "SELECT f.a FROM fn_2(1) f, fn_2(2) AS g(a)",
    ),
    (
        "6-ordinality",
        "SELECT * FROM fn(1) WITH ORDINALITY",
        "SELECT * FROM fn_2(1) WITH ORDINALITY AS fn",
    ),
    ("6-columns", "SELECT * FROM fn(1) AS (a int)", "SELECT * FROM fn_2(1) AS fn (a int)"),
    (
        "6-lateral",
        "SELECT * FROM t JOIN LATERAL fn(t.a) ON true",
        "SELECT * FROM t JOIN LATERAL fn_2(t.a) AS fn ON true",
    ),
    (
        "9",
        "WITH v AS (SELECT * FROM v) SELECT * FROM v",
        "WITH v AS (SELECT * FROM v_2) SELECT * FROM v",
    ),
    (
        "9-recursive",
        "WITH RECURSIVE v AS (SELECT * FROM v) SELECT * FROM v",
        "WITH RECURSIVE v AS (SELECT * FROM v) SELECT * FROM v",
    ),
    (
        "9-qualified",
        "WITH v AS (SELECT 1) SELECT * FROM app.v",
        "WITH v AS (SELECT 1) SELECT * FROM app.v_2",
    ),
    (
        "12",
        "SELECT x::app.v, CAST(x AS v), NULL::v[] FROM t",
        "SELECT x::app.v_2, CAST(x AS v_2), NULL::v_2[] FROM t",
    ),
    ("12-literal", "SELECT app.v '(1,2)'", "SELECT app.v_2 '(1,2)'"),
    (
        "13",
        "SELECT x::public.color, public.color(1) c FROM t",
        "SELECT x::public.color, public.color_2(1) c FROM t",
    ),
    (
        "15",
        "SELECT 1 FROM w WHERE w.metaphone = app.metaphone(x)",
        "SELECT 1 FROM w_2 WHERE w_2.metaphone = app.metaphone_2(x)",
    ),
    ("16", "SELECT a AS fn, b fn FROM t", "SELECT a AS fn, b fn FROM t"),
    (
        "19",
        'SELECT * FROM "WebApi".suppliers, webapi.suppliers, purchasing.suppliers',
        'SELECT * FROM "WebApi".suppliers, webapi.suppliers_2, purchasing.suppliers',
    ),
    ("24", "SELECT * FROM db.app.v", "SELECT * FROM db.app.v"),
    ("25", "SELECT 'app.v'::regclass", "SELECT 'app.v'::regclass"),
    ("26", 'SELECT * FROM app . /*c*/ "v" , APP.V', 'SELECT * FROM app . /*c*/ "v_2" , APP.v_2'),
    ("27", 'SELECT * FROM "app.v"', 'SELECT * FROM "app.v"'),
    ("28", 'SELECT "V".a, v.a FROM "V", V', 'SELECT "V_2".a, v_2.a FROM "V_2", v_2'),
    ("28-odd", 'SELECT * FROM app."odd ""name"', 'SELECT * FROM app."odd ""name_2"'),
    ("30", "SELECT t.fn FROM t", "SELECT t.fn FROM t"),
    ("31", "SELECT * FROM generate_series(1,3) fn(i)", "SELECT * FROM generate_series(1,3) fn(i)"),
    ("32", "SELECT * FROM a, app.v", "SELECT * FROM a, app.v_2"),
    (
        "32-brackets",
        "SELECT * FROM ((app.v JOIN w USING (a)) CROSS JOIN mv)",
        "SELECT * FROM ((app.v_2 JOIN w_2 USING (a)) CROSS JOIN mv_2)",
    ),
    ("40", "SELECT 1 FROM app.v\u00a0", "SELECT 1 FROM app.v\u00a0"),
    ("44", "SELECT * FROM app.v_1", "SELECT * FROM app.v_1"),
]


@pytest.mark.parametrize(
    ("query", "expected"), [row[1:] for row in QUERIES], ids=[r[0] for r in QUERIES]
)
def test_query(query: str, expected: str) -> None:
    assert in_view(query) == expected
    assert parse_sql(expected)


BODIES = [
    ("5-perform", "begin perform app.fn(1); end", "begin perform app.fn_2(1); end"),
    ("5-into", "begin select fn(1) into r; end", "begin select fn_2(1) AS fn into r; end"),
    ("5-return", "begin return fn(1); end", "begin return fn_2(1); end"),
    (
        "6-loop",
        "begin for r in select * from fn(1) loop null; end loop; end",
        "begin for r in select * from fn_2(1) AS fn loop null; end loop; end",
    ),
    (
        "8",
        "<<v>> declare a int; begin v.a := 1; perform v.a; end",
        "<<v>> declare a int; begin v.a := 1; perform v.a; end",
    ),
    ("11", "begin perform app.x(1); end", "begin perform app.x_3(1); end"),
    (
        "12",
        "declare r app.v%ROWTYPE; s v; c v.a%type; n app.v.a%type; begin end",
        "declare r app.v_2%ROWTYPE; s v_2; c v_2.a%type; n app.v_2.a%type; begin end",
    ),
    ("16-target", "begin fn := fn(1); end", "begin fn := fn_2(1); end"),
    (
        "33",
        "begin insert into app.v (fn, v) values (1, 2); end",
        "begin insert into app.v_2 (fn, v) values (1, 2); end",
    ),
    (
        "34",
        "begin insert into app.uv values (1) on conflict (id) do update set n = uv.n + 1; end",
        "begin insert into app.uv_2 values (1) on conflict (id) do update set n = uv_2.n + 1; end",
    ),
    ("35", "begin execute app.fn(x); end", "begin execute app.fn_2(x); end"),
    ("39", "begin drop function app.fn; end", "begin drop function app.fn; end"),
]


@pytest.mark.parametrize(
    ("body", "expected"), [row[1:] for row in BODIES], ids=[r[0] for r in BODIES]
)
def test_body(body: str, expected: str) -> None:
    assert in_body(body) == expected


def test_7_routine_qualifies_its_parameters() -> None:
    text = "create function app.add_job(payload int) returns int language {} as $${}$$"
    plain = "select add_job.payload + add_job.other"
    assert rewritten(text.format("sql", plain)) == (
        "create function app.add_job_3(payload int) returns int language sql as "
        "$$select add_job_3.payload + add_job.other$$"
    )
    block = (
        "declare a alias for add_job.payload; begin add_job.payload := 1;"
        " select 2 into add_job.payload; fetch c into add_job.payload;"
        " get diagnostics add_job.payload = row_count;"
        " for add_job.payload in select 1 loop null; end loop; end"
    )
    assert rewritten(text.format("plpgsql", block)).endswith(
        f"$${block.replace('add_job', 'add_job_3')}$$"
    )
    assert not analyse(text.format("sql", plain)).recursive


def test_10_recursive_view() -> None:
    text = (
        "create recursive view app.n (a) as values (1) union all select a + 1 from n where n.a < 9"
    )
    assert rewritten(text) == (
        "create recursive view app.n_3 (a) as values (1) union all"
        " select a + 1 from n_3 where n_3.a < 9"
    )
    assert analyse(text).recursive


def test_11_self_call_is_no_reference() -> None:
    text = "create function app.fn(i int) returns int language sql as 'select app.fn(i - 1) a'"
    analysis = analyse(text)
    assert analysis.recursive
    assert analysis.references == ()
    assert rewritten(text).endswith("'select app.fn_3(i - 1) a'")


def test_12_types_of_the_signature() -> None:
    text = (
        "create function app.x(v app.v, variadic w[], inout a v default null::v, b double precision)"
        " returns setof app.mv language c as 'x', 'y'"
    )
    assert rewritten(text) == (
        "create function app.x_3(v app.v_2, variadic w_2[], inout a v_2 default null::v_2,"
        " b double precision) returns setof app.mv_2 language c as 'x', 'y'"
    )
    table = "create function app.x() returns table (v app.v, names text) language sql as 'select 1'"
    assert "(v app.v_2, names text)" in rewritten(table)


def test_17_transaction_words_are_skipped() -> None:
    text = "begin; create view app.x as select 1; commit;"
    assert rewritten(text) == "create view app.x_3 as select 1"


def test_19_same_leaf_in_another_schema() -> None:
    assert in_view("select * from purchasing.v, o") == "select * from purchasing.v, o"
    assert view_rules("select * from o") == ["off-path"]


def test_24_other_database_is_noted() -> None:
    assert view_rules("select * from db.app.v") == ["database-name"]


def test_24_the_name_of_our_own_database_is_no_other() -> None:
    text = (
        "create view app.x as select shop.app.v.a, v.b, SHOP.app.w.*, shop.app.fn(1) c, other.app.uv.a"
        ' from shop.app.v join "shop".app.w on true, other.app.uv, "Shop".app.mv'
    )
    ours = type(managed())(KINDS, ("app",), databases=("shop",))
    physical = {name: f"{name.leaf}_2" for name in KINDS} | {Name("app", "x"): "x_3"}
    (statement,) = PostgresqlScanner().rewrite(text, "app", ours, physical)
    assert statement.text == (
        "create view app.x_3 as select shop.app.v_2.a, v_2.b, SHOP.app.w_2.*, shop.app.fn_2(1) c, other.app.uv.a"
        ' from shop.app.v_2 join "shop".app.w_2 on true, other.app.uv, "Shop".app.mv'
    )
    notes = PostgresqlScanner().analyse(text, "app", ours).notes
    assert [note.message.split()[0] for note in notes] == ["other.app.uv", '"Shop".app.mv']


@pytest.mark.parametrize(
    "body",
    [
        "begin execute 'select * from app.v'; end",
        "begin execute 'select * from v'; end",
        "begin perform 'v'::regclass; end",
        "begin execute format('select 1 from v'); end",
        "begin perform $q$ select * from app.v $q$; end",
    ],
)
def test_25_names_in_strings_are_noted(body: str) -> None:
    text = f"create function app.x() returns void language plpgsql as $${body}$$"
    assert rules(text) == ["string-mention"]
    assert analyse(text).references == ()
    assert in_body(body) == body
    required = analyse(f"-- procver: requires app.v\n{text}")
    assert required.notes == ()
    assert required.references == (Name("app", "v"),)


@pytest.mark.parametrize(
    "body",
    [
        "begin raise notice 'app.v is empty'; end",
        "begin perform 'v'; end",
        "begin perform 1; -- app.v\n end",
    ],
)
def test_25_what_is_no_code_is_not_noted(body: str) -> None:
    assert rules(f"create function app.x() returns void language plpgsql as $${body}$$") == []


def test_28_own_name_in_capitals() -> None:
    text = 'create view app."X" as select 1; grant select on app."X" to a'
    assert rewritten(text) == 'create view app."X_3" as select 1; grant select on app."X_3" to a'
    assert rewritten("create view APP.X as select 1") == "create view APP.x_3 as select 1"


def test_29_sixty_three_bytes() -> None:
    scanner = PostgresqlScanner()
    assert scanner.too_long("a" * 63) is None
    assert "64 bytes" in (scanner.too_long("a" * 64) or "")
    assert "64 bytes" in (scanner.too_long("ü" * 32) or "")


def test_36_quoted_bodies() -> None:
    text = "create function app.x() returns int language sql as '{}'"
    assert rewritten(text.format("select app.fn(''a'') AS z")).endswith(
        "'select app.fn_2(''a'') AS z'"
    )
    assert rewritten(text.format("select 1 from app.\"V\", t where a = ''b''")).endswith(
        "'select 1 from app.\"V_2\", t where a = ''b'''"
    )
    escaped = r"create function app.x() returns int language sql as E'select\n app.fn(\'a\') z'"
    assert rewritten(escaped).endswith(r"E'select\n app.fn_2(\'a\') z'")


def test_36_other_languages_are_not_read() -> None:
    text = "create function app.x() returns int language plpython3u as $$ plpy.execute('app.v') $$"
    assert rewritten(text).endswith("$$ plpy.execute('app.v') $$")
    assert rules(text) == ["string-mention"]


def test_37_overloads_are_one_object() -> None:
    text = (
        "create function app.fn(int) returns int language sql as 'select 1';\n"
        "create function app.fn(text) returns int language sql as 'select app.fn(2) z';"
    )
    assert rewritten(text) == (
        "create function app.fn_3(int) returns int language sql as 'select 1'; "
        "create function app.fn_3(text) returns int language sql as 'select app.fn_3(2) z'"
    )


def test_38_what_follows() -> None:
    following = [
        "grant select on app.x to a",
        "grant all on table app.x to a",
        "revoke all on x from public",
        "comment on view app.x is 'app.v'",
        "comment on column app.x.a is 'b'",
        "alter view app.x owner to b",
        "alter view app.x alter column a set default app.fn(1)",
        "create trigger t instead of insert on app.x for each row execute function f()",
        "create rule r as on delete to app.x do instead (delete from t; select fn(1) z)",
        "security label on view app.x is 'c'",
    ]
    text = rewritten("; ".join(["create view app.x as select 1", *following]))
    expected = [
        statement.replace("app.x", "app.x_3").replace("on x ", "on x_3 ").replace("fn(", "fn_2(")
        for statement in following
    ]
    assert text == "; ".join(["create view app.x_3 as select 1", *expected])
    assert not analyse("; ".join(["create view app.x as select 1", *following])).recursive


def test_38_a_trigger_function_is_never_managed() -> None:
    text = (
        "create view app.x as select 1 a; create trigger t instead of insert on app.x"
        " for each row when (app.fn(1) > 0) execute {} {}fn('app.v')"
    )
    for words in (("function", ""), ("procedure", "app.")):
        source = text.format(*words)
        assert rewritten(source) == source.replace("app.x", "app.x_3").replace(
            "app.fn(1)", "app.fn_2(1)"
        )
        assert analyse(source).references == (Name("app", "fn"),)


def test_38_routines() -> None:
    text = (
        "create procedure app.p(v) language sql as 'select 1';"
        "grant execute on procedure app.p(v) to a, b; revoke all on routine app.p from public;"
        "comment on procedure p(app.v) is 'x'; alter procedure app.p(v) security definer"
    )
    assert rewritten(text) == (
        "create procedure app.p_3(v_2) language sql as 'select 1'; "
        "grant execute on procedure app.p_3(v_2) to a, b; "
        "revoke all on routine app.p_3 from public; "
        "comment on procedure p_3(app.v_2) is 'x'; alter procedure app.p_3(v_2) security definer"
    )


def test_38_indexes_get_the_suffix() -> None:
    text = (
        "create materialized view app.m as select 1 a; create unique index if not exists m_a on app.m (a);"
        "create index \"M b\" on m (fn(a)); create index on app.m (a); comment on index app.m_a is 'x';"
        "cluster app.m using m_a; alter index m_a set (fillfactor = 70); refresh materialized view app.m"
    )
    assert rewritten(text) == (
        "create materialized view app.m_3 as select 1 a; create unique index m_a_3 on app.m_3 (a); "
        'create index "M b_3" on m_3 (fn_2(a)); create index on app.m_3 (a); '
        "comment on index app.m_a_3 is 'x'; cluster app.m_3 using m_a_3; "
        "alter index m_a_3 set (fillfactor = 70); refresh materialized view app.m_3"
    )


@pytest.mark.parametrize(
    ("statement", "noted"),
    [
        ("drop function app.fn(int)", True),
        ("drop function if exists app.unknown(int), g", True),
        ("drop view if exists z, v cascade", True),
        ("drop trigger v on app.w", True),
        ("create table v (a int)", True),
        ("create or replace function fn() returns int language sql as 'select 1'", True),
        ("create materialized view if not exists mv as select 1 a", True),
        ("alter view app.v rename to z", True),
        ("alter function fn(int) owner to a", True),
        ("alter policy p on v using (true)", True),
        ("drop function app.unknown(int)", False),
        ("drop table fn", False),
        ("drop function v()", False),
        ("drop schema v", False),
        ("drop trigger v on t", False),
        ("create index v on t (a)", False),
        ("create role v", False),
        ("alter table t add column v int default app.fn(1)", False),
        ("alter table t rename column a to v", False),
        ("listen v", False),
        ("deallocate v", False),
    ],
)
def test_39_definitions_in_a_body(statement: str, noted: bool) -> None:
    text = f"create function app.x() returns void language plpgsql as $$begin {statement}; end$$"
    assert rules(text) == ["definition-in-body"] * noted
    if noted:
        assert in_body(f"begin {statement}; end") == f"begin {statement}; end"


def test_calls_in_the_definition_of_a_temporary_table() -> None:
    body = (
        "begin create temp table y (a int default fn(1), b int check (fn(b) > 0),"
        " c int generated always as (fn(a)) stored) on commit drop;"
        " alter table y add column d int default fn(2); end"
    )
    assert in_body(body) == body.replace("fn(", "fn_2(")
    assert rules(f"create function app.x() returns void language plpgsql as $${body}$$") == []


def test_43_placeholders_are_refused() -> None:
    for text in (
        "create view app.x as select @extschema@.fn(1)",
        "create view app.x as select $(y)",
        "create view app.x as select :y",
        "create view app.x as select :'y'",
    ):
        with pytest.raises(Exception, match=r"placeholder|lone|psql"):
            analyse(text)
    assert in_view("select a[1:2], a[b:c], b::int from t") == "select a[1:2], a[b:c], b::int from t"


def test_44_mentions_of_versions() -> None:
    analysis = analyse("create view app.x as select fn_12(1), * from app.v_1, v_01, nov_1, w_1.y")
    assert analysis.fixed == ((Name("app", "fn"), 12), (Name("app", "v"), 1))
    assert analysis.references == ()
    scanner = PostgresqlScanner()
    text = "create view app.x as select * from app.v__v7"
    found = scanner.analyse(text, "app", managed(suffix="__v{version}"))
    assert found.fixed == ((Name("app", "v"), 7),)


def test_a_managed_name_that_looks_like_a_version_is_a_name() -> None:
    kinds = {**KINDS, Name("app", "v_1"): Kind.VIEW}
    found = PostgresqlScanner().analyse(
        "create view app.x as select * from app.v_1", "app", type(managed())(kinds, ("app",))
    )
    assert found.references == (Name("app", "v_1"),)
    assert found.fixed == ()


def test_calls_that_the_server_answers_itself() -> None:
    kinds = {Name("app", leaf): Kind.FUNCTION for leaf in ("lower", "substring", "left")}
    text = "create view app.x as select lower(a) a, substring(b from 2) b, app.left(c, 1) from t"
    scanner, known = PostgresqlScanner(), type(managed())(kinds, ("app",))
    physical = {name: f"{name.leaf}_2" for name in kinds} | {Name("app", "x"): "x_1"}
    (statement,) = scanner.rewrite(text, "app", known, physical)
    assert statement.text == (
        "create view app.x_1 as select lower(a) a, substring(b from 2) b,"
        " app.left_2(c, 1) AS left from t"
    )
    assert parse_sql(statement.text)
    (note,) = scanner.analyse(text, "app", known).notes
    assert note.rule == "built-in-name"
    assert "app.lower" in note.hint
