"""`procver init --roles`: which script it writes, where to, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from procver.cli import cli
from tests.cli.untouched import files

CONFIG = """\
[project]
name = "it's \\" one"
dialect = "{dialect}"
default_schema = "{schema}"
"""


def init(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["init", "--roles", *words, "-C", str(root)])


def project(root: Path, dialect: str = "postgresql", schema: str = "app", **sources: str) -> Path:
    (root / "procver.toml").write_text(CONFIG.format(dialect=dialect, schema=schema))
    (root / "sql").mkdir()
    for stem, text in (sources or {"a": "CREATE VIEW a AS SELECT 1 AS x"}).items():
        (root / "sql" / f"{stem}.sql").write_text(text)
    return root


@pytest.mark.parametrize(("dialect", "quoted"), [("postgresql", '"{}"'), ("mssql", "[{}]")])
def test_names_are_filled_in(tmp_path: Path, dialect: str, quoted: str) -> None:
    project(
        tmp_path, dialect,
        a="CREATE VIEW app.a AS SELECT 1 AS x", b="CREATE VIEW sales.b AS SELECT 1 AS x",
    )  # fmt: skip
    found = json.loads(init(tmp_path, "--prefix", "shop", "-o", "-", "--json").stdout)
    assert found["roles"] == ["shop_publisher", "shop_collector", "shop_app"]
    text = found["script"]
    assert not re.search(r"<[a-z]+>", text), "a name was left open"
    grants = re.findall(r"(?m)^ *GRANT .*", text)
    assert len(grants) == len(set(grants)), "a grant is written twice"
    assert "it's \" one" in text.splitlines()[0] or 'it\'s "" one' in text.splitlines()[0]
    for name in ("shop_publisher", "shop_collector", "shop_app", "app", "sales"):
        assert quoted.format(name) in text
    assert "-- each schema" not in text
    assert init(tmp_path, "--prefix", "shop", "-o", "-").stdout == text


@pytest.mark.parametrize(("dialect", "quoted"), [("postgresql", '"a""b]"'), ("mssql", '[a"b]]]')])
def test_hostile_schemas_are_quoted(tmp_path: Path, dialect: str, quoted: str) -> None:
    project(tmp_path, dialect, schema='a\\"b]')
    assert quoted in init(tmp_path, "-o", "-").stdout


def test_what_was_published_once_counts_though_its_source_is_gone(tmp_path: Path) -> None:
    project(
        tmp_path, a="CREATE VIEW old.a AS SELECT 1 AS x", b="CREATE VIEW app.b AS SELECT 1 AS x"
    )
    assert CliRunner().invoke(cli, ["lock", "-C", str(tmp_path)]).exit_code == 0
    (tmp_path / "sql" / "a.sql").unlink()
    assert '"old"' in init(tmp_path, "-o", "-").stdout


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    project(tmp_path)
    assert init(tmp_path).exit_code == 0
    place = tmp_path / "procver-roles.sql"
    assert place.read_text().startswith("-- Three roles")
    assert init(tmp_path).exit_code == 0, "the same again"
    place.write_text("mine")
    before = files(tmp_path)
    refused = init(tmp_path)
    assert (refused.exit_code, files(tmp_path)) == (2, before)
    assert "exists already, with other content" in refused.stderr
    assert "-o" in refused.stderr
    assert init(tmp_path, "-o", str(tmp_path / "other.sql")).exit_code == 0


@pytest.mark.parametrize("prefix", ["", "1a", "a b", "a;b", "a" * 51, 'x"', "é"])
def test_a_prefix_that_is_none(tmp_path: Path, prefix: str) -> None:
    project(tmp_path)
    before = files(tmp_path)
    refused = init(tmp_path, "--prefix", prefix)
    assert (refused.exit_code, files(tmp_path)) == (2, before)
    assert "cannot begin a role's name" in refused.stderr


def test_without_a_project_there_is_nothing_to_write_for(tmp_path: Path) -> None:
    refused = init(tmp_path)
    assert refused.exit_code == 2
    assert "procver init" in refused.stderr
    assert files(tmp_path) == {}


def test_a_schema_that_would_leave_its_line(tmp_path: Path) -> None:
    project(tmp_path, schema="a\\nb")
    refused = init(tmp_path)
    assert (refused.exit_code, (tmp_path / "procver-roles.sql").exists()) == (2, False)


def test_options_for_roles_alone_are_refused_without_them(tmp_path: Path) -> None:
    for words in (("--prefix", "x"), ("-o", "x.sql")):
        done = CliRunner().invoke(cli, ["init", *words, "-C", str(tmp_path)])
        assert done.exit_code == 2
        assert "--roles" in done.stderr
        assert files(tmp_path) == {}
    done = CliRunner().invoke(cli, ["init", "--roles", "--name", "x", "-C", str(tmp_path)])
    assert done.exit_code == 2
