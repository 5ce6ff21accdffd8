"""Texts nobody writes are read in time that grows with their length."""

from __future__ import annotations

import pytest

from tests.scanning.shop import SHOP

BODY = "create function app.x() returns int language plpgsql as $q$ begin ... end$q$"
QUOTED = "create function app.x() returns int language plpgsql as '... app.fn(1)'"
STRING = "create function app.x() returns int language plpgsql as $q$begin execute '...'; end$q$"
AFTER = "create materialized view app.x as select 1 a; ..."
DECLARED = (
    "create function app.x() returns int language plpgsql as $q$... begin v := app.fn(v.a); end$q$"
)
DIRECTIVE = "-- procver: pin app.v...x\ncreate view app.x as select 1"
VIEW = "create view app.x as select v.a from ..."


@pytest.mark.parametrize(
    ("template", "unit"),
    [
        (BODY, "v, "),
        (BODY, "for v in 1..2 loop "),
        (BODY, "if v.a then "),
        (DECLARED, "declare v int; begin "),
        (QUOTED, "("),
        (QUOTED, "select v."),
        (STRING, "\xa0 "),
        (STRING, "app.v "),
        (AFTER, "grant select on app.x to a; "),
        (AFTER, "create index i on app.x (a); "),
        (AFTER, "drop view app.x; "),
        (VIEW, "("),
        (VIEW, "v, "),
        (VIEW, "(select v.a from v) v, "),
        (VIEW, "v join "),
        (DIRECTIVE, " "),
    ],
)
def test_reading_takes_linear_time(template: str, unit: str) -> None:
    SHOP.is_read_in_linear_time(template, unit)


def test_explicit_references_take_linear_time() -> None:
    text = "create view app.x as select 1 from ... app.w"
    SHOP.is_read_in_linear_time(text, "app.v, ", "app.v")
