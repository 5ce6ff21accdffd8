"""What reading brings up, and which names a query's FROM items expose."""

from __future__ import annotations

from typing import NamedTuple

from procver.objects import Name
from procver.scanning.mssql.unit import Unit


class Finding(NamedTuple):
    """A note whose line is not known yet."""

    unit: Unit
    token: int
    rule: str
    message: str
    hint: str
    subject: Name | None


class Findings:
    """What reading a source brings up beside the marks on its tokens."""

    def __init__(self) -> None:
        self.notes: dict[tuple[str, object], Finding] = {}
        self.fixed: dict[tuple[Name, int], None] = {}
        self.recursive = False

    def note(
        self,
        unit: Unit,
        token: int,
        rule: str,
        message: str,
        hint: str,
        subject: Name | None = None,
    ) -> None:
        """Remember a note; one of each rule for each subject."""
        key = (rule, subject if subject is not None else message)
        self.notes.setdefault(key, Finding(unit, token, rule, message, hint, subject))


class Chain(NamedTuple):
    """Names joined by dots: token indexes of its parts, -1 for ``db..v``'s empty one; its end.

    ``end`` is exclusive. ``star`` says that it ends with ``.*``, which is no part.
    """

    parts: tuple[int, ...]
    end: int
    star: bool


class Scope:
    """The FROM items and CTEs of one statement or query.

    A qualifier often stands before the FROM clause that explains it, so qualifiers wait in
    ``pending`` until the scope is closed.

    Attributes:
        parent: the scope of the query around it.
        names: exposed token to the managed object it stands for, None for anything else.
        ctes: tokens that are names of CTEs.
        pending: chains whose first parts may name an item.
        target: the token of an UPDATE or DELETE target without schema, -1 without one.
    """

    __slots__ = ("ctes", "names", "parent", "pending", "target")

    def __init__(self, parent: Scope | None) -> None:
        self.parent = parent
        self.names: dict[str, Name | None] = {}
        self.ctes: set[str] = set()
        self.pending: list[Chain] = []
        self.target = -1

    def is_cte(self, token: str) -> bool:
        """Return whether ``token`` names a CTE here."""
        scope: Scope | None = self
        while scope is not None:
            if token in scope.ctes:
                return True
            scope = scope.parent
        return False
