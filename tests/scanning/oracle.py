"""A second opinion on references: the same renaming, done on PostgreSQL's own parse trees.

`renamed` takes the tree of one statement (as pglast's nested dicts) and puts the physical names
where the server's rules say that a managed object is meant. A text that the scanner rewrote must
parse into exactly that tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pglast.parser import parse_sql

from procver.objects import Kind, Name
from procver.scanning.postgresql.keywords import COL_NAME

Tree = Any
_NO_MEANING = (
    "stmt_len",
    "list_start",
    "list_end",
    "rexpr_list_start",
    "rexpr_list_end",
)
TYPE_PARAMETERS = "basetype element leftarg like mstype rightarg stype subtype"
ROUTINE_PARAMETERS = """
    analyze canonical combinefunc deserialfunc end finalfunc function gettoken headline init input
    join lexize lextypes mfinalfunc minvfunc msfunc output procedure receive restrict send
    serialfunc sfunc start subscript subtype_diff typmod_in typmod_out
"""
_ROWS = {
    "row_to_json",
    "to_json",
    "to_jsonb",
    "json_agg",
    "jsonb_agg",
    "array_agg",
    "count",
    "hstore",
}


def tree(text: str) -> list[Tree]:
    """Return the statements of ``text`` without their locations."""
    return [_bare(raw.stmt(skip_none=True)) for raw in parse_sql(text)]


def _bare(node: Tree) -> Tree:
    if isinstance(node, dict):
        return {
            key: _bare(value)
            for key, value in node.items()
            if key not in _NO_MEANING and not key.endswith("location")
        }
    if isinstance(node, (list, tuple)):
        return [_bare(item) for item in node]
    return node


class Scope:
    def __init__(self, parent: Scope | None, ctes: set[str] | None = None) -> None:
        self.parent = parent
        self.names: dict[str, Name | None] = {}
        self.ctes = ctes or set()

    def find(self, name: str) -> tuple[bool, Name | None]:
        scope: Scope | None = self
        while scope:
            if name in scope.names:
                return True, scope.names[name]
            scope = scope.parent
        return False, None

    def reads(self, name: Name) -> bool:
        scope: Scope | None = self
        while scope:
            if name in scope.names.values():
                return True
            scope = scope.parent
        return False

    def is_cte(self, name: str) -> bool:
        scope: Scope | None = self
        while scope:
            if name in scope.ctes:
                return True
            scope = scope.parent
        return False


class Renamer:
    """Puts physical names into a tree.

    Args:
        kinds: the managed objects.
        path: the search path.
        physical: the leaf of the version of a managed object.
    """

    def __init__(
        self, kinds: dict[Name, Kind], path: tuple[str, ...], physical: Callable[[Name], str]
    ) -> None:
        self.kinds = kinds
        self.path = path
        self.physical = physical
        self.count = 0
        self.own: Name | None = None
        self.parameters: frozenset[str] = frozenset()

    def _find(self, parts: list[str], *, routine: bool) -> Name | None:
        if len(parts) > 2 or (routine and len(parts) == 1 and parts[0] in COL_NAME):
            return None
        for schema in self.path if len(parts) == 1 else parts[:1]:
            name = Name(schema, parts[-1])
            kind = self.kinds.get(name)
            if kind is not None and kind.is_routine == routine:
                return name
        return None

    def leaf(self, name: Name) -> str:
        self.count += 1
        return self.physical(name)

    # ---- tree walk

    def visit(self, node: Tree, scope: Scope) -> None:
        if isinstance(node, list):
            for item in node:
                self.visit(item, scope)
            return
        if not isinstance(node, dict):
            return
        kind = node.get("@")
        method = getattr(self, f"visit_{kind}", None)
        if method is not None:
            method(node, scope)
        else:
            self.children(node, scope)

    def children(self, node: Tree, scope: Scope, skip: tuple[str, ...] = ()) -> None:
        for key, value in node.items():
            if key not in skip and isinstance(value, (dict, list)):
                self.visit(value, scope)

    def with_clause(self, node: Tree, scope: Scope) -> Scope:
        clause = node.get("withClause")
        inner = Scope(scope)
        if clause:
            names = [cte["ctename"] for cte in clause["ctes"]]
            if clause.get("recursive"):
                inner.ctes |= set(names)
            for cte in clause["ctes"]:
                self.visit(cte["ctequery"], inner)
                inner.ctes.add(cte["ctename"])
                self.visit(cte.get("cycle_clause"), Scope(None))
        return inner

    def visit_SelectStmt(self, node: Tree, outer: Scope, named: bool = True) -> None:
        around = self.with_clause(node, outer)
        if node["op"]["name"] != "SETOP_NONE":
            self.visit_select(node["larg"], around, named)
            self.visit_select(node["rarg"], around, named)
            self.children(node, Scope(around), ("larg", "rarg", "withClause"))
            return
        scope = Scope(around)
        for item in node.get("fromClause", ()):
            self.expose(item, scope)
        for item in node.get("fromClause", ()):
            self.from_item(item, scope)
        self.targets(node.get("targetList", ()), scope, named)
        self.children(node, scope, ("fromClause", "targetList", "withClause", "intoClause"))

    def visit_select(self, node: Tree, scope: Scope, named: bool) -> None:
        self.visit_SelectStmt(node, scope, named)

    def targets(self, items: Any, scope: Scope, named: bool = True) -> None:
        for item in items:
            figured = None if item.get("name") else self.figure(item["val"])
            before = self.count
            if figured and named and self._find(figured, routine=True):
                item["name"] = figured[-1]
            self.visit(item["val"], scope)
            assert self.count >= before

    def figure(self, node: Tree) -> list[str] | None:
        """The server's FigureColname, where it finds a function."""
        kind = node.get("@")
        if kind == "FuncCall":
            return [part["sval"] for part in node["funcname"]]
        if kind in ("TypeCast", "CollateClause"):
            return self.figure(node["arg"])
        if kind == "A_Indirection":
            if any(
                part.get("@") == "String" or part.get("@") == "A_Star"
                for part in node["indirection"]
            ):
                return None
            return self.figure(node["arg"])
        if kind == "CaseExpr" and node.get("defresult"):
            return self.figure(node["defresult"])
        return None

    # ---- FROM

    def expose(self, item: Tree, scope: Scope) -> None:
        kind = item["@"]
        alias = item.get("alias", {}).get("aliasname")
        if kind == "JoinExpr":
            self.expose(item["larg"], scope)
            self.expose(item["rarg"], scope)
        elif kind == "RangeTableSample":
            self.expose(item["relation"], scope)
        elif kind == "RangeVar":
            scope.names[alias or item["relname"]] = None if alias else self.relation(item, scope)
        elif kind == "RangeFunction":
            first = item["functions"][0][0]
            figured = alias or (self.function_name(first) or [""])[-1]
            scope.names[figured] = None
        if alias:
            scope.names[alias] = None

    def function_name(self, node: Tree) -> list[str] | None:
        return [part["sval"] for part in node["funcname"]] if node["@"] == "FuncCall" else None

    def relation(self, item: Tree, scope: Scope | None) -> Name | None:
        if item.get("catalogname"):
            return None
        schema = item.get("schemaname")
        if schema is None and scope is not None and scope.is_cte(item["relname"]):
            return None
        parts = [item["relname"]] if schema is None else [schema, item["relname"]]
        return self._find(parts, routine=False)

    def from_item(self, item: Tree, scope: Scope) -> None:
        kind = item["@"]
        if kind == "RangeVar":
            name = self.relation(item, scope)
            if name:
                item["relname"] = self.leaf(name)
        elif kind == "JoinExpr":
            self.from_item(item["larg"], scope)
            self.from_item(item["rarg"], scope)
            self.visit(item.get("quals"), scope)
        elif kind == "RangeFunction":
            function = item["functions"][0][0]
            parts = self.function_name(function)
            name = parts and self._find(parts, routine=True)
            if name and not item.get("is_rowsfrom") and "alias" not in item:
                item["alias"] = {"@": "Alias", "aliasname": name.leaf}
            self.children(item, scope)
        elif kind == "RangeSubselect":
            around = scope
            if not item.get("lateral"):
                around = Scope(scope.parent, scope.ctes)
            self.visit(item["subquery"], around)
        elif kind == "RangeTableSample":
            self.from_item(item["relation"], scope)
            self.routine_or_relation(item["method"])
            self.children(item, scope, ("relation", "method"))
        else:
            self.children(item, scope)

    # ---- data changes

    def changed(self, node: Tree, scope: Scope) -> None:
        relation = node["relation"]
        name = self.relation(relation, None)
        alias = relation.get("alias", {}).get("aliasname")
        scope.names[alias or relation["relname"]] = None if alias else name
        if name:
            relation["relname"] = self.leaf(name)

    def visit_InsertStmt(self, node: Tree, outer: Scope) -> None:
        around = self.with_clause(node, outer)
        scope = Scope(around)
        self.changed(node, scope)
        for column in node.get("cols", ()):
            self.children(column, scope)
        if node.get("selectStmt"):
            self.visit(node["selectStmt"], around)
        self.visit(node.get("onConflictClause"), scope)
        self.returning(node, scope)

    def returning(self, node: Tree, scope: Scope) -> None:
        clause = node.get("returningClause") or {}
        for option in clause.get("options", ()):
            scope.names[option["value"]] = None
        self.targets(node.get("returningList", clause.get("exprs", ())), scope)

    def visit_UpdateStmt(self, node: Tree, outer: Scope) -> None:
        self.change_from(node, outer, "fromClause")

    def visit_DeleteStmt(self, node: Tree, outer: Scope) -> None:
        self.change_from(node, outer, "usingClause")

    def change_from(self, node: Tree, outer: Scope, clause: str) -> None:
        scope = Scope(self.with_clause(node, outer))
        self.changed(node, scope)
        for item in node.get(clause, ()):
            self.expose(item, scope)
        for item in node.get(clause, ()):
            self.from_item(item, scope)
        for item in node.get("targetList", ()):
            self.children(item, scope)
        self.visit(node.get("whereClause"), scope)
        self.returning(node, scope)

    def visit_MergeStmt(self, node: Tree, outer: Scope) -> None:
        scope = Scope(self.with_clause(node, outer))
        self.changed(node, scope)
        self.expose(node["sourceRelation"], scope)
        self.from_item(node["sourceRelation"], scope)
        self.visit(node["joinCondition"], scope)
        for clause in node.get("mergeWhenClauses", ()):
            self.visit(clause, scope)
        self.returning(node, scope)

    # ---- expressions

    # ---- definitions

    def visit_CreateStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("relation", "inhRelations"))

    def visit_Constraint(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("pktable",))

    def visit_AlterTableStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("relation",))

    def visit_AlterTableCmd(self, node: Tree, scope: Scope) -> None:
        inherits = node["subtype"]["name"] in ("AT_AddInherit", "AT_DropInherit")
        if not inherits:
            self.children(node, scope)

    def visit_PartitionCmd(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("name",))

    def visit_CompositeTypeStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("typevar",))

    def visit_ImportForeignSchemaStmt(self, node: Tree, scope: Scope) -> None:
        """Leave the names that it lists: they are of another database."""

    def visit_ConstraintsSetStmt(self, node: Tree, scope: Scope) -> None:
        """A constraint is nothing that is managed."""

    def visit_RenameStmt(self, node: Tree, scope: Scope) -> None:
        """Leave the renamed object: it is not a version."""

    visit_AlterObjectSchemaStmt = visit_RenameStmt

    def visit_AlterOwnerStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("relation",))

    def visit_CreateSeqStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("sequence",))

    visit_AlterSeqStmt = visit_CreateSeqStmt

    def visit_CreateTrigStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("constrrel",))

    def visit_AlterPolicyStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("table",))

    def visit_ReindexStmt(self, node: Tree, scope: Scope) -> None:
        if node["kind"]["name"] == "REINDEX_OBJECT_TABLE":
            self.children(node, scope)

    def visit_ExecuteStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope)

    def visit_CreateTableAsStmt(self, node: Tree, scope: Scope) -> None:
        self.visit(node["query"], scope)

    def visit_IntoClause(self, node: Tree, scope: Scope) -> None:
        """What is created is no version."""

    def visit_DropStmt(self, node: Tree, scope: Scope) -> None:
        """Leave the dropped object: it is not a version. Look up the types in its signature."""
        kind = node["removeType"]["name"]
        if kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
            return
        self.children(node, scope)

    def visit_ViewStmt(self, node: Tree, scope: Scope) -> None:
        self.visit(node["query"], scope)

    def visit_CommentStmt(self, node: Tree, scope: Scope) -> None:
        kind, named = node["objtype"]["name"], node["object"]
        if kind in ("OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_TABLE", "OBJECT_FUNCTION"):
            self.described(named, kind == "OBJECT_FUNCTION")
        elif kind in ("OBJECT_COLUMN", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"):
            self.described(named[:-1], False)
        self.children(node, scope)

    visit_SecLabelStmt = visit_CommentStmt

    def visit_GrantStmt(self, node: Tree, scope: Scope) -> None:
        for item in node.get("objects", ()):
            if item["@"] == "ObjectWithArgs":
                self.described(item, True)
        self.children(node, scope)

    def described(self, named: Any, routine: bool) -> None:
        if isinstance(named, dict):
            named = named["objname"]
        self.routine_or_relation(named, routine)

    def routine_or_relation(self, parts: Any, routine: bool = True) -> None:
        words = [part["sval"] for part in parts]
        name = self._find(words, routine=routine)
        if name:
            parts[-1]["sval"] = self.leaf(name)

    def visit_DefineStmt(self, node: Tree, scope: Scope) -> None:
        for item in node["definition"]:
            self.parameter(item, scope)
        self.children(node, scope, ("definition", "defnames"))

    def parameter(self, item: Tree, scope: Scope) -> None:
        kind, arg = item["defname"].rstrip("1"), item.get("arg")
        if not isinstance(arg, dict) or arg["@"] != "TypeName":
            return
        if kind in TYPE_PARAMETERS.split():
            self.visit(arg, scope)
        elif kind in ROUTINE_PARAMETERS.split():
            self.routine_or_relation(arg["names"])

    def visit_AlterTypeStmt(self, node: Tree, scope: Scope) -> None:
        for item in node["options"]:
            self.parameter(item, scope)

    def visit_AlterOperatorStmt(self, node: Tree, scope: Scope) -> None:
        self.visit(node["opername"], scope)
        for item in node["options"]:
            self.parameter(item, scope)

    def visit_CreateRangeStmt(self, node: Tree, scope: Scope) -> None:
        for item in node["params"]:
            self.parameter(item, scope)

    def function_of(self, node: Tree, scope: Scope) -> None:
        if node.get("func"):
            self.routine_or_relation(node["func"]["objname"])
        self.children(node, scope)

    visit_CreateCastStmt = function_of

    def visit_CreateOpClassItem(self, node: Tree, scope: Scope) -> None:
        if node["itemtype"] == 2 and node.get("name"):
            self.routine_or_relation(node["name"]["objname"])
        order = node.pop("order_family", None)
        self.children(node, scope)
        if order:
            node["order_family"] = order

    def visit_CreateTransformStmt(self, node: Tree, scope: Scope) -> None:
        for key in ("fromsql", "tosql"):
            self.routine_or_relation(node[key]["objname"])
        self.children(node, scope)

    def visit_CreateConversionStmt(self, node: Tree, scope: Scope) -> None:
        self.routine_or_relation(node["func_name"])

    def visit_CreatePLangStmt(self, node: Tree, scope: Scope) -> None:
        for key in ("plhandler", "plinline", "plvalidator"):
            self.routine_or_relation(node[key])

    def visit_CreateAmStmt(self, node: Tree, scope: Scope) -> None:
        self.routine_or_relation(node["handler_name"])

    def visit_CreateFdwStmt(self, node: Tree, scope: Scope) -> None:
        for item in node["func_options"]:
            self.routine_or_relation(item["arg"])

    visit_AlterFdwStmt = visit_CreateFdwStmt

    def visit_CreateFunctionStmt(self, node: Tree, scope: Scope) -> None:
        self.support(node.get("options", ()))
        self.children(node, scope)

    def support(self, options: Any) -> None:
        for item in options:
            if item["defname"] == "support":
                self.routine_or_relation(item["arg"])

    def visit_AlterFunctionStmt(self, node: Tree, scope: Scope) -> None:
        self.support(node["actions"])
        self.visit(node["func"], scope)

    def visit_AlterExtensionContentsStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope)

    def visit_RangeTableSample(self, node: Tree, scope: Scope) -> None:
        self.from_item(node, scope)

    def exposing(self, node: Tree, scope: Scope) -> None:
        """An index, a policy, a table of a publication, COPY: its relation is exposed in it."""
        inside = Scope(scope)
        key = "table" if "table" in node else "relation"
        if node.get(key):
            inside.names[node[key]["relname"]] = self.relation(node[key], None)
        self.children(node, inside)

    visit_IndexStmt = visit_CreatePolicyStmt = visit_PublicationTable = visit_CopyStmt = exposing

    def visit_CreateStatsStmt(self, node: Tree, scope: Scope) -> None:
        self.children(node, scope, ("defnames",))

    def visit_RangeVar(self, node: Tree, scope: Scope) -> None:
        name = self.relation(node, scope)
        if name:
            node["relname"] = self.leaf(name)

    def visit_FuncCall(self, node: Tree, scope: Scope) -> None:
        parts = [part["sval"] for part in node["funcname"]]
        args = node.get("args", [])
        name = self._find(parts, routine=True)
        if name:
            node["funcname"][-1]["sval"] = self.leaf(name)
        alone = len(args) == 1 or (args and parts[-1] == "row_to_json")  # row_to_json(v, true)
        if parts[-1] in _ROWS and alone and len(parts) == 1:
            self.whole_row(args[0], scope)
        self.children(node, scope, ("funcname",))

    def whole_row(self, node: Tree, scope: Scope) -> None:
        if (
            node.get("@") == "ColumnRef"
            and len(node["fields"]) == 1
            and (node["fields"][0]["@"] == "String")
        ):
            _, name = scope.find(node["fields"][0]["sval"])
            if name:
                node["fields"][0]["sval"] = self.leaf(name)

    def visit_A_Indirection(self, node: Tree, scope: Scope) -> None:
        if node["indirection"][0]["@"] in ("String", "A_Star"):
            self.whole_row(node["arg"], scope)
        self.children(node, scope)

    def visit_TypeName(self, node: Tree, scope: Scope) -> None:
        names = node.get("names", [])
        if node.get("pct_type"):
            names = names[:-1]
        name = self._find([part["sval"] for part in names], routine=False) if names else None
        if name:
            names[-1]["sval"] = self.leaf(name)
        self.children(node, scope, ("names",))

    def visit_ColumnRef(self, node: Tree, scope: Scope) -> None:
        fields = node["fields"]
        words = [part.get("sval", "*") for part in fields]
        if len(words) == 2:
            is_exposed, name = scope.find(words[0])
            if name:
                fields[0]["sval"] = self.leaf(name)
            elif (
                not is_exposed
                and self.own
                and words[0] == self.own.leaf
                and (words[1] in self.parameters)
            ):
                fields[0]["sval"] = self.leaf(self.own)
        elif len(words) == 3:
            name = self._find(words[:2], routine=False)
            if name and scope.reads(name):
                fields[1]["sval"] = self.leaf(name)
            elif self.own and words[0] == self.own.leaf and words[1] in self.parameters:
                fields[0]["sval"] = self.leaf(self.own)

    def visit_LockingClause(self, node: Tree, scope: Scope) -> None:
        for relation in node.get("lockedRels", ()):
            _, name = scope.find(relation["relname"])
            if name:
                relation["relname"] = self.leaf(name)

    def rename(self, statement: Tree, *, named: bool = True) -> Tree:
        """Put physical names into ``statement``, in place, and return it."""
        if statement["@"] == "SelectStmt":
            self.visit_SelectStmt(statement, Scope(None), named)
        else:
            self.visit(statement, Scope(None))
        return statement
