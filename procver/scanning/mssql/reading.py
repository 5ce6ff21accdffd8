"""One source, read: all decisions that analysis and rewriting share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from procver.errors import SourceError
from procver.objects import Managed, Note, Span
from procver.scanning.mssql.directives import Directives, nearest
from procver.scanning.mssql.followers import Follower, Piece, mark_verb
from procver.scanning.mssql.keywords import RESERVED
from procver.scanning.mssql.layout import Layout, read_layout
from procver.scanning.mssql.lexer import identifier, written_identifier
from procver.scanning.mssql.local import decide_locally
from procver.scanning.mssql.mentions import read_strings
from procver.scanning.mssql.names import Found, Names, index_of, label
from procver.scanning.mssql.refusals import too_deep
from procver.scanning.mssql.scopes import Findings
from procver.scanning.mssql.unit import Mark, Role, Unit
from procver.scanning.mssql.walker import Walker
from procver.scanning.tokens import positions


@dataclass(slots=True)
class Reading:
    """A source with every decision taken.

    Attributes:
        layout: its parts; the marks of its units are the references.
        names: what a name stands for.
        pieces: what is sent after the definition.
        findings: notes, fixed versions, recursion.
        directives: what its ``-- procver:`` comments say.
        words: every identifier in it, folded and as written.
        spans: the explicit references of a template.
    """

    layout: Layout
    names: Names
    pieces: list[Piece] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    directives: Directives = field(default_factory=Directives)
    words: dict[str, None] = field(default_factory=dict)
    spans: Sequence[Span] = ()

    def notes(self) -> tuple[Note, ...]:
        """Return what was left undecided, in the order of lines."""
        if not self.findings.notes and not self.layout.skipped:
            return ()
        covered = {self.names.exact(span.name) for span in self.spans}
        covered |= self.directives.requires.keys()
        found = [
            Note(finding.rule, finding.unit.line(finding.token), finding.message, finding.hint)
            for finding in self.findings.notes.values()
            if finding.rule != "string-mention" or finding.subject not in covered
        ]
        found += [
            Note(skipped.rule, skipped.unit.line(skipped.token), skipped.message, skipped.hint)
            for skipped in self.layout.skipped
        ]
        return tuple(sorted(found, key=lambda note: note.line))


def read(text: str, default_schema: str, managed: Managed, spans: Sequence[Span] = ()) -> Reading:
    """Read a source.

    Raises:
        SourceError: it cannot be published as it stands.
    """
    layout = read_layout(text, default_schema)
    reading = Reading(layout, Names(index_of(managed), layout.own), spans=spans)
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
        reading.directives.read(layout.file, self.names, self.default_schema)
        for name in reading.directives.requires:
            reading.words[name.leaf] = reading.words[name.leaf.lower()] = None
        candidates = {id(unit): self._candidates(unit) for unit in layout.units}
        self._definition(candidates[id(layout.unit)])
        follower = Follower(self.names, self.findings, self.default_schema)
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
        return frozenset(self.names.candidates(unit.distinct, "\n".join(found)))

    def _strings(self, unit: Unit) -> None:
        self.reading.words.update(read_strings(unit, self.names, self.findings))

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
            self._mark(unit, token, hit)

    def _mark(self, unit: Unit, token: int, hit: Found) -> None:
        if hit.name == self.layout.own.name:
            self.findings.recursive = True
            unit.marks[token] = Mark(Role.SELF, hit.name)
        else:
            unit.marks[token] = Mark(Role.REFERENCE, hit.name)

    # ---- explicit references -------------------------------------------------------------------

    def _explicit(self) -> None:
        for span in self.reading.spans:
            name = self.names.known(span.name.schema.lower(), span.name.leaf.lower())
            if name is None:
                raise SourceError(
                    f"{label(span.name)} is not managed by procver",
                    line=self.layout.file.line_at(span.start),
                    hint=nearest(span.name, self.names),
                )
            is_own = name == self.layout.own.name
            for unit in self.layout.units:
                if not unit.start <= span.start < unit.end:
                    continue
                inside = [
                    i
                    for i, (start, end) in enumerate(unit.spans())
                    if start >= span.start and end <= span.end
                ]
                for i in inside:
                    unit.marks.pop(i, None)
                if inside:
                    role = Role.SELF if is_own else Role.REFERENCE
                    unit.marks[inside[-1]] = Mark(role, name)
            self.findings.recursive = self.findings.recursive or is_own


def words(reading: Reading) -> str:
    """Return every identifier of the source, joined by newlines, reserved words left out."""
    found = reading.words
    for word in found.keys() & RESERVED:
        del found[word]
    found.pop("", None)
    return "\n".join(found)
