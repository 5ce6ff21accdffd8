"""``procver.lock``: which content each version number stands for.

One line per version, ``name kind number fingerprint``, sorted, in the spirit of go.sum. The file
lives in git, so numbers are the same everywhere and are given out with no database at hand.
A version under a physical name of its own adds ``as physical.name``, and the file then begins
with its format's number, 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from procver.errors import LockError
from procver.objects import Kind

HEADER = '# procver.lock: written by "procver lock"; commit it, do not edit it.'
FORMAT_2 = "# procver.lock 2"
"""First line of a file in which a version has a physical name of its own."""

_KINDS = {kind.value: kind for kind in Kind}
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_RANGE = range(1, 10**9)
_FINGERPRINT = re.compile(r"v1:[0-9a-f]{64}")
_NEWER = re.compile(r"v[0-9]+:[0-9a-f]+")
_FORMAT = re.compile(r"# procver\.lock ([0-9]+)")
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
_PART = r"""(?:"(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\]|[^\s."\[\]]+)"""
_NAME = rf"{_PART}(?:\.{_PART})*"
_NAMED = (
    rf"({_NAME}) ({'|'.join(_KINDS)}) ([1-9][0-9]{{0,8}}) ({_FINGERPRINT.pattern}) as ({_NAME})"
)
_BY_HAND = "restore procver.lock from git (git checkout -- procver.lock), then run: procver lock"
_UPGRADE = "upgrade procver to the version that wrote this file"
_REBASE = "run: procver lock --base <main branch>, which keeps its numbers and gives out new ones"


class Entry(NamedTuple):
    """One version: ``name`` is a label, ``app.v`` or ``app."V x"``.

    ``physical`` is its quoted name in the database where the project's suffix does not give it.
    """

    name: str
    kind: Kind
    number: int
    fingerprint: str
    physical: str | None = None


_ORDER = itemgetter(0, 2)


class Lock:
    """An immutable set of entries, by name and number.

    Args:
        entries: in any order, without contradictions (`parse` checks what comes from a file).
    """

    __slots__ = ("_by_fingerprint", "_versions", "entries")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = tuple(sorted(entries, key=_ORDER))
        self._by_fingerprint: dict[tuple[str, str], int] = {}
        self._versions: dict[str, dict[int, Entry]] = {}
        for entry in self.entries:
            name, _, number, fingerprint, _ = entry
            self._by_fingerprint.setdefault((name, fingerprint), number)
            held = self._versions.get(name)
            if held is None:
                self._versions[name] = {number: entry}
            else:
                held[number] = entry

    @classmethod
    @lru_cache(maxsize=8)  # one command reads the same content several times
    def parse(cls, text: str, *, path: str = "procver.lock") -> Lock:
        """Return the lock that ``text`` holds.

        Lines may come in any order: two branches merged by git need not leave them sorted.

        Args:
            text: content of the file, with either end of line.
            path: what to call it in errors.

        Raises:
            LockError: conflict markers, a line that is not an entry, two lines that contradict
                each other, or a format newer than 2; the message begins with ``path:line``.
        """
        entries, lines = read_entries(enumerate(rows(text), 1), path)
        lock = cls(entries)
        if len(entries) != sum(map(len, lock._versions.values())):
            raise _contradiction(entries, lines, path)
        return lock

    def render(self) -> str:
        """Return the file's content, sorted by name, then number, with Unix ends of line."""
        lines = [HEADER]
        for name, kind, number, fingerprint, physical in self.entries:
            if physical is None:
                lines.append(f"{name} {kind} {number} {fingerprint}")
            else:
                lines.append(f"{name} {kind} {number} {fingerprint} as {physical}")
                lines[0] = f"{FORMAT_2}\n{HEADER}"
        return "\n".join([*lines, ""])

    @property
    def labels(self) -> list[str]:
        """Every name once, those with the highest numbers first."""
        return sorted(self._versions, key=lambda name: -max(self._versions[name]))

    def number(self, name: str, fingerprint: str) -> int | None:
        """Return the lowest number that stands for this content of ``name``, or None."""
        return self._by_fingerprint.get((name, fingerprint))

    def entry(self, name: str, number: int) -> Entry | None:
        """Return the entry of version ``number`` of ``name``, or None."""
        held = self._versions.get(name)
        return None if held is None else held.get(number)

    def fingerprint(self, name: str, number: int) -> str | None:
        """Return what version ``number`` of ``name`` stands for, or None."""
        entry = self.entry(name, number)
        return None if entry is None else entry.fingerprint

    def kind(self, name: str, number: int) -> Kind | None:
        """Return the kind of version ``number`` of ``name``, or None."""
        entry = self.entry(name, number)
        return None if entry is None else entry.kind

    def latest(self, name: str) -> Entry | None:
        """Return the entry of the highest number of ``name``, or None."""
        held = self._versions.get(name)
        return None if held is None else held[max(held)]

    def versions(self, name: str) -> tuple[Entry, ...]:
        """Return all entries of ``name``, lowest number first."""
        return tuple(self._versions.get(name, {}).values())

    def extended(self, wanted: Iterable[tuple[str, Kind, str]]) -> tuple[Lock, tuple[Entry, ...]]:
        """Return a lock that also holds ``wanted``, and the entries that were added.

        A content that is there already keeps its number, so A -> B -> A needs no third; anything
        else takes the highest number of its name plus one.

        Args:
            wanted: label, kind and fingerprint of each object.

        Raises:
            LockError: no number is left.
        """
        added: list[Entry] = []
        fresh: dict[tuple[str, str], Entry] = {}
        highest: dict[str, int] = {}
        for name, kind, fingerprint in wanted:
            if (name, fingerprint) in self._by_fingerprint or (name, fingerprint) in fresh:
                continue
            if name not in highest:
                highest[name] = max(self._versions.get(name, (0,)))
            highest[name] = following(name, highest[name])
            entry = Entry(name, kind, highest[name], fingerprint)
            fresh[name, fingerprint] = entry
            added.append(entry)
        if not added:
            return self, ()
        return Lock((*self.entries, *added)), tuple(sorted(added, key=_ORDER))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lock) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"<Lock of {len(self.entries)} versions of {len(self._versions)} objects>"


