"""``procver.lock``: which content each version number stands for.

One line per version, ``name kind number fingerprint``, sorted, in the spirit of go.sum. The file
lives in git, so numbers are the same everywhere and are given out with no database at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from procver.errors import LockError
from procver.objects import Kind

HEADER = '# procver.lock: written by "procver lock"; commit it, do not edit it.'

_KINDS = {kind.value: kind for kind in Kind}
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_RANGE = range(1, 10**9)
_FINGERPRINT = re.compile(r"v1:[0-9a-f]{64}")
_NEWER = re.compile(r"v[0-9]+:[0-9a-f]+")
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
_BY_HAND = "restore procver.lock from git (git checkout -- procver.lock), then run: procver lock"
_REBASE = "run: procver lock --base <main branch>, which keeps its numbers and gives out new ones"


class Entry(NamedTuple):
    """One version: ``name`` is a label, ``app.v`` or ``app."V x"``."""

    name: str
    kind: Kind
    number: int
    fingerprint: str


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
            name, _, number, fingerprint = entry
            self._by_fingerprint[name, fingerprint] = number
            held = self._versions.get(name)
            if held is None:
                self._versions[name] = {number: entry}
            else:
                held[number] = entry

    @classmethod
    def parse(cls, text: str, *, path: str = "procver.lock") -> Lock:
        """Return the lock that ``text`` holds.

        Lines may come in any order: two branches merged by git need not leave them sorted.

        Args:
            text: content of the file, with either end of line.
            path: what to call it in errors.

        Raises:
            LockError: conflict markers, a line that is no entry, or two lines that contradict
                each other; the message begins with ``path:line``.
        """
        entries: list[Entry] = []
        lines: list[int] = []
        valid = _FINGERPRINT.fullmatch
        for line, row in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            row = row.removesuffix("\r")
            if not row or row[0] == "#":
                continue
            try:
                name, word, digits, fingerprint = row.rsplit(" ", 3)
                kind = _KINDS[word]
                number = int(digits)
            except (ValueError, KeyError):
                raise _malformed(row, f"{path}:{line}") from None
            # str() of the number tells faster than a pattern: no sign, blank or leading zero.
            if not valid(fingerprint) or not name or str(number) != digits or number not in _RANGE:
                raise _malformed(row, f"{path}:{line}")
            entries.append(Entry(name, kind, number, fingerprint))
            lines.append(line)
        lock = cls(entries)
        if not len(entries) == len(lock._by_fingerprint) == sum(map(len, lock._versions.values())):
            raise _contradiction(entries, lines, path)
        return lock

    def render(self) -> str:
        """Return the file's content, sorted by name, then number, with Unix ends of line."""
        rows = [HEADER, *(f"{n} {k} {v} {f}" for n, k, v, f in self.entries), ""]
        return "\n".join(rows)

    @property
    def labels(self) -> list[str]:
        """Every name once, those with the highest numbers first."""
        return sorted(self._versions, key=lambda name: -max(self._versions[name]))

    def number(self, name: str, fingerprint: str) -> int | None:
        """Return the number that stands for this content of ``name``, or None."""
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
        """
        added: list[Entry] = []
        fresh: dict[tuple[str, str], Entry] = {}
        highest: dict[str, int] = {}
        for name, kind, fingerprint in wanted:
            if (name, fingerprint) in self._by_fingerprint or (name, fingerprint) in fresh:
                continue
            if name not in highest:
                highest[name] = max(self._versions.get(name, (0,)))
            highest[name] += 1
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


def _contradiction(entries: list[Entry], lines: list[int], path: str) -> LockError:
    """Return what is wrong with the first line that repeats or contradicts an earlier one."""
    numbers: dict[tuple[str, int], Entry] = {}
    contents: dict[tuple[str, str], int] = {}
    for entry, line in zip(entries, lines, strict=True):
        name, kind, number, fingerprint = entry
        first = numbers.setdefault((name, number), entry)
        what = f"{path}:{line}: {name} {number} is there twice"
        if first.fingerprint != fingerprint:
            what += ", with different content: two branches took the same number"
            return LockError(what, hint=_REBASE)
        if first.kind != kind:
            return LockError(f"{what}, as {first.kind} and as {kind}", hint=_BY_HAND)
        if first is not entry:
            return LockError(what, hint="delete one of the two lines, then run: procver lock")
        held = contents.setdefault((name, fingerprint), number)
        if held != number:
            break
    return LockError(
        f"{path}:{line}: {name} has the same content under two numbers, {held} and {number}",
        hint=_REBASE,
    )


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
            hint="upgrade procver to the version that wrote this file",
        )
    else:
        why = f"{fields[3]!r} is no fingerprint (v1: and 64 hexadecimal digits)"
    return LockError(f"{place}: {why}", hint=_BY_HAND)
