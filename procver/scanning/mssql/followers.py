"""What follows a definition and belongs to it: permissions, extended properties, indexes, triggers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from procver.objects import Kind, Name
from procver.scanning.marks import Findings, Mark, Role
from procver.scanning.mssql.definition import Definition, body_start
from procver.scanning.mssql.layout import Following, Setting
from procver.scanning.mssql.lexer import identifier, is_string, string_value, written_identifier
from procver.scanning.mssql.names import label, same
from procver.scanning.mssql.refusals import refuse_definition, refused
from procver.scanning.mssql.script import Step
from procver.scanning.mssql.unit import Unit
from procver.scanning.mssql.walker import Walker
from procver.scanning.names import Names

_PERMISSIONS = frozenset({"grant", "deny", "revoke"})
_EXECUTE = frozenset({"exec", "execute"})
_SILENT = frozenset({"print", "raiserror"})
_ADD, _UPDATE, _DROP = (
    "sp_addextendedproperty",
    "sp_updateextendedproperty",
    "sp_dropextendedproperty",
)
_ARGUMENTS = (
    "@name",
    "@value",
    "@level0type",
    "@level0name",
    "@level1type",
    "@level1name",
    "@level2type",
    "@level2name",
)
_NOUN = {
    Kind.PROCEDURE: "procedure",
    Kind.VIEW: "view",
    Kind.FUNCTION: "function",
    Kind.TABLE_TYPE: "type",
}


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
        default_schema: the schema of names without one.
    """

    def __init__(self, names: Names, findings: Findings, default_schema: str) -> None:
        self.names = names
        self.own = names.own
        self.findings = findings
        self.default_schema = default_schema
        self.triggers: dict[str, Name] = {}

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
        kept = [leaf for leaf in step.simple() if self._leaf(walker, leaf)]
        if step.word == "if" and not all(leaf.word in _EXECUTE for leaf in kept):
            return [Piece(unit, step.lo, step.hi, settings)]
        # A condition around a property asks whether it is there: a new version has none.
        pieces = [Piece(unit, leaf.lo, leaf.hi) for leaf in kept]
        return [piece._replace(settings=() if i else settings) for i, piece in enumerate(pieces)]

    def _leaf(self, walker: Walker, leaf: Step) -> bool:
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
        toks, i = unit.folded, leaf.lo
        i += toks[i] in _EXECUTE
        while i + 1 < leaf.hi and toks[i + 1] == ".":
            i += 2
        name = toks[i] if i < leaf.hi else ""
        if name in (_DROP, "sp_refreshview", "sp_refreshsqlmodule", "sp_recompile"):
            return False
        if name == _UPDATE and leaf.lo and "else" in toks[: leaf.lo]:
            return False
        if name == _UPDATE:
            raise unit.error(
                leaf.lo,
                f"{_UPDATE} fails on a new version, which has no property yet",
                f"write {_ADD}",
            )
        if name != _ADD:
            raise refused(unit, leaf.lo, leaf.hi)
        self._property(unit, arguments(toks, i + 1, leaf.hi), leaf)
        return True

    def _property(self, unit: Unit, given: dict[str, int], leaf: Step) -> None:
        toks = unit.folded

        def value(argument: str) -> str:
            at = given.get(argument, -1)
            if at < 0:
                return ""
            return string_value(toks[at]) if is_string(toks[at]) else identifier(toks[at])

        own = self.own
        level = value("@level1type").lower()
        named = Name(value("@level0name"), value("@level1name"))
        is_own = same(named, own.name) and level == _NOUN[own.kind]
        if value("@level0type").lower() not in ("schema", "user") or not is_own:
            raise unit.error(
                leaf.lo,
                f"this extended property is not that of {label(own.name)}",
                f"write @level0type = N'SCHEMA', @level0name = N'{own.name.schema}', @level1type ="
                f" N'{_NOUN[own.kind].upper()}', @level1name = N'{own.name.leaf}', or move it to the"
                " file of the object that it is about",
            )
        self._mark_text(unit, given["@level1name"], Role.TEXT, own.name)
        trigger = self.triggers.get(value("@level2name").lower())
        if value("@level2type").lower() == "trigger" and trigger is not None:
            self._mark_text(unit, given["@level2name"], Role.TRIGGER_TEXT, trigger)

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
        schema = self.default_schema if len(parts) == 1 else parts[0]
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
        unit.marks[leaf] = Mark(Role.TRIGGER, name)
        mark_verb(unit, trigger.altered, trigger.dropped, self.own.name)
        walker.read(start, step.hi)


def mark_verb(unit: Unit, altered: int, dropped: Sequence[int], own: Name) -> None:
    """Mark ALTER and OR ALTER, which are sent as plain CREATE."""
    if altered >= 0:
        unit.marks[altered] = Mark(Role.CREATE, own)
    for token in dropped:
        unit.marks[token] = Mark(Role.DROPPED, own)


def arguments(toks: Sequence[str], lo: int, hi: int) -> dict[str, int]:
    """Return the arguments of sp_addextendedproperty at [lo, hi), each as the token of its value."""
    found: dict[str, int] = {}
    position = 0
    i = lo
    while i < hi:
        if toks[i] == ",":
            position += 1
        elif toks[i][0] == "@" and i + 2 < hi and toks[i + 1] == "=":
            found[toks[i]] = i + 2
            i += 2
        elif position < len(_ARGUMENTS) and toks[i] not in ("(", ")", ";"):
            found.setdefault(_ARGUMENTS[position], i)
        i += 1
    return found
