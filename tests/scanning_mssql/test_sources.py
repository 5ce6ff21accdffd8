"""Which files are taken, which are refused, and what a refusal says."""

from __future__ import annotations

import pytest

from procver.errors import SourceError
from procver.objects import AFTER, DEFINITION, SETTING, Header, Kind, Managed, Name
from tests.scanning_mssql.shop import SCANNER, analyse, header, rules, sent, statements

PROC = "CREATE PROCEDURE dbo.x AS SELECT 1"
VIEW = "CREATE VIEW dbo.x WITH SCHEMABINDING AS SELECT v.a FROM dbo.v"
TYPE = "CREATE TYPE dbo.x AS TABLE (a int)"


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (PROC, Kind.PROCEDURE, "CREATE PROCEDURE dbo.x_3 AS SELECT 1"),
        ("alter proc x as select 1", Kind.PROCEDURE, "CREATE proc dbo.x_3 as select 1"),
        ("CREATE  OR\tALTER\n PROC[dbo].[x] AS SELECT 1", Kind.PROCEDURE, "CREATE  PROC[dbo].[x_3] AS SELECT 1"),
        ("create or /* a */ alter view dbo.x as select 1 a", Kind.VIEW, "create /* a */ view dbo.x_3 as select 1 a"),
        ('ALTER FUNCTION "dbo"."x" () RETURNS int AS BEGIN RETURN 1 END', Kind.FUNCTION,
         'CREATE FUNCTION "dbo"."x_3" () RETURNS int AS BEGIN RETURN 1 END'),
        (TYPE, Kind.TABLE_TYPE, "CREATE TYPE dbo.x_3 AS TABLE (a int)"),
        ("IF TYPE_ID('dbo.x') IS NULL CREATE TYPE dbo.x AS TABLE (a int);", Kind.TABLE_TYPE,
         "CREATE TYPE dbo.x_3 AS TABLE (a int)"),
        ("IF NOT EXISTS (SELECT * FROM sys.types WHERE name = N'x') BEGIN CREATE TYPE dbo.x AS TABLE (a int) END\nGO",
         Kind.TABLE_TYPE, "CREATE TYPE dbo.x_3 AS TABLE (a int)"),
        ("\n\n/* what; it's\nGO\n is */\n\nCREATE PROC dbo.x AS SELECT 1 -- done\n\n", Kind.PROCEDURE,
         "/* what; it's\nGO\n is */\n\nCREATE PROC dbo.x_3 AS SELECT 1 -- done"),
        ("CREATE PROC\xa0dbo.x AS SELECT 1", Kind.PROCEDURE, "CREATE PROC\xa0dbo.x_3 AS SELECT 1"),
    ],
)  # fmt: skip
def test_definitions(text: str, kind: Kind, expected: str) -> None:
    found = header(text)
    assert found == Header(Name("dbo", "x"), kind)
    assert analyse(text)[:2] == found
    assert sent(text) == [expected]


def test_the_name_is_kept_as_it_is_written() -> None:
    assert header("CREATE PROC Sales.[sp Find]]All] AS SELECT 1").name == Name(
        "Sales", "sp Find]All"
    )
    assert header("CREATE VIEW Grüße AS SELECT 1 a").name == Name("dbo", "Grüße")
    assert header('CREATE VIEW "a""b".X AS SELECT 1 a').name == Name('a"b', "X")


STUBS = [
    "IF OBJECT_ID('dbo.x') IS NULL EXEC('CREATE PROC dbo.x AS RETURN 0')",
    "IF OBJECT_ID(N'dbo.x', N'P') IS NULL\n  EXECUTE (N'CREATE PROCEDURE [dbo].[x] AS SELECT ''it''''s''');",
    "IF NOT EXISTS (SELECT * FROM sys.objects WHERE object_id = OBJECT_ID(N'[dbo].[x]') AND type in (N'P', N'PC'))\n"
    "BEGIN\nEXEC dbo.sp_executesql @statement = N'CREATE PROCEDURE [dbo].[x] AS' \nEND",
]
DROPS = [
    "IF EXISTS (SELECT 1 FROM sys.procedures WHERE name = 'x') DROP PROCEDURE dbo.x",
    "IF OBJECT_ID('dbo.x') IS NOT NULL BEGIN DROP PROC [dbo].[X]; PRINT 'dropped' END",
    "DROP PROCEDURE IF EXISTS dbo.x;",
    "IF (OBJECT_ID('x') IS NOT NULL) DROP PROC x ELSE PRINT 'new'",
]


@pytest.mark.parametrize("before", STUBS)
def test_a_stub_before_the_definition_is_not_sent(before: str) -> None:
    text = f"{before}\nGO\nALTER PROCEDURE dbo.x AS SELECT 1"
    assert header(text) == Header(Name("dbo", "x"), Kind.PROCEDURE)
    assert sent(text) == ["CREATE PROCEDURE dbo.x_3 AS SELECT 1"]
    assert rules(text) == []
    assert analyse(text).shape == analyse(PROC).shape


