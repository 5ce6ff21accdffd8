"""init, embedded, completion."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click

from procver.cli.group import Context, command
from procver.errors import ConfigError, UsageError
from procver.project import git
from procver.project.config import is_project_name, target_url
from procver.project.files import check_target, is_stdout, read_bytes, write_atomic
from procver.project.outputs import write_output

_CONFIG = """\
[project]
name = {name}
dialect = "{dialect}"
sources = ["sql"]
default_schema = "{schema}"
map = "procver.map.json"
{main}
[targets]
{targets}
[gc]
keep_releases = 2                 # the last retired releases keep their versions
grace = "7d"                      # condemned for this long before a drop
idle = "14d"                      # an instance unseen for this long is not live
"""

_POSTGRESQL_TARGETS = """\
local = "embedded:"               # PostgreSQL out of a wheel, data under .procver/
# prod = "${PROCVER_PROD_URL}"    # postgresql://user:password@host:5432/database
"""

_MSSQL_TARGETS = """\
local = "${PROCVER_LOCAL_URL}"    # mssql://user:password@host:1433/database, or an ODBC connection string
# prod = "${PROCVER_PROD_URL}"
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

_MSSQL_VIEW = """\
-- One object per file, plain SQL, logical names everywhere: procver adds the version.
CREATE VIEW dbo.greetings AS
SELECT 'en' AS language, N'Hello' AS greeting
UNION ALL
SELECT 'fr', N'Bonjour';
GO
"""

_MSSQL_FUNCTION = """\
-- A change in dbo.greetings makes a new version of this function too, and of nothing else.
CREATE FUNCTION dbo.greet (@who nvarchar(100), @lang varchar(2)) RETURNS nvarchar(200)
AS
BEGIN
    DECLARE @greeting nvarchar(50);
    SELECT @greeting = g.greeting FROM dbo.greetings g WHERE g.language = @lang;
    RETURN @greeting + N', ' + @who + N'!';
END;
GO
"""

_ATTRIBUTE = "procver.lock merge=procver-lock"
_DRIVER = "procver lock --merge-driver %O %A %B %P"

_EXAMPLES = {
    "postgresql": ("public", _POSTGRESQL_TARGETS, _VIEW, _FUNCTION, ""),
    "mssql": (
        "dbo", _MSSQL_TARGETS, _MSSQL_VIEW, _MSSQL_FUNCTION, "set PROCVER_LOCAL_URL (see [targets] in procver.toml), then ",
    ),
}  # fmt: skip
"""By dialect: default schema, targets, view, function, and what to do before the first command."""


@click.command()
@command(target=False)
@click.option(
    "--dialect", type=click.Choice(list(_EXAMPLES)),
    help="The database: PostgreSQL, or SQL Server and Babelfish (mssql) [default: postgresql].",
)  # fmt: skip
@click.option(
    "--name", metavar="NAME", help="The project's name in the registry [default: the directory's]."
)
@click.option(
    "--roles", is_flag=True,
    help="Write instead, for the project that is here, the SQL that makes roles to publish, to collect and for the app.",
)  # fmt: skip
@click.option(
    "--prefix", metavar="NAME", help="With --roles: what their names begin with [default: procver].",
)  # fmt: skip
@click.option(
    "--git", "with_git", is_flag=True,
    help="Install the merge driver for procver.lock in this clone, in a project that exists or in the new one.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="With --roles: where to; - for stdout [default: procver-roles.sql].",
)  # fmt: skip
def init_command(
    context: Context, dialect: str | None, name: str | None, roles: bool, prefix: str | None, with_git: bool,
    output: Path | None,
) -> None:  # fmt: skip
    """Write procver.toml, sql/ and a first example; or the script for a project's roles."""
    if with_git and not roles and name is None and dialect is None and _is_project(context):
        lines = list(_install_driver(context.project.config.root))
        context.output.data({"files": [".gitattributes"], "merge_driver": _DRIVER}, lines)
        return
    if roles and name is None and dialect is None and not with_git:
        _write_roles(context, "procver" if prefix is None else prefix, output)
        return
    if roles or prefix is not None or output is not None:
        raise UsageError(
            "--prefix and --output go with --roles, --git, --name and --dialect without it",
            hint="write procver init --name NAME, or procver init --roles --prefix NAME",
        )
    root = context.directory.resolve()
    if name is None:
        name = re.sub(r"[^\w.-]+", "-", root.name)[:100].strip("-") or "app"
    if not name.strip() or not is_project_name(name):
        raise UsageError(
            f"{name!r} cannot be a project name",
            hint="use 1 to 100 printable characters, no blanks around: letters, digits, - and _ are best",
        )
    dialect = dialect or "postgresql"
    schema, targets, view, function, first = _EXAMPLES[dialect]
    main = _main_branch(root, needed=with_git)
    # A JSON string is a TOML string too.
    quoted = json.dumps(name, ensure_ascii=False)
    files = {
        "procver.toml": _CONFIG.format(
            name=quoted, dialect=dialect, schema=schema, targets=targets, main=main
        ),
        "sql/greetings.sql": view,
        "sql/greet.sql": function,
    }
    there = [path for path in files if os.path.lexists(root / path)]
    if there:
        raise UsageError(
            f"{there[0]} exists already",
            hint="procver init only writes into a place that has none of its files",
        )
    ignore = root / ".gitignore"
    try:
        (root / "sql").mkdir(exist_ok=True)
        for path in (*files, ignore.name):
            check_target(root / path, within=root)
        ignored = read_bytes(ignore) if ignore.exists() else b""
    except OSError as error:
        raise UsageError(
            f"cannot write into {root}: {error.filename or ignore}: {error.strerror}",
            hint="make it a directory that this user may write to",
        ) from error
    for path, text in files.items():
        write_atomic(root / path, text, within=root)
    if b".procver/" not in ignored.splitlines():
        apart = b"" if ignored.endswith(b"\n") or not ignored else b"\n"
        write_atomic(ignore, ignored + apart + b".procver/\n", within=root)
    installed = list(_install_driver(root)) if with_git else []
    context.output.data(
        {"project": name, "files": list(files)},
        [
            *(f"wrote {path}" for path in files),
            *installed,
            f"next: {first}procver lock, then procver publish --release 1",
        ],
    )


