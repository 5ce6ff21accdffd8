"""Hand-made versions: what the scanner and plan would make of a source."""

from __future__ import annotations

from typing import Any

from procver.objects import AFTER, DEFINITION, SETTING, Name
from procver.registry.writing import NewVersion

TYPE = "CREATE TYPE dbo.Wanted_1 AS TABLE (id int NOT NULL, name nvarchar(20) NULL)"
VIEW = "CREATE VIEW dbo.vThings_1 AS SELECT 1 AS id, N'Ąж' AS name"
FIND = (
    "CREATE PROCEDURE dbo.spFind_1 @id int AS SELECT v.name FROM dbo.vThings_1 v WHERE v.id = @id"
)
COUNT = "CREATE FUNCTION dbo.fnCount_1() RETURNS int AS BEGIN RETURN (SELECT COUNT(*) FROM dbo.vThings_1) END"


def version(
    leaf: str,
    kind: str,
    text: str,
    *,
    number: int = 1,
    requires: tuple[tuple[str, int], ...] = (),
    privileges: dict[str, Any] | None = None,
    settings: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    schema: str = "dbo",
) -> NewVersion:
    """Return version ``number`` of ``dbo.<leaf>``; ``text`` names it as it is created."""
    return NewVersion(
        label=f"{schema}.{leaf}",
        kind=kind,
        number=number,
        fingerprint=f"v1:{leaf}:{number}",
        shape=f"shape of {leaf}",
        source_digest="digest",
        source_path=f"sql/{leaf}.sql",
        name=Name(schema, f"{leaf}_{number}"),
        physical=f"{schema}.{leaf}_{number}",
        definition=(
            *((one, SETTING) for one in settings),
            (text, DEFINITION),
            *((one, AFTER) for one in after),
        ),
        requires=requires,
        privileges=privileges,
    )


def things() -> list[NewVersion]:
    """Return a type, a view, and a procedure and a function above it."""
    needs = (("dbo.vThings", 1),)
    return [
        version("Wanted", "table_type", TYPE),
        version("vThings", "view", VIEW),
        version("spFind", "procedure", FIND, requires=needs),
        version("fnCount", "function", COUNT, requires=needs),
    ]
