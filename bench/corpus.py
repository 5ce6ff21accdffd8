"""A made-up project of any size: views on views, functions that read them and call each other, about 3 kB each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

TABLES = 40
COLUMNS = 24


def tables() -> str:
    """Return the DDL of the tables that everything reads."""
    columns = ", ".join(f"attribute_{c} int NOT NULL DEFAULT {c}" for c in range(COLUMNS))
    made = [f"CREATE TABLE bench.base_{t} (id int PRIMARY KEY, {columns});" for t in range(TABLES)]
    return "CREATE SCHEMA bench;\n" + "\n".join(made) + "\n"


def objects(count: int, seed: int = 7) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, leaf, source text) of ``count`` objects, dependencies first."""
    random.seed(seed)
    views: list[int] = []
    functions: list[int] = []
    for number in range(count):
        # Every fifth is a view on a table, every fifth a view on a view; the others are functions.
        if number % 5 == 0 or not views:
            yield "view", f"overview_{number}x", _view(number, f"bench.base_{number % TABLES}")
            views.append(number)
        elif number % 5 == 1:
            below = random.choice(views[-200:])
            yield "view", f"overview_{number}x", _view(number, f"bench.overview_{below}x")
            if len(views) % 3:
                views.append(number)
        else:
            reads = random.choice(views[-400:])
            calls = random.choice(functions[-400:]) if functions and number % 2 else None
            yield "function", f"report_{number}x", _function(number, reads, calls)
            functions.append(number)


def _view(number: int, below: str) -> str:
    columns = ",\n".join(
        f"    CASE WHEN b.attribute_{c} > {number % 90 + c} THEN b.attribute_{c} ELSE {c} + b.attribute_{(c + 1) % COLUMNS} END AS attribute_{c}"
        for c in range(COLUMNS)
    )
    notes = "\n".join(
        f"-- {number}: a line that says why attribute {c} is chosen so" for c in range(8)
    )
    return f"{notes}\nCREATE VIEW bench.overview_{number}x AS\nSELECT\n    b.id,\n{columns}\nFROM {below} b\nWHERE b.id <> {number};\n"


def _function(number: int, reads: int, calls: int | None) -> str:
    steps = "\n".join(
        f"    IF minimum > {step} THEN\n"
        f"        -- step {step} of report {number}\n"
        f"        SELECT count(*) INTO total FROM bench.overview_{reads}x o WHERE o.attribute_{step} > minimum + {step};\n"
        f"        amount := amount + coalesce(total, 0) * {step};\n"
        f"    END IF;"
        for step in range(11)
    )
    call = (
        f"    amount := amount + bench.report_{calls}x(minimum - 1);\n" if calls is not None else ""
    )
    return (
        f"CREATE FUNCTION bench.report_{number}x(minimum int) RETURNS bigint\nLANGUAGE plpgsql STABLE\nAS $$\n"
        f"DECLARE\n    total bigint;\n    amount bigint := {number};\nBEGIN\n{steps}\n{call}    RETURN amount;\nEND;\n$$;\n"
    )


def write_project(root: Path, url: str, count: int) -> None:
    """Write a procver project of ``count`` objects to ``root``."""
    (root / "procver.toml").write_text(
        '[project]\nname = "bench"\ndialect = "postgresql"\nsources = ["sql"]\ndefault_schema = "bench"\n'
        f'[targets]\nlocal = "{url}"\n'
    )
    for number, (_, leaf, text) in enumerate(objects(count)):
        folder = root / "sql" / f"{number // 500:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{leaf}.sql").write_text(text)


def plain_sql(count: int) -> str:
    """Return the same objects as one script for psql."""
    return "".join(text for _, _, text in objects(count))
