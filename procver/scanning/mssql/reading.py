"""One source, read: all decisions that analysis and rewriting share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from procver.objects import Managed, Span
from procver.scanning import analysis
from procver.scanning.marks import Findings, Mark, Role
from procver.scanning.mssql.followers import Follower, Piece, mark_verb
from procver.scanning.mssql.layout import Layout, read_layout
from procver.scanning.mssql.lexer import directive_comments, identifier, written_identifier
from procver.scanning.mssql.local import decide_locally
from procver.scanning.mssql.mentions import read_strings
from procver.scanning.mssql.names import SPELLING, index_of, label, names_of
from procver.scanning.mssql.removals import Subject
from procver.scanning.mssql.unit import Unit
from procver.scanning.mssql.walker import Walker
from procver.scanning.refusals import too_deep
from procver.scanning.tokens import positions


@dataclass(slots=True, kw_only=True)
class Reading(analysis.Reading):
    """A source with every decision taken.

    Attributes:
        layout: its parts; the marks of its units are the references.
        pieces: what is sent after the definition.
    """

    layout: Layout
    pieces: list[Piece] = field(default_factory=list)


def read(text: str, default_schema: str, managed: Managed, spans: Sequence[Span] = ()) -> Reading:
    """Read a source.

    Raises:
        SourceError: it cannot be published as it stands.
    """
    layout = read_layout(text, default_schema)
    # Its own source may spell its name otherwise than the project has always done.
    known = index_of(managed).names.get(SPELLING.key(layout.own.name))
    if known is not None:
        layout.own = layout.own._replace(name=known)
    reading = Reading(
        names=names_of(managed, layout.own),
        findings=Findings(layout.own.name),
        spans=spans,
        skipped=layout.skipped,
        layout=layout,
    )
    _refuse_clash(reading)
    try:
        _Reader(reading, default_schema).read()
    except RecursionError:
        raise too_deep() from None
    return reading


def _refuse_clash(reading: Reading) -> None:
    clash = reading.names.index.clashes.get(reading.names.own_key)
    if clash:
        layout = reading.layout
        raise layout.unit.error(
            layout.definition.name[-1],
            f"{' and '.join(map(label, clash))} differ in case only: to SQL Server they are one name",
            "rename one of them",
        )


class _Reader:
    def __init__(self, reading: Reading, default_schema: str) -> None:
        self.reading = reading
        self.layout = reading.layout
        self.names = reading.names
        self.findings = reading.findings
        self.default_schema = default_schema

    def read(self) -> None:
        reading, layout = self.reading, self.layout
        for comment in directive_comments(layout.file.text):
            line = layout.file.line_at(comment.start)
            reading.directives.read(
                comment.text, line, self.names, self.default_schema, self.names.path
            )
        for name in reading.directives.requires:
            reading.words[name.leaf] = reading.words[name.leaf.lower()] = None
        candidates = {id(unit): self._candidates(unit) for unit in layout.units}
        self._definition(candidates[id(layout.unit)])
        subject = Subject(layout.own, layout.triggers, self.default_schema)
        follower = Follower(self.names, self.findings, subject)
        for following in layout.following:
            pieces = follower.read(following, candidates[id(following.unit)])
            reading.pieces += pieces
            if following.trigger is not None or (pieces and following.step.word == "if"):
                self._strings(following.unit)
        self._explicit()

    def _candidates(self, unit: Unit) -> frozenset[str]:
        """Return the candidates among the tokens of ``unit``, and remember its words."""
        found = dict.fromkeys(map(identifier, unit.distinct))
        found.pop("", None)
        words = self.reading.words
        words.update(found)
        words.update(dict.fromkeys(map(written_identifier, unit.spellings)))
        words.pop("", None)
        return frozenset(self.names.candidates(unit.distinct, "\n".join(found)))

    def _strings(self, unit: Unit) -> None:
        self.reading.words.update(
            read_strings(unit, self.names, self.findings, self.layout.triggers)
        )

    def _definition(self, candidates: frozenset[str]) -> None:
        unit, definition = self.layout.unit, self.layout.definition
        own = self.layout.own.name
        unit.marks[definition.name[-1]] = Mark(Role.OWN, own)
        mark_verb(unit, definition.altered, definition.dropped, own)
        self._strings(unit)
        lo, hi = definition.after, definition.hi
        at = positions(unit.folded, candidates, lo, hi)
        if not at:
            return
        found = decide_locally(unit, self.names, at)
        if found is None:
            walker = Walker(unit, self.names, candidates, self.findings, (lo, hi))
            walker.read(lo, hi, declaring=True)
            return
        for token, hit in found.items():
            self.findings.use(unit, token, hit)

    # ---- explicit references -------------------------------------------------------------------

    def _explicit(self) -> None:
        for span in self.reading.spans:
            name = self.names.known(span.name.schema.lower(), span.name.leaf.lower())
            if name is None:
                raise self.names.unmanaged(span.name, self.layout.file.line_at(span.start))
            for unit in self.layout.units:
                if not unit.start <= span.start < unit.end:
                    continue
                self.findings.explicit(unit, unit.inside(span.start, span.end), name)
            self.findings.recursive = self.findings.recursive or name == self.layout.own.name
