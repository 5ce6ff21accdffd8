"""What ``procver init --dialect mssql`` writes can be published as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from procver.cli import cli
from tests.mssql.conftest import Place, new_database


@pytest.fixture
def place() -> Iterator[Place]:
    with new_database() as made:
        yield made


def test_the_example_is_published_and_answers(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCVER_LOCAL_URL", place.url)

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli, [*words, "-C", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    run("init", "--dialect", "mssql")
    assert "2 to create" in run("publish", "--release", "1")
    assert place.sql("SELECT dbo.greet_1(N'Ada', 'fr')") == [("Bonjour, Ada!",)]
    view = tmp_path / "sql" / "greetings.sql"
    view.write_text(view.read_text().replace("Bonjour", "Salut"))
    plan = json.loads(run("publish", "--release", "2", "--json"))
    assert [c["physical"] for c in plan["create"]] == ["dbo.greetings_2", "dbo.greet_2"]
    assert place.sql("SELECT dbo.greet_1(N'Ada', 'fr'), dbo.greet_2(N'Ada', 'fr')") == [
        ("Bonjour, Ada!", "Salut, Ada!")
    ]
