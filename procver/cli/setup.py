"""init, embedded, completion."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import click

from procver.cli.group import Context, command
from procver.errors import UsageError
from procver.project.config import is_project_name, target_url
from procver.project.files import write_atomic

_CONFIG = """\
[project]
name = {name}
dialect = "postgresql"
sources = ["sql"]
default_schema = "public"
map = "procver.map.json"

[targets]
local = "embedded:"               # PostgreSQL out of a wheel, data under .procver/
# prod = "${{PROCVER_PROD_URL}}"    # postgresql://user:password@host:5432/database

[gc]
keep_releases = 2                 # the last retired releases keep their versions
grace = "7d"                      # condemned for this long before a drop
idle = "14d"                      # an instance unseen for this long is not live
"""

_VIEW = """\
-- One object per file, plain SQL, logical names everywhere: procver adds the version.
CREATE VIEW public.greetings AS
SELECT 'en' AS language, 'Hello' AS greeting
UNION ALL
SELECT 'fr', 'Bonjour';
"""

_FUNCTION = """\
-- A change in public.greetings makes a new version of this function too, and of nothing else.
CREATE FUNCTION public.greet(who text, lang text DEFAULT 'en') RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT g.greeting || ', ' || who || '!'
    FROM public.greetings g
    WHERE g.language = lang;
$$;
"""


@click.command()
@command(target=False)
@click.option(
    "--name", metavar="NAME", help="The project's name in the registry [default: the directory's]."
)
def init_command(context: Context, name: str | None) -> None:
    """Write procver.toml, sql/ and a first example."""
    root = context.directory.resolve()
    if name is None:
        name = re.sub(r"[^\w.-]+", "-", root.name)[:100].strip("-") or "app"
    if not name.strip() or not is_project_name(name):
        raise UsageError(
            f"{name!r} cannot be a project name",
            hint="use 1 to 100 printable characters, no blanks around: letters, digits, - and _ are best",
        )
    files = {
        # A JSON string is a TOML string too.
        "procver.toml": _CONFIG.format(name=json.dumps(name, ensure_ascii=False)),
        "sql/greetings.sql": _VIEW,
        "sql/greet.sql": _FUNCTION,
    }
    there = [path for path in files if (root / path).exists()]
    if there:
        raise UsageError(
            f"{there[0]} exists already",
            hint="procver init only writes into a place that has none of its files",
        )
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(root / path, text)
    ignore = root / ".gitignore"
    lines = ignore.read_text("utf-8").splitlines() if ignore.exists() else []
    if ".procver/" not in lines:
        write_atomic(ignore, "\n".join([*lines, ".procver/"]) + "\n")
    context.output.data(
        {"project": name, "files": list(files)},
        [
            *(f"wrote {path}" for path in files),
            "next: procver lock, then procver publish --release 1",
        ],
    )


@click.group()
def embedded_command() -> None:
    """The PostgreSQL out of a wheel that `embedded:` targets use."""


def _directory(context: Context) -> tuple[Path, str]:
    config = context.project.config
    url = target_url(config, context.target, os.environ)
    if not url.startswith("embedded:"):
        raise UsageError(
            "this target is no embedded server",
            hint="name one with --target embedded: or in [targets]",
        )
    return config.root, url.removeprefix("embedded:")


@embedded_command.command()
@command()
def url(context: Context) -> None:
    """Start the server if need be and print its URL, for psql and others."""
    from procver.dialects import embedded

    found = embedded.start(*_directory(context))
    context.output.data({"url": found}, [found])


@embedded_command.command()
@command()
def stop(context: Context) -> None:
    """Stop the server; its data stay."""
    from procver.dialects import embedded

    stopped = embedded.stop(*_directory(context))
    context.output.data({"stopped": stopped}, ["stopped" if stopped else "it was not running"])


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print shell completion: add `eval "$(procver completion bash)"` to your profile."""
    from click.shell_completion import get_completion_class

    from procver.cli.group import cli

    found = get_completion_class(shell)
    assert found is not None  # the choices above are click's own
    click.echo(found(cli, {}, "procver", "_PROCVER_COMPLETE").source())
