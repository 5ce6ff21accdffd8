"""What stands in the way of creating versions, found before anything is written; and what they will lack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from procver.dialects import Call, Database, Row
from procver.errors import ConflictError, DatabaseError, StalePlanError
from procver.known import DROPPED
from procver.objects import Name, Note
from procver.plan import Create
from procver.project.workspace import Project

_SIGNS = re.compile(r"^\s*ADD\s+(?:COUNTER\s+)?SIGNATURE\b", re.IGNORECASE | re.MULTILINE)


_SUFFIX = (
    "; or, where this project has published nothing yet, choose another suffix in procver.toml"
)


def refuse(
    database: Database,
    project: Project,
    steps: Iterable[Create],
    roles: Sequence[str],
    owners: Sequence[dict[str, Any]],
) -> tuple[tuple[str, Note], ...]:
    """Refuse to create what cannot be created here.

    Args:
        database: where; a registry need not be there yet.
        project: whose versions.
        steps: what shall be created.
        roles: those that ``[grants]`` names for it.
        owners: those that it is to have.

    Returns:
        what nobody but a person can do for the new versions, each with the source file that it is about.

    Raises:
        DatabaseError: a schema or role is missing, or the login cannot give something its owner.
        ConflictError: a name is taken by what this project did not make.
        StalePlanError: another command of this project has just created it.
    """
    wanted: dict[Name, Create] = {}
    for step in steps:
        if step.known is not None:
            wanted[step.known.name] = step
        elif step.member is not None:
            wanted[step.member.physical] = step
    if not wanted:
        return ()
    names = [
        {**_about(name), "routine": step.kind in ("function", "procedure")}
        for name, step in wanted.items()
    ]
    schemas_wanted = [{"schema": schema} for schema in sorted({name.schema for name in wanted})]
    models = _models(wanted.values())
    kept = [{**owner, "at": at} for at, owner in enumerate(owners) if "kept" in owner]
    others = [{**owner, "at": at} for at, owner in enumerate(owners) if "kept" not in owner]
    known = [step.known.id for step in wanted.values() if step.known is not None]
    # Without versions of ours there may be no registry.
    recorded = [Call("parts", {"ids": known})] if known else []
    recorded += [Call("unsettable_kept", {"owners": kept})] if kept else []
    taken, schemas, missing, signed, unsettable, *rest = database.read(
        Call("taken", {"names": names}),
        Call("missing_schemas", {"names": schemas_wanted}),
        Call("missing_roles", {"roles": roles}),
        Call("signatures", {"names": [_about(name) for name in models]}),
        Call("unsettable", {"owners": others}),
        *recorded,
    )
    # Overloads of a version that lacks others stand in nobody's way.
    own = {tuple(row[1:]) for row in rest.pop(0)} if known else set()
    taken = [row for row in taken if (row[0], row[1], row[3]) not in own]
    if schemas:
        schema = _part(project, schemas[0][0])
        raise DatabaseError(
            f"{_source(project, wanted, schemas[0][0])}schema {schema} does not exist in this database{_more(schemas)}",
            hint=f"create it with your migration tool: CREATE SCHEMA {schema}",
        )
    if missing:
        role = _part(project, missing[0][0])
        raise DatabaseError(
            f"role {role}, which [grants] in procver.toml names, does not exist on this server{_more(missing)}",
            hint=f"create it with your migration tool: CREATE ROLE {role}; or correct [grants]",
        )
    for rows in (unsettable, *rest):
        if rows:
            raise _unsettable(owners, rows)
    if taken:
        raise _taken(database, project, wanted, taken)
    unsigned = (
        note
        for schema, leaf, how in signed
        for note in _unsigned(project, models[Name(schema, leaf)], how)
    )
    return (*_unseen(project, wanted.values()), *unsigned)


_WHY = {
    "member": ("the login is not a member of role {role}", "GRANT {role} TO {login}"),
    "set": ("the login has no SET option on role {role}", "GRANT {role} TO {login} WITH SET TRUE"),
    "create": ("that role has no CREATE on schema {schema}", "GRANT CREATE ON SCHEMA {schema} TO {role}"),
    "missing": ("there is no role {role}", "CREATE ROLE {role}"),
    "impersonate": (
        "the login has no IMPERSONATE on user {role}", "GRANT IMPERSONATE ON USER::{role} TO {login}",
    ),
    "alter": ("the login is not a member of role {role}", "ALTER ROLE {role} ADD MEMBER {login}"),
    "principal": ("there is no user or role {role}", "CREATE USER {role} or CREATE ROLE {role}"),
}  # fmt: skip
"""Obstacles to giving something an owner, each with its remedy."""


def _unsettable(owners: Sequence[dict[str, Any]], rows: list[Row]) -> DatabaseError:
    at, why, role, login, schema = rows[0]
    said, remedy = (text.format(role=role, login=login, schema=schema) for text in _WHY[why])
    return DatabaseError(
        f"cannot make {role} the owner of {owners[at]['physical']}: {said}{_more(rows)}",
        hint=f"{remedy}; or hand the version before, or the source, over to another owner",
    )


def _source(project: Project, wanted: dict[Name, Create], schema: str) -> str:
    """Return the first source that puts something into a schema, as a message begins; nothing for what has no source."""
    for name, step in wanted.items():
        if name.schema == schema and step.member is not None:
            return f"{project.sources.by_name[step.member.name].path}: "
    return ""


def _unseen(project: Project, steps: Iterable[Create]) -> Iterator[tuple[str, Note]]:
    """Yield what the registry has for being there, and this login does not find."""
    for step in steps:
        if step.known is not None and step.member is not None and step.known.state != DROPPED:
            message = f"{step.physical} was published here, and this login does not find it"
            hint = (
                "somebody dropped it, and it is created again as it was; or the login may not see it: grant it rights on"
                " what it publishes"
            )
            yield project.sources.by_name[step.member.name].path, Note("unseen", 1, message, hint)


def _models(steps: Iterable[Create]) -> dict[Name, Create]:
    """Return what new versions take after: the version before, or what has carried the logical name until now."""
    found: dict[Name, Create] = {}
    for step in steps:
        if step.member is not None and step.known is None:
            previous = step.previous
            if previous is None or previous.usable:
                found[step.member.name if previous is None else previous.name] = step
    return found


def _unsigned(project: Project, step: Create, how: str) -> Iterator[tuple[str, Note]]:
    """Yield that a new version lacks the signature of the one before, unless its source gives it one."""
    assert step.member is not None
    text, _ = project.sources.text(step.member.name)
    if not _SIGNS.search(text):
        model = project.scanner.quote(step.previous.name if step.previous else step.member.name)
        message = f"{model} is signed, and {step.physical} will not be: a signature is of one text"
        hint = (
            f"{how.replace('{name}', step.physical)}, in the source after its definition or by hand"
        )
        yield project.sources.by_name[step.member.name].path, Note("unsigned", 1, message, hint)


def _taken(
    database: Database, project: Project, wanted: dict[Name, Create], taken: list[Row]
) -> ConflictError | StalePlanError:
    schema, leaf, what, _ = taken[0]
    name = Name(schema, leaf)
    article = "an" if re.match(r"[aeio]|u(?!s|n[iy])", what) else "a"
    message = f"{article} {what} called {project.scanner.label(name)} exists already, and "
    for owner, label, number in _owners(database, name):
        if owner != project.config.name:
            return ConflictError(
                f"{message}project {owner} published it{_more(taken)}",
                hint="give this project another suffix in procver.toml, if it has published nothing yet, or another schema",
            )
        step = wanted[name]
        if (label, number) == (step.label, step.number):
            if step.known is not None and step.known.state != "dropped":
                return ConflictError(
                    f"{message}it is not the version that procver created{_more(taken)}",
                    hint="somebody dropped or replaced that one: rename or drop what has its name, then run the same"
                    " command again",
                )
            return StalePlanError(
                f"{message}another command has just published it", hint="run the same command again"
            )
        message += f"it is version {number} of {label}"
        return ConflictError(
            message + _more(taken),
            hint=f"rename one of the two{_SUFFIX}",
        )
    return ConflictError(
        f"{message}procver did not make it{_more(taken)}",
        hint=f"rename or drop it{_SUFFIX}",
    )


def _owners(database: Database, name: Name) -> list[Row]:
    """Return who published what has this name, as project, label, number; without a registry nobody did."""
    if not database.install(create=False):
        return []
    return database.read(Call("owners", {"names": [_about(name)]}))[0]


def _about(name: Name) -> dict[str, Any]:
    return {"schema": name.schema, "leaf": name.leaf}


def _part(project: Project, identifier: str) -> str:
    """Return one identifier as it has to be written in SQL."""
    return project.scanner.quote(Name(identifier, "x")).removesuffix(".x")


def _more(rows: Sequence[object]) -> str:
    return f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
