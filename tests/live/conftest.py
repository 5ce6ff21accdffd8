"""Projects for tests on a live server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workshop import Workshop

TABLES = """
CREATE SCHEMA app;
CREATE TABLE app.thing (id int PRIMARY KEY, name text NOT NULL, price int NOT NULL);
INSERT INTO app.thing VALUES (1, 'anvil', 100), (2, 'bolt', 1), (3, 'crane', 5000);
"""

THINGS = "CREATE VIEW app.things AS SELECT t.id, t.name FROM app.thing t;\n"
FIND = """\
CREATE FUNCTION app.find_things(minimum int) RETURNS SETOF app.things
LANGUAGE sql STABLE AS $$
    SELECT v.* FROM app.things v WHERE v.id >= minimum ORDER BY v.id
$$;
"""
COUNT = """\
CREATE FUNCTION app.count_things() RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM app.find_things(0));
END $$;
"""
ALONE = "CREATE FUNCTION app.alone() RETURNS int LANGUAGE sql AS 'SELECT 42';\n"


@pytest.fixture
def workshop(tmp_path: Path, url: str) -> Workshop:
    """A project of a view, two functions above it and one apart, on a database with a table."""
    made = Workshop(tmp_path / "project", url)
    made.sql(TABLES)
    made.write(things=THINGS, find_things=FIND, count_things=COUNT, alone=ALONE)
    return made
