"""Every command and every option of it is on its documentation page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from procver.cli import cli

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
SHARED = {"--json", "--quiet", "--project", "--target", "--help"}


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize(("words", "command"), list(commands(cli, "procver")))
def test_a_command_is_documented(words: str, command: click.Command) -> None:
    assert command.help, "a command without help"
    top = " ".join(words.split()[:2])
    assert f"## {top}\n" in PAGE
    section = PAGE.split(f"## {top}\n", 1)[1].split("\n## ", 1)[0]
    if len(words.split()) > 2:
        assert words in section
    for option in command.params:
        if isinstance(option, click.Option):
            long = max(option.opts, key=len)
            assert long in (PAGE if long in SHARED else section), (words, long)
            assert option.help or long == "--format", (words, long)


def test_links_lead_somewhere() -> None:
    root = Path(__file__).parents[2]
    pages = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []
