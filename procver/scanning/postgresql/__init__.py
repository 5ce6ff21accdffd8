"""The scanner for PostgreSQL: SQL and PL/pgSQL, by a lexer of our own.

::

    lexer ── unit ── layout ── reading ──┬── shape ──── analyse
                                         └── rewriting ─ rewrite

`reading` decides on every name of a source: where neighbours decide (`local`) at once, otherwise
by the walker, whose parts build on each other: `walker`, `expressions`, `queries`, `statements`,
`plpgsql`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from procver.objects import Analysis, Header, Managed, Name, Span, Statement
from procver.scanning.postgresql import names

__all__ = ["PostgresqlScanner"]


class PostgresqlScanner:
    """A `procver.scanning.Scanner` for PostgreSQL 14 to 18."""

    dialect = "postgresql"
    ignores_case = False
    revision = 4

    # What reads sources is loaded when one is read: most commands find all of them in the cache.

    def unwrapped(self, text: str, default_schema: str) -> str:
        """Return the source as it is."""
        return text

    def header(self, text: str, default_schema: str) -> Header:
        """Return which object ``text`` defines.

        Raises:
            SourceError: none, or more than one.
        """
        from procver.scanning.postgresql.layout import read_header

        return read_header(text, default_schema)

    def analyse(
        self, text: str, default_schema: str, managed: Managed, spans: Sequence[Span] = ()
    ) -> Analysis:
        """Return all that versioning needs to know of ``text``.

        Raises:
            SourceError: the file holds more than one object, or cannot be read as SQL.
        """
        from procver.scanning.analysis import analysis
        from procver.scanning.postgresql.keywords import RESERVED
        from procver.scanning.postgresql.reading import read
        from procver.scanning.postgresql.rewriting import rewrite
        from procver.scanning.postgresql.shape import Shape

        reading = read(text, default_schema, managed, spans)
        return analysis(
            reading,
            Shape(reading),
            text,
            lambda leafs: rewrite(reading, leafs),
            RESERVED,
            early={mark.name for mark in reading.unit.marks.values()},
        )

    def rewrite(
        self,
        text: str,
        default_schema: str,
        managed: Managed,
        physical: Mapping[Name, str],
        spans: Sequence[Span] = (),
    ) -> tuple[Statement, ...]:
        """Return the statements to send, in order, with every reference made physical.

        Raises:
            SourceError: as for `analyse`, or the name of an index is too long with its suffix.
        """
        from procver.scanning.postgresql.reading import read
        from procver.scanning.postgresql.rewriting import rewrite
        from procver.scanning.stretches import statements

        reading = read(text, default_schema, managed, spans)
        return statements(reading.unit.text, rewrite(reading, physical))

    def overloads(self, text: str) -> list[tuple[str, ...]]:
        """Return the types of the input arguments of each routine in ``text``."""
        from procver.scanning.postgresql.arguments import overloads

        return overloads(text)

    key = staticmethod(names.SPELLING.key)
    parse = staticmethod(names.parse)
    label = staticmethod(names.label)
    quote = staticmethod(names.quote)
    too_long = staticmethod(names.too_long)