@pytest.mark.parametrize(
    "guard",
    [
        "IF (SELECT CASE WHEN CAST(SERVERPROPERTY('EngineEdition') AS int) = 5 THEN 1 ELSE 0 END) = 0\n"
        "BEGIN\n  DECLARE @m varchar(99);\n  SELECT @m = 'not here' + REPLICATE(CHAR(13), 9);\n  PRINT @m;\n  RETURN;\nEND;",
        "DECLARE @v int\nSET @v = 15\nSELECT @v = 16 FROM sys.objects\nIF @v < 16 RAISERROR('too old', 16, 1)",
        "IF @@TRANCOUNT > 0 RETURN",
    ],
)
def test_a_look_at_the_server_before_the_definition_is_not_sent(guard: str) -> None:
    assert sent(f"{guard}\nGO\n{PROC}") == ["CREATE PROCEDURE dbo.x_3 AS SELECT 1"]
    with pytest.raises(SourceError, match="is not versioned here"):
        analyse(f"{guard}\nSELECT 1 AS n\nGO\n{PROC}")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("BEGIN TRANSACTION", "COMMIT TRANSACTION"),
        ("BEGIN TRAN change WITH MARK 'x'", "COMMIT TRAN change"),
        ("SET XACT_ABORT ON BEGIN DISTRIBUTED TRANSACTION", "IF @@ERROR <> 0 ROLLBACK ELSE COMMIT"),
        ("IF @@ERROR <> 0 SET NOEXEC ON", "IF @@ERROR <> 0 SET NOEXEC ON"),
        ("PRINT N'Creating [dbo].[x]...';", "PRINT N'Update complete.';"),
        ("USE db SET ANSI_NULLS ON PRINT 'x' DECLARE @a int SET @a = 1 IF @a = 2 RETURN", "SET NOEXEC OFF"),
        ("BEGIN TRY DROP PROCEDURE dbo.x END TRY BEGIN CATCH PRINT 'none' END CATCH", "PRINT 'there' PRINT 'done'"),
        ("RAISERROR('go', 0, 1) WITH NOWAIT SET NOCOUNT ON", "RAISERROR('went', 0, 1) WITH NOWAIT"),
    ],
)  # fmt: skip
def test_what_deployment_scripts_say_around_a_definition(before: str, after: str) -> None:
    text = f"{before}\nGO\n{PROC}\nGO\n{after}\nGO\n"
    assert sent(text) == ["CREATE PROCEDURE dbo.x_3 AS SELECT 1"]
    assert analyse(text).shape == analyse(PROC).shape


def test_giving_up_without_a_condition_is_refused() -> None:
    for text in (f"ROLLBACK\nGO\n{PROC}", f"{PROC}\nGO\nROLLBACK", f"SET NOEXEC ON\nGO\n{PROC}"):
        with pytest.raises(SourceError):
            analyse(text)


@pytest.mark.parametrize("before", DROPS)
def test_a_drop_before_the_definition_is_left_out_and_noted(before: str) -> None:
    text = f"{before}\nGO\n{PROC}"
    assert sent(text) == ["CREATE PROCEDURE dbo.x_3 AS SELECT 1"]
    assert rules(text) == ["drop-skipped"]


@pytest.mark.parametrize(
    ("noun", "definition"),
    [
        ("VIEW", "CREATE VIEW dbo.x AS SELECT 1 a"),
        ("FUNCTION", "CREATE FUNCTION dbo.x () RETURNS int AS BEGIN RETURN 1 END"),
        ("TYPE", TYPE),
        ("PROCEDURE", PROC),
    ],
)
def test_each_kind_may_be_dropped_before_its_definition(noun: str, definition: str) -> None:
    alone = sent(definition)
    for before in (
        f"DROP {noun} dbo.x",
        f"DROP {noun} IF EXISTS [dbo].[x];",
        f"IF 1 = 1 DROP {noun} x",
    ):
        assert sent(f"{before}\nGO\n{definition}") == alone
        assert rules(f"{before}\nGO\n{definition}") == ["drop-skipped"]
        with pytest.raises(SourceError, match=f"DROP {noun} is not versioned"):
            analyse(f"{before.replace('x', 'y')}\nGO\n{definition}")


@pytest.mark.parametrize(
    "second",
    [
        "CREATE PROC dbo.y AS SELECT 1",
        "CREATE PROCEDURE dbo.y AS SELECT 1",
        "ALTER VIEW dbo.y AS SELECT 1 a",
        "CREATE OR ALTER FUNCTION dbo.y () RETURNS int AS BEGIN RETURN 1 END",
        "CREATE TRIGGER dbo.y ON dbo.t AFTER INSERT AS SELECT 1",
    ],
)
def test_a_definition_after_another_without_go_is_refused(second: str) -> None:
    with pytest.raises(SourceError, match="must be the first statement of its batch") as caught:
        analyse(f"{PROC}\n\n{second}")
    assert caught.value.line == 3
    assert "GO" in (caught.value.hint or "")


