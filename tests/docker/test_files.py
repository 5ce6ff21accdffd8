"""What can be known of the Docker files and the workflow without running them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE = (DOCKER / "compose.yaml").read_text("utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")

EXAMPLE = dict(
    line.split("=", 1)
    for line in (DOCKER / ".env.example").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)


def test_the_example_names_exactly_what_compose_asks_for() -> None:
    assert set(re.findall(r"\$\{(\w+):\?", COMPOSE)) == set(EXAMPLE)


def test_what_compose_does_not_ask_for_has_a_default() -> None:
    asked = re.findall(r"(?<!\$)\$\{(\w+)(:[?-])?", COMPOSE)
    assert asked
    assert [name for name, default in asked if not default] == []


def test_no_value_of_a_secret_is_committed() -> None:
    assert {name: value for name, value in EXAMPLE.items() if value} == {}
    ignored = (DOCKER / ".gitignore").read_text("utf-8").splitlines()
    assert ".env" in ignored


def test_make_env_fills_in_every_value_once(tmp_path: Path) -> None:
    for name in ("make-env.sh", ".env.example"):
        shutil.copy(DOCKER / name, tmp_path)
    script = ["sh", str(tmp_path / "make-env.sh")]
    assert subprocess.run(script, capture_output=True).returncode == 2
    assert not (tmp_path / ".env").exists()
    assert subprocess.run([*script, "--accept-eula"], capture_output=True).returncode == 0
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    made = dict(
        line.split("=", 1)
        for line in (tmp_path / ".env").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    )
    assert made.pop("ACCEPT_EULA") == "Y"
    assert made.keys() | {"ACCEPT_EULA"} == EXAMPLE.keys()
    assert len(set(made.values())) == len(made)
    for password in made.values():
        # Three sorts of characters, none of which a connection string or a URL reads otherwise.
        assert re.fullmatch(r"[A-Z][a-z]-[0-9a-f]{32}", password)
    assert subprocess.run([*script, "--accept-eula"], capture_output=True).returncode == 1


@pytest.mark.parametrize("path", sorted(set(re.findall(r"- (\.{1,2}/[\w./-]+):/", COMPOSE))))
def test_what_is_mounted_is_there(path: str) -> None:
    assert (DOCKER / path).is_dir()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"/((?:scripts|setup)/[\w.]+)", COMPOSE))))
def test_what_is_run_is_there(path: str) -> None:
    script = DOCKER / path
    assert script.is_file()
    assert script.suffix == ".py" or os.access(script, os.X_OK)


def test_the_image_is_built_from_files_that_the_context_holds() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text("utf-8")
    copied = [
        word
        for line in re.findall(r"(?m)^COPY (?!--from)(.+)$", dockerfile)
        for word in line.split()[:-1]
    ]
    kept = re.findall(r"(?m)^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"))
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    for needed in (*wheel["packages"], *wheel["force-include"], project["project"]["readme"]):
        assert any(needed == path or needed.startswith(f"{path}/") for path in copied), needed


def test_the_image_does_not_run_as_root() -> None:
    users = re.findall(r"(?m)^USER (.+)$", (DOCKER / "Dockerfile").read_text("utf-8"))
    assert users
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1])


@pytest.mark.parametrize(
    ("job", "matrix"),
    [
        ("gate", ["3.11", "3.12", "3.13", "3.14"]),
        ("postgresql", ["14", "15", "16", "17", "18"]),
        ("sqlserver", ["2019", "2022", "2025"]),
    ],
)
def test_the_workflow_runs_on_all_that_is_supported(job: str, matrix: list[str]) -> None:
    body = WORKFLOW.split(f"\n  {job}:\n", 1)[1]
    listed = re.search(r"matrix:\n\s+\w+: \[(.*)\]", body)
    assert listed is not None
    assert re.findall(r'"([\d.]+)"', listed[1]) == matrix


def test_compose_reads_its_file(tmp_path: Path) -> None:
    words = _compose()
    values = tmp_path / "env"
    values.write_text("".join(f"{name}=x\n" for name in EXAMPLE), "utf-8")
    check = ["-f", str(DOCKER / "compose.yaml"), "--profile", "check", "config", "--services"]

    def ask(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*words, *more, *check], capture_output=True, text=True, env=_bare(), cwd=tmp_path
        )

    services = set(re.findall(r"(?m)^  ([\w-]+):$", COMPOSE.split("\nservices:\n")[1]))
    services -= set(re.findall(r"(?m)^  ([\w-]+):$", COMPOSE.split("\nvolumes:\n")[1])) - {
        "sqlserver",
        "postgresql",
    }
    assert set(ask("--env-file", str(values)).stdout.split()) == services
    # Without values it says what to do. (Its status is not asked: wrappers of it lose that.)
    assert "make-env.sh" in ask().stderr


def _compose() -> list[str]:
    if shutil.which("docker"):
        words = ["docker", "compose"]
        if subprocess.run([*words, "version"], capture_output=True).returncode == 0:
            return words
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("docker compose is not installed")
    return [command]


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in EXAMPLE}
