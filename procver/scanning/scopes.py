"""Dotted names, and which names a query's FROM items and CTEs expose."""

from __future__ import annotations

from typing import NamedTuple

from procver.objects import Name


class Chain(NamedTuple):
    """Names joined by dots.

    Attributes:
        parts: token indexes of the parts; -1 for the empty one of ``db..v``.
        end: where it ends (exclusive).
        star: whether it ends with ``.*``, which is no part.
    """

    parts: tuple[int, ...]
    end: int
    star: bool


class Scope:
    """The names that the FROM items and CTEs of one query or statement expose.

    Attributes:
        parent: the scope of the query around it.
        names: exposed token to the managed object it stands for, None for anything else.
        ctes: tokens that are names of CTEs.
    """

    __slots__ = ("ctes", "names", "parent")

    def __init__(self, parent: Scope | None) -> None:
        self.parent = parent
        self.names: dict[str, Name | None] = {}
        self.ctes: set[str] = set()

    def is_cte(self, token: str) -> bool:
        """Return whether ``token`` names a CTE here."""
        scope: Scope | None = self
        while scope is not None:
            if token in scope.ctes:
                return True
            scope = scope.parent
        return False

    def exposed(self, token: str) -> tuple[bool, Name | None]:
        """Return whether a FROM item is called ``token``, and the object it stands for."""
        scope: Scope | None = self
        while scope is not None:
            if token in scope.names:
                return True, scope.names[token]
            scope = scope.parent
        return False, None

    def reads(self, name: Name) -> bool:
        """Return whether the object ``name`` is here under its own name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names.values():
                return True
            scope = scope.parent
        return False
