"""The statements of a command on SQL Server, seen and stopped on their way, as `tests.faults.Proxy` does it on PostgreSQL.

What travels may be encrypted. So a command of a `tests.faults.Kennel` says itself what it is about to send: its driver asks
before each statement, and waits for the answer. Whom to ask is in the connection string, in the application's name.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pyodbc

from procver.dialects.odbc import read_target
from tests.faults import Cut, Listener

_APP = re.compile(r"(?i)\bAPP=([^;]*);")
_MARK = "tap:"


class Tap(Listener):
    """A SQL Server's address at which every statement is seen, and can be stopped, on its way.

    Args:
        url: the server's.
        before: called with each statement's number, from 1, and its text, before the server gets it.
        after: called likewise once the server has executed it, before the command hears of it.

    Attributes:
        url: where to connect instead.
        statements: the text of each statement that came by.
        backends: ids of the server's sessions, one for each connection.
    """

    def __init__(
        self, url: str, before: Callable[[int, str], None] | None = None,
        after: Callable[[int, str], None] | None = None,
    ) -> None:  # fmt: skip
        super().__init__("ask")
        self._before, self._after = before, after
        plain = _APP.sub("", read_target(url, pyodbc.drivers()).text)
        self.url = f"{plain}APP={_MARK}{self.directory}/ask;"
        self.statements: list[str] = []
        self.backends: list[int] = []

    def _take(self, client: socket.socket) -> None:
        self.start(self._answer, client)

    def _answer(self, client: socket.socket) -> None:
        try:
            with client.makefile("r", encoding="utf-8") as lines:
                self.backends.append(json.loads(next(lines)))
                for line in lines:
                    text = json.loads(line)
                    self.statements.append(text)
                    if self._before is not None:
                        self._before(len(self.statements), text)
                    client.sendall(b"!" if self._after is None else b"?")
                    if self._after is not None:
                        next(lines)
                        self._after(len(self.statements), text)
                        client.sendall(b"!")
        except Cut:
            pass
        except OSError:
            pass  # the command went away: that is what this is for
        except BaseException as error:
            self.fault = error
        finally:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def tap_driver() -> None:
    """Let the driver of this process ask the `Tap` that a connection string names, before it sends anything."""
    plain = pyodbc.connect

    def connect(text: str, **options: Any) -> Any:
        connection = plain(text, **options)
        named = _APP.search(text)
        if named is None or not named[1].startswith(_MARK):
            return connection
        line = socket.socket(socket.AF_UNIX)
        line.connect(named[1].removeprefix(_MARK))
        (session,) = connection.execute("SELECT @@SPID").fetchone()
        _say(line, session)
        return _Connection(connection, line)

    pyodbc.connect = connect


def _say(line: socket.socket, what: object) -> None:
    line.sendall(json.dumps(what).encode() + b"\n")


def _told(line: socket.socket) -> bytes:
    answer = line.recv(1)
    if not answer:
        raise ConnectionError("the test that this command is part of is over")
    return answer


class _Asking:
    """What sends statements: a connection or a cursor of the driver, but for the question before each of them."""

    def __init__(self, real: Any, line: socket.socket) -> None:
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_line", line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)

    def execute(self, text: str, *parameters: Any) -> Any:
        if self._line.fileno() < 0:
            return self._real.execute(text, *parameters)
        _say(self._line, text)
        wanted = _told(self._line)
        found = self._real.execute(text, *parameters)
        if wanted == b"?":
            _say(self._line, "done")
            if not self._line.recv(1):
                # Cut: the driver shall find its connection broken, and say so in its own words.
                self._line.close()
                return self._real.execute("SELECT 1")
        return found


class _Connection(_Asking):
    def cursor(self) -> _Asking:
        return _Asking(self._real.cursor(), self._line)
