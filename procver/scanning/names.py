"""Which managed object a written name stands for: the same search in every dialect.

How names are spelled and compared is the dialect's (`Spelling`). What is found is always the name as
the object's own source writes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from procver.errors import SourceError
from procver.objects import Header, Kind, Managed, Name

_HAS_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def has_control(name: str) -> bool:
    """Return whether ``name`` holds a control character."""
    return _HAS_CONTROL.search(name) is not None


class Spelling(NamedTuple):
    """How a dialect reads, writes and compares names.

    Attributes:
        parse: the name that a text stands for, given the schema of names without one.
        label: the canonical text of a name.
        forms: the folded tokens that stand for an identifier.
        identifier: the identifier for which a folded token stands, ``""`` for none.
        compared: an identifier or pattern of identifiers, as names compare.
        item: one name of a list in a directive.
        example: the schema of the names in examples.
    """

    parse: Callable[[str, str], Name]
    label: Callable[[Name], str]
    forms: Callable[[str], tuple[str, ...]]
    identifier: Callable[[str], str]
    compared: Callable[[str], str]
    item: re.Pattern[str]
    example: str

    def key(self, name: Name) -> Name:
        """Return ``name`` as names compare."""
        return Name(self.compared(name.schema), self.compared(name.leaf))


class Found(NamedTuple):
    """What a written name stands for: an object, or one version of it (``version`` set)."""

    name: Name
    version: int | None


class Index:
    """The managed objects, by how names compare and by the tokens that may stand for them.

    Args:
        managed: the set to be indexed; taken as immutable from here on.
        spelling: how names compare.

    Attributes:
        names: name as names compare, to the name as its source writes it.
        clashes: the names that are one to the server.
        leaves: leaf as leafs compare, to the names of that leaf.
        forms: the tokens that may name something managed.
        databases: names of our own database, as they compare.
        version: the leaf and the number of a name with a version in it.
        version_end: finds out quickly whether any of the words, one on a line, is such a name.
        version_bases: gives the leafs of those that are.
    """

    def __init__(self, managed: Managed, spelling: Spelling) -> None:
        self.managed = managed
        self.spelling = spelling
        self.names: dict[Name, Name] = {}
        self.clashes: dict[Name, list[Name]] = {}
        self.leaves: dict[str, list[Name]] = {}
        for name in managed.kinds:
            key = spelling.key(name)
            if key in self.names:
                self.clashes.setdefault(key, [self.names[key]]).append(name)
            else:
                self.names[key] = name
                self.leaves.setdefault(key.leaf, []).append(name)
        self.forms = dict.fromkeys(form for leaf in self.leaves for form in spelling.forms(leaf))
        self.databases = frozenset(map(spelling.compared, managed.databases))
        before, _, after = map(re.escape, spelling.compared(managed.suffix).partition("{version}"))
        number = "[1-9][0-9]{0,8}"
        self.version = re.compile(f"(.+){before}({number}){after}", re.DOTALL)
        self.version_end = re.compile(f"{before}{number}{after}$", re.MULTILINE)
        self.version_bases = re.compile(f"^(.+){before}{number}{after}$", re.MULTILINE)


class Names:
    """Resolution of the names of one source.

    Args:
        index: the managed objects.
        own: the object that the source defines; it counts as managed.
        path: schemas in which a name without one is looked up, as names compare, in order.
    """

    def __init__(self, index: Index, own: Header, path: Sequence[str]) -> None:
        self.index = index
        self.own = own
        self.own_key = index.spelling.key(own.name)
        self.path = tuple(path)
        self._own_forms = index.spelling.forms(own.name.leaf)

    def on(self, path: Sequence[str]) -> Names:
        """Return the same resolution on another search path."""
        return self if tuple(path) == self.path else Names(self.index, self.own, path)

    def candidates(self, distinct: Mapping[str, None], words: str) -> set[str]:
        """Return the tokens among ``distinct`` that may name something managed.

        Args:
            distinct: the folded tokens.
            words: their identifiers, joined by newlines.
        """
        index = self.index
        found = index.forms.keys() & distinct.keys()
        found.update(form for form in self._own_forms if form in distinct)
        if index.version_end.search(words) is None:
            return found
        for base in index.version_bases.findall(words):
            if base in index.leaves or base == self.own_key.leaf:
                identifier = index.spelling.identifier
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
        """Return the managed name that equals (``schema``, ``leaf``), both as they compare, or None."""
        key = Name(schema, leaf)
        return self.own.name if key == self.own_key else self.index.names.get(key)

    def exact(self, name: Name) -> Name:
        """Return ``name`` as its own source writes it; as it is, if it is not managed."""
        return self.known(*self.index.spelling.key(name)) or name

    def kind(self, name: Name) -> Kind:
        """Return the kind of a managed name."""
        return self.own.kind if name == self.own.name else self.index.managed.kinds[name]

    def find(self, schema: str | None, leaf: str, kinds: frozenset[Kind]) -> Found | None:
        """Return what a name stands for among objects of ``kinds``, or None.

        Args:
            schema: as schemas compare; none, or an empty one (``db..v``), means the search path.
            leaf: as leafs compare.
            kinds: what the place of the name allows.
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
        """Return the managed names of that leaf, whatever their schema."""
        return [name for name in self.index.leaves.get(leaf, ()) if self.kind(name) in kinds]

    def unmanaged(self, name: Name, line: int) -> SourceError:
        """Return the error that ``name`` is not managed, with those that look most like it."""
        label, index = self.index.spelling.label, self.index
        near = [label(found) for found in index.leaves.get(index.spelling.key(name).leaf, ())]
        near = near or get_close_matches(label(name), map(label, index.managed.kinds), 3)
        hint = "there is no source for it: check the spelling, or add one"
        if near:
            hint = "did you mean " + " or ".join(near[:3]) + "?"
        return SourceError(f"{label(name)} is not managed by procver", line=line, hint=hint)
