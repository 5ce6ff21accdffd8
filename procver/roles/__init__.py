"""The scripts that make three roles, each with the rights that its part needs: to publish, to collect, to run the app.

One ``.sql`` file for each dialect. In it ``<publisher>``, ``<collector>``, ``<app>``, ``<schema>`` and ``<project>`` stand for
names, quoted as identifiers, or as literals where they stand in quotes; what is between ``-- each schema`` and ``-- end``
is said once for each schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources

from procver.errors import UsageError

ROLES = ("publisher", "collector", "app")

_EACH = re.compile(r"(?m)^-- each schema\n(.*?)^-- end\n", re.DOTALL)
_MARK = re.compile(r"(N?')<(\w+)>'|<(publisher|collector|app|schema|project)>")
_QUOTES = {"postgresql": ('"', '"'), "mssql": ("[", "]")}


def script(dialect: str, project: str, schemas: Iterable[str], prefix: str) -> str:
    """Return the script for a project.

    Args:
        dialect: ``postgresql`` or ``mssql``.
        project: the project's name, of printable characters.
        schemas: those that hold managed objects.
        prefix: the roles are called ``<prefix>_publisher`` and so on.

    Raises:
        UsageError: a schema's name would not stay in its line.
    """
    schemas = tuple(schemas)
    for schema in schemas:
        if not schema.isprintable():
            raise UsageError(
                f"the schema {schema!r} has characters that no script should hold",
                hint="write the script for the other schemas, and add this one by hand",
            )
    text = (resources.files(__name__) / f"{dialect}.sql").read_text("utf-8")
    names = {role: f"{prefix}_{role}" for role in ROLES} | {"project": project}
    left, right = _QUOTES[dialect]

    def filled(part: str, values: Mapping[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1]:
                return match[1] + values[match[2]].replace("'", "''") + "'"
            return left + values[match[3]].replace(right, right * 2) + right

        return _MARK.sub(value, part)

    def each(match: re.Match[str]) -> str:
        return "".join(filled(match[1], names | {"schema": schema}) for schema in schemas)

    return filled(_EACH.sub(each, text), names)
