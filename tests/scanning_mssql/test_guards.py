"""Conditions, stubs and drops around what belongs to the object: what they guard is never lost."""

from __future__ import annotations

import pytest

from procver.errors import SourceError
from tests.scanning_mssql.shop import analyse, rules, sent

PROC = "CREATE PROCEDURE dbo.x AS SELECT 1"
FUNCTION = "CREATE FUNCTION dbo.x () RETURNS int AS BEGIN RETURN 1 END"
VIEW = "CREATE VIEW dbo.x WITH SCHEMABINDING AS SELECT a FROM dbo.t"
TYPE = "CREATE TYPE dbo.x AS TABLE (a int)"
TRIGGER = (
    "CREATE TRIGGER dbo.x_ins ON dbo.x INSTEAD OF INSERT AS INSERT dbo.t (a) SELECT a FROM inserted"
)
GRANT = "GRANT EXECUTE ON dbo.x TO a"
SENT_GRANT = "GRANT EXECUTE ON dbo.x_3 TO a"
ADD = (
    "EXEC sys.sp_addextendedproperty @name = N'Owner', @value = 'me', @level0type = N'SCHEMA',"
    " @level0name = N'dbo', @level1type = N'PROCEDURE', @level1name = N'x'"
)
UPDATE = ADD.replace("sp_add", "sp_update")
DROP = ADD.replace("sp_add", "sp_drop").replace(" @value = 'me',", "")
SENT_ADD = ADD.replace("N'x'", "N'x_3'")
LISTED = "SELECT * FROM sys.fn_listextendedproperty(N'Owner', N'SCHEMA', N'dbo', N'PROCEDURE', N'x', NULL, NULL)"

EXISTS = [
    "OBJECT_ID('dbo.x') IS NOT NULL",
    "OBJECT_ID(N'[dbo].[X]', 'P') IS NOT NULL",
    "OBJECT_ID('x') IS NOT NULL",
    "object_id ( N'\"dbo\".x' , N'P' ) is not null",
    "(OBJECT_ID('dbo.x')) IS NOT NULL",
    "NOT OBJECT_ID('dbo.x') IS NULL",
    "NOT (OBJECT_ID('dbo.x') IS NULL)",
    "OBJECT_ID('dbo.x') > 0",
    "OBJECT_ID('dbo.x') <> 0",
    "ISNULL(OBJECT_ID('dbo.x'), 0) > 0",
    "0 < OBJECT_ID('dbo.x')",
    "OBJECTPROPERTY(OBJECT_ID('dbo.x'), 'IsProcedure') = 1",
    "EXISTS (SELECT 1 FROM sys.objects WHERE name = 'x' AND type = 'P')",
    "EXISTS (SELECT * FROM sys.objects WHERE object_id = OBJECT_ID(N'[dbo].[x]') AND type in (N'P', N'PC'))",
    "EXISTS (SELECT * FROM dbo.sysobjects WHERE id = OBJECT_ID(N'[dbo].[x]') AND OBJECTPROPERTY(id, N'IsProcedure') = 1)",
    "EXISTS (SELECT name FROM sysobjects WHERE name = N'x' AND xtype = 'P')",
    "EXISTS (SELECT * FROM sys.procedures p JOIN sys.schemas s ON s.schema_id = p.schema_id WHERE s.name = 'dbo' AND p.name = 'x')",
    "EXISTS (SELECT * FROM sys.procedures WHERE name = 'x' AND SCHEMA_NAME(schema_id) = 'dbo')",
    "EXISTS (SELECT * FROM sys.procedures WHERE name = 'x' AND schema_id = SCHEMA_ID('dbo'))",
    "EXISTS (SELECT * FROM INFORMATION_SCHEMA.ROUTINES WHERE ROUTINE_SCHEMA = 'dbo' AND ROUTINE_NAME = 'x' AND ROUTINE_TYPE = 'PROCEDURE')",
    "(SELECT COUNT(*) FROM sys.objects WHERE name = 'x') > 0",
    "(SELECT COUNT(*) FROM sys.objects WHERE name = 'x') = 1",
    "OBJECT_ID('dbo.x') IS NOT NULL AND EXISTS (SELECT 1 FROM sys.procedures WHERE name = 'x')",
    "OBJECT_ID('dbo.x') IS NOT NULL OR 1 = 0",
    # A permission: giving it twice changes nothing.
    "NOT EXISTS (SELECT 1 FROM sys.database_permissions WHERE major_id = OBJECT_ID('dbo.x') AND permission_name = 'EXECUTE')",
    "NOT EXISTS (SELECT 1 FROM sys.database_permissions p JOIN sys.database_principals u ON u.principal_id = p.grantee_principal_id"
    " WHERE p.major_id = OBJECT_ID('dbo.x') AND u.name = 'a')",
    "HAS_PERMS_BY_NAME('dbo.x', 'OBJECT', 'EXECUTE') = 0",
]  # fmt: skip


