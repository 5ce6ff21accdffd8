"""Statements that clear the way for the object or hold its place: DROP of it and its parts, stubs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from procver.objects import Header, Kind, Name
from procver.scanning.marks import Finding
from procver.scanning.mssql.definition import KINDS, read_head
from procver.scanning.mssql.lexer import (
    fold,
    identifier,
    is_string,
    lex,
    string_value,
    written_identifier,
)
from procver.scanning.mssql.names import label, same
from procver.scanning.mssql.refusals import refused
from procver.scanning.mssql.script import Step
from procver.scanning.mssql.unit import Unit
from procver.scanning.tokens import closing

_MODULES = frozenset({*KINDS, "trigger"})
_OF_RELATIONS = frozenset({"index", "statistics"})


class Subject(NamedTuple):
    """The object of a source, with its triggers.

    Attributes:
        own: the object.
        triggers: those that the file defines.
        default_schema: the schema of names without one.
    """

    own: Header
    triggers: tuple[Name, ...]
    default_schema: str

    def is_own(self, parts: Sequence[str]) -> bool:
        """Return whether a name of one or two parts is the object's."""
        return self._is(parts, self.own.name)

    def is_trigger(self, parts: Sequence[str]) -> bool:
        """Return whether a name of one or two parts is that of a trigger of the object."""
        return any(self._is(parts, trigger) for trigger in self.triggers)

    def _is(self, parts: Sequence[str], name: Name) -> bool:
        if len(parts) not in (1, 2):
            return False
        return same(Name((self.default_schema, *parts)[-2], parts[-1]), name)


def is_removal(toks: Sequence[str], leaf: Step) -> bool:
    """Return whether a statement drops an object, a trigger, an index or statistics."""
    noun = toks[leaf.lo + 1] if leaf.lo + 1 < leaf.hi else ""
    return leaf.word == "drop" and (noun in _MODULES or noun in _OF_RELATIONS)


def removal(unit: Unit, leaf: Step, subject: Subject) -> Finding:
    """Return the remark that a DROP is left out.

    Raises:
        SourceError: it drops something other than the object or a part of it.
    """
    toks = unit.folded
    noun = toks[leaf.lo + 1]
    what = label(subject.own.name)
    why = "its earlier versions stay"
    if noun in _OF_RELATIONS:
        owners = _owners(toks, leaf, noun)
        is_view = subject.own.kind is Kind.VIEW
        is_ours = is_view and bool(owners) and all(map(subject.is_own, owners))
        what, why = f"{noun} on {what}", "a new version has none"
    else:
        names = dropped_names(toks, leaf.lo, leaf.hi)
        is_ours = len(names) == 1
        if noun == "trigger":
            is_ours = all(map(subject.is_trigger, names))
            what, why = f"a trigger of {what}", "each version has triggers of its own"
        elif is_ours:
            is_ours = subject.is_own(names[0])
    if not is_ours:
        raise refused(unit, leaf.lo, leaf.hi)
    return Finding(
        unit,
        leaf.lo,
        "drop-skipped",
        f"DROP of {what} is left out: {why}",
        "delete the statement, or keep it for your own tools",
    )


def stub(unit: Unit, leaf: Step) -> int | None:
    """Return the string of an EXEC that runs a literal CREATE; None for another statement."""
    for i in range(leaf.lo + 1, min(leaf.lo + 8, leaf.hi)):
        if is_string(unit.folded[i]):
            words = list(map(fold, lex(string_value(unit.folded[i]))))  # without comments
            return i if len(words) > 2 and words[0] == "create" else None
    return None


def check_stub(unit: Unit, token: int, subject: Subject) -> None:
    """Check that what a string creates is defined by the file as well.

    Raises:
        SourceError: it is something else.
    """
    written = lex(string_value(unit.folded[token]))
    head = read_head(list(map(fold, written)), 0, len(written))
    parts = [written_identifier(written[i]) for i in head.name] if head else []
    is_trigger = head is not None and head.kind is None
    if not (subject.is_trigger(parts) if is_trigger else subject.is_own(parts)):
        what = "a trigger" if is_trigger else "something else"
        than = "that the file does not define" if is_trigger else f"than {label(subject.own.name)}"
        raise unit.error(
            token,
            f"this EXEC creates {what} {than}",
            "write the trigger as a batch of its own, after its view"
            if is_trigger
            else "write each object in a file of its own",
        )


def dropped_names(toks: Sequence[str], lo: int, hi: int) -> list[list[str]]:
    """Return the names, as folded parts, that the DROP statement at tokens [lo, hi) drops."""
    return [_parts(toks, *item) for item in _items(toks, lo, hi)]


def _parts(toks: Sequence[str], lo: int, hi: int) -> list[str]:
    parts: list[str] = []
    i = lo
    while i < hi:
        if toks[i] == "(":
            i = closing(toks, i, hi)
        elif identifier(toks[i]):
            parts.append(identifier(toks[i]))
        elif toks[i] != ".":
            parts += [""] * 3
        i += 1
    return parts


def _items(toks: Sequence[str], lo: int, hi: int) -> list[tuple[int, int]]:
    """Return the items of a DROP statement, as stretches of tokens."""
    i = lo + 2
    if list(toks[i : i + 2]) == ["if", "exists"]:
        i += 2
    found, start = [], i
    while i < hi:
        if toks[i] == ",":
            found.append((start, i))
            start = i + 1
        elif toks[i] == "(":
            i = closing(toks, i, hi)
        i += 1
    return [*found, (start, hi)]


def _owners(toks: Sequence[str], leaf: Step, noun: str) -> list[list[str]]:
    """Return the relations whose indexes or statistics a DROP statement drops."""
    found: list[list[str]] = []
    for lo, hi in _items(toks, leaf.lo, leaf.hi):
        after = next((i for i in range(lo, hi) if toks[i] == "on"), -1)
        if after >= 0 and noun == "index":
            end = next((i for i in range(after, hi) if toks[i] == "with"), hi)
            found.append(_parts(toks, after + 1, end))
        else:
            found.append(_parts(toks, lo, hi)[:-1])
    return found
