"""Messages of `lock` about a project's files and patterns, without a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from procver.cli import cli

VIEW = "CREATE VIEW dbo.Item AS SELECT 1 AS Id\nGO\n"
TYPE = "CREATE TYPE dbo.Item AS TABLE (Id int NOT NULL)\nGO\n"


def lock(root: Path, more: str, files: dict[str, str], code: int) -> Any:
    (root / "procver.toml").write_text(f'[project]\nname = "shop"\nsources = ["sql"]\n{more}')
    for name, text in files.items():
        path = root / "sql" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    done = CliRunner().invoke(cli, ["lock", "--json", "-C", str(root)])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if code == 0 else done.output


def test_a_pattern_of_exclude_that_matches_nothing(tmp_path: Path) -> None:
    files = {"a.sql": "CREATE VIEW v AS SELECT 1 AS a", "sub/Foo.sql": "CREATE VIEW w AS SELECT 1 AS a",
             "old/x.sql": "no SQL"}  # fmt: skip
    more = 'dialect = "postgresql"\nexclude = ["Foo.sql", "sql/old", "*/nothing*"]\n'
    remarks = lock(tmp_path, more, files, 0)["remarks"]
    assert [(each["rule"], each["file"], each["line"]) for each in remarks] == [
        ("idle-exclude", "procver.toml", 5)
    ] * 2
    assert ["'Foo.sql'" in remarks[0]["message"], "'*/nothing*'" in remarks[1]["message"]] == [True] * 2  # fmt: skip
    more = 'dialect = "postgresql"\nexclude = ["*/Foo.sql", "sql/old"]\n'
    assert lock(tmp_path, more, files, 0)["remarks"] == []


@pytest.mark.parametrize(("first", "second"), [(VIEW, TYPE), (TYPE, VIEW)])
def test_a_table_type_and_another_object_of_one_name(
    tmp_path: Path, first: str, second: str
) -> None:
    told = lock(tmp_path, 'dialect = "mssql"\n', {"a.sql": first, "b.sql": second}, 2)
    assert "cannot tell a table type and another object of one name apart" in told
    assert "sql/a.sql" in told
    assert "sql/b.sql" in told


def test_two_of_a_kind_are_still_one_too_many(tmp_path: Path) -> None:
    told = lock(tmp_path, 'dialect = "mssql"\n', {"a.sql": VIEW, "b.sql": VIEW}, 2)
    assert "dbo.Item is defined in sql/a.sql already" in told
