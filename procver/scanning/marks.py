"""Decisions on tokens, and what else reading a source brings up."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from procver.objects import Name, Note
from procver.scanning.names import Found


class Role(Enum):
    """What becomes of a token."""

    REFERENCE = "reference"
    OWN = "own"
    """The object's own name where it is defined or described."""
    SELF = "self"
    """The object's own name where it is used: a recursive call."""
    INDEX = "index"
    """The name of an index of the object: it gets the suffix of the version. (PostgreSQL)"""
    TRIGGER = "trigger"
    """The name of a trigger of the object: it gets the suffix of the version. (SQL Server)"""
    TEXT = "text"
    """A string literal that is, whole, the object's own name: ``@level1name = N'spFoo'``."""
    TRIGGER_TEXT = "trigger-text"
    """A string literal that is, whole, the name of a trigger of the object."""
    DROPPED = "dropped"
    """Left out, with the blanks after it: OR REPLACE, OR ALTER, IF NOT EXISTS."""
    CREATE = "create"
    """ALTER, sent as CREATE."""


class Mark(NamedTuple):
    """A decision on one token."""

    role: Role
    name: Name


class Marked(Protocol):
    """A lexed text with the decisions taken on its tokens."""

    marks: dict[int, Mark]

    def line(self, index: int) -> int:
        """Return the line of the file on which token ``index`` starts."""


class Finding(NamedTuple):
    """A note whose line is not known yet."""

    unit: Marked
    token: int
    rule: str
    message: str
    hint: str
    subject: Name | None = None


class Findings:
    """What reading a source brings up beside the marks on its tokens.

    Args:
        own: the object that it defines.

    Attributes:
        notes: what was left undecided; one of each rule for each subject.
        fixed: mentions of what looks like a version.
        recursive: whether the object refers to itself.
    """

    def __init__(self, own: Name) -> None:
        self.own = own
        self.notes: dict[tuple[str, object], Finding] = {}
        self.fixed: dict[tuple[Name, int], None] = {}
        self.recursive = False

    def note(
        self,
        unit: Marked,
        token: int,
        rule: str,
        message: str,
        hint: str,
        subject: Name | None = None,
    ) -> None:
        """Remember a note; one of each rule for each subject."""
        key = (rule, subject if subject is not None else message)
        self.notes.setdefault(key, Finding(unit, token, rule, message, hint, subject))

    def use(
        self, unit: Marked, token: int, found: Found, *, describing: bool = False
    ) -> Name | None:
        """Mark a token as a use of what was found.

        Args:
            unit: the text.
            token: which of its tokens.
            found: what the token stands for.
            describing: whether the text is about the object itself (GRANT, COMMENT): its name is
                no recursive use there.

        Returns:
            the object; None for a fixed version, which is left as it is.
        """
        name = found.name
        if found.version is not None:
            self.fixed[(name, found.version)] = None
            return None
        if name != self.own:
            unit.marks[token] = Mark(Role.REFERENCE, name)
        elif describing:
            unit.marks[token] = Mark(Role.OWN, name)
        else:
            self.recursive = True
            unit.marks[token] = Mark(Role.SELF, name)
        return name

    def explicit(self, unit: Marked, inside: Sequence[int], name: Name) -> None:
        """Mark the last of the tokens ``inside`` an explicit reference; it overrides all of them."""
        for token in inside:
            unit.marks.pop(token, None)
        if inside:
            role = Role.SELF if name == self.own else Role.REFERENCE
            unit.marks[inside[-1]] = Mark(role, name)

    def as_notes(
        self, covered: Container[Name | None], others: Iterable[Finding] = ()
    ) -> tuple[Note, ...]:
        """Return the notes in the order of their lines, ``others`` included.

        Args:
            covered: names that are said explicitly, so that their mention in a string needs no note.
            others: what is to be said besides.
        """
        found = [
            Note(rule, unit.line(token), message, hint)
            for unit, token, rule, message, hint, subject in (*self.notes.values(), *others)
            if rule != "string-mention" or subject not in covered
        ]
        return tuple(sorted(found, key=lambda note: note.line))
