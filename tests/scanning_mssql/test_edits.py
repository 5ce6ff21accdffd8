"""Rewriting changes what it says it changes, and nothing else; positions lead back."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from procver.errors import SourceError
from procver.objects import Managed, Name, Span
from procver.scanning.mssql import reading
from tests.scanning_mssql.shop import KINDS, SCANNER, SHOP, analyse, sent, statements
from tests.scans import can_be_undone

WORDS = [
    "select", "from", "where", "join", "on", "dbo.v", "v", "v.a", "[v]", '"v"', "dbo . /* x */ fn(1)", "fn(", "(", ")",
    ",", "with", "as", "x", "'dbo.v'", "N'it''s'", "case", "when", "then", "else", "end", ";", "\n", "-- note\n", "\r\n",
    "::", "dbo.w", "insert", "update", "set", "delete", "using", "output", "into", "merge", "union all", "values", "cross apply",
    "[a]]b]", "@t", "@t dbo.Things", "declare", "if", "begin", "exec", "exec @r =", "dbo.sp", ";2", "return", "=", ".", "*",
    "dbo.v_1", "db..sp", "db.dbo.v", "drop view", "grant select on", "to", "create index i on", "fetch next from", "cursor for",
    "top", "pivot", "for", "system_time", "xmlnamespaces", "\xa0", "$action", "#t", "\ngo\n", "GO", "\n go -- x\n", "o'", "[",
    "/*", "*/", '"', "dbo", "trim(", "not", "distinct", "all", "openjson(", "dbo.tvf(", "@x.nodes(", "Größe", "0x1F", "1.5e3",
]  # fmt: skip

soup = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)


@given(soup, st.sampled_from(["procedure", "view", "function", "after", "before", "type"]))
@example("select 1 \n go -- x\n grant select on dbo.x to y", "procedure")
@settings(max_examples=600, deadline=None)
def test_any_text_comes_back_whole_or_is_refused(body: str, place: str) -> None:
    text = {
        "procedure": f"create or alter proc dbo.x @v int, @t dbo.Things readonly as {body}",
        "view": f"create view dbo.x as {body}",
        "function": f"alter function dbo.x () returns int as begin {body} end",
        "after": f"create view dbo.x as select 1 a\ngo\n{body}",
        "before": f"{body}\ngo\ncreate view dbo.x as select 1 a",
        "type": f"create type dbo.x as table (a int) {body}",
    }[place]
    SHOP.whole_or_refused(text)


TEMPLATES = [
    "SELECT {c}, {f} AS a FROM {r} x JOIN {r} ON {c} = {c} WHERE {f} = 1 AND {c} LIKE 'dbo.v'",
    "SELECT {c} FROM {r}, {r} y CROSS APPLY dbo.tvf({c}) z WHERE EXISTS (SELECT {c} FROM {r})",
    "WITH v AS (SELECT {c} FROM {r}) SELECT * FROM v JOIN {r} q ON {c} = {f}",
    "EXEC {p} {c}", "EXEC @r = {p} @a = 1, @b = {c}", "INSERT {r} (v, fn) EXEC {p}", "DECLARE @t {t}, @u AS {t}",
    "UPDATE {r} SET v = {f}, status = {c}", "UPDATE x SET v = {f} FROM {r} x JOIN {r} ON {c} = 1",
    "DELETE FROM {r} WHERE {c} = 1", "DELETE x FROM {r} AS x", "INSERT INTO {r} (a) SELECT {c} FROM {r}",
    "MERGE {r} AS x USING {r} AS y ON {c} = {c} WHEN MATCHED THEN UPDATE SET v = {f};",
    "IF {f} = 1 SELECT CASE WHEN {c} = 1 THEN {f} ELSE {c} END", "SET @x = {f} + (SELECT MAX({c}) FROM {r})",
    "RETURN {f}", "BEGIN TRAN v", "FETCH NEXT FROM v INTO @x", "PRINT {f}", "DROP VIEW dbo.w", "EXEC {p}; SELECT @x AS {c}",
]  # fmt: skip
PLACES = {
    "c": ["a", "v.a", "dbo.v.a", "x.v", "fn", "status", "t.fn", "dbo.v", "w.b", "1", "x.status", "[v].[w]"],
    "f": ["dbo.fn(1)", "fn(1)", "dbo.Metaphone(v.a)", "t.fn(1)", "other.fn(2)", "COUNT(v)", "dbo.other(w.a)"],
    "r": ["dbo.v", "v", "[dbo].[w]", "t", "other.v", "dbo.t", "WebApi.Suppliers", "db.dbo.v", "dbo.v_1", "#t", "status"],
    "p": ["dbo.sp", "sp", "other.sp", "dbo.spLog", "db.dbo.sp", "dbo.x", "#p", "dbo.fn"],
    "t": ["dbo.Things", "Things", "int", "other.Things", "dbo.v"],
}  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> str:
    found = []
    for template in draw(st.lists(st.sampled_from(TEMPLATES), min_size=1, max_size=5)):
        pieces = re.split(r"\{(.)\}", template)
        for i in range(1, len(pieces), 2):
            pieces[i] = draw(st.sampled_from(PLACES[pieces[i]]))
        found.append("".join(pieces))
    return draw(st.sampled_from([" ", "\n", ";\n"])).join(found)


@given(bodies())
@settings(max_examples=400, deadline=None)
def test_both_ways_of_reading_agree(body: str) -> None:
    text = f"create procedure dbo.x as {body}"
    quick = sent(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "decide_locally", lambda unit, names, at: None)
        assert sent(text) == quick


SOURCE = """
/* what it is: dbo.x reads dbo.v */
SET QUOTED_IDENTIFIER OFF
GO
IF OBJECT_ID('dbo.x') IS NULL EXEC('CREATE PROC dbo.x AS RETURN 0')
go
-- dbo.v, dbo.sp: a comment
CREATE OR ALTER   PROCEDURE [dbo].[x] @t dbo.Things READONLY
AS BEGIN
  -- dbo.v
  SELECT v.a, dbo.fn(v.b), "dbo.v" FROM dbo . /* here */ [v] WHERE b = N'x''s'
  EXEC @r = dbo.sp; EXEC dbo.x
