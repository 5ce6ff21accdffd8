"""Reads the statements of a module for the names in them.

It goes over the tokens once, one `_Statements` for each pair of brackets, and keeps track of what
the place of a name means: an item of FROM, a target, what is executed, a type, an expression. It
never fails on text that is no SQL; the server says what is wrong with it.
"""

from __future__ import annotations

from procver.scanning.mssql.clauses import CLAUSES
from procver.scanning.mssql.decisions import Decisions
from procver.scanning.mssql.keywords import words
from procver.scanning.mssql.level import ROWSETS, Level
from procver.scanning.mssql.mentions import OF_NAMES
from procver.scanning.mssql.names import ANY, EXECUTED, TYPES, label, quote
from procver.scanning.mssql.scopes import Scope
from procver.scanning.scopes import Chain
from procver.scanning.tokens import within

_SET_OPERATOR = frozenset({"union", "except", "intersect", "all"})
_EVENT = frozenset({"for", "after", "of", ",", "then", "instead"})
_ACTION = frozenset({"cascade", "no", "set"})
_FETCH = frozenset(
    {"next", "prior", "first", "last", "absolute", "relative", "from", "global", "-"}
)
_NUMBER = frozenset("0123456789@")
# A name and a bracket after one of these call a function, or start a CTE.
_OPERAND = words(
    """
    ( , = < > <= >= <> != + - * / % and or not where having on when then else select by between
    like in return set distinct case
    """
)
_ENDS = words(
    """
    if while begin return print raiserror goto break continue waitfor open close commit rollback
    save use backup restore dbcc kill checkpoint reconfigure truncate deallocate
    """
)


class Walker(Decisions):
    """Reads one stretch of a batch; see `Decisions`."""

    def read(self, lo: int, hi: int, *, declaring: bool = False) -> None:
        """Read tokens [lo, hi); ``declaring`` says that they start with parameters."""
        _Statements(self, hi, Scope(None), declaring=declaring).read(lo)
        for at in within(self.at, lo, hi):
            if self.tok(at + 1) == "(" and self.tok(at - 1) in _OPERAND:
                self.bare_call(at, hi)

    def securable(self, i: int, hi: int) -> int:
        """Read ``[OBJECT::|TYPE::]name`` at ``i``, as after GRANT ... ON; return where it ends."""
        return _Statements(self, hi, Scope(None)).securable(i)


