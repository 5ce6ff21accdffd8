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

from procver.objects import Analysis, Header, Managed, Name, Note, Span, Statement
from procver.scanning import recipes
from procver.scanning.postgresql import names
from procver.scanning.postgresql.layout import read_header
from procver.scanning.postgresql.reading import Reading, read, words
from procver.scanning.postgresql.rewriting import rewrite
from procver.scanning.postgresql.shape import Shape
from procver.scanning.stretches import statements

__all__ = ["PostgresqlScanner"]


class PostgresqlScanner:
    """A `procver.scanning.Scanner` for PostgreSQL 14 to 18."""

    dialect = "postgresql"
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
            SourceError: the file holds more than one object, or cannot be read as SQL.
        """
        reading = read(text, default_schema, managed, spans)
        shape = Shape(reading)
        references = shape.references
        for name in (*(span.name for span in spans), *reading.directives.requires):
            if name != reading.layout.own.name:
                references.setdefault(name, len(references))
        own = reading.layout.own.name
        recipe = recipes.make(
            text, (own, *references), managed.suffix, lambda leafs: rewrite(reading, leafs)
        )
        return Analysis(
            name=own,
            kind=reading.layout.own.kind,
            shape=shape.digest(),
            references=tuple(references),
            recursive=reading.findings.recursive,
            fixed=tuple(sorted(reading.findings.fixed)),
            pins=tuple(reading.directives.pins.items()),
            revision=reading.directives.revision,
            notes=_notes(reading),
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
        """Return the statements to send, in order, with every reference made physical.

        Raises:
            SourceError: as for `analyse`, or the name of an index is too long with its suffix.
        """
        reading = read(text, default_schema, managed, spans)
        return statements(reading.unit.text, rewrite(reading, physical))

    def parse(self, text: str, default_schema: str) -> Name:
        """Return the name that ``text`` (``app.v``, ``"V"``) stands for.

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
        """Return why ``leaf`` cannot be an identifier of PostgreSQL, or None."""
        return names.too_long(leaf)


def _notes(reading: Reading) -> tuple[Note, ...]:
    covered = {span.name for span in reading.spans} | reading.directives.requires.keys()
    return reading.findings.as_notes(covered)
