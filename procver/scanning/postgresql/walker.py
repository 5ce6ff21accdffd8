"""What every part of the reader of references shares: tokens, candidates, scopes, decisions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from procver.objects import Kind, Name
from procver.scanning.marks import Findings
from procver.scanning.names import Found, Names
from procver.scanning.postgresql.builtins import BUILTINS
from procver.scanning.postgresql.keywords import COL_NAME, NO_TABLE_NAME
from procver.scanning.postgresql.lexer import identifier
from procver.scanning.postgresql.names import RELATIONS, ROUTINES, label, quote
from procver.scanning.postgresql.temporary import SCHEMA, Temporary
from procver.scanning.postgresql.unit import Unit
from procver.scanning.scopes import Chain, Scope
from procver.scanning.tokens import Tokens

_QUERY = frozenset({"select", "with", "values", "table"})
_DML = {"insert": "into", "delete": "from", "merge": "into"}


class Walker(Tokens, ABC):
    """Walks over the tokens of one unit and marks the references among them.

    It is driven by the candidates: what holds none is skipped unread. It never fails on text
    that is no SQL; the server says what is wrong with it.

    Args:
        unit: the tokens.
        names: what a name stands for here.
        candidates: the folded tokens that may name something managed.
        findings: where notes go.
        variables: folded tokens that are names of variables or parameters in this body.
        parameters: identifiers of the parameters of the routine, for ``fn.parameter``.
        part: [start, end) of the tokens that are to be read; all without it.

    Attributes:
        describing: whether the statements are about the object itself (GRANT, COMMENT): its
            name is no recursive use there.
        itself: the token that names a recursive view inside itself.
        temporary: the temporary relations of this body, by identifier.
        compiling: the names that are read are looked up when the body is compiled, before it runs.
        cases: first token of each CASE that was looked into, to its last ELSE and its END.
    """

    def __init__(
        self,
        unit: Unit,
        names: Names,
        candidates: Iterable[str],
        findings: Findings,
        variables: frozenset[str] = frozenset(),
        parameters: frozenset[str] = frozenset(),
        part: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(unit.folded, candidates, part or (0, len(unit.folded)), "()[]")
        self.unit = unit
        self.names = names
        self.findings = findings
        self.variables = variables
        self.parameters = parameters
        self.describing = False
        self.itself = ""
        self.temporary: Mapping[str, Temporary] = {}
        self.compiling = False
        self.cases: dict[int, tuple[int, int]] = {}

    # ---- tokens -------------------------------------------------------------------------

    def is_name(self, i: int) -> bool:
        """Return whether token ``i`` can be a name: a word or a quoted name."""
        return identifier(self.tok(i)) != "" if 0 <= i < len(self.toks) else False

    def is_alias(self, i: int) -> bool:
        """Return whether token ``i`` can be an alias of a FROM item."""
        return self.is_name(i) and self.toks[i] not in NO_TABLE_NAME

    def chain(self, i: int, hi: int) -> Chain:
        """Return the chain of names that starts at ``i``."""
        toks = self.toks
        parts = [i]
        i += 1
        while i + 1 < hi and toks[i] == ".":
            if toks[i + 1] == "*":
                return Chain(tuple(parts), i + 2, True)
            if not self.is_name(i + 1):
                break
            parts.append(i + 1)
            i += 2
        return Chain(tuple(parts), i, False)

    def chain_start(self, i: int, lo: int) -> int:
        """Return where the chain that holds token ``i`` starts, not before ``lo``."""
        while i - 2 >= lo and self.toks[i - 1] == "." and self.is_name(i - 2):
            i -= 2
        return i

    def split(self, lo: int, hi: int) -> list[tuple[int, int]]:
        """Return the parts of [lo, hi) between commas outside brackets."""
        parts = []
        start = i = lo
        while i < hi:
            token = self.toks[i]
            if token == ",":
                parts.append((start, i))
                start = i + 1
            elif token in ("(", "["):
                i = self.close(i, hi)
            i += 1
        if start < hi:
            parts.append((start, hi))
        return parts

    def seek(self, lo: int, hi: int, words: Iterable[str]) -> int:
        """Return the index of the first of ``words`` in [lo, hi) outside brackets, or ``hi``."""
        i = lo
        while i < hi:
            token = self.toks[i]
            if token in words and (i == lo or self.toks[i - 1] not in (".", "as")):
                return i
            if token in ("(", "["):
                i = self.close(i, hi)
            i += 1
        return hi

    def starts_query(self, i: int) -> bool:
        """Return whether a query starts at ``i``, after any number of opening brackets."""
        i = self.after_opening(i)
        token = self.tok(i)
        if token in _QUERY:
            return token != "values" or self.tok(i + 1) == "("
        if token == "update":
            return self.is_name(i + 1)
        return token in _DML and self.tok(i + 1) == _DML[token]

    # ---- decisions ----------------------------------------------------------------------

    def relation(self, chain: Chain, scope: Scope | None) -> Name | None:
        """Decide on a name in the place of a table; return the relation if it is managed.

        ``scope`` says which CTEs hide it; None where CTEs do not count.
        """
        if len(chain.parts) == 1 and scope is not None:
            token = self.toks[chain.parts[0]]
            if scope.is_cte(token):
                return None
            if token == self.itself:
                return self.mark(chain.parts[0], Found(self.names.own.name, None))
        return self.decide(chain.parts, RELATIONS, "relation")

    def call(self, chain: Chain) -> Name | None:
        """Decide on a name that is called; return the routine if it is managed.

        Words with a call syntax of their own (``substring(x FROM 2)``) are the server's.
        """
        if len(chain.parts) == 1:
            token = self.toks[chain.parts[0]]
            if token in COL_NAME or (token in BUILTINS and self._built_in(chain.parts[0])):
                return None
        return self.decide(chain.parts, ROUTINES, "call")

    def _built_in(self, at: int) -> bool:
        found = self.names.find(None, identifier(self.toks[at]), ROUTINES)
        if found is not None:
            written = self.unit.written[at]
            self.findings.note(
                self.unit,
                at,
                "built-in-name",
                f"{written} is a function of the server too, which comes first: left as it is",
                f"write {quote(found.name)} if that is meant",
                found.name,
            )
        return True

    def type_name(self, parts: tuple[int, ...]) -> None:
        """Decide on a name in the place of a type."""
        self.decide(parts, RELATIONS, "type")

    def decide(self, parts: tuple[int, ...], kinds: frozenset[Kind], role: str) -> Name | None:
        """Mark the last of ``parts`` if the name stands for an object of ``kinds``.

        Returns:
            the object, or None; also None for a fixed version.
        """
        leaf_at = parts[-1]
        if leaf_at not in self.at_set:
            return None
        leaf = identifier(self.toks[leaf_at])
        if len(parts) > 2 and not self.is_ours(parts[0]):
            self.crossing(parts, kinds)
            return None
        schema = identifier(self.toks[parts[-2]]) if len(parts) > 1 else None
        found = self.names.find(schema, leaf, kinds)
        if found is None:
            if schema is None and (role != "type" or leaf not in self.variables):
                self.off_path(leaf_at, leaf, kinds)
            return None
        if schema is None and self.is_hidden(leaf_at, found):
            return None
        return self.mark(leaf_at, found)

    def is_hidden(self, at: int, found: Found) -> bool:
        """Return whether an unqualified name means a temporary relation of this body.

        It does not while that is being created, nor where names are looked up before the body
        runs.
        """
        if not self.temporary or self.compiling:
            return False
        own = self.temporary.get(identifier(self.toks[at]))
        if own is None or self.names.kind(found.name) not in RELATIONS:
            return False
        path = self.names.path
        if SCHEMA in path and found.name.schema in path[: path.index(SCHEMA)]:
            return False  # SET search_path = app, pg_temp: what is temporary comes last
        if any(start <= at < end for start, end in own.created):
            return False
        if at < own.first:
            written = self.unit.written[at]
            self.findings.note(
                self.unit,
                at,
                "temporary-name",
                f"{written} is left as it is: this body creates a temporary relation of that name,"
                f" on line {self.unit.line(own.first)}, which hides {label(found.name)}",
                f"write {quote(found.name)} where that is meant",
                found.name,
            )
        return True

    def mark(self, at: int, found: Found) -> Name | None:
        """Mark token ``at`` as a use of what was found."""
        return self.findings.use(self.unit, at, found, describing=self.describing)

    def is_ours(self, at: int) -> bool:
        """Return whether token ``at`` is a name of our own database."""
        return identifier(self.toks[at]) in self.names.index.databases

    def crossing(self, parts: tuple[int, ...], kinds: frozenset[Kind]) -> None:
        """Note a name with a database in front."""
        schema, leaf = (identifier(self.toks[part]) for part in parts[-2:])
        found = self.names.find(schema, leaf, kinds)
        if found is not None:
            written = ".".join(self.unit.written[part] for part in parts)
            self.findings.note(
                self.unit,
                parts[0],
                "database-name",
                f"{written} names a database: it is left as it is",
                f"write {label(found.name)}, if this database is meant, or add its name to databases in"
                " procver.toml",
                found.name,
            )

    def off_path(self, at: int, leaf: str, kinds: frozenset[Kind]) -> None:
        """Note an unqualified name that is managed only in schemas off the search path."""
        elsewhere = self.names.elsewhere(leaf, kinds)
        if not elsewhere:
            return
        path = ", ".join(self.names.path) or "empty"
        self.findings.note(
            self.unit,
            at,
            "off-path",
            f"{leaf} is left as it is: {label(elsewhere[0])} is managed, but its schema is not on"
            f" the search path ({path})",
            "write " + " or ".join(quote(name) for name in elsewhere[:3]) + " if that is meant",
            elsewhere[0],
        )

    # ---- what the parts call of each other ----------------------------------------------

    @abstractmethod
    def expression(self, lo: int, hi: int, scope: Scope, opener: int = -1) -> None:
        """Read the expressions in [lo, hi); ``opener`` is the bracket around them."""

    @abstractmethod
    def query(self, lo: int, hi: int, scope: Scope) -> None:
        """Read one SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE or MERGE, WITH included."""

    @abstractmethod
    def commands(self, lo: int, hi: int, scope: Scope) -> None:
        """Read statements separated by semicolons."""

    @abstractmethod
    def statement(self, lo: int, hi: int, scope: Scope) -> None:
        """Read one SQL statement of any sort."""
