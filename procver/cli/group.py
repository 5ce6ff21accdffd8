"""The command group, the options all commands share, and errors turned into exit codes."""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from procver import __version__
from procver.cli.output import Output, colour, prepare_streams, show_error, silence
from procver.dialects import Database, connect
from procver.errors import ProcverError, UsageError
from procver.objects import Note
from procver.project.config import target_name, target_url
from procver.project.workspace import Project

_COMMANDS = {
    "init": "setup",
    "demo": "demo",
    "embedded": "setup",
    "completion": "setup",
    "lock": "locking",
    "plan": "publishing",
    "publish": "publishing",
    "map": "publishing",
    "release": "lifecycle",
    "why": "cleanup",
    "gc": "cleanup",
    "restore": "cleanup",
    "verify": "cleanup",
    "log": "reporting",
    "status": "reporting",
}


class _Commands(click.Group):
    """Finds a command's module only when it is called, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        found = getattr(importlib.import_module(f"procver.cli.{module}"), f"{cmd_name}_command")
        assert isinstance(found, click.Command)
        return found

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line; see `invoke` for a reader that went away while help was printed."""
        try:
            return super().make_context(*args, **options)
        except BrokenPipeError:
            raise _ReaderGoneError from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and tell a reader that went away from click's own exit code for it, our findings."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderGoneError from None

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run the command line; see `click.Command.main`."""
        words = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in words
        options.setdefault("color", colour())
        try:
            status = super().main(words, *rest, **{**options, "standalone_mode": False})
            sys.exit(status if isinstance(status, int) else 0)
        except _ReaderGoneError:
            silence(sys.stdout)
            sys.exit(141)
        except (click.ClickException, click.Abort, Exception, KeyboardInterrupt) as error:
            if isinstance(error, _NO_ARGUMENTS) and not as_json:
                with suppress(OSError):
                    error.show()
                sys.exit(2)
            shown = _hider(words)
            said = _said(error, shown)
            show_error(said, as_json=as_json, shown=shown)
            sys.exit(said.exit_code)


class _ReaderGoneError(Exception):
    """Whoever read stdout has closed it, as ``head`` does."""


class _InterruptedError(ProcverError):
    """Ctrl-C; 128 plus the signal's number, as a shell counts."""

    code = "interrupted"
    exit_code = 130


class _FaultError(ProcverError):
    """Something that no part of procver expected; ``EX_SOFTWARE`` of sysexits.h."""

    code = "fault"
    exit_code = 70


_NO_ARGUMENTS: tuple[type[click.UsageError], ...] = tuple(
    getattr(click.exceptions, name)
    for name in ("NoArgsIsHelpError",)
    if hasattr(click.exceptions, name)
)
"""What click 8.2 and newer raise for a bare ``procver``; its text is the help page."""


_TARGET = re.compile(r"://|(?i:\b(?:password|pwd)\s*=)|[^\s/@:]:\S*@")
"""Matches a word that may be a target with a password, wherever it stands on the command line."""

_LOGIN = re.compile(r"(?<![^\s/@:])[^\s/@:]+:\S*@")


def _hider(words: Sequence[str]) -> Callable[[str], str]:
    """Return a function that takes out of a message those arguments that look like a target."""
    given = [word.partition("=")[2] if word.startswith("--") else word for word in words]
    targets = [word for word in given if _TARGET.search(word)]
    logins = (_LOGIN.search(word.rpartition("://")[2]) for word in targets)
    parts = [*targets, *(login[0] for login in logins if login)]
    parts += map(os.path.normpath, targets)  # of one that was taken for a path
    forms = {form for part in parts for form in (part, repr(part)[1:-1], json.dumps(part)[1:-1])}
    longest = sorted(forms, key=len, reverse=True)

    def shown(text: str) -> str:
        for form in longest:
            text = text.replace(form, "(a target, not shown)")
        return text

    return shown


