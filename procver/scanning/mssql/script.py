"""What stands around a definition, as statements: T-SQL needs no semicolon between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from procver.scanning.mssql.keywords import words
from procver.scanning.tokens import closing

_STARTS = words(
    """
    alter backup begin bulk checkpoint close commit create dbcc deallocate declare delete deny
    drop else end exec execute fetch goto grant if insert kill merge open print raiserror
    reconfigure restore return revert revoke rollback save select set shutdown truncate update
    use waitfor while with
    """
)
_TRANSACTION = frozenset({"tran", "transaction", "distributed"})
_PERMISSION = frozenset({"grant", "deny", "revoke"})
_COMPOUND = frozenset({"if", "begin", "catch"})


@dataclass(slots=True)
class Step:
    """One statement at tokens [lo, hi) of its batch.

    Attributes:
        word: its first token; ``transaction`` for BEGIN TRANSACTION, ``catch`` for BEGIN CATCH.
        inner: the statements inside: of IF the branches, of a block all of them.
        body: of IF, where its condition ends.
    """

    word: str
    lo: int
    hi: int
    inner: list[Step] = field(default_factory=list)
    body: int = -1

    def simple(self) -> list[Step]:
        """Return the simple statements: itself, or those inside."""
        if self.word not in _COMPOUND:
            return [self]
        return [leaf for step in self.inner for leaf in step.simple()]


def steps(toks: Sequence[str], lo: int, hi: int) -> list[Step]:
    """Return the statements of tokens [lo, hi)."""
    found: list[Step] = []
    i = lo
    while i < hi:
        if toks[i] == ";":
            i += 1
            continue
        step = _one(toks, i, hi)
        found.append(step)
        i = max(step.hi, i + 1)
    return found


def _one(toks: Sequence[str], i: int, hi: int) -> Step:
    word = toks[i]
    if word == "if":
        return _if(toks, i, hi)
    if word == "begin":
        if i + 1 < hi and toks[i + 1] in _TRANSACTION:
            return Step("transaction", i, _simple_end(toks, i, i + 2, hi))
        return _block(toks, i, hi)
    return Step(word, i, _simple_end(toks, i, _first_part(toks, i, hi), hi))


def _if(toks: Sequence[str], i: int, hi: int) -> Step:
    j = _simple_end(toks, i, i + 1, hi)
    if j >= hi or toks[j] == ";":
        return Step("if", i, j)
    body = _one(toks, j, hi)
    step = Step("if", i, body.hi, [body], j)
    j = body.hi
    while j < hi and toks[j] == ";":
        j += 1
    if j + 1 < hi and toks[j] == "else":
        other = _one(toks, j + 1, hi)
        step.inner.append(other)
        step.hi = other.hi
    return step


def _block(toks: Sequence[str], i: int, hi: int) -> Step:
    step = Step("begin", i, hi)
    j = i + 1
    if j < hi and toks[j] in ("try", "catch"):
        step.word = "catch" if toks[j] == "catch" else "begin"
        j += 1
    while j < hi:
        if toks[j] == "end":
            j += 1
            if j < hi and toks[j] in ("try", "catch"):
                j += 1
            break
        if toks[j] == ";":
            j += 1
            continue
        inner = _one(toks, j, hi)
        step.inner.append(inner)
        j = max(inner.hi, j + 1)
    step.hi = j
    return step


def _first_part(toks: Sequence[str], i: int, hi: int) -> int:
    """Return where, after the statement's first words, the next statement may begin."""
    word = toks[i]
    j = i + 1
    if word in _PERMISSION:
        while j < hi and toks[j] not in ("on", "to", "from", ";"):
            j = closing(toks, j, hi) + 1 if toks[j] == "(" else j + 1
        return j
    if word == "drop":
        return j + 3 if list(toks[j + 1 : j + 3]) == ["if", "exists"] else j + 1
    if word in ("create", "alter"):
        return j + 2
    return j


def _simple_end(toks: Sequence[str], start: int, i: int, hi: int) -> int:
    """Return where the simple statement that starts at ``start`` ends, looking from ``i`` on."""
    cases = 0
    while i < hi:
        token = toks[i]
        if token == "(":
            i = closing(toks, i, hi)
        elif token == ";":
            return i
        elif token == "case":
            cases += 1
        elif cases:
            cases -= token == "end"
        elif token in _STARTS and not _goes_on(toks, start, i):
            return i
        i += 1
    return hi


def _goes_on(toks: Sequence[str], start: int, i: int) -> bool:
    """Return whether the keyword at ``i`` is part of the statement that starts at ``start``."""
    token, before, word = toks[i], toks[i - 1], toks[start]
    if before == ".":
        return True
    if token == "with":
        return word not in ("set", "use", "print", "declare", "if")
    if token == "grant":
        return before == "with"
    if word in ("exec", "execute"):
        return before == "as" and token in ("login", "user")
    if token == "set":
        return word == "update" or toks[i + 1 : i + 2] == ["("]  # ALTER INDEX ... SET (...)
    if token in ("select", "exec", "execute"):
        return word in ("insert", "with")
    return word == "with" and token in ("insert", "update", "delete", "merge")
