"""Temporary relations of a body hide managed names, as far as they do so on the server."""

from __future__ import annotations

import pytest

from procver.objects import Name
from tests.scanning.shop import analyse, in_body, rewritten, rules

CREATED = [
    "create temp table v (a int) on commit drop;",
    "create temporary table v (a int);",
    "create local temp table if not exists v as select 1 a;",
    "create global temporary table v (like t);",
    "create temp view v as select 1 a;",
    "create or replace temp view v as select 1 a;",
    "create temp recursive view v (a) as select 1;",
    'create temp table "v" (a int);',
    "create table pg_temp.v (a int);",
    "create table if not exists pg_temp.v as select 1;",
    "create view pg_temp.v as select 1 a;",
    "create temp table pg_temp.v (a int);",
    "execute 'create temp table v (a int) on commit drop';",
    "execute format('CREATE TEMPORARY TABLE IF NOT EXISTS v AS SELECT %s', 1);",
    "insert into pg_temp.v values (1);",
]
USES = [
    "insert into v values (1);",
    "select v.a into n from v where v.a = 1;",
    "update v set a = v.a + 1; delete from v using t where v.a = t.a;",
    "truncate v; analyze v; lock table v; copy v to '/x'; create index on v (a);",
    "alter table v add b int; drop table v; comment on table v is 'a';",
    "r := null::v; perform row_to_json(v) from v;",
    "for r in select * from v loop null; end loop;",
]


@pytest.mark.parametrize("created", CREATED)
def test_whatever_creates_it(created: str) -> None:
    body = f"begin {created} perform 1 from v, w; end"
    assert in_body(body) == body.replace("w; end", "w_2; end")
    text = f"create function app.x() returns int language plpgsql as $$ {body} $$"
    assert analyse(text).references == (Name("app", "w"),)
    assert rules(text) == []


@pytest.mark.parametrize("use", USES)
def test_however_it_is_used(use: str) -> None:
    body = f"begin create temp table v (a int); {use} end"
    assert in_body(body) == body
    assert rules(f"create function app.x() returns int language plpgsql as $${body}$$") == []


def test_with_its_schema_the_name_still_means_the_view() -> None:
    body = "begin create temp table v as select * from app.v; return (select v.a from app.v); end"
    assert in_body(body) == (
        "begin create temp table v as select * from app.v_2; return (select v_2.a from app.v_2); end"
    )


def test_while_it_is_created_the_name_still_means_the_view() -> None:
    body = "begin create temp table v as select v.a, fn(1) from v; insert into v select 1; end"
    assert in_body(body) == (
        "begin create temp table v as select v_2.a, fn_2(1) AS fn from v_2; insert into v select 1; end"
    )
    text = "create function app.x() returns int language sql as $${}$$"
    assert rewritten(text.format("select 1 into temp v from v; select a from v")).endswith(
        "$$select 1 into temp v from v_2; select a from v$$"
    )


def test_types_of_variables_are_looked_up_before_it_exists() -> None:
    body = (
        "declare r v%rowtype; s v.a%type; t v; begin create temp table v (a int); t := null::v; end"
    )
    assert in_body(body) == (
        "declare r v_2%rowtype; s v_2.a%type; t v_2; begin create temp table v (a int);"
        " t := null::v; end"
    )


def test_a_use_before_it_is_created_is_reported() -> None:
    text = "create function app.x() returns int language plpgsql as $$begin\n{}\nend$$"
    body = "delete from v;\ncreate temp table v (a int);\ninsert into v values (1);"
    (note,) = analyse(text.format(body)).notes
    assert (note.rule, note.line) == ("temporary-name", 2)
    assert "line 3" in note.message
    assert "app.v" in note.hint


@pytest.mark.parametrize(
    ("path", "expected"),
    [("app, pg_temp", "v_2"), ("public, app, pg_temp", "v_2"), ("pg_temp, app", "v"), ("app", "v")],
)
def test_a_path_may_put_what_is_temporary_last(path: str, expected: str) -> None:
    text = (
        f"create function app.x() returns int language plpgsql set search_path = {path} as"
        " $$begin create temp table v (a int); return (select a from {}); end$$"
    )
    assert rewritten(text.format("v")).endswith(f"(select a from {expected}); end$$")


def test_functions_are_never_looked_up_among_what_is_temporary() -> None:
    body = "begin create temp table fn (a int); perform fn(1), a from fn; end"
    assert in_body(body) == "begin create temp table fn (a int); perform fn_2(1), a from fn; end"


def test_what_is_temporary_elsewhere_or_not_at_all_hides_nothing() -> None:
    for body in (
        "begin create table v (a int); perform 1 from {}; end",
        "begin create temp table u (a int); perform 1 from {}, temp; end",
        "begin perform pg_temp.v(1), 'temp v' from {}; end",
    ):
        assert in_body(body.format("v")).endswith(body.format("v_2")[20:])
