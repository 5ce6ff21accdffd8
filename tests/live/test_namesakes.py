"""Aggregates and overloads of a managed name that no source defines: calls no longer reach them."""

from __future__ import annotations

import pytest

from tests.workshop import Workshop

MEDIAN = "CREATE FUNCTION app.median(xs int[], \"p 1\" numeric(5,2) DEFAULT 1.0, OUT r int) LANGUAGE sql AS 'SELECT 1';\n"
SETUP = """\
CREATE FUNCTION app.step(int[], int) RETURNS int[] LANGUAGE sql AS 'SELECT $1 || $2';
CREATE AGGREGATE app.median(int) (sfunc = app.step, stype = int[]);
"""


def remarks(shop: Workshop, *words: str) -> list[str]:
    return [r["message"] for r in shop.json(*words)["remarks"] if r["rule"] == "namesake"]


@pytest.mark.parametrize("words", [("plan",), ("publish", "-r", "1")])
def test_an_aggregate_of_a_managed_name(workshop: Workshop, words: tuple[str, ...]) -> None:
    workshop.sql(SETUP)
    workshop.write(median=MEDIAN)
    assert remarks(workshop, *words) == [
        "app.median(integer), an aggregate, is in the database and in no source;"
        " calls of app.median go to app.median_1"
    ]
    workshop.sql("DROP AGGREGATE app.median(int)")
    assert remarks(workshop, *words) == []


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        ("app.median(text)", ["app.median(text), a function,"]),
        ("app.median(int[], numeric)", []),
        ("app.median(int[])", ["app.median(integer[]), a function,"]),
    ],
)
def test_an_overload_of_a_managed_name(workshop: Workshop, made: str, shown: list[str]) -> None:
    workshop.write(median=MEDIAN)
    workshop.sql(f"CREATE FUNCTION {made} RETURNS int LANGUAGE sql AS 'SELECT 1'")
    for words in (("plan",), ("publish", "-r", "1"), ("plan",)):
        found = remarks(workshop, *words)
        assert len(found) == len(shown)
        assert all(one.startswith(start) for one, start in zip(found, shown, strict=True))


@pytest.mark.parametrize(
    "arguments",
    [
        "", "int", "a int", "a int4, b int8 = 3", "IN a double precision", "INOUT a timestamptz",
        "a varchar(10)", "a character varying", "timestamp with time zone", "a time", "a bool[]",
        "VARIADIC xs int[]", "a int array", "a app.thing", "app.thing", "a \"char\"", "b app.\"Odd\"[]",
        "a timestamp(3) without time zone", "a numeric(5,2) DEFAULT round(1.5, 1)", "OUT a int, b text",
        "a bit varying(5)", "a interval", "a pg_catalog.int4", "a char(3)", "a float", "a decimal",
    ],
)  # fmt: skip
def test_what_the_team_had_before_is_what_the_source_defines(
    workshop: Workshop, arguments: str
) -> None:
    workshop.sql('CREATE TYPE app."Odd" AS (i int)')
    rest = "" if "OUT" in arguments else " RETURNS int"
    text = (
        f"CREATE FUNCTION app.had({arguments}){rest} LANGUAGE plpgsql AS $$ BEGIN RETURN; END $$;\n"
    )
    text = text if "OUT" in arguments else text.replace("RETURN;", "RETURN 1;")
    workshop.sql(text)
    workshop.write(had=text)
    assert remarks(workshop, "plan") == []


def test_a_trigger_function_is_nobodys_overload(workshop: Workshop) -> None:
    """Nothing calls it by name, so that no call is redirected."""
    workshop.sql(
        "CREATE FUNCTION app.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'"
    )
    workshop.write(
        audit="CREATE FUNCTION app.audit(what text) RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
    )
    assert remarks(workshop, "plan") == []