def test_the_right_to_create_is_no_definition() -> None:
    text = (
        PROC
        + " GRANT CREATE VIEW, CREATE PROCEDURE TO a DENY CREATE FUNCTION TO b REVOKE CREATE VIEW FROM c"
    )
    assert sent(text) == [text.replace("dbo.x", "dbo.x_3")]


def test_a_name_in_double_quotes_is_a_name_only_while_they_make_names() -> None:
    text = 'CREATE PROC "dbo"."x" AS SELECT 1'
    assert header(text).name == Name("dbo", "x")
    assert header(f"SET QUOTED_IDENTIFIER ON\nGO\n{text}").name == Name("dbo", "x")
    for read in (header, analyse):
        with pytest.raises(SourceError):
            read(f"SET QUOTED_IDENTIFIER OFF\nGO\n{text}")


def test_what_management_studio_scripts() -> None:
    text = """USE [Shop]
GO
/****** Object:  StoredProcedure [dbo].[x]    Script Date: 21.11.2026 04:30:25 ******/
SET ANSI_NULLS ON
GO
SET QUOTED_IDENTIFIER ON
GO
-- =============================================
-- Author: <Author,,Name>
-- =============================================
CREATE PROCEDURE [dbo].[x]
AS
SELECT 1
GO
GRANT EXECUTE ON [dbo].[x] TO [app] AS [dbo]
GO
IF NOT EXISTS (SELECT * FROM sys.fn_listextendedproperty(N'MS_Description', N'SCHEMA',N'dbo', N'PROCEDURE',N'x', NULL,NULL))
	EXEC sys.sp_addextendedproperty @name=N'MS_Description', @value=N'one' , @level0type=N'SCHEMA',@level0name=N'dbo', @level1type=N'PROCEDURE',@level1name=N'x'
ELSE
BEGIN
	EXEC sys.sp_updateextendedproperty @name=N'MS_Description', @value=N'one' , @level0type=N'SCHEMA',@level0name=N'dbo', @level1type=N'PROCEDURE',@level1name=N'x'
END
GO
"""
    assert [(statement.role, statement.text) for statement in statements(text)] == [
        (DEFINITION, text[text.index("-- ====") : text.index("\nGO\nGRANT")].replace("[x]", "[x_3]")),
        (AFTER, "GRANT EXECUTE ON [dbo].[x_3] TO [app] AS [dbo]"),
        (AFTER, "EXEC sys.sp_addextendedproperty @name=N'MS_Description', @value=N'one' , @level0type=N'SCHEMA',"
         "@level0name=N'dbo', @level1type=N'PROCEDURE',@level1name=N'x_3'"),
    ]  # fmt: skip
    assert rules(text) == ["use-skipped"]


# ---- settings -----------------------------------------------------------------------------------


def test_options_that_are_off_are_set_before_the_definition_and_back_for_what_follows() -> None:
    text = f"SET ANSI_NULLS, QUOTED_IDENTIFIER OFF;\nGO\n{PROC}\nGO\nset quoted_identifier on\nGO\nGRANT EXECUTE ON dbo.x TO a"
    assert [(statement.role, statement.text) for statement in statements(text)] == [
        (SETTING, "SET ANSI_NULLS OFF"),
        (SETTING, "SET QUOTED_IDENTIFIER OFF"),
        (DEFINITION, "CREATE PROCEDURE dbo.x_3 AS SELECT 1"),
        (SETTING, "SET QUOTED_IDENTIFIER ON"),
        (AFTER, "GRANT EXECUTE ON dbo.x_3 TO a"),
    ]


@pytest.mark.parametrize(
    "before",
    [
        "SET QUOTED_IDENTIFIER ON",
        "SET ANSI_NULLS ON SET QUOTED_IDENTIFIER ON",
        "SET QUOTED_IDENTIFIER OFF\nGO\nSET QUOTED_IDENTIFIER ON",
        "SET ANSI_PADDING, ANSI_WARNINGS ON\nSET NUMERIC_ROUNDABORT OFF",
        "SET ANSI_DEFAULTS ON",
        "SET NOEXEC OFF",
        "SET STATISTICS TIME, IO OFF",
    ],
)
def test_options_that_are_as_usual_say_nothing(before: str) -> None:
    text = f"{before}\nGO\n{PROC}"
    assert sent(text) == ["CREATE PROCEDURE dbo.x_3 AS SELECT 1"]
    assert analyse(text).shape == analyse(PROC).shape
    assert rules(text) == []


USUAL = {
    "ANSI_PADDING": "ON", "ANSI_WARNINGS": "ON", "ANSI_NULL_DFLT_ON": "ON", "ANSI_NULL_DFLT_OFF": "OFF", "ARITHABORT": "ON",
    "ARITHIGNORE": "OFF", "CONCAT_NULL_YIELDS_NULL": "ON", "NUMERIC_ROUNDABORT": "OFF", "NOEXEC": "OFF", "PARSEONLY": "OFF",
    "FMTONLY": "OFF", "IMPLICIT_TRANSACTIONS": "OFF", "CURSOR_CLOSE_ON_COMMIT": "OFF",
}  # fmt: skip


