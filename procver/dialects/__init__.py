"""The databases procver knows: one file per dialect, each the only importer of its driver.

A dialect speaks to its server through few and small methods. What it says is in two places: the registry's
statements (``registry/<dialect>/*.sql``, by name) and DDL that a plan holds as text. Every statement of the
registry takes one JSON document and gives plain rows, so that one round trip serves any number of objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from procver.errors import ConfigError, DatabaseError

Row = tuple[Any, ...]

PATIENCE = 8
"""How often a unit that met a lock or a deadlock is tried, unless said otherwise."""


MOMENT = 0.2
"""Seconds that a unit without patience waits for a lock: less than any server waits before it looks for a deadlock."""


class Call(NamedTuple):
    """A named statement of the registry with its one argument, any JSON-able value.

    Attributes:
        query: its name.
        argument: what it takes.
        subjects: for an argument that is a list, an index of the caller's for each item: a refusal
            then names the item, as that of a `Ddl` does.
    """

    query: str
    argument: Any = None
    subjects: tuple[int, ...] = ()


class Ddl(NamedTuple):
    """A statement to be sent as it is.

    Attributes:
        sql: its text.
        subject: what it is for: an index of the caller's.
        setting: whether it sets something for the statements after it in its unit.
        missing: whether it is to do nothing where what it creates exists already.
    """

    sql: str
    subject: int = -1
    setting: bool = False
    missing: bool = False


class Unit(NamedTuple):
    """Steps that commit together, in one short transaction that holds the project.

    Attributes:
        steps: what to do, in order. They may be made as they are taken, but can be taken again: a unit that met a lock
            is sent anew.
        patient: whether it waits for locks that others hold. One that is not gives way after `MOMENT`, once and for all.
    """

    steps: Iterable[Call | Ddl]
    patient: bool = True


class Lane(NamedTuple):
    """One of several ways to write to a project at the same time: each object's versions are created in its own.

    Attributes:
        number: which one, from 0.
        generation: how many units were committed in it.
    """

    number: int
    generation: int


_LACKING = {"42501", "229", "262", "297", "300", "3701"}
"""SQLSTATE insufficient_privilege, and what SQL Server says instead; 3701 is a DROP of what a login may not drop."""


class DdlError(DatabaseError):
    """The server refused a `Ddl` step.

    Attributes:
        unit: index of its unit among those given to `Database.run`.
        step: the step.
        position: offset in the step's text, from 0, where the server saw the error; None if it did not say.
        detail: for a refused drop, what the server says depends on it.
        busy: whether a lock or a deadlock stood in the way: the same may pass when it is run again.
    """

    code = "ddl"

    def __init__(
        self,
        message: str,
        *,
        step: Ddl,
        unit: int,
        position: int | None = None,
        hint: str | None = None,
        sqlstate: str | None = None,
        detail: str | None = None,
        busy: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, sqlstate=sqlstate)
        self.step = step
        self.unit = unit
        self.position = position
        self.detail = detail
        self.busy = busy

    def with_others(self, others: Sequence[DdlError]) -> DdlError:
        """Return this error, which now stands for ``others`` too."""
        self.others = tuple(others)
        if others:
            more = (
                "1 more definition was"
                if len(others) == 1
                else f"{len(others)} more definitions were"
            )
            lines = [str(self), f"{more} rejected:", *(f"  {other}" for other in others)]
            self.message = "\n".join(lines)
            self.args = (self.message,)
        return self

    @property
    def refused(self) -> bool:
        """Whether a right was lacking, whatever depends on what."""
        return self.sqlstate in _LACKING

    @property
    def general(self) -> bool:
        """True if the next definition would very likely fail too: a missing right, or a lock."""
        return self.refused or self.busy


class Database(Protocol):
    """An open connection to one target. What plans rest on is written by a `Unit`: there is no other way in."""

    dialect: str

    def install(self, *, create: bool = True) -> bool:
        """Create the registry or bring it up to date; return False if there is none and `create` is False.

        Raises:
            ConflictError: the registry is newer than this procver.
            DatabaseError: the server refused.
        """

    def check_name(self, name: str) -> None:
        """Refuse a name of a project, release or the like that this server's registry could not hold as it is.

        Raises:
            UsageError: it could not.
        """

    def read(self, *calls: Call) -> list[list[Row]]:
        """Return the rows of each call, all seen in one snapshot, in a constant number of round trips."""

    def note(self, call: Call) -> list[Row]:
        """Run what writes nothing that a plan depends on, in a transaction of its own; return its rows.

        It neither holds the project nor counts.

        Raises:
            DatabaseError: the server refused, or the connection broke.
        """

    def enter(self, project: str, default_schema: str, *, trials: bool = False) -> None:
        """Make the project known to the registry, if it is not.

        Args:
            project: its name.
            default_schema: the schema that a bare name means.
            trials: whether its retired releases may be discarded from this database.
        """

    def run(
        self, project_id: int, generation: int, units: Iterable[Unit], *, tries: int = PATIENCE
    ) -> Iterator[int]:
        """Run units in order, each in its own transaction; yield the index of each that was committed.

        Waits, with backoff, for locks that others hold.

        Args:
            project_id: the project that is written to.
            generation: the generation at which the units were planned; each unit adds one.
            units: what to run; taken lazily.
            tries: how often a unit that meets a lock is tried in all.

        Raises:
            StalePlanError: somebody else wrote to the project since; plan anew.
            DdlError: a statement was refused; units before it are committed, later ones are not.
            DatabaseError: the connection broke, or the registry's own statement was refused.
        """

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""


@runtime_checkable
class Laned(Protocol):
    """A `Database` whose registry keeps lanes, so that two connections can create versions of one project together."""

    def beside(self) -> Laned | None:
        """Open one more connection to the same target; None if the server grants no more."""

    def run_in_lane(
        self, project_id: int, main: int, lane: Lane, units: Iterable[Unit]
    ) -> Iterator[int]:
        """Run units as `Database.run` does, but together with what runs in other lanes.

        Args:
            project_id: the project that is written to.
            main: the project's generation without those of its lanes: it stays, and nobody else may count it up.
            lane: where; each unit adds one to its generation.
            units: what to run; taken lazily.

        Raises:
            StalePlanError, DdlError, DatabaseError: as `Database.run`.
        """

    def close(self) -> None:
        """See `Database.close`."""


def connect(
    url: str, *, dialect: str, root: Path, search_path: tuple[str, ...], lock_timeout: float = 3.0
) -> Database:
    """Open a connection to a target.

    Args:
        url: ``postgresql://...``, ``embedded:[directory]``, ``mssql://...`` or an ODBC connection string, variables
            already expanded.
        dialect: the project's dialect, which the URL must fit.
        root: the project's directory, to which an embedded server's data directory is relative.
        search_path: schemas in which the definitions' unqualified names are looked up.
        lock_timeout: seconds a statement may wait for a lock before it is rolled back and tried again.

    Raises:
        ConfigError: no dialect knows this URL, or its driver is not installed.
        DatabaseError: the server could not be reached or refused the login.
    """
    opener = _opener(url, dialect)
    return opener(url, root, search_path, lock_timeout)


_SHAPES = {
    "postgresql": "a target is postgresql://user@host:port/database or embedded:",
    "mssql": "a target is mssql://user:password@host:port/database or Driver=...;Server=...;Database=...;",
}


def _opener(url: str, dialect: str) -> Callable[[str, Path, tuple[str, ...], float], Database]:
    if url.startswith(("postgresql://", "postgres://", "embedded:")) and dialect == "postgresql":
        from procver.dialects.postgresql import open_database

        return open_database
    if dialect == "mssql":
        from procver.dialects.odbc import is_target

        if is_target(url):
            from procver.dialects.mssql import open_database as open_mssql

            return open_mssql
    scheme = re.match(
        r"[A-Za-z][A-Za-z0-9+.-]*(?=://)", url
    )  # all that may be shown: the rest may hold a password
    shown = f"begins with {scheme[0]!r}" if scheme else "is no URL"
    raise ConfigError(
        f"no way to reach a {dialect} target that {shown}",
        hint=_SHAPES.get(dialect, "see the target's form in procver.toml"),
    )
