"""Versions refer to what their sources refer to, as Microsoft's own tools resolve names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from procver.errors import SourceError
from procver.project.workspace import Project
from tests.binder.binding import Twice, command
from tests.binder.programs import OTHERS, SOURCES, programs

SAMPLE = Path(__file__).parents[2] / "sql" / "mssql"
CORPUS = "PROCVER_TEST_BINDER_CORPUS"
CONFIG = '[project]\nname = "bound"\ndialect = "mssql"\nsources = ["sql"]\ndefault_schema = "dbo"\nsuffix = "_zq{version}"\n'


@pytest.fixture(autouse=True)
def _oracle() -> None:
    command()


def project(root: Path, sources: Mapping[str, str]) -> Path:
    (root / "sql").mkdir(parents=True)
    (root / "procver.toml").write_text(CONFIG)
    for stem, text in sources.items():
        (root / "sql" / f"{stem}.sql").write_text(text)
    return root


def test_it_notices_what_is_not_rewritten_and_what_should_not_be(tmp_path: Path) -> None:
    twice = Twice(project(tmp_path / "p", SOURCES), OTHERS)
    versions = {name.leaf: file for name, file in twice.versions.items() if name.schema == "dbo"}
    twice.texts[versions["w"]] = twice.texts[versions["w"]].replace("v_zq9", "v")
    twice.texts[versions["tvf"]] = twice.texts[versions["tvf"]].replace("dbo.u", "dbo.v_zq9")
    found = "\n".join(twice.problems(tmp_path / "bound"))
    assert "as a version still refers to View dbo v" in found
    assert "as a version does not refer to Table dbo u" in found
    assert "as a version refers to View dbo v" in found


@pytest.mark.parametrize("release", [1, 2])
def test_the_sample(tmp_path: Path, release: int) -> None:
    root = tmp_path / "shop"
    shutil.copytree(SAMPLE / "release-1", root)
    if release == 2:
        shutil.copytree(SAMPLE / "release-2", root, dirs_exist_ok=True)
        for line in (root / "REMOVED").read_text().splitlines():
            if not line.startswith("#"):
                (root / line).unlink()
    tables = [
        batch
        for path in sorted((SAMPLE / "migrations").glob("*.sql"))
        for batch in path.read_text().replace(";\n", "\nGO\n").split("\nGO\n")
    ]
    assert Twice(root, tables).problems(tmp_path / "bound") == []


@pytest.mark.parametrize("seed", [1, 2])
def test_programs_at_random(tmp_path: Path, seed: int) -> None:
    sources = SOURCES | dict(programs(seed, 150))
    twice = Twice(project(tmp_path / "p", sources), OTHERS)
    assert twice.problems(tmp_path / "bound", columns=False) == []
    assert twice.refused == {}, "all of them are T-SQL"


def test_a_corpus(tmp_path: Path) -> None:
    """Any database project: what defines a procedure, view, function or table type is versioned, all else is given as it is."""
    corpus = os.environ.get(CORPUS)
    if not corpus:
        pytest.skip(f"{CORPUS} names no directory of T-SQL")
    root = project(tmp_path / "p", {})
    others: list[str] = []
    scanner = Project.at(root).scanner
    taken = set()
    for number, path in enumerate(sorted(Path(corpus).rglob("*.[sS][qQ][lL]"))):
        text = path.read_text("utf-8-sig", errors="replace")
        try:
            name = scanner.key(scanner.header(text, "dbo").name)
        except SourceError:
            others.append(text)
            continue
        if name not in taken:
            taken.add(name)
            (root / "sql" / f"{number}.sql").write_text(text)
    twice = None
    while twice is None:
        try:
            twice = Twice(root, others)
        except SourceError as refused:
            if refused.file is None:
                raise
            (root / refused.file).unlink()
    assert twice.problems(tmp_path / "bound") == []
