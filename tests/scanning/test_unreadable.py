"""Placeholders of other tools and characters that nobody sees: named where they stand, never passed on."""

from __future__ import annotations

import pytest

from procver.errors import SourceError
from tests.scanning.shop import analyse, rewritten

AROUND = {
    "view": "CREATE VIEW app.x AS\n{}",
    "sql": "CREATE FUNCTION app.x() RETURNS int LANGUAGE sql AS $$\n{} $$",
    "plpgsql": "CREATE FUNCTION app.x() RETURNS int LANGUAGE plpgsql AS $$ BEGIN\n{}; END $$",
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize(
    "written",
    [
        "SELECT 1 AS a FROM ${schema}.t",
        "SELECT 1 AS a FROM {{schema}}.t",
        "SELECT 1 AS a FROM {schema}.t",
        "SELECT 1 AS a FROM app.{name}",
        "SELECT 1 AS a FROM %schema%.t",
        "SELECT 1 AS a FROM @schema@.t",
        "SELECT 1 AS a FROM <schema>.t",
        "SELECT 1 AS a FROM app.{{ name }}",
    ],
)
def test_a_placeholder_is_refused_with_its_line(around: str, written: str) -> None:
    with pytest.raises(SourceError) as caught:
        analyse(around.format(written))
    assert caught.value.line == 2
    assert "[placeholders]" in (caught.value.hint or "")


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("written", ["FROM :schema.t", 'FROM :"schema".t', "FROM :'schema'"])
def test_a_variable_of_psql_is_refused_in_bodies_too(around: str, written: str) -> None:
    with pytest.raises(SourceError) as caught:
        analyse(around.format(f"SELECT 1 AS a {written}"))
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 10 % 3 AS a, b %c% d AS e, @ -1 AS f, ~1 AS g, |/ 4.0 AS h, a <b AS i FROM t",
        "SELECT '{1,2}'::int[] AS a, ARRAY[1,2][1:2] AS b, j -> 'a' AS c, j #>> '{a}' AS d FROM t",
        "SELECT a[1:b] AS c, '${x}' AS d, '{{x}}' AS e, $q${x} ${y}$q$ AS f FROM t",
        "SELECT 1 AS a -- ${x} {{x}}\n/* {x} */",
        "SELECT 2 OPERATOR(pg_catalog.%) 3 AS a",
        "SELECT extract(epoch FROM @x) AS a, b IS DISTINCT FROM ~c AS d FROM t",
        'SELECT "a{b}" AS a FROM "%x%".t',
    ],
)
def test_what_is_sql_is_no_placeholder(query: str) -> None:
    assert rewritten(f"CREATE VIEW app.x AS {query}").endswith(query)


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize(
    ("character", "named"),
    [
        ("\ufeff", "U+FEFF (byte order mark)"),
        ("\u200b", "U+200B (zero width space)"),
        ("\u00ad", "U+00AD (soft hyphen)"),
        ("\u2060", "U+2060 (word joiner)"),
        ("\u202e", "U+202E (right-to-left override)"),
    ],
)
def test_an_invisible_character_is_named(around: str, character: str, named: str) -> None:
    with pytest.raises(SourceError) as caught:
        analyse(around.format(f"SELECT 1 AS a FROM{character} app.t"))
    assert caught.value.message == f"an invisible character, {named}, stands after FROM"
    assert caught.value.line == 2


def test_in_strings_comments_and_quoted_names_it_is_text() -> None:
    text = (
        "CREATE VIEW app.x AS /* \u200b */ SELECT '\ufeff' AS \"\u200b\", $$\u00a0$$ AS a -- \u00ad"
    )
    assert "$$\u00a0$$" in rewritten(text)


def test_the_joiners_of_scripts_that_spell_with_them_are_letters() -> None:
    text = "CREATE VIEW app.x AS SELECT 1 AS \u0645\u06cc\u200c\u0634\u0648\u062f"
    assert analyse(text).references == ()
