"""A version that nobody may use any more, before it is dropped."""

from __future__ import annotations

from tests.mssql.shop import CONFIG, WIDER, Shop


def test_quarantine_takes_what_was_granted_and_gives_it_back(shop: Shop) -> None:
    place = shop.place
    shop.publish("1")
    shop.run("release", "activate", "1")
    before = place.sql("SELECT q.privileges FROM procver.privileges(?) q", WORK)
    assert "EXECUTE" in before[0][0]
    shop.write(vThings=WIDER)
    shop.publish("2")
    shop.run("release", "activate", "2")
    shop.run("release", "retire", "1")
    (shop.root / "procver.toml").write_text(
        CONFIG.format(url=place.url) + 'quarantine = "1h"\n', "utf-8"
    )
    assert len(shop.run("gc", "--apply")["condemn"]) == 4
    found = shop.run("gc", "--apply")
    assert found["drop"] == []
    assert len(found["quarantine"]) == 4
    closed = place.sql("SELECT q.privileges FROM procver.privileges(?) q", WORK)[0][0]
    assert '"EXECUTE"' not in closed
    if not is_babelfish(shop):
        assert '[null,"DENY EXECUTE",false]' in closed
    shop.run("restore", "dbo.spFindThings_1")
    assert place.sql("SELECT q.privileges FROM procver.privileges(?) q", WORK) == before


WORK = '[{"schema": "dbo", "leaf": "spFindThings_1", "kind": "procedure"}]'


def is_babelfish(shop: Shop) -> bool:
    return shop.place.sql("SELECT SERVERPROPERTY('BabelfishVersion')")[0][0] is not None
