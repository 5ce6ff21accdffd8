"""What ``procver init`` writes can be used as it is, whatever the project or its directory is called."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from procver.cli import cli
from tests.cli.untouched import files

NAMES = [
    "shop", 'O"Brien', "it's", "two words", "back\\slash", "$(touch hacked)", "Ünïcödé", "日本語", "a" * 100, "[x]", "#",
    "{name}", "%s", "; DROP SCHEMA procver; --",
]  # fmt: skip


def init(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["init", *words, "-C", str(root)])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    assert json.loads(init(tmp_path, "--name", name, "--json").stdout)["project"] == name
    assert tomllib.loads((tmp_path / "procver.toml").read_text("utf-8"))["project"]["name"] == name
    done = CliRunner().invoke(cli, ["lock", "--json", "-C", str(tmp_path)])
    assert [entry["name"] for entry in json.loads(done.stdout)["added"]] == [
        "public.greet",
        "public.greetings",
    ]


@pytest.mark.parametrize("name", [*NAMES[1:8], "-", "..x", "n" * 200, "esc\x1b[2J"])
def test_a_directory_called_anything(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    done = init(root)
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    assert CliRunner().invoke(cli, ["lock", "-C", str(root)]).exit_code == 0


@pytest.mark.parametrize("name", ["", " ", " x", "a\nb", "a\x1b[2Jb", "n" * 101, "\x00"])
def test_a_name_that_no_one_could_read_or_type(tmp_path: Path, name: str) -> None:
    done = init(tmp_path, "--name", name, "--json")
    assert done.exit_code == 2
    error = json.loads(done.stdout)["error"]
    assert "cannot be a project name" in error["message"]
    assert "1 to 100" in error["hint"]
    assert files(tmp_path) == {}


@pytest.mark.parametrize("there", ["procver.toml", "sql/greet.sql"])
def test_nothing_is_written_over(tmp_path: Path, there: str) -> None:
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    done = init(tmp_path)
    assert done.exit_code == 2
    assert f"{there} exists already" in done.stderr
    assert files(tmp_path) == {there: b"mine"}


def test_an_ignore_file_is_added_to(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("build/\n")
    init(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "build/\n.procver/\n"


@pytest.mark.parametrize(("dialect", "schema"), [("postgresql", "public"), ("mssql", "dbo")])
def test_the_example_is_in_the_words_of_its_dialect(
    tmp_path: Path, dialect: str, schema: str
) -> None:
    said = init(tmp_path, "--dialect", dialect).stdout
    assert ("set PROCVER_LOCAL_URL" in said) == (dialect == "mssql")
    text = (tmp_path / "procver.toml").read_text("utf-8")
    assert tomllib.loads(text)["project"]["dialect"] == dialect
    assert "\n\n\n" not in text
    found = json.loads(CliRunner().invoke(cli, ["lock", "--json", "-C", str(tmp_path)]).stdout)
    assert [entry["name"] for entry in found["added"]] == [f"{schema}.greet", f"{schema}.greetings"]
    assert found["remarks"] == []


@pytest.mark.parametrize("words", [("--dialect", "oracle"), ("--roles", "--dialect", "mssql")])
def test_a_dialect_that_is_none_or_has_nothing_to_do(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = init(tmp_path, *words)
    assert done.exit_code == 2
    assert "mssql" in done.stderr or "--dialect without it" in done.stderr
    assert files(tmp_path) == {}
