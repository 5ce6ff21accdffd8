"""Rights in a database that are wider than a project needs: what others could do with them."""

from __future__ import annotations

from collections.abc import Iterator

from procver.dialects import Call, Database
from procver.objects import Note
from procver.project.config import FILE
from procver.project.workspace import Project


def remarks(database: Database, project: Project) -> Iterator[tuple[str, Note]]:
    """Yield what a publication into a registry warns of, each with the file that it is about.

    Raises:
        DatabaseError: the catalog or the registry cannot be read.
    """
    config = project.config
    about = {"project": config.name, "schemas": list(config.search_path)}
    rows = database.read(Call("exposures", about))[0]
    creators: dict[str, list[str]] = {}
    for what, subject, who in rows:
        if what == "schema":
            creators.setdefault(subject, []).append(who)
        elif what == "registry":
            message = f"the registry belongs to {who}, and this login has more rights"
            hint = f"the registry's functions run with the rights of whoever calls them: publish as {who}; see docs/roles.md"
            yield FILE, Note("foreign-registry", 1, message, hint)
        else:
            message = "any login with the right to send heartbeats may send them for this project's instances"
            hint = "run the script of `procver init --roles` again: it records which role they have to be members of"
            yield FILE, Note("open-heartbeats", 1, message, hint)
    for schema, roles in creators.items():
        message = f"{', '.join(roles)} may create in schema {schema}, which is on the search_path"
        hint = (
            f"what is created there may be called in place of what definitions mean: REVOKE CREATE ON SCHEMA {schema}"
            f" FROM {', '.join(roles)}; or leave it out: [project] search_path"
        )
        yield FILE, Note("open-schema", 1, message, hint)
