"""Managed names in every place where PostgreSQL's grammar takes one, against its own parser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pglast.parser import parse_plpgsql_json

from procver.objects import Name
from tests.scanning.oracle import Renamer, tree
from tests.scanning.shop import KINDS, PATH, statements
from tests.scanning.templates import DEFINITIONS, ONLY_SQL, OTHERS, PLPGSQL, QUERIES
from tests.scanning.test_oracle import _compare_plpgsql

NEUTRAL = {"e": "1", "t": "int", "s": "int", "r": "tt", "f": "hh", "q": "select 1", "n": "nn"}
MANAGED = {
    "e": ["fn(1)", "app.fn(b, g(2))", "(select v.a from v)", "(x::app.w[])", "(cast(y as v))"],
    "t": ["v", "app.v", "app.w[]"],
    "s": ["v", "app.v"],
    "r": ["v", "app.w"],
    "f": ["fn", "app.g"],
    "q": ["select fn(1), v.a from v", "values (app.fn(2), (select 1 from app.w))"],
    "n": ["v", "fn"],
}
_SLOT = re.compile(r"\{([etsrfqn])\}")


def physical(name: Name) -> str:
    return f"{name.leaf}_2"


def filled(template: str) -> Iterator[str]:
    """Yield ``template`` with one slot after the other filled with something managed."""
    slots = _SLOT.findall(template)
    neutral = [NEUTRAL[slot] for slot in slots]
    pieces = _SLOT.split(template)[::2]
    for at, slot in enumerate(slots):
        for text in MANAGED[slot]:
            fillings = [*neutral[:at], text, *neutral[at + 1 :], ""]
            yield "".join(f"{piece}{f}" for piece, f in zip(pieces, fillings, strict=True))


def expected(statement: str) -> Any:
    return Renamer(KINDS, PATH, physical).rename(tree(statement)[0])


def sent(body: str, language: str) -> str:
    """Return ``body`` as it comes out of a procedure."""
    lead = f"create procedure app.x_3() language {language} as $b$"
    (statement,) = statements(lead.replace("x_3", "x") + body + "$b$")
    assert statement.text.startswith(lead)
    return statement.text.removeprefix(lead).removesuffix("$b$")


@pytest.mark.parametrize("template", [*QUERIES, *DEFINITIONS, *OTHERS, *ONLY_SQL])
def test_sql(template: str) -> None:
    for statement in filled(template):
        assert tree(sent(statement, "sql")) == [expected(statement)], statement


@pytest.mark.parametrize("template", [*QUERIES, *DEFINITIONS, *OTHERS])
def test_statements_in_plpgsql(template: str) -> None:
    for statement in filled(template):
        body = sent(f"begin {statement}; end", "plpgsql")
        text = body.removeprefix("begin ").removesuffix("; end")
        assert tree(text) == [expected(statement)], statement


@pytest.mark.parametrize("template", PLPGSQL)
def test_plpgsql(template: str) -> None:
    variables = "declare n int; r record; a int[]; i int; d refcursor; "
    for body in filled(template):
        block = body if body.startswith("declare") else variables + body
        lead = "create function app.x() returns setof int language plpgsql as $b$ "
        (statement,) = statements(f"{lead}{block} $b$")
        _compare_plpgsql(f"{lead}{block} $b$", statement.text, Renamer(KINDS, PATH, physical))
