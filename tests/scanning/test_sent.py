"""One fingerprint means one sequence of significant tokens as sent, in PostgreSQL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procver.objects import Span
from procver.scanning.postgresql.lexer import fold, lex, special_comments
from procver.scanning.recipes import fill
from tests.scanning.shop import SCANNER, SHOP, managed, statements

PLACES = [
    "perform {};", "execute 'select * from {}';", "execute $q$ {} x {} $q$;", "-- {}\n", "/* {} */", "/*+ Seq({}) */",
    "select * from {};", "a := '{}' || '{}';", 'a := "{}".b;', "a := x{};", "a := 'x\n{}';", "a := 'x\r{}';", "a := 'it''s';",
]  # fmt: skip
HEADS = [
    "create function app.x() returns void language plpgsql as $$ begin {} end $$",
    "create function app.x() returns void language plpgsql as $b$ begin\r\n {} end $b$",
    "create function app.x() returns void language plpython3u as $$ {} $$",
]


@st.composite
def sources(draw: st.DrawFn) -> tuple[str, tuple[Span, ...]]:
    """Draw a text, with references and plain names at random."""
    places = draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3))
    pieces = draw(st.sampled_from(HEADS)).format(" ".join(places)).split("{}")
    text, spans = pieces[0], []
    for piece in pieces[1:]:
        label = draw(st.sampled_from(["app.v", "app.w", "app.x"]))
        if draw(st.booleans()):
            name = SCANNER.parse(label, "app")
            spans.append(Span(len(text), len(text) + len(label), name))
        text += label + piece
    return text, tuple(spans)


def significant(text: str) -> list[str]:
    """Return the tokens, hints among them and bodies that are read token by token."""
    hints = {c.token: c.text for c in special_comments(text) if c.text.startswith("/*")}
    raw = "plpython3u" in text
    found: list[str] = []
    for i, token in enumerate([*lex(text), ""]):
        found += [hints[i]] if i in hints else []
        body = re.fullmatch(r"(\$b?\$)(.*)\1", token, re.DOTALL)
        if body is None:
            found += [fold(token)] if token else []
        else:
            found += ["("] + ([body[2]] if raw else significant(body[2])) + [")"]
    return found


def sent(text: str, spans: tuple[Span, ...] = ()) -> str:
    return "\n;\n".join(statement.text for statement in statements(text, spans))


def content(text: str, spans: tuple[Span, ...]) -> tuple[object, ...]:
    analysis = SHOP.analyse(text, spans)
    return analysis.shape, analysis.references


@given(st.lists(sources(), min_size=2, max_size=12))
@settings(max_examples=300, deadline=None)
def test_one_fingerprint_is_one_text(drawn: list[tuple[str, tuple[Span, ...]]]) -> None:
    seen: dict[tuple[object, ...], list[str]] = {}
    for text, spans in drawn:
        tokens = significant(sent(text, spans))
        assert seen.setdefault(content(text, spans), tokens) == tokens


@pytest.mark.parametrize(
    "place", [p for p in PLACES if "{}" in p and not p.startswith(("perf", "sel", "--", "/* "))]
)
@pytest.mark.parametrize("head", HEADS)
def test_a_reference_in_place_of_a_name(head: str, place: str) -> None:
    text = head.format(place.replace("{}", "app.v"))
    spans = SHOP.spans(text, *["app.v"] * place.count("{}"))
    assert sent(text) != sent(text, spans)
    plain = "-- procver: requires app.v\n" + text
    assert content(plain, ()) != content(text, spans)


def test_a_reference_in_code_is_a_plain_name() -> None:
    text = HEADS[0].format("perform 1 from app.v;")
    assert content(text, SHOP.spans(text, "app.v")) == content(text, ())


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@pytest.mark.parametrize(
    "text",
    [
        "create view app.x as select 'a\nb' as \"c\nd\" from app.v",
        HEADS[0].format("a := 'it''s\nb' || $q$ c\nd $q$; perform app.fn(1);"),
        HEADS[2].format("a = 1\nb = 2"),
        "create function app.x() returns text language sql as 'select ''a\nb'''",
    ],
)
def test_line_ends_in_literals(text: str, end: str) -> None:
    other = text.replace("\n", end)
    assert content(other, ()) == content(text, ())
    assert sent(other) == sent(text)
    analysis = SHOP.recipe_is_the_rewriting(other, 7, managed())
    assert analysis.recipe
    numbers = range(7, 8 + len(analysis.references))
    assert "\r" not in "".join(s.text for s in fill(analysis.recipe, other, numbers))


def test_a_hint_at_the_end_counts() -> None:
    text = HEADS[0].format("perform 1")
    hinted = text.replace(" end $$", " end /*+ a */ $$")
    assert content(hinted, ()) != content(text, ())
    view = "create view app.x as select 1"
    assert content(view + " /*+ a */", ()) != content(view, ())