@pytest.mark.parametrize("condition", EXISTS)
def test_a_condition_that_asks_for_the_object_is_left_out(condition: str) -> None:
    alone = f"{PROC}\nGO\n{GRANT}"
    for guarded in (
        f"IF {condition} {GRANT}",
        f"IF {condition}\nBEGIN\n  {GRANT};\n  PRINT 'x may be executed'\nEND",
        f"IF {condition} BEGIN {GRANT} END ELSE PRINT 'no dbo.x'",
        f"IF {condition} IF 1 = 1 AND {condition} {GRANT}".replace("1 = 1 AND ", ""),
        f"BEGIN IF {condition} {GRANT} END",
    ):
        text = f"{PROC}\nGO\n{guarded}\nGO\n"
        assert sent(text)[1:] == [SENT_GRANT]
        assert rules(text) == []
        assert analyse(text).shape == analyse(alone).shape


@pytest.mark.parametrize(
    "condition", [c for c in EXISTS if "permissions" not in c and "HAS_PERMS" not in c]
)
def test_what_is_meant_for_a_missing_object_is_not_for_a_version(condition: str) -> None:
    text = f"{PROC}\nGO\nIF NOT ({condition}) PRINT 'failed' ELSE {GRANT}"
    assert sent(text)[1:] == [SENT_GRANT]
    text = f"{PROC}\nGO\nIF NOT ({condition}) {GRANT}"
    assert sent(text)[1:] == []
    assert rules(text) == []


@pytest.mark.parametrize(
    ("definition", "condition"),
    [
        (VIEW, "OBJECT_ID('dbo.x', 'V') IS NOT NULL"),
        (VIEW, "EXISTS (SELECT * FROM sys.views WHERE name = 'x')"),
        (VIEW, "EXISTS (SELECT * FROM INFORMATION_SCHEMA.VIEWS WHERE TABLE_NAME = 'x' AND TABLE_SCHEMA = N'dbo')"),
        (VIEW, "EXISTS (SELECT * FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME = 'x')"),
        (FUNCTION, "EXISTS (SELECT * FROM sys.objects WHERE name = 'x' AND type IN ('FN', 'IF', 'TF'))"),
        (FUNCTION, "OBJECT_ID('dbo.x', 'FN') IS NOT NULL"),
        (FUNCTION, "EXISTS (SELECT * FROM INFORMATION_SCHEMA.ROUTINES WHERE ROUTINE_NAME = 'x' AND ROUTINE_TYPE = 'FUNCTION')"),
        (TYPE, "TYPE_ID('dbo.x') IS NOT NULL"),
        (TYPE, "EXISTS (SELECT * FROM sys.types WHERE name = 'x' AND is_table_type = 1)"),
        (TYPE, "EXISTS (SELECT * FROM sys.table_types tt JOIN sys.schemas s ON tt.schema_id = s.schema_id WHERE s.name = N'dbo' AND tt.name = N'x')"),
    ],
)  # fmt: skip
def test_each_kind_can_be_asked_for(definition: str, condition: str) -> None:
    grant = (
        "GRANT CONTROL ON TYPE::dbo.x TO a" if definition is TYPE else "GRANT CONTROL ON dbo.x TO a"
    )
    text = f"{definition}\nGO\nIF {condition} {grant}"
    assert sent(text)[1:] == [grant.replace("dbo.x", "dbo.x_3")]
    assert rules(text) == []


