"""The words of procver as data: names, kinds, notes, what a scan of a source yields."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a managed object is. The value is the word used in lock, registry, mapping and JSON."""

    FUNCTION = "function"
    PROCEDURE = "procedure"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized_view"
    TABLE_TYPE = "table_type"

    @property
    def is_routine(self) -> bool:
        """True for what is called: functions and procedures."""
        return self in (Kind.FUNCTION, Kind.PROCEDURE)

    @property
    def is_relation(self) -> bool:
        """True for what is selected from: views of both sorts."""
        return self in (Kind.VIEW, Kind.MATERIALIZED_VIEW)


class Name(NamedTuple):
    """A schema and a leaf, each as the database keeps it: folded where it was not quoted."""

    schema: str
    leaf: str


class Header(NamedTuple):
    """What the first lines of a source say: which object it defines."""

    name: Name
    kind: Kind


class Note(NamedTuple):
    """Something the scanner saw and could not decide, for a person to read.

    ``rule`` is a short stable word (``dynamic-sql``, ``whole-row``); ``line`` counts from 1 in
    the scanned text; ``hint`` says what to write.
    """

    rule: str
    line: int
    message: str
    hint: str


class Span(NamedTuple):
    """An explicit reference, ``{{ ref('app.v') }}`` of a template, at [start, end) of the text."""

    start: int
    end: int
    name: Name


class Analysis(NamedTuple):
    """All that versioning needs to know of one source, given the names that are managed.

    Attributes:
        name: the object's logical name.
        kind: what it is.
        shape: SHA-256, in hex, of the session settings and significant tokens, each reference
            replaced by its index in ``references``, each own name by a mark of its own.
        references: managed objects it refers to, distinct, in order of first appearance, without
            itself; those of ``requires`` and of explicit spans included.
        recursive: whether it refers to itself.
        fixed: mentions of what looks like a version (``app.v_1``): left as they are; they are
            pins if the lock knows that number, ordinary names otherwise.
        pins: from ``-- procver: pin app.v = 2``.
        revision: from ``-- procver: revision 3``; 0 without one.
        notes: what was left undecided.
        recipe: the rewriting with holes for numbers (`procver.scanning.recipes`), over ``name``, then
            ``references``; empty if the source must be read again for a rewriting.
        words: every distinct folded identifier of the source, joined by newlines: the analysis
            stays valid while no name among them becomes, or ceases to be, managed.
        early: of a routine, the references that its creation looks up (the types of its signature, a
            body that is bound at once); it looks up the others when it runs.
    """

    name: Name
    kind: Kind
    shape: str
    references: tuple[Name, ...] = ()
    recursive: bool = False
    fixed: tuple[tuple[Name, int], ...] = ()
    pins: tuple[tuple[Name, int], ...] = ()
    revision: int = 0
    notes: tuple[Note, ...] = ()
    words: str = ""
    recipe: str = ""
    early: tuple[Name, ...] = ()

    @property
    def needed(self) -> tuple[Name, ...]:
        """The references that must exist before the object can be created."""
        return self.early if self.kind.is_routine else self.references


class Edit(NamedTuple):
    """Replace [start, end) of the source text by ``text``."""

    start: int
    end: int
    text: str


SETTING, DEFINITION, AFTER = "setting", "definition", "after"
"""Roles of a statement: a session setting before the definition, the definition itself (each overload is
one), and what follows it: grants, comments, indexes."""


class Statement(NamedTuple):
    """One rewritten statement (or batch), ready to be sent.

    Attributes:
        text: what is sent.
        start: where the statement starts in the source text.
        edits: what was replaced, in order, as offsets into the source text.
        role: `SETTING`, `DEFINITION` or `AFTER`.
    """

    text: str
    start: int
    edits: tuple[Edit, ...] = ()
    role: str = DEFINITION

    def locate(self, position: int) -> int:
        """Return the offset in the source text of offset ``position`` in ``text``."""
        shift = 0
        for edit in self.edits:
            begin = edit.start - self.start + shift
            if position < begin:
                break
            if position < begin + len(edit.text):
                return edit.start
            shift += len(edit.text) - (edit.end - edit.start)
        return position + self.start - shift


class Managed:
    """The set of managed objects, as the scanner asks for it.

    Args:
        kinds: every managed name with its kind; names folded as the dialect folds them.
        search_path: schemas in which an unqualified name is looked up, first match wins.
        suffix: the pattern of physical names, ``"_{version}"``.
        databases: what the sources call our own database, in names such as ``Shop.dbo.v``.
    """

    __slots__ = ("by_leaf", "databases", "kinds", "schemas", "search_path", "suffix")

    def __init__(
        self,
        kinds: Mapping[Name, Kind],
        search_path: Sequence[str],
        suffix: str = "_{version}",
        databases: Sequence[str] = (),
    ) -> None:
        self.kinds = dict(kinds)
        self.search_path = tuple(search_path)
        self.suffix = suffix
        self.databases = tuple(databases)
        self.by_leaf: dict[str, list[Name]] = {}
        for name in self.kinds:
            self.by_leaf.setdefault(name.leaf, []).append(name)
        self.schemas = {name.schema for name in self.kinds}


def physical_leaf(leaf: str, version: int, suffix: str = "_{version}") -> str:
    """Return the leaf of version ``version`` of an object, unquoted: ``spFindAllThings_3``."""
    return leaf + suffix.replace("{version}", str(version))


class LineIndex:
    """Offsets to line numbers of one text, by bisection.

    Args:
        text: the text whose line feeds are counted.
    """

    def __init__(self, text: str) -> None:
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def line(self, offset: int) -> int:
        """Return the line, from 1, on which ``offset`` lies."""
        return bisect_right(self._starts, offset)
