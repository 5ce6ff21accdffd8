"""Passwords: never printed, however a target is written, and nothing but passwords is left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from procver.cli import cli
from procver.dialects import connect
from procver.errors import ProcverError

CONFIG = """\
[project]
name = "shop"
dialect = "{dialect}"

[targets]
local = {url}
"""
VIEW = "CREATE VIEW v AS SELECT 1 AS n;\n"


def project(
    root: Path, url: str = "postgresql://127.0.0.1:1/shop", dialect: str = "postgresql"
) -> Path:
    (root / "sql").mkdir(exist_ok=True)
    (root / "sql/v.sql").write_text(VIEW)
    (root / "procver.toml").write_text(CONFIG.format(dialect=dialect, url=json.dumps(url)))
    CliRunner().invoke(cli, ["lock", "-C", str(root)])
    return root


def outputs(root: Path, *words: str) -> list[Result]:
    place = () if "-C" in words else ("-C", str(root))
    return [CliRunner().invoke(cli, [*words, *more, *place]) for more in ((), ("--json",))]


TARGETS = [
    "host=127.0.0.1 port=1 dbname=shop user=porter password=sesame",
    "host=127.0.0.1 password='sesa me' dbname=shop",
    "dbname=shop password = sesame",
    "password=sesame",
    "porter:sesame@127.0.0.1:1/shop",
    "postgresql:/porter:sesame@127.0.0.1:1/shop",
    "postgresql//porter:sesame@127.0.0.1:1/shop",
    "//porter:sesame@127.0.0.1:1/shop",
    "postgresql://porter:sesame%@127.0.0.1:1/shop",
    "postgresql://porter:ses%ame@127.0.0.1:1/shop",
    "postgresql://porter:sesame%00@127.0.0.1:1/shop",
    "postgresql://porter:ses@sesame@127.0.0.1:1/shop",
    "postgresql://porter:ses/sesame@127.0.0.1:1/shop",
    "postgresql://porter:sesame",
    "postgresql://porter:x?sesame@127.0.0.1:1/shop",
    "postgresql://porter@127.0.0.1:1/shop?password=sesame&sslpassword=sesame2",
    "postgresql://porter@127.0.0.1:1/shop?pasword=sesame",
    "postgresql://porter@127.0.0.1:1/shop?password=a@sesame",
    "postgresql://porter@127.0.0.1:1/shop?sesame",
    "postgresql://porter:sesame@[::1:1/shop",
    "postgresql://porter:a${sesame}@127.0.0.1:1/shop",
    "Server=h;PWD=sesame;Database=d",
    "Server=h;Password={sesa}}me};Database=d",
    "oracle://porter:sesame@h/shop",
]


@pytest.mark.parametrize("target", TARGETS)
def test_no_part_of_a_password_is_printed(tmp_path: Path, target: str) -> None:
    project(tmp_path)
    for words in (("plan",), ("publish", "-r", "1"), ("gc",)):
        for result in outputs(tmp_path, *words, "-t", target):
            assert result.exit_code in (2, 3), result.output
            assert "hint" in result.output
            for part in ("sesa", "sesame", "ame@", "me}"):
                assert part not in result.output


@pytest.mark.parametrize("target", [target for target in TARGETS if "${" not in target])
def test_nor_of_a_target_in_the_file_or_the_environment(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", target)
    for url in (target, "${SHOP_URL}"):
        project(tmp_path, url)
        for result in outputs(tmp_path, "plan"):
            assert result.exit_code in (2, 3), result.output
            assert "sesa" not in result.output


@pytest.mark.parametrize(
    "target",
    [
        "mssql://sa:1433/sesame@h/shop", "mssql://sa:1433?sesame@h/shop", "mssql://sa:x/sesame@h/shop",
        "mssql://sa:x#sesame@h/shop", "mssql://sa:sesame@h", "Server=h;PWD=a;sesame=b;c;Database=d",
        "Server=h;PWD={sesame;Database=d", "Server=h;Password=sesame;Initial Catalog=d", "sa:sesame@h/shop",
        "Server=h;PWD=sesame", "PWD=sesame;x", "host=h password=sesame",
    ],
)  # fmt: skip
def test_nor_of_one_for_sql_server(tmp_path: Path, target: str) -> None:
    project(tmp_path, dialect="mssql")
    for result in outputs(tmp_path, "plan", "-t", target):
        assert result.exit_code in (2, 3), result.output
        assert "sesame" not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "postgresql://u:sesame@h/d"), ("postgresql://u:sesame@h/d",), ("why", "u:sesame@h/d"),
        ("map", "-r", "1", "--format", "postgresql://u:sesame@h/d"), ("plan", "-C", "host=h password=sesame"),
        ("plan", "--taget=postgresql://u:sesame@h/d"), ("map", "-r", "1", "-o", "postgresql://u:sesame@h/d"),
        ("release", "postgresql://u:sesame@h/d"),
    ],
)  # fmt: skip
def test_nor_of_a_target_in_another_place(tmp_path: Path, words: tuple[str, ...]) -> None:
    project(tmp_path)
    for result in outputs(tmp_path, *words):
        assert result.exit_code in (2, 3)
        assert "sesame" not in result.output


@pytest.mark.parametrize("password", ["a", "e", "host", "postgresql", "1", "the", "port"])
def test_a_short_password_garbles_nothing(tmp_path: Path, password: str) -> None:
    project(tmp_path)
    plain = outputs(tmp_path, "plan", "-t", "postgresql://porter:Xy9-Zq@127.0.0.1:1/shop")[0]
    short = outputs(tmp_path, "plan", "-t", f"postgresql://porter:{password}@127.0.0.1:1/shop")[0]
    assert short.stderr == plain.stderr
    assert "(database shop, user porter)" in plain.stderr
    assert "***" not in plain.stderr


def test_an_error_carries_no_password_in_its_causes(tmp_path: Path) -> None:
    for url in TARGETS[6:20]:
        with pytest.raises(ProcverError) as caught:
            connect(url, dialect="postgresql", root=tmp_path, search_path=("app",))
        error: BaseException | None = caught.value
        while error is not None:
            assert "sesame" not in f"{error!r} {error.args}"
            error = error.__cause__ or error.__context__


def test_passwords_of_the_environment_are_not_printed(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "pass").write_text("127.0.0.1:1:shop:porter:sesame3\n")
    (tmp_path / "pass").chmod(0o644)
    environ = {**os.environ, "PGPASSWORD": "sesame1", "PGPASSFILE": str(tmp_path / "pass"), "PGSSLPASSWORD": "sesame2"}  # fmt: skip
    for more in ((), ("--json",)):
        done = subprocess.run(
            [sys.executable, "-m", "procver", "plan", "-t", "postgresql://porter@127.0.0.1:1/shop", "-C", str(tmp_path), *more],
            capture_output=True, text=True, check=False, env=environ,
        )  # fmt: skip
        assert done.returncode == 3
        assert "sesame" not in done.stdout + done.stderr


@pytest.mark.parametrize("more", ['prod = "postgresql://u:sesame@h/d', "prod = postgresql://u:sesame@h/d", "prod = ['sesame']"])  # fmt: skip
def test_a_line_of_toml_is_not_echoed(tmp_path: Path, more: str) -> None:
    project(tmp_path)
    with (tmp_path / "procver.toml").open("a") as file:
        file.write(more)
    for result in outputs(tmp_path, "plan"):
        assert result.exit_code == 2
        assert "sesame" not in result.output
