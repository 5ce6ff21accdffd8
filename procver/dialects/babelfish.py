"""What Babelfish does otherwise than SQL Server without saying so, known before it is asked."""

from __future__ import annotations

import re
from typing import Any

from procver.errors import UsageError

TYPE_GRANT = re.compile(
    r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:GRANT|DENY|REVOKE)\b[^;]*?\bON\s+TYPE\s*::",
    re.IGNORECASE | re.DOTALL,
)
"""A statement about rights on a type, of which there are none."""

_NAMES = {
    "project", "default_schema", "release", "instance", "channel", "subject", "actor", "object",
    "name", "schema", "leaf", "physical", "roles",
}  # fmt: skip
"""Keys of the registry's arguments whose values are names."""

_DOCUMENTS = {"definition", "privileges", "given", "detail"}
"""Keys whose values are kept as JSON, as they are."""


def refuse_escaped(argument: Any, key: str = "") -> None:
    """Refuse names that would be stored otherwise than they are: JSON_VALUE and OPENJSON hand on escapes as they stand.

    Args:
        argument: of a statement of the registry, or a part of it.
        key: the key in which a part was found.

    Raises:
        UsageError: a name holds a double quote or a backslash.
    """
    if isinstance(argument, dict):
        for inner, value in argument.items():
            if inner not in _DOCUMENTS:
                refuse_escaped(value, inner)
    elif isinstance(argument, list | tuple):
        for value in argument:
            refuse_escaped(value, key)
    elif isinstance(argument, str) and key in _NAMES and re.search(r'["\\]', argument):
        raise UsageError(
            f"Babelfish cannot hold the name {argument!r}",
            hint="it hands on double quotes and backslashes in JSON escaped: choose a name without them",
        )
