"""References in statements that create, alter or drop objects which are no versions.

The object itself is left as it is, with a note if its name is managed. Types, calls and queries in
the statement are references like any other.
"""

from __future__ import annotations

from procver.objects import Kind
from procver.scanning.postgresql.definition import Definition, Routine, read_head, read_routine
from procver.scanning.postgresql.lexer import identifier
from procver.scanning.postgresql.names import RELATIONS, ROUTINES, label
from procver.scanning.postgresql.tables import Tables
from procver.scanning.scopes import Chain, Scope

ROUTINE_WORDS = frozenset({"function", "procedure", "routine"})
_MODIFIERS = frozenset(
    [
        "or",
        "replace",
        "global",
        "local",
        "temp",
        "temporary",
        "unlogged",
        "unique",
        "constraint",
        "recursive",
        "materialized",
        "foreign",
        "trusted",
        "procedural",
        "default",
    ]
)
_RELATION_WORDS = frozenset({"table", "view", "sequence", "type", "domain", "index"})
_ON_RELATION = frozenset({"trigger", "rule", "policy"})
_OF_TYPE = frozenset(
    [
        "basetype",
        "element",
        "leftarg",
        "like",
        "mstype",
        "rightarg",
        "stype",
        "subtype",
    ]
)
_OF_ROUTINE = frozenset(
    [
        "analyze",
        "canonical",
        "combinefunc",
        "deserialfunc",
        "end",
        "finalfunc",
        "function",
        "gettoken",
        "headline",
        "init",
        "input",
        "join",
        "lexize",
        "lextypes",
        "mfinalfunc",
        "minvfunc",
        "msfunc",
        "output",
        "procedure",
        "receive",
        "restrict",
        "send",
        "serialfunc",
        "sfunc",
        "start",
        "subscript",
        "subtype_diff",
        "typmod_in",
        "typmod_out",
    ]
)
_HANDLERS = frozenset({"handler", "inline", "validator"})


