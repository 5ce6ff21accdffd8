"""References in queries: FROM items, CTEs, the clauses of SELECT and of data changes."""

from __future__ import annotations

from collections.abc import Callable

from procver.objects import Name
from procver.scanning.postgresql.expressions import Expressions
from procver.scanning.postgresql.keywords import NO_TABLE_NAME
from procver.scanning.postgresql.names import label, quote_part
from procver.scanning.scopes import Chain, Scope

_CLAUSES = frozenset(
    [
        "select",
        "from",
        "where",
        "group",
        "having",
        "window",
        "order",
        "limit",
        "offset",
        "fetch",
        "for",
        "union",
        "intersect",
        "except",
        "into",
        "returning",
    ]
)
_SET_OPERATORS = frozenset({"union", "intersect", "except"})
_UPDATE = frozenset({"set", "from", "where", "returning", "into"})
_DELETE = frozenset({"using", "where", "returning", "into"})
_CONFLICT = frozenset({"set", "where", "returning", "into"})
_MERGE = frozenset({"using", "on", "set", "insert", "values", "when", "returning", "into"})

_TABLE_FUNCTIONS = frozenset({"json_table", "xmltable"})

Segment = tuple[str, int, int]
Later = list[Callable[[], None]]


class Queries(Expressions):
    """The part that reads queries and data changes."""

    def query(self, lo: int, hi: int, scope: Scope) -> None:
        """Read one SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE or MERGE, WITH included."""
        if not self.has(lo, hi):
            return
        if self.toks[lo] == "with":
            scope, lo = self._with(lo, hi, scope)
            if lo >= hi:
                return
        word = self.toks[lo]
        if word == "insert":
            self._insert(lo, hi, scope)
        elif word == "update":
            self._update(lo, hi, scope)
        elif word == "delete":
            self._delete(lo, hi, scope)
        elif word == "merge":
            self._merge(lo, hi, scope)
        else:
            self.select(lo, hi, scope)

    def _with(self, lo: int, hi: int, parent: Scope) -> tuple[Scope, int]:
        toks, scope = self.toks, Scope(parent)
        i = lo + 1
        is_recursive = self.tok(i) == "recursive"
        i += is_recursive
        bodies: list[tuple[str, int, int]] = []
        while i < hi and self.is_name(i):
            name = toks[i]
            i += 1
            if i < hi and toks[i] == "(":
                i = self.close(i, hi) + 1
            while i < hi and toks[i] != "(":
                i += 1
            end = self.close(i, hi)
            bodies.append((name, i + 1, end))
            i = end + 1
            # SEARCH ... SET column, CYCLE columns SET ... USING column
            for word, last in (("search", "set"), ("cycle", "using")):
                if self.tok(i) == word:
                    start, i = i, self.seek(i, hi, (last,)) + 2
                    self.expression(start, min(i, hi), Scope(None))
            if self.tok(i) != ",":
                break
            i += 1
        if is_recursive:
            scope.ctes.update(name for name, _, _ in bodies)
        for name, start, end in bodies:
            if start < end:
                self.query(start, end, scope)
            scope.ctes.add(name)
        return scope, min(i, hi)

    # ---- SELECT ----------------------------------------------------------------------------

    def select(
        self, lo: int, hi: int, parent: Scope, *, implied: bool = False, named: bool = True
    ) -> None:
        """Read SELECT terms joined by set operators.

        Args:
            lo: first token.
            hi: token after the last.
            parent: the scope around the query.
            implied: the text starts with the items, as PL/pgSQL's expressions do.
            named: whether the columns' names can be seen by anyone.
        """
        segments: list[Segment] = []
        for segment in self._segments(lo, hi, "select" if implied else "", _CLAUSES):
            if segment[0] in _SET_OPERATORS:
                self._term(segments, parent, named)
                segments = [("", segment[1], segment[2])]
            else:
                segments.append(segment)
        self._term(segments, parent, named)

    def _segments(self, lo: int, hi: int, clause: str, words: frozenset[str]) -> list[Segment]:
        """Return (clause, start, end) of the parts of [lo, hi) that start with ``words``."""
        toks, segments = self.toks, []
        start = i = lo
        while i < hi:
            token = toks[i]
            if token == "(" or token == "[":
                i = self.close(i, hi) + 1
                continue
            if token in words and self._is_clause(token, i, lo, clause):
                segments.append((clause, start, i))
                if token == "into":
                    if clause == "":
                        clause = "select"
                    i = self._targets(i + 1, hi)
                    if self.tok(i) in words:
                        clause = "where"
                    start = i
                    continue
                clause, start = token, i + 1
            i += 1
        segments.append((clause, start, hi))
        return segments

    def _is_clause(self, token: str, i: int, lo: int, clause: str) -> bool:
        if i == lo:
            return True
        before = self.toks[i - 1]
        if before in (".", "as"):
            return False
        if token == "for":
            return before != "collation"
        if token == "from":
            if before == "rows" and clause in ("from", "using"):
                return False  # ROWS FROM (...)
            return before != "distinct" or self.toks[i - 2] not in ("is", "not")
        if token == "group":
            return before != "within"
        return token != "set" or before not in ("character",)

    def _targets(self, i: int, hi: int) -> int:
        """Skip the targets of INTO; ``routine.parameter`` among them is seen to."""
        while self.tok(i) in ("strict", "temp", "temporary", "unlogged", "table"):
            i += 1
        while i < hi and self.is_name(i):
            chain = self.chain(i, hi)
            if chain.parts[0] in self.at_set and len(chain.parts) > 1:
                self.qualifier(chain, Scope(None))
            i = chain.end
            if i < hi and self.toks[i] == "[":
                i = self.close(i, hi) + 1
            if i >= hi or self.toks[i] != ",":
                break
            i += 1
        return min(i, hi)

    def _term(self, segments: list[Segment], parent: Scope, named: bool) -> None:
        scope = Scope(parent)
        later: Later = []
        for clause, lo, hi in segments:
            if clause == "from":
                self.from_list(lo, hi, scope, later)
        for clause, lo, hi in segments:
            if not self.has(lo, hi) or clause == "from":
                continue
            if clause == "select":
                self._items(lo, hi, scope, named)
            elif clause == "returning":  # of json_array(SELECT ... RETURNING app.v)
                self.type_region(lo, hi, scope)
            elif clause == "for":
                self._locking(lo, hi, scope)
            elif clause == "" and (table := self.seek(lo, hi, ("table",))) < min(lo + 2, hi):
                self.relation(self.chain(table + 1, hi), scope)
            elif clause == "window":
                for a, b in self.split(lo, hi):
                    self.expression(a + 1, b, scope)
            else:
                self.expression(lo, hi, scope)
        for read in later:
            read()

    def _items(self, lo: int, hi: int, scope: Scope, named: bool) -> None:
        if self.tok(lo) == "all":
            lo += 1
        elif self.tok(lo) == "with" and self.tok(lo + 1) == "(":  # RETURNING WITH (OLD AS o)
            end = self.close(lo + 1, hi)
            for _, b in self.split(lo + 2, end):
                self._expose(self.toks[b - 1], None, scope)
            lo = end + 1
        elif self.tok(lo) == "distinct":
            lo += 1
            if self.tok(lo) == "on" and self.tok(lo + 1) == "(":
                end = self.close(lo + 1, hi)
                self.expression(lo + 2, end, scope)
                lo = end + 1
        for a, b in self.split(lo, hi):
            if named:
                self.select_item(a, b, scope)
            else:
                self.expression(a, b, scope)

    def _locking(self, lo: int, hi: int, scope: Scope) -> None:
        i = self.seek(lo, hi, ("of",)) + 1
        while i < hi and self.is_name(i):
            chain = self.chain(i, hi)
            if i in self.at_set and len(chain.parts) == 1:
                _, name = scope.exposed(self.toks[i])
                if name is not None:
                    self._mark_quietly(i, name)
            if self.tok(chain.end) != ",":
                break
            i = chain.end + 1

    # ---- FROM ------------------------------------------------------------------------------

    def from_list(self, lo: int, hi: int, scope: Scope, later: Later) -> None:
        """Read a FROM list; what needs the whole scope is put off to ``later``."""
        i = lo
        while i < hi:
            i = self.from_item(i, hi, scope, later)
            start = i
            while i < hi and self.toks[i] not in (",", "join"):
                i = self.close(i, hi) if self.toks[i] in ("(", "[") else i
                i += 1
            if self.has(start, i):
                later.append(self._reader(start, min(i, hi), scope))
            i += 1

    def _reader(self, lo: int, hi: int, scope: Scope) -> Callable[[], None]:
        return lambda: self.expression(lo, hi, scope)

    def _subquery(self, lo: int, hi: int, scope: Scope) -> Callable[[], None]:
        return lambda: self.query(lo, hi, scope)

    def from_item(self, i: int, hi: int, scope: Scope, later: Later) -> int:
        """Read one FROM item with its alias; return where it ends."""
        is_lateral = False
        while self.tok(i) in ("lateral", "only"):
            is_lateral = is_lateral or self.toks[i] == "lateral"
            i += 1
        if i >= hi:
            return hi
        if self.toks[i] == "(":
            end = self.close(i, hi)
            if self.starts_query(i + 1) and not self._is_join(i + 1, end):
                around = scope if is_lateral else self._outside(scope)
                later.append(self._subquery(i + 1, end, around))
            else:
                self.from_list(i + 1, end, scope, later)
            return self._alias(end + 1, hi, scope, later)[1]
        if self.toks[i] == "rows" and self.tok(i + 1) == "from" and self.tok(i + 2) == "(":
            return self._rows_from(i + 2, hi, scope, later)
        if not self.is_name(i):
            return i
        chain = self.chain(i, hi)
        if chain.end < hi and self.toks[chain.end] == "(":
            return self._from_function(chain, hi, scope, later)
        name = self.relation(chain, scope)
        end = chain.end
        if end < hi and self.toks[end] == "*":
            end += 1
        alias, after = self._alias(end, hi, scope, later)
        if alias < 0:
            self._expose(self.toks[chain.parts[-1]], name, scope)
        return after

    def _outside(self, scope: Scope) -> Scope:
        # Not LATERAL: the siblings are out of sight, the CTEs are not.
        around = Scope(scope.parent)
        around.ctes = scope.ctes
        return around

    def _is_join(self, i: int, hi: int) -> bool:
        """Return whether [i, hi), which starts with a subquery in brackets, is a join of it."""
        if self.toks[i] != "(":
            return False
        after = self.close(i, hi) + 1
        return after < hi and self.toks[after] not in _CLAUSES

    def _expose(self, token: str, name: Name | None, scope: Scope) -> None:
        scope.names[token] = name

    def _alias(self, i: int, hi: int, scope: Scope, later: Later) -> tuple[int, int]:
        """Return (alias token or -1, where the alias with its columns ends)."""
        has_as = self.tok(i) == "as" and i < hi
        i += has_as
        alias = -1
        if i < hi and (self.is_alias(i) or (has_as and self.is_name(i))):
            alias = i
            self._expose(self.toks[i], None, scope)
            i += 1
        if i < hi and self.toks[i] == "(" and (has_as or alias >= 0):
            end = self.close(i, hi)
            self.column_list(i + 1, end, scope)
            i = end + 1
        return alias, i

    def _from_function(self, chain: Chain, hi: int, scope: Scope, later: Later) -> int:
        end = self.close(chain.end, hi)
        name = self.call(chain)
        if self.toks[chain.parts[0]] in _TABLE_FUNCTIONS:
            later.append(self._columns_reader(chain.end + 1, end, scope))
        else:
            later.append(self._reader(chain.end + 1, end, scope))
        i = end + 1
        if self.tok(i) == "with" and self.tok(i + 1) == "ordinality":
            i += 2
        alias, after = self._alias(i, hi, scope, later)
        if alias < 0:
            at = chain.parts[-1]
            self._expose(self.toks[at], None, scope)
            if name is not None:
                # The alias a function gets by itself is its name: kept, for columns and
                # qualifiers.
                written = self.unit.written[at]
                if self.toks[at] in NO_TABLE_NAME:
                    written = quote_part(self.toks[at])
                has_as = after > i and self.toks[i] == "as"
                place = i if has_as else i - 1
                self.unit.aliases[place] = f" {written}" if has_as else f" AS {written}"
        return after

    def _columns_reader(self, lo: int, hi: int, scope: Scope) -> Callable[[], None]:
        return lambda: self._table_columns(lo, hi, scope)

    def _table_columns(self, lo: int, hi: int, scope: Scope) -> None:
        """Read the arguments of XMLTABLE or JSON_TABLE, or a NESTED PATH: COLUMNS holds types."""
        start = self.seek(lo, hi, ("columns",))
        self.expression(lo, start, scope, lo - 1)
        start += 1
        if self.tok(start) == "(" and start < hi:
            end = self.close(start, hi)
            self.expression(end + 1, hi, scope, lo - 1)
            start, hi = start + 1, end
        for a, b in self.split(start, hi):
            if self.toks[a] == "nested":
                self._table_columns(a + 1, b, scope)
            elif a + 1 < b:
                self.type_region(a + 1, b, scope)
                self.expression(self.chain(a + 1, b).end, b, scope)

    def _rows_from(self, i: int, hi: int, scope: Scope, later: Later) -> int:
        end = self.close(i, hi)
        routines: list[tuple[int, Name]] = []
        for number, (a, b) in enumerate(self.split(i + 1, end)):
            if not self.is_name(a):
                continue
            chain = self.chain(a, b)
            if number == 0:
                self._expose(self.toks[chain.parts[-1]], None, scope)
            name = self.call(chain)
            close = self.close(chain.end, b) + 1
            later.append(self._reader(chain.end, min(close, b), scope))
            if self.tok(close) == "as" and self.tok(close + 1) == "(":
                self.column_list(close + 2, self.close(close + 1, b), scope)
            if name is not None:
                routines.append((chain.parts[-1], name))
        i = end + 1
        if self.tok(i) == "with" and self.tok(i + 1) == "ordinality":
            i += 2
        _, after = self._alias(i, hi, scope, later)
        are_named = after > i and self.toks[after - 1] == ")"
        for at, name in () if are_named else routines:
            written = self.unit.written[at]
            self.findings.note(
                self.unit,
                at,
                "column-name",
                f"the column of {label(name)} in ROWS FROM is named after the function, so its"
                " name changes with every version",
                f"name it: ROWS FROM (...) AS {written}({written}, ...)",
                name,
            )
        return after

    # ---- data changes ----------------------------------------------------------------------

    def _target(self, i: int, hi: int, scope: Scope) -> int:
        """Read the table that is changed, with its alias; return where it ends."""
        if self.tok(i) == "only":
            i += 1
        is_bracketed = self.tok(i) == "("
        i += is_bracketed
        if i >= hi or not self.is_name(i):
            return i
        chain = self.chain(i, hi)
        name = self.relation(chain, None)
        i = chain.end + is_bracketed
        if self.tok(i) == "*":
            i += 1
        if self.tok(i) == "as":
            i += 1
        elif not self.is_alias(i) or self.tok(i) in ("set", "default", "overriding"):
            self._expose(self.toks[chain.parts[-1]], name, scope)
            return i
        if i < hi:
            self._expose(self.toks[i], None, scope)
        return i + 1

    def _insert(self, lo: int, hi: int, parent: Scope) -> None:
        scope = Scope(parent)
        i = lo + 2
        chain = self.chain(i, hi)
        name = self.relation(chain, None)
        i = chain.end
        if self.tok(i) == "as":
            self._expose(self.tok(i + 1), None, scope)
            i += 2
        else:
            self._expose(self.toks[chain.parts[-1]], name, scope)
        if self.tok(i) == "(" and not self.starts_query(i):
            i = self._columns(i, hi, scope)
        if self.tok(i) == "overriding":
            i += 3
        end = i
        while end < hi:
            end = self.seek(end, hi, ("on", "returning"))
            if end >= hi or self.toks[end] == "returning" or self.tok(end + 1) == "conflict":
                break
            end += 1
        end = min(end, hi)
        if i < end:
            self.query(i, end, parent)
        self._changes(end, hi, "", _CONFLICT, scope)

    def _update(self, lo: int, hi: int, parent: Scope) -> None:
        scope = Scope(parent)
        self._changes(self._target(lo + 1, hi, scope), hi, "", _UPDATE, scope)

    def _delete(self, lo: int, hi: int, parent: Scope) -> None:
        scope = Scope(parent)
        self._changes(self._target(lo + 2, hi, scope), hi, "", _DELETE, scope)

    def _merge(self, lo: int, hi: int, parent: Scope) -> None:
        scope = Scope(parent)
        self._changes(self._target(lo + 2, hi, scope), hi, "", _MERGE, scope)

    def _changes(self, lo: int, hi: int, clause: str, words: frozenset[str], scope: Scope) -> None:
        later: Later = []
        segments = self._segments(lo, hi, clause, words)
        seen_using = False
        for word, a, b in segments:
            if word in ("from", "using") and not seen_using:
                self.from_list(a, b, scope, later)
                seen_using = True
        seen_using = False
        for word, a, b in segments:
            if word in ("from", "using") and not seen_using:
                seen_using = True
            elif not self.has(a, b):
                continue
            elif word == "set":
                self._assignments(a, b, scope)
            elif word == "returning":
                self._items(a, b, scope, named=True)
            elif word == "insert" and self.tok(a) == "(":
                self.expression(self._columns(a, b, scope), b, scope)
            else:
                self.expression(a, b, scope)
        for read in later:
            read()

    def _columns(self, i: int, hi: int, scope: Scope) -> int:
        """Read the bracketed columns at ``i``, which may have subscripts; return where they end."""
        end = self.close(i, hi)
        for a, b in self.split(i + 1, end):
            self.expression(a + 1, b, scope)
        return end + 1

    def _assignments(self, lo: int, hi: int, scope: Scope) -> None:
        for a, b in self.split(lo, hi):
            start = self.seek(a, b, ("=",)) if self.toks[a] == "(" else a
            self.expression(start + 1, b, scope)
