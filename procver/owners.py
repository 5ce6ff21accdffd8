"""Owners that new versions are to have: of the versions before them, or as their sources name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from procver.errors import UsageError
from procver.objects import AFTER
from procver.plan import Create
from procver.prepared import numbers_of, same_sort, speaks
from procver.project.workspace import Project

_NAME = r'"(?:[^"]|"")+"|\[(?:[^\]]|\]\])+\]|[\w$#]+'
_OWNER = re.compile(
    rf"\A\s*ALTER\b.*\b(?:OWNER|AUTHORIZATION\s+ON\b.*)\s+TO\s+({_NAME})\s*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_MAY_NAME_ONE = ("owner", "authorization")
_OURSELVES = {"current_role", "current_user", "session_user"}


def wanted(project: Project, steps: Iterable[Create]) -> list[dict[str, Any]]:
    """Return the owners that are to be given to what is created, as the registry's statements ask for them.

    Each has the physical name of a version and its schema, and one of these: the object that it takes its owner from
    (``like``, ``routine``), the version of the registry that keeps it (``kept``), or its name (``role``).
    """
    found = []
    for step in steps:
        for source in _sources(project, step):
            name = step.known.name if step.known is not None else _physical(step)
            found.append({"physical": step.physical, "schema": name.schema, **source})
    return found


def _physical(step: Create) -> Any:
    assert step.member is not None  # a step without one is restored
    return step.member.physical


def _sources(project: Project, step: Create) -> Iterator[dict[str, Any]]:
    if step.known is not None:
        yield {"kept": step.known.id}
        return
    member, previous = step.member, step.previous
    assert member is not None
    if previous is None:
        yield {"like": member.name.leaf, "routine": member.kind.is_routine}
    elif same_sort(previous.kind, member.kind):
        if speaks(previous):
            yield {"like": previous.name.leaf, "routine": member.kind.is_routine}
        else:
            yield {"kept": previous.id}
    if not project.sources.may_add(member.name):
        return
    text, _ = project.sources.text(member.name)
    folded = text.lower()
    if not any(word in folded for word in _MAY_NAME_ONE):
        return
    source = project.sources.by_name[member.name]
    numbers = numbers_of(project, source, member.number, member.requires)
    for statement in project.sources.statements(member.name, numbers):
        named = _OWNER.match(statement.text) if statement.role == AFTER else None
        if named is not None and named[1].lower() not in _OURSELVES:
            try:
                yield {"role": project.scanner.parse(named[1], "").leaf}
            except UsageError:  # the server says what is wrong with it
                continue
