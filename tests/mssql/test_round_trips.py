"""Round trips of a command with nothing to do: as many for many objects as for few."""

from __future__ import annotations

from pathlib import Path

import pytest

from procver.dialects.mssql import MssqlDatabase
from tests.mssql.conftest import Place
from tests.mssql.yard import ALONE, NOW, Yard


def test_nothing_changed_takes_constant_round_trips(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    for name in ("_send", "_rows"):
        plain = getattr(MssqlDatabase, name)

        def counted(self: MssqlDatabase, *words: str, plain: object = plain) -> object:
            sent.append(words[0])
            return plain(self, *words)  # type: ignore[operator]

        monkeypatch.setattr(MssqlDatabase, name, counted)
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
