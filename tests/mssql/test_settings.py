"""Settings of the driver, login and database do not change what a version means."""

from __future__ import annotations

from procver.dialects.mssql import pyodbc
from procver.dialects.odbc import read_target
from tests.behaviour.worlds import NOW
from tests.mssql.shop import Shop

ODD = "Language=German;QuotedId=no;AnsiNPW=no;"
"""Connection string keywords of Microsoft's driver; FreeTDS passes over them."""

DATABASE = (
    "ANSI_NULL_DEFAULT OFF", "ANSI_NULLS OFF", "ANSI_PADDING OFF", "ANSI_WARNINGS OFF", "ARITHABORT OFF",
    "CONCAT_NULL_YIELDS_NULL OFF", "NUMERIC_ROUNDABORT ON", "QUOTED_IDENTIFIER OFF",
    "CURSOR_CLOSE_ON_COMMIT ON", "READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE",
)  # fmt: skip


def test_a_cycle_under_other_settings(shop: Shop) -> None:
    if not shop.babelfish:
        for setting in DATABASE:
            shop.place.sql(f"ALTER DATABASE CURRENT SET {setting}")
    shop.url = f"{read_target(shop.place.url, pyodbc.drivers()).text.rstrip(';')};{ODD}"
    shop.configure(more=NOW)
    shop.write(
        quoted='CREATE VIEW dbo.quoted AS SELECT 1 AS "one", NULLIF(1, NULL) AS [two]\nGO\n',
        Things="CREATE TYPE dbo.Things AS TABLE (Id int, Name varchar(10))\nGO\n",
    )
    shop.publish("1")
    shop.run("release", "activate", "1")
    assert shop.place.sql("SELECT [one], [two] FROM dbo.quoted_1") == [(1, 1)]
    nullable = "SELECT is_nullable FROM sys.columns WHERE object_id = (SELECT type_table_object_id FROM sys.table_types WHERE name = 'Things_1')"
    if not shop.babelfish:
        assert shop.place.sql(nullable) == [(True,), (True,)]
        modules = shop.place.sql(
            "SELECT DISTINCT uses_quoted_identifier, uses_ansi_nulls FROM sys.sql_modules"
            " WHERE OBJECT_SCHEMA_NAME(object_id) = 'dbo'"
        )
        assert modules == [(True, True)]
    assert shop.json("verify")["findings"] == []
    shop.write(quoted='CREATE VIEW dbo.quoted AS SELECT 2 AS "one"\nGO\n')
    shop.publish("2")
    shop.run("release", "activate", "2")
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    assert shop.json("gc", "--apply")["dropped"] == 1
    shop.run("restore", "dbo.quoted_1")
    assert shop.json("verify")["findings"] == []