def _said(error: BaseException, shown: Callable[[str], str]) -> ProcverError:
    """Return what to tell the user of an error, whoever raised it.

    Args:
        error: what was raised.
        shown: returns what may be shown of a text.
    """
    if isinstance(error, ProcverError):
        return error
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "procver"
        message = (
            error.format_message().strip()
            if not isinstance(error, _NO_ARGUMENTS)
            else "no command was given"
        )
        return UsageError(message, hint=f"see: {path} --help")
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return _InterruptedError(
            "interrupted", hint="run the same command again: it goes on where it stopped"
        )
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        return UsageError(
            f"the operating system refused: {what}{error.strerror or error}",
            hint="put that right, then run the same command again",
        )
    if isinstance(error, (RecursionError, MemoryError)):
        return UsageError(
            "something in the project is nested too deeply, or is too large",
            hint="look for what was generated or damaged, then run the same command again",
        )
    if isinstance(error, UnicodeError) or (isinstance(error, ValueError) and "null" in str(error)):
        return UsageError(
            "an argument or a name holds bytes that are not text", hint="write it as UTF-8"
        )
    with suppress(OSError):
        click.echo(shown("".join(traceback.format_exception(error))), err=True, nl=False)
    return _FaultError(
        f"a fault in procver itself: {type(error).__name__}: {error}",
        hint="what was done so far is whole: run the same command again; please report the lines on stderr",
    )


class Context:
    """What a command works with: its project, its target, its output."""

    def __init__(self, directory: Path, target: str | None, output: Output) -> None:
        self.directory = directory
        self.target = target
        self.output = output

    @functools.cached_property
    def project(self) -> Project:
        """The project in or above the current directory, or ``--project``."""
        return Project.at(self.directory)

    @property
    def target_name(self) -> str | None:
        """The target's name in procver.toml; None for a URL."""
        return target_name(self.project.config, self.target)

    def remarks(
        self, more: Sequence[tuple[str, Note]] = (), *, brief: bool = False
    ) -> list[dict[str, Any]]:
        """Warn of what the scanner left undecided, and return it as JSON-able data.

        Args:
            more: what else is to be said of sources, in full.
            brief: of the scanner's, only say how much there is and where to read it.
        """
        found = self.project.remarks()
        if brief and found:
            self.output.remark(
                f"{len(found)} remark(s) on the sources: `procver lock --check` shows them"
            )
        for path, note in (*(() if brief else found), *more):
            at = f"{path}:{note.line}" if note.line else path
            self.warn(f"{at}: {note.message}", note.hint)
        return [
            {
                "rule": note.rule,
                "file": path,
                "line": note.line,
                "message": note.message,
                "hint": note.hint,
            }
            for path, note in (*found, *more)
        ]

    def warn(self, message: str, hint: str | None) -> None:
        """Print a warning and what to do about it on stderr."""
        self.output.remark(click.style("warning: ", fg="yellow") + f"{message}\n    {hint}")

    def connect(self) -> Database:
        """Open a connection to the target; it is closed when the command ends."""
        config = self.project.config
        database = connect(
            target_url(config, self.target, os.environ),
            dialect=config.dialect,
            root=config.root,
            search_path=config.search_path,
        )
        click.get_current_context().call_on_close(database.close)
        return database


def _absolute(directory: str) -> Path:
    try:
        return Path(directory).absolute()
    except OSError as error:
        raise UsageError(
            f"the current directory cannot be found: {error.strerror}",
            hint="change to a directory that exists",
        ) from error


def command(
    *, target: bool = True, project: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the shared options and, as its first argument, a `Context`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **options: Any) -> Any:
            output = Output(as_json=options.pop("as_json"), quiet=options.pop("quiet"))
            directory = _absolute(options.pop("directory", None) or ".") if project else Path()
            return function(
                Context(directory, options.pop("target", None), output), *args, **options
            )

        wrapped: Callable[..., Any] = run
        wrapped = click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings.")(
            wrapped
        )
        wrapped = click.option(
            "--json", "as_json", is_flag=True, help="One JSON document on stdout."
        )(wrapped)
        if project:
            wrapped = click.option(
                "-C", "--project", "directory", metavar="DIR",
                type=click.Path(exists=True, file_okay=False),
                help="Work in this directory instead of the current one.",
            )(wrapped)  # fmt: skip
        if target:
            wrapped = click.option(
                "-t", "--target", metavar="NAME|URL", envvar="PROCVER_TARGET",
                help="A name from [targets] in procver.toml, or a URL.",
            )(wrapped)  # fmt: skip
        return wrapped

    return decorate


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="procver")
def cli() -> None:
    """Versioned stored procedures, functions and views for rolling deployments."""


def main() -> None:
    """Entry point of the ``procver`` program."""
    prepare_streams()
    gc.disable()  # a short life with many small objects: looking for cycles costs a fifth and finds none
    try:
        cli()
    finally:
        gc.freeze()  # nor does the interpreter look for them at its end
