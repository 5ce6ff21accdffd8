"""Reading SQL: one scanner per dialect, all with the shape of `Scanner`.

A scanner is pure: text in, data out. It never sees a disk or a database, and it holds no state
between calls, so its results may be cached by content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from procver.errors import ConfigError
from procver.objects import Analysis, Header, Managed, Name, Span, Statement


class Scanner(Protocol):
    """What procver asks of a reader of SQL."""

    dialect: str
    """``postgresql`` or ``mssql``."""

    ignores_case: bool
    """Whether names that differ in case only are one name."""

    revision: int
    """Counts up whenever the same text would be read differently: part of every cache key."""

    def unwrapped(self, text: str, default_schema: str) -> str:
        """Return the source to be read instead of ``text``: the same lines, without what a tool has wrapped it in."""

    def header(self, text: str, default_schema: str) -> Header:
        """Return which object ``text`` defines, reading no further than its name.

        Raises:
            SourceError: nothing is defined, or something that is not versioned (a table, a
                trigger, data); ``line`` is set, ``file`` is left to the caller.
        """

    def analyse(
        self, text: str, default_schema: str, managed: Managed, spans: Sequence[Span] = ()
    ) -> Analysis:
        """Return all that versioning needs to know of ``text``.

        Raises:
            SourceError: the file holds more than one object, or cannot be read as SQL.
        """

    def rewrite(
        self,
        text: str,
        default_schema: str,
        managed: Managed,
        physical: Mapping[Name, str],
        spans: Sequence[Span] = (),
    ) -> tuple[Statement, ...]:
        """Return the statements to send, in order, with every reference made physical.

        Args:
            text: the source, as it was analysed.
            default_schema: the schema of names without one.
            managed: the managed names, as at the analysis.
            spans: explicit references of a template.
            physical: for the object itself and for each of its references, the unquoted leaf of
                the version that is meant.
        """

    def key(self, name: Name) -> Name:
        """Return ``name`` as names compare: two with one key are one name to the server."""

    def parse(self, text: str, default_schema: str) -> Name:
        """Return the name that ``text`` (``app.v``, ``"V"``) stands for.

        Raises:
            UsageError: it is no name of at most two parts.
        """

    def label(self, name: Name) -> str:
        """Return the canonical text of a name, quoted only where it must be; `parse` reads it."""

    def quote(self, name: Name) -> str:
        """Return ``name`` for use in SQL text, quoted where needed."""

    def overloads(self, text: str) -> list[tuple[str, ...]]:
        """Return the types of the input arguments of each routine in ``text``; nothing without overloads."""

    def too_long(self, leaf: str) -> str | None:
        """Return why ``leaf`` cannot be an identifier of this dialect, or None."""


def scanner_for(dialect: str) -> Scanner:
    """Return the scanner of ``dialect``.

    Raises:
        ConfigError: there is no such dialect.
    """
    if dialect == "postgresql":
        from procver.scanning.postgresql import PostgresqlScanner

        return PostgresqlScanner()
    if dialect == "mssql":
        from procver.scanning.mssql import MssqlScanner

        return MssqlScanner()
    raise ConfigError(
        f"unknown dialect {dialect!r}", hint="set dialect in procver.toml to postgresql or mssql"
    )
