"""A signature is of one text: that a new version lacks it is said before and after it is published."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from procver.dialects import mssql
from procver.registry import upgrades
from tests.mssql.shop import Shop

AGAIN = "CREATE PROC dbo.spAlone AS SELECT 43 AS n\n"
SIGN = "GO\nADD SIGNATURE TO dbo.spAlone BY CERTIFICATE [a {b}]\nGO\n"
HINT = "ADD SIGNATURE TO dbo.spAlone_2 BY CERTIFICATE [a {b}]"


def unsigned(document: dict[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    return [remark for remark in document["remarks"] if remark["rule"] == "unsigned"]


def test_a_new_version_of_a_signed_procedure_is_reported(shop: Shop) -> None:
    if shop.babelfish:
        pytest.skip("Babelfish signs nothing")
    shop.place.sql(
        "CREATE CERTIFICATE [a {b}] ENCRYPTION BY PASSWORD = N'Pr0cver-test' WITH SUBJECT = N'test'"
    )
    try:
        shop.publish("1")
        shop.place.sql(
            "ADD SIGNATURE TO dbo.spAlone_1 BY CERTIFICATE [a {b}] WITH PASSWORD = N'Pr0cver-test'"
        )
        shop.write(spAlone=AGAIN)
        (remark,) = unsigned(shop.json("publish", "--release", "2"))
        assert remark["hint"].startswith(HINT)
    finally:
        shop.place.sql("DROP PROCEDURE dbo.spAlone_1")
        shop.place.sql("DROP CERTIFICATE [a {b}]")


@pytest.fixture
def pretended(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """SQL Server's own statements, on tables that look like its views, on whatever server this is."""
    asked, place = mssql._queries, shop.place

    def pretend(text: str) -> str:
        for view in ("crypt_properties", "certificates"):
            text = text.replace(f"sys.{view}", f"dbo.{view}")
        return text

    def queries(flavour: str) -> dict[str, str]:
        of_server = asked("sqlserver")
        return asked(flavour) | {
            n: pretend(of_server[n]) for n in ("signatures", "keep_signatures")
        }

    place.sql(
        "CREATE TABLE dbo.crypt_properties (class int, major_id int, thumbprint varbinary(32), crypt_type char(4))"
    )
    place.sql("CREATE TABLE dbo.certificates (name nvarchar(128), thumbprint varbinary(32))")
    place.sql("INSERT dbo.certificates (name, thumbprint) VALUES (N'a {b}', 0x01)")
    kept = re.search(
        r"CREATE PROCEDURE procver\.keep_signatures.*?\nEND;", upgrades("mssql")[1].sql, re.DOTALL
    )
    assert kept is not None
    if not shop.babelfish:
        place.sql("DROP PROCEDURE procver.keep_signatures")
    place.sql(pretend(kept[0]))
    monkeypatch.setattr(mssql, "_queries", queries)
    yield shop
    place.sql("DROP PROCEDURE procver.keep_signatures")
    if not shop.babelfish:
        place.sql(kept[0])


def test_what_is_signed_is_told_with_the_statement_that_signs_the_next(pretended: Shop) -> None:
    pretended.publish("1")
    pretended.place.sql(
        "INSERT dbo.crypt_properties (class, major_id, thumbprint, crypt_type)"
        " VALUES (1, OBJECT_ID(N'dbo.spAlone_1'), 0x01, 'SPVC'), (1, OBJECT_ID(N'dbo.vThings_1'), 0x01, 'SPVC')"
    )
    pretended.write(spAlone=AGAIN)
    for words in (("plan",), ("publish", "--release", "2")):
        (remark,) = unsigned(pretended.json(*words))
        assert remark["file"] == "sql/spAlone.sql"
        assert "dbo.spAlone_1 is signed, and dbo.spAlone_2 will not be" in remark["message"]
        assert remark["hint"].startswith(HINT)
    assert unsigned(pretended.json("plan")) == [], "nothing is created"
    pretended.place.sql(
        "UPDATE dbo.crypt_properties SET major_id = OBJECT_ID(N'dbo.spAlone_2') WHERE major_id = OBJECT_ID(N'dbo.spAlone_1')"
    )
    pretended.write(spAlone=AGAIN.replace("43", "44") + SIGN)
    assert unsigned(pretended.json("plan")) == [], "the source signs it"


def test_babelfish_is_not_asked(shop: Shop) -> None:
    assert shop.json("plan")["remarks"] == []
    if shop.babelfish:
        assert mssql._queries("babelfish")["signatures"] == ""


def test_what_was_signed_and_comes_back_is_told(
    pretended: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    pretended.publish("1")
    pretended.json("release", "activate", "1")
    (pretended.root / "sql/spAlone.sql").unlink()
    pretended.publish("2")
    pretended.json("release", "activate", "2")
    pretended.json("release", "retire", "1")
    pretended.place.sql(
        "INSERT dbo.crypt_properties (class, major_id, thumbprint, crypt_type)"
        " VALUES (1, OBJECT_ID(N'dbo.spAlone_1'), 0x01, 'SPVC'), (1, OBJECT_ID(N'dbo.spAlone_1'), 0x02, 'CPVC')"
    )
    pretended.json("gc", "--apply")
    assert pretended.json("gc", "--apply")["dropped"] == 1
    pretended.json("restore", "dbo.spAlone_1")
    told = [r.getMessage() for r in caplog.records if "without its signature" in r.getMessage()]
    assert len(told) == 2
    assert any(HINT.replace("_2", "_1") in message for message in told)
    assert any("ADD COUNTER SIGNATURE TO dbo.spAlone_1 BY the same" in message for message in told)
    assert pretended.json("verify")["findings"] == []
    caplog.clear()
    pretended.place.sql("DELETE FROM dbo.crypt_properties")
    pretended.json("gc", "--apply")
    pretended.json("gc", "--apply")
    pretended.json("restore", "dbo.spAlone_1")
    assert "without its signature" not in caplog.text
