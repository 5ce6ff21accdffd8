"""Rewriting changes what it says it changes, and nothing else; positions lead back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scanning.shop import SHOP, analyse, statements
from tests.scans import can_be_undone

WORDS = [
    "select", "from", "where", "join", "on", "app.v", "v", "v.a", '"V"', "app . /* x */ fn(1)", "fn(", "(", ")", ",", "with",
    "recursive", "as", "x", "'app.v'", "case", "when", "then", "else", "end", ";", "\n", "-- note\n", "\r\n", "::", "app.w",
    "insert into", "update", "set", "delete from", "using", "returning", "into", "merge into", "union", "values", "lateral",
    "rows from", "[", "]", "for", "loop", "begin", "declare", "if", "perform", "return", "query", "execute", ":=", "=", "..",
    "%rowtype", "%type", "over", "window", "order by", "create", "drop function", "grant", "open", "cursor", "cast(", "table",
    "$q$ app.v $q$", "only", "exists", ".", "*", "app", "row_to_json(v)", "not", "distinct", "in", "atomic", "raise", "call",
]  # fmt: skip

soup = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)


@given(soup, st.sampled_from(["plpgsql", "sql", "view", "atomic", "after"]))
@settings(max_examples=500, deadline=None)
def test_any_text_comes_back_whole_or_is_refused(body: str, place: str) -> None:
    text = {
        "view": f"create view app.x as {body}",
        "atomic": f"create function app.x() returns int begin atomic {body} end",
        "after": f"create view app.x as select 1; {body}",
    }.get(
        place,
        f"create function app.x(v int, a app.v) returns int language {place} as $b${body}$b$;",
    )
    SHOP.whole_or_refused(text)


SOURCE = """
-- what it is
SET search_path = app, public;
CREATE OR REPLACE FUNCTION app.x(payload app.v)
RETURNS SETOF app.w LANGUAGE plpgsql AS {q}
BEGIN
  -- app.v, app.fn: a comment
  FOR r IN SELECT app.fn(v.a), v.b FROM app . /* here */ "v" WHERE b = {s}x{s} LOOP
    PERFORM app.fn(x.payload), {s}it{s}{s}s{s};
  END LOOP;
END{q};
GRANT EXECUTE ON FUNCTION app.x(app.v) TO a;
"""


@pytest.mark.parametrize(("quote", "string"), [("$$", "'"), ("$body$", "'"), ("'", "''")])
def test_every_byte_outside_a_reference_stays(quote: str, string: str) -> None:
    text = SOURCE.format(q=quote, s=string)
    found = statements(text)
    assert len(found) == 3
    for statement in found:
        can_be_undone(text, statement)
    changed = [text[edit.start : edit.end] for edit in found[1].edits]
    assert changed == [
        "OR ", "REPLACE ", "x", "v", "w", "fn", "v", "", "v", '"v"', "fn", "x",
    ]  # fmt: skip
    assert statements(text.replace("\n", "\r\n"))[1].text == found[1].text.replace("\n", "\r\n")


def test_positions_in_escaped_bodies() -> None:
    text = r"create function app.x() returns int language sql as E'select\n \'é\x41\', app.fn(1) z'"
    (statement,) = statements(text)
    can_be_undone(text, statement)
    at = statement.text.index("fn_2")
    assert statement.locate(at) == text.index("fn(1)")


def test_analysis_does_not_depend_on_what_was_read_before() -> None:
    texts = [
        SOURCE.format(q="$$", s="'"),
        "create view app.x as select * from app.v",
        "create view app.y as table w",
    ]
    first = [analyse(text) for text in texts]
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    for i in order:
        assert analyse(texts[i]) == first[i]