@pytest.mark.parametrize("option", USUAL)
def test_an_option_otherwise_than_as_usual_is_refused(option: str) -> None:
    usual = USUAL[option]
    other = "OFF" if usual == "ON" else "ON"
    text = f"SET {option} {usual}\nGO\n{PROC}"
    assert (analyse(text).shape, rules(text)) == (analyse(PROC).shape, [])
    with pytest.raises(SourceError, match=f"SET {option} {other} has no place in a source"):
        analyse(f"SET {option} {other}\nGO\n{PROC}")


def test_ansi_defaults_off_is_not_as_usual() -> None:
    with pytest.raises(SourceError, match="SET ANSI_DEFAULTS OFF has no place"):
        analyse(f"SET ANSI_DEFAULTS OFF\nGO\n{PROC}")


@pytest.mark.parametrize(
    "before",
    [
        "SET NOCOUNT ON",
        "SET XACT_ABORT ON",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET STATISTICS IO ON",
        "SET LOCK_TIMEOUT 1000",
        "SET DEADLOCK_PRIORITY LOW",
        "SET TEXTSIZE 2147483647",
        "SET ROWCOUNT 0",
        "SET DATEFIRST 1",
        "SET DATEFORMAT ymd",
        "SET LANGUAGE us_english",
        "SET SHOWPLAN_ALL OFF",
        "SET SHOWPLAN_TEXT OFF",
        "SET SHOWPLAN_XML OFF",
        "SET CONTEXT_INFO 0x01",
        "SET QUERY_GOVERNOR_COST_LIMIT 0",
    ],
)
def test_options_of_a_run_are_left_out_and_noted(before: str) -> None:
    text = f"{before}\nGO\n{PROC}"
    assert rules(text) == ["setting-skipped"]
    assert len(sent(text)) == 1


def test_double_quotes_make_strings_while_quoted_identifier_is_off() -> None:
    text = 'SET QUOTED_IDENTIFIER OFF\nGO\nCREATE PROC dbo.x AS SELECT "v".a, [v].b, "dbo.v" FROM "v", dbo.v'
    assert (
        sent(text)[1] == 'CREATE PROC dbo.x_3 AS SELECT "v".a, [v_2].b, "dbo.v" FROM "v", dbo.v_2'
    )
    assert rules(text) == ["string-mention"]


# ---- what follows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "after", "expected"),
    [
        (PROC, "GRANT EXECUTE ON dbo.x TO a, b WITH GRANT OPTION", "GRANT EXECUTE ON dbo.x_3 TO a, b WITH GRANT OPTION"),
        (PROC, "DENY EXECUTE, ALTER ON OBJECT :: [dbo].[X] TO a CASCADE", "DENY EXECUTE, ALTER ON OBJECT :: [dbo].[x_3] TO a CASCADE"),
        (PROC, "revoke execute on x from public;", "revoke execute on dbo.x_3 from public"),
        (PROC, "ALTER AUTHORIZATION ON dbo.x TO a", "ALTER AUTHORIZATION ON dbo.x_3 TO a"),
        (PROC, "IF DATABASE_PRINCIPAL_ID('a') IS NOT NULL GRANT EXECUTE ON dbo.x TO a",
         "IF DATABASE_PRINCIPAL_ID('a') IS NOT NULL GRANT EXECUTE ON dbo.x_3 TO a"),
        (PROC, "ADD SIGNATURE TO dbo.x BY CERTIFICATE c", "ADD SIGNATURE TO dbo.x_3 BY CERTIFICATE c"),
        (PROC, "EXEC sp_addextendedproperty 'a', 'x', 'schema', 'dbo', 'procedure', 'x', 'parameter', '@x'",
         "EXEC sp_addextendedproperty 'a', 'x', 'schema', 'dbo', 'procedure', 'x_3', 'parameter', '@x'"),
        (PROC, "sp_addextendedproperty a, x, [USER], dbo, [PROCEDURE], x", "sp_addextendedproperty a, x, [USER], dbo, [PROCEDURE], x_3"),
        (VIEW, "CREATE UNIQUE CLUSTERED INDEX x ON dbo.x (a) WITH (FILLFACTOR = 90)",
         "CREATE UNIQUE CLUSTERED INDEX x ON dbo.x_3 (a) WITH (FILLFACTOR = 90)"),
        (VIEW, "CREATE INDEX [i] ON x (a) INCLUDE (b)", "CREATE INDEX [i] ON dbo.x_3 (a) INCLUDE (b)"),
        (VIEW, "ALTER INDEX i ON [dbo].[x] SET (ALLOW_ROW_LOCKS = OFF)", "ALTER INDEX i ON [dbo].[x_3] SET (ALLOW_ROW_LOCKS = OFF)"),
        (VIEW, "ALTER INDEX ALL ON x DISABLE", "ALTER INDEX ALL ON dbo.x_3 DISABLE"),
        (PROC, "EXECUTE sp_addextendedproperty N'a', N'x', N'USER', N'dbo', N'PROCEDURE', N'x', NULL, NULL",
         "EXECUTE sp_addextendedproperty N'a', N'x', N'USER', N'dbo', N'PROCEDURE', N'x_3', NULL, NULL"),
        (PROC, "sys.sp_addextendedproperty 'a', 'x', 'SCHEMA', 'dbo', 'PROCEDURE', 'x'",
         "sys.sp_addextendedproperty 'a', 'x', 'SCHEMA', 'dbo', 'PROCEDURE', 'x_3'"),
        (VIEW, "CREATE STATISTICS s ON dbo.x (a)", "CREATE STATISTICS s ON dbo.x_3 (a)"),
        (VIEW, "GRANT SELECT ON dbo.x (a) TO b", "GRANT SELECT ON dbo.x_3 (a) TO b"),
        (VIEW, "GRANT SELECT (a), UPDATE (a) ON dbo.x TO b", "GRANT SELECT (a), UPDATE (a) ON dbo.x_3 TO b"),
        (TYPE, "GRANT EXECUTE ON TYPE::dbo.x TO a", "GRANT EXECUTE ON TYPE::dbo.x_3 TO a"),
        (TYPE, "EXEC sys.sp_addextendedproperty @level1name = N'x', @level1type = N'TYPE', @level0name = dbo,"
         " @level0type = N'SCHEMA', @name = N'x'",
         "EXEC sys.sp_addextendedproperty @level1name = N'x_3', @level1type = N'TYPE', @level0name = dbo,"
         " @level0type = N'SCHEMA', @name = N'x'"),
    ],
)  # fmt: skip
def test_what_follows_goes_with_the_version(definition: str, after: str, expected: str) -> None:
    text = f"{definition}\nGO\n{after}\nGO\n"
    last = statements(text)[-1]
    assert (last.role, last.text) == (AFTER, expected)
    assert analyse(text).shape != analyse(definition).shape
    assert not analyse(text).recursive


