"""One fingerprint means one sequence of significant tokens as sent, in T-SQL."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procver.objects import Span
from procver.scanning.mssql.lexer import lex, shaped
from tests.scanning_mssql.shop import SCANNER, SHOP, managed, sent

PLACES = [
    "SELECT * FROM {};", "EXEC('SELECT * FROM {}');", "EXEC(N'{} x {}');", "-- {}\n", "/* {} */", "SET @a = '{}';",
    "SELECT 1 AS [{}];", "SELECT x{};", "SET @a = 'x\n{}';", "SET @a = 'x\r{}';", "SET @a = N'it''s';",
]  # fmt: skip
LABELS = ["dbo.v", "dbo.w", "dbo.x", "DBO.V"]
HEAD = "CREATE PROCEDURE dbo.x AS DECLARE @a nvarchar(9); "


@st.composite
def sources(draw: st.DrawFn) -> tuple[str, tuple[Span, ...]]:
    """Draw a text, with references and plain names at random."""
    places = draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3))
    pieces = (HEAD + " ".join(places)).split("{}")
    text, spans = pieces[0], []
    for piece in pieces[1:]:
        label = draw(st.sampled_from(LABELS))
        if draw(st.booleans()):
            name = SCANNER.parse(label, "dbo")
            spans.append(Span(len(text), len(text) + len(label), name))
        text += label + piece
    return text, tuple(spans)


def content(text: str, spans: tuple[Span, ...]) -> tuple[object, ...]:
    analysis = SHOP.analyse(text, spans)
    return analysis.shape, analysis.references


@given(st.lists(sources(), min_size=2, max_size=12))
@settings(max_examples=300, deadline=None)
def test_one_fingerprint_is_one_text(drawn: list[tuple[str, tuple[Span, ...]]]) -> None:
    seen: dict[tuple[object, ...], list[str]] = {}
    for text, spans in drawn:
        tokens = [shaped(token) for batch in sent(text, spans) for token in lex(batch)]
        assert seen.setdefault(content(text, spans), tokens) == tokens


@pytest.mark.parametrize(
    "place", [p for p in PLACES if "{}" in p and p[:2] not in ("--", "/*")][1:]
)
def test_a_reference_in_place_of_a_name(place: str) -> None:
    text = HEAD + place.replace("{}", "dbo.v")
    spans = SHOP.spans(text, *["dbo.v"] * place.count("{}"))
    assert sent(text) != sent(text, spans)
    plain = "-- procver: requires dbo.v\n" + text
    assert content(plain, ()) != content(text, spans)


def test_a_reference_in_code_is_a_plain_name() -> None:
    text = HEAD + "SELECT 1 FROM dbo.v"
    assert content(text, SHOP.spans(text, "dbo.v")) == content(text, ())


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_in_literals(end: str) -> None:
    text = HEAD + "SELECT 'a\nb', N'it''s\nc' AS [d\ne] FROM dbo.v"
    other = text.replace("\n", end)
    assert content(other, ()) == content(text, ())
    assert sent(other) == sent(text)
    SHOP.recipe_is_the_rewriting(other, 7, managed())
