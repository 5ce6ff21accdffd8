"""Clauses that name an object away from FROM and EXEC: result sets, queues, synonyms, signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from procver.scanning.mssql.names import EXECUTED, OBJECTS, TYPES

# Each takes the level that is read and the keyword's token, and returns where to read on.


def _object(level: Any, i: int) -> int:
    """Read ``WITH RESULT SETS (AS OBJECT v)``."""
    return _result_set(level, i, OBJECTS)


def _type(level: Any, i: int) -> int:
    """Read ``WITH RESULT SETS (AS TYPE t)``."""
    return _result_set(level, i, TYPES)


def _result_set(level: Any, i: int, kinds: frozenset[Any]) -> int:
    w = level.w
    if w.tok(i - 1) == "as" and w.tok(i - 2) in ("(", ",") and w.is_name(i + 1):
        return _decided(level, i + 1, kinds)
    return level.dotted(i) if w.tok(i + 1) == "." else i + 1


def _procedure_name(level: Any, i: int) -> int:
    """Read ``CREATE QUEUE ... ACTIVATION (PROCEDURE_NAME = p)``."""
    is_activation = level.w.tok(i + 1) == "=" and level.w.is_name(i + 2)
    return _decided(level, i + 2, EXECUTED) if is_activation else i + 1


def _synonym(level: Any, i: int) -> int:
    """Read ``CREATE SYNONYM s FOR v``."""
    w = level.w
    if w.tok(i - 1) != "create" or not w.is_name(i + 1):
        return i + 1
    name = w.chain(i + 1, level.hi)
    is_whole = w.tok(name.end) == "for" and w.is_name(name.end + 1)
    return _decided(level, name.end + 1, OBJECTS) if is_whole else name.end


def _authorization(level: Any, i: int) -> int:
    """Read ``ALTER AUTHORIZATION ON v``."""
    is_whole = level.w.tok(i - 1) == "alter" and level.w.tok(i + 1) == "on"
    return level.securable(i + 2) if is_whole else i + 1


def _signature(level: Any, i: int) -> int:
    """Read ``ADD SIGNATURE TO p`` and ``DROP SIGNATURE FROM p``."""
    before = level.w.tok(i - 1)
    is_whole = before in ("add", "counter", "drop") and level.w.tok(i + 1) in ("to", "from")
    return level.securable(i + 2) if is_whole else i + 1


def _decided(level: Any, i: int, kinds: frozenset[Any]) -> int:
    chain = level.w.chain(i, level.hi)
    if level.w.has(i, chain.end):
        level.w.decide(chain, kinds)
    return chain.end  # type: ignore[no-any-return]


CLAUSES: dict[str, Callable[[Any, int], int]] = {
    "object": _object,
    "type": _type,
    "procedure_name": _procedure_name,
    "synonym": _synonym,
    "authorization": _authorization,
    "signature": _signature,
}
"""By the keyword that begins them."""
