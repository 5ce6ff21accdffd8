"""A version that nobody may use any more, before it is dropped."""

from __future__ import annotations

from tests.behaviour.worlds import NOW
from tests.mssql.shop import WIDER, Shop


def test_quarantine_takes_what_was_granted_and_gives_it_back(shop: Shop) -> None:
    place = shop.place
    shop.publish("1")
    shop.json("release", "activate", "1")
    before = place.sql("SELECT q.privileges FROM procver.privileges(?) q", WORK)
    assert "EXECUTE" in before[0][0]
    shop.write(vThings=WIDER)
    shop.publish("2")
    shop.json("release", "activate", "2")
    shop.json("release", "retire", "1")
    shop.configure(more=NOW + 'quarantine = "1h"\n')
    assert len(shop.json("gc", "--apply")["condemn"]) == 4
    found = shop.json("gc", "--apply")
    assert found["drop"] == []
    assert len(found["quarantine"]) == 4
    closed = place.sql("SELECT q.privileges FROM procver.privileges(?) q", WORK)[0][0]
    assert '"EXECUTE"' not in closed
    if not shop.babelfish:
        assert '[null,"DENY EXECUTE",false]' in closed
    shop.json("restore", "dbo.spFindThings_1")
    assert place.sql("SELECT q.privileges FROM procver.privileges(?) q", WORK) == before


WORK = '[{"schema": "dbo", "leaf": "spFindThings_1", "kind": "procedure"}]'
