"""Places of a text where a string becomes SQL, or the name of an object, when it runs."""

from __future__ import annotations

from procver.scanning.postgresql.keywords import ALL
from procver.scanning.postgresql.lexer import identifier, is_string
from procver.scanning.tokens import closing

_TAKING_SQL = frozenset(
    [
        "connectby",
        "crosstab",
        "crosstab2",
        "crosstab3",
        "crosstab4",
        "dblink",
        "dblink_exec",
        "dblink_open",
        "dblink_send_query",
        "format",
        "query_to_xml",
        "query_to_xml_and_xmlschema",
        "query_to_xmlschema",
        "schedule",
        "schedule_in_database",
        "ts_rewrite",
        "ts_stat",
        "xpath_table",
    ]
)
_TAKING_NAMES = frozenset(
    [
        "currval",
        "has_any_column_privilege",
        "has_column_privilege",
        "has_function_privilege",
        "has_table_privilege",
        "has_type_privilege",
        "nextval",
        "pg_get_serial_sequence",
        "pg_get_viewdef",
        "pg_relation_size",
        "pg_table_size",
        "pg_total_relation_size",
        "row_security_active",
        "setval",
        "table_to_xml",
        "table_to_xml_and_xmlschema",
        "table_to_xmlschema",
        "to_regclass",
        "to_regproc",
        "to_regprocedure",
        "to_regtype",
    ]
)
_FUNCTIONS = _TAKING_SQL | _TAKING_NAMES
_NAME_TYPES = frozenset({"regclass", "regproc", "regprocedure", "regtype"})
_OPENINGS = frozenset({"then", "else", "begin", "loop", "declare", "exception"})
_ASSIGNMENTS = frozenset({":=", "=", "default"})
_EXECUTED_END = frozenset({"using", "into", "loop"})


class Dynamic:
    """Tokens of a text that RAISE prints, and tokens that become SQL.

    Args:
        toks: the folded tokens.

    Attributes:
        printed: tokens of RAISE and COMMENT.
        built: tokens from which SQL, or the name of an object, is built.
    """

    def __init__(self, toks: list[str]) -> None:
        self.toks = toks
        self.printed: set[int] = set()
        self.built: set[int] = set()
        # The statements that give a variable its value, by the variable.
        self._given: dict[str, list[tuple[int, int]]] = {}
        self._executed: list[str] = []
        start = 0
        for i, token in enumerate(toks):
            if token == ";" or (token in _OPENINGS and toks[i - 1] != "raise"):
                self._statement(start, i)
                start = i + 1
        self._statement(start, len(toks))
        self._follow()

    def is_dynamic(self, i: int) -> bool:
        """Return whether the string at token ``i`` is read as SQL, or as the name of an object."""
        return i in self.built or self._is_name(i)

    # ---- statements ----------------------------------------------------------------------

    def _statement(self, lo: int, hi: int) -> None:
        toks = self.toks
        if lo >= hi:
            return
        word = toks[lo]
        if word == "raise" or toks[lo : lo + 2] == ["comment", "on"]:
            self.printed.update(range(lo, hi))
            return
        if word == "do":
            self.built.update(range(lo, hi))
        creates = word == "create" and not {"function", "procedure"}.isdisjoint(toks[lo : lo + 4])
        i = lo
        while i < hi:
            token = toks[i]
            following = toks[i + 1] if i + 1 < hi else ""
            if token == "execute" and following not in ("on", "function", "procedure"):
                i = self._execute(i + 1, hi)
            elif token in _FUNCTIONS and following == "(":
                # What is put together with format() is SQL to the end of its statement.
                end = hi if token == "format" else closing(toks, i + 1, hi)
                self._build(i + 1, end)
                i = end
            else:
                if creates and token == "as" and following and is_string(following):
                    self.built.add(i + 1)
                i += 1
        for name in self._variables(lo, hi):
            self._given.setdefault(name, []).append((lo, hi))

    def _execute(self, lo: int, hi: int) -> int:
        i, depth = lo, 0
        while i < hi and (depth or self.toks[i] not in _EXECUTED_END):
            depth += (self.toks[i] in "([") - (self.toks[i] in ")]")
            i += 1
        self._build(lo, i)
        return max(i, lo)

    def _build(self, lo: int, hi: int) -> None:
        """SQL is built from tokens [lo, hi): from the strings, and from the variables' values."""
        toks = self.toks
        for i in range(lo, hi):
            self.built.add(i)
            if toks[i] not in ALL and identifier(toks[i]) and toks[i + 1 : i + 2] != ["("]:
                self._executed.append(toks[i])

    # ---- variables -----------------------------------------------------------------------

    def _variables(self, lo: int, hi: int) -> list[str]:
        """Return the variables that the statement [lo, hi) gives a value."""
        toks = self.toks
        if toks[lo] in ("for", "foreach"):
            return toks[lo + 1 : lo + 2]
        found = []
        if not _ASSIGNMENTS.isdisjoint(toks[lo + 1 : hi]):  # q := '...', q text := '...'
            found.append(toks[lo])
        for i in range(lo + 1, hi - 1):
            if toks[i] == "into" and toks[i - 1] != "insert":
                i += toks[i + 1] == "strict"
                found += toks[i + 1 : i + 2]
        return found

    def _follow(self) -> None:
        """Follow the variables that are executed to the strings that they hold."""
        seen: set[str] = set()
        while self._executed:
            name = self._executed.pop()
            if name in seen:
                continue
            seen.add(name)
            for lo, hi in self._given.get(name, ()):
                self._build(lo, hi)

    # ---- names ---------------------------------------------------------------------------

    def _is_name(self, i: int) -> bool:
        toks = self.toks
        if i and toks[i - 1] in _NAME_TYPES:
            return True
        if i > 1 and toks[i - 1] in _ASSIGNMENTS and toks[i - 2] in _NAME_TYPES:
            return True
        i += 1
        while toks[i : i + 1] in (["::"], ["as"]):
            i += 3 if toks[i + 1 : i + 3] == ["pg_catalog", "."] else 1
            if toks[i : i + 1] and toks[i] in _NAME_TYPES:
                return True
            i += 1
        return False