def test_statements_of_one_batch_are_sent_one_by_one() -> None:
    text = f"{PROC}\nGO\nGRANT EXECUTE ON dbo.x TO a GRANT EXECUTE ON dbo.x TO b;\nDENY EXECUTE ON dbo.x TO c"
    assert sent(text)[1:] == [
        "GRANT EXECUTE ON dbo.x_3 TO a",
        "GRANT EXECUTE ON dbo.x_3 TO b",
        "DENY EXECUTE ON dbo.x_3 TO c",
    ]
    text = (
        f"{VIEW}\nGO\nGRANT SELECT, INSERT, UPDATE, DELETE ON dbo.x TO a WITH GRANT OPTION AS dbo DENY ALTER ON dbo.x TO b"
        " REVOKE SELECT ON dbo.x FROM c CREATE UNIQUE CLUSTERED INDEX i ON dbo.x (a) WITH (FILLFACTOR = 90)"
        " EXEC sp_addextendedproperty 'a', 'b', 'SCHEMA', 'dbo', 'VIEW', 'x' ALTER AUTHORIZATION ON dbo.x TO SCHEMA OWNER"
        " PRINT 'done' CREATE INDEX j ON dbo.x (a) INCLUDE (b)"
    )
    assert sent(text)[1:] == [
        "GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.x_3 TO a WITH GRANT OPTION AS dbo",
        "DENY ALTER ON dbo.x_3 TO b",
        "REVOKE SELECT ON dbo.x_3 FROM c",
        "CREATE UNIQUE CLUSTERED INDEX i ON dbo.x_3 (a) WITH (FILLFACTOR = 90)",
        "EXEC sp_addextendedproperty 'a', 'b', 'SCHEMA', 'dbo', 'VIEW', 'x_3'",
        "ALTER AUTHORIZATION ON dbo.x_3 TO SCHEMA OWNER",
        "CREATE INDEX j ON dbo.x_3 (a) INCLUDE (b)",
    ]
    assert (
        sent(TYPE + " GRANT EXECUTE ON TYPE::dbo.x TO a")[1]
        == "GRANT EXECUTE ON TYPE::dbo.x_3 TO a"
    )


@pytest.mark.parametrize(
    "after",
    [
        "PRINT 'dbo.x is there'",
        "IF OBJECT_ID('dbo.x') IS NOT NULL PRINT '<<< CREATED dbo.x >>>' ELSE RAISERROR('failed', 16, 1)",
        "SET QUOTED_IDENTIFIER ON",
        "SET NOCOUNT OFF",
        "EXEC sp_refreshview 'dbo.x'",
        "IF @@ERROR <> 0 SET NOEXEC ON",
        "IF @@ERROR <> 0 AND @@TRANCOUNT > 0 ROLLBACK TRANSACTION ELSE COMMIT TRANSACTION",
        "IF @@TRANCOUNT > 0 BEGIN PRINT 'done' COMMIT TRAN END ELSE BEGIN PRINT 'failed' ROLLBACK END",
        "BEGIN TRY PRINT 'dbo.x' END TRY BEGIN CATCH PRINT ERROR_MESSAGE() END CATCH",
        "COMMIT TRAN",
        "-- nothing",
    ],
)
def test_what_says_nothing_about_the_object_is_left_out(after: str) -> None:
    text = f"{PROC}\nGO\n{after}\nGO"
    assert len(sent(text)) == 1
    assert analyse(text).shape == analyse(PROC).shape


