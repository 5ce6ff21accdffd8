"""CREATE FUNCTION, PROCEDURE, VIEW and MATERIALIZED VIEW, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from procver.objects import Kind
from procver.scanning.postgresql.lexer import identifier, is_string, lower
from procver.scanning.tokens import closing

SCANNED_LANGUAGES = frozenset({"sql", "plpgsql"})
_UNICODE = ('u&"', 'U&"')
_ROUTINES = {"function": Kind.FUNCTION, "procedure": Kind.PROCEDURE}


@dataclass(slots=True)
class Definition:
    """Where the parts of one CREATE statement lie, as token indexes.

    Attributes:
        lo: its first token.
        hi: the token after its last.
        kind: what it creates.
        name: tokens of the name's parts.
        after: token after the name.
        dropped: tokens of OR REPLACE and IF NOT EXISTS, which are not sent.
        recursive: CREATE RECURSIVE VIEW.
        temporary: TEMP was said.
    """

    lo: int
    hi: int
    kind: Kind
    name: tuple[int, ...]
    after: int
    dropped: tuple[int, ...] = ()
    recursive: bool = False
    temporary: bool = False


@dataclass(slots=True)
class Routine:
    """The attributes of CREATE FUNCTION or PROCEDURE, as token indexes.

    Attributes:
        arguments: [start, end) between the brackets.
        returns: where the type after RETURNS starts, -1 without one.
        columns: [start, end) of RETURNS TABLE (...), or None.
        language: folded; ``sql`` where a standard body needs none.
        body: the token of the string after AS, -1 without one.
        atomic: [start, end) of the statements of BEGIN ATOMIC ... END, or None.
        result: [start, end) of the expression of RETURN, or None.
        path: the schemas of SET search_path, None without that clause.
        support: where the name after SUPPORT starts, -1 without one.
        transforms: where each type of TRANSFORM starts.
    """

    arguments: tuple[int, int] = (0, 0)
    returns: int = -1
    columns: tuple[int, int] | None = None
    language: str = ""
    body: int = -1
    atomic: tuple[int, int] | None = None
    result: tuple[int, int] | None = None
    path: tuple[str, ...] | None = None
    support: int = -1
    transforms: list[int] = field(default_factory=list)


def read_head(toks: list[str], lo: int, hi: int) -> Definition | None:
    """Return what the CREATE statement at [lo, hi) defines, None if it is nothing of ours."""
    i = lo + 1
    dropped: list[int] = []
    temporary = recursive = False
    if toks[i : i + 2] == ["or", "replace"]:
        dropped += (i, i + 1)
        i += 2
    while i < hi and toks[i] in ("temp", "temporary", "local", "global", "recursive"):
        recursive = recursive or toks[i] == "recursive"
        temporary = temporary or toks[i] in ("temp", "temporary")
        i += 1
    if i >= hi:
        return None
    if toks[i] in _ROUTINES and not (temporary or recursive):
        kind = _ROUTINES[toks[i]]
    elif toks[i] == "view":
        kind = Kind.VIEW
    elif toks[i] == "materialized" and toks[i + 1 : i + 2] == ["view"]:
        kind = Kind.MATERIALIZED_VIEW
        i += 1
    else:
        return None
    i += 1
    if toks[i : i + 3] == ["if", "not", "exists"]:
        dropped += (i, i + 1, i + 2)
        i += 3
    if i >= hi or not (identifier(toks[i]) or toks[i][:3] in _UNICODE):
        return None
    name = [i]
    i += 1
    while i + 1 < hi and toks[i] == "." and identifier(toks[i + 1]):
        name.append(i + 1)
        i += 2
    return Definition(lo, hi, kind, tuple(name), i, tuple(dropped), recursive, temporary)


def is_placeholder(toks: list[str], definition: Definition) -> bool:
    """Return whether a view has nothing but typed NULLs, as pg_dump writes for one in a cycle."""
    part = toks[definition.after : definition.hi]
    if part[:4] != ["as", "select", "null", "::"] or "from" in part:
        return False
    items = " ".join(part[3:]).split(" , null ")
    return all(item.startswith(":: ") and item.count(" as ") == 1 for item in items)


def read_routine(toks: list[str], definition: Definition) -> Routine:
    """Return the attributes of a routine."""
    hi = definition.hi
    routine = Routine()
    i = definition.after
    if i < hi and toks[i] == "(":
        end = closing(toks, i, hi)
        routine.arguments = (i + 1, end)
        i = end + 1
    while i < hi:
        token = toks[i]
        following = toks[i + 1] if i + 1 < hi else ""
        if token == "(":
            i = closing(toks, i, hi)
        elif token == "returns" and following == "table":
            end = closing(toks, i + 2, hi)
            routine.columns = (i + 3, end)
            i = end
        elif token == "returns" and following != "null":
            routine.returns = i + 1
            i += 1
        elif token == "language" and following:
            routine.language = literal(following)
            i += 1
        elif token == "as" and following and is_string(following):
            routine.body = i + 1
            i += 1
        elif token == "set" and following == "search_path":
            i, routine.path = read_path(toks, i + 2, hi)
            continue
        elif token == "set":
            i += 1
        elif token == "support":
            routine.support = i + 1
            i += 1
        elif token == "for" and following == "type":
            routine.transforms.append(i + 2)
            i += 1
        elif token == "begin" and following == "atomic":
            end = hi - 1 if toks[hi - 1] == "end" else hi
            routine.atomic = (i + 2, end)
            break
        elif token == "return":
            routine.result = (i + 1, hi)
            break
        i += 1
    if not routine.language and (routine.atomic or routine.result):
        routine.language = "sql"
    return routine


def literal(token: str) -> str:
    """Return the content of a folded word, quoted name or plain string."""
    if is_string(token):
        inside = re.sub(r"^[eE]?'|'$|^\$\w*\$|\$\w*\$$", "", token)
        return lower(inside.replace("''", "'"))
    return identifier(token)


def read_path(toks: list[str], i: int, hi: int) -> tuple[int, tuple[str, ...] | None]:
    """Read ``= a, "B", 'c'`` of SET search_path at ``i``.

    Returns:
        where it ends, and the schemas; None for ``FROM CURRENT`` and ``DEFAULT``.
    """
    if i >= hi or toks[i] not in ("=", "to"):
        return i + 2, None
    schemas: list[str] = []
    i += 1
    while i < hi:
        token = toks[i]
        if token == "default":
            return i + 1, None
        if is_string(token):
            inside = token[1:-1].replace("''", "'") if token[0] == "'" else literal(token)
            schemas.append(inside)
        else:
            schemas.append(identifier(token))
        i += 1
        if i >= hi or toks[i] != ",":
            break
        i += 1
    implied = ("", "$user", "pg_catalog")
    return i, tuple(schema for schema in schemas if schema not in implied)