@pytest.mark.parametrize(
    "condition",
    [
        "OBJECT_ID('dbo.x', 'U') IS NOT NULL",
        "EXISTS (SELECT * FROM sys.objects WHERE name = 'x' AND type = 'V')",
        "EXISTS (SELECT * FROM sys.views WHERE name = 'x')",
    ],
)
def test_an_object_of_another_kind_is_not_there(condition: str) -> None:
    assert sent(f"{PROC}\nGO\nIF {condition} PRINT 'odd' ELSE {GRANT}")[1:] == [SENT_GRANT]


@pytest.mark.parametrize(
    "condition",
    [
        "DATABASE_PRINCIPAL_ID('a') IS NOT NULL",
        "USER_ID('x') IS NOT NULL",
        "EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'x')",
        "@@SERVERNAME = 'x'",
        "DB_NAME() LIKE 'x%' AND 1 BETWEEN 0 AND 2",
        "OBJECT_ID('other.x') IS NOT NULL",
        "OBJECT_ID('elsewhere.dbo.x') IS NOT NULL",
        "EXISTS (SELECT 1 FROM sys.objects o JOIN sys.schemas AS s ON s.schema_id = o.schema_id WHERE s.name = 'app' AND o.name = 'x')",
        "EXISTS (SELECT 1 FROM sys.objects WHERE name = 'x' AND schema_id = SCHEMA_ID(N'app'))",
        "EXISTS (SELECT 1 FROM INFORMATION_SCHEMA.ROUTINES WHERE ROUTINE_SCHEMA = 'app' AND ROUTINE_NAME = 'x')",
        "EXISTS (SELECT 1 FROM dbo.Settings WHERE Name = 'x')",
        "CASE WHEN 1 = 1 AND 2 = 2 THEN 1 ELSE 0 END = 1",
    ],
)  # fmt: skip
def test_a_condition_that_asks_for_something_else_goes_with_the_version(condition: str) -> None:
    text = f"{PROC}\nGO\nIF {condition} {GRANT}"
    assert sent(text)[1:] == [f"IF {condition} {SENT_GRANT}"]
    assert rules(text) == []


@pytest.mark.parametrize(
    ("condition", "rest"),
    [
        ("OBJECT_ID('dbo.x') IS NOT NULL AND USER_ID('a') IS NOT NULL", "USER_ID('a') IS NOT NULL"),
        ("USER_ID('a') IS NOT NULL AND OBJECT_ID('dbo.x') IS NOT NULL", "USER_ID('a') IS NOT NULL "),
        ("USER_ID('a') > 0 AND OBJECT_ID('dbo.x') > 0 AND USER_ID('b') > 0", "USER_ID('a') > 0 AND USER_ID('b') > 0"),
        ("(USER_ID('a') > 0 OR OBJECT_ID('dbo.x') IS NULL)", "(USER_ID('a') > 0 )"),
        ("NOT (OBJECT_ID('dbo.x') IS NOT NULL AND USER_ID('a') IS NULL)", "NOT (USER_ID('a') IS NULL)"),
    ],
)  # fmt: skip
def test_of_several_conditions_the_others_stay(condition: str, rest: str) -> None:
    text = f"{PROC}\nGO\nIF {condition} {GRANT}"
    assert [" ".join(each.split()) for each in sent(text)[1:]] == [
        " ".join(f"IF {rest} {SENT_GRANT}".split())
    ]
    plain = f"{PROC}\nGO\nIF {rest} {GRANT}"
    assert analyse(text).shape == analyse(plain).shape
    assert rules(text) == []


@pytest.mark.parametrize(
    "condition",
    [
        "OBJECTPROPERTY(OBJECT_ID('dbo.x'), 'ExecIsAnsiNullsOn') = 1",
        "EXISTS (SELECT 1 FROM sys.parameters WHERE object_id = OBJECT_ID('dbo.x'))",
        "EXISTS (SELECT 1 FROM sys.objects WHERE name LIKE '%x%')",
        "'x' IN (SELECT name FROM sys.objects)",
        "COL_LENGTH('dbo.x', 'a') IS NOT NULL",
    ],
)
def test_what_may_be_lost_is_named(condition: str) -> None:
    text = f"{PROC}\nGO\nGRANT EXECUTE ON dbo.x TO b\nGO\nIF {condition}\n  {GRANT}"
    (note,) = (note for note in analyse(text).notes if note.rule == "guard")
    assert note.line == 6
    assert "GRANT EXECUTE ON dbo . x TO a" in note.message or GRANT in note.message
    assert "remove the condition" in note.hint
    assert sent(text)[-1].endswith(SENT_GRANT)


