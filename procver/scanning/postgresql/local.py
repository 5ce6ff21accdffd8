"""The quick way: references that their neighbours alone decide.

Most sources write ``FROM app.v`` and ``x := app.fn(...)``. Where every candidate of a text is of
that sort, nothing else needs to be read; a single doubtful one sends the text to the walker.
"""

from __future__ import annotations

from procver.scanning.names import Found, Names
from procver.scanning.postgresql.keywords import ALL
from procver.scanning.postgresql.lexer import identifier, is_string
from procver.scanning.postgresql.names import RELATIONS, ROUTINES
from procver.scanning.postgresql.unit import Unit

_ANY = ROUTINES | RELATIONS
_BEFORE_CALL = frozenset(
    [
        "perform",
        "call",
        "return",
        "if",
        "elsif",
        "elseif",
        "when",
        "then",
        "and",
        "or",
        "not",
        "where",
        "having",
        "on",
        "execute",
        "in",
        "by",
        "while",
        ":=",
        "=",
        "+",
        "-",
        "*",
        "/",
        "||",
        "<",
        ">",
        "<=",
        ">=",
        "<>",
        "!=",
        "%",
        "->",
        "->>",
        "@>",
        "<@",
        "&&",
        "~",
        "~~",
        "like",
        "ilike",
        "between",
        "is",
        "using",
    ]
)
_TAKING_VALUES = frozenset(["coalesce", "greatest", "least", "nullif", "values", "in", "any"])
_FROM_INSIDE = frozenset({"extract", "substring", "trim", "overlay", "position"})


def decide_locally(unit: Unit, names: Names, at: list[int]) -> dict[int, Found] | None:
    """Return what each of the candidates ``at`` stands for, or None if one is in doubt."""
    toks = unit.folded
    found: dict[int, Found] = {}
    can_be_inside = not _FROM_INSIDE.isdisjoint(unit.distinct)
    for i in at:
        if i < 3 or toks[i - 1] != "." or toks[i - 3] == ".":
            return None
        schema = identifier(toks[i - 2])
        if not schema:
            return None
        hit = names.find(schema, identifier(toks[i]), _ANY)
        if hit is None:
            continue
        if hit.version is not None:
            return None
        before = toks[i - 3]
        after = toks[i + 1] if i + 1 < len(toks) else ""
        if names.kind(hit.name) in ROUTINES:
            if after != "(" or not (
                before in _BEFORE_CALL or (before == "(" and i > 4 and _is_argument(toks[i - 4]))
            ):
                return None
        elif after in ("(", ".", "%", ":=", "=") or (after and is_string(after)):
            return None
        elif before == "from":
            if can_be_inside or toks[i - 4] == "distinct":
                return None
        elif before == "into":
            if toks[i - 4] != "insert":
                return None
        elif before not in ("join", "::", "setof"):
            return None
        found[i] = hit
    return found


def _is_argument(before: str) -> bool:
    """Return whether a bracket after the token ``before`` opens an argument list."""
    return before in _TAKING_VALUES or (identifier(before) != "" and before not in ALL)
