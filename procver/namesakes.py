"""Routines beside the sources that share a logical name: calls of that name reach versions only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from procver.contract import Contract, Member
from procver.dialects import Call, Database
from procver.objects import Note
from procver.project.workspace import Project


def namesakes(
    database: Database, project: Project, contract: Contract
) -> tuple[tuple[str, Note], ...]:
    """Return a remark for each aggregate or overload of a managed name that no source defines.

    Args:
        database: where; it needs no registry.
        project: whose sources.
        contract: the versions of the sources.

    Raises:
        DatabaseError: the catalog cannot be read.
    """
    members = {tuple(m.name): m for m in contract.members.values() if m.kind.is_routine}
    if not members:
        return ()
    names = [{"schema": schema, "leaf": leaf} for schema, leaf in members]
    found: dict[tuple[str, str], list[tuple[str, str, Sequence[str]]]] = {}
    for schema, leaf, kind, identity, types in database.read(Call("overloads", {"names": names}))[
        0
    ]:
        found.setdefault((schema, leaf), []).append((kind, identity, types))
    return tuple(
        note
        for key, routines in found.items()
        for note in _undefined(project, members[key], routines)
    )


def _undefined(
    project: Project, member: Member, routines: list[tuple[str, str, Sequence[str]]]
) -> Iterator[tuple[str, Note]]:
    text, _ = project.sources.text(member.name)
    defined = {_key(types) for types in project.scanner.overloads(text)}
    for kind, identity, types in routines:
        if kind == "aggregate" or _key(types) not in defined:
            article = "an" if kind[0] in "aeiou" else "a"
            message = (
                f"{identity}, {article} {kind}, is in the database and in no source;"
                f" calls of {member.label} go to {member.quoted}"
            )
            hint = (
                "give the aggregate a name of its own, and call it by that"
                if kind == "aggregate"
                else "write it into this source, as an overload; or drop it, or give it a name of its own"
            )
            yield project.sources.by_name[member.name].path, Note("namesake", 1, message, hint)


def _key(types: Sequence[str]) -> tuple[str, ...]:
    """Return types as they compare: without schemas and quotes."""
    return tuple(name.rpartition(".")[2].replace('"', "") for name in types)
