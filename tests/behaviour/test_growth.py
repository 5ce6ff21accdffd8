"""The registry grows with what changes, not with releases times objects."""

from __future__ import annotations

import pytest

from tests.behaviour.worlds import World

TABLES = ("project", "version", "release", "membership", "instance", "event")


def rows(world: World) -> dict[str, int]:
    """Return how many rows each table of the registry holds."""
    return {table: world.sql(f"SELECT COUNT(*) FROM procver.{table}")[0][0] for table in TABLES}


@pytest.mark.parametrize("objects", [3, 60])
def test_a_release_that_changes_one_object_adds_a_handful_of_rows(
    world: World, objects: int
) -> None:
    world.remove("things", "find_things", "count_things", "alone")
    world.write(**{f"v{i}": f"CREATE VIEW app.v{i} AS SELECT {i} AS n\n" for i in range(objects)})
    world.publish("1")
    before = rows(world)
    assert before["version"] == before["membership"] == objects
    for release in range(2, 7):
        world.write(v1=f"CREATE VIEW app.v1 AS SELECT {release}000 AS n\n")
        world.publish(str(release))
    after = rows(world)
    assert {table: after[table] - before[table] for table in TABLES} == {
        "project": 0, "version": 5, "release": 5, "membership": 5, "instance": 0, "event": 10,
    }  # fmt: skip
