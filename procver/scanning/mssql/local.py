"""The quick way: references that their neighbours alone decide.

Most sources write ``FROM dbo.v`` and ``EXEC dbo.sp``. Procedures, functions, views and tables of a
schema share one namespace, so a name with its schema is rarely in doubt. Where every candidate of a
text is of that sort, nothing else needs to be read; a single doubtful one calls the walker.
"""

from __future__ import annotations

from procver.objects import Kind
from procver.scanning.mssql.keywords import RESERVED, words
from procver.scanning.mssql.lexer import identifier
from procver.scanning.mssql.names import ANY
from procver.scanning.mssql.unit import Unit
from procver.scanning.names import Found, Names

_EXECUTE = frozenset({"exec", "execute"})
_NO_CALL = words(
    """
    function procedure proc view type table exists if drop on to into insert update delete
    references exec execute .
    """
)
# A word after one of these is an operand, and without a dot or a bracket it is a column.
_BEFORE_COLUMN = words(
    """
    = < > <= >= <> != + - * / % and or not where having when then select by between like in
    distinct
    """
)
# A text with one of these may use the name of an item where no neighbour tells, or for its output.
_FAR = frozenset({"match", "auto"})


def decide_locally(unit: Unit, names: Names, at: list[int]) -> dict[int, Found] | None:
    """Return what each of the candidates ``at`` stands for, or None if one is in doubt."""
    if not _FAR.isdisjoint(unit.distinct):
        return None
    toks = unit.folded
    size = len(toks)
    found: dict[int, Found] = {}
    seen: dict[tuple[str, str], Found | None] = {}
    is_from_doubtful = "trim" in unit.distinct
    for i in at:
        after = toks[i + 1] if i + 1 < size else ""
        before = toks[i - 1]
        if before != ".":
            is_called = before == "=" and (
                toks[i - 3] in _EXECUTE or toks[i - 2] == "procedure_name"
            )
            if before not in _BEFORE_COLUMN or is_called or after in (".", "(", "::"):
                return None
            continue
        if after == "." or "." in (toks[i - 2], toks[i - 3]) or toks[i - 2] in RESERVED:
            return None  # ``FROM .v`` leaves out a schema
        pair = toks[i - 2], toks[i]
        if pair not in seen:
            schema = identifier(toks[i - 2])
            seen[pair] = names.find(schema, identifier(toks[i]), ANY) if schema else None
        hit = seen[pair]
        if hit is None:
            continue
        if hit.version is not None:
            return None
        before = toks[i - 3]
        kind = names.kind(hit.name)
        if kind is Kind.PROCEDURE:
            is_returning = before == "=" and toks[i - 4][:1] == "@" and toks[i - 5] in _EXECUTE
            is_numbered = after == ";" and i + 2 < size and toks[i + 2].isdecimal()
            if (before not in _EXECUTE and not is_returning) or is_numbered:
                return None
        elif kind is Kind.FUNCTION:
            if after != "(" or before in _NO_CALL:
                return None
        elif kind is Kind.TABLE_TYPE:
            if before[0] != "@" and not (before == "as" and toks[i - 4][:1] == "@"):
                return None
        elif before == "from":
            if is_from_doubtful or toks[i - 4] == "distinct":
                return None
        elif before != "join":
            return None
        found[i] = hit
    return found
