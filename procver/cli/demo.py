"""demo."""

from __future__ import annotations

import gc
import re
import shutil
import textwrap
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from procver.cli.group import Context, command
from procver.errors import FindingsError

if TYPE_CHECKING:
    from procver.demo.play import Report, Shown
    from procver.demo.stage import Stage
    from procver.plan import Create

_WIDTH = 80
_INDENT = "   "
_TONES = {"good": "green", "bad": "red"}
_VERSION = re.compile(r"\b\w+\.\w+_(\d+)\b")
_COLOURS = ("magenta", "cyan")
"""Of physical names, by the version's number modulo two: so that 1 and 2 can be told apart at a glance."""


@click.command()
@command(target=False, project=False)
@click.option(
    "-t", "--target", metavar="URL",
    help="An empty PostgreSQL database to play in [default: a server of its own].",
)  # fmt: skip
@click.option(
    "--keep", metavar="DIR", type=click.Path(path_type=Path),
    help="Keep project and database, in this new directory, to play on.",
)  # fmt: skip
@click.option(
    "--pace", metavar="SECONDS", type=click.FloatRange(0, 60), default=0.0,
    help="Wait before each command, for watching.",
)  # fmt: skip
def demo_command(context: Context, keep: Path | None, pace: float) -> None:
    """Play a rolling deployment of a sample shop, start to finish, on a real PostgreSQL.

    It needs nothing, and leaves nothing unless told to keep it.
    """
    from procver.demo.play import play
    from procver.demo.stage import set_up

    gc.enable()  # unlike other commands it may run for minutes, with thousands of calls that fail
    output = context.output
    printer = _Printer(pace, silent=output.as_json or output.quiet)
    printer.opening(own=context.target is None)
    started = time.monotonic()
    try:
        with set_up(context.target, keep) as stage:
            printer.line(stage.where, "quiet")
            report = play(stage, printer)
    except KeyboardInterrupt:
        state = (
            f"{keep} is left as it is, its server does not run"
            if keep
            else "everything that the demo made is removed"
        )
        click.echo(f"\ninterrupted: {state}", err=True)
        raise SystemExit(130) from None
    report = report._replace(seconds=round(time.monotonic() - started, 3))
    output.data(report.as_json(), _closing(report, stage, keep))
    if report.errors or report.findings:
        raise SystemExit(FindingsError.exit_code)


class _Printer:
    """Tells the play on stdout, as it happens.

    Args:
        pace: seconds to wait before each command.
        silent: say nothing.
    """

    def __init__(self, pace: float, *, silent: bool) -> None:
        self._pace, self._silent = pace, silent
        self._scenes = 0

    def opening(self, *, own: bool) -> None:
        self._echo(
            click.style("procver demo", bold=True) + ": a rolling deployment, start to finish"
        )
        self._echo()
        self.line(
            "Two app servers of a small shop call its functions and views without pause and check"
            " every answer, while a new release of the app arrives. All of it happens for real;"
            " a line with $ is what you would type."
        )
        if own:
            self.line("Starting a PostgreSQL in a temporary directory ...", "quiet")

    def scene(self, title: str) -> None:
        self._scenes += 1
        self._echo()
        self._echo(click.style(f"{self._scenes}  {title}", fg="yellow", bold=True))

    def command(self, words: str) -> None:
        time.sleep(self._pace)
        self._echo(f"{_INDENT}{click.style(f'$ {words}', bold=True)}")

    def line(self, text: str, tone: str = "plain") -> None:
        for line in _wrapped(text):
            self._echo(_toned(line, tone))

    def created(self, versions: tuple[Create, ...]) -> None:
        width = max(len(version.physical) for version in versions)
        for version in versions:
            because = f" of {', '.join(version.because)}" if version.because else ""
            self.line(f"  + {version.physical.ljust(width)}  {version.reason}{because}")

    def beside(self, left: Shown, right: Shown) -> None:
        old, new = list(_table(left)), list(_table(right))
        width = max(len(line) for line in old) + 4
        rows = [*zip_longest(old, new, fillvalue=""), ("", "")]
        for at, line in enumerate(f"{_INDENT}  {one.ljust(width)}{two}" for one, two in rows):
            self._echo(
                click.style(line.rstrip(), bold=True) if at != 1 and at < 3 else _toned(line)
            )

    def _echo(self, text: str = "") -> None:
        if not self._silent:
            click.echo(text.rstrip())


def _wrapped(text: str) -> list[str]:
    indent = _INDENT + " " * (len(text) - len(text.lstrip()))
    width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH)
    return textwrap.wrap(
        text.lstrip(), max(width, 40), initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip


def _toned(line: str, tone: str = "plain") -> str:
    if tone == "quiet":
        return click.style(line, dim=True)
    if tone in _TONES:
        return click.style(line, fg=_TONES[tone], bold=tone == "bad")
    return _VERSION.sub(lambda m: click.style(m[0], fg=_COLOURS[int(m[1]) % 2]), line)


def _table(shown: Shown) -> Iterator[str]:
    """Yield a table's lines, numbers to the right, below who answered and which call."""
    columns, rows = shown.answer.columns, shown.answer.rows
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    right = [all(row[i][:1].isdigit() for row in rows) for i in range(len(columns))]
    yield shown.title
    yield shown.call
    for row in (columns, *rows):
        cells = zip(row, widths, right, strict=True)
        yield "  ".join(c.rjust(w) if number else c.ljust(w) for c, w, number in cells)


def _closing(report: Report, stage: Stage, keep: Path | None) -> Iterator[str]:
    yield ""
    well = not report.errors and not report.findings
    yield click.style(
        f"{report.calls:,} calls, {report.errors} errors, {len(report.collected)} versions"
        f" collected, in {report.seconds:.1f} seconds",
        fg="green" if well else "red", bold=True,
    )  # fmt: skip
    for failure in report.failures:
        yield from (_toned(line, "bad") for line in _wrapped(failure))
    yield ""
    yield "What to try next:"
    for words, what in _next(stage, keep):
        yield f"{_INDENT}{click.style(words.ljust(40), bold=True)}{what}".rstrip()


def _next(stage: Stage, keep: Path | None) -> list[tuple[str, str]]:
    if keep is None:
        return [
            ("procver demo --pace 2", "once more, slowly"),
            ("procver demo --keep shop", "once more, and keep it to play on"),
            ("procver init", "a project of your own"),
        ]
    target = [] if stage.own else [("export PROCVER_TARGET=...", "the URL that you gave")]
    server = [
        ('psql "$(procver embedded url)"', "look into the database"),
        ("procver embedded stop", "its server still runs"),
    ]
    return [
        (f"cd {keep}", "procver.toml, procver.lock, shop/"),
        *target,
        ("procver release list", "what is published, live and retired"),
        ("procver release activate 1 --restore", "bring release 1 back, grants and all"),
        ("$EDITOR shop/views/stock_levels.sql", "change a view, then ..."),
        ("procver plan --release 3", "... see what that comes to, and why"),
        *(server if stage.own else []),
    ]
