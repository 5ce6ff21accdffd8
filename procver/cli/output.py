"""What a command prints: data on stdout, everything else on stderr."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, TextIO

import click

from procver.creation import Progress
from procver.errors import ProcverError, SourceError, UsageError

_CONTROL = re.compile(r"(\x1b\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Colours, which are kept, and what else could move a terminal's cursor or change its state."""

_AT_ONCE = 200
"""Lines printed together."""


def colour() -> bool | None:
    """Return whether to colour what is printed: as NO_COLOR or FORCE_COLOR says, None to ask the stream."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def prepare_streams() -> None:
    """Make stdout UTF-8 where it is no terminal, and both streams able to print any name at all."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # JSON and mappings are UTF-8 by definition, whatever the locale of a pipeline's shell.
            plain = stream is sys.stdout and not stream.isatty()
            stream.reconfigure(encoding="utf-8" if plain else None, errors="backslashreplace")


def _encodable(text: str) -> str:
    """Return ``text`` with bytes of arguments and file names that are not text spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


class Output:
    """Where a command's words go.

    Args:
        as_json: print one JSON document on stdout instead of text.
        quiet: no progress and no remarks on stderr; errors stay.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def data(self, document: Any, lines: Iterator[str] | Sequence[str] = ()) -> None:
        """Print the command's result: the JSON document, or its text."""
        if self.as_json:
            emit(json.dumps(document, indent=2, ensure_ascii=False))
        else:
            # Many at once: printing line by line costs more than making the lines.
            rest = iter(lines)
            while some := list(islice(rest, _AT_ONCE)):
                emit(_harmless("\n".join(some)))

    def remark(self, text: str) -> None:
        """Say something that is no data."""
        if not self.quiet and not self.as_json:
            try:
                click.echo(_harmless(text), err=True)
            except OSError:  # nobody reads it, and the command goes on
                silence(sys.stderr)

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Give a function to call with (done, total); shows a bar if stderr is a terminal."""
        if self.quiet or self.as_json or sys.stderr is None or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True, no_color=colour() is False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Bar(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


class _StdoutError(UsageError):
    """Stdout takes no more, not even this error."""


def emit(text: str, *, newline: bool = True) -> None:
    """Print data on stdout.

    Raises:
        BrokenPipeError: nobody reads it any more.
        UsageError: it cannot be written.
    """
    try:
        click.echo(_encodable(text), nl=newline)
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(sys.stdout)
        raise _StdoutError(
            f"cannot write to stdout: {error.strerror or error}",
            hint="make room where stdout goes to; what the command did besides printing is done",
        ) from error


def silence(stream: TextIO | None) -> None:
    """Send what is still to be written to a stream nowhere: Python would fail on it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr] # a closed one is None
        os.close(nowhere)


def show_error(
    error: ProcverError, *, as_json: bool, shown: Callable[[str], str] = _encodable
) -> None:
    """Print an error: on stdout as JSON, or on stderr as text.

    Args:
        error: what happened.
        as_json: whether the command had ``--json``.
        shown: returns what may be shown of a text.
    """
    if as_json and not isinstance(error, _StdoutError):
        about = {"code": error.code, **_about(error)}
        if error.others:
            about["others"] = [_about(other) for other in error.others]
        text = json.dumps({"error": about}, indent=2, ensure_ascii=False)
        try:
            emit(shown(text))
            return
        except (OSError, UsageError):
            silence(sys.stdout)
    try:
        text = click.style("error: ", fg="red", bold=True) + str(error)
        click.echo(_harmless(shown(text)), err=True, color=colour())
        if error.hint:
            text = click.style(" hint: ", fg="cyan") + error.hint
            click.echo(_harmless(shown(text)), err=True, color=colour())
    except OSError:
        silence(sys.stderr)


def _about(error: ProcverError) -> dict[str, Any]:
    found: dict[str, Any] = {"message": str(error), "hint": error.hint}
    if isinstance(error, SourceError):
        found |= {"file": error.file, "line": error.line}
    return found


def _harmless(text: str) -> str:
    """Return ``text`` with control characters spelled out: others may have put them into names."""
    return _encodable(_CONTROL.sub(lambda match: match[1] or repr(match[0])[1:-1], text))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with aligned columns."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    shown = "  ".join(word.ljust(width) for word, width in zip(head, widths, strict=True))
    yield click.style(shown.rstrip(), bold=True)
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
