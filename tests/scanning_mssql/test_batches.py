"""GO separates batches where the clients say so, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procver.scanning.mssql.batches import split
from procver.scanning.mssql.lexer import lex, tokens
from procver.scanning.mssql.unit import File


def batches(text: str) -> list[str]:
    return [text[batch.start : batch.end].strip() for batch in split(File(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nGO\nb", ["a", "b"]),
        ("a\r\nGo\r\nb\r\n", ["a", "b"]),
        ("a\rgO\rb", ["a", "b"]),
        ("a\n \t GO\xa0 \nb", ["a", "b"]),
        ("GO\na\nGO", ["a"]),
        ("a\nGO -- and more\nb", ["a", "b"]),
        ("a\nGO--x\nb", ["a", "b"]),
        ("a\nGO 1\nb", ["a", "b"]),
        ("a\nGO /* x */ -- y\nb", ["a", "b"]),
        ("a\n/* x */ GO\nb", ["a", "b"]),
        ("a GO\nb", ["a GO\nb"]),
        ("a\nGO b\nc", ["a\nGO b\nc"]),
        ("a\nGOTO b", ["a\nGOTO b"]),
        ("a\n[GO]\nb", ["a\n[GO]\nb"]),
        ("a\n@GO\n#go\nb", ["a\n@GO\n#go\nb"]),
        ("a\nGÖ\nb", ["a\nGÖ\nb"]),
        ("'x\nGO\n'\nGO\nb", ["'x\nGO\n'", "b"]),
        ("'it''s\nGO\n' 'a\nGO\nb'\nGO\n'c\nGO\n'", ["'it''s\nGO\n' 'a\nGO\nb'", "'c\nGO\n'"]),
        ('"x\nGO\n"\nGO\nb', ['"x\nGO\n"', "b"]),
        ("[x\nGO\n]\nGO\nb", ["[x\nGO\n]", "b"]),
        ("/* it's\nGO\n*/ a\nGO\nb", ["/* it's\nGO\n*/ a", "b"]),
        ("/* /*\nGO\n*/\nGO\n*/ a\nGO\nb", ["/* /*\nGO\n*/\nGO\n*/ a", "b"]),
        ("a -- it's\nGO\nb -- '\nGO\nc", ["a -- it's", "b -- '", "c"]),
        ("a -- /*\nGO\nb", ["a -- /*", "b"]),
        ("a\n-- GO\nb", ["a\n-- GO\nb"]),
        ("a\nGO\n-- only a comment\nGO\nb", ["a", "b"]),
    ],
)
def test_split(text: str, expected: list[str]) -> None:
    assert batches(text) == expected


def test_the_count_is_kept() -> None:
    assert [batch.repeats for batch in split(File("a\nGO 5\nb\nGO\nc"))] == [5, 1, 1]


PIECES = [
    "GO",
    "go 2",
    "\n",
    "\r\n",
    "'",
    "''",
    '"',
    "[",
    "]",
    "/*",
    "*/",
    "--",
    " ",
    "a",
    "GO\n",
    "\nGO\n",
    "N'x'",
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=800, deadline=None)
def test_no_token_is_cut_and_none_is_lost(text: str) -> None:
    """Read from the start, each GO between batches is a word of its own."""
    spans = list(tokens(text))
    found = split(File(text))
    for batch in found:
        assert all(
            batch.start <= start < end <= batch.end
            for start, end in spans
            if batch.start <= start < batch.end
        )
        assert lex(text, batch.start, batch.end) == batch.written
    kept = [text[a:b] for a, b in spans if any(c.start <= a < c.end for c in found)]
    assert kept == [token for batch in found for token in batch.written]
    dropped = [text[a:b] for a, b in spans if not any(c.start <= a < c.end for c in found)]
    assert all(token.lower() == "go" or token.isdecimal() for token in dropped)
