"""Round trips of a command with nothing to do: as many for many objects as for few."""

from __future__ import annotations

from pathlib import Path

import pytest

from procver.dialects.mssql import MssqlDatabase
from tests.mssql.conftest import Place
from tests.mssql.yard import ALONE, NOW, Yard


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is sent from now on, each a round trip."""
    sent: list[str] = []
    for name in ("_send", "_rows"):
        plain = getattr(MssqlDatabase, name)

        def counted(self: MssqlDatabase, *words: str, plain: object = plain) -> object:
            sent.append(words[0])
            return plain(self, *words)  # type: ignore[operator]

        monkeypatch.setattr(MssqlDatabase, name, counted)
    return sent


def test_nothing_changed_takes_constant_round_trips(
    place: Place, tmp_path: Path, sent: list[str]
) -> None:
    yard = Yard(tmp_path / "project", place, NOW)
    yard.lay()
    counts = []
    for release, objects in (("1", 3), ("2", 40)):
        for number in range(objects):
            yard.write(**{f"more_{number}x": ALONE.replace("alone", f"more_{number}x")})
        yard.publish(release)
        yard.run("release", "activate", release)
        sent.clear()
        assert yard.publish(release)["create"] == []
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 15


def test_what_is_created_shares_round_trips(place: Place, tmp_path: Path, sent: list[str]) -> None:
    yard = Yard(tmp_path / "project", place, NOW)
    yard.lay()
    yard.publish("0")
    counts = []
    for release, objects in (("1", 4), ("2", 24)):
        for number in range(objects):
            leaf = f"more_{release}_{number}x"
            yard.write(**{leaf: ALONE.replace("alone", leaf)})
        sent.clear()
        assert len(yard.publish(release)["create"]) == objects
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_what_shares_a_batch_is_kept_as_it_was_written(place: Place, tmp_path: Path) -> None:
    yard = Yard(tmp_path / "project", place, NOW)
    yard.lay()
    art = "CREATE VIEW app.art AS -- \\\n/* it's \\\r\n */ SELECT N'it''s \\ {o} ? N''Ąж😀' AS x\n"
    quoted = "CREATE PROC app.quoted AS\nSELECT 'it''s' AS a, '''EXEC(N''''x'''')''' AS b -- don't\nFROM app.thing\n"
    yard.write(art=art, quoted=quoted)
    yard.publish("1")
    for leaf, source in (("art", art), ("quoted", quoted), ("alone", ALONE)):
        (kept,) = yard.sql(
            "SELECT definition FROM sys.sql_modules WHERE object_id = OBJECT_ID(?)", f"app.{leaf}_1"
        )[0]
        assert kept.strip() == source.replace(f"app.{leaf}", f"app.{leaf}_1", 1).strip()
    assert yard.sql("EXEC app.quoted_1") == [("it's", "'EXEC(N''x'')'")] * 2
    assert yard.sql("SELECT x FROM app.art_1") == [("it's \\ {o} ? N'Ąж😀",)]
