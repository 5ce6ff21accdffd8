"""References in all other SQL statements, and the objects that statements are about."""

from __future__ import annotations

from typing import NamedTuple

from procver.objects import Kind, Name
from procver.scanning.postgresql.definitions import ROUTINE_WORDS, Definitions
from procver.scanning.postgresql.names import RELATIONS, ROUTINES
from procver.scanning.scopes import Chain, Scope

_QUERIES = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge"})
_RELATION_WORDS = frozenset({"view", "table"})
_OPTIONAL = frozenset({"analyze", "analyse", "verbose"})


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


class Statements(Definitions):
    """The part that reads whole statements."""

    def statement(self, lo: int, hi: int, scope: Scope) -> None:
        """Read one SQL statement of any sort."""
        if not self.has(lo, hi):
            return
        word = self.toks[lo]
        if word in _QUERIES or word == "(":
            self.query(lo, hi, scope)
        elif word == "call":
            self.expression(lo + 1, hi, scope)
        elif word == "execute" and lo + 1 < hi:  # a prepared statement: its name is no call
            self.expression(self.chain(lo + 1, hi).end, hi, scope)
        elif word == "prepare":
            self._prepare(lo, hi, scope)
        elif word == "declare":
            start = self.seek(lo, hi, ("for",)) + 1
            if start < hi:
                self.query(start, hi, scope)
        elif word in ("lock", "truncate", "analyze", "analyse", "vacuum", "cluster", "refresh"):
            self._relations(lo + 1, hi)
        elif word == "reindex":
            self._reindex(lo, hi)
        elif word == "copy":
            self._copy(lo + 1, hi, scope)
        elif word in ("grant", "revoke", "comment", "security"):
            targets = self.targets(lo, hi)
            for target in targets:
                self.take(target, scope)
            if not targets:
                self.described(self.seek(lo, hi, ("on",)) + 1, hi, scope)
        elif word == "explain":
            self._explain(lo + 1, hi, scope)
        elif word == "create":
            self._create(lo, hi, scope)
        elif word == "alter":
            self.alter(lo, hi, scope)
        elif word == "drop":
            self.drop(lo, hi, scope)

    def _prepare(self, lo: int, hi: int, scope: Scope) -> None:
        start = self.seek(lo, hi, ("as",))
        self.argument_types(self.seek(lo, start, ("(",)), start, scope)
        if start + 1 < hi:
            self.query(start + 1, hi, scope)

    def _explain(self, i: int, hi: int, scope: Scope) -> None:
        if self.tok(i) == "(" and not self.starts_query(i):
            i = self.close(i, hi) + 1
        while self.tok(i) in _OPTIONAL:
            i += 1
        if i < hi:
            self.statement(i, hi, scope)

    def _create(self, lo: int, hi: int, scope: Scope) -> None:
        noun = self.tok(self._noun(lo + 1, hi))
        if noun == "index":
            self.index(lo, hi, scope)
        elif noun == "trigger":
            self.trigger(lo, hi, scope)
        elif noun == "rule":
            self.rule(lo, hi, scope)
        else:
            self.create(lo, hi, scope)

    def _reindex(self, lo: int, hi: int) -> None:
        i = self.seek(lo, hi, ("table",)) + 1
        i += self.tok(i) == "concurrently"
        if i < hi:
            self.relation(self.chain(i, hi), None)

    def _relations(self, lo: int, hi: int) -> None:
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
            return
        lo += self.tok(lo) == "binary"
        if lo < hi and self.is_name(lo):
            chain = self.chain(lo, hi)
            inside = Scope(scope)
            self._expose(self.toks[chain.parts[-1]], self.relation(chain, None), inside)
            self.expression(self.seek(chain.end, hi, ("where",)), hi, inside)

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
        if word in ROUTINE_WORDS or word in _RELATION_WORDS:
            i += 1
            kinds = ROUTINES if word in ROUTINE_WORDS else RELATIONS
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
        if word not in ROUTINE_WORDS and word not in _RELATION_WORDS:
            return None
        i += 1
        if self.tok(i) == "if":
            i += 2
        if self.tok(i) == "only":
            i += 1
        if not self.is_name(i):
            return None
        return self._target_at(i, hi, ROUTINES if word in ROUTINE_WORDS else RELATIONS)

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
        start = self.seek(chain.end, hi, ("(",))
        end = self.close(start, hi)
        self.index_elements(start + 1, end, inside)
        self.expression(self.seek(end, hi, ("where",)), hi, inside)
        return name

    def trigger(self, lo: int, hi: int, scope: Scope) -> Name | None:
        """Read CREATE TRIGGER; return the relation if it is managed.

        The function after EXECUTE returns a trigger, so it is never managed.
        """
        i = self.seek(lo, hi, ("on",)) + 1
        if not self.is_name(i):
            return None
        chain = self.chain(i, hi)
        name = self.relation(chain, None)
        execute = self.seek(chain.end, hi, ("execute",))
        self.expression(self.seek(chain.end, execute, ("when",)), execute, scope)
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
