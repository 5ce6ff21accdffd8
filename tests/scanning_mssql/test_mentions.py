"""Managed names in strings: what is reported, and what only looks like one."""

from __future__ import annotations

import pytest

from procver.objects import Analysis, Kind, Managed, Name
from tests.scanning_mssql.shop import SCANNER, analyse, body_rules

TYPE_LISTS = [
    "EXEC sp_executesql N'SELECT COUNT(*) AS n FROM @t', N'@t Things READONLY', @t",
    "EXEC sp_executesql N'SELECT COUNT(*) AS n FROM @t', N'@t dbo.Things READONLY', @t",
    "EXEC sp_executesql @sql, N'@a int, @t AS [Things] READONLY', 1, @t",
    "EXEC('DECLARE @t Things; INSERT @t SELECT 1')",
    "EXEC('DECLARE @a int, @t\tas\n things')",
    "SET @sql = N'CREATE PROCEDURE #p @t \"Things\" READONLY AS SELECT 1'",
]


@pytest.mark.parametrize("body", TYPE_LISTS)
def test_a_type_of_a_parameter_in_a_string(body: str) -> None:
    (note,) = analyse(f"CREATE PROCEDURE dbo.x @t Things READONLY AS\n{body}").notes
    assert (note.rule, note.line) == ("string-mention", 2)
    assert "dbo.Things is named in a string" in note.message
    assert "-- procver: requires dbo.Things" in note.hint


@pytest.mark.parametrize(
    "body",
    [
        "EXEC sp_executesql N'SELECT @Things', N'@Things int', 1",
        "EXEC sp_executesql N'SELECT @t', N'@t varchar(10)', 'Things'",
        "SET @s = 'many Things here'",
        "EXEC sp_executesql N'SELECT 1', N'@t app.Things READONLY', @t",
        "EXEC sp_executesql N'SELECT 1', N'@t v READONLY', @t",
    ],
)
def test_what_is_no_type_in_a_string(body: str) -> None:
    assert body_rules(body) == []


ELSEWHERE = [
    "IF OBJECT_ID('tempdb..#vThings') IS NOT NULL DROP TABLE #vThings",
    "IF OBJECT_ID(N'tempdb.dbo.#vThings') IS NOT NULL DROP TABLE #vThings",
    "IF OBJECT_ID('tempdb..[#vThings]') IS NOT NULL DROP TABLE #vThings",
    "EXEC('SELECT * FROM #vThings')",
    "EXEC('SELECT * FROM ##vThings')",
    "EXEC('SELECT * FROM @vThings')",
    "EXEC('INSERT #vThings SELECT 1')",
    "EXEC('SELECT * FROM otherdb.app.vThings')",
]
ABROAD = [
    "EXEC('SELECT * FROM otherdb.dbo.vThings')",
    "EXEC('SELECT * FROM otherdb..vThings')",
    "EXEC('SELECT * FROM [otherdb].[dbo].[vThings]')",
    "EXEC('SELECT * FROM srv.otherdb.dbo.vThings')",
    "EXEC('SELECT * FROM srv.Ours.dbo.vThings')",
    "IF OBJECT_ID('otherdb . dbo . vThings') IS NULL RETURN",
    "EXEC('SELECT otherdb.dbo.vThings.Id FROM otherdb.dbo.t')",
    "SELECT * FROM OPENQUERY(linked, 'SELECT Id FROM otherdb.dbo.vThings')",
]
HERE = [
    "EXEC('SELECT * FROM vThings')",
    "EXEC('SELECT * FROM dbo.vThings')",
    "EXEC('SELECT dbo.vThings.Id FROM t')",
    "EXEC('SELECT * FROM Ours.dbo.vThings')",
    "EXEC('SELECT * FROM [ours]..[vThings]')",
    "EXEC('SELECT Ours.dbo.vThings.Id FROM t')",
    "IF OBJECT_ID('vThings') IS NOT NULL RETURN",
    "EXEC('SELECT * FROM #t t JOIN dbo.vThings v ON 1 = 1')",
]


def in_ours(body: str) -> Analysis:
    kinds = {Name("dbo", "vThings"): Kind.VIEW}
    managed = Managed(kinds, ("dbo",), "_{version}", ("Ours",))
    return SCANNER.analyse(f"CREATE PROCEDURE dbo.x AS {body}", "dbo", managed)


@pytest.mark.parametrize("body", ABROAD)
def test_names_of_another_database_are_reported_as_such(body: str) -> None:
    (note,) = in_ours(body).notes
    assert note.rule == "database-name"
    assert "names another database" in note.message
    assert "requires" not in note.hint


@pytest.mark.parametrize("body", ELSEWHERE)
def test_temporary_tables_are_not_managed(body: str) -> None:
    assert [note.rule for note in in_ours(body).notes] == []


@pytest.mark.parametrize("body", HERE)
def test_names_of_this_database_are_reported(body: str) -> None:
    assert [note.rule for note in in_ours(body).notes] == ["string-mention"]


VIEW = "CREATE VIEW dbo.x AS SELECT a FROM dbo.t"
TRIGGER = "CREATE TRIGGER dbo.x_ins ON dbo.x INSTEAD OF INSERT AS\n"


@pytest.mark.parametrize(
    "body",
    [
        "IF TRIGGER_NESTLEVEL(OBJECT_ID('dbo.x_ins')) > 1 RETURN",
        "IF TRIGGER_NESTLEVEL(OBJECT_ID(N'[x_ins]'), 'AFTER', 'DML') > 1 RETURN",
        "EXEC('DISABLE TRIGGER dbo.x_ins ON dbo.t')",
        "EXEC sp_settriggerorder @triggername = 'dbo.x_ins', @order = 'First', @stmttype = 'INSERT'",
    ],
)
def test_a_trigger_named_in_its_own_text(body: str) -> None:
    (note,) = analyse(f"{VIEW}\nGO\n{TRIGGER}{body}").notes
    assert (note.rule, note.line) == ("string-mention", 4)
    assert "dbo.x_ins is named in a string" in note.message
    assert "@@PROCID" in note.hint


@pytest.mark.parametrize(
    "body",
    [
        "INSERT dbo.log VALUES ('x_ins')",
        "RAISERROR('dbo.x_ins failed', 16, 1)",
        "IF TRIGGER_NESTLEVEL(OBJECT_ID('app.x_ins')) > 1 RETURN",
    ],
)
def test_what_is_logged_under_the_name_of_the_trigger(body: str) -> None:
    assert analyse(f"{VIEW}\nGO\n{TRIGGER}{body}").notes == ()
