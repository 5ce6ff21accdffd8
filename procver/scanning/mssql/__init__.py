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
from procver.scanning import recipes
from procver.scanning.mssql import names
from procver.scanning.mssql.layout import read_header
from procver.scanning.mssql.reading import read, words
from procver.scanning.mssql.rewriting import rewrite
from procver.scanning.mssql.shape import Shape
from procver.scanning.stretches import statements

__all__ = ["MssqlScanner"]


class MssqlScanner:
    """A `procver.scanning.Scanner` for SQL Server 2017 and later, Azure SQL and Babelfish."""

    dialect = "mssql"
    revision = 1

    def header(self, text: str, default_schema: str) -> Header:
        """Return which object ``text`` defines, reading little more than its name.

        Raises:
            SourceError: nothing is defined, or something that is not versioned.
        """
        return read_header(text, default_schema)

    def analyse(
        self, text: str, default_schema: str, managed: Managed, spans: Sequence[Span] = ()
    ) -> Analysis:
        """Return all that versioning needs to know of ``text``.

        Raises:
            SourceError: the file holds more than one object, cannot be read as T-SQL, or its
                object differs from another one in case only.
        """
        reading = read(text, default_schema, managed, spans)
        own = reading.layout.own
        shape = Shape(reading)
        references = shape.references
        explicit = (reading.names.exact(span.name) for span in spans)
        for name in (*explicit, *reading.directives.requires):
            if name != own.name:
                references.setdefault(name, len(references))
        recipe = recipes.make(
            text, (own.name, *references), managed.suffix, lambda leafs: rewrite(reading, leafs)
        )
        return Analysis(
            name=own.name,
            kind=own.kind,
            shape=shape.digest(),
            references=tuple(references),
            recursive=reading.findings.recursive,
            fixed=tuple(sorted(reading.findings.fixed)),
            pins=tuple(reading.directives.pins.items()),
            revision=reading.directives.revision,
            notes=reading.notes(),
            words=words(reading),
            recipe=recipe,
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
        reading = read(text, default_schema, managed, spans)
        return statements(reading.layout.file.text, rewrite(reading, physical))

    def parse(self, text: str, default_schema: str) -> Name:
        """Return the name that ``text`` (``dbo.v``, ``[a.b]``) stands for, its case kept.

        Raises:
            UsageError: it is no name of at most two parts.
        """
        return names.parse(text, default_schema)

    def label(self, name: Name) -> str:
        """Return the canonical text of a name, quoted only where it must be; `parse` reads it."""
        return names.label(name)

    def quote(self, name: Name) -> str:
        """Return ``name`` for use in SQL text, quoted where needed."""
        return names.quote(name)

    def too_long(self, leaf: str) -> str | None:
        """Return why ``leaf`` cannot be an identifier of SQL Server, or None."""
        return names.too_long(leaf)
