"""Names as SQL Server reads, writes and compares them: without case, as in its default collations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from procver.errors import UsageError
from procver.objects import Header, Kind, Managed, Name
from procver.scanning.mssql.keywords import ALL, RESERVED
from procver.scanning.mssql.lexer import (
    delimited,
    identifier,
    is_open,
    is_regular,
    is_word,
    lex,
    written_identifier,
)
from procver.scanning.names import Index, Names, Spelling, has_control

MAX_UNITS = 128
"""Characters of ``sysname``: UTF-16 code units."""

CALLED = frozenset({Kind.FUNCTION})
EXECUTED = frozenset({Kind.FUNCTION, Kind.PROCEDURE})
RELATIONS = frozenset({Kind.VIEW, Kind.MATERIALIZED_VIEW, Kind.FUNCTION})
"""What may stand in FROM: views, and functions that return tables."""
OBJECTS = RELATIONS | EXECUTED
"""What shares one namespace with tables; types have one of their own."""
TYPES = frozenset({Kind.TABLE_TYPE})
ANY = OBJECTS | TYPES


def parse(text: str, default_schema: str) -> Name:
    """Return the name that ``text`` (``dbo.v``, ``[a.b]``) stands for.

    Raises:
        UsageError: it is no name of at most two parts.
    """
    parts = lex(text) if "\x00" not in text else []
    names = [written_identifier(part) for part in parts[::2]]
    is_whole = len(parts) in (1, 3) and not is_open(parts[-1])
    if not is_whole or any(dot != "." for dot in parts[1::2]) or not all(names):
        raise UsageError(
            f"{text!r} is no name of an object",
            hint="write schema.name, with [brackets] around what is no plain word",
        )
    if any(map(has_control, names)):
        raise UsageError(f"the name {text!r} holds a control character", hint="rename the object")
    return Name(default_schema, names[0]) if len(names) == 1 else Name(names[0], names[1])


def _label_part(part: str) -> str:
    is_letters = is_word(part) and (part[0].isalpha() or part[0] == "_")
    return part if is_letters and part.lower() not in RESERVED else delimited(part)


def quote_part(part: str) -> str:
    """Return one identifier for use in SQL text, in brackets where it might be misread."""
    return part if is_regular(part) and part.lower() not in RESERVED else delimited(part)


def label(name: Name) -> str:
    """Return the canonical text of a name, quoted only where it must be; `parse` reads it."""
    return f"{_label_part(name.schema)}.{_label_part(name.leaf)}"


def quote(name: Name) -> str:
    """Return ``name`` for use in SQL text, quoted where needed."""
    return f"{quote_part(name.schema)}.{quote_part(name.leaf)}"


def too_long(leaf: str) -> str | None:
    """Return why ``leaf`` cannot be an identifier of SQL Server, or None."""
    size = len(leaf.encode("utf-16-le", "surrogatepass")) // 2
    if size <= MAX_UNITS:
        return None
    return f"{leaf} has {size} characters, and SQL Server takes names of up to {MAX_UNITS}"


def reserved_schema(schema: str) -> str | None:
    """Return why nothing can be published in ``schema``, or None."""
    if schema.lower() in ("sys", "information_schema"):
        return "it belongs to the server"
    return "it holds the registry" if schema.lower() == "procver" else None


def same(one: Name, other: Name) -> bool:
    """Return whether two names are one to the server."""
    return (one.schema.lower(), one.leaf.lower()) == (other.schema.lower(), other.leaf.lower())


def token_forms(leaf: str) -> tuple[str, ...]:
    """Return the folded tokens that stand for the identifier ``leaf``."""
    low = leaf.lower()
    if not is_word(low) or low in RESERVED:
        return (delimited(low),)
    return (low, delimited(low)) if low in ALL else (low,)


SPELLING = Spelling(
    parse=parse,
    label=label,
    forms=token_forms,
    identifier=identifier,
    compared=str.lower,
    item=re.compile(r'(?:\[[^\]]*(?:\]\][^\]]*)*\]|"[^"]*(?:""[^"]*)*"|[^,"\[])+|["\[]'),
    example="dbo",
)


@lru_cache(maxsize=4)
def index_of(managed: Managed) -> Index:
    """Return the index of ``managed``, built once."""
    return Index(managed, SPELLING)


def names_of(managed: Managed, own: Header) -> Names:
    """Return what names stand for in the source of ``own``.

    A name without schema is looked up in the schema of the module that holds it, then on the
    search path, then in ``dbo`` (the manual's "CREATE PROCEDURE", "EXECUTE").
    """
    path = (own.name.schema, *managed.search_path, "dbo")
    return Names(index_of(managed), own, _distinct(path))


def type_path(names: Names) -> tuple[str, ...]:
    """Return where types without schema are looked up: not in the schema of the module (the manual's "CREATE FUNCTION")."""
    return _distinct((*names.index.managed.search_path, "dbo"))


def _distinct(path: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str.lower, path)))
