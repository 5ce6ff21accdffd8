"""In the app: tell the registry which instance runs which release, so that gc keeps what it needs.

Standard library only.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from procver.background import Background, check_period, told
from procver.errors import UsageError
from procver.resolver import dialect_of, mark_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_GRANTS = {
    "postgresql": "GRANT USAGE ON SCHEMA procver and GRANT EXECUTE ON FUNCTION procver.beat to the app's role",
    "mssql": "GRANT EXECUTE ON OBJECT::procver.beat to the app's role",
}
_HINTS = (
    (("PV004", "51004"), "publish the release to this database first, or correct release and project"),
    (("PV005", "51005"), "give the instance another name"),
    (("is not a member of role",), "make this login a member of that role: docs/roles.md"),
    (("42501", "(229)", "permission denied"), ""),
    (("3F000", "42883", "(2812)", 'procver" does not exist', 'procver.beat" does not exist'),
     "check the connection's database; a registry is made by: procver publish"),
    (("25006", "(3906)"), "let heartbeats go to the primary"),
)  # fmt: skip


def check_instance(name: str) -> str:
    """Return an instance's name if it can be one.

    Raises:
        UsageError: it is blank, longer than 200 characters or holds control characters.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or not name.isprintable():
        raise UsageError(
            f"{name!r} cannot be an instance name",
            hint="use 1 to 200 printable characters, such as a host name: web-1",
        )
    return name


class Heartbeat:
    """Says again and again that this instance of the app runs a release: ``with Heartbeat(connect, procs): ...``.

    As a context manager, or between `start` and `stop`, a daemon thread does so; `beat` does it once. Everything goes over a
    connection of its own, in short transactions of its own. No failure reaches the app, and none delays the end of the
    interpreter. A thread does not survive a fork: call `start` in the child.

    Args:
        connect: returns a new DB-API connection (psycopg, pyodbc, ...); give it a connection timeout.
        release: a release's name; or what the app resolves names with, whose release is asked for at every beat.
        instance: which copy of the app this is, the same after a restart; host name and process id if None.
        project: the project that the release belongs to; the resolver's, if None. It may stay unknown where no two projects
            in the database have a release of that name.
        every: seconds between two beats, about.
        dialect: ``postgresql`` or ``mssql``; the resolver's, or guessed from the connection, if None.

    Raises:
        UsageError: an argument makes no sense.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        release: Any,
        instance: str | None = None,
        *,
        project: str | None = None,
        every: float = 60.0,
        dialect: str | None = None,
    ) -> None:
        if not callable(connect):
            raise UsageError(
                "the first argument of Heartbeat must be a function that returns a connection",
                hint="write: Heartbeat(lambda: psycopg.connect(url, connect_timeout=5), ...)",
            )
        if dialect not in (None, *_GRANTS):
            raise UsageError(
                f"no dialect {dialect!r}", hint="write dialect='postgresql' or dialect='mssql'"
            )
        named = isinstance(release, str)
        if not isinstance(release if named else getattr(release, "release", None), str):
            raise UsageError(
                f"{release!r} is no release",
                hint="give its name, or the resolver that the app uses",
            )
        if named and not release.strip():
            raise UsageError("the release's name is empty", hint="see: procver release list")
        self._release = release
        self._instance = None if instance is None else check_instance(instance)
        self._project = project or (None if named else getattr(release, "project", None)) or None
        self._dialect = dialect or (None if named else getattr(release, "dialect", None))
        self._visited: dict[str, None] = {}
        self._background = Background(
            connect, self._beat, check_period(every), name="procver-heartbeat", failed=self._failed,
            recovered=lambda: f"heartbeat of {self.instance} is recorded again", last=self._leave,
        )  # fmt: skip

    @property
    def instance(self) -> str:
        """Which copy of the app this is."""
        return self._instance or f"{socket.gethostname() or 'app'}-{os.getpid()}"[-200:]

    @property
    def release(self) -> str:
        """The release that the next beat will name."""
        found = self._release
        return found if isinstance(found, str) else str(found.release)

    @property
    def running(self) -> bool:
        """Whether the thread runs, in this process."""
        return self._background.running

    @property
    def failures(self) -> int:
        """How many beats were not recorded since the last one that was."""
        return self._background.failures

    @property
    def error(self) -> Exception | None:
        """What went wrong with the last beat; None if it was recorded."""
        return self._background.error

    def __repr__(self) -> str:
        state = f"{self.failures} failures in a row" if self.failures else "no failure"
        return f"<Heartbeat of {self.instance!r} on release {self.release!r}: {state}>"

    def start(self) -> Self:
        """Beat at once, and from then on, in a daemon thread; does nothing if it runs already."""
        self._born()
        self._background.start()
        return self

    def stop(self, timeout: float = 5.0, *, goodbye: bool = True) -> bool:
        """End the thread, and say goodbye, so that this instance keeps no release any more; never raises.

        Args:
            timeout: seconds to wait at most for the thread. A server that does not answer is left alone.
            goodbye: False keeps the release for as long as ``[gc] idle`` says: for a restart that may take time.

        Returns:
            whether all of that was done in time.
        """
        self._born()
        return self._background.stop(timeout, politely=goodbye)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def beat(self) -> bool:
        """Beat once; return whether it was recorded. Never raises."""
        self._born()
        return self._background.once()

    def _born(self) -> None:
        """Forget where the process that forked this one has been."""
        if not self._background.mine():
            self._visited = {}

    def _beat(self, connection: Any) -> None:
        release = self.release
        self._say(connection, release, leaving=False)
        self._visited[release] = None

    def _leave(self, connect: Callable[[], Any]) -> None:
        for release in list(self._visited):
            self._say(connect(), release, leaving=True)
            del self._visited[release]

    def _say(self, connection: Any, release: str, *, leaving: bool) -> None:
        if self._dialect is None:
            self._dialect = dialect_of(connection)
        sql, parameters = _statement(
            self._dialect, mark_of(connection), (self._project, release, self.instance, leaving)
        )
        cursor = connection.cursor()
        try:
            cursor.execute(sql, parameters)
            if cursor.description is not None:
                cursor.fetchall()
        finally:
            cursor.close()
        connection.commit()  # of no effect in autocommit mode

    def _failed(self, error: Exception) -> str:
        hint = _hint(error, self._dialect)
        return (
            f"heartbeat of {self.instance} was not recorded, gc may take it for gone: {told(error)}"
            + (f"; {hint}" if hint else "")
        )


def _statement(
    dialect: str, mark: str, values: tuple[str | None, str, str, bool]
) -> tuple[str, Any]:
    """Return the one statement that a heartbeat is, and its parameters, in a driver's own style."""
    names = ("project", "release", "instance", "leaving")
    if mark in ("?", "%s"):
        marks: list[str] = [mark] * 4
    elif mark == ":1":
        marks = [f":{at}" for at in range(1, 5)]
    else:
        marks = [f":{name}" for name in names]
    parameters: Any = dict(zip(names, values, strict=True)) if mark == ":name" else values
    if dialect == "mssql":
        pairs = (f"@{name} = {one}" for name, one in zip(names, marks, strict=True))
        return f"EXEC procver.beat {', '.join(pairs)}", parameters
    return f"SELECT procver.beat({', '.join(marks)})", parameters


def _hint(error: Exception, dialect: str | None) -> str:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
    text = f"{state} {error}"
    for signs, hint in _HINTS:
        if any(sign in text for sign in signs):
            return hint or _GRANTS[dialect or "postgresql"]
    return ""
