"""Names: reading and writing them, and which managed object a written name stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from procver.errors import UsageError
from procver.objects import Header, Kind, Managed, Name
from procver.scanning.postgresql.keywords import ALL, COL_NAME, NO_TABLE_NAME, RESERVED
from procver.scanning.postgresql.lexer import fold, identifier, is_simple, lex, lower

MAX_BYTES = 63
"""``NAMEDATALEN - 1``: the server cuts longer names with a mere NOTICE."""

ROUTINES = frozenset({Kind.FUNCTION, Kind.PROCEDURE})
RELATIONS = frozenset({Kind.VIEW, Kind.MATERIALIZED_VIEW})
_HAS_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def has_control(name: str) -> bool:
    """Return whether ``name`` holds a control character."""
    return _HAS_CONTROL.search(name) is not None


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


class Index:
    """The managed objects by the tokens that may stand for them.

    Args:
        managed: the set to be indexed; taken as immutable from here on.
    """

    def __init__(self, managed: Managed) -> None:
        self.managed = managed
        self.forms: dict[str, str] = {}
        for leaf in managed.by_leaf:
            for form in token_forms(leaf):
                self.forms[form] = leaf
        before, _, after = managed.suffix.partition("{version}")
        self.version = re.compile(
            rf"(.+){re.escape(before)}([1-9][0-9]{{0,8}}){re.escape(after)}", re.DOTALL
        )
        ending = rf"{re.escape(before)}[1-9][0-9]{{0,8}}{re.escape(after)}$"
        self.ending = re.compile(ending, re.MULTILINE)
        self.versions = re.compile(rf"^(.+){ending}", re.MULTILINE)


@lru_cache(maxsize=4)
def index_of(managed: Managed) -> Index:
    """Return the index of ``managed``, built once."""
    return Index(managed)


class Found(NamedTuple):
    """What a written name stands for: an object, or one version of it (``version`` set)."""

    name: Name
    version: int | None


class Names:
    """Resolution of the names of one source, on one search path.

    Args:
        index: the managed objects.
        own: the object that the source defines; it counts as managed.
        path: schemas for unqualified names, in order.
    """

    def __init__(self, index: Index, own: Header, path: Sequence[str]) -> None:
        self.index = index
        self.own = own
        self.path = tuple(path)
        self._kinds = index.managed.kinds
        self._own_forms = token_forms(own.name.leaf)

    def on(self, path: Sequence[str]) -> Names:
        """Return the same resolution on another search path."""
        return self if tuple(path) == self.path else Names(self.index, self.own, path)

    def candidates(self, distinct: Mapping[str, None], words: str) -> set[str]:
        """Return the tokens among ``distinct`` that may name something managed.

        Args:
            distinct: the folded tokens.
            words: their identifiers, joined by newlines.
        """
        found = self.index.forms.keys() & distinct.keys()
        found.update(form for form in self._own_forms if form in distinct)
        if self.index.ending.search(words) is None:
            return found
        for base in self.index.versions.findall(words):
            if base in self.index.managed.by_leaf or base == self.own.name.leaf:
                found.update(
                    token for token in distinct if self._versioned(identifier(token)) is not None
                )
                break
        return found

    def _versioned(self, leaf: str) -> tuple[str, int] | None:
        match = self.index.version.fullmatch(leaf)
        if match is None:
            return None
        base = match[1]
        if base not in self.index.managed.by_leaf and base != self.own.name.leaf:
            return None
        return base, int(match[2])

    def kind(self, name: Name) -> Kind | None:
        """Return the kind of a managed name, or None."""
        return self.own.kind if name == self.own.name else self._kinds.get(name)

    def _is(self, name: Name, kinds: frozenset[Kind]) -> bool:
        kind = self.kind(name)
        return kind is not None and kind in kinds

    def find(self, schema: str | None, leaf: str, kinds: frozenset[Kind]) -> Found | None:
        """Return what the name stands for among objects of ``kinds``, or None."""
        schemas = self.path if schema is None else (schema,)
        for at in schemas:
            if self._is(Name(at, leaf), kinds):
                return Found(Name(at, leaf), None)
        versioned = self._versioned(leaf)
        if versioned is not None:
            for at in schemas:
                if self._is(Name(at, versioned[0]), kinds):
                    return Found(Name(at, versioned[0]), versioned[1])
        return None

    def elsewhere(self, leaf: str, kinds: frozenset[Kind]) -> list[Name]:
        """Return the managed names of that leaf, whatever their schema."""
        named = self.index.managed.by_leaf.get(leaf, ())
        return [name for name in named if self._is(name, kinds)]
