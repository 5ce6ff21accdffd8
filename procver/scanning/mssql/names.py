"""Names: reading and writing them, and which managed object a written name stands for.

Names compare without case, as in SQL Server's default collations; what is found is always the
name as the object's own source writes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

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
_HAS_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def has_control(name: str) -> bool:
    """Return whether ``name`` holds a control character."""
    return _HAS_CONTROL.search(name) is not None


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


def folded(name: Name) -> Name:
    """Return ``name`` as names compare."""
    return Name(name.schema.lower(), name.leaf.lower())


def same(one: Name, other: Name) -> bool:
    """Return whether two names are one to the server."""
    return folded(one) == folded(other)


def token_forms(leaf: str) -> tuple[str, ...]:
    """Return the folded tokens that stand for the identifier ``leaf``."""
    low = leaf.lower()
    if not is_word(low) or low in RESERVED:
        return (delimited(low),)
    return (low, delimited(low)) if low in ALL else (low,)


class Index:
    """The managed objects, by how names compare and by the tokens that may stand for them.

    Args:
        managed: the set to be indexed; taken as immutable from here on.
    """

    def __init__(self, managed: Managed) -> None:
        self.managed = managed
        self.names: dict[Name, Name] = {}
        self.clashes: dict[Name, list[Name]] = {}
        self.leaves: dict[str, list[Name]] = {}
        self.forms: dict[str, str] = {}
        for name in managed.kinds:
            key = folded(name)
            if key in self.names:
                self.clashes.setdefault(key, [self.names[key]]).append(name)
            else:
                self.names[key] = name
                self.leaves.setdefault(key.leaf, []).append(name)
        for leaf in self.leaves:
            for form in token_forms(leaf):
                self.forms[form] = leaf
        before, _, after = managed.suffix.lower().partition("{version}")
        self.version = re.compile(
            rf"(.+){re.escape(before)}([1-9][0-9]{{0,8}}){re.escape(after)}", re.DOTALL
        )
        self.version_ends = re.compile(
            rf"{re.escape(before)}[1-9][0-9]{{0,8}}{re.escape(after)}$", re.MULTILINE
        )


@lru_cache(maxsize=4)
def index_of(managed: Managed) -> Index:
    """Return the index of ``managed``, built once."""
    return Index(managed)


class Found(NamedTuple):
    """What a written name stands for: an object, or one version of it (``version`` set)."""

    name: Name
    version: int | None


class Names:
    """Resolution of the names of one source.

    A name without schema is looked up in the schema of the module that holds it, then on the
    search path, then in ``dbo`` (the manual's "CREATE PROCEDURE", "EXECUTE").

    Args:
        index: the managed objects.
        own: the object that the source defines; it counts as managed.
    """

    def __init__(self, index: Index, own: Header) -> None:
        self.index = index
        self.own = own
        self.own_key = folded(own.name)
        path = (own.name.schema, *index.managed.search_path, "dbo")
        self.path = tuple(dict.fromkeys(schema.lower() for schema in path))
        self._own_forms = token_forms(own.name.leaf)

    def candidates(self, distinct: Mapping[str, None], words: str) -> set[str]:
        """Return the tokens among ``distinct`` that may name something managed.

        Args:
            distinct: the folded tokens.
            words: their identifiers, joined by newlines.
        """
        found = self.index.forms.keys() & distinct.keys()
        found.update(form for form in self._own_forms if form in distinct)
        for end in self.index.version_ends.finditer(words):
            base = words[words.rfind("\n", 0, end.start()) + 1 : end.start()]
            if base in self.index.leaves or base == self.own_key.leaf:
                found.update(
                    token for token in distinct if self._versioned(identifier(token)) is not None
                )
                break
        return found

    def _versioned(self, leaf: str) -> tuple[str, int] | None:
        match = self.index.version.fullmatch(leaf)
        if match is None or not (match[1] in self.index.leaves or match[1] == self.own_key.leaf):
            return None
        return match[1], int(match[2])

    def known(self, schema: str, leaf: str) -> Name | None:
        """Return the managed name that equals (``schema``, ``leaf``), both folded, or None."""
        key = Name(schema, leaf)
        return self.own.name if key == self.own_key else self.index.names.get(key)

    def exact(self, name: Name) -> Name:
        """Return ``name`` as its own source writes it; as it is, if it is not managed."""
        return self.known(name.schema.lower(), name.leaf.lower()) or name

    def kind(self, name: Name) -> Kind:
        """Return the kind of a managed name."""
        return self.own.kind if name == self.own.name else self.index.managed.kinds[name]

    def find(self, schema: str | None, leaf: str, kinds: frozenset[Kind]) -> Found | None:
        """Return what the folded name stands for among objects of ``kinds``, or None.

        An empty schema (``db..v``) is looked up as none is.
        """
        schemas: Sequence[str] = (schema,) if schema else self.path
        for at in schemas:
            name = self.known(at, leaf)
            if name is not None and self.kind(name) in kinds:
                return Found(name, None)
        versioned = self._versioned(leaf)
        if versioned is not None:
            for at in schemas:
                name = self.known(at, versioned[0])
                if name is not None and self.kind(name) in kinds:
                    return Found(name, versioned[1])
        return None

    def elsewhere(self, leaf: str, kinds: frozenset[Kind]) -> list[Name]:
        """Return the managed names of that folded leaf, whatever their schema."""
        return [name for name in self.index.leaves.get(leaf, ()) if self.kind(name) in kinds]
