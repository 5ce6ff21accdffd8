"""What follows a definition and belongs to it: permissions, extended properties, indexes, triggers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from procver.errors import SourceError
from procver.objects import Name
from procver.scanning.marks import Findings, Mark, Role
from procver.scanning.mssql import properties
from procver.scanning.mssql.definition import Definition, body_start
from procver.scanning.mssql.guards import Conditions, Value, parts_of
from procver.scanning.mssql.layout import Following, Setting
from procver.scanning.mssql.lexer import identifier, is_string, written_identifier
from procver.scanning.mssql.names import label
from procver.scanning.mssql.refusals import refuse_definition, refused
from procver.scanning.mssql.removals import Subject, check_stub, is_removal, removal, stub
from procver.scanning.mssql.script import Step
from procver.scanning.mssql.unit import Unit
from procver.scanning.mssql.walker import Walker
from procver.scanning.names import Names

_PERMISSIONS = frozenset({"grant", "deny", "revoke"})
_EXECUTE = frozenset({"exec", "execute"})
_SILENT = frozenset({"print", "raiserror"})
_REFRESH = frozenset({"sp_refreshview", "sp_refreshsqlmodule", "sp_recompile"})
_CAUGHT = _EXECUTE | _SILENT | {"throw", "rollback", "return"}


class Piece(NamedTuple):
    """Tokens [lo, hi) of a batch, to be sent as one; a trigger with all that is around them.

    ``settings`` are the options that must be changed before it is sent.
    """

    unit: Unit
    lo: int
    hi: int
    settings: tuple[Setting, ...] = ()
    trigger: Definition | None = None


class Follower:
    """Reads the statements after the definition, each of which is about the object.

    Args:
        names: what a name stands for.
        findings: where notes go.
        subject: the object and the triggers that the file defines.
    """

    def __init__(self, names: Names, findings: Findings, subject: Subject) -> None:
        self.names = names
        self.own = names.own
        self.findings = findings
        self.subject = subject
        self.triggers: dict[str, Name] = {}
        self.made: set[str] = set()

    def read(self, following: Following, candidates: frozenset[str]) -> list[Piece]:
        """Read one statement; return what of it is to be sent.

        Raises:
            SourceError: it is about something else, or not allowed in a source.
        """
        unit, step, trigger, settings = following
        walker = Walker(
            unit,
            self.names,
            candidates,
            self.findings,
            (step.lo, step.hi),
            describing=trigger is None,
        )
        if trigger is not None:
            self._trigger(walker, following)
            return [Piece(unit, step.lo, step.hi, settings, trigger)]
        pieces = self._pieces(walker, step)
        return [piece._replace(settings=() if i else settings) for i, piece in enumerate(pieces)]

    def _pieces(self, walker: Walker, step: Step) -> list[Piece]:
        unit = walker.unit
        if step.word == "if":
            return self._guarded(walker, step)
        if step.word == "begin":
            return [piece for inner in step.inner for piece in self._pieces(walker, inner)]
        if step.word == "catch":  # of a TRY that succeeds for a new version
            for leaf in step.simple():
                if leaf.word not in _CAUGHT:
                    raise refused(unit, leaf.lo, leaf.hi)
            return []
        return [Piece(unit, step.lo, step.hi)] if self._leaf(walker, step) else []

    def _guarded(self, walker: Walker, step: Step) -> list[Piece]:
        """Return what an IF comes to: its guard is left out if it asks for the object or a part."""
        unit = walker.unit
        conditions = Conditions(
            unit.folded,
            self.subject,
            self.names.index.databases,
            parts_of(unit, step.simple()),
            self.made,
        )
        verdict = conditions.read(step.lo + 1, step.body)
        if verdict.value is not Value.UNKNOWN:
            taken = 1 if verdict.value is Value.FALSE else 0
            for branch in step.inner[:taken]:
                self._note_removals(unit, branch)
            chosen = step.inner[taken : taken + 1]
            return self._only(
                unit, step, [p for branch in chosen for p in self._pieces(walker, branch)]
            )
        branches = [self._pieces(walker, branch) for branch in step.inner]
        pieces = [piece for branch in branches for piece in branch]
        if all(unit.folded[piece.lo] in _EXECUTE for piece in pieces):
            # A condition around a property asks whether it is there: a new version has none.
            return self._only(unit, step, pieces)
        if verdict.asks_for_own:
            self._doubtful(unit, pieces)
        return self._whole(unit, step, branches, verdict.kept)

    def _only(self, unit: Unit, step: Step, pieces: list[Piece]) -> list[Piece]:
        """Leave out of an IF all but the ``pieces`` of it, and return them."""
        self._drop(unit, step.lo, step.hi, [(piece.lo, piece.hi) for piece in pieces])
        return pieces

    def _whole(
        self,
        unit: Unit,
        step: Step,
        branches: Sequence[Sequence[Piece]],
        kept: Sequence[tuple[int, int]],
    ) -> list[Piece]:
        """Return an IF whose condition the server decides, without what is not sent of it."""
        self._drop(unit, step.lo + 1, step.body, kept)
        sent = [(piece.lo, piece.hi) for branch in branches for piece in branch]
        for leaf in step.simple():
            is_sent = any(lo <= leaf.lo < hi for lo, hi in sent)
            if not is_sent and leaf.word not in _SILENT:
                self._drop(unit, leaf.lo, leaf.hi)
        if not branches[0]:
            raise unit.error(
                step.lo,
                "only the ELSE of this condition holds a statement that is sent",
                "write the condition the other way round, without ELSE",
            )
        if len(branches) > 1 and not branches[1]:
            self._drop(unit, step.inner[0].hi, step.hi)
        return [Piece(unit, step.lo, step.hi)]

    def _drop(self, unit: Unit, lo: int, hi: int, kept: Sequence[tuple[int, int]] = ()) -> None:
        """Mark the tokens in [lo, hi) that are not ``kept`` as left out."""
        rest = set(range(lo, hi)).difference(*(range(*part) for part in kept))
        unit.marks.update(dict.fromkeys(rest, Mark(Role.DROPPED, self.own.name)))

    def _note_removals(self, unit: Unit, branch: Step) -> None:
        for leaf in branch.simple():
            if is_removal(unit.folded, leaf):
                with suppress(SourceError):
                    self._removal(unit, leaf)

    def _removal(self, unit: Unit, leaf: Step) -> None:
        found = removal(unit, leaf, self.subject)
        self.findings.note(unit, found.token, found.rule, found.message, found.hint)

    def _doubtful(self, unit: Unit, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            text = " ".join(unit.written[piece.lo : piece.hi])
            self.findings.note(
                unit,
                piece.lo,
                "guard",
                f"the condition asks for {label(self.own.name)} in a way that procver cannot read: where"
                f" it does not hold for a version, the version lacks this: {text}",
                "remove the condition",
            )

    def _leaf(self, walker: Walker, leaf: Step) -> bool:
        """Read a simple statement; return whether it is sent."""
        unit, word = walker.unit, leaf.word
        if word in _PERMISSIONS:
            self._permission(walker, leaf)
        elif word in _EXECUTE or word == "sys" or word.startswith("sp_"):
            return self._call(unit, leaf)
        elif word == "create":
            self._create(walker, leaf)
        elif word == "alter":
            self._alter(walker, leaf)
        elif word == "add":
            self._signature(walker, leaf)
        elif is_removal(unit.folded, leaf):
            self._removal(unit, leaf)
            return False
        elif word not in _SILENT:
            raise refused(unit, leaf.lo, leaf.hi)
        else:
            return False
        return True

    # ---- on the object -------------------------------------------------------------------------

    def _securable(self, walker: Walker, at: int, leaf: Step) -> int:
        """Read the object at token ``at``, which must be our own; return where its name ends."""
        end = walker.securable(at, leaf.hi)
        last = end - 1
        mark = walker.unit.marks.get(last)
        is_leaf = identifier(walker.tok(last)) == self.names.own_key.leaf
        if mark is None and is_leaf and walker.tok(last - 1) != ".":
            # The file is about one object, so its name counts whatever its schema is.
            mark = walker.unit.marks[last] = Mark(Role.OWN, self.own.name)
        if mark is None or mark.name != self.own.name:
            error = refused(walker.unit, leaf.lo, leaf.hi)
            if mark is not None:
                error.message = f"{leaf.word.upper()} on {label(mark.name)} in the file of {label(self.own.name)}"
                error.hint = f"write it in the file that defines {label(mark.name)}"
            raise error
        return end

    def _permission(self, walker: Walker, leaf: Step) -> None:
        toks, i = walker.toks, leaf.lo
        while i < leaf.hi and toks[i] not in ("on", "to", "from"):
            i = walker.close(i, leaf.hi) + 1 if toks[i] == "(" else i + 1
        if walker.tok(i) != "on":
            raise refused(walker.unit, leaf.lo, leaf.hi)
        self._securable(walker, i + 1, leaf)

    def _create(self, walker: Walker, leaf: Step) -> None:
        toks = walker.toks
        for i in range(leaf.lo + 1, min(leaf.lo + 5, leaf.hi)):
            if toks[i] in ("index", "statistics") and toks[i - 1] != "fulltext":
                name = walker.chain(i + 1, leaf.hi)
                if walker.tok(name.end) == "on":
                    self._securable(walker, name.end + 1, leaf)
                    self.made.add(identifier(walker.tok(i + 1)))
                    return
        raise refused(walker.unit, leaf.lo, leaf.hi)

    def _alter(self, walker: Walker, leaf: Step) -> None:
        toks, i = walker.toks, leaf.lo
        if toks[i + 1 : i + 3] == ["authorization", "on"]:
            self._securable(walker, i + 3, leaf)
            return
        if walker.tok(i + 1) == "index":
            name = walker.chain(i + 2, leaf.hi)
            if walker.tok(name.end) == "on":
                self._securable(walker, name.end + 1, leaf)
                return
        raise refused(walker.unit, leaf.lo, leaf.hi)

    def _signature(self, walker: Walker, leaf: Step) -> None:
        toks, unit = walker.toks, walker.unit
        i = leaf.lo + 1
        i += walker.tok(i) == "counter"
        if toks[i : i + 2] != ["signature", "to"]:
            raise refused(unit, leaf.lo, leaf.hi)
        if "password" in toks[leaf.lo : leaf.hi]:
            raise unit.error(
                leaf.lo,
                "a password would be kept in the registry",
                "protect the key by the database's master key, or sign the version by hand",
            )
        self._securable(walker, i + 2, leaf)
        self.findings.note(
            unit,
            leaf.lo,
            "signature",
            f"{label(self.own.name)} is signed: each version is signed anew when it is published",
            "see that the certificate or key is in every target",
        )

    # ---- extended properties -------------------------------------------------------------------

    def _call(self, unit: Unit, leaf: Step) -> bool:
        procedure = properties.called(unit.folded, leaf)[0]
        if procedure in _REFRESH:
            return False
        token = None if procedure in properties.PROCEDURES else stub(unit, leaf)
        if token is not None:
            check_stub(unit, token, self.subject)
            return False
        if procedure not in properties.PROCEDURES:
            raise refused(unit, leaf.lo, leaf.hi)
        return self._property(unit, leaf, procedure)

    def _property(self, unit: Unit, leaf: Step, procedure: str) -> bool:
        call = properties.Call(unit, leaf)
        name = call.value("@name").lower()
        is_update = procedure == properties.UPDATE and name not in self.made
        if is_update and leaf.lo and "else" in unit.folded[: leaf.lo]:
            return False
        if is_update:
            raise unit.error(
                leaf.lo,
                f"{procedure} fails on a new version, which has no property yet",
                f"write {properties.ADD}",
            )
        refusal = call.refusal(self.own)
        if refusal is not None:
            raise refusal
        if procedure == properties.DROP and name not in self.made:
            return False
        self.made.add(name)
        self._mark_text(unit, call.given["@level1name"], Role.TEXT, self.own.name)
        trigger = self.triggers.get(call.value("@level2name").lower())
        if call.value("@level2type").lower() == "trigger" and trigger is not None:
            self._mark_text(unit, call.given["@level2name"], Role.TRIGGER_TEXT, trigger)
        return True

    def _mark_text(self, unit: Unit, at: int, role: Role, name: Name) -> None:
        if not is_string(unit.folded[at]):
            role = Role.OWN if role is Role.TEXT else Role.TRIGGER
        unit.marks[at] = Mark(role, name)

    # ---- triggers ------------------------------------------------------------------------------

    def _trigger(self, walker: Walker, following: Following) -> None:
        unit, step, trigger, _ = following
        assert trigger is not None
        toks = unit.folded
        refuse_definition(unit, trigger)
        parts = [identifier(toks[i]) for i in trigger.name]
        schema = self.subject.default_schema if len(parts) == 1 else parts[0]
        start = body_start(toks, trigger)
        if walker.tok(trigger.after) != "on" or "instead" not in toks[trigger.after : start]:
            raise refused(unit, step.lo, step.hi)
        walker.describing = True
        self._securable(walker, trigger.after + 1, step)
        walker.describing = False
        if schema.lower() != self.names.own_key.schema or len(parts) > 2:
            raise unit.error(
                trigger.name[0],
                f"a trigger lives in the schema of its view, {self.own.name.schema}",
                f"write CREATE TRIGGER {self.own.name.schema}.{parts[-1]}",
            )
        leaf = trigger.name[-1]
        name = Name(self.own.name.schema, written_identifier(unit.written[leaf]))
        self.triggers[parts[-1]] = name
        self.made.add(parts[-1])
        unit.marks[leaf] = Mark(Role.TRIGGER, name)
        mark_verb(unit, trigger.altered, trigger.dropped, self.own.name)
        walker.read(start, step.hi)


def mark_verb(unit: Unit, altered: int, dropped: Sequence[int], own: Name) -> None:
    """Mark ALTER and OR ALTER, which are sent as plain CREATE."""
    if altered >= 0:
        unit.marks[altered] = Mark(Role.CREATE, own)
    for token in dropped:
        unit.marks[token] = Mark(Role.DROPPED, own)
