"""One source, read: all decisions that analysis and rewriting share."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from procver.objects import Managed, Span
from procver.scanning import analysis
from procver.scanning.marks import Findings, Mark, Role
from procver.scanning.names import Names
from procver.scanning.postgresql.definition import (
    SCANNED_LANGUAGES,
    Definition,
    Routine,
    is_placeholder,
    read_routine,
)
from procver.scanning.postgresql.followers import Follower
from procver.scanning.postgresql.layout import Layout, read_layout
from procver.scanning.postgresql.lexer import identifier, is_string, special_comments
from procver.scanning.postgresql.local import decide_locally
from procver.scanning.postgresql.mentions import read_hints, read_strings
from procver.scanning.postgresql.names import index_of, label, token_forms
from procver.scanning.postgresql.plpgsql import Plpgsql, variables
from procver.scanning.postgresql.refusals import (
    refuse_escapes,
    refuse_unreadable,
    refused_trigger_function,
)
from procver.scanning.postgresql.temporary import temporary
from procver.scanning.postgresql.unicode import decode_names
from procver.scanning.postgresql.unit import Unit
from procver.scanning.refusals import refuse_nul, too_deep
from procver.scanning.scopes import Scope
from procver.scanning.tokens import positions

_TRIGGER_TYPES = frozenset({"trigger", "event_trigger"})


@dataclass(slots=True, kw_only=True)
class Reading(analysis.Reading):
    """A source with every decision taken.

    Attributes:
        unit: the file; its marks, and those of the bodies in it, are the references.
        layout: its statements.
        bodies: token of ``unit`` to the unit that was lexed from its content. (The bodies know
            their parent, so this must not be in the parent: cycles are dear to collect.)
    """

    unit: Unit
    layout: Layout
    bodies: dict[int, Unit] = field(default_factory=dict)


def read(text: str, default_schema: str, managed: Managed, spans: Sequence[Span] = ()) -> Reading:
    """Read a source.

    Raises:
        SourceError: it cannot be published as it stands.
    """
    refuse_nul(text, "PostgreSQL")
    unit = Unit(text)
    layout = read_layout(unit, default_schema)
    path = managed.search_path if layout.path is None else layout.path
    names = Names(index_of(managed), layout.own, path)
    findings = Findings(layout.own.name)
    reading = Reading(names=names, findings=findings, unit=unit, layout=layout, spans=spans)
    try:
        _Reader(reading, default_schema, managed.search_path).read()
    except RecursionError:
        raise too_deep() from None
    return reading


class _Reader:
    def __init__(self, reading: Reading, default_schema: str, search_path: Sequence[str]) -> None:
        self.reading = reading
        self.unit = reading.unit
        self.names = reading.names
        self.findings = reading.findings
        self.own = reading.layout.own
        self.default_schema = default_schema
        self.search_path = search_path
        self.candidates = self._candidates(self.unit)
        self.follower = Follower(self.unit, self.names, self.candidates, self.findings)

    def read(self) -> None:
        layout = self.reading.layout
        self._comments(self.unit)
        for definition in layout.definitions:
            self._definition(definition)
        for lo, hi in layout.following:
            self.follower.read(lo, hi)
        for lo, _ in layout.drops:
            self.findings.note(
                self.unit,
                lo,
                "drop-skipped",
                f"DROP of {label(self.own.name)} is left out: its earlier versions stay",
                "delete the statement, or keep it for your own tools",
            )
        for unit in (self.unit, *self.reading.bodies.values()):
            if unit.hints:
                read_hints(unit, self.names, self.findings)
        self._explicit()

    def _candidates(self, unit: Unit) -> frozenset[str]:
        """Return the candidates among the tokens of ``unit``, and remember its words."""
        decode_names(unit, self.names, self.findings)
        distinct = unit.distinct
        found = list(filter(None, map(identifier, distinct)))
        self.reading.words.update(dict.fromkeys(found))
        return frozenset(self.names.candidates(distinct, "\n".join(found)))

    def _strings(
        self,
        unit: Unit,
        names: Names,
        lo: int,
        hi: int,
        *,
        is_raw: bool = False,
        hidden: Container[str] = (),
    ) -> None:
        found = read_strings(unit, names, self.findings, lo, hi, is_raw=is_raw, hidden=hidden)
        self.reading.words.update(found)

    def _comments(self, unit: Unit) -> None:
        comments = special_comments(unit.text)
        if not comments:
            return
        for comment in comments:
            if comment.text.startswith("/*"):
                before = unit.hints.get(comment.token, "")
                unit.hints[comment.token] = f"{before}{comment.text}"
            else:
                line = unit.line_at(comment.start)
                self.reading.directives.read(
                    comment.text, line, self.names, self.default_schema, self.search_path
                )

    # ---- definitions -------------------------------------------------------------------------

    def _definition(self, definition: Definition) -> None:
        unit, own = self.unit, self.own.name
        unit.marks[definition.name[-1]] = Mark(Role.OWN, own)
        for token in definition.dropped:
            unit.marks[token] = Mark(Role.DROPPED, own)
        if definition.kind.is_routine:
            self._routine(definition)
        else:
            self._view(definition)

    def _view(self, definition: Definition) -> None:
        unit, toks = self.unit, self.unit.folded
        depth, lo = 0, definition.after
        while lo < definition.hi and (depth or toks[lo] != "as"):
            depth += (toks[lo] == "(") - (toks[lo] == ")")
            lo += 1
        hi = definition.hi
        if toks[hi - 3 : hi] == ["with", "no", "data"] or toks[hi - 2 : hi] == ["check", "option"]:
            hi -= 3
            hi -= toks[hi] in ("cascaded", "local")
        elif toks[hi - 2 : hi] == ["with", "data"]:
            hi -= 2
        lo += 1
        if is_placeholder(toks, definition):
            self.findings.note(
                unit,
                lo,
                "placeholder-view",
                "every column of this view is a typed NULL, as pg_dump writes for a view in a"
                " cycle",
                "write the definition that follows later in the dump",
            )
        self._strings(unit, self.names, lo, hi)
        at = positions(toks, self.candidates, lo, hi)
        if not at or (not definition.recursive and self._locally(unit, self.names, at)):
            return
        walker = Plpgsql(unit, self.names, self.candidates, self.findings, part=(lo, hi))
        if definition.recursive:
            walker.itself = toks[definition.name[-1]]
        walker.query(lo, hi, Scope(None))

    def _locally(self, unit: Unit, names: Names, at: list[int]) -> bool:
        found = decide_locally(unit, names, at)
        if found is None:
            return False
        for token, hit in found.items():
            self.findings.use(unit, token, hit)
        return True

    def _routine(self, definition: Definition) -> None:
        unit, toks = self.unit, self.unit.folded
        routine = read_routine(toks, definition)
        returned = routine.returns
        if returned >= 0 and toks[returned : returned + 2] == ["pg_catalog", "."]:
            returned += 2
        if 0 <= returned < definition.hi and toks[returned] in _TRIGGER_TYPES:
            raise refused_trigger_function(unit, definition.lo)
        at = positions(toks, self.candidates, definition.after, definition.hi)
        has_code = routine.atomic is not None or routine.result is not None
        if at or has_code:
            self._signature(definition, routine)
        if any(map(is_string, toks[slice(*routine.arguments)])):
            self._strings(unit, self.names, *routine.arguments)
        if routine.body >= 0:
            self._body(definition, routine)

    def _signature(self, definition: Definition, routine: Routine) -> None:
        parameters = self._parameters(definition, routine)
        walker = Plpgsql(
            self.unit,
            self.names,
            self.candidates,
            self.findings,
            frozenset(form for name in parameters for form in token_forms(name)),
            parameters,
            part=(definition.after, definition.hi),
        )
        walker.signature(definition, routine, Scope(None))
        for part in (routine.atomic, routine.result):
            if part is not None:
                self._strings(self.unit, self.names, *part)

    def _parameters(self, definition: Definition, routine: Routine) -> frozenset[str]:
        walker = Plpgsql(
            self.unit, self.names, (), self.findings, part=(definition.after, definition.hi)
        )
        found: set[str] = set()
        for lo, hi in (routine.arguments, routine.columns or (0, 0)):
            found.update(walker.typed_item(a, b)[0] for a, b in walker.split(lo, hi) if a < b)
        return frozenset(found - {""})

    def _body(self, definition: Definition, routine: Routine) -> None:
        if routine.language not in SCANNED_LANGUAGES:
            token = routine.body
            self.unit.raw.add(token)
            self._strings(self.unit, self.names, token, token + 1, is_raw=True)
            return
        names = self.names
        path = self.search_path if routine.path is None else routine.path
        names = names.on(path)
        body = self.reading.bodies[routine.body] = self.unit.body(routine.body)
        refuse_escapes(body)
        refuse_unreadable(body)
        self._comments(body)
        candidates = self._candidates(body)
        hidden = temporary(body)
        self._strings(body, names, 0, len(body.folded), hidden=hidden)
        if not candidates:
            return
        toks = body.folded
        at = positions(toks, candidates, 0, len(toks))
        if self._locally(body, names, at):
            return
        parameters = self._parameters(definition, routine)
        local = frozenset(form for name in parameters for form in token_forms(name))
        is_plpgsql = routine.language == "plpgsql"
        if is_plpgsql:
            local |= variables(toks, candidates)
        walker = Plpgsql(body, names, candidates, self.findings, local, parameters)
        walker.temporary = hidden
        if is_plpgsql:
            walker.body()
        else:
            walker.commands(0, len(toks), Scope(None))

    # ---- explicit references -----------------------------------------------------------------

    def _explicit(self) -> None:
        units = [self.unit, *self.reading.bodies.values()]
        for span in self.reading.spans:
            name = span.name
            if self.names.known(*name) is None:
                raise self.names.unmanaged(name, self.unit.line_at(span.start))
            for unit in units:
                self.findings.explicit(unit, unit.inside(span.start, span.end), name)
            self.findings.recursive = self.findings.recursive or name == self.own.name
