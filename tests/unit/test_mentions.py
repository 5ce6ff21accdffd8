"""Names in texts, found as if each name were looked for in each text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procver.mentions import mentions

NAMES = [
    "v_1",
    "V_1",
    "v_12",
    "_1",
    "v_1 b",
    "a.b_1",
    "ärger_1",
    "@t",
    "#t_1",
    "x$_1",
    "v-1",
    "ı_1",
]
PIECES = [*NAMES, " ", ".", "[", "]", "'", "\n", "-", "_", "1", "é", "/*", "exec "]


@pytest.mark.parametrize(
    "text",
    [
        "exec V_1", "v_1", "from [app].[v_1];", "N'select * from app.v_1'", "-- V_1\n", "a=v_1+1", "(v_1)", "\"v_1\"", "év_1-v_1",
    ],
)  # fmt: skip
def test_a_word_counts_wherever_it_stands(text: str) -> None:
    assert list(mentions([("job", text)], {7: "v_1"})) == [(7, "job")]


@pytest.mark.parametrize("text", ["v_12", "av_1", "@v_1", "v_1$", "v1", "v _1", "_v_1", "év_1", ""])
def test_a_part_of_a_word_does_not(text: str) -> None:
    assert list(mentions([("job", text)], {7: "v_1"})) == []


def test_a_name_that_is_no_word_counts_wherever_it_is() -> None:
    texts = [("one", "select * from [my view_1]"), ("two", "[my  view_1]")]
    assert list(mentions(texts, {1: "My View_1"})) == [(1, "one")]


@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), max_size=4),
    st.lists(st.sampled_from(NAMES), max_size=6),
)
def test_the_same_is_found_as_by_looking_for_each(texts: list[str], names: list[str]) -> None:
    wanted = set()
    for place, text in enumerate(texts):
        for key, name in enumerate(names):
            name = name.lower()
            word = re.fullmatch(r"[\w@$#]+", name)
            pattern = rf"(?<![\w@$#]){re.escape(name)}(?![\w@$#])" if word else re.escape(name)
            if re.search(pattern, text.lower()):
                wanted.add((key, str(place)))
    given_texts = [(str(place), text) for place, text in enumerate(texts)]
    assert set(mentions(given_texts, dict(enumerate(names)))) == wanted