def test_instead_of_triggers_take_the_suffix_of_their_view() -> None:
    trigger = (
        "-- why\nCREATE OR ALTER TRIGGER [trX] ON dbo.x INSTEAD OF INSERT, UPDATE AS BEGIN"
        " INSERT dbo.w SELECT v.a FROM dbo.v JOIN inserted i ON i.a = v.a; SELECT x.a FROM x END"
    )
    named = (
        "EXEC sys.sp_addextendedproperty 'a', 'b', 'SCHEMA', 'dbo', 'VIEW', 'x', 'TRIGGER', N'trX'"
    )
    text = f"{VIEW}\nGO\n{trigger}\nGO\n{named}"
    assert sent(text)[1:] == [
        "-- why\nCREATE TRIGGER [trX_3] ON dbo.x_3 INSTEAD OF INSERT, UPDATE AS BEGIN"
        " INSERT dbo.w_2 SELECT v_2.a FROM dbo.v_2 JOIN inserted i ON i.a = v_2.a; SELECT x_3.a FROM x_3 END",
        named.replace("'x'", "'x_3'").replace("trX", "trX_3"),
    ]
    assert Name("dbo", "w") in analyse(text).references


def test_a_trigger_whose_name_becomes_too_long_is_refused() -> None:
    text = f"{VIEW}\nGO\nCREATE TRIGGER {'t' * 127} ON dbo.x INSTEAD OF INSERT AS SELECT 1"
    with pytest.raises(SourceError, match="128") as caught:
        statements(text)
    assert caught.value.line == 3


# ---- refusals -----------------------------------------------------------------------------------

