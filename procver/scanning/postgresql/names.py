"""Names as PostgreSQL reads, writes and compares them."""

from __future__ import annotations

import re
from functools import lru_cache

from procver.errors import UsageError
from procver.objects import Kind, Managed, Name
from procver.scanning.names import Index, Spelling, has_control
from procver.scanning.postgresql.keywords import ALL, COL_NAME, NO_TABLE_NAME, RESERVED
from procver.scanning.postgresql.lexer import fold, identifier, is_simple, lex, lower

MAX_BYTES = 63
"""``NAMEDATALEN - 1``: the server cuts longer names with a mere NOTICE."""

ROUTINES = frozenset({Kind.FUNCTION, Kind.PROCEDURE})
RELATIONS = frozenset({Kind.VIEW, Kind.MATERIALIZED_VIEW})


def parse(text: str, default_schema: str) -> Name:
    """Return the name that ``text`` (``app.v``, ``"V"``) stands for.

    Raises:
        UsageError: it is no name of at most two parts.
    """
    parts = lex(text)
    names = [identifier(fold(part)) for part in parts]
    dots = parts[1::2]
    if (
        len(parts) not in (1, 3)
        or any(dot != "." for dot in dots)
        or not all(names[::2])
        or any(part.lower().startswith('u&"') for part in parts)
    ):
        raise UsageError(
            f"{text!r} is no name of an object",
            hint='write schema.name, with "double quotes" around what is not plain lower case',
        )
    if has_control(text.strip()):
        raise UsageError(f"the name {text!r} holds a control character", hint="rename the object")
    return Name(default_schema, names[0]) if len(names) == 1 else Name(names[0], names[2])


def quoted(identifier_: str) -> str:
    """Return an identifier in double quotes."""
    return '"' + identifier_.replace('"', '""') + '"'


def _label_part(part: str) -> str:
    return part if is_simple(part) and part not in NO_TABLE_NAME else quoted(part)


def quote_part(part: str) -> str:
    """Return one identifier for use in SQL text, quoted where it might be misread."""
    if is_simple(part) and part not in NO_TABLE_NAME and part not in COL_NAME:
        return part
    return quoted(part)


def label(name: Name) -> str:
    """Return the canonical text of a name, quoted only where it must be; `parse` reads it."""
    return f"{_label_part(name.schema)}.{_label_part(name.leaf)}"


def quote(name: Name) -> str:
    """Return ``name`` for use in SQL text, quoted where needed."""
    return f"{quote_part(name.schema)}.{quote_part(name.leaf)}"


def too_long(leaf: str) -> str | None:
    """Return why ``leaf`` cannot be an identifier of PostgreSQL, or None."""
    size = len(leaf.encode("utf-8", "surrogatepass"))
    if size <= MAX_BYTES:
        return None
    return f"{leaf} has {size} bytes, and PostgreSQL cuts names at {MAX_BYTES}"


def reserved_schema(schema: str) -> str | None:
    """Return why nothing can be published in ``schema``, or None."""
    if schema == "pg_temp" or schema.startswith("pg_temp_"):
        return "what is temporary ends with its session"
    if schema.startswith("pg_") or schema == "information_schema":
        return "it belongs to the server"
    return "it holds the registry" if schema == "procver" else None


def token_forms(leaf: str) -> tuple[str, ...]:
    """Return the folded tokens that stand for the identifier ``leaf``."""
    if is_simple(leaf):
        if leaf not in ALL:
            return (leaf,)
        return (quoted(leaf),) if leaf in RESERVED else (leaf, quoted(leaf))
    bare = lex(leaf)
    if len(bare) == 1 and bare[0] == leaf and identifier(leaf) == leaf == lower(leaf):
        return (leaf, quoted(leaf))
    return (quoted(leaf),)


SPELLING = Spelling(
    parse=parse,
    label=label,
    forms=token_forms,
    identifier=identifier,
    compared=str,
    item=re.compile(r'(?:"[^"]*(?:""[^"]*)*"|[^,"])+|"'),
    example="app",
)
"""Folding is done by the lexer: what it leaves compares as it is."""


@lru_cache(maxsize=4)
def index_of(managed: Managed) -> Index:
    """Return the index of ``managed``, built once."""
    return Index(managed, SPELLING)
