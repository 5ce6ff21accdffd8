"""Which object a written name stands for, and what that makes of its token."""

from __future__ import annotations

from collections.abc import Sequence

from procver.objects import Kind, Name
from procver.scanning.marks import Findings
from procver.scanning.mssql.keywords import BUILT_IN, RESERVED
from procver.scanning.mssql.lexer import identifier
from procver.scanning.mssql.names import (
    ANY,
    CALLED,
    RELATIONS,
    TYPES,
    label,
    quote,
    type_path,
)
from procver.scanning.mssql.scopes import Scope
from procver.scanning.mssql.unit import Unit
from procver.scanning.names import Found, Names
from procver.scanning.scopes import Chain
from procver.scanning.tokens import Tokens


class Decisions(Tokens):
    """The tokens of one stretch of a batch, and the decisions on the names among them.

    Args:
        unit: the batch.
        names: what a name stands for here.
        candidates: the folded tokens that may name something managed.
        findings: where notes go.
        part: [start, end) of the tokens that are to be read.
        describing: whether the text is about the object itself (GRANT, CREATE INDEX): its name
            is no recursive use there.
    """

    def __init__(
        self,
        unit: Unit,
        names: Names,
        candidates: frozenset[str],
        findings: Findings,
        part: tuple[int, int],
        *,
        describing: bool = False,
    ) -> None:
        super().__init__(unit.folded, candidates, part)
        self.unit = unit
        self.names = names
        self.findings = findings
        self.describing = describing

    # ---- tokens --------------------------------------------------------------------------------

    def is_name(self, i: int) -> bool:
        """Return whether token ``i`` is a name: no keyword, variable or literal."""
        token = self.tok(i)
        return token != "" and token not in RESERVED and identifier(token) != ""

    def start(self, i: int) -> int:
        """Return where the name at ``i`` is written: ``.v`` and ``..v`` leave out what is in front."""
        while self.tok(i) == ".":
            i += 1
        return i

    def chain(self, i: int, hi: int) -> Chain:
        """Return the chain of names that starts at ``i``."""
        toks = self.toks
        parts = [i]
        i += 1
        while i + 1 < hi and toks[i] == ".":
            following = toks[i + 1]
            if following == "*":
                return Chain(tuple(parts), i + 2, True)
            if following == ".":
                parts.append(-1)
                i += 1
            elif identifier(following):
                parts.append(i + 1)
                i += 2
            else:
                break
        return Chain(tuple(parts), i, False)

    # ---- decisions -----------------------------------------------------------------------------

    def relation(self, chain: Chain, scope: Scope | None) -> Name | None:
        """Decide on a name in the place of a table; return the object if it is managed."""
        if len(chain.parts) == 1 and scope is not None and scope.is_cte(self.toks[chain.parts[0]]):
            return None
        return self.decide(chain, RELATIONS)

    def call(self, chain: Chain) -> Name | None:
        """Decide on ``schema.fn(``; a function without schema is always the server's own."""
        if len(chain.parts) == 1:
            return None
        return self.decide(chain, CALLED)

    def decide(self, chain: Chain, kinds: frozenset[Kind]) -> Name | None:
        """Mark the last part of ``chain`` if it stands for an object of ``kinds``.

        Returns:
            the object, or None; also None for a fixed version.
        """
        parts = chain.parts
        leaf_at = parts[-1]
        if leaf_at not in self.at_set:
            return None
        leaf = identifier(self.toks[leaf_at])
        if len(parts) > 3 or (len(parts) == 3 and not self._is_ours(parts[0])):
            self.crossing(chain, kinds)
            return None
        schema = self._part(parts[-2]) if len(parts) > 1 else None
        names = self.names.on(type_path(self.names)) if kinds == TYPES else self.names
        found = names.find(schema, leaf, kinds)
        if found is None:
            if schema is None:
                self._off_path(leaf_at, leaf, kinds, names.path)
            return None
        return self.mark(leaf_at, found)

    def mark(self, at: int, found: Found) -> Name | None:
        """Mark token ``at`` as a use of what was found."""
        return self.findings.use(self.unit, at, found, describing=self.describing)

    def exposed(self, chain: Chain, scope: Scope) -> bool:
        """Decide on the qualifiers in ``chain`` by the items of ``scope``; say if that was it."""
        toks, parts = self.toks, chain.parts
        at = 2 if len(parts) + chain.star > 3 and self._is_ours(parts[0]) else 1
        if len(parts) + chain.star > at + 1 and parts[at] in self.at_set:
            found = self.names.find(self._part(parts[at - 1]), self._part(parts[at]), RELATIONS)
            if found and found.version is None and found.name in scope.names.values():
                self.mark(parts[at], found)
                return True
        first = toks[parts[0]]
        if first not in scope.names:
            return False
        name = scope.names[first]
        if name is not None:
            self.mark(parts[0], Found(name, None))
        return True

    def _part(self, i: int) -> str:
        """Return the identifier of one part of a chain, ``""`` for an empty one."""
        return identifier(self.toks[i]) if i >= 0 else ""

    def _is_ours(self, i: int) -> bool:
        """Return whether the part at token ``i`` is a name of our own database."""
        return self._part(i) in self.names.index.databases

    def crossing(self, chain: Chain, kinds: frozenset[Kind], what: str = "a database") -> None:
        """Note a name with another database or a server in front; ``what`` says where it is looked up."""
        *_, schema, leaf = ("", *map(self._part, chain.parts))
        found = self.names.find(schema or None, leaf, kinds)
        if found is not None:
            first, last = chain.parts[0], chain.parts[-1]
            written = "".join(self.unit.written[first : last + 1])
            self.findings.note(
                self.unit,
                first,
                "database-name",
                f"{written} names {what}: it is left as it is",
                f"write {quote(found.name)}, if this database is meant, or add its name to databases in"
                " procver.toml",
                found.name,
            )

    def _off_path(self, at: int, leaf: str, kinds: frozenset[Kind], path: Sequence[str]) -> None:
        """Note a name without schema that is managed only in schemas where it is not looked up."""
        elsewhere = self.names.elsewhere(leaf, kinds)
        if not elsewhere:
            return
        self.findings.note(
            self.unit,
            at,
            "off-path",
            f"{self.unit.written[at]} is left as it is: {label(elsewhere[0])} is managed, but a name"
            f" without schema is looked up in {', '.join(path)}",
            "write " + " or ".join(quote(name) for name in elsewhere[:3]) + " if that is meant",
            elsewhere[0],
        )

    def bare_call(self, at: int, hi: int) -> None:
        """Note a call of a managed function without its schema, which only Babelfish takes for one."""
        end = self.close(at + 1, hi)
        is_cte = self.tok(end + 1) == "as" and self.tok(end + 2) == "("
        leaf = identifier(self.toks[at])
        if at in self.unit.marks or is_cte or leaf in BUILT_IN:
            return
        found = self.names.find(None, leaf, CALLED)
        if found is not None and found.version is None:
            self.findings.note(
                self.unit,
                at,
                "bare-call",
                f"{self.unit.written[at]}() without a schema is left as it is: SQL Server takes it for"
                " a function of its own",
                f"write {quote(found.name)}, if that is meant",
                found.name,
            )

    def left(self, chain: Chain, rule: str, message: str, hint: str) -> None:
        """Note that a managed name is left as it is; ``{}`` in the texts stands for it."""
        leaf_at = chain.parts[-1]
        if leaf_at not in self.at_set or len(chain.parts) > 2:
            return
        schema = identifier(self.toks[chain.parts[0]]) if len(chain.parts) == 2 else None
        found = self.names.find(schema, identifier(self.toks[leaf_at]), ANY)
        if found is not None:
            name = label(found.name)
            self.findings.note(
                self.unit, leaf_at, rule, message.format(name), hint.format(name, name), found.name
            )
