"""The scanner's references against those that PostgreSQL's own parser shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pglast import split
from pglast.parser import parse_plpgsql_json

from procver.objects import Kind, Managed, Name
from procver.scanning.postgresql import PostgresqlScanner, reading
from tests.scanning.oracle import Renamer, Scope, tree
from tests.scanning.shop import KINDS, PATH, SCANNER, in_view, managed, statements

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

SAMPLES = Path(__file__).parents[2] / "sql" / "postgresql"


def physical(name: Name) -> str:
    return f"{name.leaf}_2"


def expected(query: str) -> Any:
    return Renamer(KINDS, PATH, physical).rename(tree(query)[0])


# ---- queries ---------------------------------------------------------------------------------

QUERIES = [
    "select v.a, w.b from app.v join app.w on v.id = w.id and exists (select 1 from uv where uv.x = v.x)",
    "select * from v, lateral (select v.a, w.b from w where w.id = v.id limit 1) s",
    "select * from other as v, (select v.a from app.v) s where v.a = s.a",
    "select (select v.a), (select count(*) from app.w as v where v.a = 1) from app.v",
    "select extract(year from v.a), substring(v.b from 2 for 3), trim(both from v.c) from v",
    "select a is distinct from v.a, b is not distinct from app.v.b from app.v",
    "select sum(v.a) filter (where v.b) over (partition by v.c order by v.d) from v",
    "select a from v union all select fn(a) from w except select b from (select * from uv) x order by 1",
    "(select a from v) union ((select b from w)) limit 3",
    "table app.v",
    "select 1 union all table v",
    "values (fn(1), (select a from v))",
    "with w as (select * from v), v as (select * from w) select v.a, w.b from v, w",
    "with recursive v as (select 1 n union all select n + 1 from v where n < 5) select * from v, app.v x",
    "with recursive a as (select * from v), v as (select 1) select * from a",
    "with x as (insert into v select * from w returning fn(v.a)) select * from x",
    "with x as (select 1) delete from app.v using w where v.a = w.a and fn(w.a) returning v.*, fn(1)",
    "with v as materialized (select 1) select * from v where exists (with w as (table v) select * from w)",
    "with recursive t(n) as (select 1 from v) search depth first by n set o cycle n set c using p select o from t",
    "insert into app.v as x (a, fn) values (fn(1), default) on conflict (a) where x.b do update set a = x.a, (b, c) = (select 1, fn(2)) where x.d returning x.a, fn(x.a)",
    "insert into v select v.a from v on conflict do nothing returning v.a",
    "update only app.v set fn = fn(v.a), v = 1, (a, b) = (select w.a, 2 from w) from uv where uv.a = v.a returning *, fn(1)",
    "update v as w set a = w.a from app.w x where x.a = w.a",
    "delete from w using v join uv using (id) where v.a = w.a",
    "merge into app.v using (select * from w) s on s.id = v.id when matched and v.a then update set a = fn(s.a), v = v.b when not matched then insert (a, v) values (s.a, fn(2)) when matched then delete",
    "select * from v tablesample system (1) repeatable (2), only (w), uv * where uv.a",
    "select * from rows from (fn(1), g(2)) as x(a, b), rows from (unnest(a)) with ordinality",
    "select * from fn(1) with ordinality as f(a, o), g(2) as (a int, v app.v), fn(3) fn",
    "select * from (v join w on v.a = w.a) as j where j.a = 1",
    "select * from ((select 1) a cross join (values (1)) b) left join lateral g(a.x) on fn(a.x)",
    "select distinct on (fn(a), v.b) fn(a), v.b from v order by fn(a), v.b desc nulls last",
    "select all v.a from v group by grouping sets ((v.a), rollup (v.b, fn(v.c))) having fn(count(*)) > 1",
    "select a from v for update of v skip locked",
    "select x.a from v as x, app.w for no key update of x, w nowait",
    "select w.a, rank() over v from w window v as (partition by w.b), w2 as (v order by w.c)",
    "select array(select fn(a) from v), array[fn(1), v.a], row(v.a, fn(2)), (v.a, fn(1)) from v",
    "select case v.a when fn(1) then fn(2) else fn(3) end, case when a then fn(1) end from v",
    "select fn(a := 1, b => fn(2)), g(variadic array[fn(1)]), fn(distinct v.a order by v.b) from v",
    "select fn(1)::text collate \"C\", (fn(1))[1], (fn(1)).a, (fn(1)).*, fn(1)::numeric(3, 2)[] from t",
    "select x::app.v, cast(y as setof_v), z::v[], (null::app.w).a, app.v '(1)', interval '1' day from t",
    "select coalesce(fn(1), 2), greatest(fn(1)), nullif(fn(1), 2), exists (select fn(1)) from t",
    "select a in (select fn(a) from v), b = any (select w.a from w), c not in (fn(1), 2) from t",
    "select a between fn(1) and fn(2), a like fn(3) escape 'x', a at time zone fn(4), not fn(5) from t",
    "select fn(1) a, fn(2) as \"B\", fn(3) as over, fn(4) || fn(5), fn(6) is not null, fn(7) - 1 from t",
    "select row_to_json(v), json_agg(v), count(v), to_jsonb(w), array_agg(x) from v, w, uv x",
    "select row_to_json(v, true), row_to_json(v, v) from v",
    "select (v).a, (v).*, (app.v.b).c, app.v.*, v.* from app.v",
    "select * from json_table(x, '$' columns (a int path '$', b app.v path '$.b')) j, v where v.a = j.a",
    "select xmlelement(name v, xmlattributes(w.a as v), fn(1)), xmlforest(v.a as fn) from v, w",
    "select * from \"V\", app.\"odd \"\"name\" n where \"V\".a = n.a and \"v\".a = 1",
    "select fn(1) from v limit fn(2) offset (select a from w)",
    "select v.a from other.v, v.w",
    "select app.v from app",
    "select * from db.app.v, nowhere.fn(1), nowhere.v",
    "select a fn, b as v, c \"fn\" from t fn, u as v(w)",
    "select current_date, v.current_date from v where (a, b) overlaps (fn(1), fn(2))",
    "select fn(1) from (select fn(2) from v) as v where v.fn = 1 order by fn",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_queries(query: str) -> None:
    if tree(query)[0]["@"] == "SelectStmt":
        assert tree(in_view(query)) == [expected(query)]
    text = f"create procedure app.x() begin atomic {query}; end"
    (statement,) = statements(text)
    (body,) = tree(statement.text)[0]["sql_body"][0]
    assert body == expected(query)


# ---- generated queries -----------------------------------------------------------------------

identifiers = st.sampled_from(["v", "w", "fn", "uv", "app", "a", "b", '"V"', "status", "t"])
relations = st.sampled_from(
    ["v", "app.v", "w", "app.w", "t", 'app."V"', "other.o", "nowhere.v", "fn", "app.status"]
)
functions = st.sampled_from(
    ["fn", "app.fn", "g", "count", "public.color", "nowhere.fn", "row_to_json", "v", "lower"]
)
columns = st.one_of(
    identifiers,
    st.tuples(identifiers, identifiers).map(".".join),
    st.sampled_from(["app.v.a", "app.w.b", "v.*::text", "t.a"]).filter(
        lambda text: "*" not in text
    ),
)


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(functions, st.lists(inner, max_size=2)).map(
            lambda p: f"{p[0]}({', '.join(p[1])})"
        ),
        st.tuples(inner, st.sampled_from(["+", "=", "and", "is distinct from", "||"]), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        inner.map(lambda text: f"({text})::app.v"),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"cast({text} as int)"),
        st.tuples(inner, inner).map(lambda p: f"case when {p[0]} then 1 else {p[1]} end"),
        inner.map(lambda text: f"extract(year from {text})"),
    )


expressions = st.recursive(
    st.one_of(columns, st.sampled_from(["1", "'app.v'", "null"])), _expressions, max_leaves=5
)
aliases = st.one_of(
    st.just(""), identifiers.map(lambda n: f" as {n}"), identifiers.map(lambda n: f" {n}")
)


def _queries(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.one_of(
        st.tuples(relations, aliases).map("".join),
        st.tuples(functions, expressions, aliases).map(lambda p: f"{p[0]}({p[1]}){p[2]}"),
        st.tuples(st.sampled_from(["", "lateral "]), inner, identifiers).map(
            lambda p: f"{p[0]}({p[1]}) as {p[2]}"
        ),
    )
    froms = st.recursive(
        items,
        lambda f: st.one_of(
            st.tuples(f, f, expressions).map(lambda p: f"({p[0]} left join {p[1]} on {p[2]})"),
            st.tuples(f, f).map(", ".join),
        ),
        max_leaves=3,
    )  # fmt: skip
    values = st.one_of(
        expressions, inner.map(lambda q: f"({q})"), inner.map(lambda q: f"exists ({q})")
    )
    outputs = st.lists(st.tuples(values, aliases).map("".join), min_size=1, max_size=3).map(
        ", ".join
    )
    wheres = st.one_of(st.just(""), values.map(lambda e: f" where {e}"))
    plain = st.tuples(outputs, froms, wheres).map(lambda p: f"select {p[0]} from {p[1]}{p[2]}")
    return st.one_of(
        plain,
        st.tuples(plain, inner).map(" union all ".join),
        st.tuples(st.sampled_from(["", "recursive "]), identifiers, inner, plain).map(
            lambda p: f"with {p[0]}{p[1]} as ({p[2]}) {p[3]}"
        ),
    )


queries = st.recursive(st.just("select 1"), _queries, max_leaves=4)


def _parses(query: str) -> bool:
    try:
        tree(query)
    except Exception:
        return False
    return True


@given(queries.filter(_parses))
@settings(max_examples=300, deadline=None)
def test_generated_queries(query: str) -> None:
    assert tree(in_view(query)) == [expected(query)]


# ---- whole sources ---------------------------------------------------------------------------


def _samples() -> list[Any]:
    paths = sorted(SAMPLES.glob("release-*/**/*.sql"))
    return [pytest.param(path, id=path.relative_to(SAMPLES).as_posix()) for path in paths]


def _sample_kinds() -> dict[Name, Kind]:
    headers = (
        SCANNER.header(path.read_text(), "shop") for path in SAMPLES.glob("release-*/**/*.sql")
    )
    return {header.name: header.kind for header in headers}


@pytest.mark.parametrize("path", _samples())
def test_sample_sources(path: Path) -> None:
    text, kinds = path.read_text(), _sample_kinds()
    found = SCANNER.rewrite(
        text, "shop", Managed(kinds, ("shop", "public")), {name: physical(name) for name in kinds}
    )
    originals = [part for part in split(text) if not part.lower().startswith(("set ", "drop "))]
    sent = [statement.text for statement in found if statement.role != "setting"]
    assert len(originals) == len(sent)
    for original, text_sent in zip(originals, sent, strict=True):
        _compare(original, text_sent, kinds, ("shop", "public"))


def _compare(original: str, sent: str, kinds: dict[Name, Kind], path: tuple[str, ...]) -> None:
    before, after = tree(original)[0], tree(sent)[0]
    renamer = Renamer(kinds, path, physical)
    if before["@"] == "ViewStmt" or before["@"] == "CreateTableAsStmt":
        assert after["query"] == renamer.rename(before["query"])
    elif before["@"] == "CreateFunctionStmt":
        options = {option["defname"]: option.get("arg") for option in before.get("options", ())}
        schemas = options.get("set", {}).get("args")
        if schemas:
            renamer.path = tuple(part["val"]["sval"] for part in schemas)
        renamer.own = Name(before["funcname"][0]["sval"], before["funcname"][-1]["sval"])
        renamer.parameters = frozenset(p.get("name", "") for p in before.get("parameters", ()))
        if before.get("sql_body"):
            wanted = before["sql_body"]
            renamer.visit(wanted, Scope(None))
            assert after["sql_body"] == wanted
        elif options["language"]["sval"] == "sql":
            wanted = [renamer.rename(part) for part in tree(options["as"][0]["sval"])]
            sent_options = {o["defname"]: o.get("arg") for o in after["options"]}
            assert tree(sent_options["as"][0]["sval"]) == wanted
        else:
            _compare_plpgsql(original, sent, renamer)


def _expressions_of(node: Any, *, performs: bool = False) -> Iterator[tuple[str, int, bool]]:
    if isinstance(node, list):
        for item in node:
            yield from _expressions_of(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "PLpgSQL_expr":
                yield value["query"], value.get("parseMode", 0), performs
            else:
                is_perform = key == "PLpgSQL_stmt_perform" or (performs and key == "expr")
                yield from _expressions_of(value, performs=is_perform)


def _tree_of(expression: str, mode: int) -> Any:
    if mode >= 3:  # an assignment
        expression = re.split(r":=|(?<![<>!=:])=(?!>)", expression, maxsplit=1)[1]
    return tree(expression if mode == 0 else f"select {expression}")[0]


def _compare_plpgsql(original: str, sent: str, renamer: Renamer) -> None:
    before = list(_expressions_of(json.loads(parse_plpgsql_json(original))))
    after = list(_expressions_of(json.loads(parse_plpgsql_json(sent))))
    assert len(before) == len(after) > 0
    for (text, mode, performs), (text_sent, _, _) in zip(before, after, strict=True):
        named = mode == 0 and not performs
        assert _tree_of(text_sent, mode) == renamer.rename(_tree_of(text, mode), named=named)


BODIES = [
    "declare n int := fn(1); v2 v; r record; c cursor (k int) for select fn(a) from v where v.k = k;"
    " begin open c(fn(2)); for r in c(3) loop null; end loop; return; end",
    "begin for i in fn(1) .. fn(2) by fn(3) loop perform fn(i) from v where v.a = i; end loop; end",
    "begin for r in reverse fn(3)..1 loop null; end loop; foreach x in array fn(1) loop null; end loop; end",
    "begin for r in select v.a, fn(1) from v loop n := n + r.fn; end loop; end",
    "begin for r in execute fn(1) using fn(2), (select a from v) loop null; end loop; end",
    "begin if (case when fn(1) then true else fn(2) end) then n := fn(3); elsif exists (select 1 from v)"
    " then n := count(*) from v where v.a; else perform g(1); end if; end",
    "begin case fn(1) when fn(2), 3 then perform fn(3); else raise notice '%', fn(4) using hint = fn(5); end case; end",
    "begin while fn(1) > (select max(a) from v) loop exit when fn(2); continue when fn(3); end loop; end",
    "begin begin perform 1 from v; exception when no_data_found or sqlstate '22012' then n := fn(1); end; end",
    "begin n = fn(1); a[fn(2)] := fn(3); r.b := (select fn(1)); r.c = v.a from v; end",
    "begin execute fn(1) into n using fn(2); get diagnostics n = row_count; return; end",
    "begin return query select v.*, fn(1) from v; return query execute fn(2) using fn(3); return next fn(4); end",
    "begin select fn(1), v.a into strict n, i from v; select into n fn(2) from w; end",
    "begin insert into v (a) values (fn(1)) returning fn(a) into n; update v set a = v.b; delete from w; end",
    "begin assert fn(1), fn(2); call proc(fn(3)); null; end",
    "#variable_conflict use_column\n<<outer>> declare x int; begin <<inner>> loop exit outer when fn(x); end loop inner; end outer",
    "begin create temp table z as select v.a, fn(1) from v; lock table app.v; truncate app.w; end",
    "begin open c for select fn(1) from v; open d for execute fn(2) using fn(3); fetch c into n; close c; end",
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_plpgsql_bodies(body: str) -> None:
    variables = "declare n int; r record; a int[]; i int; x int; c refcursor; d refcursor; "
    block = body if body.startswith(("declare", "#")) else variables + body
    text = f"create function app.x() returns setof int language plpgsql as $b$ {block} $b$"
    (statement,) = statements(text)
    _compare_plpgsql(text, statement.text, Renamer(KINDS, PATH, physical))


# ---- the quick way -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*QUERIES, *BODIES])
def test_the_quick_way_leads_to_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    is_query = text in QUERIES
    source = f"create procedure app.x() language {'sql' if is_query else 'plpgsql'} as $b${text}$b$"
    source = re.sub(r"(?<![.\w])(v|w|uv|fn|g|proc)(?=[ (;)])", r"app.\1", source)
    _both_ways(source, monkeypatch)


@given(queries)
@settings(max_examples=150, deadline=None)
def test_the_quick_way_leads_to_the_same_for_any_text(query: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _both_ways(f"create view app.x as {query}", patch)


def _both_ways(source: str, patch: pytest.MonkeyPatch) -> None:
    scanner = PostgresqlScanner()
    quick = scanner.analyse(source, "app", managed())
    sent = statements(source)
    patch.setattr(reading, "decide_locally", lambda *_: None)
    assert scanner.analyse(source, "app", managed()) == quick
    assert statements(source) == sent
