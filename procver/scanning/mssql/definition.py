"""CREATE PROCEDURE, VIEW, FUNCTION, TRIGGER and TYPE, taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from procver.objects import Kind
from procver.scanning.mssql.keywords import RESERVED
from procver.scanning.mssql.lexer import identifier
from procver.scanning.tokens import closing

KINDS = {
    "proc": Kind.PROCEDURE,
    "procedure": Kind.PROCEDURE,
    "view": Kind.VIEW,
    "function": Kind.FUNCTION,
    "type": Kind.TABLE_TYPE,
}
_EXECUTE = ("exec", "execute")
_BODY = ("begin", "return", "select", "external")


@dataclass(slots=True)
class Definition:
    """Where the parts of one CREATE statement lie, as token indexes of its batch.

    Attributes:
        lo: its first token.
        hi: the token after its last.
        kind: what it creates; None for a trigger.
        noun: the token that says so.
        name: tokens of the name's parts.
        after: token after the name.
        altered: the token ALTER, where that is the verb; -1 otherwise.
        dropped: tokens of OR ALTER, which are not sent.
    """

    lo: int
    hi: int
    kind: Kind | None
    noun: int
    name: tuple[int, ...]
    after: int
    altered: int = -1
    dropped: tuple[int, ...] = ()


def read_head(toks: Sequence[str], lo: int, hi: int) -> Definition | None:
    """Return what the statement at ``lo`` defines, None if it is nothing of ours."""
    i = lo + 1
    altered = -1
    dropped: tuple[int, ...] = ()
    if toks[lo] == "alter":
        altered = lo
    elif toks[lo] != "create":
        return None
    elif list(toks[i : i + 2]) == ["or", "alter"]:
        dropped = (i, i + 1)
        i += 2
    if i + 1 >= hi or (toks[i] not in KINDS and toks[i] != "trigger"):
        return None
    if toks[i] == "type" and (altered >= 0 or dropped):
        return None
    noun = i
    i += 1
    if not identifier(toks[i]) or toks[i] in RESERVED:
        return None
    name = [i]
    i += 1
    while i + 1 < hi and toks[i] == "." and identifier(toks[i + 1]):
        name.append(i + 1)
        i += 2
    return Definition(lo, hi, KINDS.get(toks[noun]), noun, tuple(name), i, altered, dropped)


def body_start(toks: Sequence[str], definition: Definition) -> int:
    """Return the token with which the body begins: after AS, or BEGIN or RETURN."""
    i, hi = definition.after, definition.hi
    while i < hi:
        token = toks[i]
        if token == "(":
            i = closing(toks, i, hi)
        elif token == "as" and toks[i - 1] not in _EXECUTE and toks[i - 1][0] != "@":
            return i + 1
        elif token in _BODY:
            return i
        i += 1
    return hi


def options(toks: Sequence[str], definition: Definition) -> list[int]:
    """Return the tokens of the WITH clause before the body."""
    hi = body_start(toks, definition)
    i = definition.after
    while i < hi:
        if toks[i] == "(":
            i = closing(toks, i, hi)
        elif toks[i] == "with":
            return list(range(i + 1, hi))
        i += 1
    return []


def is_bound_early(toks: Sequence[str], definition: Definition) -> bool:
    """Return whether all that a function names must exist when it is created.

    That of an inline function must, and of one WITH SCHEMABINDING. Others look names up when they
    run (the manual's "Deferred Name Resolution").
    """
    body = body_start(toks, definition)
    returns = next((i for i in range(definition.after, body) if toks[i] == "returns"), body)
    is_inline = toks[returns + 1 : returns + 2] == ["table"]
    return is_inline or "schemabinding" in toks[definition.after : body]


def is_table_type(toks: Sequence[str], definition: Definition) -> bool:
    """Return whether CREATE TYPE goes on with AS TABLE."""
    return list(toks[definition.after : definition.after + 2]) == ["as", "table"]
