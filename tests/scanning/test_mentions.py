"""Managed names in strings and in optimizer hints: which are reported, and which are data."""

from __future__ import annotations

import pytest

from procver.objects import Name
from tests.scanning.shop import analyse, rewritten, rules

FUNCTION = "create function app.x({}) returns int language plpgsql as $b$ {} $b$"

EXECUTED = [
    "declare q text := 'SELECT count(*) FROM thing'; r int; begin q := q || ' WHERE a'; execute q into r; end",
    "begin do $x$ begin perform count(*) from thing; end $x$; end",
    "begin do language plpgsql 'begin perform fn(1); end'; end",
    "begin for q in select 'refresh materialized view thing' loop execute q; end loop; end",
    "begin foreach q in array array['truncate thing'] loop execute q; end loop; end",
    "begin a := 'thing'; q := a; execute 'select * from ' || quote_ident(q); end",
    "begin select 'thing' into q; execute format('select * from %I', q); end",
    "begin return query execute 'select * from thing' using 1; end",
    "begin open c for execute 'select * from thing'; end",
    "begin execute e'select *\\nfrom\\nthing'; end",
    "begin create function pg_temp.z() returns int language sql as 'select 1 from thing'; end",
    "begin return query_to_xml('select * from thing', true, false, ''); end",
    "begin return query_to_xmlschema('select fn(1)', true, false, ''); end",
    "begin return query_to_xml_and_xmlschema($$select a from t, thing$$, true, false, ''); end",
    "begin return table_to_xml('thing', true, false, ''); end",
    "begin perform dblink('conn', 'select * from thing'); end",
    "begin perform dblink_exec('insert into thing values (1)'); end",
    "begin perform cron.schedule('job', '0 0 * * *', 'call proc()'); end",
    "begin perform ts_stat('select a from thing'); end",
]  # fmt: skip
NAMES = [
    "begin return cast('thing' as regclass); end",
    "begin return cast('thing' as pg_catalog.regclass); end",
    "begin return 'thing'::regclass; end",
    "begin return 'thing'::pg_catalog.regclass; end",
    "begin return 'thing'::text::regclass; end",
    "begin return regclass 'thing'; end",
    "begin return 'fn(int)'::regprocedure; end",
    "begin return 'fn'::regproc; end",
    "begin return 'thing'::regtype; end",
    "begin return to_regclass('thing'); end",
    "begin return has_table_privilege('a', 'thing', 'select'); end",
    "begin return pg_get_viewdef('thing', true); end",
    "declare t regclass := 'thing'; begin end",
    "declare t regclass default 'thing'; begin end",
]
STORED = [
    "begin insert into jobs (command) values ('update thing set a = 1'); end",
    "begin insert into jobs (command) values ('select a from t, thing where b'); end",
    "begin insert into jobs (command) values ('select fn(1)'); end",
    "begin insert into jobs (command) values ('call proc (1)'); end",
    "begin insert into jobs (command) values (' left join thing on true'); end",
    "begin insert into jobs (command) values ('create index on thing (a)'); end",
    "begin insert into jobs (command) values ('select null::thing'); end",
    "begin insert into jobs (command) values ('delete from thing'); end",
    "begin insert into jobs (command) values ($q$ with a as (select 1) select * from (thing) $q$); end",
]  # fmt: skip


@pytest.mark.parametrize("body", [*EXECUTED, *NAMES, *STORED])
def test_a_name_without_schema_counts_where_its_string_is_read_as_sql(body: str) -> None:
    text = FUNCTION.format("", body)
    assert rules(text) == ["string-mention"]
    assert rewritten(text).endswith(f"{body} $b$")


DATA = [
    "begin raise notice 'select from thing'; end",
    "begin raise exception using message = 'select 1 from thing'; end",
    "begin a := 'thing'; end",
    "begin return 'fn'; end",
    "begin insert into log values ('removed from thing'); end",
    "begin insert into log values ('update thing'); end",
    "begin insert into log values ('the names from thing'); end",
    "begin if status = 'thing' then execute 'select 1'; end if; end",
    "begin execute 'select $1' using 'thing'; end",
    "begin execute 'select 1' into q; a := 'thing'; end",
    "begin comment on table t is 'select from thing'; end",
    "begin case status when 'thing' then null; end case; end",
    "begin return jsonb_build_object('thing', 1, 'status', 2, 'names', 'fn'); end",
    "begin return query select 'v', 'w' from t where kind = 'thing'; end",
]


@pytest.mark.parametrize("body", DATA)
def test_a_name_without_schema_in_data_does_not_count(body: str) -> None:
    assert rules(FUNCTION.format("", body)) == []


def test_strings_outside_of_bodies() -> None:
    view = (
        "create view app.x as select query_to_xml('SELECT * FROM thing', true, false, '') as q,"
        " cast('app.v' as regclass) as r"
    )
    assert rules(view) == ["string-mention", "string-mention"]
    assert rules(FUNCTION.format("a regclass default 'thing'", "begin end")) == ["string-mention"]
    assert rules(FUNCTION.format("a text default 'thing'", "begin end")) == []


def test_what_is_required_is_not_reported() -> None:
    text = FUNCTION.format("", EXECUTED[0])
    required = analyse(f"-- procver: requires app.thing\n{text}")
    assert required.notes == ()
    assert required.references == (Name("app", "thing"),)


# ---- optimizer hints -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("create view app.x as select /*+ SeqScan(v) IndexScan(t i) */ 1 from v, t", ["hint-name"]),
        ("create view app.x as select /*+ Leading((v w)) */ 1 from v, w", ["hint-name"] * 2),
        ("create view app.x as select /*+ SeqScan(v) */ 1 from t v", []),
        ("create view app.x as select /*+ SeqScan(a) */ 1 from v a", []),
        ("create view app.x as select /* SeqScan(v) */ 1 from v", []),
        (FUNCTION.format("", "begin /*+ SeqScan(v) */ return (select a from v); end"), ["hint-name"]),
    ],
)  # fmt: skip
def test_hints_that_name_what_is_read(text: str, expected: list[str]) -> None:
    assert rules(text) == expected
    assert text[text.index("/*") : text.index("*/")] in rewritten(text)


# ---- Unicode escapes -------------------------------------------------------------------------


def test_names_with_unicode_escapes() -> None:
    text = (
        'create view app.x as select U&"\\0076".a, u&"\\0066n"(1) b from app.U&"v", U&"\\+000077" y'
    )
    assert rewritten(text) == ("create view app.x_3 as select v_2.a, fn_2(1) b from app.v_2, w_2 y")
    assert analyse(text).references == (Name("app", "v"), Name("app", "fn"), Name("app", "w"))
    assert "thing" in analyse(text.replace('U&"v"', 'U&"\\0074hing"')).words.split("\n")
    other = 'create view app.x as select 1 as U&"\\00fc", U&"d\\\\e" from t U&"\\00zz"'
    assert rewritten(other) == other.replace("app.x", "app.x_3")


def test_a_name_with_an_escape_character_of_its_own_is_reported() -> None:
    text = "create view app.x as select 1 from app.U&\"!0076\" UESCAPE '!', U&\"!00fc\" UESCAPE '!'"
    (note,) = analyse(text).notes
    assert note.rule == "unicode-name"
    assert rewritten(text) == text.replace("app.x", "app.x_3")


def test_the_own_name_with_unicode_escapes_after_the_definition() -> None:
    text = 'create view app.x as select 1; grant select on app.U&"\\0078" to a'
    assert rewritten(text) == "create view app.x_3 as select 1; grant select on app.x_3 to a"
