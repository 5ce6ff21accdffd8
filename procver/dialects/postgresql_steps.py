"""Steps of a unit as PostgreSQL is sent them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from procver.dialects import Call, Ddl

_BESIDE_DEFINITIONS = ("defer_checks", "check_bodies")
"""Statements of the registry that run as definitions do."""


def is_definition(step: Call | Ddl) -> bool:
    """Return whether a step runs under the project's search_path."""
    return isinstance(step, Ddl) or step.query in _BESIDE_DEFINITIONS


def text_of(step: Ddl) -> str:
    """Return what is sent for a step."""
    if not step.missing:
        return step.sql
    outer, inner = (_dollar(step.sql, word) for word in ("missing", "created"))
    return (
        f"DO {outer} BEGIN EXECUTE {inner}{step.sql}{inner};"
        f" EXCEPTION WHEN duplicate_function THEN NULL; END {outer}"
    )


def _dollar(text: str, word: str) -> str:
    """Return a dollar quote that ``text`` does not hold."""
    while f"${word}$" in text:
        word += "_"
    return f"${word}$"


def grouped(steps: Iterable[Call | Ddl], size: int) -> Iterator[tuple[Call | Ddl, ...]]:
    """Yield each call alone, and neighbouring DDL together, up to ``size``.

    With a size of 1, a call for several subjects is one for each.
    """
    group: list[Call | Ddl] = []
    for step in steps:
        if isinstance(step, Ddl):
            group.append(step)
            if len(group) < size:
                continue
        if group:
            yield tuple(group)
            group = []
        if isinstance(step, Call):
            if size > 1 or len(step.subjects) < 2:
                yield (step,)
                continue
            for item, subject in zip(step.argument, step.subjects, strict=True):
                yield (Call(step.query, [item], (subject,)),)
    if group:
        yield tuple(group)
