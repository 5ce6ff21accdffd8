"""Calls of the procedures that add, change and drop extended properties."""

from __future__ import annotations

from collections.abc import Sequence

from procver.errors import SourceError
from procver.objects import Header, Kind, Name
from procver.scanning.mssql.lexer import identifier, is_string, string_value
from procver.scanning.mssql.names import same
from procver.scanning.mssql.script import Step
from procver.scanning.mssql.unit import Unit

ADD, UPDATE, DROP = (
    "sp_addextendedproperty",
    "sp_updateextendedproperty",
    "sp_dropextendedproperty",
)
PROCEDURES = frozenset({ADD, UPDATE, DROP})
_ARGUMENTS = (
    "@name",
    "@value",
    "@level0type",
    "@level0name",
    "@level1type",
    "@level1name",
    "@level2type",
    "@level2name",
)
_EXECUTE = frozenset({"exec", "execute"})
_NOUN = {
    Kind.PROCEDURE: "procedure",
    Kind.VIEW: "view",
    Kind.FUNCTION: "function",
    Kind.TABLE_TYPE: "type",
}


def called(toks: Sequence[str], leaf: Step) -> tuple[str, int]:
    """Return the last part of the name that a statement calls, and the token after it."""
    i = leaf.lo + (toks[leaf.lo] in _EXECUTE)
    while i + 1 < leaf.hi and toks[i + 1] == ".":
        i += 2
    return (toks[i] if i < leaf.hi else ""), i + 1


class Call:
    """A call of one of the procedures.

    Args:
        unit: its batch.
        leaf: the statement.

    Attributes:
        given: the arguments, each as the token of its value.
    """

    def __init__(self, unit: Unit, leaf: Step) -> None:
        self.unit = unit
        self.leaf = leaf
        procedure, after = called(unit.folded, leaf)
        order = [name for name in _ARGUMENTS if procedure != DROP or name != "@value"]
        self.given = _arguments(unit.folded, after, leaf.hi, order)

    def value(self, argument: str) -> str:
        """Return the value of an argument, ``""`` for one that is missing or a variable."""
        at = self.given.get(argument, -1)
        if at < 0:
            return ""
        token = self.unit.folded[at]
        return string_value(token) if is_string(token) else identifier(token)

    def refusal(self, own: Header) -> SourceError | None:
        """Return the error that the property is not that of ``own``, or None."""
        named = Name(self.value("@level0name"), self.value("@level1name"))
        is_own = same(named, own.name) and self.value("@level1type").lower() == _NOUN[own.kind]
        if is_own and self.value("@level0type").lower() in ("schema", "user"):
            return None
        schema, leaf = own.name
        noun = _NOUN[own.kind].upper()
        return self.unit.error(
            self.leaf.lo,
            f"this extended property is not that of {schema}.{leaf}",
            f"write @level0type = N'SCHEMA', @level0name = N'{schema}', @level1type = N'{noun}',"
            f" @level1name = N'{leaf}', or move it to the file of the object that it is about",
        )


def _arguments(toks: Sequence[str], lo: int, hi: int, order: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    position = 0
    i = lo
    while i < hi:
        if toks[i] == ",":
            position += 1
        elif toks[i][0] == "@" and i + 2 < hi and toks[i + 1] == "=":
            found[toks[i]] = i + 2
            i += 2
        elif position < len(order) and toks[i] not in ("(", ")", ";"):
            found.setdefault(order[position], i)
        i += 1
    return found
