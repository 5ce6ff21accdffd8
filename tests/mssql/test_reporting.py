"""`procver log` and `procver status` on SQL Server: the same filters and figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.mssql.shop import SOURCES, Shop

OTHER = SOURCES["spAlone"].replace("42", "43")


def live(shop: Shop) -> None:
    """Publish two releases and retire the first; condemn, drop and restore a version."""
    shop.run("publish", "-r", "1")
    shop.run("release", "activate", "1")
    shop.write(spAlone=OTHER)
    shop.run("publish", "-r", "2")
    shop.run("release", "activate", "2", "-i", "web-1")
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    shop.run("gc", "--apply")
    shop.run("restore", "dbo.spAlone_1")


LIFE = [
    ("create", "1"),
    ("publish", "1"),
    ("activate", "1"),
    ("create", "2"),
    ("publish", "2"),
    ("activate", "2"),
    ("retire", "1"),
    ("condemn", "dbo.spAlone_1"),
    ("drop", "dbo.spAlone_1"),
    ("restore", "dbo.spAlone_1"),
]


def told(shop: Shop, *words: str) -> list[tuple[str, str]]:
    """Return action and subject of events, oldest first; a file with session settings has a unit of its own."""
    events: list[dict[str, Any]] = shop.run("log", *words)["events"]
    found = [(e["action"], e["subject"]) for e in reversed(events)]
    return [event for at, event in enumerate(found) if at == 0 or event != found[at - 1]]


def test_a_life_is_told_of(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    live(shop)  # once for all that is looked at: it takes Babelfish a minute
    the_trail_and_its_filters(shop, monkeypatch)
    the_status(shop)
    what_a_pin_needs_is_referenced(shop)


def the_trail_and_its_filters(lived: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(lived) == LIFE
    assert told(lived, "--all") == LIFE
    assert told(lived, "-n", "3") == LIFE[-3:]
    assert told(lived, "--action", "drop", "--action", "retire") == [LIFE[6], LIFE[8]]
    assert told(lived, "--release", "2") == [LIFE[3], LIFE[4], LIFE[5]]
    assert told(lived, "--object", "dbo.spAlone_1") == [LIFE[0], LIFE[7], LIFE[8], LIFE[9]]
    assert told(lived, "--since", "1h") == LIFE
    assert told(lived, "--until", "1h") == []
    assert told(lived, "--since", "36500d", "--until", "0s") == LIFE
    assert told(lived, "--since", "2020-01-01T10:00:00.123456+02:00") == LIFE
    assert told(lived, "--until", "2020-01-01") == []
    events = lived.run("log")["events"]
    now = datetime.now(UTC)
    assert all(abs(datetime.fromisoformat(e["at"]) - now) < timedelta(hours=1) for e in events)
    assert len({e["actor"] for e in events}) == 1
    assert told(lived, "--actor", events[0]["actor"]) == LIFE
    assert told(lived, "--actor", "nobody") == []
    assert events[0]["detail"] == {"release": None, "versions": ["dbo.spAlone_1"]}
    assert "only retired releases map to it (1)" in events[1]["detail"]["why"]
    monkeypatch.setattr("procver.audit.PAGE", 3)
    assert told(lived, "--all") == LIFE


def the_status(lived: Shop) -> None:
    found = lived.run("status")
    count = len(SOURCES)
    assert found["versions"] == {"present": count + 1, "condemned": 0, "dropped": 0}
    assert found["releases"] == {"published": 0, "live": 1, "retired": 1}
    assert found["live"] == ["2"]
    assert found["instances"] == [{"release": "2", "living": 1, "stale": 0}]
    assert found["unreferenced"]["count"] == 1
    oldest = found["unreferenced"]["oldest"]
    assert oldest["physical"] == "dbo.spAlone_1"
    assert 0 <= oldest["seconds"] < 3600
    assert {key: found["gc"][key] for key in ("dropped", "condemned")} == {
        "dropped": 1,
        "condemned": 0,
    }
    lived.place.sql(
        "UPDATE procver.release SET retired_at = DATEADD(day, -2, retired_at) WHERE name = '1'"
    )
    lived.place.sql("UPDATE procver.version SET created_at = DATEADD(day, -3, created_at)")
    days = lived.run("status")["unreferenced"]["oldest"]["seconds"] / 86400
    assert 2 <= days < 2.1


def what_a_pin_needs_is_referenced(lived: Shop) -> None:
    text = (lived.root / "procver.toml").read_text("utf-8")
    (lived.root / "procver.toml").write_text(text + 'pins = ["dbo.spAlone_1"]\n', "utf-8")
    assert lived.run("status")["unreferenced"] == {"count": 0, "oldest": None}
