"""References in all other SQL statements, those about objects (DDL) included."""

from __future__ import annotations

from typing import NamedTuple

from procver.objects import Kind, Name
from procver.scanning.postgresql.lexer import identifier
from procver.scanning.postgresql.names import RELATIONS, ROUTINES, label
from procver.scanning.postgresql.queries import Queries
from procver.scanning.scopes import Chain, Scope

_QUERIES = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge"})
_ROUTINE_WORDS = frozenset({"function", "procedure", "routine"})
_RELATION_WORDS = frozenset({"view", "table"})
_ALL_KINDS = ROUTINES | RELATIONS


class Target(NamedTuple):
    """The object that a statement is about.

    Attributes:
        chain: its name in the statement.
        kinds: what it can be.
        end: token after the name and its argument list.
    """

    chain: Chain
    kinds: frozenset[Kind]
    end: int


class Statements(Queries):
    """The part that reads whole statements."""

    def statement(self, lo: int, hi: int, scope: Scope) -> None:
        """Read one SQL statement of any sort."""
        if not self.has(lo, hi):
            return
        word = self.toks[lo]
        if word in _QUERIES or word == "(":
            self.query(lo, hi, scope)
        elif word in ("call", "execute", "set", "do", "notify", "fetch", "move"):
            self.expression(lo + 1, hi, scope)
        elif word == "declare":
            start = self.seek(lo, hi, ("for",)) + 1
            if start < hi:
                self.query(start, hi, scope)
        elif word in ("lock", "truncate", "analyze", "vacuum", "cluster", "refresh"):
            self._relations(lo + 1, hi, scope)
        elif word == "copy":
            self._copy(lo + 1, hi, scope)
        elif word in ("grant", "revoke", "comment", "security"):
            for target in self.targets(lo, hi):
                self.take(target, scope)
        elif word == "explain":
            start = self.seek(lo, hi, _QUERIES)
            if start < hi:
                self.query(start, hi, scope)
        elif word == "create" and "index" in self.toks[lo : lo + 3]:
            self.index(lo, hi, scope)
        elif word == "create" and "trigger" in self.toks[lo : lo + 5]:
            self.trigger(lo, hi, scope)
        else:
            self._definition(lo, hi, scope)

    def _relations(self, lo: int, hi: int, scope: Scope) -> None:
        """Read ``[TABLE] [ONLY] name [(columns)] [, ...]`` and what follows it."""
        for a, b in self.split(lo, hi):
            i = a
            while self.tok(i) in (
                "table",
                "only",
                "materialized",
                "view",
                "concurrently",
                "verbose",
                "full",
                "freeze",
                "analyze",
                "(",
            ):
                i = self.close(i, b) + 1 if self.tok(i) == "(" else i + 1
            if i < b and self.is_name(i):
                self.relation(self.chain(i, b), None)

    def _copy(self, lo: int, hi: int, scope: Scope) -> None:
        if self.tok(lo) == "(":
            self.query(lo + 1, self.close(lo, hi), scope)
        elif lo < hi and self.is_name(lo):
            self.relation(self.chain(lo, hi), None)

    def _definition(self, lo: int, hi: int, scope: Scope) -> None:
        """Read CREATE, ALTER, DROP and what else is not known.

        What they define or change is not a version: it is noted. Queries in them, and the
        types of columns, are references.
        """
        body = self.seek(lo, hi, ("as",)) + 1
        while body < hi and not self.starts_query(body):
            body = self.seek(body, hi, ("as",)) + 1
        body = min(body, hi)
        i = lo
        while i < body:
            if self.toks[i] == "(":
                end = self.close(i, body)
                if self.starts_query(i + 1):
                    self.query(i + 1, end, scope)
                elif self.tok(lo + 1) in ("table", "temp", "temporary", "unlogged"):
                    self._columns(i + 1, end, scope)
                else:
                    self.expression(i + 1, end, scope, i)
                i = end + 1
            elif i in self.at_set:
                chain = self.chain(self.chain_start(i, lo), body)
                self._note_definition(lo, chain)
                i = max(chain.end, i + 1)
            else:
                i += 1
        if body < hi:
            self.query(body, hi, scope)

    def _columns(self, lo: int, hi: int, scope: Scope) -> None:
        for a, b in self.split(lo, hi):
            if self.toks[a] == "like" and self.is_name(a + 1):
                self.relation(self.chain(a + 1, b), None)
            elif self.is_name(a):
                self.type_region(a + 1, b, scope)

    def _note_definition(self, lo: int, chain: Chain) -> None:
        if len(chain.parts) > 2 or chain.parts[-1] not in self.at_set:
            return
        schema = identifier(self.toks[chain.parts[0]]) if len(chain.parts) == 2 else None
        leaf = identifier(self.toks[chain.parts[-1]])
        found = self.names.find(schema, leaf, _ALL_KINDS)
        if found is None:
            return
        verb = " ".join(self.unit.written[lo : lo + 2]).upper()
        self.findings.note(
            self.unit,
            chain.parts[0],
            "definition-in-body",
            f"{verb} of {label(found.name)} is left as it is: it does not reach any version",
            "leave creating and dropping managed objects to procver",
            found.name,
        )

    # ---- statements about an object ----------------------------------------------------------

    def take(self, target: Target, scope: Scope) -> Name | None:
        """Decide on the object that a statement is about, and on its argument list."""
        name = self.decide(target.chain.parts, target.kinds, "object")
        if target.end > target.chain.end:
            self.typed_list(target.chain.end + 1, target.end - 1, scope)
        return name

    def targets(self, lo: int, hi: int) -> list[Target]:
        """Return what GRANT, REVOKE, COMMENT ON and SECURITY LABEL are about.

        A list is empty where that is no routine and no relation.
        """
        i = self.seek(lo, hi, ("on",)) + 1
        word = self.tok(i)
        if word == "materialized" and self.tok(i + 1) == "view":
            i, word = i + 1, "view"
        if word == "column":
            chain = self.chain(i + 1, hi)
            parts = chain.parts[:-1]
            return [Target(Chain(parts, chain.end, False), RELATIONS, chain.end)] if parts else []
        if word in ("trigger", "rule", "constraint", "policy"):
            i = self.seek(i, hi, ("on",)) + 1
            return [self._target_at(i, hi, RELATIONS)] if self.is_name(i) else []
        if word in _ROUTINE_WORDS or word in _RELATION_WORDS:
            i += 1
            kinds = ROUTINES if word in _ROUTINE_WORDS else RELATIONS
        elif self.toks[lo] in ("grant", "revoke") and self._is_plain_list(i, hi):
            kinds = RELATIONS
        else:
            return []
        end = self.seek(i, hi, ("to", "from", "is"))
        return [self._target_at(a, end, kinds) for a, _ in self.split(i, end) if self.is_name(a)]

    def _is_plain_list(self, i: int, hi: int) -> bool:
        end = self.chain(i, hi).end if self.is_name(i) else hi
        return self.tok(end) in (",", "to", "from")

    def _target_at(self, i: int, hi: int, kinds: frozenset[Kind]) -> Target:
        chain = self.chain(i, hi)
        end = chain.end
        if self.tok(end) == "(" and kinds is ROUTINES:
            end = self.close(end, hi) + 1
        return Target(chain, kinds, end)

    def altered(self, lo: int, hi: int) -> Target | None:
        """Return what an ALTER statement is about, None if it is no routine and no relation."""
        i = lo + 1
        if self.tok(i) == "materialized":
            i += 1
        word = self.tok(i)
        if word not in _ROUTINE_WORDS and word not in _RELATION_WORDS:
            return None
        i += 1
        if self.tok(i) == "if":
            i += 2
        if self.tok(i) == "only":
            i += 1
        if not self.is_name(i):
            return None
        return self._target_at(i, hi, ROUTINES if word in _ROUTINE_WORDS else RELATIONS)

    def index(self, lo: int, hi: int, scope: Scope) -> Name | None:
        """Read CREATE INDEX; return the relation if it is managed."""
        i = self.seek(lo, hi, ("on",)) + 1
        if self.tok(i) == "only":
            i += 1
        if not self.is_name(i):
            return None
        chain = self.chain(i, hi)
        name = self.relation(chain, None)
        inside = Scope(scope)
        self._expose(self.toks[chain.parts[-1]], name, inside)
        self.expression(chain.end, hi, inside)
        return name

    def trigger(self, lo: int, hi: int, scope: Scope) -> Name | None:
        """Read CREATE TRIGGER; return the relation if it is managed."""
        i = self.seek(lo, hi, ("on",)) + 1
        if not self.is_name(i):
            return None
        chain = self.chain(i, hi)
        name = self.relation(chain, None)
        self.expression(chain.end, hi, scope)
        return name

    def rule(self, lo: int, hi: int, scope: Scope) -> Name | None:
        """Read CREATE RULE; return the relation if it is managed."""
        i = self.seek(lo, hi, ("to",)) + 1
        if not self.is_name(i):
            return None
        chain = self.chain(i, hi)
        name = self.relation(chain, None)
        do = self.seek(chain.end, hi, ("do",))
        self.expression(chain.end, do, scope)
        i = do + 1
        while self.tok(i) in ("also", "instead"):
            i += 1
        end = hi
        if self.tok(i) == "(" and not self.starts_query(i):
            end = self.close(i, hi)
            i += 1
        elif self.tok(i) == "(":
            end, i = self.close(i, hi), i + 1
        self.commands(i, end, scope)
        return name

    def commands(self, lo: int, hi: int, scope: Scope) -> None:
        """Read statements separated by semicolons."""
        start = i = lo
        while i <= hi:
            if i == hi or self.toks[i] == ";":
                self.statement(start, i, scope)
                start = i + 1
            elif self.toks[i] in ("(", "["):
                i = self.close(i, hi)
                if i == hi:
                    continue
            i += 1
