"""Places of names outside of queries and calls, as ScriptDom's syntax tree lists them."""

from __future__ import annotations

import pytest

from tests.scanning_mssql.shop import body_rules, in_body

REWRITTEN = [
    ("EXEC dbo.other WITH RESULT SETS (AS OBJECT dbo.v)", "dbo.v"),
    ("EXEC dbo.other WITH RESULT SETS (AS OBJECT [dbo].[v], (a int), AS TYPE t.u)", "[dbo].[v]"),
    ("EXEC dbo.other WITH RESULT SETS (AS OBJECT v)", "v)"),
    ("EXEC dbo.other WITH RESULT SETS (AS OBJECT dbo.tvf)", "dbo.tvf"),
    ("EXEC dbo.other WITH RESULT SETS ((a int), AS TYPE dbo.Things)", "dbo.Things"),
    ("EXEC dbo.other WITH RESULT SETS (AS TYPE Things)", "Things"),
    ("EXEC dbo.sp WITH RESULT SETS ((a int))", "dbo.sp"),
    ("CREATE QUEUE q WITH STATUS = ON, ACTIVATION (PROCEDURE_NAME = dbo.sp, MAX_QUEUE_READERS = 5, EXECUTE AS SELF)", "dbo.sp"),
    ("ALTER QUEUE q WITH ACTIVATION (PROCEDURE_NAME = [sp])", "[sp]"),
    ("CREATE SYNONYM dbo.s FOR dbo.v", "dbo.v"),
    ("CREATE SYNONYM s FOR sp", "sp"),
    ("ALTER AUTHORIZATION ON OBJECT::dbo.v TO a", "dbo.v"),
    ("ALTER AUTHORIZATION ON dbo.sp TO SCHEMA OWNER", "dbo.sp"),
    ("ALTER AUTHORIZATION ON TYPE::dbo.Things TO a", "dbo.Things"),
    ("ADD SIGNATURE TO dbo.sp BY CERTIFICATE c", "dbo.sp"),
    ("ADD COUNTER SIGNATURE TO OBJECT::dbo.sp BY CERTIFICATE c", "dbo.sp"),
    ("DROP SIGNATURE FROM dbo.sp BY CERTIFICATE c", "dbo.sp"),
    ("CREATE STATISTICS s ON dbo.v (a)", "dbo.v"),
    ("UPDATE STATISTICS dbo.v s", "dbo.v"),
    ("CREATE INDEX i ON dbo.v (a)", "dbo.v"),
    ("DECLARE @t dbo.Things", "dbo.Things"),
    ("GRANT SELECT ON dbo.v TO a", "dbo.v"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "name"), REWRITTEN)
def test_a_name_in_each_place_follows_the_version(body: str, name: str) -> None:
    bracket = name.rstrip(")]")
    versioned = name.replace(bracket, f"{bracket}_2")
    assert in_body(body) == body.replace(name, versioned)
    assert body_rules(body) == []


@pytest.mark.parametrize(
    "body",
    [
        "SELECT object, type, signature, synonym FROM dbo.t AS object",
        "SELECT object.v, type.v FROM dbo.t AS object, dbo.u AS type",
        "SELECT a AS object, b AS type FROM dbo.t",
        "SELECT procedure_name FROM dbo.t WHERE procedure_name = 'sp'",
        "EXEC dbo.other WITH RESULT SETS (AS FOR XML)",
        "EXEC dbo.other WITH RESULT SETS ((v int, sp varchar(9)))",
        "CREATE SYNONYM v FOR dbo.t",
        "CREATE QUEUE v WITH ACTIVATION (PROCEDURE_NAME = dbo.other)",
    ],
)
def test_words_of_these_clauses_are_names_elsewhere(body: str) -> None:
    assert in_body(body) == body
