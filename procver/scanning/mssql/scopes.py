"""Scopes of T-SQL: a qualifier often stands before the FROM clause that explains it."""

from __future__ import annotations

from procver.scanning import scopes
from procver.scanning.scopes import Chain


class Scope(scopes.Scope):
    """The FROM items and CTEs of one statement or query, and what waits for them.

    Attributes:
        parent: the scope of the query around it.
        pending: chains whose first parts may name an item; they wait until the scope is closed.
        target: the token of an UPDATE or DELETE target without schema, -1 without one.
    """

    __slots__ = ("pending", "target")
    parent: Scope | None

    def __init__(self, parent: Scope | None) -> None:
        super().__init__(parent)
        self.pending: list[Chain] = []
        self.target = -1
