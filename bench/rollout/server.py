"""What the rollout needs of a server, whichever it is."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bench.rollout.contract import Question, Source

Address = str | tuple[str, int]
"""Where a server listens: a Unix socket's path, or host and port."""

Rows = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""The names of columns, and rows."""


class LostError(Exception):
    """The connection broke: a sane client connects anew and asks again."""


class Session(Protocol):
    """A connection of the app's; ``raw`` is the driver's own."""

    raw: Any

    def ask(self, sql: str, parameters: tuple[Any, ...]) -> Rows:
        """Return the columns and rows of a call; raises `LostError` if the connection broke."""

    def transaction(self) -> AbstractContextManager[None]:
        """All calls in here are one transaction; raises `LostError` if the connection broke."""

    def close(self) -> None:
        """Close the connection."""


class Server(Protocol):
    """A database of its own on a server, and what only its administrator can do."""

    dialect: str
    sources: Mapping[str, Source]
    questions: Sequence[Question]
    url: str

    @property
    def role(self) -> str | None:
        """As whom the app calls; None: as the login."""

    @property
    def address(self) -> Address:
        """Where the server listens."""

    def through(self, port: int) -> str:
        """Return the target of the database by way of a proxy on this machine."""

    def config(self) -> str:
        """Return what procver.toml says for this dialect alone."""

    def admit(self) -> None:
        """Let the app send heartbeats and read mappings, once there is a registry."""

    def terminate(self, dice: random.Random) -> str | None:
        """Terminate a connection's backend; return whose, or None if there was none or it cannot be done."""

    def objects(self) -> set[str]:
        """Return the physical names of all routines, views and table types in the schema app."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the registry."""

    def hold(self, name: str, physical: str) -> None:
        """Make a view by hand that depends on a version of `origin`; LookupError if that is not there."""

    def let_go(self, name: str) -> str:
        """Drop a view that `hold` made; return what it answered before."""

    def sabotage(self, physical: str, how: str) -> None:
        """Behind procver's back, ``drop`` a version of `steady` that is in use, or ``alter`` what it answers."""

    def drop(self) -> None:
        """Drop the database, and what else was made for it."""


def open_session(dialect: str, url: str, name: str, role: str | None) -> Session:
    """Return a new connection of the app's.

    Raises:
        LostError: the server cannot be reached.
    """
    if dialect == "mssql":
        from bench.rollout.mssql import Session as Mssql

        return Mssql(url, name, role)
    from bench.rollout.postgresql import Session as Postgresql

    return Postgresql(url, name, role)


def make_server(url: str, name: str) -> Server:
    """Make a database of this name on the server that a target names, and return it."""
    if url.startswith(("postgresql://", "postgres://")):
        from bench.rollout.postgresql import Server as Postgresql

        return Postgresql(url, name)
    from bench.rollout.mssql import Server as Mssql

    return Mssql(url, name)
