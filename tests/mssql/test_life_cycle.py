"""From T-SQL source to published version to mapping to gc, on a real server, by the command line."""

from __future__ import annotations

import pytest

from tests.mssql.shop import SOURCES, WIDER, Shop


def test_a_rolling_deployment_from_first_to_last(shop: Shop) -> None:
    place = shop.place
    assert {p: reason for p, (reason, _) in shop.created("1").items()} == {
        f"dbo.{name}_1": "new" for name in SOURCES
    }
    old = shop.resolver()
    shop.json("release", "activate", "1")
    assert shop.created("1") == {}
    shop.write(vThings=WIDER)
    assert shop.created("2") == {
        "dbo.vThings_2": ("changed", []),
        "dbo.spFindThings_2": ("dependency", ["dbo.vThings"]),
        "dbo.spFindWanted_2": ("dependency", ["dbo.vThings"]),
        "dbo.fnCount_2": ("dependency", ["dbo.vThings"]),
    }
    new = shop.resolver()
    assert place.sql(f"EXEC {old['spFindThings']} @minimum = 2") == [(2, "bolt"), (3, "crane")]
    assert place.sql(f"EXEC {new['spFindThings']} @minimum = 2") == [
        (2, "bolt", 1),
        (3, "crane", 5000),
    ]
    assert place.sql(
        f"DECLARE @w {new['dbo.Wanted']}; INSERT @w (id) VALUES (3); EXEC {new['dbo.spFindWanted']} @wanted = @w"
    ) == [("crane",)]
    shop.json("release", "activate", "2")
    shop.json("release", "retire", "1")
    assert shop.json("verify")["findings"] == []
    shown = shop.json("gc", "--apply")
    leaving = {"dbo.vThings_1", "dbo.spFindThings_1", "dbo.spFindWanted_1", "dbo.fnCount_1"}
    assert {c["physical"] for c in shown["condemn"]} == leaving
    done = shop.json("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == leaving
    assert place.objects() == {
        "dbo.vthings_2", "dbo.spfindthings_2", "dbo.spfindwanted_2", "dbo.fncount_2", "dbo.wanted_1",
        "dbo.spalone_1",
    }  # fmt: skip
    shop.json("release", "activate", "1", "--restore")
    assert place.sql(f"EXEC {old['spFindThings']} @minimum = 3") == [(3, "crane")]
    assert shop.json("verify")["findings"] == []


def test_what_the_team_wrote_by_hand_keeps_a_version(shop: Shop) -> None:
    shop.publish("1")
    shop.json("release", "activate", "1")
    shop.place.sql("CREATE PROCEDURE dbo.nightly AS EXEC dbo.spFindThings_1 @minimum = 0")
    shop.write(vThings=WIDER)
    shop.publish("2")
    shop.json("release", "activate", "2")
    shop.json("release", "retire", "1")
    shop.json("gc", "--apply")
    done = shop.json("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == {"dbo.spFindWanted_1", "dbo.fnCount_1"}
    kept = {k["physical"]: k["because"] for k in done["keep"]}
    assert "dbo.nightly" in kept["dbo.spFindThings_1"][0]
    assert "dbo.vThings_1" in kept, "what a kept version needs is kept too"


def test_a_syntax_error_names_file_and_line(shop: Shop) -> None:
    shop.write(spAlone="-- one\nCREATE PROC dbo.spAlone AS\nSELECT 1\nSELEC 2\n")
    refused = shop.json("publish", "--release", "1", code=3)["error"]
    assert "spAlone.sql:4" in refused["message"]
    assert refused["hint"]


@pytest.mark.parametrize(
    "column",
    ["n int NULL DEFAULT dbo.fnCount_1()", "n int NULL CHECK (n <= dbo.fnCount_1())"],
    ids=["default", "check"],
)
def test_a_table_that_uses_a_function_keeps_its_version(shop: Shop, column: str) -> None:
    shop.publish("1")
    shop.json("release", "activate", "1")
    shop.place.sql(f"CREATE TABLE dbo.counted (id int NOT NULL, {column})")
    shop.write(vThings=WIDER)
    shop.publish("2")
    shop.json("release", "activate", "2")
    shop.json("release", "retire", "1")
    shop.json("gc", "--apply")
    done = shop.json("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == {"dbo.spFindThings_1", "dbo.spFindWanted_1"}
    kept = {k["physical"]: " ".join(k["because"]) for k in done["keep"]}
    assert "counted" in kept["dbo.fnCount_1"]
    shop.place.sql("INSERT dbo.counted (id) VALUES (1)")
    shop.place.sql("DROP TABLE dbo.counted")
    shop.json("gc", "--apply")
    dropped = {d["physical"] for d in shop.json("gc", "--apply")["drop"]}
    assert "dbo.fncount_1" not in shop.place.objects(), dropped


def test_each_version_of_a_view_has_its_own_instead_of_trigger(shop: Shop) -> None:
    trigger = (
        "GO\nCREATE TRIGGER dbo.trThings ON dbo.vThings INSTEAD OF INSERT AS\n"
        "INSERT dbo.Thing (id, name, price) SELECT i.id, i.name, {} FROM inserted i\nGO\n"
    )
    shop.write(vThings=SOURCES["vThings"] + trigger.format(1))
    shop.publish("1")
    shop.json("release", "activate", "1")
    shop.write(vThings=SOURCES["vThings"] + trigger.format(2))
    assert "dbo.vThings_2" in shop.created("2")
    shop.place.sql("INSERT dbo.vThings_1 (id, name) VALUES (11, N'old')")
    shop.place.sql("INSERT dbo.vThings_2 (id, name) VALUES (12, N'new')")
    assert shop.place.sql("SELECT id, price FROM dbo.Thing WHERE id > 10 ORDER BY id") == [
        (11, 1),
        (12, 2),
    ]
    assert shop.json("verify")["findings"] == []
    shop.json("release", "activate", "2")
    shop.json("release", "retire", "1")
    shop.place.sql("CREATE TRIGGER dbo.byHand ON dbo.vThings_1 INSTEAD OF DELETE AS SELECT 1 AS n")
    shop.json("gc", "--apply")
    kept = {k["physical"]: k["because"] for k in shop.json("gc", "--apply")["keep"]}
    assert "dbo.byhand" in kept["dbo.vThings_1"][0].lower(), "somebody's own"
    shop.place.sql("DROP TRIGGER dbo.byHand")
    shop.json("gc", "--apply")
    assert "dbo.vThings_1" in {d["physical"] for d in shop.json("gc", "--apply")["drop"]}
    assert "dbo.vthings_1" not in shop.place.objects()
    shop.json("release", "activate", "1", "--restore")
    shop.place.sql("INSERT dbo.vThings_1 (id, name) VALUES (13, N'again')")
    assert shop.place.sql("SELECT price FROM dbo.Thing WHERE id = 13") == [(1,)]