# ---- indexes and statistics ---------------------------------------------------------------------

INDEX = "CREATE UNIQUE CLUSTERED INDEX ix ON dbo.x (a)"
SENT_INDEX = "CREATE UNIQUE CLUSTERED INDEX ix ON dbo.x_3 (a)"


@pytest.mark.parametrize(
    "missing",
    [
        "NOT EXISTS (SELECT * FROM sys.indexes WHERE name = 'ix')",
        "NOT EXISTS (SELECT * FROM sys.indexes WHERE object_id = OBJECT_ID(N'[dbo].[x]') AND name = N'ix')",
        "NOT EXISTS (SELECT 1 FROM sys.indexes i JOIN sys.views v ON v.object_id = i.object_id WHERE v.name = 'x' AND i.name = 'ix')",
        "NOT EXISTS (SELECT 1 FROM dbo.sysindexes WHERE id = OBJECT_ID('dbo.x') AND name = 'ix')",
        "INDEXPROPERTY(OBJECT_ID('dbo.x'), 'ix', 'IndexID') IS NULL",
        "(SELECT COUNT(*) FROM sys.indexes WHERE name = 'ix' AND object_id = OBJECT_ID('dbo.x')) = 0",
    ],
)  # fmt: skip
def test_a_new_version_has_no_index_yet(missing: str) -> None:
    text = f"{VIEW}\nGO\nIF {missing}\n  {INDEX}\nELSE PRINT 'there'"
    assert sent(text)[1:] == [SENT_INDEX]
    assert rules(text) == []
    text = f"{VIEW}\nGO\nIF NOT ({missing}) DROP INDEX ix ON dbo.x\nGO\n{INDEX}"
    assert sent(text)[1:] == [SENT_INDEX]
    assert rules(text) == ["drop-skipped"]
    twice = f"{VIEW}\nGO\n{INDEX}\nGO\nIF {missing} {INDEX}"
    assert sent(twice)[1:] == [SENT_INDEX]


@pytest.mark.parametrize(
    "drop",
    [
        "DROP INDEX ix ON dbo.x",
        "DROP INDEX IF EXISTS [ix] ON [dbo].[x] WITH (ONLINE = OFF)",
        "DROP INDEX x.ix",
        "DROP INDEX dbo.x.ix, iy ON x",
        "DROP STATISTICS dbo.x.s",
    ],
)
def test_a_drop_of_an_index_of_the_view_is_left_out(drop: str) -> None:
    alone = sent(f"{VIEW}\nGO\n{INDEX}")
    for text in (f"{drop}\nGO\n{VIEW}\nGO\n{INDEX}", f"{VIEW}\nGO\n{drop}\nGO\n{INDEX}"):
        assert sent(text) == alone
        assert rules(text) == ["drop-skipped"]
    with pytest.raises(SourceError, match="is not versioned here"):
        analyse(f"{VIEW}\nGO\n{drop.replace('x]', 'y]').replace('x.', 'y.').replace('.x', '.y')}")


def test_statistics_and_indexes_of_something_else_are_conditions_like_any_other() -> None:
    condition = "NOT EXISTS (SELECT * FROM sys.indexes WHERE object_id = OBJECT_ID('dbo.t') AND name = 'ix')"
    assert sent(f"{VIEW}\nGO\nIF {condition} {INDEX}")[1:] == [f"IF {condition} {SENT_INDEX}"]
    text = f"{VIEW}\nGO\nIF NOT EXISTS (SELECT * FROM sys.stats WHERE name = 's') CREATE STATISTICS s ON dbo.x (a)"
    assert sent(text)[1:] == ["CREATE STATISTICS s ON dbo.x_3 (a)"]


# ---- extended properties ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "listed",
    [
        LISTED,
        LISTED.replace("sys.fn", "::fn"),
        "SELECT 1 FROM sys.extended_properties WHERE major_id = OBJECT_ID('dbo.x') AND name = N'Owner' AND minor_id = 0",
        "SELECT NULL FROM SYS.EXTENDED_PROPERTIES WHERE [major_id] = OBJECT_ID('x') AND [name] = N'Owner'",
    ],
)
def test_a_new_version_has_no_property_yet(listed: str) -> None:
    alone = [PROC.replace("dbo.x", "dbo.x_3"), SENT_ADD]
    assert sent(f"IF EXISTS ({listed})\n  {DROP}\nGO\n{PROC}\nGO\n{ADD}") == alone
    assert sent(f"{PROC}\nGO\nIF EXISTS ({listed}) {DROP}\nGO\n{ADD}") == alone
    assert sent(f"{PROC}\nGO\nIF NOT EXISTS ({listed}) {ADD} ELSE {UPDATE}") == alone
    assert sent(f"{PROC}\nGO\nIF EXISTS ({listed}) {UPDATE} ELSE {ADD}") == alone
    assert (
        sent(f"{PROC}\nGO\nIF EXISTS ({listed}) BEGIN {UPDATE} END ELSE BEGIN {ADD} END") == alone
    )
    assert sent(f"{PROC}\nGO\nBEGIN TRY {ADD} END TRY BEGIN CATCH {UPDATE} END CATCH") == alone
    assert analyse(f"{PROC}\nGO\nIF NOT EXISTS ({listed}) {ADD}").shape == analyse(f"{PROC}\nGO\n{ADD}").shape  # fmt: skip
    assert rules(f"{PROC}\nGO\nIF EXISTS ({listed}) {UPDATE} ELSE {ADD}") == []


def test_a_property_that_the_file_adds_can_be_changed_and_dropped() -> None:
    text = f"{PROC}\nGO\n{ADD}\nGO\n{UPDATE}\nGO\n{DROP}"
    assert sent(text)[1:] == [each.replace("N'x'", "N'x_3'") for each in (ADD, UPDATE, DROP)]


@pytest.mark.parametrize("text", ["{drop}\nGO\n{proc}", "{proc}\nGO\n{drop}"])
def test_dropping_a_property_of_something_else_is_refused(text: str) -> None:
    drop = DROP.replace("N'x'", "N'y'")
    with pytest.raises(SourceError, match="this extended property is not that of"):
        analyse(text.format(drop=drop, proc=PROC))


# ---- triggers of a view -------------------------------------------------------------------------

SENT_TRIGGER = TRIGGER.replace("dbo.x_ins ON dbo.x", "dbo.x_ins_3 ON dbo.x_3")
STUB = "'CREATE TRIGGER dbo.x_ins ON dbo.x INSTEAD OF INSERT AS RETURN'"
TRIGGER_DROPS = [
    "IF OBJECT_ID('dbo.x_ins', 'TR') IS NOT NULL DROP TRIGGER dbo.x_ins",
    "IF EXISTS (SELECT * FROM sys.triggers WHERE name = 'x_ins') DROP TRIGGER [dbo].[X_ins];",
    "IF EXISTS (SELECT * FROM sys.objects WHERE name = N'x_ins' AND type = 'TR')\nBEGIN\n DROP TRIGGER x_ins\nEND",
    "IF EXISTS (SELECT * FROM sys.triggers WHERE object_id = OBJECT_ID(N'[dbo].[x_ins]')) DROP TRIGGER x_ins",
    "DROP TRIGGER IF EXISTS dbo.x_ins",
    'DROP TRIGGER "dbo".x_ins;',
]
TRIGGER_STUBS = [
    f"IF OBJECT_ID('dbo.x_ins', 'TR') IS NULL EXEC({STUB})",
    f"IF OBJECT_ID(N'[dbo].x_ins') IS NULL BEGIN EXEC sp_executesql N{STUB} END",
    f"IF NOT EXISTS (SELECT * FROM sys.triggers WHERE name = 'x_ins') EXECUTE (N{STUB});",
    f"IF NOT EXISTS (SELECT * FROM dbo.sysobjects WHERE id = OBJECT_ID('x_ins') AND xtype = 'TR') EXEC({STUB})",
]


