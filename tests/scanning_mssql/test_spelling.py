"""Names whose case changed, from file to lock: where case does not count they are still the same names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from procver.cli import cli
from procver.objects import Name
from procver.project.workspace import Project

CONFIG = '[project]\nname = "shop"\ndialect = "mssql"\nsources = ["sql"]\ndefault_schema = "dbo"\n'
FIND = "CREATE PROC dbo.spFind AS SELECT 1 AS n\n"
CALL = "CREATE PROC dbo.spCall AS EXEC dbo.spFind\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "procver.toml").write_text(CONFIG)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "find.sql").write_text(FIND)
    (tmp_path / "sql" / "call.sql").write_text(CALL)
    lock(tmp_path)
    return tmp_path


def lock(root: Path, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, ["lock", "--json", "-C", str(root)])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def added(root: Path) -> list[tuple[str, int]]:
    return [(entry["name"], entry["version"]) for entry in lock(root)["added"]]


def sent(root: Path, leaf: str) -> str:
    sources = Project.at(root).sources
    numbers = dict.fromkeys(sources.by_name, 7)
    return sources.statements(Name("dbo", leaf), numbers)[0].text


@pytest.mark.parametrize("cached", [True, False])
def test_another_case_is_no_new_object_and_no_new_version(root: Path, cached: bool) -> None:
    (root / "sql" / "find.sql").write_text(FIND.replace("dbo.spFind", "DBO.SPFIND"))
    if not cached:
        (root / ".procver" / "cache.sqlite3").unlink()
    before = (root / "procver.lock").read_bytes()
    assert added(root) == []
    assert (root / "procver.lock").read_bytes() == before
    assert sent(root, "spFind") == "CREATE PROC DBO.spFind_7 AS SELECT 1 AS n"
    assert sent(root, "spCall") == "CREATE PROC dbo.spCall_7 AS EXEC dbo.spFind_7"


def test_a_change_in_another_case_takes_the_next_number(root: Path) -> None:
    (root / "sql" / "find.sql").write_text("CREATE PROC spfind AS SELECT 2 AS n\n")
    assert added(root) == [("dbo.spCall", 2), ("dbo.spFind", 2)]
    (root / "sql" / "find.sql").write_text(FIND)
    assert added(root) == [], "and back again"


def test_ref_finds_it_in_another_case(root: Path) -> None:
    text = "CREATE PROC dbo.spText AS EXEC(N'EXEC {{ ref('DBO.SPFIND') }}')\n"
    (root / "sql" / "text.sql.j2").write_text(text)
    assert added(root) == [("dbo.spText", 1)]
    assert sent(root, "spText") == "CREATE PROC dbo.spText_7 AS EXEC(N'EXEC dbo.spFind_7')"
    (root / "sql" / "text.sql.j2").write_text(text.replace("SPFIND", "SPFINDS"))
    assert "did you mean dbo.spFind" in lock(root, code=2)["error"]["hint"]


def test_two_sources_that_differ_in_case_only(root: Path) -> None:
    (root / "sql" / "other.sql").write_text(FIND.replace("dbo.spFind", "dbo.SpFind"))
    error = lock(root, code=2)["error"]
    assert "differ in case only" in error["message"]
    (root / "sql" / "find.sql").write_text(FIND.replace("dbo.spFind", "dbo.SPFIND"))
    assert "spFind" in lock(root, code=2)["error"]["message"]


def test_a_source_named_like_a_version_in_another_case(root: Path) -> None:
    (root / "sql" / "other.sql").write_text(FIND.replace("dbo.spFind", "dbo.SPFIND_1"))
    assert "looks like version 1 of dbo.spFind" in lock(root, code=2)["error"]["message"]


def test_directives_in_another_case(root: Path) -> None:
    text = "-- procver: requires DBO.SPFIND\n-- procver: pin dbo.SPCALL = 1\n"
    (root / "sql" / "more.sql").write_text(text + "CREATE PROC dbo.spMore AS EXEC dbo.spCALL\n")
    assert added(root) == [("dbo.spMore", 1)]
    assert lock(root)["remarks"] == []
