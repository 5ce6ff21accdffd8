"""SQL Server, and Babelfish, through pyodbc: one short transaction per unit, serialised by an application lock.

The connection is in autocommit mode and says BEGIN and COMMIT itself: settings and transactions begun in a batch that has
parameters would end with it (the driver sends such a batch through sp_prepexec). The manual's "SET XACT_ABORT", "SET
LOCK_TIMEOUT" and "sp_getapplock" are the sources.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from procver import registry
from procver.dialects import MOMENT, PATIENCE, Call, Database, Ddl, DdlError, Row, Unit, babelfish
from procver.dialects.mssql_batches import batch_of, shared, upgrade
from procver.dialects.mssql_server import Server, recognised
from procver.dialects.odbc import Target, read_target
from procver.dialects.odbc_errors import STALE, Failures, failures
from procver.errors import ConfigError, ConflictError, DatabaseError, StalePlanError

try:
    import pyodbc
except ImportError as error:
    raise ConfigError(
        f"the ODBC module pyodbc cannot be loaded: {error}",
        hint='install it with: pip install "procver[mssql]"',
    ) from error

_logger = logging.getLogger(__name__)

QUEUE_TIMEOUT = 60.0
"""Seconds to wait for another procver command on the same project before trying again."""

LOGIN_TIMEOUT = 10
"""Seconds to wait for a login."""

_COMMITTED = {"versions", "releases", "instances", "channels", "memberships"}
"""Statements that have no rows for a project of which nothing was committed."""

_ABOUT = {
    "definitions": "ids", "drops": "ids", "unmanaged_namesakes": "names", "missing_roles": "roles",
    "unsettable": "owners", "parts": "ids", "strangers": "ids",
}  # fmt: skip
"""Statements that have rows for the items of a list alone, by its key: an empty one is not sent."""

_ON = "SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON;"
_ROLLBACK = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; " + _ON
_LOST = "the connection to the server was lost"
_AGAIN = "run the same command again: it goes on where it stopped"


class MssqlDatabase:
    """A `Database` on SQL Server 2017 or newer, Azure SQL or Babelfish.

    Args:
        connection: an open connection in autocommit mode.
        target: what it was opened with; its secrets are kept out of messages.
        server: what is at its other end.
        lock_timeout: seconds a statement of a unit may wait for a lock.
    """

    dialect = "mssql"

    def __init__(
        self, connection: pyodbc.Connection, target: Target, server: Server, lock_timeout: float
    ) -> None:
        self._connection = connection
        self._target = target
        self.server = server
        self._lock_timeout = int(lock_timeout * 1000)
        self._queries = _queries(server.flavour)

    def install(self, *, create: bool = True) -> bool:
        """See `Database.install`."""
        steps = registry.upgrades(self.dialect)
        try:
            level = self._level()
            if level == steps[-1].number:
                return True
            if not create and level == 0:
                return False
            self._send(f"SET XACT_ABORT ON; SET LOCK_TIMEOUT 60000; {_ON} BEGIN TRANSACTION")
            self._send(
                "SET NOCOUNT ON; DECLARE @got int; EXEC @got = sys.sp_getapplock @Resource = N'procver',"
                " @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 60000;"
                " IF @got < 0 THROW 51002, N'another procver command is setting up the registry', 1"
            )
            level = self._level()
            if level == 0:
                self._send("IF SCHEMA_ID(N'procver') IS NULL EXEC(N'CREATE SCHEMA procver')")
                self._send(
                    "CREATE TABLE procver.upgrade (number int NOT NULL PRIMARY KEY,"
                    " name nvarchar(200) NOT NULL,"
                    " applied_at datetime2(6) DEFAULT SYSUTCDATETIME() NOT NULL,"
                    " applied_by nvarchar(128) DEFAULT ORIGINAL_LOGIN() NOT NULL)"
                )
            for step in steps:
                if step.number > level:
                    for batch in upgrade(step.sql, self.server.flavour):
                        self._send(batch)
                    self._ask(
                        "DECLARE @a nvarchar(max) = ?; SET NOCOUNT ON;"
                        " INSERT procver.upgrade (number, name)"
                        " VALUES (JSON_VALUE(@a, '$.number'), JSON_VALUE(@a, '$.name'))",
                        {"number": step.number, "name": step.name},
                    )
            self._send("COMMIT TRANSACTION")
        except pyodbc.Error as error:
            found = self._ended(error)
            raise self._translated(found, "the registry cannot be set up") from None
        except BaseException:
            self._rollback()
            raise
        return True

    def _level(self) -> int:
        newest = registry.upgrades(self.dialect)[-1].number
        there, schema = self._send("SELECT OBJECT_ID(N'procver.upgrade'), SCHEMA_ID(N'procver')")[0]
        if there is None:
            if schema is None:
                return 0
            occupied, readable = self._send(
                "SELECT COUNT(*), HAS_PERMS_BY_NAME(N'procver', 'SCHEMA', 'SELECT') FROM sys.objects"
                " WHERE schema_id = SCHEMA_ID(N'procver') AND name <> N'upgrade' AND parent_object_id = 0"
            )[0]
            if readable == 0:
                raise DatabaseError(
                    "this login may not read the registry, the schema procver",
                    hint="grant it SELECT there, or use another one: `procver init --roles` writes a script",
                )
            if occupied:
                raise ConflictError(
                    "the schema procver exists in this database, and procver did not make it",
                    hint="rename that schema: procver keeps its registry in a schema of this name",
                )
            return 0
        level = int(self._send("SELECT MAX(number) FROM procver.upgrade")[0][0] or 0)
        if level > newest:
            raise ConflictError(
                f"the registry in this database is at level {level}, this procver knows up to {newest}",
                hint="upgrade procver to the version that your colleagues or pipeline use",
            )
        return level

    def check_name(self, name: str) -> None:
        """See `Database.check_name`."""
        if self.server.babelfish:
            babelfish.refuse_escaped({"name": name})

    def read(self, *calls: Call) -> list[list[Row]]:
        """See `Database.read`. The snapshot is the project's row, held until the last call was answered."""
        if not any(map(self._answerable, calls)):
            return [[] for _ in calls]
        isolation = "SNAPSHOT" if self.server.babelfish else "READ COMMITTED"
        for attempt in range(1, PATIENCE + 1):
            try:
                self._send(
                    f"SET LOCK_TIMEOUT {QUEUE_TIMEOUT * 1000:.0f};"
                    f" SET TRANSACTION ISOLATION LEVEL {isolation}; BEGIN TRANSACTION"
                )
                rows = self._answers(calls)
                self._send("COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                return rows
            except pyodbc.Error as error:
                found = self._ended(error)
                if not found.busy or attempt == PATIENCE:
                    raise self._translated(found, "the registry cannot be read") from None
            except BaseException:
                self._rollback()
                raise
            _pause(attempt)
        raise AssertionError("unreachable")

    def _answers(self, calls: Iterable[Call]) -> list[list[Row]]:
        """Return the rows of each call, without asking for what there cannot be."""
        found: list[list[Row]] = []
        new = False
        for call in calls:
            if not self._answerable(call) or (new and call.query in _COMMITTED):
                found.append([])
                continue
            found.append(self._ask(self._queries[call.query], call.argument))
            if call.query == "project":
                new = not found[-1] or found[-1][0][3] == 0  # its generation
        return found

    def _answerable(self, call: Call) -> bool:
        """Return whether a call can have rows at all."""
        about = _ABOUT.get(call.query)
        return bool(self._queries[call.query] and (about is None or call.argument[about]))

    def note(self, call: Call) -> list[Row]:
        """See `Database.note`."""
        try:
            return self._ask(self._queries[call.query], call.argument)
        except pyodbc.Error as error:
            found = self._ended(error)
            if found.first.number in (2601, 2627):  # another command noted the same just now
                return []
            raise self._translated(found, f"the registry's {call.query!r} failed") from None

    def enter(self, project: str, default_schema: str, *, trials: bool = False) -> None:
        """See `Database.enter`."""
        argument = {"project": project, "default_schema": default_schema, "trials": trials}
        try:
            self._ask(self._queries["enter_project"], argument)
        except pyodbc.Error as error:
            found = self._ended(error)
            if found.first.number in (2601, 2627):  # another command entered it just now
                return
            doing = "the project cannot be entered into the registry"
            raise self._translated(found, doing) from None

    def run(
        self, project_id: int, generation: int, units: Iterable[Unit], *, tries: int = PATIENCE
    ) -> Iterator[int]:
        """See `Database.run`."""
        for index, unit in enumerate(units):
            most = tries if unit.patient else 1
            attempt, apart = 1, False
            while True:
                try:
                    # The last attempt has to tell which statement the lock stood in the way of.
                    last = unit.patient and attempt == most
                    self._commit(
                        int(project_id), int(generation) + index, unit, index, apart=apart or last
                    )
                    break
                except _UnclearError:
                    apart = True
                    continue
                except _BusyError as busy:
                    if attempt == most:
                        raise busy.error from None
                _pause(attempt)
                attempt += 1
            yield index

    def _commit(
        self, project_id: int, expected: int, unit: Unit, index: int, *, apart: bool
    ) -> None:
        """Run one unit in its transaction, each of its DDL statements ``apart`` or many in one batch."""
        step: Call | list[Ddl] | None = None
        patience = (
            self._lock_timeout if unit.patient else min(self._lock_timeout, int(MOMENT * 1000))
        )
        try:
            self._send(
                f"SET XACT_ABORT ON; SET LOCK_TIMEOUT {patience}; {_ON} BEGIN TRANSACTION;"
                f" EXEC procver.hold {project_id}, {expected}, {QUEUE_TIMEOUT * 1000:.0f}"
            )
            carried: list[Any] = []
            for step in shared(self._known_here(unit.steps), apart=apart):
                if not isinstance(step, Call):
                    self._send(batch_of(step))
                    continue
                if step.query == "carry":
                    if not self._carries(step.argument):
                        continue
                    carried += step.argument
                elif step.query == "add_versions" and carried:
                    # Only now: what follows a definition may add properties, and none can be added twice.
                    self._ask(self._queries["describe"], carried)
                if self._queries[step.query]:
                    self._ask(self._queries[step.query], step.argument)
            step = None
            self._send(f"COMMIT TRANSACTION; {_ON}")
        except pyodbc.Error as error:
            raise self._refusal(error, step, index) from None
        except BaseException:
            self._rollback()
            raise

    def _known_here(self, steps: Iterable[Call | Ddl]) -> Iterator[Call | Ddl]:
        """Yield steps but for those that this server has no words for, and tell so."""
        for step in steps:
            if (
                self.server.babelfish
                and isinstance(step, Ddl)
                and babelfish.TYPE_GRANT.match(step.sql)
            ):
                _logger.warning("left out, Babelfish has no grants on types: %s", step.sql)
            else:
                yield step

    def _carries(self, items: list[dict[str, Any]]) -> bool:
        """Return whether `carry` has something to do, if that can be learnt for less than it costs."""
        query = self._queries["carries"]
        if not query or any(item.keys() - {"target", "like"} for item in items):
            return True
        granted, described = self._ask(query, [item["like"] for item in items])[0]
        return bool(granted or described)

    def _position(self, step: Ddl, found: Failures) -> int | None:
        """Return the offset in a refused statement at which the server saw the error.

        The driver hands on no line numbers, so the statement is sent once more where the server itself can catch the
        error and tell its line; whatever that does is rolled back.
        """
        if found.busy or found.lost:
            return None
        if found.place is not None:
            return _offset(step.sql, *found.place)
        try:
            alive = self._send("SELECT @@TRANCOUNT, XACT_STATE()")[0]
            if alive[0] == 0 or alive[1] != 1:
                self._send("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; BEGIN TRANSACTION")
            probe = (
                "DECLARE @a nvarchar(max) = ?; SET NOCOUNT ON; BEGIN TRY EXEC sys.sp_executesql @a; END TRY"
                " BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_LINE(); END CATCH"
            )
            rows = self._rows(probe, step.sql)
        except pyodbc.Error:
            return None
        if not rows or rows[-1][0] not in [f.number for f in found.all] or not rows[-1][1]:
            return None
        return _offset(step.sql, int(rows[-1][1]), 0)

    def _refusal(self, error: pyodbc.Error, step: Call | list[Ddl] | None, index: int) -> Exception:
        """Undo the unit and return what to raise: ``step`` was refused, or, without one, its begin or commit."""
        ddl = step[0] if isinstance(step, list) and len(step) == 1 else None
        position = self._position(ddl, failures(error)) if ddl else None
        found = self._ended(error)
        if any(failure.number == STALE for failure in found.all):
            return StalePlanError(found.message)
        if found.lost:
            return DatabaseError(_LOST, hint=_AGAIN, sqlstate=found.sqlstate)
        if ddl:
            translated: DatabaseError = DdlError(
                self._target.masked(found.plain), step=ddl, unit=index, position=position,
                hint=found.hint, sqlstate=found.sqlstate, busy=found.busy,
            )  # fmt: skip
        elif isinstance(step, list) and not found.busy:
            return _UnclearError()
        else:
            what = f"the registry's {step.query!r}" if isinstance(step, Call) else "the transaction"
            translated = self._translated(found, f"{what} failed")
        return _BusyError(translated) if found.busy else translated

    def _send(self, batch: str) -> list[Row]:
        """Send a batch as it is and return the rows of its last result."""
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.noscan = True  # braces and question marks are the batch's own
            cursor.execute(batch)
            return _drain(cursor)

    def _ask(self, query: str, argument: Any) -> list[Row]:
        """Run a statement of the registry with its one JSON argument."""
        if self.server.babelfish:
            babelfish.refuse_escaped(argument)
        return self._rows(
            query, json.dumps({} if argument is None else argument, ensure_ascii=False)
        )

    def _rows(self, query: str, argument: str) -> list[Row]:
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(query, argument)
            return _drain(cursor)

    def _rollback(self) -> bool:
        """Undo what is open; return whether the connection still works."""
        try:
            self._send(_ROLLBACK)
        except pyodbc.Error:
            self.close()
            return False
        return True

    def _ended(self, error: pyodbc.Error) -> Failures:
        """Undo what is open and return what the error says; a connection that cannot even do that is lost."""
        found = failures(error)
        return found if self._rollback() else found._replace(broken=True)

    def _translated(self, found: Failures, doing: str) -> DatabaseError:
        if found.lost:
            return DatabaseError(f"{doing}: {_LOST}", hint=_AGAIN, sqlstate=found.sqlstate)
        message = self._target.masked(found.message)
        return DatabaseError(f"{doing}: {message}", hint=found.hint, sqlstate=found.sqlstate)

    def close(self) -> None:
        """See `Database.close`."""
        with contextlib.suppress(pyodbc.Error):  # it is closed already
            self._connection.close()


class _BusyError(Exception):
    """A lock or deadlock stood in the way; ``error`` is what to say if it stays so."""

    def __init__(self, error: DatabaseError) -> None:
        super().__init__(str(error))
        self.error = error


class _UnclearError(Exception):
    """One of several statements in a batch was refused; which one, only another attempt tells."""


def _pause(attempt: int) -> None:
    time.sleep(min(5.0, 0.05 * 2**attempt) * random.uniform(0.5, 1.5))


def _drain(cursor: pyodbc.Cursor) -> list[Row]:
    """Return the rows of the last result that has columns: an error may hide behind any result."""
    rows: list[Row] = []
    while True:
        if cursor.description is not None:
            names = [column[0] for column in cursor.description]
            rows = [_plain(row, names) for row in cursor.fetchall()]
        if not cursor.nextset():
            return rows


def _plain(row: Iterable[Any], names: list[str]) -> Row:
    return tuple(_value(value, name) for value, name in zip(row, names, strict=True))


def _value(value: Any, name: str) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if isinstance(value, bytes):
        return "sha256:" + value.hex()
    if value is not None and name.endswith("_json"):
        return json.loads(value)
    return value


def _offset(text: str, line: int, column: int) -> int | None:
    """Return the offset of a line, from 1, and column, from 0; None where the text has no such line."""
    lines = io.StringIO(text, newline="").readlines()  # no line ends at a form feed
    if not 1 <= line <= len(lines):
        return None
    before = sum(len(one) for one in lines[: line - 1])
    return before + min(column, max(0, len(lines[line - 1]) - 1))


def _queries(flavour: str) -> dict[str, str]:
    """Return the registry's statements for a server; empty where there is nothing to send."""
    found: dict[str, str] = {}
    for name, sql in registry.queries("mssql").items():
        plain, _, only = name.partition(" (")
        if only.rstrip(")") in ("", flavour):
            lines = [line for line in sql.splitlines() if not line.startswith("--")]
            found.update(dict.fromkeys(plain.split(", "), "\n".join(lines).strip()))
    return found


def open_database(
    url: str, root: Path, search_path: tuple[str, ...], lock_timeout: float
) -> Database:
    """Connect to ``mssql://...`` or by a raw ODBC connection string.

    Raises:
        ConfigError: the target cannot be read, no driver was found, or the database is set to be too old.
        DatabaseError: the server could not be reached, refused the login or is too old.
    """
    target = read_target(url, pyodbc.drivers())
    try:
        connection = pyodbc.connect(target.text, autocommit=True, timeout=LOGIN_TIMEOUT)
    except pyodbc.Error as error:
        found = failures(error)
        raise DatabaseError(
            f"the target cannot be reached: {target.masked(found.message)}",
            hint=found.hint
            or "check that the server runs and that the target names its host, port and database",
            sqlstate=found.sqlstate,
        ) from None
    try:
        server = recognised(connection)
        return MssqlDatabase(connection, target, server, lock_timeout)
    except pyodbc.Error as error:
        connection.close()
        found = failures(error)
        said, hint = target.masked(found.message), found.hint
        if found.lost or not found.first.number:  # FreeTDS has no words for a connection that ended
            said, hint = f"{_LOST} ({said})", _AGAIN
        raise DatabaseError(
            f"the server cannot be recognised: {said}",
            hint=hint or "procver needs SQL Server 2017 or newer, Azure SQL or Babelfish",
            sqlstate=found.sqlstate,
        ) from None
    except BaseException:
        connection.close()
        raise
