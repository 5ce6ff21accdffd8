"""How statements share batches on SQL Server, so that round trips do not grow with what is created or dropped.

A definition must be the first statement of its batch; as the text of an EXEC it is, and many of these fit into one
(manual, "EXECUTE"). What is kept of it in sys.sql_modules is its own text all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from procver.dialects import Call, Ddl

MOST = 64
"""Statements in one batch: of a batch that is refused each is sent alone, to see which one it was."""

LARGEST = 250_000
"""Characters of statements in one batch."""

_CONTINUED = re.compile(r"\\[\r\n]")
"""A string in T-SQL loses a backslash at the end of a line, and the line's end (manual, "Backslash (Line continuation)")."""


def shared(steps: Iterable[Call | Ddl], *, apart: bool = False) -> Iterator[Call | list[Ddl]]:
    """Yield steps in order, the DDL between two calls of the registry in lists that go into one batch each.

    Args:
        steps: of one unit; taken lazily.
        apart: give each DDL statement a batch of its own.
    """
    group: list[Ddl] = []
    size = 0
    for step in steps:
        length = len(step.sql) if isinstance(step, Ddl) else 0
        # A setting would end with the EXEC that it is in.
        alone = isinstance(step, Call) or apart or step.setting or _CONTINUED.search(step.sql)
        if group and (alone or len(group) == MOST or size + length > LARGEST):
            yield group
            group, size = [], 0
        if isinstance(step, Call):
            yield step
        elif alone:
            yield [step]
        else:
            group.append(step)
            size += length
    if group:
        yield group


def batch_of(group: list[Ddl]) -> str:
    """Return the batch that executes statements in order; a single one as it is."""
    if len(group) == 1:
        return group[0].sql
    return "\n".join("EXEC(N'" + step.sql.replace("'", "''") + "')" for step in group)


def upgrade(sql: str, flavour: str) -> Iterator[str]:
    """Yield the batches of one of our own upgrades.

    Args:
        sql: parts that each head their batch, with GO between them.
        flavour: for which server: a part that names another one is left out.
    """
    parts = []
    for part in re.split(r"(?m)^GO[ \t]*$", sql):
        only = re.search(r"(?m)^-- only: (\w+)$", part)
        if part.strip() and (only is None or only[1] == flavour):
            parts.append(Ddl(part.strip().removesuffix(";")))
    for group in shared(parts):
        if isinstance(group, list):
            yield batch_of(group)
