"""Definitions in strings, as Management Studio scripts them with *check for object existence*."""

from __future__ import annotations

import pytest

from procver.errors import SourceError
from procver.objects import Kind, Managed, Name
from procver.scanning.mssql import MssqlScanner

SCANNER = MssqlScanner()
SSMS = """\
/****** Object:  View [dbo].[v]    Script Date: 1/2/2026 ******/
SET ANSI_NULLS ON
GO
SET QUOTED_IDENTIFIER ON
GO
IF NOT EXISTS (SELECT * FROM sys.views WHERE object_id = OBJECT_ID(N'[dbo].[v]'))
EXEC dbo.sp_executesql @statement = N'/* don''t
ask */
CREATE VIEW [dbo].[v]
AS
SELECT t.id, ''it''''s'' AS x, N''GO'' AS y FROM dbo.t t
'
GO
GRANT SELECT ON dbo.v TO app
GO
"""
BODY = "/* don't\nask */\nCREATE VIEW [dbo].[v]\nAS\nSELECT t.id, 'it''s' AS x, N'GO' AS y FROM dbo.t t"


END = "'\nGO\nGRANT"


def lines(text: str) -> list[int]:
    """Return on which lines, from 1, some words first stand."""
    found = [line.split() for line in text.splitlines()]
    return [
        next(number for number, words in enumerate(found, 1) if word in words)
        for word in ("CREATE", "AS", "t.id,", "GRANT")
    ]


@pytest.mark.parametrize(
    "text",
    [
        SSMS,
        SSMS.replace("\n", "\r\n"),
        SSMS.replace("EXEC dbo", "BEGIN\nEXEC dbo").replace(END, "' \nEND\nGO\nGRANT"),
        SSMS.replace("dbo.sp_executesql @statement =", "sys.sp_executesql"),
        SSMS.replace("dbo.sp_executesql @statement = N'", "(N'").replace(END, "');\nGO\nGRANT"),
    ],
)
def test_the_definition_is_read_as_a_batch_of_its_own(text: str) -> None:
    found = SCANNER.unwrapped(text, "dbo")
    header = SCANNER.header(found, "dbo")
    assert (header.name, header.kind) == (Name("dbo", "v"), Kind.VIEW)
    managed = Managed({Name("dbo", "v"): Kind.VIEW}, ("dbo",))
    made = SCANNER.rewrite(found, "dbo", managed, {Name("dbo", "v"): "v_1"})
    texts = [statement.text.replace("\r\n", "\n").strip() for statement in made]
    assert texts[0].endswith(BODY.replace("[v]", "[v_1]"))
    assert "dbo.v_1" in texts[-1], "what follows belongs to it"
    assert lines(found) == lines(text)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE VIEW dbo.v AS SELECT 1 AS x",
        "EXEC('CREATE TABLE #t (x int)')\nGO\nCREATE VIEW dbo.v AS SELECT 1 AS x",
        "IF OBJECT_ID('dbo.p') IS NULL EXEC('CREATE PROC dbo.p AS SELECT 1')\nGO\nALTER PROC dbo.p AS SELECT 2",
        "EXEC('CREATE VIEW dbo.v AS ' + @rest)",
        "EXEC sp_executesql N'CREATE VIEW dbo.v AS SELECT 1 AS x', N'@a int', 1",
        "EXEC('CREATE VIEW dbo.v AS SELECT 1 AS x')\nGO\nEXEC('CREATE VIEW dbo.w AS SELECT 1 AS x')",
        "SET QUOTED_IDENTIFIER OFF\nEXEC('CREATE VIEW dbo.v AS SELECT 1 AS x')",
        "EXEC('ALTER VIEW dbo.v AS SELECT 1 AS x')",
        "CREATE PROC dbo.p AS EXEC('CREATE VIEW dbo.v AS SELECT 1 AS x')",
        "EXEC('CREATE VIEW dbo.v AS SELECT 1 AS x",
        "-- EXEC('CREATE VIEW dbo.v AS SELECT 1 AS x')",
    ],
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert SCANNER.unwrapped(text, "dbo") == text


def test_what_is_wrong_in_it_is_told_with_its_line() -> None:
    text = SCANNER.unwrapped(SSMS.replace("[dbo].[v]\nAS", "[a].[b].[v]\nAS"), "dbo")
    with pytest.raises(SourceError, match="more than two parts") as refused:
        SCANNER.header(text, "dbo")
    assert refused.value.line == 9


def test_a_text_that_alters_something_is_no_stub() -> None:
    text = "EXEC('ALTER PROC dbo.p AS SELECT 2')\nGO\nCREATE PROC dbo.p AS SELECT 1"
    with pytest.raises(SourceError, match="a call \\(EXEC\\) is not versioned"):
        SCANNER.analyse(text, "dbo", Managed({Name("dbo", "p"): Kind.PROCEDURE}, ("dbo",)))
