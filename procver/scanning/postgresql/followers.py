"""What follows a definition and belongs to it: GRANT, COMMENT, ALTER, indexes, triggers."""

from __future__ import annotations

from procver.objects import Name
from procver.scanning.marks import Findings, Mark, Role
from procver.scanning.names import Names
from procver.scanning.postgresql.lexer import identifier
from procver.scanning.postgresql.names import label
from procver.scanning.postgresql.plpgsql import Plpgsql
from procver.scanning.postgresql.refusals import refused
from procver.scanning.postgresql.statements import Target
from procver.scanning.postgresql.unit import Unit
from procver.scanning.scopes import Scope
from procver.scanning.tokens import positions

_ABOUT = frozenset({"grant", "revoke", "comment", "security"})
_PLAIN = frozenset({"on", "function", "procedure", "routine", "view", "table"})
_RELATION = frozenset({"refresh", "cluster", "analyze"})


class Follower:
    """Reads the statements after the definition, each of which is about the object.

    Args:
        unit: the file.
        names: what a name stands for at creation.
        candidates: tokens that may name something managed.
        findings: where notes go.
    """

    def __init__(
        self, unit: Unit, names: Names, candidates: frozenset[str], findings: Findings
    ) -> None:
        self.unit = unit
        self.names = names
        self.candidates = candidates
        self.findings = findings
        self.indexes: set[str] = set()

    def read(self, lo: int, hi: int) -> None:
        """Read the statement at tokens [lo, hi).

        Raises:
            SourceError: it is about something else, or not allowed in a source.
        """
        if self._is_plain(lo, hi):
            return
        walker = Plpgsql(self.unit, self.names, self.candidates, self.findings, part=(lo, hi))
        walker.describing = True
        scope = Scope(None)
        toks = self.unit.folded
        word = toks[lo]
        if word in _ABOUT:
            if not self._about_index(walker, lo, hi):
                targets = walker.targets(lo, hi)
                if not targets:
                    raise refused(self.unit, lo, hi)
                for target in targets:
                    self._own(walker, target, lo, hi, scope)
        elif word == "alter":
            self._alter(walker, lo, hi, scope)
        elif word == "create":
            self._create(walker, lo, hi, scope)
        elif word in _RELATION:
            walker.statement(lo, hi, scope)
            self._check(lo, hi, self._marked(lo, hi))
            if word == "cluster":
                self._mark_index(walker.seek(lo, hi, ("using",)) + 1, hi)
        else:
            raise refused(self.unit, lo, hi)

    def _is_plain(self, lo: int, hi: int) -> bool:
        """Mark ``GRANT ... ON [FUNCTION] app.own``, the most common case, at once."""
        toks = self.unit.folded
        at = positions(toks, self.candidates, lo, hi)
        if len(at) != 1 or toks[lo] not in _ABOUT:
            return False
        i, own = at[0], self.names.own
        if toks[i - 1] != "." or toks[i - 3] not in _PLAIN or i + 1 >= hi:
            return False
        schema, leaf = identifier(toks[i - 2]), identifier(toks[i])
        noun = toks[i - 3]
        is_fitting = noun == "on" or (noun in ("view", "table")) != own.kind.is_routine
        if (schema, leaf) != own.name or not is_fitting or toks[i + 1] not in ("(", "to", "is"):
            return False
        if noun == "on" and (own.kind.is_routine or toks[lo] not in ("grant", "revoke")):
            return False
        self.unit.marks[i] = Mark(Role.OWN, own.name)
        return True

    def _own(self, walker: Plpgsql, target: Target, lo: int, hi: int, scope: Scope) -> None:
        # The file is about one object, so its name counts whatever the search path is.
        parts = [identifier(self.unit.folded[part]) for part in target.chain.parts]
        name = walker.take(target, scope)
        if name is None and parts[-1:] == [self.names.own.name.leaf] and len(parts) == 1:
            self.unit.marks[target.chain.parts[-1]] = Mark(Role.OWN, self.names.own.name)
            name = self.names.own.name
        self._check(lo, hi, name)

    def _marked(self, lo: int, hi: int) -> Name | None:
        for i in range(lo, hi):
            if i in self.unit.marks:
                return self.unit.marks[i].name
        return None

    def _check(self, lo: int, hi: int, name: Name | None) -> None:
        own = self.names.own
        if name == own.name:
            return
        error = refused(self.unit, lo, hi)
        if name is not None:
            error.message = (
                f"{self.unit.written[lo].upper()} on {label(name)} in the file of {label(own.name)}"
            )
            error.hint = f"write it in the file that defines {label(name)}"
        raise error

    # ---- ALTER -----------------------------------------------------------------------------

    def _alter(self, walker: Plpgsql, lo: int, hi: int, scope: Scope) -> None:
        toks = self.unit.folded
        if toks[lo + 1 : lo + 2] == ["index"] and self._about_index(walker, lo, hi):
            return
        target = walker.altered(lo, hi)
        if target is None:
            raise refused(self.unit, lo, hi)
        self._own(walker, target, lo, hi, scope)
        rest = toks[target.end : hi]
        renames = rest[:2] == ["rename", "to"] or rest[:2] == ["set", "schema"]
        if renames:
            raise self.unit.error(
                lo,
                f"ALTER ... {' '.join(rest[:2]).upper()} would take the version out of procver's"
                " hands",
                "write the final name in CREATE",
            )
        if rest[:2] == ["cluster", "on"]:
            self._mark_index(target.end + 2, hi)
        else:
            walker.alteration(target.end, hi, scope)

    # ---- CREATE INDEX, TRIGGER, RULE ---------------------------------------------------------

    def _create(self, walker: Plpgsql, lo: int, hi: int, scope: Scope) -> None:
        toks = self.unit.folded
        i = lo + 1
        if toks[i : i + 2] == ["or", "replace"]:
            self._drop(i, i + 1)
            i += 2
        i += toks[i : i + 1] in (["unique"], ["constraint"])
        noun = toks[i] if i < hi else ""
        if noun == "trigger":
            self._check(lo, hi, walker.trigger(lo, hi, scope))
        elif noun == "rule":
            self._check(lo, hi, walker.rule(lo, hi, scope))
        elif noun == "index":
            self._index(walker, lo, i + 1, hi, scope)
        else:
            raise refused(self.unit, lo, hi)

    def _drop(self, *at: int) -> None:
        for token in at:
            self.unit.marks[token] = Mark(Role.DROPPED, self.names.own.name)

    def _index(self, walker: Plpgsql, lo: int, i: int, hi: int, scope: Scope) -> None:
        toks = self.unit.folded
        if toks[i] == "concurrently":
            raise self.unit.error(
                i,
                "CREATE INDEX CONCURRENTLY cannot run in a transaction",
                "drop CONCURRENTLY: nobody reads a version before its release is out",
            )
        if toks[i : i + 3] == ["if", "not", "exists"]:
            self._drop(i, i + 1, i + 2)
            i += 3
        self._check(lo, hi, walker.index(i, hi, scope))
        if toks[i] != "on":
            self.indexes.add(toks[i])
            self.unit.marks[i] = Mark(Role.INDEX, self.names.own.name)

    def _about_index(self, walker: Plpgsql, lo: int, hi: int) -> bool:
        """Mark the index that ALTER INDEX or COMMENT ON INDEX is about."""
        toks = self.unit.folded
        i = lo + 1 if toks[lo] == "alter" else walker.seek(lo, hi, ("on",)) + 1
        if toks[i : i + 1] != ["index"]:
            return False
        i += 1
        if toks[i : i + 2] == ["if", "exists"]:
            i += 2
        return self._mark_index(i, hi)

    def _mark_index(self, i: int, hi: int) -> bool:
        toks = self.unit.folded
        if i + 2 < hi and toks[i + 1] == ".":
            i += 2
        if i >= hi or toks[i] not in self.indexes:
            return False
        self.unit.marks[i] = Mark(Role.INDEX, self.names.own.name)
        return True
