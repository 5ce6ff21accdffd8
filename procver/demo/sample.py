"""The sample shop on disk: its two releases, its tables' migrations, and what every call must answer."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import procver
from procver.errors import ConfigError

_PLACEHOLDER = re.compile(r"\{([\w.]+)\}")


class Answer(NamedTuple):
    """What a call answered: column names and rows as the server prints them, or the SQLSTATE it failed with."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    error: str | None = None


class Expected(NamedTuple):
    """What one release promises of a call. ``rows`` is None where they vary."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] | None = None
    error: str | None = None

    def problem(self, answer: Answer) -> str | None:
        """Return how ``answer`` breaks the promise, or None if it keeps it."""
        for what, got, wanted in zip(("error", "columns"), (answer.error, answer.columns),
                                     (self.error, self.columns), strict=True):  # fmt: skip
            if got != wanted:
                return f"{what} {got}, not {wanted}"
        if self.rows is not None and answer.rows != self.rows:
            return f"rows {answer.rows}, not {self.rows}"
        return None


class Call(NamedTuple):
    """A call of the shop's app: SQL with logical names in braces, and each release's promise by its name."""

    sql: str
    expected: Mapping[str, Expected]

    def text(self, procs: Mapping[str, str]) -> str:
        """Return the SQL with the physical names of a mapping."""
        return physical_text(self.sql, procs)


def physical_text(sql: str, procs: Mapping[str, str]) -> str:
    """Return ``sql`` with each ``{logical.name}`` replaced by what ``procs`` maps it to."""
    return _PLACEHOLDER.sub(lambda match: procs[match[1]], sql)


class Sample:
    """The sample application for PostgreSQL.

    Args:
        directory: where it lies; None: in the package, or in the checkout that it runs from.

    Raises:
        ConfigError: it is in neither place.
    """

    def __init__(self, directory: Path | None = None) -> None:
        package = Path(procver.__file__).parent
        places = (package / "sample" / "postgresql", package.parent / "sql" / "postgresql")
        found = directory or next((p for p in places if (p / "calls.toml").is_file()), None)
        if found is None:
            raise ConfigError(
                f"the sample application is missing from this installation ({places[0]})",
                hint="install procver anew: pip install --force-reinstall procver",
            )
        self.directory = found

    def lay_out(self, root: Path, release: int) -> tuple[str, ...]:
        """Put a release's files into the project at ``root``, over the release before it.

        Returns:
            The files that were written or, with a leading ``-``, removed; relative to ``root``.
        """
        source = self.directory / f"release-{release}"
        removed = source / "REMOVED"
        done = _copy(source, root, leave_out=removed)
        if removed.exists():
            lines = removed.read_text("utf-8").splitlines()
            for name in (line.strip() for line in lines if line.strip() and line[0] != "#"):
                (root / name).unlink(missing_ok=True)
                done.append(f"-{name}")
        return tuple(done)

    def copy_migrations(self, root: Path) -> tuple[Path, ...]:
        """Put the migrations of the tables into the project, and return them in order."""
        names = _copy(self.directory / "migrations", root / "migrations")
        return tuple(root / "migrations" / name for name in names)

    def calls(self) -> tuple[Call, ...]:
        """Return every call of the app."""
        document = tomllib.loads((self.directory / "calls.toml").read_text("utf-8"))
        return tuple(Call(call["sql"], _promises(call)) for call in document["call"])


def _promises(call: Mapping[str, Any]) -> dict[str, Expected]:
    found = {}
    for release in ("1", "2"):
        said = call.get(f"release-{release}", call.get("both"))
        if said is not None:
            rows = tuple(tuple(row) for row in said["rows"]) if "rows" in said else None
            found[release] = Expected(tuple(said.get("columns", ())), rows, said.get("error"))
    return found


def _copy(source: Path, target: Path, leave_out: Path | None = None) -> list[str]:
    # By content only: an installation may be read-only, and the project must not be.
    done = []
    for path in sorted(source.rglob("*")):
        if path.is_file() and path != leave_out:
            name = path.relative_to(source)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(path.read_bytes())
            done.append(name.as_posix())
    return done
