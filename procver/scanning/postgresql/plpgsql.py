"""References in PL/pgSQL bodies (the manual's chapter "PL/pgSQL").

A semicolon ends every simple statement, so only the stretches between semicolons that hold a
candidate are read. Each expression of PL/pgSQL is a SELECT without its first word.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from procver.scanning.postgresql.lexer import identifier
from procver.scanning.postgresql.statements import Statements
from procver.scanning.scopes import Scope
from procver.scanning.tokens import positions, within

_SKIPPED = frozenset({"begin", "else", "exception", "loop"})
_NO_SQL = frozenset({"null", "get", "close", "commit", "rollback", "fetch", "move"})
_CURSORS = frozenset({"fetch", "move"})


class Plpgsql(Statements):
    """The part that reads the body of a PL/pgSQL routine."""

    def body(self) -> None:
        """Read the whole body."""
        toks, size = self.toks, len(self.toks)
        declared = declarations(toks)
        scope = Scope(None)
        done = -1
        for at in self.at:
            if at < done:
                continue
            start = at
            while start > 0 and toks[start - 1] != ";":
                start -= 1
            end = at
            while end < size and toks[end] != ";":
                end += 1
            done = end
            self._stretch(start, end, scope, is_within(declared, start))

    def _stretch(self, lo: int, hi: int, scope: Scope, in_declarations: bool) -> None:
        """Read what lies between two semicolons: openings of blocks, then one statement."""
        toks = self.toks
        while lo < hi:
            word = toks[lo]
            if word == "declare":
                in_declarations = True
                lo += 1
            elif word == "<<":
                lo += 3
            elif word == "begin":
                in_declarations = False
                lo += 1
            elif word == "#":
                lo += 3
            elif in_declarations:
                self._declaration(lo, hi, scope)
                return
            elif word in _SKIPPED:
                lo += 1
            elif word in ("if", "elsif", "elseif", "when"):
                lo = self._until("then", lo + 1, hi, scope)
            elif word == "case":
                when = self.seek(lo + 1, hi, ("when",))
                self._value(lo + 1, when, scope)
                lo = when
            elif word == "while":
                lo = self._until("loop", lo + 1, hi, scope)
            elif word in ("for", "foreach"):
                lo = self._for(lo, hi, scope)
            elif word == "end":
                return
            else:
                self._simple(lo, hi, scope)
                return

    def _until(self, word: str, lo: int, hi: int, scope: Scope) -> int:
        end = self.seek(lo, hi, (word,))
        self._value(lo, end, scope)
        return end + 1

    def _value(self, lo: int, hi: int, scope: Scope) -> None:
        """Read one expression, which may go on with FROM."""
        if self.has(lo, hi):
            self.select(lo, hi, scope, implied=True, named=False)

    def _for(self, lo: int, hi: int, scope: Scope) -> int:
        toks = self.toks
        start = self.seek(lo, hi, ("in",)) + 1
        self._targets_in(lo, start - 1)
        end = self.seek(start, hi, ("loop",))
        word = self.tok(start)
        if word in ("array", "reverse") and start + 1 < end and toks[start + 1] != "[":
            start += 1
        if word == "execute":
            self.expression(start + 1, end, scope)
        elif self.starts_query(start):
            self.query(start, end, scope)
        elif start < end and self._is_cursor(start, end):
            chain_end = self.chain(start, end).end
            self.expression(chain_end + 1, end, scope)
        else:
            # 1 .. app.fn(2) BY 3
            dots = self.seek(start, end, ("..",))
            by = self.seek(dots, end, ("by",))
            for a, b in ((start, dots), (dots + 1, by), (by + 1, end)):
                self._value(a, b, scope)
        return end + 1

    def _is_cursor(self, start: int, end: int) -> bool:
        return self.toks[start] in self.variables and self.seek(start, end, ("..",)) == end

    def _declaration(self, lo: int, hi: int, scope: Scope) -> None:
        toks = self.toks
        i = lo + 1
        if self.tok(i) == "alias":
            self._targets_in(i, hi)
            return
        cursor = self.seek(i, hi, ("cursor",))
        if cursor < hi and cursor <= i + 2:
            i = cursor + 1
            if self.tok(i) == "(":
                end = self.close(i, hi)
                self.typed_list(i + 1, end, scope)
                i = end + 1
            if i + 1 < hi:
                self.query(i + 1, hi, scope)
            return
        if self.tok(i) == "constant":
            i += 1
        end = self.seek(i, hi, ("default", ":=", "=", "not", "collate"))
        self.compiling = True
        self.type_region(i, end, scope)
        self.compiling = False
        while end < hi and toks[end] not in ("default", ":=", "="):
            end += 1
        self._value(end + 1, hi, scope)

    def _simple(self, lo: int, hi: int, scope: Scope) -> None:
        word, following = self.toks[lo], self.tok(lo + 1)
        if self._assignment(lo, hi, scope):
            return
        if word in _NO_SQL:
            if word in _CURSORS:  # FETCH ABSOLUTE app.fn(1) FROM c
                end = self.seek(lo, hi, ("from", "in"))
                self.expression(lo + 1, end if end < hi else lo, scope)
            self._targets_in(lo, hi)
            return
        if word == "perform":
            self.select(lo + 1, hi, scope, implied=True, named=False)
        elif word == "return" and following == "query":
            if self.tok(lo + 2) == "execute":
                self.expression(lo + 3, hi, scope)
            else:
                self.query(lo + 2, hi, scope)
        elif word == "return":
            self._value(lo + 2 if following == "next" else lo + 1, hi, scope)
        elif word in ("raise", "assert", "execute"):
            self._value(lo + 1, hi, scope)
        elif word in ("exit", "continue"):
            when = self.seek(lo, hi, ("when",))
            self._value(when + 1, hi, scope)
        elif word == "open":
            self._open(lo, hi, scope)
        else:
            self.statement(lo, hi, scope)

    def _targets_in(self, lo: int, hi: int) -> None:
        """See to ``routine.parameter`` among names of variables."""
        for at in within(self.at, lo, hi):
            if at not in self.unit.marks:
                chain = self.chain(at, hi)
                if len(chain.parts) > 1:
                    self.qualifier(chain, Scope(None))

    def _open(self, lo: int, hi: int, scope: Scope) -> None:
        i = self.seek(lo, hi, ("for",)) + 1
        self._targets_in(lo, min(lo + 3, hi))
        if i > hi:
            self.expression(lo + 2, hi, scope)
        elif self.tok(i) == "execute":
            self.expression(i + 1, hi, scope)
        elif i < hi:
            self.query(i, hi, scope)

    def _assignment(self, lo: int, hi: int, scope: Scope) -> bool:
        """Read ``target := value`` if the statement is one."""
        toks = self.toks
        if not self.is_name(lo):
            return False
        chain = self.chain(lo, hi)
        i = chain.end
        while i < hi and toks[i] == "[":
            end = self.close(i, hi)
            self.expression(i + 1, end, scope)
            i = end + 1
            if i + 1 < hi and toks[i] == ".":
                i += 2
        if i >= hi or toks[i] not in (":=", "="):
            return False
        if len(chain.parts) > 1:
            self.qualifier(chain, scope)
        self._value(i + 1, hi, scope)
        return True


def declarations(toks: list[str]) -> list[tuple[int, int]]:
    """Return [start, end) of each DECLARE section: from its word to the next BEGIN."""
    found: list[tuple[int, int]] = []
    i = 0
    while True:
        try:
            start = toks.index("declare", i)
        except ValueError:
            return found
        try:
            i = toks.index("begin", start)
        except ValueError:
            i = len(toks)
        if start == 0 or toks[start - 1] not in (".", "as"):
            found.append((start, i))


def is_within(sections: list[tuple[int, int]], i: int) -> bool:
    """Return whether token ``i`` is inside one of ``sections``, which ascend, their ends left out."""
    found = bisect_left(sections, (i, 0)) - 1
    return found >= 0 and i < sections[found][1]


def variables(toks: list[str], candidates: Iterable[str]) -> frozenset[str]:
    """Return those of ``candidates`` that are variables, loop variables or labels in a body.

    Blocks are not told apart: a name that is a variable anywhere counts as one everywhere.
    """
    wanted = {candidate for candidate in candidates if identifier(candidate)}
    sections = declarations(toks)
    found: set[str] = set()
    for i in positions(toks, wanted, 1, len(toks)):
        before = toks[i - 1]
        if before == "<<" or (before in (";", "declare") and is_within(sections, i)):
            found.add(toks[i])
    for i in positions(toks, ("for", "foreach"), 0, len(toks)):
        found.update(wanted.intersection(_loop_variables(toks, i)))
    return frozenset(found)


def _loop_variables(toks: list[str], i: int) -> list[str]:
    """Return the tokens between FOR or FOREACH at ``i`` and its IN, commas left out."""
    end = i + 1
    while toks[end + 1 : end + 2] == [","]:
        end += 2
    if toks[end + 1 : end + 2] not in (["in"], ["slice"]):
        return []
    return toks[i + 1 : end + 1 : 2] if toks[i] == "for" else toks[i + 1 : i + 2]
