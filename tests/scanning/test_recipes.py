"""A recipe filled in is the rewriting itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from procver.objects import Managed
from procver.scanning.postgresql import PostgresqlScanner
from tests.scans import Shop

SAMPLE = Path(__file__).parents[2] / "sql" / "postgresql" / "release-1" / "shop"
SCANNER = PostgresqlScanner()
SHOP = Shop(SCANNER, "shop", ("shop", "public"), {})
TEXTS = {path.name: path.read_text("utf-8") for path in sorted(SAMPLE.rglob("*.sql"))}
TEXTS["quoted.sql"] = (
    'CREATE FUNCTION shop."F g"() RETURNS int LANGUAGE sql AS \'SELECT "F g"."x" FROM shop."V" "F g"\';'
)
TEXTS["V.sql"] = 'CREATE VIEW shop."V" AS SELECT 1 AS x;'
MANAGED = Managed(dict(SCANNER.header(text, "shop") for text in TEXTS.values()), ("shop", "public"))


@pytest.mark.parametrize("name", TEXTS)
def test_filled_in_it_is_the_rewriting(name: str) -> None:
    for first in (1, 9, 12345):
        SHOP.recipe_is_the_rewriting(TEXTS[name], first, MANAGED)


def test_a_text_that_holds_a_hole_is_read_again() -> None:
    text = "CREATE VIEW shop.a AS SELECT 900000000000009 AS x;"
    assert SCANNER.analyse(text, "shop", MANAGED).recipe == ""


def test_a_recipe_is_small() -> None:
    text = TEXTS["find_things.sql"]
    assert len(SCANNER.analyse(text, "shop", MANAGED).recipe) < len(text)
    assert json.loads(SCANNER.analyse(text, "shop", MANAGED).recipe)[0][0] == "definition"