REFUSALS = [
    ("", 1, "holds no statement"),
    ("-- a comment", 1, "holds no statement"),
    ("GO\nGO\n", 1, "holds no statement"),
    ("PRINT 'x'", 1, "defines no procedure"),
    ("\nCREATE TABLE dbo.x (a int)", 2, "a table is not versioned"),
    ("INSERT dbo.x VALUES (1)", 1, r"data \(INSERT\)"),
    ("CREATE SCHEMA x", 1, "a schema is not"),
    ("CREATE SYNONYM dbo.s FOR dbo.v", 1, "a synonym is not"),
    ("CREATE SEQUENCE dbo.s", 1, "a sequence is not"),
    ("CREATE TRIGGER dbo.t ON dbo.v INSTEAD OF INSERT AS SELECT 1", 1, "a trigger is not"),
    ("CREATE TYPE dbo.n FROM int", 1, "an alias type is not"),
    ("CREATE TYPE dbo.x AS TABLE (a int) WITH (MEMORY_OPTIMIZED = ON)", 1, "memory-optimized"),
    ("CREATE AGGREGATE dbo.a (@x int) RETURNS int EXTERNAL NAME b.c", 1, "a CLR aggregate"),
    ("CREATE PROC dbo.x WITH RECOMPILE, ENCRYPTION AS SELECT 1", 1, "encrypted"),
    ("CREATE VIEW dbo.x WITH ENCRYPTION AS SELECT 1 a", 1, "encrypted"),
    ("CREATE PROC dbo.x @a AS int WITH EXECUTE AS 'b', ENCRYPTION AS SELECT 1", 1, "encrypted"),
    ("CREATE FUNCTION dbo.x (@a AS int) RETURNS int WITH EXEC AS OWNER, ENCRYPTION BEGIN RETURN 1 END", 1, "encrypted"),
    ("CREATE FUNCTION dbo.x () RETURNS TABLE WITH ENCRYPTION RETURN SELECT 1 a", 1, "encrypted"),
    ("CREATE PROC dbo.x WITH NATIVE_COMPILATION, SCHEMABINDING AS BEGIN ATOMIC WITH (a = b) SELECT 1 END", 1, "natively compiled"),
    ("CREATE FUNCTION dbo.x (@a int) RETURNS int AS EXTERNAL NAME a.[b.c].d", 1, "CLR"),
    ("CREATE PROC dbo.x;2 AS SELECT 1", 1, "group number"),
    ("CREATE PROC #x AS SELECT 1", 1, "temporary procedure"),
    ("CREATE PROC [##x] AS SELECT 1", 1, "temporary procedure"),
    ('SET QUOTED_IDENTIFIER OFF\nGO\nCREATE PROC "dbo"."x" AS SELECT 1', 3, "CREATE PROC has no name that can be read"),
    ("CREATE OR ALTER VIEW", 1, "CREATE VIEW has no name"),
    ("CREATE PROC db..x AS SELECT 1", 1, "no name that procver takes"),
    ("CREATE PROC dbo.{Prefix}x AS SELECT 1", 1, "'dbo.{' is no name that procver takes: no name follows its dot"),
    ("CREATE PROC dbo.", 1, "'dbo.' is no name that procver takes: no name follows its dot"),
    ("CREATE PROC db.dbo.x AS SELECT 1", 1, "no name that procver takes"),
    ("CREATE PROC dbo.[x\ty] AS SELECT 1", 1, "no name that procver takes"),
    ("DECLARE @a int\nCREATE PROC dbo.x AS SELECT 1", 2, "first statement of its batch"),
    ("IF 1 = 1\nALTER PROC dbo.x AS SELECT 1", 2, "first statement of its batch"),
    ("CREATE VIEW dbo.x AS SELECT 1 a\n\nCREATE OR ALTER VIEW dbo.y AS SELECT 1 a", 3, "CREATE VIEW must be the first"),
    (f"{PROC}\nGO\nCREATE VIEW dbo.y AS SELECT 1 a", 3, "two objects: procedure dbo.x and view dbo.y"),
    (f"{PROC}\nGO\n{PROC}", 3, "procedure dbo.x twice"),
    (f"{PROC}\nGO 5\n", 1, "5 times"),
    (f"{PROC}\nGO\nGRANT EXECUTE ON dbo.x TO a\nGO 2", 3, "2 times"),
    (f"{PROC}\nGO;\n", 2, "GO; is no separator"),
    (f"{PROC}\nGO\nGRANT EXECUTE ON dbo.sp TO a", 3, "GRANT on dbo.sp in the file of dbo.x"),
    (f"{PROC}\nGO\nGRANT EXECUTE ON dbo.nothing TO a", 3, "GRANT on something else"),
    (f"{PROC}\nGO\nGRANT EXECUTE ON SCHEMA::dbo TO a", 3, "GRANT on something else"),
    (f"{PROC}\nGO\nGRANT CREATE VIEW TO a", 3, "GRANT on something else"),
    (f"{PROC}\nGO\nGRANT EXECUTE ON other.x TO a", 3, "GRANT on something else"),
    (f"{VIEW}\nGO\nCREATE INDEX i ON dbo.t (a)", 3, "CREATE INDEX on something else"),
    (f"{VIEW}\nGO\nALTER INDEX i ON dbo.t REBUILD", 3, "ALTER INDEX is not versioned"),
    (f"{VIEW}\nGO\nALTER VIEW dbo.y AS SELECT 1 a", 3, "two objects"),
    (f"{VIEW}\nGO\nALTER TABLE dbo.t ADD a int", 3, "ALTER TABLE is not versioned"),
    (f"{VIEW}\nGO\nREVOKE CREATE VIEW FROM a", 3, "REVOKE on something else"),
    (f"{VIEW}\nGO\nCREATE FULLTEXT INDEX ON dbo.x (a) KEY INDEX i", 3, "full-text"),
    (f"{VIEW}\nGO\nCREATE TRIGGER t ON dbo.t INSTEAD OF INSERT AS SELECT 1", 3, "a trigger is not"),
    (f"{VIEW}\nGO\nCREATE TRIGGER t ON dbo.x AFTER INSERT AS SELECT 1", 3, "a trigger is not"),
    (f"{VIEW}\nGO\nCREATE TRIGGER a.t ON dbo.x INSTEAD OF INSERT AS SELECT 1", 3, "schema of its view, dbo"),
    (f"{PROC}\nGO\nCREATE TRIGGER t ON dbo.x INSTEAD OF INSERT AS SELECT 1", 3, "a trigger is not"),
    (f"{PROC}\nGO\nEXEC dbo.x", 3, r"a call \(EXEC\)"),
    (f"{PROC}\nGO\nDECLARE @a int", 3, "a variable"),
    (f"{PROC}\nGO\nADD SIGNATURE TO dbo.x BY CERTIFICATE c WITH PASSWORD = 'p'", 3, "password"),
    (f"{PROC}\nGO\nEXEC sp_addextendedproperty 'a', 'b', 'SCHEMA', 'dbo', 'PROCEDURE', 'y'", 3, "not that of dbo.x"),
    (f"{PROC}\nGO\nEXEC sp_addextendedproperty 'a', 'b', 'SCHEMA', 'dbo', 'VIEW', 'x'", 3, "not that of dbo.x"),
    (f"{PROC}\nGO\nEXEC sp_addextendedproperty 'a', 'b'", 3, "not that of dbo.x"),
    (f"{PROC}\nGO\nEXEC sp_updateextendedproperty 'a', 'b', 'SCHEMA', 'dbo', 'PROCEDURE', 'x'", 3, "fails on a new version"),
    (f"SET ANSI_PADDING OFF\nGO\n{PROC}", 1, "SET ANSI_PADDING OFF has no place"),
    (f"SET NOEXEC ON\nGO\n{PROC}", 1, "SET NOEXEC ON has no place"),
    (f"SET FROBNICATE ON\nGO\n{PROC}", 1, "has no place"),
    (f"DROP PROC dbo.y\nGO\n{PROC}", 1, "DROP PROC is not versioned"),
    (f"DROP PROC dbo.x, dbo.y\nGO\n{PROC}", 1, "DROP PROC is not versioned"),
    (f"DROP TABLE dbo.x\nGO\n{PROC}", 1, "DROP TABLE is not versioned"),
    (f"EXEC('CREATE PROC dbo.y AS SELECT 1')\nGO\n{PROC}", 1, "something else than dbo.x"),
    ("EXEC sp_executesql N'CREATE VIEW dbo.x AS SELECT 1 a'", 1, "stands in a string"),
    ("CREATE PROC dbo.x AS\nSELECT 'abc", 2, "string literal that starts here never ends"),
    ("CREATE PROC dbo.x AS\nSELECT N'abc\nGO\n", 2, "string literal that starts here never ends"),
    ("CREATE PROC dbo.x AS\n/* /* */ SELECT 1\nGO\n", 2, "comment that starts here never ends"),
    ("CREATE PROC dbo.x AS SELECT [a\nGO", 1, "name in brackets that starts here never ends"),
    ('CREATE PROC dbo.x AS SELECT "a', 1, "quoted name that starts here never ends"),
    ("CREATE PROC dbo.x AS " + "/*" * 20 + "*/" * 20 + " SELECT 1", 1, "nested deeper than"),
    ("CREATE PROC dbo.x AS SELECT " + "(" * 5000 + "SELECT 1 FROM v" + ")" * 5000, 1, "nested too deep"),
    ("IF 1 = 1 " * 5000 + "PRINT 'x'", 1, "nested too deep"),
    ("CREATE PROC dbo.x AS\nSELECT 1\0", 2, "NUL"),
    ("CREATE PROC dbo.x AS\nSELECT * FROM $(db).dbo.v", 2, r"\$\(db\) is a variable of sqlcmd"),
    ("CREATE PROC dbo.x AS\nSELECT * FROM [$(db)].dbo.v", 2, "variable of sqlcmd"),
    (f":setvar a b\nGO\n{PROC}", 1, ":setvar is a command of sqlcmd"),
    (f"{PROC}\nGO\n:r more.sql", 3, ":r is a command of sqlcmd"),
    (f"{PROC}\n-- procver: requires dbo.nothing", 2, "dbo.nothing is not managed"),
    (f"{PROC}\n-- procver: requires dbo.v,", 2, "malformed directive"),
    (f"{PROC}\n-- procver: requires a.b.c", 2, "no name of an object"),
    (f"{PROC}\n-- procver: revision x", 2, "malformed directive"),
    (f"{PROC}\n-- procver: pin dbo.v", 2, "malformed directive"),
    (f"{PROC}\n-- procver: pin dbo.v = 1\n-- procver: pin DBO.V = 2", 3, "two pins of dbo.v: 1 and 2"),
    (f"{PROC}\n-- procver: pin dbo.x = 1", 2, "cannot pin itself"),
    (f"{PROC}\n-- procver: revision 1\n-- procver: revision 2", 3, "two revisions"),
    (f"{PROC}\n-- procver: frobnicate", 2, "unknown directive"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), REFUSALS)
