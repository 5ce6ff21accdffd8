"""A source file as batches: settings, the definition, what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from procver.errors import SourceError
from procver.objects import Header, Kind, Name
from procver.scanning.marks import Finding
from procver.scanning.mssql import properties
from procver.scanning.mssql.batches import Batch, split
from procver.scanning.mssql.definition import Definition, read_head
from procver.scanning.mssql.lexer import (
    fold,
    is_open,
    tokens,
    written_identifier,
)
from procver.scanning.mssql.names import label, reserved_schema, same
from procver.scanning.mssql.refusals import (
    refuse_definition,
    refuse_nameless,
    refuse_unreadable,
    refused,
)
from procver.scanning.mssql.removals import Subject, check_stub, is_removal, removal, stub
from procver.scanning.mssql.script import Step, steps
from procver.scanning.mssql.settings import Effect, read_set
from procver.scanning.mssql.unit import File, Unit
from procver.scanning.names import has_control
from procver.scanning.refusals import in_reserved_schema, refuse_nul, too_deep

_HEADER_TOKENS = 2000
_SILENT = frozenset({"print", "raiserror", "transaction", "commit"})
_ASSIGN = frozenset({"set", "select"})
_GUARD = _ASSIGN | {"declare", "return"}  # what looks at the server before the definition
_EXECUTE = frozenset({"exec", "execute"})
_MODULES = frozenset({"proc", "procedure", "view", "function", "trigger"})
_PERMISSIONS = frozenset({"grant", "deny", "revoke", ",", "."})


class Setting(NamedTuple):
    """A session option that differs from its default when the next statement is sent."""

    unit: Unit
    lo: int
    hi: int
    name: str
    value: str


class Following(NamedTuple):
    """A statement after the definition: a step of a batch, or a whole batch (a trigger)."""

    unit: Unit
    step: Step
    trigger: Definition | None
    settings: tuple[Setting, ...]


@dataclass(slots=True)
class Layout:
    """The parts of a source.

    Attributes:
        file: the text.
        own: the object that is defined.
        unit: the batch of the definition.
        definition: its statement.
        settings: options that are off when it is created.
        following: what comes after, about the same object.
        skipped: what is left out.
        units: all batches.
        triggers: the names of the triggers that the file defines.
    """

    file: File
    own: Header
    unit: Unit
    definition: Definition
    settings: tuple[Setting, ...]
    following: list[Following] = field(default_factory=list)
    skipped: list[Finding] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    triggers: tuple[Name, ...] = ()


def read_header(text: str, default_schema: str) -> Header:
    """Return which object ``text`` defines, reading little more than its name.

    Raises:
        SourceError: see `read_layout`.
    """
    if "\x00" not in text:
        toks: list[str] = []
        written: list[str] = []
        head, last = -1, _HEADER_TOKENS
        for start, end in tokens(text):
            raw = text[start:end]
            if len(toks) > last or is_open(raw):
                break
            written.append(raw)
            token = fold(raw)
            toks.append(token)
            if head < 0 and token in ("create", "alter"):
                head, last = len(toks) - 1, len(toks) + 8
        definition = read_head(toks, head, len(toks)) if head >= 0 else None
        if definition is not None and definition.kind is not None:
            name = _name(written, definition, default_schema)
            if any(written[i][0] == '"' for i in definition.name):
                name = None  # perhaps a string: that depends on the settings before it
            is_type = definition.kind is Kind.TABLE_TYPE
            if name and reserved_schema(name.schema):
                name = None
            if name and not (is_type and toks[definition.after : definition.after + 1] != ["as"]):
                return Header(name, definition.kind)
    return read_layout(text, default_schema).own


def _name(written: Sequence[str], definition: Definition, default_schema: str) -> Name | None:
    parts = [written_identifier(written[i]) for i in definition.name]
    if len(parts) > 2 or not all(parts) or any(map(has_control, parts)):
        return None
    if parts[-1].startswith("#"):
        return None
    return Name(parts[0], parts[1]) if len(parts) == 2 else Name(default_schema, parts[0])


def read_layout(text: str, default_schema: str) -> Layout:
    """Return the parts of a file.

    Raises:
        SourceError: the file defines nothing, something that is not versioned, or more than one
            object; or holds statements that have no place in a source.
    """
    refuse_nul(text, "SQL Server")
    try:
        return _Reader(File(text), default_schema).read()
    except RecursionError:
        raise too_deep() from None


def created_by_text(text: str, default_schema: str) -> list[tuple[Unit, int]]:
    """Return the strings, as batch and token, that EXEC runs to create something in a file that defines nothing beside."""
    file = File(text)
    reader = _Reader(file, default_schema)
    with suppress(SourceError, RecursionError):
        if any(_heads(batch) for batch in split(file)):
            return []
        reader.read()
    return reader.stubs


def _heads(batch: Batch) -> bool:
    toks = list(map(fold, batch.written))
    return read_head(toks, 0, len(toks)) is not None


class _Reader:
    def __init__(self, file: File, default_schema: str) -> None:
        self.file = file
        self.default_schema = default_schema
        self.state: dict[str, Setting] = {}
        self.sent: dict[str, str] = {}
        self.layout: Layout | None = None
        self.units: list[Unit] = []
        self.skipped: list[Finding] = []
        self.removals: list[tuple[Unit, Step]] = []
        self.property_drops: list[tuple[Unit, Step]] = []
        self.stubs: list[tuple[Unit, int]] = []

    def read(self) -> Layout:
        for batch in split(self.file):
            self._batch(batch)
        layout = self.layout
        if layout is None:
            raise self._nothing()
        layout.triggers = tuple(self._triggers())
        subject = Subject(layout.own, layout.triggers, self.default_schema)
        self.skipped += [removal(unit, leaf, subject) for unit, leaf in self.removals]
        for unit, token in self.stubs:
            check_stub(unit, token, subject)
        for unit, leaf in self.property_drops:
            refusal = properties.Call(unit, leaf).refusal(layout.own)
            if refusal is not None:
                raise refusal
        layout.skipped = self.skipped
        layout.units = self.units
        return layout

    def _is_quoted(self) -> bool:
        setting = self.state.get("quoted_identifier")
        return setting is None or setting.value == "on"

    def _batch(self, batch: Batch) -> None:
        unit = Unit(self.file, batch.start, batch.end, batch.written, quoted=self._is_quoted())
        self.units.append(unit)
        definition = read_head(unit.folded, 0, len(unit.folded))
        if definition is None:
            refuse_nameless(unit)
        if definition is None or unit.folded[definition.after : definition.after + 1] != ["."]:
            refuse_unreadable(unit)
        if batch.repeats != 1:
            raise unit.error(
                0,
                f"GO {batch.repeats} runs the batch that starts here {batch.repeats} times",
                "remove the number after GO",
            )
        if definition is None or definition.kind is Kind.TABLE_TYPE:
            self._script(unit)
        elif definition.kind is None:
            self._trigger(unit, definition)
        else:
            self._refuse_second_module(unit, definition)
            self._define(unit, definition)

    # ---- the definition ------------------------------------------------------------------------

    def _define(self, unit: Unit, definition: Definition) -> None:
        name = _name(unit.written, definition, self.default_schema)
        refuse_definition(unit, definition)
        goes_on = unit.folded[definition.after : definition.after + 1] == ["."]
        if name is None or goes_on:
            last = (
                min(definition.after + 1, len(unit.folded) - 1) if goes_on else definition.name[-1]
            )
            start, end = unit.span(definition.name[0])[0], unit.span(last)[1]
            raise unit.error(
                definition.name[0],
                f"{self.file.text[start:end]!r} is no name that procver takes: "
                + ("no name follows its dot" if goes_on
                   else "it has more than two parts, or control characters"),
                "write schema.name; what another tool fills in goes into [placeholders] of procver.toml"
                if goes_on else "write schema.name",
            )  # fmt: skip
        reason = reserved_schema(name.schema)
        if reason is not None:
            raise unit.error(
                definition.name[0], *in_reserved_schema(label(name), name.schema, reason)
            )
        assert definition.kind is not None
        own = Header(name, definition.kind)
        if self.layout is not None:
            self._refuse_second(unit, definition, own)
        settings = self._changed_settings()
        self.layout = Layout(self.file, own, unit, definition, settings)

    def _changed_settings(self) -> tuple[Setting, ...]:
        """Return the options to be sent now, given what was sent before."""
        found = []
        for name, setting in sorted(self.state.items()):
            if setting.value != self.sent.get(name, "on"):
                found.append(setting)
                self.sent[name] = setting.value
        return tuple(found)

    def _refuse_second(self, unit: Unit, definition: Definition, header: Header) -> None:
        assert self.layout is not None
        first = self.layout.own
        both = f"{first.kind.replace('_', ' ')} {label(first.name)}"
        if same(header.name, first.name) and header.kind is first.kind:
            message, hint = f"the file defines {both} twice", "keep one of the two definitions"
        else:
            other = f"{header.kind.replace('_', ' ')} {label(header.name)}"
            message = f"the file defines two objects: {both} and {other}"
            hint = "write each object in a file of its own"
        raise unit.error(definition.lo, message, hint)

    def _refuse_second_module(self, unit: Unit, definition: Definition) -> None:
        """Raise where GO is missing between two definitions: no module may hold another."""
        toks = unit.folded
        for verb in ("create", "alter"):
            at = definition.after - 1
            while True:
                try:
                    at = toks.index(verb, at + 1)
                except ValueError:
                    break
                noun = toks[at + 3 : at + 4] if toks[at + 1 : at + 3] == ["or", "alter"] else (
                    toks[at + 1 : at + 2]
                )  # fmt: skip
                if noun and noun[0] in _MODULES and toks[at - 1] not in _PERMISSIONS:
                    raise _not_first(unit, at, noun[0])

    # ---- everything else -----------------------------------------------------------------------

    def _script(self, unit: Unit) -> None:
        for step in steps(unit.folded, 0, len(unit.folded)):
            inner = self._type_inside(unit, step)
            if inner is not None:
                self._define(unit, inner)
                continue
            for leaf in step.simple():
                self._refuse_misplaced(unit, leaf)
            if self.layout is None:
                self._before(unit, step)
            else:
                self._after(unit, step)

    def _type_inside(self, unit: Unit, step: Step) -> Definition | None:
        """Return the CREATE TYPE that a step is, or that an IF guards."""
        leaves = step.simple()
        if len(leaves) != 1 or leaves[0].word != "create":
            return None
        leaf = leaves[0]
        definition = read_head(unit.folded, leaf.lo, len(unit.folded))
        if definition is None or definition.kind is not Kind.TABLE_TYPE:
            return None
        definition.hi = leaf.hi
        return definition

    def _refuse_misplaced(self, unit: Unit, leaf: Step) -> None:
        if leaf.word in ("create", "alter"):
            definition = read_head(unit.folded, leaf.lo, len(unit.folded))
            if definition is not None and definition.kind is not Kind.TABLE_TYPE:
                raise _not_first(unit, leaf.lo, unit.folded[definition.noun])

    def _before(self, unit: Unit, step: Step) -> None:
        for leaf in step.simple():
            if step.word == "if" and _gives_up(unit, leaf):
                continue
            if not self._skip(unit, leaf):
                if leaf.word in _EXECUTE and self._is_leftover(unit, leaf):
                    continue
                raise refused(unit, leaf.lo, leaf.hi)

    def _after(self, unit: Unit, step: Step) -> None:
        assert self.layout is not None
        leaves = step.simple()
        is_if = step.word == "if"
        if all(leaf.word in _SILENT or (is_if and _gives_up(unit, leaf)) for leaf in leaves):
            return
        if len(leaves) == 1 and not is_if and self._skip(unit, leaves[0]):
            return
        settings = self._changed_settings()
        self.layout.following.append(Following(unit, step, None, settings))

    def _trigger(self, unit: Unit, definition: Definition) -> None:
        if self.layout is None or self.layout.own.kind is not Kind.VIEW:
            raise refused(unit, 0, len(unit.folded))
        step = Step("create", 0, len(unit.folded))
        settings = self._changed_settings()
        self.layout.following.append(Following(unit, step, definition, settings))

    def _skip(self, unit: Unit, leaf: Step) -> bool:
        """Return whether a statement is one that is not sent; take note of what it means."""
        word, toks = leaf.word, unit.folded
        if word == "set" and toks[leaf.lo + 1 : leaf.lo + 2] != [] and toks[leaf.lo + 1][0] != "@":
            self._set(unit, leaf)
        elif is_removal(toks, leaf):
            self.removals.append((unit, leaf))
        elif word == "use":
            self.skipped.append(
                Finding(
                    unit,
                    leaf.lo,
                    "use-skipped",
                    "USE is left out: the target says which database is meant",
                    "delete it, or keep it for your own tools",
                )
            )
        elif word in _GUARD:
            assigned = toks[leaf.lo + 1 : leaf.hi]
            is_guard = word not in _ASSIGN or bool(assigned and assigned[0][0] == "@")
            return is_guard and self.layout is None
        elif word not in _SILENT:
            return False
        return True

    def _set(self, unit: Unit, leaf: Step) -> None:
        effect, kept = read_set(unit.folded, leaf.lo, leaf.hi)
        text = " ".join(unit.written[leaf.lo : leaf.hi])
        if effect is Effect.REFUSED:
            raise unit.error(
                leaf.lo,
                f"{text} has no place in a source",
                "only QUOTED_IDENTIFIER and ANSI_NULLS are kept with a module: remove it, or write"
                " it inside the body",
            )
        for name, value in kept.items():
            self.state[name] = Setting(unit, leaf.lo, leaf.hi, name, value)
        if effect is Effect.RUNTIME and self.layout is None:
            self.skipped.append(
                Finding(
                    unit,
                    leaf.lo,
                    "setting-skipped",
                    f"{text} is left out: it is not kept with a module",
                    "write it inside the body, if callers need it",
                )
            )

    # ---- stubs and drops -----------------------------------------------------------------------

    def _is_leftover(self, unit: Unit, leaf: Step) -> bool:
        """Return whether EXEC runs a literal CREATE or drops a property; remember it."""
        if properties.called(unit.folded, leaf)[0] == properties.DROP:
            self.property_drops.append((unit, leaf))
            return True
        token = stub(unit, leaf)
        if token is not None:
            self.stubs.append((unit, token))
        return token is not None

    def _triggers(self) -> Iterator[Name]:
        assert self.layout is not None
        for following in self.layout.following:
            if following.trigger is not None:
                name = _name(following.unit.written, following.trigger, self.default_schema)
                if name is not None:
                    yield name

    def _nothing(self) -> SourceError:
        if self.stubs:
            unit, token = self.stubs[0]
            return unit.error(
                token,
                "the definition stands in a string, where it cannot be read",
                'write it as a batch of its own: script it without "check for object existence"',
            )
        hint = "write CREATE PROCEDURE, VIEW, FUNCTION or TYPE ... AS TABLE in it, or delete it"
        if not self.units:
            return SourceError("the file holds no statement", line=1, hint=hint)
        return self.units[0].error(
            0, "the file defines no procedure, view, function or table type", hint
        )


def _gives_up(unit: Unit, leaf: Step) -> bool:
    """Return whether a script ends with this statement when something failed before it."""
    words = unit.folded[leaf.lo : min(leaf.hi, leaf.lo + 3)]
    return leaf.word == "rollback" or words == ["set", "noexec", "on"]


def _not_first(unit: Unit, at: int, noun: str) -> SourceError:
    return unit.error(
        at,
        f"{unit.written[at].upper()} {noun.upper()} must be the first statement of its batch",
        "put GO before it, on a line of its own",
    )
