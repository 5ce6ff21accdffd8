"""What was read of each source, by content: unchanged sources need not be scanned again.

The cache is never a reason to fail: where it cannot be read or written, the command goes on
without. Nor to be wrong: rows carry a checksum, and an analysis counts only for the set of managed
objects it was made under, or for one that differs in no word of that source.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from hashlib import sha256
from math import nan
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from procver.objects import Analysis, Header, Managed
from procver.project.payload import Change, pack, unpack

FORMAT = 3
"""Counts up when the tables or the payload change; a file of another format is started anew."""

KEEP_DAYS = 30
"""Rows unused for this long are pruned."""

_TOUCH_DAYS = 7
_BUSY_SECONDS = 1.0
# AUTOINCREMENT: an id is never used again, so what was read by id can be written by id.
_SCHEMA = """
CREATE TABLE managed (id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT UNIQUE, names TEXT)
CREATE TABLE source (id INTEGER PRIMARY KEY AUTOINCREMENT, context TEXT, digest TEXT, \
managed INTEGER, used INTEGER, sum INTEGER, payload TEXT, UNIQUE (context, digest))
CREATE TABLE words (id INTEGER PRIMARY KEY, sum INTEGER, words TEXT)
CREATE TABLE recipe (id INTEGER PRIMARY KEY, sum INTEGER, recipe TEXT)
"""


class Cached(NamedTuple):
    """One row: ``analysis`` was made under the managed set that ``managed`` numbers."""

    row: int
    managed: int
    used: int
    header: Header
    analysis: Analysis


class Cache:
    """The cache file of a project.

    Args:
        path: the file, made with its directory when first written; commonly
            ``.procver/cache.sqlite3``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._usable = True
        self._latest: tuple[Managed, set[tuple[str, str, str]], str] | None = None
        self._today = int(time.time() // 86400)

    def load(self, context: str) -> dict[str, Cached]:
        """Return all rows of one context, by content digest; their words are left behind.

        Args:
            context: digest of everything besides content that a scan depends on.
        """
        found: dict[str, Cached] = {}
        rows = self._read(
            "SELECT id, managed, used, digest, sum, payload FROM source WHERE context = ?", context
        )
        good = [row for row in rows if row[4] == _sum(row[3], row[5])]
        try:
            # One parse of all is several times faster than one of each.
            payloads = json.loads("[" + ",".join([row[5] for row in good]) + "]")
            for (number, managed, used, digest, _, _), payload in zip(good, payloads, strict=True):
                found[digest] = Cached(number, managed, used, *unpack(payload))
        except (ValueError, TypeError, LookupError, RecursionError):
            self._discard()
            return {}
        return found

    def recipes(self, context: str) -> dict[str, tuple[int, str]]:
        """Return how to rewrite each source of one context, with its `recipe_sum`, by content digest.

        Another process may have stored one that was made under other managed objects: compare the sum.
        """
        rows = self._read(
            "SELECT s.digest, r.sum, r.recipe FROM source s JOIN recipe r USING (id)"
            " WHERE s.context = ?",
            context,
        )
        return {row[0]: (row[1], row[2]) for row in rows if isinstance(row[2], str)}

    def valid(self, rows: Mapping[str, Cached], managed: Managed) -> set[str]:
        """Return the digests of those rows whose analysis holds under ``managed``.

        Args:
            rows: what `load` found and the project uses.
            managed: the managed objects as they are now.
        """
        now, current = self._described(managed)
        sets = {row[0]: row[1] for row in self._read("SELECT id, digest FROM managed")}
        fit = {key for key, row in rows.items() if sets.get(row.managed) == current}
        others = {row.managed for key, row in rows.items() if key not in fit}
        if not others:
            return fit
        words = self._words()
        for number in others:
            then = self._managed(number)
            if then is None:
                continue
            # Names with their kinds, and schemas: a schema that is managed now may matter too.
            changed = {row[1] for row in now ^ then} | ({n[0] for n in now} ^ {n[0] for n in then})
            change = Change(changed, managed)
            fit.update(
                key
                for key, row in rows.items()
                if row.managed == number and row.row in words and not change.affects(words[row.row])
            )
        return fit

    def store(
        self,
        context: str,
        managed: Managed,
        fresh: Mapping[str, Analysis],
        kept: Collection[Cached],
    ) -> None:
        """Write what was analysed now, note what was used, prune what was not for long.

        Args:
            context: as for `load`.
            managed: the managed objects as they are now.
            fresh: new analyses, with their words, by content digest.
            kept: rows that were valid.
        """
        names, digest = self._described(managed)
        known = self._read("SELECT id FROM managed WHERE digest = ?", digest)
        number = known[0][0] if known else None
        oldest = self._today - _TOUCH_DAYS
        moved = [(row.row,) for row in kept if row.managed != number or row.used < oldest]
        if not fresh and not moved:
            return
        payloads = [(key, pack(analysis)) for key, analysis in fresh.items()]
        rows = [(context, key, self._today, _sum(key, text), text) for key, text in payloads]
        words = [(_sum("", a.words), a.words, context, key) for key, a in fresh.items()]
        recipes = [
            (recipe_sum(key, a, a.recipe), a.recipe, context, key) for key, a in fresh.items()
        ]
        connection = self._open(create=True)
        if connection is None:
            return
        try:
            with closing(connection):
                self._write(
                    connection, (digest, json.dumps(sorted(names))), moved, rows, words, recipes
                )
        except sqlite3.Error as error:
            self._failed(error)

    def _write(
        self,
        connection: sqlite3.Connection,
        managed: tuple[str, str],
        moved: Iterable[Sequence[int]],
        rows: Iterable[Sequence[object]],
        words: Iterable[Sequence[object]],
        recipes: Iterable[Sequence[object]],
    ) -> None:
        run, many = connection.execute, connection.executemany
        run("BEGIN IMMEDIATE")
        run("INSERT OR IGNORE INTO managed (digest, names) VALUES (?, ?)", managed)
        (number,) = run("SELECT id FROM managed WHERE digest = ?", managed[:1]).fetchone()
        values = f"managed = {number:d}, used = {self._today:d}"
        many(f"UPDATE source SET {values} WHERE id = ?", moved)
        many(
            "INSERT OR REPLACE INTO source (managed, context, digest, used, sum, payload)"
            f" VALUES ({number:d}, ?, ?, ?, ?, ?)",
            rows,
        )
        many(
            "INSERT OR REPLACE INTO words (id, sum, words)"
            " SELECT id, ?, ? FROM source WHERE context = ? AND digest = ?",
            words,
        )
        many(
            "INSERT OR REPLACE INTO recipe (id, sum, recipe)"
            " SELECT id, ?, ? FROM source WHERE context = ? AND digest = ?",
            recipes,
        )
        run("DELETE FROM source WHERE used < ?", (self._today - KEEP_DAYS,))
        run("DELETE FROM words WHERE id NOT IN (SELECT id FROM source)")
        run("DELETE FROM recipe WHERE id NOT IN (SELECT id FROM source)")
        run("DELETE FROM managed WHERE id NOT IN (SELECT managed FROM source)")
        run("COMMIT")

    def _described(self, managed: Managed) -> tuple[set[tuple[str, str, str]], str]:
        """Return the names of a managed set and their digest; asked for twice in a row, it is made once."""
        if self._latest is None or self._latest[0] is not managed:
            names = _names(managed)
            self._latest = managed, names, _digest(names)
        return self._latest[1:]

    def _words(self) -> dict[int, str]:
        rows = self._read("SELECT id, sum, words FROM words")
        return {row[0]: row[2] for row in rows if row[1] == _sum("", row[2])}

    def _managed(self, number: int) -> set[tuple[str, str, str]] | None:
        try:
            ((digest, names),) = self._read(
                "SELECT digest, names FROM managed WHERE id = ?", number
            )
            found = {(schema, leaf, kind) for schema, leaf, kind in json.loads(names)}
        except (ValueError, TypeError, RecursionError):
            return None
        return found if _digest(found) == digest else None

    def _read(self, query: str, *arguments: object) -> list[Any]:
        """Return all rows, or none where the cache is missing or of no use."""
        connection = self._open(create=False)
        if connection is None:
            return []
        try:
            with closing(connection):
                return connection.execute(query, arguments).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self._failed(error)
            return []

    def _open(self, *, create: bool) -> sqlite3.Connection | None:
        if not self._usable:
            return None
        try:
            if not self._path.is_file():
                # What is there instead, such as a named pipe, sqlite would wait for.
                if not create or os.path.lexists(self._path):
                    return None
                _make_directory(self._path.parent)
            connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version == FORMAT:
                    return connection
                if create and version == 0:
                    _make_tables(connection)
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
            if version != 0:
                self._discard()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
        return None

    def _failed(self, error: Exception) -> None:
        """Go on without: for good when it cannot be used, from an empty one when it is broken."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        broken = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
        if isinstance(error, OSError) or code not in broken:
            self._usable = False
        else:
            self._discard()

    def _discard(self) -> None:
        self._usable = False
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            self._path.with_name(self._path.name + "-journal").unlink(missing_ok=True)
            self._usable = True


def _make_directory(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / ".gitignore").exists():  # the embedded server makes the directory too
        (directory / ".gitignore").write_text("*\n", encoding="utf-8")


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:  # else another process was faster
        for statement in _SCHEMA.strip().split("\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def _names(managed: Managed) -> set[tuple[str, str, str]]:
    return {(name.schema, name.leaf, kind.value) for name, kind in managed.kinds.items()}


def _digest(names: set[tuple[str, str, str]]) -> str:
    return sha256(json.dumps(sorted(names)).encode()).hexdigest()


def recipe_sum(digest: str, analysis: Analysis, recipe: str) -> float:
    """Return a checksum that tells whether a recipe goes with an analysis of the content ``digest``."""
    return _sum(f"{digest}{analysis.shape}{analysis.references}", recipe)


def _sum(key: object, text: object) -> float:
    """Return a checksum; one that equals nothing for what is not text."""
    if not isinstance(key, str) or not isinstance(text, str):
        return nan
    return crc32(text.encode(), crc32(key.encode()))
