"""Tokens: exact, complete, and the same whichever way they are asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procver.errors import SourceError
from procver.scanning.mssql.lexer import directive_comments, fold, identifier, lex, shaped, tokens
from procver.scanning.mssql.unit import File, Unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT[a]]b].[c d]FROM[x]", ["SELECT", "[a]]b]", ".", "[c d]", "FROM", "[x]"]),
        ("N'it''s'n'x''C:\\'", ["N'it''s'", "n'x''C:\\'"]),
        ("'C:\\' 'a\nb'", ["'C:\\'", "'a\nb'"]),
        ('"q""r"x', ['"q""r"', "x"]),
        ("@v @@rowcount #t ##t $action $1.50 $(x)", ["@v", "@@rowcount", "#t", "##t", "$action", "$1.50", "$(", "x", ")"]),
        ("0xAF 0x 1.5e-3 .5 1. 1..2", ["0xAF", "0x", "1.5e-3", ".5", "1.", "1.", ".2"]),
        ("a.b..c a.5", ["a", ".", "b", ".", ".", "c", "a", ".5"]),
        ("<> != <= >= !< !> += -= *= /= %= &= |= ^= :: = ~", ["<>", "!=", "<=", ">=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "::", "=", "~"]),
        ("a/**/b--c\nd/*/* e */ */f/g-h", ["a", "b", "d", "f", "/", "g", "-", "h"]),
        ("a -- '\n' -- ' /* */", ["a", "' -- '"]),
        ("Größe\xa0ß\u3000名前\u2003é_1 éa", ["Größe", "ß", "名前", "é_1", "éa"]),
        ("né Né'x' aé'", ["né", "Né", "'x'", "aé", "'"]),
        ("name N [N] n.x N-'y'", ["name", "N", "[N]", "n", ".", "x", "N", "-", "'y'"]),
        ("a'", ["a", "'"]),
        ("N'", ["N'"]),
        ("[a b", ["[a b"]),
        ("/* a /* b */", ["/* a /* b */"]),
        ("", []),
        (" -- only\n/* comments */ ", []),
    ],
)  # fmt: skip
def test_tokens(text: str, expected: list[str]) -> None:
    assert lex(text) == expected


@pytest.mark.parametrize(
    ("token", "folded", "shape", "name"),
    [
        ("SELECT", "select", "select", "select"),
        ("Name", "name", "Name", "name"),
        ("[Name]", "name", "Name", "name"),
        ('"Name"', "name", "Name", "name"),
        ("[Order]", "[order]", "[Order]", "order"),
        ('"A b]"', "[a b]]]", "[A b]]]", "a b]"),
        ("[output]", "[output]", "[output]", "output"),
        ("[GRÖSSE]", "grösse", "GRÖSSE", "grösse"),
        ("[@x]", "[@x]", "[@x]", "@x"),
        ("@X", "@x", "@X", ""),
        ("NVARCHAR", "nvarchar", "nvarchar", "nvarchar"),
        ("n'X'", "n'X'", "N'X'", ""),
        ("'X'", "'X'", "'X'", ""),
        ("1E5", "1E5", "1E5", ""),
        ("", "", "", ""),
    ],
)
def test_forms(token: str, folded: str, shape: str, name: str) -> None:
    if token:
        assert fold(token) == folded
        assert shaped(token) == shape
    assert identifier(folded) == name


PIECES = [
    "a", "N", "n", "'", "''", '"', "[", "]", "/*", "*/", "--", "\n", "\r\n", " ", "\xa0", ".", "1", "$", "(", "@", "#", "é", "=",
    "<", ">", "!", ":", "e", "0x", "-", "+", "*", "/", "name", "dbo.v", "-- procver: requires v\n", "\u2028", "\x01", "\t",
]  # fmt: skip
soup = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def by_hand(text: str) -> list[tuple[int, int]]:
    """Strings, names in quotes, comments and blanks, one character after the other."""
    found, i = [], 0
    while i < len(text):
        if text.startswith("--", i):
            while i < len(text) and text[i] not in "\r\n":
                i += 1
        elif text.startswith("/*", i):
            depth, j = 0, i
            while j < len(text):
                step = text[j : j + 2]
                depth += {"/*": 1, "*/": -1}.get(step, 0)
                j += 2 if step in ("/*", "*/") else 1
                if not depth:
                    break
            if depth:
                found.append((i, len(text)))
            i = j
        elif text[i].isspace() or text[i] < " ":
            i += 1
        else:
            quote = text[i]
            end = {"'": "'", '"': '"', "[": "]"}.get(quote)
            j = i + 1
            while end and j < len(text):
                if text[j] == end:
                    if text[j + 1 : j + 2] != end:
                        break
                    j += 1
                j += 1
            found.append((i, min(j + 1, len(text)) if end else i + 1))
            i = found[-1][1]
    return found


@given(soup)
@settings(max_examples=1500, deadline=None)
def test_strings_names_and_comments_end_where_they_end(text: str) -> None:
    spans = list(tokens(text))
    assert [text[a:b] for a, b in spans] == lex(text)
    covered = {i for a, b in spans for i in range(a, b)}
    assert covered == {i for a, b in by_hand(text) for i in range(a, b)}


@given(soup)
@settings(max_examples=500, deadline=None)
def test_each_token_is_found_where_it_stands(text: str) -> None:
    spans = list(tokens(text))
    try:
        every = Unit(File(text), 0, len(text), lex(text))
        single = Unit(File(text), 0, len(text), lex(text))
    except SourceError:
        return
    assert len(every.inside(0, len(text))) == len(spans)
    assert [every.span(i) for i in range(len(spans))] == spans
    for i in reversed(range(len(spans))):
        assert single.span(i) == spans[i]


@given(soup)
@settings(max_examples=300, deadline=None)
def test_directives_are_comments(text: str) -> None:
    spans = list(tokens(text))
    for special in directive_comments(text):
        assert text.startswith(special.text, special.start)
        assert not any(a <= special.start < b for a, b in spans)


@pytest.mark.parametrize(
    "text",
    ["'" + "x" * 300_000, "/*" * 50_000, "[" * 100_000, "--" * 100_000 + "\n'", "(" * 100_000],
)
def test_hostile_texts_take_no_longer(text: str) -> None:
    assert len(lex(text)) <= len(text)
