"""The shop's app server: calls all the time through its own mapping, and checks every answer.

The one place beside the dialects that imports a driver: this is an app, and apps bring their own.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from procver.demo.sample import Answer, Call, physical_text
from procver.errors import ConfigError, DatabaseError
from procver.resolver import Resolver

try:
    import psycopg
except ImportError as error:  # pragma: no cover - a broken installation
    raise ConfigError(
        "the demo needs the PostgreSQL driver psycopg, which is not installed",
        hint='install it with: pip install "procver[embedded]"',
    ) from error

Session = psycopg.Connection[Any]
SessionError = psycopg.Error

ROLE = "shop_app"
"""The role that the shop's app calls as."""

PAUSE = 0.002
"""Seconds between two calls of one server, so that a demo leaves room for others on the machine."""

PATIENCE = 60.0
"""Seconds that a server may take to make every call once."""


def open_session(url: str, name: str) -> Session:
    """Open a connection in autocommit mode that calls itself ``name`` in pg_stat_activity.

    Raises:
        DatabaseError: the server refused.
    """
    try:
        return psycopg.connect(
            url, autocommit=True, application_name=name, client_encoding="utf8", connect_timeout=10
        )
    except psycopg.Error as error:
        raise DatabaseError(
            f"{name} cannot connect: {error}", hint="see that the server takes four connections"
        ) from None


class AppServer:
    """One copy of the app, with a connection and a thread of its own.

    Args:
        name: what it is called, ``web-1``.
        url: the database.
        calls: what it calls, one after the other, again and again.

    Attributes:
        count: calls made so far.
        errors: how many of them did not answer what their release promises.
        failures: what was wrong with the first few of these.
    """

    def __init__(self, name: str, url: str, calls: Iterable[Call]) -> None:
        self.name = name
        self.count = self.errors = 0
        self.failures: list[str] = []
        self._calls = tuple(calls)
        self._served: tuple[Call, ...] = ()
        self._session = open_session(url, name)
        self._session.execute(f"SET ROLE {ROLE}".encode())
        self._session.autocommit = False
        self._turn = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def load(self, mapping: Path) -> None:
        """Go on with another mapping, from the next call on; the first one starts the server.

        Raises:
            UsageError: it is no mapping.
            FindingsError: the database lacks a version that it names; the server stays on the old one.
        """
        procs = Resolver.load(mapping)
        with self._turn:
            procs.verify(self._session)
            self.procs = procs
            self._served = tuple(c for c in self._calls if procs.release in c.expected)
        if self._thread.ident is None:
            self._thread.start()

    @property
    def release(self) -> str:
        """The release that it is on."""
        return self.procs.release

    @property
    def repertoire(self) -> int:
        """How many different calls it makes on its release."""
        return len(self._served)

    def ask(self, sql: str) -> tuple[str, Answer]:
        """Put a call between the others; return its text with physical names, and the answer."""
        with self._turn:
            text = physical_text(sql, self.procs)
            return text, self._answer(text)

    def go_round(self) -> None:
        """Wait until each call of its release was made once more.

        Raises:
            DatabaseError: the server has lost its connection, or its calls take far too long.
        """
        wanted = self.count + self.repertoire + 1  # one may have begun before
        deadline = time.monotonic() + PATIENCE
        while self.count < wanted:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                why = self.failures[-1] if self.failures else f"no answer for {PATIENCE:g} s"
                raise DatabaseError(
                    f"{self.name} cannot go on: {why}",
                    hint="see the server's log, then run the demo again",
                )
            time.sleep(0.005)

    def stop(self) -> None:
        """End the thread after its present call, and close the connection."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._session.close()

    def _serve(self) -> None:
        for index in itertools.count():
            with self._turn:
                self._check(self._served[index % len(self._served)])
            if self._session.closed or self._stopped.wait(PAUSE):
                return

    def _check(self, call: Call) -> None:
        text = call.text(self.procs)
        problem = call.expected[self.release].problem(self._answer(text))
        if problem is not None and not self._stopped.is_set():
            self.errors += 1
            if len(self.failures) < 5:
                self.failures.append(f"{self.name} on release {self.release}: {text}: {problem}")
        self.count += 1

    def _answer(self, text: str) -> Answer:
        """Make a call in a transaction that is rolled back."""
        try:
            result = self._session.execute(text.encode()).pgresult
            assert result is not None  # every statement that did not fail has one
            columns = tuple((result.fname(c) or b"").decode() for c in range(result.nfields))
            return Answer(columns, tuple(
                tuple(_printed(result.get_value(r, c)) for c in range(result.nfields))
                for r in range(result.ntuples)
            ))  # fmt: skip
        except psycopg.Error as error:
            return Answer(error=error.sqlstate or str(error).strip())
        finally:
            if not self._session.closed:
                self._session.rollback()


def _printed(value: Any) -> str:
    return "NULL" if value is None else bytes(value).decode()