class _Statements(Level):
    # ---- queries -------------------------------------------------------------------------------

    def select(self, i: int) -> int:
        if self.w.tok(i - 1) not in _SET_OPERATOR and not self.continues:
            self.end_statement()
        self.continues = self.declaring = False
        self.open_scope()
        self.statement = "select"
        return i + 1

    def from_(self, i: int) -> int:
        before = self.w.tok(i - 1)
        is_comparison = before == "distinct" and self.w.tok(i - 2) in ("is", "not")
        if self.statement and not is_comparison:
            self.in_from = self.expecting = True
        return i + 1

    def comma(self, i: int) -> int:
        self.expecting = self.in_from
        return i + 1

    def join(self, i: int) -> int:
        self.in_from = self.expecting = True
        return i + 1

    def apply(self, i: int) -> int:
        if self.w.tok(i - 1) in ("cross", "outer"):
            self.in_from = self.expecting = True
        return i + 1

    def using(self, i: int) -> int:
        if self.statement == "merge":
            self.in_from = self.expecting = True
        return i + 1

    def pivot(self, i: int) -> int:
        """PIVOT and UNPIVOT: their alias hides what they turn, and may be called like it."""
        if self.w.tok(i + 1) != "(":
            return i + 1
        return self.alias(self.brackets(i + 1), "", None)

    def end_from(self, i: int) -> int:
        if not self.cases:
            self.in_from = self.expecting = False
        return i + 1

    def for_(self, i: int) -> int:
        """FOR XML AUTO and FOR JSON AUTO call what they make after the items of FROM."""
        w = self.w
        form = w.tok(i + 1)
        items = self.scope.names
        # JSON does not name the outermost, which is that of the first column.
        if w.tok(i + 2) == "auto" and (form == "xml" or (form == "json" and len(items) > 1)):
            for name in filter(None, items.values()):
                w.findings.note(
                    w.unit,
                    i,
                    "auto-name",
                    f"FOR {form.upper()} AUTO may call its output after {label(name)}, with the"
                    " version in it",
                    f"give it an alias: FROM {quote(name)} AS the_name_that_callers_expect",
                    name,
                )
        return self.end_from(i)

    def values(self, i: int) -> int:
        self.continues = False
        return self.end_from(i)

    def into(self, i: int) -> int:
        """INTO of OUTPUT names a target; that of SELECT makes a new table."""
        w = self.w
        i = w.start(i + 1)
        if not w.is_name(i):
            return i
        chain = w.chain(i, self.hi)
        if self.statement not in ("select", ""):
            w.relation(chain, None)
        return chain.end

    def with_(self, i: int) -> int:
        w = self.w
        j = i + 1
        if w.tok(j) == "xmlnamespaces" and w.tok(j + 1) == "(":
            j = w.close(j + 1, self.hi) + 1
            if w.tok(j) != ",":
                if not self.continues:
                    self.end_statement()
                self.continues = True
                return j
            j += 1
        if self.cte_query(j) < 0:
            return i + 1
        self.end_statement()
        self.cte = Scope(self.base)
        while True:
            query = self.cte_query(j)
            if query < 0:
                break
            self.cte.ctes.add(self.toks[j])
            close = w.close(query, self.hi)
            if w.has(query, close):
                self.inside(close, self.cte).read(query + 1)
            j = close + 1
            if w.tok(j) != ",":
                break
            j += 1
        self.continues = True
        return j

    def cte_query(self, j: int) -> int:
        """Return the bracket that opens the query of the CTE at ``j``, or -1."""
        w = self.w
        if not w.is_name(j):
            return -1
        j += 1
        if w.tok(j) == "(":
            j = w.close(j, self.hi) + 1
        return j + 1 if w.tok(j) == "as" and w.tok(j + 1) == "(" else -1

    def hint(self, i: int) -> int:
        """OPTION (TABLE HINT (...)) names an item just as FROM exposes it."""
        w = self.w
        if w.tok(i - 1) != "table" or w.tok(i + 1) != "(" or not w.is_name(i + 2):
            return i + 1
        chain = w.chain(i + 2, self.hi)
        if len(chain.parts) == 1:
            self.scope.pending.append(chain)
        else:
            w.relation(chain, None)
        return chain.end

    def match(self, i: int) -> int:
        """MATCH (a-(e)->b) names items of FROM without a column."""
        w = self.w
        if w.tok(i + 1) == "(":
            for at in within(w.at, i, w.close(i + 1, self.hi)):
                if "." not in (w.tok(at - 1), w.tok(at + 1)):
                    self.scope.pending.append(Chain((at,), at + 1, False))
        return i + 1

    # ---- data modification ---------------------------------------------------------------------

    def is_event(self, i: int) -> bool:
        """Return whether the verb at ``i`` begins no statement: FOR UPDATE, ON DELETE CASCADE.

        SET NOCOUNT ON may stand before one that does.
        """
        before = self.w.tok(i - 1)
        return before in _EVENT or (before == "on" and self.w.tok(i + 1) in _ACTION)

    def target(self, i: int, *, exposes: bool) -> int:
        """Read the target of a statement after its verb."""
        w = self.w
        if w.tok(i) == "top":
            i += 1
            i = self.brackets(i) if w.tok(i) == "(" else i + 1
            i += w.tok(i) == "percent"
        if w.tok(i) in ("into", "from"):
            i += 1
        if w.tok(i) in ROWSETS:
            return self.rowset(i, self.arguments(i + 1))
        i = w.start(i)
        if not w.is_name(i):
            return i
        chain = w.chain(i, self.hi)
        if exposes and len(chain.parts) == 1:
            self.scope.target = i if i in w.at_set else -1
        elif w.has(i, chain.end):
            name = w.relation(chain, self.scope)
            if name is not None:
                self.scope.names[self.toks[chain.parts[-1]]] = name
        return chain.end

    def insert(self, i: int) -> int:
        if self.is_event(i):
            return i + 1
        self.begin("insert")
        i = self.target(i + 1, exposes=False)
        self.continues = True
        return i

    def update(self, i: int) -> int:
        w = self.w
        if self.is_event(i) or w.tok(i + 1) == "(":
            return i + 1
        self.begin("update")
        if w.tok(i + 1) == "statistics":
            return self.target(i + 2, exposes=False)
        return self.target(i + 1, exposes=True)

    def delete(self, i: int) -> int:
        if self.is_event(i):
            return i + 1
        self.begin("delete")
        return self.target(i + 1, exposes=True)

    def merge(self, i: int) -> int:
        w = self.w
        if w.tok(i + 1) in ("join", "union", ")", ","):
            return i + 1
        self.begin("merge")
        i = self.target(i + 1, exposes=False)
        if w.tok(i) == "with" and w.tok(i + 1) == "(":
            i = w.close(i + 1, self.hi) + 1
        if w.tok(i) == "as":
            i += 1
        if w.is_name(i) and w.tok(i) != "using":
            # The alias hides the target's own name.
            for token in [t for t, name in self.scope.names.items() if name is not None]:
                del self.scope.names[token]
            self.scope.names[self.toks[i]] = None
            return i + 1
        return i

    def set_(self, i: int) -> int:
        if self.statement == "update" and not self.has_set:
            self.has_set = True
        elif self.statement != "merge" or self.w.tok(i - 1) != "update":
            self.end_statement()
        return i + 1

    # ---- other statements ----------------------------------------------------------------------

    def execute(self, i: int) -> int:
        w = self.w
        if w.tok(i + 1) == "as":
            return i + 2
        if not self.continues:
            self.end_statement()
        self.continues = self.declaring = False
        self.close_scope()
        self.statement = "execute"
        i += 1
        if w.tok(i)[:1] == "@" and w.tok(i + 1) == "=":
            i += 2
        i = w.start(i)
        if not w.is_name(i):
            return i + 1 if w.tok(i)[:1] == "@" else i
        chain = w.chain(i, self.hi)
        name = w.decide(chain, EXECUTED) if w.has(i, chain.end) else None
        if name is not None and w.tok(chain.end) == ";" and w.tok(chain.end + 1).isdecimal():
            w.findings.note(
                w.unit,
                chain.end,
                "numbered-procedure",
                f"procedure number {w.tok(chain.end + 1)} of a group is called; procver versions no"
                " groups",
                "give that procedure a name, and a file, of its own",
                name,
            )
            return chain.end + 2
        if self.toks[chain.parts[-1]] in OF_NAMES and w.is_name(chain.end):
            w.left(
                w.chain(chain.end, self.hi),
                "string-mention",
                "{} is named by a word that stands for a string, where it cannot be given its version",
                "write -- procver: requires {}, or use {{{{ ref('{}') }}}} in quotes in a template (.sql.j2)",
            )
        return chain.end

    def declare(self, i: int) -> int:
        self.end_statement()
        self.declaring = True
        return i + 1

    def ends(self, i: int) -> int:
        self.end_statement()
        return i + 1

    def semicolon(self, i: int) -> int:
        self.end_statement()
        self.cases = 0
        return i + 1

    def case(self, i: int) -> int:
        self.cases += 1
        return i + 1

    def end(self, i: int) -> int:
        if self.cases:
            self.cases -= 1
        else:
            self.end_statement()
        return i + 1

    def else_(self, i: int) -> int:
        if not self.cases:
            self.end_statement()
        return i + 1

    def fetch(self, i: int) -> int:
        """FETCH NEXT FROM names a cursor; so may OFFSET ... FETCH NEXT 10 ROWS."""
        w = self.w
        if w.tok(i - 1) in ("rows", "row"):
            return i + 1
        self.end_statement()
        i += 1
        while w.tok(i) in _FETCH or w.tok(i)[:1] in _NUMBER:
            i += 1
        return i + w.is_name(i)

    def permission(self, i: int) -> int:
        """GRANT, DENY or REVOKE: what it is about stands after ON."""
        w = self.w
        if w.tok(i - 1) == "with":
            return i + 1
        self.end_statement()
        i += 1
        while i < self.hi and self.toks[i] not in ("on", "to", "from", ";"):
            i = w.close(i, self.hi) + 1 if self.toks[i] == "(" else i + 1
        return self.securable(i + 1) if w.tok(i) == "on" else i + 1

    def securable(self, i: int) -> int:
        """Read ``[OBJECT::|TYPE::]name`` at ``i``."""
        w = self.w
        kinds = ANY - TYPES
        if w.tok(i + 1) == "::":
            if w.tok(i) not in ("object", "type"):
                return i + 2
            kinds = TYPES if w.tok(i) == "type" else kinds
            i += 2
        if not w.is_name(i):
            return i + 1
        chain = w.chain(i, self.hi)
        name = w.decide(chain, kinds) if w.has(i, chain.end) else None
        if name is not None and name == w.names.own.name and not w.describing:
            w.findings.note(
                w.unit,
                i,
                "missing-go",
                "the permission is part of the definition: it is given anew by each call",
                "put GO before it, on a line of its own",
                name,
            )
        return chain.end

    def ddl(self, i: int) -> int:
        """CREATE and ALTER of an index or statistics name their object after ON."""
        w = self.w
        self.end_statement()
        for j in range(i + 1, min(i + 6, self.hi)):
            if self.toks[j] in ("index", "statistics", "trigger"):
                j += 2 * (w.tok(j + 1) == "if")
                name = w.chain(j + 1, self.hi)
                if w.tok(name.end) == "on" and w.is_name(name.end + 1):
                    chain = w.chain(name.end + 1, self.hi)
                    w.relation(chain, None)
                    return chain.end
                return name.end
        return i + 1

    def switch(self, i: int) -> int:
        """ENABLE and DISABLE TRIGGER: each version has triggers of its own, under names of their own."""
        w = self.w
        if w.tok(i + 1) != "trigger":
            return i + 1
        self.end_statement()
        j = i + 2
        while j < self.hi and self.toks[j] != "on":
            if not w.is_name(j) and self.toks[j] not in ("all", ".", ","):
                return j
            j += 1
        if not w.is_name(j + 1):
            return j
        chain = w.chain(j + 1, self.hi)
        w.left(
            chain,
            "trigger",
            "a trigger on {} is named, which is left as it is: each version has triggers of its own",
            "remove it: what one release switches must not change what others see",
        )
        return chain.end

    def drop(self, i: int) -> int:
        w = self.w
        self.end_statement()
        if w.tok(i + 1) in ("index", "signature", "counter"):
            return self.ddl(i)
        j = i + 2
        j += 2 * (w.tok(j) == "if")
        while w.is_name(j):
            chain = w.chain(j, self.hi)
            w.left(
                chain,
                "drop",
                "DROP of {} inside a definition is left as it is: versions are procver's to drop",
                "remove it, or drop another object",
            )
            j = chain.end
            if w.tok(j) != ",":
                break
            j += 1
        return max(j, i + 1)


