"""The README's commands do what it says they do, in the order in which a newcomer runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def transcript(section: str) -> Iterator[tuple[str, str]]:
    """Yield (command, output) of the console blocks in a section of the README."""
    text = README.read_text("utf-8").split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            count = 1
            while count < len(lines) and lines[count].startswith(">"):
                count += 1
            command = "\n".join(
                [lines[0], *(line[1:].removeprefix(" ") for line in lines[1:count])]
            )
            yield command, "\n".join(lines[count:])


def settled(text: str) -> str:
    """Blank out what differs from run to run: times and how long ago."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    return re.sub(r"\d+ (s|min) ago", "AGO", text).strip()


@pytest.mark.slow
def test_the_five_minutes(tmp_path: Path) -> None:
    home = tmp_path / "hello"
    home.mkdir()
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environ.pop("PROCVER_TARGET", None)
    ran = 0
    try:
        for command, expected in transcript("Five minutes"):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=home,
                env=environ,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, (command, done.stderr)
            assert settled(done.stdout) == settled(expected), command
            ran += 1
    finally:
        subprocess.run(["procver", "embedded", "stop"], cwd=home, env=environ, check=False)
    assert ran > 15


def test_the_two_commands_are_those_of_the_gate() -> None:
    commands = [command for command, _ in transcript("Two commands")]
    assert len(commands) == 2
    gate = (README.parent / ".ci" / "run").read_text("utf-8")
    assert 'pip" install --quiet --disable-pip-version-check -e ".[dev]"' in gate
    assert "-m pytest -q -n 2" in commands[1]
    assert gate.rstrip().endswith("-m pytest -q -n 2")
