"""Managed names in every place where PostgreSQL's grammar takes one, against its own parser."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pglast import ast

from procver.objects import Name
from tests.scanning.oracle import Renamer, tree
from tests.scanning.shop import KINDS, PATH, statements
from tests.scanning.templates import DEFINITIONS, ONLY_SQL, OTHERS, PLPGSQL, QUERIES
from tests.scanning.test_oracle import _compare_plpgsql

NEUTRAL = {"e": "1", "t": "int", "s": "int", "r": "tt", "f": "hh", "q": "select 1", "n": "nn"}
MANAGED = {
    "e": ["fn(1)", "app.fn(b, g(2))", "(select v.a from v)", "(x::app.w[])", "(cast(y as v))"],
    "t": ["v", "app.v", "app.w[]"],
    "s": ["v", "app.v"],
    "r": ["v", "app.w"],
    "f": ["fn", "app.g"],
    "q": ["select fn(1), v.a from v", "values (app.fn(2), (select 1 from app.w))"],
    "n": ["v", "fn"],
}
_SLOT = re.compile(r"\{([etsrfqn])\}")


def physical(name: Name) -> str:
    return f"{name.leaf}_2"


def filled(template: str, most: int = 9) -> Iterator[str]:
    """Yield ``template`` with one slot after the other filled with something managed.

    Args:
        template: the statement with its slots.
        most: how many fillings of each slot at most.
    """
    slots = _SLOT.findall(template)
    neutral = [NEUTRAL[slot] for slot in slots]
    pieces = _SLOT.split(template)[::2]
    for at, slot in enumerate(slots):
        for text in MANAGED[slot][:most]:
            fillings = [*neutral[:at], text, *neutral[at + 1 :], ""]
            yield "".join(f"{piece}{f}" for piece, f in zip(pieces, fillings, strict=True))


def expected(statement: str) -> Any:
    return Renamer(KINDS, PATH, physical).rename(tree(statement)[0])


def sent(body: str, language: str) -> str:
    """Return ``body`` as it comes out of a procedure."""
    lead = f"create procedure app.x_3() language {language} as $b$"
    (statement,) = statements(lead.replace("x_3", "x") + body + "$b$")
    assert statement.text.startswith(lead)
    return statement.text.removeprefix(lead).removesuffix("$b$")


@pytest.mark.parametrize("template", [*QUERIES, *DEFINITIONS, *OTHERS, *ONLY_SQL])
def test_sql(template: str) -> None:
    for statement in filled(template, 3):
        assert tree(sent(statement, "sql")) == [expected(statement)], statement


@pytest.mark.parametrize("template", [*QUERIES, *DEFINITIONS, *OTHERS])
def test_statements_in_plpgsql(template: str) -> None:
    for statement in filled(template, 1):
        body = sent(f"begin {statement}; end", "plpgsql")
        text = body.removeprefix("begin ").removesuffix("; end")
        assert tree(text) == [expected(statement)], statement


@pytest.mark.parametrize("template", PLPGSQL)
def test_plpgsql(template: str) -> None:
    variables = "declare n int; r record; a int[]; i int; d refcursor; "
    for body in filled(template):
        if re.search(r"[a-d] (constant )?app\.|k app\.|l app\.", body):
            continue  # pglast looks up qualified types of variables, and has no schemas
        block = body if body.startswith("declare") else variables + body
        of = "setof " if "return query" in body else ""
        lead = f"create function app.x() returns {of}int language plpgsql as $b$ "
        (statement,) = statements(f"{lead}{block} $b$")
        _compare_plpgsql(f"{lead}{block} $b$", statement.text, Renamer(KINDS, PATH, physical))


# ---- every field of the parser's trees -----------------------------------------------------------


def _fields(text: str) -> set[str]:
    return set(text.split())


# Made by parse analysis, not by the grammar.
ANALYSED = _fields(
    """
    Aggref AlternativeSubPlan ArrayCoerceExpr ArrayExpr CoerceToDomain CoerceViaIO CollateExpr
    ConvertRowtypeExpr FieldSelect FieldStore FromExpr FuncExpr InferenceElem JsonConstructorExpr
    JsonExpr MergeAction OnConflictExpr OpExpr Query RTEPermissionInfo RangeTblEntry
    PartitionRangeDatum RangeTblFunction RawStmt RelabelType ReturningExpr RowCompareExpr ScalarArrayOpExpr
    SetOperationStmt SubPlan SubscriptingRef TableFunc TableSampleClause TargetEntry Var
    WindowClause WindowFunc WindowFuncRunCondition WithCheckOption
    """
)

# Statements of no transaction, or about roles, databases and what is in other schemas of names.
OTHER_OBJECTS = _fields(
    """
    AlterCollationStmt AlterDatabaseSetStmt AlterDatabaseStmt AlterExtensionStmt AlterRoleSetStmt
    AlterRoleStmt AlterSubscriptionStmt AlterSystemStmt AlterTSDictionaryStmt
    AlterTableMoveAllStmt AlterTableSpaceOptionsStmt AlterUserMappingStmt CreateOpFamilyStmt
    CreateSubscriptionStmt CreateTableSpaceStmt CreatedbStmt DropOwnedStmt DropRoleStmt
    DropUserMappingStmt DropdbStmt GrantRoleStmt ReassignOwnedStmt
    """
)

# Names of other things, constants, and what the statement itself defines, alters or drops.
NO_REFERENCE = _fields(
    """
    A_Expr.name AccessPriv.cols Alias.colnames AlterDefaultPrivilegesStmt.action
    AlterDefaultPrivilegesStmt.options AlterDomainStmt.typeName AlterEnumStmt.typeName
    AlterFdwStmt.options AlterForeignServerStmt.options AlterObjectDependsStmt.extname
    AlterObjectDependsStmt.relation AlterObjectSchemaStmt.object AlterObjectSchemaStmt.relation
    AlterOpFamilyStmt.opfamilyname AlterOwnerStmt.newowner AlterOwnerStmt.relation
    AlterPolicyStmt.roles AlterPolicyStmt.table AlterPublicationStmt.options AlterSeqStmt.sequence
    AlterStatsStmt.defnames AlterStatsStmt.stxstattarget AlterTSConfigurationStmt.cfgname
    AlterTSConfigurationStmt.dicts AlterTSConfigurationStmt.tokentype AlterTableCmd.newowner
    AlterTableStmt.relation AlterTypeStmt.typeName CTECycleClause.cycle_col_list
    CTESearchClause.search_col_list CallStmt.funcexpr CallStmt.outargs ClusterStmt.params
    CollateClause.collname ColumnDef.collClause ColumnDef.cooked_default ColumnDef.fdwoptions
    ColumnDef.identitySequence CommonTableExpr.aliascolnames CommonTableExpr.ctecolcollations
    CommonTableExpr.ctecolnames CommonTableExpr.ctecoltypes CommonTableExpr.ctecoltypmods
    CommonTableExpr.search_clause CompositeTypeStmt.typevar Constraint.fk_attrs
    Constraint.fk_del_set_cols Constraint.including Constraint.keys Constraint.old_conpfeqop
    Constraint.options Constraint.pk_attrs Constraint.pktable ConstraintsSetStmt.constraints
    CopyStmt.attlist CopyStmt.options CreateConversionStmt.conversion_name
    CreateDomainStmt.collClause CreateDomainStmt.domainname CreateEnumStmt.typeName
    CreateEnumStmt.vals CreateEventTrigStmt.funcname CreateEventTrigStmt.whenclause
    CreateExtensionStmt.options CreateFdwStmt.options CreateForeignServerStmt.options
    CreateForeignTableStmt.options CreateFunctionStmt.funcname CreateOpClassItem.order_family
    CreateOpClassStmt.opclassname CreateOpClassStmt.opfamilyname CreatePolicyStmt.roles
    CreatePublicationStmt.options CreateRangeStmt.typeName CreateRoleStmt.options
    CreateSchemaStmt.authrole CreateSeqStmt.sequence CreateStatsStmt.defnames
    CreateStatsStmt.stat_types CreateStmt.constraints CreateStmt.inhRelations
    CreateStmt.nnconstraints CreateStmt.options CreateStmt.relation CreateTableAsStmt.into
    CreateTrigStmt.args CreateTrigStmt.columns CreateTrigStmt.constrrel CreateTrigStmt.funcname
    CreateTrigStmt.transitionRels CreateUserMappingStmt.options CreateUserMappingStmt.user
    DefineStmt.defnames DoStmt.args ExplainStmt.options GrantStmt.grantees GrantStmt.grantor
    GrantStmt.privileges GroupingFunc.refs ImportForeignSchemaStmt.options
    ImportForeignSchemaStmt.table_list IndexElem.collation IndexElem.opclass IndexElem.opclassopts
    IndexStmt.excludeOpNames IndexStmt.indexIncludingParams IndexStmt.options IntoClause.colNames
    IntoClause.options IntoClause.rel IntoClause.viewQuery JoinExpr.alias
    JoinExpr.join_using_alias JoinExpr.usingClause JsonArrayQueryConstructor.format
    JsonIsPredicate.format JsonOutput.returning JsonParseExpr.output JsonReturning.format
    JsonScalarExpr.output JsonTable.alias JsonTable.pathspec JsonTableColumn.format
    JsonTableColumn.pathspec JsonTablePathSpec.string JsonValueExpr.format
    JsonValueExpr.formatted_expr PartitionCmd.name PartitionElem.collation PartitionElem.opclass
    PublicationTable.columns RangeFunction.alias RangeSubselect.alias RangeTableFunc.alias
    RangeVar.alias ReindexStmt.params RenameStmt.object RenameStmt.relation
    ReturningClause.options RowExpr.colnames SelectStmt.intoClause SortBy.useOp SubLink.operName
    TransactionStmt.options TypeName.arrayBounds TypeName.typmods VacuumRelation.va_cols
    VacuumStmt.options VariableSetStmt.args ViewStmt.aliases ViewStmt.options ViewStmt.view
    XmlExpr.arg_names
    """
)

# Read by PL/pgSQL only.
IN_PLPGSQL = {"PLAssignStmt.indirection", "PLAssignStmt.val"}


def _changed(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the fields on the way to each name that is another one in ``after``."""
    if isinstance(before, dict):
        for key in before.keys() & after.keys():
            yield from _changed(before[key], after[key], (*path, f"{before.get('@')}.{key}"))
    elif isinstance(before, (list, tuple)):
        for one, other in zip(before, after, strict=True):
            yield from _changed(one, other, path)
    elif before != after:
        yield from path


def _node_fields() -> Iterator[str]:
    """Yield the fields of the parser's nodes that hold nodes."""
    for name, found in inspect.getmembers(ast, inspect.isclass):
        slots = getattr(found, "__slots__", None)
        if isinstance(slots, dict) and name not in ANALYSED | OTHER_OBJECTS:
            for field, kind in slots.items():
                c_type = str(getattr(kind, "c_type", kind))
                if c_type.endswith("*") and c_type not in ("char*", "Bitmapset*"):
                    yield f"{name}.{field}"


def test_the_templates_reach_every_field_that_can_hold_a_reference() -> None:
    """A new release of PostgreSQL's parser with a field that is not known here fails this test."""
    reached = {
        field
        for template in (*QUERIES, *DEFINITIONS, *OTHERS, *ONLY_SQL)
        for statement in filled(template, 1)
        for field in _changed(tree(statement)[0], expected(statement), ())
    }
    fields = set(_node_fields())
    assert len(fields) > 300
    assert fields - reached == NO_REFERENCE | IN_PLPGSQL
