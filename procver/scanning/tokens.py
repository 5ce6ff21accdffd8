"""Looking around among folded tokens: where they stand, which bracket closes which."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence


def positions(toks: Sequence[str], candidates: Iterable[str], lo: int, hi: int) -> list[int]:
    """Return the indexes in [lo, hi) of the tokens that are ``candidates``, ascending."""
    found: list[int] = []
    for candidate in candidates:
        at = lo
        while True:
            try:
                at = toks.index(candidate, at, hi)
            except ValueError:
                break
            found.append(at)
            at += 1
    found.sort()
    return found


def within(ascending: Sequence[int], lo: int, hi: int) -> Sequence[int]:
    """Return those of ``ascending`` indexes that are in [lo, hi)."""
    return ascending[bisect_left(ascending, lo) : bisect_left(ascending, hi)]


def closing(toks: Sequence[str], i: int, hi: int) -> int:
    """Return the index of the bracket that closes the one at ``i``, or ``hi``."""
    depth = 0
    while i < hi:
        if toks[i] == "(":
            depth += 1
        elif toks[i] == ")":
            depth -= 1
            if depth == 0:
                return i
        i += 1
    return hi


def matches(toks: Sequence[str], lo: int, hi: int, brackets: str = "()") -> dict[int, int]:
    """Return opening to closing bracket of each pair of ``brackets`` in [lo, hi)."""
    opening, closings = frozenset(brackets[::2]), frozenset(brackets[1::2])
    found: dict[int, int] = {}
    stack: list[int] = []
    for i in range(lo, hi):
        token = toks[i]
        if token in opening:
            stack.append(i)
        elif token in closings and stack:
            found[stack.pop()] = i
    return found


class Tokens:
    """A stretch of folded tokens, and the candidates among them.

    Args:
        toks: all tokens of the text.
        candidates: those that may name something managed.
        part: [start, end) of the stretch.
        brackets: the pairs of brackets that count.

    Attributes:
        at: where the candidates stand, ascending.
        at_set: the same as a set.
        match: opening to closing bracket of each pair in the stretch.
    """

    def __init__(
        self,
        toks: list[str],
        candidates: Iterable[str],
        part: tuple[int, int],
        brackets: str = "()",
    ) -> None:
        self.toks = toks
        self.size = len(toks)
        self.at = positions(toks, candidates, *part)
        self.at_set = frozenset(self.at)
        self.match = matches(toks, *part, brackets)
        self._opening = (0, 0)

    def tok(self, i: int) -> str:
        """Return the folded token ``i``, ``""`` outside the text."""
        return self.toks[i] if 0 <= i < self.size else ""

    def has(self, lo: int, hi: int) -> bool:
        """Return whether a candidate lies in [lo, hi)."""
        found = bisect_left(self.at, lo)
        return found < len(self.at) and self.at[found] < hi

    def close(self, i: int, hi: int) -> int:
        """Return the index of the bracket that closes the one at ``i``, at most ``hi``."""
        return min(self.match.get(i, hi), hi)

    def after_opening(self, i: int) -> int:
        """Return the first token from ``i`` on that is no opening bracket.

        What was found is kept: who reads from bracket to bracket asks again at each of them.
        """
        start, end = self._opening
        if not start <= i < end:
            start = end = i
            while self.tok(end) == "(":
                end += 1
            self._opening = (start, end)
        return end
