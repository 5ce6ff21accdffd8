"""Several locks made into one, so that a number that any of them assigned means one content."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from procver.errors import LockError
from procver.lock import Entry, Lock, following, read_entries, rows

_MARKER = re.compile(r"(<{7,}|={7,}|>{7,}|\|{7,})(?: .*)?")
_MARKED = re.compile(r"^(?:<{7}|={7}|>{7}|\|{7})", re.MULTILINE)


class Conflict(NamedTuple):
    """The entries of a file that may hold conflict markers; those outside of them count as ours."""

    ours: Sequence[Entry] = ()
    theirs: Sequence[Entry] = ()
    base: Sequence[Entry] = ()
    marked: bool = False


class Move(NamedTuple):
    """A content that lost its number to another side's."""

    entry: Entry
    number: int


class Settled(NamedTuple):
    """A lock, the entries that are new in it, and the contents that got another number."""

    lock: Lock
    added: tuple[Entry, ...]
    moved: tuple[Move, ...]


def read_conflict(text: str, path: str, damaged: list[LockError] | None = None) -> Conflict:
    """Return the entries of both sides of a conflict, and of their ancestor where it is shown.

    Args:
        text: content of the file, with or without markers in git's styles merge, diff3 and zdiff3.
        path: what to call it in errors.
        damaged: takes the errors of lines that are neither entries nor markers; None to raise them.

    Raises:
        LockError: a line is neither an entry nor a marker, or the format is newer than 2.
    """
    if not _MARKED.search(text):
        with suppress(LockError):  # a damaged file is read line by line
            return Conflict(Lock.parse(text, path=path).entries)
    sides: dict[str, list[tuple[int, str]]] = {"<": [], "=": [], "|": []}
    side, size, marked = "<", 0, False
    for line, row in enumerate(rows(text), 1):
        marker = _MARKER.fullmatch(row)
        if marker is None:
            sides[side].append((line, row))
            continue
        sign, length = marker[1][0], len(marker[1])
        marked = True
        if sign == "<" and not size:
            side, size = "<", length
        elif length == size:  # others belong to a conflict within the ancestor
            side, size = ("<", 0) if sign == ">" else (sign, size)
    ours, theirs, base = (read_entries(sides[sign], path, damaged)[0] for sign in "<=|")
    return Conflict(ours, theirs, base, marked)


def merged(entries: Iterable[Entry]) -> Lock:
    """Return a lock in which every number means one content, and no entry's content is lost.

    Args:
        entries: of all sides, in the order in which a contested number stays with its content.
            The other contents get numbers above those of all sides.

    Raises:
        LockError: no number is left.
    """
    numbers: dict[tuple[str, int], Entry] = {}
    contents: set[tuple[str, str]] = set()
    highest: dict[str, int] = {}
    displaced: list[Entry] = []
    for entry in entries:
        name, number = entry.name, entry.number
        held = numbers.setdefault((name, number), entry)
        if held.fingerprint != entry.fingerprint:
            displaced.append(entry)
            continue
        if held.physical is None and entry.physical is not None:
            numbers[name, number] = entry
        contents.add((name, entry.fingerprint))
        highest[name] = max(highest.get(name, 0), number)
    for entry in displaced:
        name = entry.name
        if (name, entry.fingerprint) not in contents:
            contents.add((name, entry.fingerprint))
            number = highest[name] = following(name, highest[name])
            numbers[name, number] = entry._replace(number=number)
    return Lock(numbers.values())


def settle(
    whole: Lock,
    kept: Sequence[Entry],
    wanted: Iterable[tuple[str, str]] = (),
    pinned: Iterable[tuple[str, int]] = (),
) -> Settled:
    """Return the part of a merged lock that one file needs.

    Args:
        whole: all sides' entries, from `merged`, with a number for all that is wanted.
        kept: entries whose numbers and contents stay.
        wanted: name and fingerprint of further contents that need a number.
        pinned: name and number of further entries that stay.
    """
    numbers = {(entry.name, entry.number) for entry in kept}.union(pinned)
    contents = {(entry.name, entry.fingerprint) for entry in kept}.union(wanted)
    stay = [entry for entry in whole if (entry.name, entry.number) in numbers]
    there = {(entry.name, entry.fingerprint) for entry in stay}
    added: dict[tuple[str, str], Entry] = {}
    for entry in whole:
        content = entry.name, entry.fingerprint
        if content in contents and content not in there:
            added.setdefault(content, entry)
    lock = Lock((*stay, *added.values()))
    moved: dict[Entry, Move] = {}
    for entry in kept:
        if lock.fingerprint(entry.name, entry.number) != entry.fingerprint:
            number = lock.number(entry.name, entry.fingerprint)
            assert number is not None  # its content is in the lock
            moved[entry] = Move(entry, number)
    return Settled(lock, tuple(added.values()), tuple(moved.values()))
