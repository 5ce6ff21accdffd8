"""Names that Babelfish would store otherwise than they are."""

from __future__ import annotations

from typing import Any

import pytest

from procver.dialects.babelfish import refuse_escaped
from procver.errors import UsageError


@pytest.mark.parametrize(
    "argument",
    [
        {"release": 'r"1'},
        {"project": "a\\b", "ids": [1]},
        {"names": [{"schema": "app", "leaf": "plain"}, {"schema": "app", "leaf": 'a "b"'}]},
        [{"target": {"schema": 'a"', "leaf": "x"}}],
        {"roles": ["app", 'x"y']},
    ],
)
def test_names_with_what_json_escapes_are_refused(argument: Any) -> None:
    with pytest.raises(UsageError, match="Babelfish cannot hold the name") as refused:
        refuse_escaped(argument)
    assert "choose a name without them" in str(refused.value.hint)


@pytest.mark.parametrize(
    "argument",
    [
        None,
        {"release": "Ąж 💚 it's 'r' [1]", "ids": [1, 2], "idle": 1.5, "instance": None},
        {"versions": [{"name": "app.x", "definition": [['SELECT "a\\b"', "definition"]], "privileges": {"given": ['"']}}]},
        {"detail": {"because": {"app.x_1": ['called "x"']}}, "why": 'the server said "no"'},
    ],
)  # fmt: skip
def test_texts_and_documents_are_none_of_these(argument: Any) -> None:
    refuse_escaped(argument)