def test_refusals(text: str, line: int, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        analyse(text)
    assert caught.value.line == line
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("text", "line", "message"), REFUSALS[:11])
def test_the_header_refuses_what_defines_nothing(text: str, line: int, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        header(text)
    assert caught.value.line == line


def test_names_that_differ_in_case_only_are_one_name() -> None:
    kinds = {Name("dbo", "x"): Kind.PROCEDURE, Name("DBO", "X"): Kind.PROCEDURE}
    with pytest.raises(SourceError, match="differ in case only") as caught:
        SCANNER.analyse(PROC, "dbo", Managed(kinds, ("dbo",)))
    assert caught.value.line == 1


def test_directives() -> None:
    text = (
        "-- procver: requires dbo.v, [a.b] , sp\n/* -- procver: nonsense */\n"
        f"{PROC} --procver:revision 3\n-- PROCVER: pin DBO.vthings = 12\nGO\n-- procver: requires dbo.X"
    )
    analysis = analyse(text)
    assert analysis.references == tuple(Name("dbo", leaf) for leaf in ("v", "a.b", "sp"))
    assert analysis.pins == ((Name("dbo", "vThings"), 12),)
    assert analysis.revision == 3
    assert analysis.shape == analyse(PROC).shape


def test_directives_in_strings_are_text() -> None:
    assert analyse("CREATE PROC dbo.x AS SELECT '-- procver: nonsense'").references == ()


def test_words_tell_when_an_analysis_is_out_of_date() -> None:
    text = "CREATE PROC dbo.x AS SELECT [My Col], t.Later FROM dbo.Ext e; EXEC('EXEC [Dyn amic]')"
    words = analyse(text).words.split("\n")
    assert {"my col", "My Col", "later", "Later", "ext", "dyn amic", "x", "dbo"} <= set(words)
    assert "select" not in words


@pytest.mark.parametrize("schema", ["sys", "INFORMATION_SCHEMA", "[procver]"])
def test_reserved_schemas_are_refused(schema: str) -> None:
    text = f"CREATE VIEW {schema}.x AS SELECT 1 AS n"
    for read in (analyse, header):
        with pytest.raises(SourceError, match="is reserved") as caught:
            read(text)
        assert "schema of your own" in (caught.value.hint or "")
