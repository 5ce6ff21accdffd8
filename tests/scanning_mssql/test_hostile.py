"""Texts nobody writes are read in time that grows with their length."""

from __future__ import annotations

import pytest

from tests.scanning_mssql.shop import SHOP

BODY = "create procedure dbo.x as ..."
STRING = "create procedure dbo.x as exec('...')"
COMMENT = "/* ... */ create procedure dbo.x as select 1"
AFTER = "create view dbo.x as select 1 a\ngo\n..."
LINE = "create procedure dbo.x as select 1\nGO...x"
WRAPPED = "... */"


@pytest.mark.parametrize(
    ("template", "unit"),
    [
        (BODY, "v "),
        (BODY, "[v] "),
        (BODY, "select v.a from dbo.v "),
        (BODY, "'dbo.v' + "),
        (BODY, "("),
        (BODY, "if 1 = 1 "),
        (BODY, "with v as (select 1 a) "),
        (BODY, "--v "),
        (STRING, "v "),
        (STRING, "[v]"),
        (STRING, "dbo.v\xa0"),
        (COMMENT, "GO "),
        (LINE, " "),
        (LINE, "/**/"),
        (WRAPPED, "exec '/*"),
        (WRAPPED, "exec '/**/"),
        (WRAPPED, "exec "),
        (BODY, "exec '--\n"),
        (BODY, "exec 'create "),
        (AFTER, "go\r"),
        (AFTER, "grant select on dbo.x to a; "),
        (AFTER, "create index i on dbo.x (a) "),
        (AFTER, "exec sp_addextendedproperty 'a', 'b', 'schema', 'dbo', 'view', 'x' "),
    ],
)
def test_reading_takes_linear_time(template: str, unit: str) -> None:
    SHOP.is_read_in_linear_time(template, unit)


def test_explicit_references_take_linear_time() -> None:
    text = "create view dbo.x as select 1 a from ... dbo.w"
    SHOP.is_read_in_linear_time(text, "dbo.v, ", "dbo.v")
