"""PostgreSQL through psycopg 3: one pipelined connection, one short transaction per unit.

Everything that a transaction needs is set in it (``set_config(..., true)``), so a transaction-level pooler may
stand between. The manual's "Pipeline Mode" (libpq) and "Explicit Locking" chapters are the sources.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from procver import registry
from procver.dialects import MOMENT, PATIENCE, Call, Database, Ddl, DdlError, Lane, Row, Unit
from procver.dialects.postgresql_steps import grouped, is_definition, text_of
from procver.dialects.postgresql_url import ESCAPE, LOGIN_HINTS, unreached, why_unreadable
from procver.errors import ConfigError, ConflictError, DatabaseError, StalePlanError

try:
    import psycopg
except ImportError as error:  # pragma: no cover - a broken installation
    raise ConfigError(
        "the PostgreSQL driver psycopg is not installed",
        hint='install it with: pip install "procver[postgresql]"',
    ) from error

OLDEST_SERVER = 140000
"""The oldest server version that is supported, as ``server_version`` counts."""

QUEUE_TIMEOUT = 60.0
"""Seconds to wait for another procver command on the same project before trying again."""

GROUP = 16
"""DDL statements sent as one: a message, its parsing and its answer cost as much as a small function."""

SETTINGS = {
    "client_encoding": "UTF8", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "TimeZone": "UTC",
    "standard_conforming_strings": "on", "backslash_quote": "safe_encoding", "array_nulls": "on",
    "transform_null_equals": "off", "xmloption": "content", "bytea_output": "hex",
    "extra_float_digits": "1", "quote_all_identifiers": "off", "check_function_bodies": "on",
}  # fmt: skip
"""The settings of every transaction, whatever the server, database, role or pooler sets: a definition
means the same everywhere, and the catalog describes it in the same words. They are the server's own
defaults; a source that sets one of them before its definition wins."""


def _set(settings: Mapping[str, str]) -> bytes:
    calls = [f"pg_catalog.set_config('{k}', '{v}', true)" for k, v in settings.items()]
    return f"SELECT {', '.join(calls)}".encode()


# Statements of ours find nothing that other roles may have created, and no policy hides rows from them unseen.
_OURS = {"search_path": "pg_catalog, pg_temp", "row_security": "off"}
PINNED = _set(SETTINGS | _OURS)

# What runs as definitions do: under the project's search_path, as the definitions before it left it.
_TO_DEFINITIONS = (
    b"SELECT pg_catalog.set_config('search_path', pg_catalog.current_setting('procver.search_path'), true),"
    b" pg_catalog.set_config('row_security', 'on', true)"
)
_FROM_DEFINITIONS = (
    b"SELECT pg_catalog.set_config('procver.search_path', pg_catalog.current_setting('search_path'), true), "
    + _set(_OURS).removeprefix(b"SELECT ")
)

_STALE = "PV001"
_CONTRADICTORY = "XX000"  # could not open relation with OID, cache lookup failed
_BUSY = {"55P03", "40P01", "40001"}  # lock_not_available, deadlock_detected, serialization_failure
_HINTS = {
    **LOGIN_HINTS,
    "3F000": "create the schema with your migration tool first",
    "42501": "let the role that publishes own the schema or have CREATE on it; `procver init --roles` writes a script for that",
    "25006": "publish to the primary; a standby or read-only session cannot be written to",
    "53100": "free space on the server, then run the same command again",
    "57P01": "the connection was closed by the server: run the same command again to go on",
    "57P03": "the server is starting or stopping: try again in a moment",
}

_ROLES = "; `procver init --roles` writes a script with what each role needs"
_FIRST_USE = (
    "procver makes a schema of its own: GRANT CREATE ON DATABASE to this role, or let one that may run it first"
    + _ROLES
)
_REGISTRY = (
    "connect as the role that owns the schema procver, or GRANT this one USAGE on it and rights on its tables"
    + _ROLES
)
_OWNER = (
    "the version before, or the object that it takes the place of, belongs to that role: make this one a member of it, or"
    " hand it over first: ALTER ... OWNER TO"
)

# psycopg warns of every statement that an earlier error made void; the error itself is what we report.
logging.getLogger("psycopg").setLevel(logging.ERROR)


class PostgresqlDatabase:
    """A `Database` on PostgreSQL 14 or newer.

    Args:
        connection: an open connection in autocommit mode.
        search_path: schemas in which definitions are created and looked up.
        lock_timeout: seconds a statement of a unit may wait for a lock.
        more: opens another connection like this one, if that can be done.
    """

    dialect = "postgresql"

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        search_path: tuple[str, ...],
        lock_timeout: float,
        more: Callable[[], psycopg.Connection[Any]] | None = None,
    ) -> None:
        self._connection = connection
        self._more = more
        self._search_path = search_path
        self._path = ", ".join('"' + part.replace('"', '""') + '"' for part in search_path)
        self._lock_timeout = lock_timeout
        self._queries = {name: sql.encode() for name, sql in registry.queries(self.dialect).items()}

    def install(self, *, create: bool = True) -> bool:
        """See `Database.install`."""
        steps = registry.upgrades(self.dialect)
        try:
            # While another command sets it up this may see one half: then ask again, once that one has ended.
            with suppress(ConflictError, psycopg.errors.UndefinedTable):
                level = self._level()
                if level == steps[-1].number:
                    return True
                if not create and level == 0:
                    return False
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.execute(PINNED)
                cursor.execute(
                    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('procver'))"
                )
                level = self._level()
                if level == 0 and not create:
                    return False
                if level == 0:
                    # One that is there needs no right on the database: `procver init --roles`.
                    if not cursor.execute(
                        "SELECT pg_catalog.to_regnamespace('procver')"
                    ).fetchone()[0]:  # type: ignore[index]
                        cursor.execute("CREATE SCHEMA procver")
                    cursor.execute(
                        "CREATE TABLE procver.upgrade (number int PRIMARY KEY, name pg_catalog.text NOT NULL,"
                        " applied_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),"
                        " applied_by pg_catalog.text NOT NULL DEFAULT session_user)"
                    )
                for step in steps:
                    if step.number > level:
                        cursor.execute(step.sql.encode())
                        cursor.execute(
                            "INSERT INTO procver.upgrade (number, name) VALUES (%s, %s)",
                            (step.number, step.name),
                        )
        except psycopg.Error as error:
            raise _translated(error, "the registry cannot be set up") from None
        return True

    def _level(self) -> int:
        newest = registry.upgrades(self.dialect)[-1].number
        row = self._connection.execute(
            "SELECT pg_catalog.bool_or(c.relname OPERATOR(pg_catalog.=) 'upgrade')"
            " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
            " ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
            " WHERE n.nspname OPERATOR(pg_catalog.=) 'procver'"
        ).fetchone()
        assert row is not None
        if not row[0]:
            if row[0] is not None:
                raise ConflictError(
                    "the schema procver exists in this database, and procver did not make it",
                    hint="rename that schema: procver keeps its registry in a schema of this name",
                )
            return 0
        found = self._connection.execute(
            "SELECT pg_catalog.max(number) FROM procver.upgrade"
        ).fetchone()
        level = int(found[0] or 0) if found else 0
        if level > newest:
            raise ConflictError(
                f"the registry in this database is at level {level}, this procver knows up to {newest}",
                hint="upgrade procver to the version that your colleagues or pipeline use",
            )
        return level

    def check_name(self, name: str) -> None:
        """See `Database.check_name`. The registry holds any text."""

    def read(self, *calls: Call) -> list[list[Row]]:
        """See `Database.read`. While others drop objects the catalog contradicts itself for a moment: it is read again."""
        for attempt in range(1, PATIENCE + 1):
            try:
                return self._answers("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", calls)
            except psycopg.Error as error:
                if error.sqlstate != _CONTRADICTORY or attempt == PATIENCE:
                    raise _translated(error, "the registry cannot be read") from None
            time.sleep(0.02 * 2**attempt * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable")

    def note(self, call: Call) -> list[Row]:
        """See `Database.note`."""
        try:
            return self._answers("BEGIN ISOLATION LEVEL READ COMMITTED", (call,))[0]
        except psycopg.Error as error:
            raise _translated(error, f"the registry's {call.query!r} failed") from None

    def enter(self, project: str, default_schema: str, *, trials: bool = False) -> None:
        """See `Database.enter`."""
        argument = {"project": project, "default_schema": default_schema, "trials": trials}
        try:
            self._answers(
                "BEGIN ISOLATION LEVEL READ COMMITTED", (Call("enter_project", argument),)
            )
        except psycopg.Error as error:
            raise _translated(error, "the project cannot be entered into the registry") from None

    def _answers(self, begin: str, calls: Iterable[Call]) -> list[list[Row]]:
        """Return the rows of each call, in a transaction of their own."""
        connection = self._connection
        cursors = []
        try:
            with connection.pipeline():
                connection.execute(begin.encode())
                # What the catalog says is then qualified, and means the same in the transaction that uses it.
                connection.execute(PINNED)
                for call in calls:
                    cursor = psycopg.RawCursor(connection)
                    # Rows are read after the transaction, when another DateStyle may be in force again.
                    cursor.execute(
                        self._queries[call.query], (_document(call.argument or {}),), binary=True
                    )
                    cursors.append(cursor)
                connection.execute("COMMIT")
            return [cursor.fetchall() if cursor.description else [] for cursor in cursors]
        except psycopg.Error:
            self._rollback()
            raise

    def run(
        self, project_id: int, generation: int, units: Iterable[Unit], *, tries: int = PATIENCE
    ) -> Iterator[int]:
        """See `Database.run`."""

        def hold(done: int, patient: bool) -> Call:
            about = self._hold(project_id, patient)
            return Call("hold", {**about, "expected": generation + done})

        return self._run(hold, units, tries)

    def beside(self) -> PostgresqlDatabase | None:
        """See `Laned.beside`."""
        try:
            connection = self._more() if self._more else None
        except psycopg.Error:
            connection = None
        if connection is None:
            return None
        return PostgresqlDatabase(connection, self._search_path, self._lock_timeout, self._more)

    def run_in_lane(
        self, project_id: int, main: int, lane: Lane, units: Iterable[Unit]
    ) -> Iterator[int]:
        """See `Laned.run_in_lane`."""

        def hold(done: int, patient: bool) -> Call:
            about = self._hold(project_id, patient)
            about |= {"expected": main, "lane": lane.number, "in_lane": lane.generation + done}
            return Call("hold_lane", about)

        return self._run(hold, units, PATIENCE)

    def _run(
        self, hold: Callable[[int, bool], Call], units: Iterable[Unit], tries: int
    ) -> Iterator[int]:
        source = iter(units)
        window: deque[Unit] = deque()  # sent, or to be sent again, and not known to be committed
        done = tried = 0
        group = GROUP
        while True:
            try:
                for _ in self._pipeline(hold, done, window, source, group):
                    window.popleft()
                    yield done
                    done, tried, group = done + 1, 0, GROUP
                return
            except _RefusedError as refused:
                if refused.grouped:
                    group = 1  # send that unit again, statement by statement: which one was it?
                    continue
                error = refused.translated(done)
                tried += 1
                if refused.error.sqlstate not in _BUSY or tried >= tries or not window[0].patient:
                    raise error from None
                time.sleep(min(5.0, 0.05 * 2**tried) * random.uniform(0.5, 1.5))

    def _pipeline(
        self,
        hold: Callable[[int, bool], Call],
        done: int,
        window: deque[Unit],
        source: Iterator[Unit],
        group: int,
    ) -> Iterator[None]:
        """Send all units without waiting; yield once for each that the server committed."""
        sent: deque[_Sent] = deque()

        def send(sql: bytes, steps: tuple[Call | Ddl, ...] = (), argument: Any = None) -> None:
            cursor = psycopg.RawCursor(self._connection)
            sent.append(_Sent(cursor, steps))
            cursor.execute(sql, None if argument is None else (_document(argument),))

        def settle() -> int:
            """Forget the statements that have answered; count the commits among them."""
            commits = 0
            while sent and sent[0].cursor.pgresult is not None:
                commits += sent.popleft().cursor.statusmessage == "COMMIT"
            return commits

        def fresh() -> Iterator[Unit]:
            for unit in source:
                window.append(unit)
                yield unit

        try:
            with self._connection.pipeline():
                for index, unit in enumerate(chain(tuple(window), fresh())):
                    # Each statement must see what others committed while it waited for a lock.
                    send(b"BEGIN ISOLATION LEVEL READ COMMITTED")
                    send(PINNED)
                    defining = False
                    first_of_all = hold(done + index, unit.patient)
                    for steps in grouped(chain((first_of_all,), unit.steps), group):
                        first = steps[0]
                        if defining is not is_definition(first):
                            defining = not defining
                            send(_TO_DEFINITIONS if defining else _FROM_DEFINITIONS)
                        if isinstance(first, Call):
                            send(self._queries[first.query], steps, first.argument)
                        elif len(steps) == 1:
                            send(text_of(first).encode(), steps)
                        else:
                            texts = [text_of(step) for step in steps if isinstance(step, Ddl)]
                            send(self._queries["execute"], steps, texts)
                    send(b"COMMIT")
                    self._connection.pgconn.send_flush_request()  # so that progress is heard of
                    for _ in range(settle()):
                        yield
        except psycopg.Error as error:
            for _ in range(settle()):
                yield
            self._rollback()
            if error.sqlstate == _STALE:
                raise StalePlanError(str(error.diag.message_primary)) from None
            raise _RefusedError(error, sent[0].steps if sent else ()) from None
        except BaseException:
            self._rollback()
            raise
        for _ in range(settle()):
            yield

    def _hold(self, project_id: int, patient: bool) -> dict[str, Any]:
        lock_timeout = self._lock_timeout if patient else min(self._lock_timeout, MOMENT)
        return {
            "project_id": project_id,
            "queue_timeout": f"{QUEUE_TIMEOUT:g}s",
            "lock_timeout": f"{lock_timeout * 1000:.0f}ms",
            "search_path": self._path,
        }

    def _rollback(self) -> None:
        try:
            if not self._connection.closed:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()

    def close(self) -> None:
        """See `Database.close`."""
        self._connection.close()


class _Sent(NamedTuple):
    """A statement under way, and the steps that it carries."""

    cursor: psycopg.RawCursor[Any]
    steps: tuple[Call | Ddl, ...]


class _RefusedError(Exception):
    """The server refused a statement that carried ``steps``; the transaction was rolled back."""

    def __init__(self, error: psycopg.Error, steps: tuple[Call | Ddl, ...]) -> None:
        super().__init__(str(error))
        self.error = error
        self.steps = steps

    @property
    def grouped(self) -> bool:
        """Whether it cannot be told which step was refused."""
        answered = self.error.sqlstate is not None and self.error.sqlstate not in _BUSY
        items = sum(len(s.subjects) if isinstance(s, Call) else 1 for s in self.steps)
        return answered and items > 1

    def translated(self, unit: int) -> DatabaseError:
        """Return the error to raise for the unit with this index."""
        error, step = self.error, self.steps[0] if self.steps else None
        if isinstance(step, Call) and step.subjects:
            step = Ddl("", step.subjects[0])
        if isinstance(step, Ddl) and error.sqlstate and error.diag.message_primary:
            at = error.diag.statement_position if step.sql else None
            return DdlError(
                error.diag.message_primary,
                step=step,
                unit=unit,
                position=int(at) - 1 if at else None,
                hint=error.diag.message_hint or _HINTS.get(error.sqlstate),
                sqlstate=error.sqlstate,
                detail=error.diag.message_detail,
                busy=error.sqlstate in _BUSY,
            )
        what = f"the registry's {step.query!r}" if isinstance(step, Call) else "the transaction"
        return _translated(error, f"{what} failed")


def _document(argument: Any) -> str:
    """Return JSON without escapes: a database in SQL_ASCII cannot read any beyond ASCII."""
    text = json.dumps(argument, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return json.dumps(argument)
    return text


def open_database(
    url: str, root: Path, search_path: tuple[str, ...], lock_timeout: float
) -> Database:
    """Connect to ``postgresql://...`` or start and connect to ``embedded:[directory]``.

    Raises:
        ConfigError: the URL cannot be read, or the embedded server is not installed.
        DatabaseError: the server could not be reached, refused the login or is too old.
    """
    environment: Callable[[], AbstractContextManager[None]] = nullcontext
    if url.startswith("embedded:"):
        from procver.dialects import embedded

        environment = embedded.alone
        url = embedded.start(root, url.removeprefix("embedded:"))
    parts: dict[str, Any] = {}

    def dial() -> psycopg.Connection[Any]:
        with environment():
            connection: psycopg.Connection[Any] = psycopg.connect(
                autocommit=True, prepare_threshold=None, **parts
            )
        # Whoever waited for a lock must see what the other one committed.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return connection

    refusal: ConfigError | DatabaseError
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
        parts.setdefault("connect_timeout", "10")
        parts.setdefault("application_name", "procver")
        parts.update(client_encoding="utf8")
        connection = dial()
    except (psycopg.ProgrammingError, ValueError) as error:  # ValueError: what is not text
        refusal = ConfigError(
            f"the target's URL cannot be read: {why_unreadable(str(error))}", hint=ESCAPE
        )
    except psycopg.Error as error:
        refusal = unreached(str(error), url, parts, error.sqlstate)
    else:
        if connection.info.server_version >= OLDEST_SERVER:
            return PostgresqlDatabase(connection, search_path, lock_timeout, dial)
        version = connection.info.server_version // 10000
        connection.close()
        refusal = DatabaseError(
            f"the server is PostgreSQL {version}", hint="procver needs PostgreSQL 14 or newer"
        )
    raise refusal  # here, so that no error of the driver, which may quote the URL, comes with it


def _translated(error: psycopg.Error, doing: str) -> DatabaseError:
    if error.sqlstate is None and isinstance(error, psycopg.DataError):
        return DatabaseError(
            f"{doing}: it holds a value that cannot be read: {error}",
            hint="somebody changed the registry by hand: correct that value, such as a timestamp of infinity",
        )
    if error.sqlstate is None or error.diag.message_primary is None:
        return DatabaseError(
            f"{doing}: the connection to the server was lost",
            hint="run the same command again: it goes on where it stopped",
        )
    message = error.diag.message_primary
    hint = _HINTS.get(error.sqlstate) or error.diag.message_hint
    if error.sqlstate == "42501":
        hint = _FIRST_USE if "for database" in message else _REGISTRY
        if "must be" in message and "role" in message.lower():  # member of, able to SET
            hint = _OWNER
    return DatabaseError(f"{doing}: {message}", hint=hint, sqlstate=error.sqlstate)
