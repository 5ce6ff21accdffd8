"""What is longer than a server's functions may hand on: texts, references and grants come back whole."""

from __future__ import annotations

from tests.mssql.shop import Shop

ROLES = [f"app_{number}_{'r' * 90}" for number in range(45)]
PARTS = [f"fnPart{number}{'x' * 90}" for number in range(45)]


def test_a_long_definition_comes_back_with_all_it_had(shop: Shop) -> None:
    """Text, references and grants of more than 4,000 characters each, as the registry keeps them."""
    place = shop.place
    for role in ROLES:
        place.sql(f"CREATE ROLE {role}")
    for part in PARTS:
        shop.write(**{part: f"CREATE FUNCTION dbo.{part}() RETURNS int AS\nBEGIN RETURN 1 END\n"})
    calls = " + ".join(f"dbo.{part}()" for part in PARTS)
    note = "-- Ärger, \"quoted\" and 'so'\n" * 200
    shop.write(
        spLong=f"CREATE PROC dbo.spLong AS\n{note}SELECT {calls} AS n\nGO\n"
        + "".join(f"GRANT EXECUTE ON dbo.spLong TO {role}\nGO\n" for role in ROLES)
    )
    shop.publish("1")
    shop.json("release", "activate", "1")
    kept = "SELECT definition, requires, privileges FROM procver.version WHERE leaf = N'spLong_1'"
    before = place.sql(kept)[0]
    assert min(map(len, before)) > 4000
    text = "SELECT definition FROM sys.sql_modules WHERE object_id = OBJECT_ID(N'dbo.spLong_1')"
    sent = place.sql(text)
    (shop.root / "sql/spLong.sql").unlink()
    shop.publish("2")
    shop.json("release", "activate", "2")
    shop.json("release", "retire", "1")
    shop.json("gc", "--apply")
    assert {d["physical"] for d in shop.json("gc", "--apply")["drop"]} == {"dbo.spLong_1"}
    shop.json("release", "activate", "1", "--restore")
    assert place.sql(text) == sent
    assert place.sql(kept)[0] == before
    assert place.sql("EXEC dbo.spLong_1") == [(45,)]
    assert shop.json("verify")["findings"] == []