def following(name: str, number: int) -> int:
    """Return the number after ``number``.

    Raises:
        LockError: no number is left for ``name``.
    """
    if number + 1 not in _RANGE:
        raise LockError(
            f"no number is left for {name}: procver.lock gives {number} to one of its versions",
            hint=_BY_HAND,
        )
    return number + 1


def rows(text: str) -> list[str]:
    """Return the lines of a lock file, with either end of line and without a byte order mark."""
    return [row.removesuffix("\r") for row in text.removeprefix("\ufeff").split("\n")]


def read_entries(
    numbered: Iterable[tuple[int, str]], path: str, damaged: list[LockError] | None = None
) -> tuple[list[Entry], list[int]]:
    """Return the entries of numbered lines, and the number of each one's line.

    Args:
        numbered: the lines; empty ones and comments are left out.
        path: what to call the file in errors.
        damaged: takes the errors of lines that are not entries; None to raise them.

    Raises:
        LockError: a line is not an entry, or the format is newer than 2.
    """
    entries: list[Entry] = []
    lines: list[int] = []
    valid = _FINGERPRINT.fullmatch
    for line, row in numbered:
        if not row or row[0] == "#":
            found = _FORMAT.match(row)
            if found and int(found[1][:9]) > 2:
                raise LockError(
                    f"{path}:{line}: format {found[1]} is of a newer procver", hint=_UPGRADE
                )
            continue
        try:
            name, word, digits, fingerprint = row.rsplit(" ", 3)
            kind = _KINDS[word]
            number = int(digits)
        except (ValueError, KeyError):
            number = 0
        # str() of the number tells faster than a pattern: no sign, blank or leading zero.
        if number in _RANGE and valid(fingerprint) and name and str(number) == digits:
            entries.append(Entry(name, kind, number, fingerprint))
        elif named := re.fullmatch(_NAMED, row):
            name, word, digits, fingerprint, physical = named.groups()
            entries.append(Entry(name, _KINDS[word], int(digits), fingerprint, physical))
        elif damaged is None:
            raise _malformed(row, f"{path}:{line}")
        else:
            damaged.append(_malformed(row, f"{path}:{line}"))
            continue
        lines.append(line)
    return entries, lines


def _contradiction(entries: list[Entry], lines: list[int], path: str) -> LockError:
    """Return an error about the first line that repeats or contradicts an earlier one."""
    numbers: dict[tuple[str, int], Entry] = {}
    for entry, line in zip(entries, lines, strict=True):
        first = numbers.setdefault((entry.name, entry.number), entry)
        if first is entry:
            continue
        what = f"{path}:{line}: {entry.name} {entry.number} is there twice"
        if first.fingerprint != entry.fingerprint:
            what += ", with different content: two branches took the same number"
            return LockError(what, hint=_REBASE)
        if first.kind != entry.kind:
            return LockError(f"{what}, as {first.kind} and as {entry.kind}", hint=_BY_HAND)
        if first.physical != entry.physical:
            return LockError(f"{what}, under two physical names", hint=_BY_HAND)
        return LockError(what, hint="delete one of the two lines, then run: procver lock")
    raise AssertionError("no contradiction")


def _malformed(row: str, place: str) -> LockError:
    if row.startswith(_CONFLICT):
        return LockError(f"{place}: unresolved git conflict ({row[:7]})", hint=_REBASE)
    fields = row.rsplit(" ", 3)
    if len(fields) < 4 or not fields[0]:
        why = "not of the form 'name kind number fingerprint'"
    elif fields[1] not in _KINDS:
        why = f"{fields[1]!r} is no kind of object ({', '.join(_KINDS)})"
    elif not _NUMBER.fullmatch(fields[2]):
        why = f"{fields[2]!r} is no version number (1 to 999999999, no leading zero)"
    elif _NEWER.fullmatch(fields[3]) and not fields[3].startswith("v1:"):
        return LockError(
            f"{place}: fingerprint {fields[3].partition(':')[0]} is of a newer procver",
            hint=_UPGRADE,
        )
    else:
        why = f"{fields[3]!r} is no fingerprint (v1: and 64 hexadecimal digits)"
    return LockError(f"{place}: {why}", hint=_BY_HAND)