def _is_project(context: Context) -> bool:
    try:
        return bool(context.project)
    except ConfigError:
        if (context.directory / "procver.toml").exists():
            raise
        return False


def _main_branch(root: Path, *, needed: bool) -> str:
    """Return the line of procver.toml for a main branch that is not called main."""
    try:
        main = git.main_name(root)
    except UsageError:
        if needed:
            raise
        return ""
    if needed:
        git.check(root)
    if main is None or main == git.DEFAULT:
        return ""
    return f"main = {json.dumps(main, ensure_ascii=False)}\n"


def _install_driver(root: Path) -> Iterator[str]:
    """Have git merge procver.lock by `procver lock --merge-driver`, in this clone."""
    git.check(root)
    path = root / ".gitattributes"
    old = path.read_bytes() if path.exists() else b""
    if _ATTRIBUTE not in old.decode("utf-8", "replace").splitlines():
        end = b"" if not old or old.endswith(b"\n") else b"\n"
        write_atomic(path, b"%b%b%b\n" % (old, end, _ATTRIBUTE.encode()))
        yield "wrote .gitattributes: commit it"
    git.configure(root, "merge.procver-lock.name", "merge the numbers of procver.lock")
    git.configure(root, "merge.procver-lock.driver", _DRIVER)
    yield "the merge driver is installed in this clone; others run: procver init --git"


def _write_roles(context: Context, prefix: str, output: Path | None) -> None:
    from procver.roles import ROLES, script

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,49}", prefix):
        raise UsageError(
            f"{prefix!r} cannot begin a role's name",
            hint="use 1 to 50 letters, digits and _, no digit first",
        )
    project = context.project
    config = project.config
    text = script(config.dialect, config.name, project.schemas, prefix)
    names = [f"{prefix}_{role}" for role in ROLES]
    if output is not None and is_stdout(output):
        context.output.data({"roles": names, "script": text}, text.splitlines())
        return
    place = output or config.root / "procver-roles.sql"
    if _differs(place, text.encode()):
        raise UsageError(
            f"{place} exists already, with other content",
            hint="look what differs: procver init --roles -o - | diff - FILE; then remove it, or name another with -o",
        )
    if output is None:
        write_atomic(place, text, within=config.root)
    else:
        write_output(config, place, text)
    lines = [f"wrote {place}", "next: let your DBA read it, then run it as its first lines say"]
    context.output.data({"roles": names, "files": [str(place)]}, lines)


def _differs(place: Path, data: bytes) -> bool:
    """Return whether there is a regular file with other content."""
    try:
        return place.is_file() and read_bytes(place) != data
    except OSError:
        return True


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
