"""Projects for tests on a live server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.behaviour.conftest import both, one_by_the_other
from tests.behaviour.worlds import COUNT, FIND, PostgresqlWorld

TABLES = """
CREATE SCHEMA app;
CREATE TABLE app.thing (id int PRIMARY KEY, name text NOT NULL, price int NOT NULL);
INSERT INTO app.thing VALUES (1, 'anvil', 100), (2, 'bolt', 1), (3, 'crane', 5000);
"""

THINGS = "CREATE VIEW app.things AS SELECT t.id, t.name FROM app.thing t;\n"
ALONE = "CREATE FUNCTION app.alone() RETURNS int LANGUAGE sql AS 'SELECT 42';\n"


@pytest.fixture
def workshop(tmp_path: Path, url: str) -> PostgresqlWorld:
    """A project of a view, two functions above it and one apart, on a database with a table."""
    made = PostgresqlWorld(tmp_path / "project", url)
    made.sql(TABLES)
    made.write(things=THINGS, find_things=FIND, count_things=COUNT, alone=ALONE)
    return made


@pytest.fixture
def two(workshop: PostgresqlWorld) -> PostgresqlWorld:
    """Releases 1 and 2, the second over a wider view, both active; what nothing needs goes at once."""
    both(workshop)
    return workshop


@pytest.fixture
def replaced(workshop: PostgresqlWorld) -> PostgresqlWorld:
    """Release 2 in place of 1, which is retired; what only that needed is condemned."""
    one_by_the_other(workshop)
    return workshop