END
GO
GRANT EXECUTE ON OBJECT::dbo.x TO app
"""
SENT = [
    "SET QUOTED_IDENTIFIER OFF",
    """-- dbo.v, dbo.sp: a comment
CREATE PROCEDURE [dbo].[x_3] @t dbo.Things_2 READONLY
AS BEGIN
  -- dbo.v
  SELECT v_2.a, dbo.fn_2(v_2.b), "dbo.v" FROM dbo . /* here */ [v_2] WHERE b = N'x''s'
  EXEC @r = dbo.sp_2; EXEC dbo.x_3
END""",
    "GRANT EXECUTE ON OBJECT::dbo.x_3 TO app",
]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r\n mixed"])
def test_every_byte_outside_a_reference_stays(ends: str) -> None:
    text, expected = SOURCE, SENT
    if ends != "\n":
        text = text.replace("\n", "\r\n", -1 if ends == "\r\n" else 9)
        expected = [part.replace("\n", "\r\n") for part in expected]
    found = statements(text)
    if ends != "\r\n mixed":
        assert [statement.text for statement in found] == expected
    for statement in found:
        can_be_undone(text, statement)
        where = statement.text.find("dbo.fn_2")
        if where >= 0:
            assert text[statement.locate(where) :].startswith("dbo.fn(")


@given(soup, st.integers(1, 99_999))
@settings(max_examples=150, deadline=None)
def test_a_recipe_filled_in_is_the_rewriting(body: str, first: int) -> None:
    text = f"alter procedure dbo.x as {body}"
    try:
        analyse(text)
    except SourceError:
        return
    SHOP.recipe_is_the_rewriting(text, first)


def test_explicit_references_are_replaced_wherever_they_stand() -> None:
    text = "CREATE PROC dbo.x AS EXEC(N'SELECT * FROM dbo.[odd ]]name]') SELECT * FROM dbo.w, dbo.v"
    given = SHOP.spans(text, "dbo.[odd ]]name]", "dbo.w")
    (found,) = statements(text, given)
    assert found.text == (
        "CREATE PROC dbo.x_3 AS EXEC(N'SELECT * FROM dbo.[odd ]]name_2]')"
        " SELECT * FROM dbo.w_2, dbo.v_2"
    )
    can_be_undone(text, found)
    analysis = analyse(text, given)
    assert set(analysis.references) == {Name("dbo", leaf) for leaf in ("odd ]name", "w", "v")}
    assert analysis.notes == ()


def test_explicit_references_are_escaped_as_their_string_asks() -> None:
    kinds = {**KINDS, Name("dbo", "it's"): KINDS[Name("dbo", "v")]}
    text = "CREATE PROC dbo.x AS EXEC('SELECT * FROM dbo.[it''s]')"
    start = text.index("dbo.[it")
    span = Span(start, start + len("dbo.[it''s]"), Name("dbo", "it's"))
    physical = {Name("dbo", "x"): "x_3", Name("dbo", "it's"): "it's_2"}
    (found,) = SCANNER.rewrite(text, "dbo", Managed(kinds, ("dbo",)), physical, (span,))
    assert found.text == "CREATE PROC dbo.x_3 AS EXEC('SELECT * FROM dbo.[it''s_2]')"


def test_an_explicit_reference_to_itself_is_recursive() -> None:
    text = "CREATE PROC dbo.x AS EXEC('EXEC dbo.x')"
    start = text.rindex("dbo.x")
    span = Span(start, start + 5, Name("dbo", "x"))
    analysis = analyse(text, (span,))
    assert analysis.recursive
    assert analysis.references == ()
    assert sent(text, (span,)) == ["CREATE PROC dbo.x_3 AS EXEC('EXEC dbo.x_3')"]


def test_an_explicit_reference_must_be_managed() -> None:
    text = "CREATE PROC dbo.x AS\nEXEC('EXEC dbo.vv')"
    with pytest.raises(SourceError, match=r"dbo\.vv is not managed") as caught:
        analyse(text, SHOP.spans(text, "dbo.vv"))
    assert caught.value.line == 2
    assert "dbo.v" in (caught.value.hint or "")
