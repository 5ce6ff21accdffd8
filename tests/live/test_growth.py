"""The registry grows with what changes, not with releases times objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workshop import Workshop

TABLES = ("project", "version", "release", "membership", "instance", "event")


def rows(workshop: Workshop) -> dict[str, int]:
    """Return how many rows each table of the registry holds."""
    counts = ", ".join(f"(SELECT count(*) FROM procver.{table})" for table in TABLES)
    (found,) = workshop.sql(f"SELECT {counts}")
    return dict(zip(TABLES, found, strict=True))


@pytest.mark.parametrize("objects", [3, 60])
def test_a_release_that_changes_one_object_adds_a_handful_of_rows(
    tmp_path: Path, url: str, objects: int
) -> None:
    workshop = Workshop(tmp_path / "project", url)
    workshop.sql("CREATE SCHEMA app")
    workshop.write(
        **{f"v{i}": f"CREATE VIEW app.v{i} AS SELECT {i} AS n;\n" for i in range(objects)}
    )
    workshop.publish("1")
    before = rows(workshop)
    assert before["version"] == before["membership"] == objects
    for release in range(2, 7):
        workshop.write(v1=f"CREATE VIEW app.v1 AS SELECT {release}000 AS n;\n")
        workshop.publish(str(release))
    after = rows(workshop)
    assert {table: after[table] - before[table] for table in TABLES} == {
        "project": 0, "version": 5, "release": 5, "membership": 5, "instance": 0, "event": 10,
    }  # fmt: skip