@pytest.mark.parametrize("drop", TRIGGER_DROPS)
def test_a_drop_of_a_trigger_of_the_view_is_left_out(drop: str) -> None:
    alone = f"{VIEW}\nGO\n{TRIGGER}"
    for text in (
        f"{drop}\nGO\n{VIEW}\nGO\n{TRIGGER}\nGO\n",
        f"{VIEW}\nGO\n{drop}\nGO\n{TRIGGER}\nGO\n",
    ):
        assert sent(text) == [VIEW.replace("dbo.x", "dbo.x_3"), SENT_TRIGGER]
        assert rules(text) == ["drop-skipped"]
        assert analyse(text).shape == analyse(alone).shape
        with pytest.raises(SourceError, match="DROP TRIGGER is not versioned"):
            analyse(text.replace("TRIGGER dbo.x_ins ON", "TRIGGER dbo.y_ins ON"))


@pytest.mark.parametrize("stub", TRIGGER_STUBS)
def test_a_stub_of_a_trigger_of_the_view_is_left_out(stub: str) -> None:
    text = f"{VIEW}\nGO\n{stub}\nGO\n{TRIGGER.replace('CREATE', 'ALTER', 1)}\nGO\n"
    assert sent(text) == [VIEW.replace("dbo.x", "dbo.x_3"), SENT_TRIGGER]
    assert rules(text) == []
    assert analyse(text).shape == analyse(f"{VIEW}\nGO\n{TRIGGER}").shape


def test_a_trigger_that_stands_in_a_string_alone_is_not_lost() -> None:
    with pytest.raises(SourceError, match="creates a trigger that the file does not define") as caught:  # fmt: skip
        analyse(f"{VIEW}\nGO\nEXEC({STUB})")
    assert caught.value.line == 3
    assert "batch of its own" in (caught.value.hint or "")


# ---- what stands in a guard ---------------------------------------------------------------------


def test_guards_inside_of_guards() -> None:
    text = (
        f"{PROC}\nGO\nIF USER_ID('a') IS NOT NULL\nBEGIN\n"
        f"  IF OBJECT_ID('dbo.x') IS NOT NULL\n    {GRANT};\n"
        "  IF OBJECT_ID('dbo.x') IS NULL PRINT 'no' ELSE DENY ALTER ON dbo.x TO a\nEND"
    )
    expected = f"IF USER_ID('a') IS NOT NULL BEGIN {SENT_GRANT}; DENY ALTER ON dbo.x_3 TO a END"
    assert " ".join(sent(text)[1].split()) == expected
    assert rules(text) == []


def test_several_statements_and_else_branches() -> None:
    deny = "DENY EXECUTE ON dbo.x TO b"
    text = f"{PROC}\nGO\nIF OBJECT_ID('dbo.x') IS NOT NULL BEGIN {GRANT} {deny} END ELSE BEGIN REVOKE EXECUTE ON dbo.x FROM a END"  # fmt: skip
    assert sent(text)[1:] == [SENT_GRANT, "DENY EXECUTE ON dbo.x_3 TO b"]
    text = f"{PROC}\nGO\nIF USER_ID('a') IS NULL BEGIN {GRANT} END ELSE BEGIN {deny} END"
    assert sent(text)[1:] == [text.split("GO\n")[1].replace("dbo.x", "dbo.x_3")]
    chain = f"{PROC}\nGO\nIF OBJECT_ID('dbo.x') IS NULL PRINT 'no' ELSE IF USER_ID('a') IS NOT NULL {GRANT}"  # fmt: skip
    assert sent(chain)[1:] == [f"IF USER_ID('a') IS NOT NULL {SENT_GRANT}"]


def test_what_a_guard_holds_is_held_to_the_same_rules() -> None:
    for condition in ("OBJECT_ID('dbo.x') IS NOT NULL", "USER_ID('a') IS NOT NULL"):
        with pytest.raises(SourceError, match=r"data \(INSERT\) is not versioned"):
            analyse(f"{PROC}\nGO\nIF {condition} BEGIN {GRANT} INSERT dbo.t VALUES (1) END")
        with pytest.raises(SourceError, match="GRANT on something else"):
            analyse(f"{PROC}\nGO\nIF {condition} GRANT EXECUTE ON dbo.other TO a")


def test_the_case_of_a_name_and_a_name_like_a_code() -> None:
    text = "CREATE VIEW dbo.P AS SELECT 1 AS a\nGO\nIF EXISTS (SELECT 1 FROM sys.objects WHERE name = 'p'{}) GRANT SELECT ON dbo.p TO a"
    for more in ("", " AND type = 'V'"):
        assert sent(text.format(more))[1:] == ["GRANT SELECT ON dbo.P_3 TO a"]
