"""References in expressions: calls, types, qualifiers, whole rows."""

from __future__ import annotations

from procver.objects import Name
from procver.scanning.marks import Mark, Role
from procver.scanning.postgresql.keywords import ALL, RESERVED
from procver.scanning.postgresql.lexer import identifier, is_string
from procver.scanning.postgresql.names import RELATIONS, ROUTINES, label
from procver.scanning.postgresql.walker import Walker
from procver.scanning.scopes import Chain, Scope

_CASTS = frozenset({"cast", "xmlserialize"})
_CONSTANT_ENDS = frozenset({"=>", ":="})
_ROW_FUNCTIONS = frozenset(
    {"row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg", "array_agg", "count", "hstore"}
)
"""Functions that are commonly given a whole row; `row_to_json` takes nothing else."""
# What follows the first argument: json_agg(v ORDER BY v.a), row_to_json(v, true).
_AFTER_ROW = frozenset({")", "order", ","})

_TWO_WORD_TYPES = {
    "double": frozenset({"precision"}),
    "character": frozenset({"varying"}),
    "char": frozenset({"varying"}),
    "bit": frozenset({"varying"}),
    "national": frozenset({"character", "char"}),
    "timestamp": frozenset({"with", "without"}),
    "time": frozenset({"with", "without"}),
    "interval": frozenset({"year", "month", "day", "hour", "minute", "second"}),
}
_MODES = frozenset({"in", "out", "inout", "variadic"})
_DEFAULTS = frozenset({"default", "=", ":="})


