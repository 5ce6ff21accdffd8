"""The scanner for SQL Server: T-SQL, by a lexer of our own.

::

    lexer ── batches ── unit ── layout ── reading ──┬── shape ──── analyse
                                                    └── rewriting ─ rewrite

`layout` sorts the batches of a file: settings, the definition, what follows it. `reading` decides on
every name: where neighbours decide (`local`) at once, otherwise by the `walker`, which builds on
`level` and `decisions`. Names compare without case, and are returned as their own source writes
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from procver.objects import Analysis, Header, Managed, Name, Span, Statement
from procver.scanning.mssql import names

__all__ = ["MssqlScanner"]


class MssqlScanner:
    """A `procver.scanning.Scanner` for SQL Server 2017 and later, Azure SQL and Babelfish."""

    dialect = "mssql"
    ignores_case = True
    revision = 19

    # What reads sources is loaded when one is read: most commands find all of them in the cache.

    def unwrapped(self, text: str, default_schema: str) -> str:
        """Return a source whose definition stands in a string as if it were a batch of its own."""
        from procver.scanning.mssql.wrapped import unwrapped

        return unwrapped(text, default_schema)

    def header(self, text: str, default_schema: str) -> Header:
        """Return which object ``text`` defines.

        Raises:
            SourceError: none, or more than one.
        """
        from procver.scanning.mssql.layout import read_header

        return read_header(text, default_schema)

    def analyse(
        self, text: str, default_schema: str, managed: Managed, spans: Sequence[Span] = ()
    ) -> Analysis:
        """Return all that versioning needs to know of ``text``.

        Raises:
            SourceError: the file holds more than one object, cannot be read as T-SQL, or its
                object differs from another one in case only.
        """
        from procver.scanning.analysis import analysis
        from procver.scanning.mssql.definition import is_bound_early
        from procver.scanning.mssql.keywords import RESERVED
        from procver.scanning.mssql.reading import read
        from procver.scanning.mssql.rewriting import rewrite
        from procver.scanning.mssql.shape import Shape

        reading = read(text, default_schema, managed, spans)
        shape, layout = Shape(reading), reading.layout
        is_early = is_bound_early(layout.unit.folded, layout.definition)
        return analysis(
            reading,
            shape,
            text,
            lambda leafs: rewrite(reading, leafs),
            RESERVED,
            early=shape.references if is_early else (),
        )

    def rewrite(
        self,
        text: str,
        default_schema: str,
        managed: Managed,
        physical: Mapping[Name, str],
        spans: Sequence[Span] = (),
    ) -> tuple[Statement, ...]:
        """Return the batches to send, in order, with every reference made physical.

        Raises:
            SourceError: as for `analyse`, or the name of a trigger is too long with its suffix.
        """
        from procver.scanning.mssql.reading import read
        from procver.scanning.mssql.rewriting import rewrite
        from procver.scanning.stretches import statements

        reading = read(text, default_schema, managed, spans)
        return statements(reading.layout.file.text, rewrite(reading, physical))

    def overloads(self, text: str) -> list[tuple[str, ...]]:
        """Return nothing: T-SQL knows no overloads."""
        return []

    key = staticmethod(names.SPELLING.key)
    parse = staticmethod(names.parse)
    label = staticmethod(names.label)
    quote = staticmethod(names.quote)
    too_long = staticmethod(names.too_long)