_Statements.handlers = {
    "select": _Statements.select,
    "from": _Statements.from_,
    ",": _Statements.comma,
    "join": _Statements.join,
    "apply": _Statements.apply,
    "using": _Statements.using,
    "pivot": _Statements.pivot,
    "unpivot": _Statements.pivot,
    "hint": _Statements.hint,
    "match": _Statements.match,
    "into": _Statements.into,
    "with": _Statements.with_,
    "insert": _Statements.insert,
    "update": _Statements.update,
    "delete": _Statements.delete,
    "merge": _Statements.merge,
    "set": _Statements.set_,
    "exec": _Statements.execute,
    "execute": _Statements.execute,
    "declare": _Statements.declare,
    "case": _Statements.case,
    "end": _Statements.end,
    "else": _Statements.else_,
    "fetch": _Statements.fetch,
    "grant": _Statements.permission,
    "deny": _Statements.permission,
    "revoke": _Statements.permission,
    "create": _Statements.ddl,
    "alter": _Statements.ddl,
    "drop": _Statements.drop,
    "enable": _Statements.switch,
    "disable": _Statements.switch,
    "values": _Statements.values,
    "for": _Statements.for_,
    ";": _Statements.semicolon,
    **dict.fromkeys(
        ["where", "group", "having", "order", "option", "when", "output"],
        _Statements.end_from,
    ),
    **dict.fromkeys(["union", "except", "intersect"], _Statements.end_from),
    **dict.fromkeys(_ENDS, _Statements.ends),
    **CLAUSES,
}
