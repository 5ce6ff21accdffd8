"""References in the parts of tables: columns, constraints, index elements, partitions."""

from __future__ import annotations

from procver.scanning.postgresql.queries import Queries
from procver.scanning.scopes import Scope

_TABLE_CONSTRAINTS = frozenset({"constraint", "check", "unique", "primary", "foreign", "not"})
# The words before a bracket of CREATE TABLE that holds no columns.
_BOUNDS = frozenset({"in", "from", "to"})
_OPTIONS = frozenset({"with", "options", "inherits"})


class Tables(Queries):
    """The part that reads what CREATE TABLE, ALTER TABLE and CREATE INDEX are made of."""

    def table(self, lo: int, hi: int, scope: Scope) -> None:
        """Read CREATE TABLE from the token after the table's name on."""
        toks, i = self.toks, lo
        while i < hi:
            word = toks[i]
            if word == "(":
                end = self.close(i, hi)
                self._bracket(i, end, scope)
                i = end
            elif word == "of" and toks[i - 1] == "partition":
                i = self.chain(i + 1, hi).end - 1
            elif word == "of" and i == lo:
                self.type_region(i + 1, hi, scope)
            elif word == "as":
                self.stored(i + 1, hi, scope)
                return
            i += 1

    def _bracket(self, i: int, end: int, scope: Scope) -> None:
        before = self.toks[i - 1]
        if before in _BOUNDS:
            self.expression(i + 1, end, scope, i)
        elif self.toks[i - 3 : i - 1] == ["partition", "by"]:
            self.index_elements(i + 1, end, scope)
        elif before not in _OPTIONS:
            for a, b in self.split(i + 1, end):
                self.element(a, b, scope)

    def stored(self, lo: int, hi: int, scope: Scope) -> None:
        """Read after CREATE ... AS: a query, or EXECUTE with the arguments of a prepared one."""
        if self.tok(lo) == "execute":
            self.expression(self.chain(lo + 1, hi).end, hi, scope)
        elif lo < hi:
            self.query(lo, hi, scope)

    def element(self, lo: int, hi: int, scope: Scope) -> None:
        """Read a column with its constraints, LIKE, or a constraint of the table."""
        if not self.has(lo, hi):
            return
        word = self.toks[lo]
        if word == "like":
            self.relation(self.chain(lo + 1, hi), None)
        elif word in _TABLE_CONSTRAINTS or (
            word == "exclude" and self.tok(lo + 1) in ("using", "(")
        ):
            self.constraints(lo, hi, scope)
        elif self.toks[lo + 1 : lo + 3] == ["with", "options"]:
            self.constraints(lo + 3, hi, scope)
        elif lo + 1 < hi:
            self.type_region(lo + 1, hi, scope)
            self.constraints(self.chain(lo + 1, hi).end, hi, scope)

    def constraints(self, lo: int, hi: int, scope: Scope) -> None:
        """Read constraints and defaults: expressions, except where a name stands before a bracket."""
        i = lo
        while i < hi:
            start = i
            i = self.seek(i, hi, ("references", "exclude", "options"))
            self.expression(start, i, scope)
            word = self.tok(i) if i < hi else ""
            if word == "references":
                i = self.chain(i + 1, hi).end
            else:
                i = self.seek(i, hi, ("(",))
                if word == "exclude":
                    self.index_elements(i + 1, self.close(i, hi), scope)
            if self.tok(i) == "(":
                i = self.close(i, hi) + 1

    def index_elements(self, lo: int, hi: int, scope: Scope) -> None:
        """Read a list of columns, calls and bracketed expressions, each with an operator class."""
        for a, b in self.split(lo, hi):
            end = a
            if self.is_name(a):
                end = self.chain(a, b).end
            if self.tok(end) == "(" and end < b:
                end = self.close(end, b) + 1
            self.expression(a, min(end, b), scope)

    def alter_command(self, lo: int, hi: int, scope: Scope) -> None:
        """Read one command of ALTER TABLE, ALTER VIEW, ALTER DOMAIN or ALTER TYPE."""
        if not self.has(lo, hi):
            return
        word, i = self.toks[lo], lo + 1
        if word == "add":
            i += self.tok(i) in ("column", "attribute") and i + 2 < hi
            if self.tok(i) == "if":
                i += 3
            self.element(i, hi, scope)
        elif word == "alter":
            i += self.tok(i) in ("column", "attribute") and i + 2 < hi
            i += 1
            kind = self.seek(i, hi, ("type",))
            if kind <= i + 2 and kind + 1 < hi:
                self.type_region(kind + 1, hi, scope)
                i = self.chain(kind + 1, hi).end
            self.constraints(i, hi, scope)
        elif word == "attach":
            self.expression(self.seek(i, hi, ("for",)), hi, scope)
        elif word == "of":
            self.type_region(i, hi, scope)
        elif word == "set" and self.tok(i) == "default":
            self.expression(i + 1, hi, scope)
