"""The lexer against PostgreSQL's own, and against its promise to cover every character."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pglast.parser import ParseError, scan

from procver.scanning.postgresql.lexer import (
    UNTERMINATED,
    after_blanks,
    lex,
    special_comments,
    tokens,
)
from procver.scanning.postgresql.unit import Unit, read_literal

PIECES = [
    "select", "from", "app", ".", "v", '"V"', '"a""b"', "V_1", "é", "a$b", "a\u00a0b", "(", ")", ",", ";", "[", "]", ":",
    "::", ":=", "=>", "..", "'a'", "''", "'a''b'", "E'a\\'b'", "e''", "b'01'", "X'ff'", "n'a'", "U&'a'", 'u&"a"',
    "$$a'b$$", "$x$ $$ $x$", "$1", "1", "1.5", ".5", "1.", "1e5", "1.5e-3", "0x1F", "0b1", "0o7", "1_000", "1..3", "+", "-", "*", "/",
    "<", ">", "=", "<>", "!=", "@>", "->>", "||", "*-", "=-", "@-", "+-", "~~*", "?", "#>>", "--c\n", "-- it's\r\n",
    "/* a */", "/* /* b */ ' */", "/**/", " ", "\n", "\r\n", "\t", "\f", "'a'\n'b'", "'a' --c\n 'b'",
]  # fmt: skip

soup = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


def oracle(text: str) -> list[str] | None:
    data = text.encode()
    try:
        found = scan(text)
    except (ParseError, ValueError):
        return None
    comments = ("SQL_COMMENT", "C_COMMENT")
    if any(token.name not in comments and token.end + 1 > len(data) for token in found):
        return None
    return [text[t.start : t.end + 1] for t in found if t.name not in comments]


@given(soup)
@settings(max_examples=600, deadline=None)
def test_tokens_are_those_of_the_server(text: str) -> None:
    expected = oracle(text) if text.isascii() else None
    if expected is None or re.search(r"[0-9](?:[A-Za-z_$]|\.\.)|\$[0-9]+[A-Za-z_$]", text):
        return  # an error there; and what follows a number is a matter of the release
    assert lex(text) == expected


@given(st.one_of(soup, st.text(st.characters(codec="utf-8"), max_size=40)))
@settings(max_examples=600, deadline=None)
def test_every_character_is_token_blank_or_comment(text: str) -> None:
    found = list(tokens(text))
    assert [text[start:end] for start, end in found] == lex(text)
    at = after_blanks(text, 0)
    for start, end in found:
        assert start == at
        at = after_blanks(text, end)
    assert at == len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b\u00a0c", ["a", ".", "b\u00a0c"]),
        ("a /* 'x' */ -- \"y\"\n b", ["a", "b"]),
        ("/* /* */ */ a", ["a"]),
        ("a$b$c $$d$$ $e$ $$ $e$", ["a$b$c", "$$d$$", "$e$ $$ $e$"]),
        ("select'a'", ["select", "'a'"]),
        ("1..10", ["1", "..", "10"]),
        ("x=-1", ["x", "=", "-", "1"]),
        ("E'\\'' '\\'", ["E'\\''", "'\\'"]),
        ("<<lbl>>", ["<<", "lbl", ">>"]),
        ("v%rowtype", ["v", "%", "rowtype"]),
        (":a:b", [":", "a", ":", "b"]),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert lex(text) == expected


def test_unterminated_is_seen() -> None:
    for text in ("a 'b", 'a "b', "a $$b", "a $x$ b $$", "a /* b", "E'a\\'"):
        assert UNTERMINATED & set(lex(text)), text


def test_special_comments() -> None:
    text = "a -- procver: x\n b /*+ h */ /* n */ '-- procver: y' $$ /*+ i */ $$ --PROCVER: z"
    found = special_comments(text)
    assert [(comment.token, comment.text) for comment in found] == [
        (1, "-- procver: x"), (2, "/*+ h */"), (4, "--PROCVER: z"),
    ]  # fmt: skip
    assert all(text.startswith(comment.text, comment.start) for comment in found)


@given(soup)
@settings(max_examples=300, deadline=None)
def test_any_token_is_found_alone(text: str) -> None:
    """`Unit.span` takes a short cut where it can: it must lead to the same place."""
    if UNTERMINATED & set(lex(text)):
        return
    unit, expected = Unit(text), list(tokens(text))
    assert [unit.span(i) for i in range(len(expected))] == expected


@given(st.text(st.sampled_from("ab'\\\nü"), max_size=12), st.sampled_from(["'", "E", "$"]))
@settings(max_examples=300, deadline=None)
def test_literals_are_read_and_written(content: str, quoting: str) -> None:
    body = content.replace("'", "''")
    token = {
        "'": f"'{body}'",
        "E": "E'" + body.replace("\\", "\\\\") + "'",
        "$": f"$x${content}$x$",
    }[quoting]
    found = read_literal(token)
    assert found is not None
    assert found[0] == content
    for offset, character in enumerate(content):
        place = found[1].place(offset)
        assert token[place : place + 2].endswith(character) or token[place] == character
        assert found[1].escape(character) in token[place : place + 2]


@pytest.mark.parametrize(
    "text",
    ["+" * 20_000, "-+" * 10_000, "'" * 20_001, "/*" * 10_000, "$a$ " * 10_000, "E'" + "\\" * 20_000,
     "'a'\n" * 10_000, "(" * 20_000, "%" * 20_000 + "-"],
    ids=lambda text: text[:4],
)  # fmt: skip
def test_reading_takes_linear_time(text: str) -> None:
    start = time.process_time()
    lex(text)
    assert time.process_time() - start < 5  # measured: below 0.4; quadratic: minutes