class Expressions(Walker):
    """The part that reads expressions and types."""

    def expression(self, lo: int, hi: int, scope: Scope, opener: int = -1) -> None:
        """Read the expressions in [lo, hi); ``opener`` is the bracket around them."""
        if not self.has(lo, hi):
            return
        toks, i = self.toks, lo
        while i < hi:
            if toks[i] == "(":
                end = self.close(i, hi)
                if self.has(i + 1, end):
                    if self.starts_query(i + 1):
                        self.query(i + 1, end, scope)
                    else:
                        self.expression(i + 1, end, scope, i)
                i = end + 1
            elif i in self.at_set:
                i = max(self._atom(self.chain_start(i, lo), hi, scope, opener), i + 1)
            else:
                i += 1

    def _atom(self, start: int, hi: int, scope: Scope, opener: int) -> int:
        chain = self.chain(start, hi)
        before = self.tok(start - 1)
        after = self.toks[chain.end] if chain.end < hi else ""
        parts = chain.parts
        if before == ".":
            return chain.end  # (row).field: nothing of ours
        if (
            before == "::"
            or before == "setof"
            or (before == "returning" and opener >= 0)  # json_object(... RETURNING app.v)
            or (after == "%" and self.tok(chain.end + 1) in ("rowtype", "type"))
        ):
            self._typed(chain, hi)
        elif before == "as":
            if opener > 0 and self.tok(opener - 1) in _CASTS:
                self._typed(chain, hi)
        elif after == "(" and not chain.star:
            self.call(chain)
        elif after != "" and is_string(after):
            self.type_name(parts)
        elif before in ("over", "collate") or after in _CONSTANT_ENDS:
            pass
        elif len(parts) > 1 or chain.star:
            self.qualifier(chain, scope)
        else:
            self._bare(start, scope, hi)
        return chain.end

    # ---- types ---------------------------------------------------------------------------

    def _typed(self, chain: Chain, hi: int) -> None:
        parts = chain.parts
        if self.tok(chain.end) == "%" and self.tok(chain.end + 1) == "type":
            # app.v.a%TYPE: the last part is a column.
            parts = parts[:-1]
            if not parts or (len(parts) == 1 and self.toks[parts[0]] in self.variables):
                return
        self.type_name(parts)

    def type_region(self, lo: int, hi: int, scope: Scope) -> None:
        """Read [lo, hi), which holds one type: ``SETOF app.v``, ``app.v[]``, ``v.a%TYPE``."""
        if not self.has(lo, hi):
            return
        while lo < hi and self.toks[lo] == "setof":
            lo += 1
        if lo < hi and self.is_name(lo):
            self._typed(self.chain(lo, hi), hi)

    def typed_list(self, lo: int, hi: int, scope: Scope) -> None:
        """Read [lo, hi), a list of parameters or columns: ``[mode] [name] type [= default]``."""
        if not self.has(lo, hi):
            return
        for a, b in self.split(lo, hi):
            _, start, end = self.typed_item(a, b)
            self.type_region(start, end, scope)
            self.expression(end, b, scope)

    def typed_item(self, lo: int, hi: int) -> tuple[str, int, int]:
        """Return name (``""`` without one) and [start, end) of the type of one list item."""
        toks = self.toks
        while lo + 1 < hi and toks[lo] in _MODES:
            lo += 1
        end = self.seek(lo, hi, _DEFAULTS)
        named = (
            lo + 1 < end
            and self.is_name(lo)
            and self.is_name(lo + 1)
            and toks[lo + 1] not in _TWO_WORD_TYPES.get(toks[lo], ())
        )
        return (identifier(toks[lo]), lo + 1, end) if named else ("", lo, end)

    def column_list(self, lo: int, hi: int, scope: Scope) -> None:
        """Read [lo, hi), a list where each item is a name and, perhaps, its type."""
        for a, b in self.split(lo, hi):
            self.type_region(a + 1, b, scope)

    # ---- qualifiers and whole rows ---------------------------------------------------------

    def qualifier(self, chain: Chain, scope: Scope) -> None:
        """Decide on ``v.a``, ``app.v.a``, ``v.*`` and ``routine.parameter``."""
        parts = chain.parts
        if len(parts) + chain.star > 3 and self.is_ours(parts[0]):
            parts = parts[1:]
        qualified = len(parts) + chain.star >= 3
        if qualified and parts[1] in self.at_set:
            schema, leaf = identifier(self.toks[parts[0]]), identifier(self.toks[parts[1]])
            found = self.names.find(schema, leaf, RELATIONS)
            if found is not None and found.version is None and scope.reads(found.name):
                self._mark_quietly(parts[1], found.name)
                return
        if len(parts) > 3 and parts[2] in self.at_set:
            self.crossing(parts[:3], RELATIONS)
            return
        at = parts[0]
        if at not in self.at_set:
            return
        is_exposed, name = scope.exposed(self.toks[at])
        if name is not None and not qualified:
            self._mark_quietly(at, name)
        elif not is_exposed and len(parts) > 1:
            self._own_qualifier(at, identifier(self.toks[parts[1]]))

    def _own_qualifier(self, at: int, parameter: str) -> None:
        own = self.names.own
        if (
            own.kind in ROUTINES
            and identifier(self.toks[at]) == own.name.leaf
            and parameter in self.parameters
            and self.toks[at] not in self.variables
        ):
            self.unit.marks[at] = Mark(Role.OWN, own.name)

    def _mark_quietly(self, at: int, name: Name) -> None:
        # A qualifier is no use of its own: the FROM item it belongs to is.
        is_own = name == self.names.own.name
        self.unit.marks[at] = Mark(Role.OWN if is_own else Role.REFERENCE, name)

    def _bare(self, at: int, scope: Scope, hi: int) -> None:
        token = self.toks[at]
        _, name = scope.exposed(token)
        if name is None or token in self.variables:
            return
        before, after = self.tok(at - 1), self.tok(at + 1)
        sole = before == "(" and after == ")"
        opening = at - 2 if before == "distinct" else at - 1
        is_first = self.tok(opening) == "(" and self.is_name(opening - 1)
        function = self.tok(opening - 1) if is_first and after in _AFTER_ROW else ""
        if sole and self.tok(at + 2) == "." and (function == "" or function in ALL):
            self._mark_quietly(at, name)
            return
        if function == "row_to_json":  # takes nothing else
            self._mark_quietly(at, name)
            return
        written = self.unit.written[at]
        if function in _ROW_FUNCTIONS and after != ",":
            self._mark_quietly(at, name)
            message = f"{function}({written}) is read as the whole row of {label(name)}"
            hint = f"write {function}({written}.*) for the row, {written}.{written} for a column"
        else:
            message = f"{written} may be a column or the whole row of {label(name)}: left as it is"
            hint = f"write {written}.{written} for the column, {written}.* for the row"
        self.findings.note(self.unit, at, "whole-row", message, hint, name)

    # ---- items of a SELECT list ------------------------------------------------------------

    def select_item(self, lo: int, hi: int, scope: Scope) -> None:
        """Read one item of a SELECT or RETURNING list, and keep the name of its column.

        The column of ``SELECT app.fn(1)`` is called after the function (the server's
        ``FigureColname``), so it gets an alias when the function gets a suffix.
        """
        if not self.has(lo, hi):
            return
        end = self._without_alias(lo, hi)
        self.expression(lo, end, scope)
        if end < hi:
            return
        at = self._naming_token(lo, hi)
        if at in self.unit.marks and self.unit.marks[at].role is not Role.OWN:
            self.unit.aliases[hi - 1] = f" AS {self.unit.written[at]}"

    def _without_alias(self, lo: int, hi: int) -> int:
        toks = self.toks
        if hi - lo < 2:
            return hi
        if toks[hi - 2] == "as":
            return hi - 2
        last, before = toks[hi - 1], toks[hi - 2]
        if not self.is_name(hi - 1) or last in _NO_BARE_ALIAS:
            return hi
        is_operand = (
            before in (")", "]", "end", "null", "true", "false", "*")
            or is_string(before)
            or before[0].isdigit()
            or (self.is_name(hi - 2) and before not in RESERVED and before not in _BEFORE_OPERAND)
        )
        return hi - 1 if is_operand else hi

    def _naming_token(self, lo: int, hi: int) -> int:
        """Return the token after which the server names the column of [lo, hi), or -1."""
        toks = self.toks
        if lo >= hi:
            return -1
        token = toks[lo]
        if token == "(":
            end = self.close(lo, hi)
            if self.starts_query(lo + 1) or not self._only_postfix(end + 1, hi):
                return -1
            inside = self.split(lo + 1, end)
            return self._naming_token(*inside[0]) if len(inside) == 1 else -1
        if token == "case":
            return self._naming_token_of_case(lo, hi)
        if token == "cast" and self.tok(lo + 1) == "(":
            end = self.close(lo + 1, hi)
            inner = self.seek(lo + 2, end, ("as",))
            return self._naming_token(lo + 2, inner) if self._only_postfix(end + 1, hi) else -1
        if not self.is_name(lo):
            return -1
        chain = self.chain(lo, hi)
        if chain.end >= hi or toks[chain.end] != "(" or chain.star:
            return -1
        i = self.close(chain.end, hi) + 1
        while i < hi:
            if toks[i] in ("filter", "over") and self.tok(i + 1) == "(":
                i = self.close(i + 1, hi) + 1
            elif toks[i] == "within" and self.tok(i + 2) == "(":
                i = self.close(i + 2, hi) + 1
            elif toks[i] == "over" or (
                toks[i] in ("ignore", "respect") and self.tok(i + 1) == "nulls"
            ):
                i += 2
            else:
                break
        return chain.parts[-1] if self._only_postfix(i, hi) else -1

    def _naming_token_of_case(self, lo: int, hi: int) -> int:
        last_else, end = self.cases.get(lo) or self._read_case(lo, hi)
        if last_else < 0 or not self._only_postfix(end + 1, hi):
            return -1
        return self._naming_token(last_else + 1, end)

    def _read_case(self, lo: int, hi: int) -> tuple[int, int]:
        """Return where the last ELSE and the END of the CASE at ``lo`` are; ELSE -1 without one.

        Those of the cases inside are kept as well: an ELSE often holds the next CASE.
        """
        unfinished: list[int] = []
        last_else: dict[int, int] = {}
        i = lo
        while i < hi:
            token = self.toks[i]
            if token in ("(", "["):
                i = self.close(i, hi)
            elif token == "case":
                unfinished.append(i)
                last_else[i] = -1
            elif token == "else":
                last_else[unfinished[-1]] = i
            elif token == "end" and self.tok(i - 1) not in (".", "as"):
                case = unfinished.pop()
                self.cases[case] = last_else[case], i
                if not unfinished:
                    break
            i += 1
        for case in unfinished:
            self.cases[case] = last_else[case], hi
        return self.cases[lo]

    def _only_postfix(self, i: int, hi: int) -> bool:
        """Return whether [i, hi) only casts, subscripts or collates, which keeps the name."""
        toks = self.toks
        while i < hi:
            if toks[i] == "[":
                i = self.close(i, hi) + 1
            elif toks[i] in ("::", "collate"):
                i += 1
                if not (i < hi and self.is_name(i)):
                    return False
                first = toks[i]
                i = self.chain(i, hi).end
                while i < hi and (toks[i] in _TYPE_WORDS or toks[i] in ("(", "[")):
                    if toks[i] in _TYPE_WORDS and first not in _TWO_WORD_TYPES:
                        return False
                    i = self.close(i, hi) + 1 if toks[i] in ("(", "[") else i + 1
            else:
                return False
        return True


_TYPE_WORDS = frozenset(
    [
        "precision",
        "varying",
        "with",
        "without",
        "time",
        "zone",
        "character",
        "char",
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "to",
    ]
)
_NO_BARE_ALIAS = RESERVED | _TYPE_WORDS | {"isnull", "notnull"}
_BEFORE_OPERAND = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "like",
        "ilike",
        "is",
        "between",
        "similar",
        "overlaps",
        "operator",
        "over",
        "collate",
        "all",
        "distinct",
        "select",
        "returning",
        "zone",
        "interval",
        "escape",
        "using",
    ]
)