class Definitions(Tables):
    """The part that reads CREATE, ALTER and DROP."""

    # ---- the object itself ---------------------------------------------------------------

    def defined(self, lo: int, i: int, hi: int, kinds: frozenset[Kind]) -> Chain:
        """Return the name at ``i`` of the object that the statement at ``lo`` is about.

        It is noted if an object of ``kinds`` is managed under it.
        """
        chain = self.chain(i, hi)
        if chain.parts[-1] in self.at_set and len(chain.parts) < 3:
            schema = identifier(self.toks[chain.parts[0]]) if len(chain.parts) == 2 else None
            leaf = identifier(self.toks[chain.parts[-1]])
            found = self.names.find(schema, leaf, kinds)
            if found is not None and (schema is not None or leaf not in self.temporary):
                verb = " ".join(self.unit.written[lo : lo + 2]).upper()
                self.findings.note(
                    self.unit,
                    i,
                    "definition-in-body",
                    f"{verb} of {label(found.name)} is left as it is: it does not reach any version",
                    "leave creating and dropping managed objects to procver",
                    found.name,
                )
        return chain

    def _noun(self, i: int, hi: int) -> int:
        while i < hi and self.toks[i] in _MODIFIERS:
            i += 1
        return i

    def _name(self, i: int) -> int:
        """Return where the name starts that follows the noun before ``i``."""
        i += self.tok(i) == "concurrently"
        if self.tok(i) == "if":
            i += 3 if self.tok(i + 1) == "not" else 2
        return i + (self.tok(i) == "only")

    # ---- CREATE --------------------------------------------------------------------------

    def create(self, lo: int, hi: int, scope: Scope) -> None:
        """Read a CREATE statement; those about a relation only if the relation is no version."""
        at = self._noun(lo + 1, hi)
        noun = self.tok(at)
        i = self._name(at + 1)
        if i >= hi:
            return
        if noun == "table":
            self.table(self.defined(lo, i, hi, RELATIONS).end, hi, scope)
        elif noun == "view":
            self._view(lo, i, hi, scope)
        elif noun in ("function", "procedure"):
            self._routine(lo, i, hi, scope)
        elif noun == "aggregate":
            self._aggregate(lo, i, hi, scope)
        elif noun == "operator":
            self._operator(i, hi, scope)
        elif noun == "type":
            self._type(self.defined(lo, i, hi, RELATIONS).end, hi, scope)
        elif noun == "domain":
            i = self.defined(lo, i, hi, RELATIONS).end
            i += self.tok(i) == "as"
            self.type_region(i, hi, scope)
            self.constraints(self.chain(i, hi).end if i < hi else hi, hi, scope)
        elif noun == "sequence":
            self.type_region(self.seek(i, hi, ("as",)) + 1, hi, scope)
        elif noun == "cast":
            self.types_of_cast(i, hi)
            self._functions(i, hi, scope)
        elif noun == "transform":
            self._transform(i, hi, scope)
        elif noun == "conversion":
            self._routine_at(self.seek(i, hi, ("from",)) + 1, hi, scope)
        elif noun in ("language", "access", "data"):
            self._handlers(i, hi, scope)
        elif noun == "text":
            self._parameters_in(i, hi)
        elif noun == "policy":
            self.policy(i, hi, scope, is_new=True)
        elif noun == "statistics":
            self._statistics(i, hi, scope)
        elif noun == "publication":
            self._publication(i, hi, scope)
        elif noun == "schema":
            self._schema(i, hi, scope)

    def _view(self, lo: int, i: int, hi: int, scope: Scope) -> None:
        chain = self.defined(lo, i, hi, RELATIONS)
        if "recursive" in self.toks[lo:i]:
            scope = Scope(scope)
            scope.ctes.add(self.toks[chain.parts[-1]])
        self.stored(self.seek(chain.end, hi, ("as",)) + 1, hi, scope)

    def _routine(self, lo: int, i: int, hi: int, scope: Scope) -> None:
        self.defined(lo, i, hi, ROUTINES)
        definition = read_head(self.toks, lo, hi)
        if definition is not None:
            self.signature(definition, read_routine(self.toks, definition), scope)

    def signature(self, definition: Definition, routine: Routine, scope: Scope) -> None:
        """Read CREATE FUNCTION or PROCEDURE without a body in a string."""
        self.typed_list(*routine.arguments, scope)
        if routine.columns is not None:
            self.typed_list(*routine.columns, scope)
        if routine.returns >= 0:
            self.type_region(routine.returns, definition.hi, scope)
        if routine.support >= 0 and self.is_name(routine.support):
            self.call(self.chain(routine.support, definition.hi))
        for i in routine.transforms:
            self.type_region(i, definition.hi, scope)
        if routine.atomic is not None:
            self.commands(*routine.atomic, scope)
        if routine.result is not None:
            self.expression(*routine.result, scope)

    def _aggregate(self, lo: int, i: int, hi: int, scope: Scope) -> None:
        chain = self.defined(lo, i, hi, ROUTINES)
        end = self.close(chain.end, hi)
        if self.tok(end + 1) == "(":
            self.argument_types(chain.end, hi, scope)
            chain, end = Chain(chain.parts, end + 1, False), self.close(end + 1, hi)
        self.parameters_at(chain.end + 1, end)

    def argument_types(self, i: int, hi: int, scope: Scope) -> int:
        """Read the bracketed argument types at ``i``, if any; return where they end."""
        if self.tok(i) != "(" or i >= hi:
            return i
        end = self.close(i, hi)
        ordered = self.seek(i + 1, end, ("order",))
        self.typed_list(i + 1, ordered, scope)
        self.typed_list(ordered + 2, end, scope)
        return end + 1

    def parameters_at(self, lo: int, hi: int) -> None:
        """Read ``name = value, ...`` of CREATE AGGREGATE, OPERATOR, TYPE and TEXT SEARCH."""
        for a, b in self.split(lo, hi):
            if self.tok(a + 1) != "=" or not self.is_name(a + 2):
                continue
            word = self.toks[a].rstrip("1")  # SFUNC1 and STYPE1 are of old
            if word in _OF_TYPE:
                self.type_region(a + 2, b, Scope(None))
            elif word in _OF_ROUTINE:
                self.call(self.chain(a + 2, b))

    def _parameters_in(self, lo: int, hi: int) -> None:
        start = self.seek(lo, hi, ("(",))
        self.parameters_at(start + 1, self.close(start, hi) if start < hi else hi)

    def _operator(self, i: int, hi: int, scope: Scope) -> None:
        if self.tok(i) == "class":
            kind = self.seek(i, hi, ("type",)) + 1
            self.type_region(kind, hi, scope)
            self.operator_class(self.seek(kind, hi, ("as",)) + 1, hi, scope)
        elif self.tok(i) != "family":
            self._parameters_in(i, hi)

    def operator_class(self, lo: int, hi: int, scope: Scope) -> None:
        """Read the operators, functions and storage types of an operator class or family."""
        for a, b in self.split(lo, hi):
            if self.tok(a) == "storage":
                self.type_region(a + 1, b, scope)
            elif self.tok(a) == "function":
                i = self.argument_types(a + 2, b, scope)
                self._routine_at(i, b, scope)
            else:
                start = self.seek(a, b, ("(",))
                self.argument_types(start, b, scope)

    def _type(self, i: int, hi: int, scope: Scope) -> None:
        if self.tok(i) != "as":
            self._parameters_in(i, hi)
        elif self.tok(i + 1) == "range":
            self._parameters_in(i + 1, hi)
        elif self.tok(i + 1) == "(":
            for a, b in self.split(i + 2, self.close(i + 1, hi)):
                self.element(a, b, scope)

    def types_of_cast(self, i: int, hi: int) -> None:
        """Read ``(type AS type)`` at ``i``."""
        end = self.close(i, hi)
        middle = self.seek(i + 1, end, ("as",))
        self.type_region(i + 1, middle, Scope(None))
        self.type_region(middle + 1, end, Scope(None))

    def _functions(self, lo: int, hi: int, scope: Scope) -> None:
        """Read each ``FUNCTION name [(types)]``."""
        i = self.seek(lo, hi, ("function",)) + 1
        while i < hi:
            i = self._routine_at(i, hi, scope)
            i = self.seek(i, hi, ("function",)) + 1

    def _routine_at(self, i: int, hi: int, scope: Scope) -> int:
        if i >= hi or not self.is_name(i):
            return i
        chain = self.chain(i, hi)
        self.call(chain)
        return self.argument_types(chain.end, hi, scope)

    def _transform(self, i: int, hi: int, scope: Scope) -> None:
        self.type_region(self.seek(i - 1, hi, ("for",)) + 1, hi, scope)
        start = self.seek(i, hi, ("(",))
        if start < hi:
            self._functions(start + 1, self.close(start, hi), scope)

    def _handlers(self, i: int, hi: int, scope: Scope) -> None:
        while (i := self.seek(i, hi, _HANDLERS) + 1) < hi:
            self._routine_at(i, hi, scope)

    def policy(self, i: int, hi: int, scope: Scope, *, is_new: bool = False) -> None:
        """Read CREATE or ALTER POLICY from the policy's name on."""
        on = self.seek(i, hi, ("on",)) + 1
        if on >= hi:
            return
        chain = self.chain(on, hi)
        inside = Scope(scope)
        name = self.relation(chain, None) if is_new else None
        inside.names[self.toks[chain.parts[-1]]] = name
        self.expression(chain.end, hi, inside)

    def _statistics(self, i: int, hi: int, scope: Scope) -> None:
        on = self.seek(i - 1, hi, ("on",)) + 1
        start = self.seek(on, hi, ("from",))
        inside = Scope(scope)
        self.from_list(start + 1, hi, inside, [])
        self.index_elements(on, start, inside)

    def _publication(self, i: int, hi: int, scope: Scope) -> None:
        """Read the tables of a publication, from FOR, ADD or SET on."""
        start = self.seek(i, hi, ("table",)) + 1
        for a, b in self.split(start, self.seek(start, hi, ("with",))):
            at = self._name(a + (self.tok(a) == "table"))
            if at >= b or self.tok(at) == "tables":
                continue
            chain = self.chain(at, b)
            inside = Scope(scope)
            inside.names[self.toks[chain.parts[-1]]] = self.relation(chain, None)
            self.expression(self.seek(chain.end, b, ("where",)), b, inside)

    def _schema(self, i: int, hi: int, scope: Scope) -> None:
        start = self.seek(i, hi, ("create", "grant"))
        while start < hi:
            end = self.seek(start + 1, hi, ("create", "grant"))
            self.statement(start, end, scope)
            start = end

    # ---- ALTER ---------------------------------------------------------------------------

    def alter(self, lo: int, hi: int, scope: Scope) -> None:
        """Read an ALTER statement about what is no version."""
        at = self._noun(lo + 1, hi)
        noun = self.tok(at)
        i = self._name(at + 1)
        if i >= hi:
            return
        if noun in _RELATION_WORDS:
            kinds: frozenset[Kind] = frozenset() if noun == "index" else RELATIONS
            end = self.defined(lo, i, hi, kinds).end
            if noun == "sequence":
                self.type_region(self.seek(end, hi, ("as",)) + 1, hi, scope)
            else:
                self.alteration(end, hi, scope)
        elif noun in ROUTINE_WORDS or noun == "aggregate":
            chain = self.defined(lo, i, hi, ROUTINES)
            self.alteration(self.argument_types(chain.end, hi, scope), hi, scope)
        elif noun == "policy":
            self._on_relation(lo, i, hi)
            self.policy(i, hi, scope)
        elif noun in _ON_RELATION:
            self._on_relation(lo, i, hi)
        elif noun == "operator" and self.tok(i) in ("class", "family"):
            start = self.seek(i, hi, ("add", "drop")) + 1
            self.operator_class(start, hi, scope)
        elif noun == "operator":
            end = self.argument_types(self.seek(i, hi, ("(",)), hi, scope)
            self._parameters_in(end, hi)
        elif noun == "publication":
            self._publication(i, hi, scope)
        elif noun in ("language", "access", "data"):
            self._handlers(i, hi, scope)
        elif noun == "extension":
            self.described(self.seek(i, hi, ("add", "drop")) + 1, hi, scope)

    def alteration(self, lo: int, hi: int, scope: Scope) -> None:
        """Read the commands of an ALTER statement, after the name of what it alters."""
        for a, b in self.split(lo, hi):
            if self.toks[a] == "support" and a + 1 < b:
                self.call(self.chain(a + 1, b))
            elif self.toks[a] == "set" and self.tok(a + 1) == "(":
                self._parameters_in(a, b)
            else:
                self.alter_command(a, b, scope)

    def described(self, i: int, hi: int, scope: Scope) -> None:
        """Read the types in the name of an object: CAST (v AS int), FUNCTION f(v)."""
        noun = self.tok(i)
        if noun == "cast":
            self.types_of_cast(i + 1, hi)
        elif noun == "transform":
            self.type_region(self.seek(i, hi, ("for",)) + 1, hi, scope)
        elif noun in ROUTINE_WORDS or noun in ("aggregate", "operator"):
            for a, b in self.split(i + 1, hi):
                self.argument_types(self.seek(a, b, ("(",)), b, scope)

    def _on_relation(self, lo: int, i: int, hi: int) -> None:
        on = self.seek(i, hi, ("on",)) + 1
        if on < hi:
            self.defined(lo, on, hi, RELATIONS)

    # ---- DROP ----------------------------------------------------------------------------

    def drop(self, lo: int, hi: int, scope: Scope) -> None:
        """Read a DROP statement."""
        at = self._noun(lo + 1, hi)
        noun = self.tok(at)
        i = self._name(at + 1)
        if noun in _ON_RELATION:
            self._on_relation(lo, i, hi)
        elif noun == "cast":
            self.types_of_cast(i, hi)
        elif noun in ("transform", "operator"):
            self.described(at, hi, scope)
        elif noun in ROUTINE_WORDS or noun == "aggregate" or noun in _RELATION_WORDS:
            is_routine = noun in ROUTINE_WORDS or noun == "aggregate"
            for a, b in self.split(i, hi):
                chain = self.defined(lo, a, b, ROUTINES if is_routine else RELATIONS)
                if is_routine:
                    self.argument_types(chain.end, b, scope)
