"""Conditions around statements about the object: what they come to for a version, which is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from procver.objects import Kind
from procver.scanning.mssql import properties
from procver.scanning.mssql.keywords import words
from procver.scanning.mssql.lexer import (
    fold,
    identifier,
    is_string,
    lex,
    string_value,
)
from procver.scanning.mssql.removals import Subject
from procver.scanning.mssql.script import Step
from procver.scanning.mssql.unit import Unit
from procver.scanning.tokens import closing

_OBJECTS = words(
    """
    objects all_objects sysobjects procedures views all_views sql_modules all_sql_modules
    syscomments routines tables types table_types systypes
    """
)
_ONLY: Mapping[str, frozenset[Kind]] = {
    "procedures": frozenset({Kind.PROCEDURE}),
    "views": frozenset({Kind.VIEW}),
    "all_views": frozenset({Kind.VIEW}),
    "routines": frozenset({Kind.PROCEDURE, Kind.FUNCTION}),
    "types": frozenset({Kind.TABLE_TYPE}),
    "table_types": frozenset({Kind.TABLE_TYPE}),
    "systypes": frozenset({Kind.TABLE_TYPE}),
}
"""Catalogs of some kinds of objects."""
_TRIGGERS = frozenset({"triggers"})
_PARTS = words("indexes sysindexes stats extended_properties sysproperties fn_listextendedproperty")
_GRANTS = words(
    "database_permissions sysprotects syspermissions table_privileges column_privileges"
)
_PRINCIPALS = words(
    "database_principals sysusers server_principals syslogins database_role_members"
)
_BESIDE = frozenset({"schemas", "index_columns"}) | _OBJECTS | _PRINCIPALS
"""Catalogs that a condition joins to name the schema, the role or the object."""
_CODES = {
    Kind.PROCEDURE: words("p pc rf x procedure sql_stored_procedure isprocedure"),
    Kind.VIEW: words("v view isview"),
    Kind.FUNCTION: words(
        """
        fn if tf fs ft af function sql_scalar_function sql_table_valued_function
        sql_inline_table_valued_function isscalarfunction istablefunction isinlinefunction
        """
    ),
    Kind.TABLE_TYPE: words("tt"),
}
_OTHER_CODES = words(
    "u s tr ta sn so pk uq f d c it sq user_table synonym sql_trigger isusertable istable istrigger"
)
_ALL_CODES = frozenset().union(*_CODES.values(), _OTHER_CODES, {"base table"})
_SCHEMA_COLUMNS = words("schema_name table_schema routine_schema specific_schema")
_CATALOG = frozenset({"sys", "information_schema", "sysobjects", "sysindexes"})
_FUNCTIONS = words(
    """
    object_id object_definition objectproperty objectpropertyex indexproperty columnproperty
    col_length type_id typeproperty has_perms_by_name permissions
    """
)
_NULLABLE = frozenset({"isnull", "coalesce"})
_POSITIVE = {(">", "0"), ("<>", "0"), ("!=", "0"), (">=", "1"), ("=", "1")}
_ZERO = {("=", "0"), ("<", "1"), ("<=", "0")}
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}


def _text(token: str) -> str:
    return string_value(token).lower() if is_string(token) else ""


class Value(Enum):
    """The outcome of a condition for a new version."""

    TRUE = "true"
    FALSE = "false"
    EITHER = "either"
    """It asks for a permission: giving or taking one that is there or not changes nothing."""
    UNKNOWN = "unknown"
    """It asks for something else."""

    def negated(self) -> Value:
        """Return the outcome of NOT."""
        return {Value.TRUE: Value.FALSE, Value.FALSE: Value.TRUE}.get(self, self)


class Verdict(NamedTuple):
    """Knowledge of a condition.

    Attributes:
        value: its outcome.
        kept: where it is unknown, the stretches of tokens that are sent.
        asks_for_own: whether it asks for the object in a way that was not understood.
    """

    value: Value
    kept: tuple[tuple[int, int], ...] = ()
    asks_for_own: bool = False


class Conditions:
    """Reads the conditions of one batch.

    Args:
        toks: its folded tokens.
        subject: the object.
        databases: names of its database, in lower case.
        parts: indexes, statistics and properties that the guarded statements are about.
        made: those, and triggers, that earlier statements of the file have made.
    """

    def __init__(
        self,
        toks: Sequence[str],
        subject: Subject,
        databases: Iterable[str],
        parts: Iterable[str],
        made: Iterable[str],
    ) -> None:
        self.toks = toks
        self.subject = subject
        self.databases = frozenset(databases)
        self.made = frozenset(made)
        self.parts = self.made | frozenset(parts)

    def read(self, lo: int, hi: int) -> Verdict:
        """Return what is known of the condition at tokens [lo, hi)."""
        toks = self.toks
        is_whole = lo < hi and toks[lo] == "(" and closing(toks, lo, hi) == hi - 1
        if is_whole and toks[lo + 1] not in ("select", "with"):
            inner = self.read(lo + 1, hi - 1)
            return inner._replace(kept=((lo, lo + 1), *inner.kept, (hi - 1, hi)))
        for word in ("or", "and"):
            operands = self._split(lo, hi, word)
            if len(operands) > 1:
                return self._joined(word, operands)
        if lo < hi and toks[lo] == "not":
            inner = self.read(lo + 1, hi)
            return inner._replace(value=inner.value.negated(), kept=((lo, lo + 1), *inner.kept))
        value, asks = self._atom(lo, hi)
        return Verdict(value, ((lo, hi),), asks)

    def _split(self, lo: int, hi: int, word: str) -> list[tuple[int, int]]:
        toks = self.toks
        found, start, i, is_range, cases = [], lo, lo, False, 0
        while i < hi:
            token = toks[i]
            if token == "(":
                i = closing(toks, i, hi)
            elif token in ("case", "end"):
                cases += 1 if token == "case" else -1
            elif token == "between":
                is_range = True
            elif token == word and not cases:
                if word == "and" and is_range:
                    is_range = False
                else:
                    found.append((start, i))
                    start = i + 1
            i += 1
        return [*found, (start, hi)]

    def _joined(self, word: str, operands: Sequence[tuple[int, int]]) -> Verdict:
        read = [self.read(*operand) for operand in operands]
        deciding, neutral = (
            (Value.FALSE, Value.TRUE) if word == "and" else (Value.TRUE, Value.FALSE)
        )
        values = [verdict.value for verdict in read]
        if deciding in values:
            return Verdict(deciding)
        if word == "or" and Value.EITHER in values:
            return Verdict(Value.EITHER)
        unknown = [i for i, value in enumerate(values) if value is Value.UNKNOWN]
        if not unknown:
            return Verdict(Value.EITHER if Value.EITHER in values else neutral)
        kept: list[tuple[int, int]] = []
        for i in unknown:
            if kept:
                kept.append((operands[i][0] - 1, operands[i][0]))
            kept += read[i].kept
        return Verdict(Value.UNKNOWN, tuple(kept), any(read[i].asks_for_own for i in unknown))

    # ---- atoms ---------------------------------------------------------------------------------

    def _atom(self, lo: int, hi: int) -> tuple[Value, bool]:
        toks = self.toks
        if toks[lo : lo + 2] == ["exists", "("] and closing(toks, lo + 1, hi) == hi - 1:
            return self._catalog(lo + 2, hi - 1)
        end, is_there = self._comparison(lo, hi)
        if is_there is None:
            start, is_there = self._mirrored(lo, hi)
            lo = start if is_there is not None else lo
        if is_there is None:
            return Value.UNKNOWN, self._asks(lo, hi)
        value, asks = self._term(lo, end)
        return (value if is_there else value.negated()), asks

    def _comparison(self, lo: int, hi: int) -> tuple[int, bool | None]:
        """Return where the term before IS [NOT] NULL, > 0 or = 0 ends, and whether it must exist."""
        toks = self.toks
        if list(toks[hi - 3 : hi]) == ["is", "not", "null"]:
            return hi - 3, True
        if list(toks[hi - 2 : hi]) == ["is", "null"]:
            return hi - 2, False
        sign = tuple(toks[hi - 2 : hi])
        if sign in _POSITIVE or sign in _ZERO:
            return hi - 2, sign in _POSITIVE
        return hi, None

    def _mirrored(self, lo: int, hi: int) -> tuple[int, bool | None]:
        """Return where the term after ``0 <`` or ``0 =`` starts, and whether it must exist."""
        number, sign = self.toks[lo], self.toks[lo + 1] if lo + 1 < hi else ""
        mirrored = (_MIRRORED.get(sign, sign), number)
        if mirrored in _POSITIVE or mirrored in _ZERO:
            return lo + 2, mirrored in _POSITIVE
        return lo, None

    def _term(self, lo: int, hi: int) -> tuple[Value, bool]:
        """Return whether what a function or a query looks up exists."""
        toks = self.toks
        if lo + 1 < hi and toks[lo] == "(" and closing(toks, lo, hi) == hi - 1:
            if toks[lo + 1] == "select":
                if toks[lo + 2] in ("count", "count_big"):
                    return self._catalog(lo + 1, hi - 1)
                return self._term(lo + 2, hi - 1)
            return self._term(lo + 1, hi - 1)
        if hi - lo < 3 or toks[lo + 1] != "(" or closing(toks, lo + 1, hi) != hi - 1:
            return Value.UNKNOWN, self._asks(lo, hi)
        function, strings = toks[lo], self._strings(lo, hi)
        if function in _NULLABLE and toks[hi - 3] == ",":
            return self._term(lo + 2, hi - 3)
        if function == "has_perms_by_name" and strings and self._names_own(strings[0]):
            return Value.EITHER, False
        if function in ("object_id", "type_id") and strings:
            codes = frozenset(each.lower() for each in strings[1:])
            return self._object(self._parts(strings[0]), codes)
        if function in ("objectproperty", "objectpropertyex") and len(strings) == 2:
            codes = frozenset({strings[1].lower()})
            if codes <= _ALL_CODES:
                return self._object(self._parts(strings[0]), codes)
        if function == "indexproperty" and len(strings) > 1 and self._names_own(strings[0]):
            return self._made(strings[1:2]), False
        return Value.UNKNOWN, self._asks(lo, hi)

    def _object(self, parts: Sequence[str], codes: frozenset[str]) -> tuple[Value, bool]:
        """Return whether an object exists, given its name and the types that are looked for."""
        if self._is_trigger(parts) and (not codes or "tr" in codes):
            return self._made(parts[-1:]), False
        if not self._is_own(parts):
            return Value.UNKNOWN, False
        of_kind = not codes or not codes.isdisjoint(_CODES[self.subject.own.kind])
        return (Value.TRUE if of_kind else Value.FALSE), False

    def _made(self, names: Iterable[str]) -> Value:
        there = any(name.lower() in self.made for name in names)
        return Value.TRUE if there else Value.FALSE

    def _catalog(self, lo: int, hi: int) -> tuple[Value, bool]:
        """Return whether a query of the catalog finds what it looks for."""
        sources = self._sources(lo, hi)
        strings = self._strings(lo, hi)
        if sources <= _PRINCIPALS:
            return Value.UNKNOWN, False
        names = [self._parts(each) for each in strings]
        if self._is_elsewhere(lo, hi):
            return Value.UNKNOWN, False
        own = next((i for i, parts in enumerate(names) if self._is_own(parts)), -1)
        if sources & _GRANTS and sources <= _GRANTS | _BESIDE and own >= 0:
            return Value.EITHER, False
        lowered = [each.lower() for each in strings]
        is_ours = own >= 0 or not self.parts.isdisjoint(lowered)
        if sources & _PARTS and sources <= _PARTS | _BESIDE and is_ours:
            return self._made(strings), False
        triggers = [parts for parts in names if self._is_trigger(parts)]
        if triggers and sources and sources <= _TRIGGERS | _OBJECTS | _BESIDE:
            return self._made(parts[-1] for parts in triggers), False
        if own >= 0 and sources & _OBJECTS and sources <= _BESIDE:
            if any(self.subject.own.kind not in _ONLY.get(each, _CODES) for each in sources):
                return Value.FALSE, False
            codes = _ALL_CODES.intersection(lowered[:own] + lowered[own + 1 :])
            return self._object(names[own], codes)
        return Value.UNKNOWN, self._asks(lo, hi)

    # ---- what is looked for --------------------------------------------------------------------

    def _sources(self, lo: int, hi: int) -> frozenset[str]:
        """Return the relations that a query reads, by the last part of their names."""
        toks = self.toks
        found: set[str] = set()
        for i in range(lo, hi):
            if toks[i] in ("from", "join", "apply") or (toks[i] == "," and found):
                j = i + 1 + (toks[i + 1 : i + 2] == ["::"])
                while j + 2 < hi and toks[j + 1] == ".":
                    j += 2 if toks[j + 2] != "." else 1
                if j < hi and toks[j] != "(" and (toks[i] != "," or self._is_source(toks[j])):
                    found.add(identifier(toks[j]))
        return frozenset(found)

    def _is_source(self, token: str) -> bool:
        return token in _OBJECTS | _TRIGGERS | _PARTS | _GRANTS | _BESIDE

    def _strings(self, lo: int, hi: int) -> list[str]:
        return [string_value(token) for token in self.toks[lo:hi] if is_string(token)]

    def _is_elsewhere(self, lo: int, hi: int) -> bool:
        """Return whether a query asks for another schema or another object."""
        toks = self.toks
        schema = self.subject.own.name.schema.lower()
        schemas = {
            toks[i + 1 + (toks[i + 1] == "as")] for i in range(lo, hi - 2) if toks[i] == "schemas"
        }
        for i in range(lo, hi):
            if not is_string(toks[i]):
                continue
            text = string_value(toks[i])
            before = toks[i - 2] if toks[i - 1] in ("=", "(") else ""
            if before == "object_id":
                parts = self._parts(text)
                if not (self._is_own(parts) or self._is_trigger(parts)):
                    return True
            is_schema = (
                before in _SCHEMA_COLUMNS
                or before == "schema_id"
                or (before == "name" and toks[i - 3] == "." and toks[i - 4] in schemas)
                or (toks[i - 1] == "," and _text(toks[i - 2]) in ("schema", "user"))
                or (before == ")" and "schema_name" in toks[max(lo, i - 8) : i])
            )
            if is_schema and text.lower() != schema:
                return True
        return False

    def _parts(self, text: str) -> list[str]:
        """Return the parts of the name that a string holds, in lower case, without our database."""
        tokens = list(map(fold, lex(text))) if "\0" not in text else []
        parts = [identifier(token) for token in tokens[::2]]
        if not all(parts) or any(dot != "." for dot in tokens[1::2]):
            return []
        if len(parts) == 3 and parts[0] in self.databases:
            del parts[0]
        return parts

    def _is_own(self, parts: Sequence[str]) -> bool:
        """Return whether a name is the object's; without a schema the leaf counts."""
        own = self.subject.own.name
        if len(parts) == 1:
            return parts[0] == own.leaf.lower()
        return len(parts) == 2 and list(parts) == [own.schema.lower(), own.leaf.lower()]

    def _is_trigger(self, parts: Sequence[str]) -> bool:
        schema = self.subject.own.name.schema.lower()
        leaves = {trigger.leaf.lower() for trigger in self.subject.triggers}
        return bool(parts) and parts[-1] in leaves and list(parts[:-1]) in ([], [schema])

    def _names_own(self, text: str) -> bool:
        return self._is_own(self._parts(text))

    def _asks(self, lo: int, hi: int) -> bool:
        """Return whether a stretch seems to ask the server for the object."""
        asked = _CATALOG.union(_FUNCTIONS).intersection(self.toks[lo:hi])
        leaf = self.subject.own.name.leaf.lower()
        return bool(asked) and any(leaf in text.lower() for text in self._strings(lo, hi))


def parts_of(unit: Unit, leaves: Iterable[Step]) -> set[str]:
    """Return the indexes, statistics and properties that statements are about, in lower case."""
    toks = unit.folded
    found: set[str] = set()
    for leaf in leaves:
        for i in range(leaf.lo + 1, min(leaf.lo + 5, leaf.hi - 1)):
            if toks[i] in ("index", "statistics"):
                i += 2 * (toks[i + 1] == "if")
                found.update(map(identifier, toks[i + 1 : leaf.hi]))
                break
        if properties.called(toks, leaf)[0] in properties.PROCEDURES:
            found.add(properties.Call(unit, leaf).value("@name").lower())
    return found - {""}
