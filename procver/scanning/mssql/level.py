"""The tokens between one pair of brackets: scopes, dotted names, items of FROM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from procver.objects import Name
from procver.scanning.mssql.decisions import Decisions
from procver.scanning.mssql.keywords import NO_ALIAS, RESERVED
from procver.scanning.mssql.lexer import identifier
from procver.scanning.mssql.names import ANY, RELATIONS, TYPES
from procver.scanning.mssql.scopes import Scope
from procver.scanning.names import Found
from procver.scanning.scopes import Chain

_QUERY = frozenset({"select", "with", "values", "insert", "update", "delete", "merge"})
ROWSETS = frozenset({"predict", "openrowset", "opendatasource"})
_TEXT_SEARCH = frozenset(
    ["containstable", "freetexttable", "semantickeyphrasetable", "semanticsimilaritytable"]
)


class Level:
    """The tokens between one pair of brackets, or of the whole text.

    ``handlers`` says what reads the clause or statement that a keyword begins.

    Args:
        walker: the tokens.
        hi: token after the last.
        base: the scope around.
        joins: whether these are FROM items in brackets, which belong to the scope around.
        declaring: whether variables or parameters are declared.
    """

    handlers: ClassVar[Mapping[str, Callable[[Any, int], int]]] = {}

    def __init__(
        self,
        walker: Decisions,
        hi: int,
        base: Scope,
        *,
        joins: bool = False,
        declaring: bool = False,
    ) -> None:
        self.w = walker
        self.toks = walker.toks
        self.hi = hi
        self.base = base
        self.scope = base
        self.cte: Scope | None = None
        self.statement = ""
        self.continues = False
        self.in_from = self.expecting = joins
        self.declaring = declaring
        self.cases = 0
        self.has_set = False

    def inside(self, close: int, base: Scope, *, joins: bool = False) -> Level:
        """Return a level of the same sort for what stands in brackets, up to ``close``."""
        return type(self)(self.w, close, base, joins=joins, declaring=self.declaring)

    def read(self, i: int) -> None:
        """Read the tokens from ``i`` on."""
        toks, hi, handlers = self.toks, self.hi, self.handlers
        while i < hi:
            token = toks[i]
            if token == "(":
                i = self.brackets(i)
                continue
            if self.expecting:
                j = self.item(i)
                if j > i:
                    i = j
                    continue
            handler = handlers.get(token)
            if handler is not None:
                i = handler(self, i)
            elif i + 1 < hi and toks[i + 1] == "." and identifier(token):
                i = self.dotted(i)
            elif token[0] == "@":
                i = self.variable(i)
            else:
                i += 1
        self.end_statement()

    # ---- scopes --------------------------------------------------------------------------------

    def open_scope(self) -> None:
        """Begin a scope for a query or statement, in place of the last one."""
        self.close_scope()
        self.scope = Scope(self.cte or self.base)

    def close_scope(self) -> None:
        """Decide on all that waits in the scope."""
        if self.scope is not self.base:
            self.resolve(self.scope)
            self.scope = self.base
        self.in_from = self.expecting = False

    def resolve(self, scope: Scope) -> None:
        """Decide on what waits in ``scope``; what it does not explain waits in its parent."""
        w = self.w
        if scope.target >= 0:
            first = self.toks[scope.target]
            if first not in scope.names:
                chain = Chain((scope.target,), scope.target + 1, False)
                scope.names[first] = w.relation(chain, scope)
            elif (name := scope.names[first]) is not None:
                w.mark(scope.target, Found(name, None))
        for chain in scope.pending:
            if not w.exposed(chain, scope) and scope.parent is not None:
                scope.parent.pending.append(chain)

    def end_statement(self) -> None:
        """End a statement and the CTEs before it."""
        self.close_scope()
        if self.cte is not None:
            self.resolve(self.cte)
            self.cte = None
        self.statement = ""
        self.continues = self.declaring = False

    def begin(self, word: str) -> None:
        """Begin a statement, unless the CTEs before it belong to it."""
        if not self.continues:
            self.end_statement()
        self.continues = self.declaring = False
        self.open_scope()
        self.statement = word
        self.has_set = False

    # ---- names ---------------------------------------------------------------------------------

    def brackets(self, i: int) -> int:
        """Read what stands in brackets from ``i`` on, and an alias of it in FROM."""
        w = self.w
        close = w.close(i, self.hi)
        is_query = self.starts_query(i + 1)
        is_item = self.expecting
        if w.has(i, close):
            around = self.cte if self.cte is not None and self.scope is self.base else self.scope
            self.inside(close, around, joins=is_item and not is_query).read(i + 1)
        self.expecting = False
        if is_item and is_query:
            return self.alias(close + 1, "", None)
        return close + 1

    def dotted(self, i: int) -> int:
        """Read a name with dots in an expression: a call, or a column with its qualifiers."""
        w = self.w
        chain = w.chain(i, self.hi)
        if not w.has(i, chain.end):
            return chain.end
        is_called = w.tok(chain.end) == "("
        if is_called:
            w.call(chain)
        if not is_called or len(chain.parts) > 2:
            self.scope.pending.append(chain)
        return chain.end

    def starts_query(self, i: int) -> bool:
        """Return whether a query starts at ``i``, after any number of opening brackets."""
        return self.w.tok(self.w.after_opening(i)) in _QUERY

    def variable(self, i: int) -> int:
        """Read ``@name``, and the type after it where it is declared."""
        w = self.w
        j = i + 1
        if w.tok(j) == ".":
            return j + 2
        j += w.tok(j) == "as"
        if not w.is_name(j):
            return i + 1
        chain = w.chain(j, self.hi)
        if self.declaring or len(chain.parts) > 1:
            w.decide(chain, TYPES)
            return chain.end
        return i + 1

    def item(self, i: int) -> int:
        """Read one item of FROM and its alias; return ``i`` if there is none."""
        w, toks = self.w, self.toks
        token = toks[i]
        self.expecting = False
        if token[0] == "@":
            j = i + 1
            if w.tok(j) == ".":
                j = w.chain(i, self.hi).end
            return self.alias(self.arguments(j), "", None)
        if token == "::":
            i += 1
        elif token == "{" and w.tok(i + 1) == "oj":  # ODBC's way to write an outer join
            i += 2
        i = w.start(i)
        token = w.tok(i)
        is_function = token in RESERVED and w.tok(i + 1) == "("
        if not (w.is_name(i) or is_function):
            return i
        chain = w.chain(i, self.hi)
        name: Name | None = None
        if w.has(i, chain.end):
            if len(chain.parts) > 1 and w.tok(chain.end) == "(" and self.is_method(chain):
                self.scope.pending.append(chain)
            else:
                name = w.relation(chain, self.scope)
        exposed = toks[chain.parts[-1]]
        if is_function and token in _TEXT_SEARCH and w.is_name(i + 2):
            w.relation(w.chain(i + 2, self.hi), self.scope)
        j = self.arguments(chain.end)
        if w.tok(i + 1) == "(" and token in ROWSETS:
            j = self.rowset(i, j)
        if w.tok(j) == "for" and w.tok(j + 1) == "system_time":
            j = self.period(j + 2)
        elif w.tok(j) == "for" and w.tok(j + 1) == "path":  # of a graph
            j += 2
        return self.alias(j, exposed, name)

    def rowset(self, i: int, j: int) -> int:
        """Read the names that the function at ``i`` takes; return where it ends, its brackets ending at ``j``."""
        w, toks = self.w, self.toks
        if toks[i] == "predict":  # ... (MODEL = @model, DATA = v AS d): the alias is seen outside
            for k in range(i + 2, j - 2):
                if toks[k] == "data" and toks[k + 1] == "=":
                    self.item(k + 2)
            return j
        if toks[i] == "openrowset":
            k = j - 1
            while k > i + 1 and toks[k - 1] not in (",", "("):
                k -= 1
        elif w.tok(j) == ".":
            k = j = w.start(j)
        else:
            return j
        if w.is_name(k):
            chain = w.chain(k, self.hi)
            w.crossing(chain, RELATIONS, "what another connection finds")
            j = max(j, chain.end)
        return j

    def is_method(self, chain: Chain) -> bool:
        """Return whether a chain before ``(`` calls a method of a column: ``v.doc.nodes(...)``."""
        toks = self.toks
        leaf = identifier(toks[chain.parts[-1]])
        schema = identifier(toks[chain.parts[-2]]) if chain.parts[-2] >= 0 else ""
        return len(chain.parts) > 2 and self.w.names.find(schema, leaf, ANY) is None

    def arguments(self, j: int) -> int:
        """Read the brackets at ``j``, if there are any: arguments, or hints of old."""
        return self.brackets(j) if self.w.tok(j) == "(" else j

    def period(self, j: int) -> int:
        """Return where FOR SYSTEM_TIME ends, which continues at ``j``."""
        word = self.w.tok(j)
        if word == "contained":
            return self.w.close(j + 2, self.hi) + 1
        return j + {"all": 1, "as": 3, "from": 4, "between": 4}.get(word, 0)

    def alias(self, j: int, exposed: str, name: Name | None) -> int:
        """Read the alias at ``j`` and expose it, or what it would be an alias of."""
        w = self.w
        if w.tok(j) == "as" and (w.is_name(j + 1) or w.tok(j + 1)[:1] == "'"):
            j += 1
        elif not w.is_name(j) or w.tok(j) in NO_ALIAS or w.tok(j + 1) == ":":
            return self.late_alias(j, exposed, name)
        self.scope.names[self.toks[j]] = None
        return j + 1

    def late_alias(self, j: int, exposed: str, name: Name | None) -> int:
        """Expose an item without alias; some write that after the hints."""
        w = self.w
        if w.tok(j) == "with" and w.tok(j + 1) == "(":
            k = self.brackets(j + 1)
            is_alias = w.tok(k) == "as" and w.is_name(k + 1)
            if is_alias or (w.is_name(k) and w.tok(k) not in NO_ALIAS and w.tok(k + 1) != ":"):
                k += is_alias
                self.scope.names[self.toks[k]] = None
                return k + 1
            j = k
        if exposed:
            self.scope.names.setdefault(exposed, name)
            if name is not None:
                self.scope.names[exposed] = name
        return j
