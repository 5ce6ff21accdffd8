"""One sample project in each dialect, behind one interface: tests speak of what it does, not of its SQL.

A table of three rows that procver does not manage; a view ``app.things``; a routine ``app.find_things(minimum)`` that reads
the view; ``app.count_things``, a routine above that; and ``app.alone``, apart. Statements given to ``sql`` are such as
both dialects read, with ``?`` for parameters.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from procver.dialects import Database, connect
from tests.servers import create_database
from tests.workshop import TABLES, Workshop

NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
"""Configuration with which whatever nothing needs is dropped by the second run of gc."""

OLD = [(2, "bolt"), (3, "crane")]
NEW = [(2, "bolt", 1), (3, "crane", 5000)]
"""What ``find_things(2)`` answers over the view as it was first, and over the wider one."""

FIRST = {"app.things_1", "app.find_things_1", "app.count_things_1", "app.alone_1"}
GONE = {"app.things_1", "app.find_things_1", "app.count_things_1"}
"""The versions that the first release has, and those that nothing needs once the view has changed."""


Watcher = Callable[[int, str], None]
"""Is told the number of a statement of one command, from 1, and its text."""


class User(NamedTuple):
    """Somebody, and what connects as them."""

    name: str
    connect: Callable[[], Any]


class World(Workshop):
    """The sample project on a database of its own.

    Args:
        root: the project's directory.
        url: its target.
        name: the project's name in the registry.
        more: further TOML.
    """

    now: str
    """The server's clock."""
    nowhere: str
    """A target where no server is."""
    Error: type[Exception]
    """What the dialect's driver raises."""
    holds: bool
    """Whether a transaction that has read a view stands in the way of dropping it."""

    babelfish = False
    """Whether it is Babelfish, which lacks some of SQL Server."""

    def make(self) -> None:
        """Write the sources and make what they stand on."""
        self.lay()
        self.narrow()
        self.write(**self.routines())
        self.answer(42)

    def lay(self) -> None:
        """Make the table."""
        self.sql("CREATE SCHEMA app")
        self.sql("CREATE TABLE app.thing (id int NOT NULL PRIMARY KEY, name varchar(50) NOT NULL, price int NOT NULL)")  # fmt: skip
        self.sql("INSERT INTO app.thing (id, name, price) VALUES (1, 'anvil', 100), (2, 'bolt', 1), (3, 'crane', 5000)")  # fmt: skip

    def reach(self, build: Callable[[World], object]) -> None:
        """Make the state in which ``build`` leaves the new project."""
        self.make()
        build(self)

    # Edits of the sources.

    def show(self, *columns: str) -> None:
        """Let the view have these columns of the table ``t``."""
        self.write(
            things=f"CREATE VIEW app.things AS SELECT {', '.join(columns)} FROM app.thing t\n"
        )

    def narrow(self) -> None:
        """Let the view be as it was first."""
        self.show("t.id", "t.name")

    def widen(self) -> None:
        """Add a column to the view."""
        self.show("t.id", "t.name", "t.price")

    def answer(self, number: int) -> None:
        """Let ``alone`` answer with a number; first it was 42."""
        self.write(alone=self.constant("app.alone", number))

    def routines(self) -> dict[str, str]:
        """Return the sources of ``find_things`` and ``count_things``."""
        raise NotImplementedError

    def constant(self, name: str, number: int) -> str:
        """Return the source of a routine that answers with a number."""
        raise NotImplementedError

    def saying(self, name: str, kind: str, value: str) -> str:
        """Return the source of a ``view``, ``function`` or ``routine`` that answers with one value, a text."""
        raise NotImplementedError

    def asking(self, name: str, kind: str) -> str:
        """Return the expression for what such a view or function answers."""
        return f"(SELECT v.tag FROM {name} v)" if kind == "view" else f"{name}()"

    def asked(self, physical: str, kind: str) -> str:
        """Return the statement that asks any of them."""
        if kind == "routine":
            return self.calling(physical)
        return f"SELECT {self.asking(physical, kind)} AS tag"

    # What an app does.

    def connect(self, *, autocommit: bool = True) -> Any:
        """Return a connection of the dialect's driver that knows nothing of procver."""
        raise NotImplementedError

    def calling(self, physical: str, *arguments: int) -> str:
        """Return the statement that calls a routine."""
        raise NotImplementedError

    def call(self, physical: str, *arguments: int) -> list[tuple[Any, ...]]:
        """Return what a routine answers."""
        return self.sql(self.calling(physical, *arguments))

    def beat(
        self, release: str, instance: str | None = "web-1", *, project: str | None = "shop",
        leaving: bool = False, by: Any = None,
    ) -> None:  # fmt: skip
        """Send a heartbeat, over the connection ``by`` if there is one."""
        raise NotImplementedError

    def instances(self) -> list[tuple[Any, ...]]:
        """Return who is on which release: declared, heard from, left."""
        found = self.sql(
            "SELECT i.name, r.name, i.declared_at, i.last_seen_at, i.left_at FROM procver.instance i"
            " JOIN procver.release r ON r.id = i.release_id ORDER BY 1, 2"
        )
        return [(*row[:2], *(at is not None for at in row[2:])) for row in found]

    # The server, and who else is there.

    def open(self, lock_timeout: float = 3.0) -> Database:
        """Return a new connection of procver's."""
        return connect(
            self.url, dialect=self.dialect, root=self.root, search_path=("app",),
            lock_timeout=lock_timeout,
        )  # fmt: skip

    def another(self, name: str, schema: str | None = None, more: str = NOW) -> World:
        """Return a project without sources on the same database, with a schema of its own if it is named."""
        if schema:
            self.sql(f"CREATE SCHEMA {schema}")
        made = self.at(self.root.parent / name)
        made.name = name
        made.configure(more=more)
        return made

    def at(self, root: Path) -> World:
        """Return the same project, or what is made of it, in another directory."""
        return type(self)(root, self.url, self.name, NOW)

    def ago(self, column: str, **span: float) -> str:
        """Return SQL for a moment that much (``days=9``) before what a column says."""
        raise NotImplementedError

    def hold(self, view: str) -> AbstractContextManager[Any]:
        """Keep a transaction open that has read a view."""
        raise NotImplementedError

    def user(self) -> AbstractContextManager[User]:
        """Make somebody who may do nothing yet."""
        raise NotImplementedError

    def allow(self, who: str, view: str, *routines: str) -> None:
        """Let somebody read a view, and call routines which read it."""
        raise NotImplementedError

    def forbid(self, who: str, routine: str) -> None:
        """Take from somebody what they may call, so that its grant is lost."""
        raise NotImplementedError

    def privileges(self) -> set[tuple[Any, ...]]:
        """Return who may do what with the first versions."""
        raise NotImplementedError

    def denies(self, connection: Any, statement: str) -> bool:
        """Return whether a statement fails for want of a right; any other failure is raised."""
        raise NotImplementedError

    def drop(self, *names: str) -> None:
        """Drop objects by hand, each with what stands on it in the way that the dialect has."""
        raise NotImplementedError

    def hide(self, name: str, view: str) -> None:
        """Make by hand a routine that reads a view in a way which no catalog tracks."""
        raise NotImplementedError

    def hang_up(self) -> None:
        """Terminate all others' connections to the database."""
        raise NotImplementedError

    def tap(self, before: Watcher, after: Watcher | None = None) -> AbstractContextManager[Any]:
        """Return an address (its ``url``) of the same database at which each statement waits for who watches.

        ``before`` is called before the server gets it, ``after`` when it was executed and the client is about to hear of it.
        Both may raise `tests.faults.Cut`. The sessions' ids are in its ``backends``.
        """
        raise NotImplementedError

    def terminate(self, session: int) -> None:
        """Let the server end a session, and wait until it is gone."""
        raise NotImplementedError

    def bystander(self) -> Any:
        """Return a connection, as `connect` does, whose statements wait at most two seconds for a lock."""
        raise NotImplementedError

    def actor(self) -> str:
        """Return the login that the tests connect with."""
        raise NotImplementedError

    def spoil(self, physical: str, text: str, other: str) -> None:
        """Replace text in what the registry keeps of a version."""
        raise NotImplementedError

    def elsewhere(self) -> AbstractContextManager[World]:
        """Make a second database with the table in it; give a project there without sources."""
        raise NotImplementedError


FIND = """\
CREATE FUNCTION app.find_things(minimum int) RETURNS SETOF app.things
LANGUAGE sql STABLE AS $$
    SELECT v.* FROM app.things v WHERE v.id >= minimum ORDER BY v.id
$$;
"""
COUNT = """\
CREATE FUNCTION app.count_things() RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM app.find_things(0));
END $$;
"""


class PostgresqlWorld(World):
    """The sample on PostgreSQL: functions, in SQL and PL/pgSQL."""

    now = "now()"
    Error = psycopg.Error
    nowhere = "postgresql://127.0.0.1:1/nowhere"
    holds = True

    def routines(self) -> dict[str, str]:
        return {"find_things": FIND, "count_things": COUNT}

    def constant(self, name: str, number: int) -> str:
        return f"CREATE FUNCTION {name}() RETURNS int LANGUAGE sql AS 'SELECT {number}';\n"

    def saying(self, name: str, kind: str, value: str) -> str:
        if kind == "view":
            return f"CREATE VIEW {name} AS SELECT {value} AS tag;\n"
        return f"CREATE FUNCTION {name}() RETURNS text LANGUAGE sql AS $$ SELECT {value} $$;\n"

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return super().sql(query.replace("?", "%s") if parameters else query, *parameters)

    def connect(self, *, autocommit: bool = True) -> Any:
        return psycopg.connect(self.url, autocommit=autocommit, client_encoding="utf8")

    def calling(self, physical: str, *arguments: int) -> str:
        return f"SELECT * FROM {physical}({', '.join(map(str, arguments))})"

    def beat(
        self, release: str, instance: str | None = "web-1", *, project: str | None = "shop",
        leaving: bool = False, by: Any = None,
    ) -> None:  # fmt: skip
        call = "SELECT procver.beat(%s, %s, %s, %s)"
        if by is not None:
            by.execute(call, (project, release, instance, leaving))
        else:
            self.sql(call, project, release, instance, leaving)

    def ago(self, column: str, **span: float) -> str:
        ((unit, number),) = span.items()
        return f"{column} - interval '{number} {unit}'"

    @contextmanager
    def hold(self, view: str) -> Iterator[Any]:
        with self.connect(autocommit=False) as reader:
            reader.execute(f"SELECT * FROM {view}")
            yield reader

    @contextmanager
    def user(self) -> Iterator[User]:
        name = f"app_{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        self.sql(f"GRANT USAGE ON SCHEMA app TO {name}")
        url = psycopg.conninfo.make_conninfo(self.url, user=name, password="x")
        try:
            yield User(name, lambda: psycopg.connect(url, autocommit=True))
        finally:
            self.sql(f"DROP OWNED BY {name}")
            self.sql(f"DROP ROLE {name}")

    def allow(self, who: str, view: str, *routines: str) -> None:
        self.sql(f"GRANT SELECT ON {view} TO {who}")
        for routine in routines:
            self.sql(f"REVOKE EXECUTE ON FUNCTION {routine} FROM PUBLIC")
            self.sql(f"GRANT EXECUTE ON FUNCTION {routine} TO {who}")

    def forbid(self, who: str, routine: str) -> None:
        self.sql(f"REVOKE EXECUTE ON FUNCTION {routine} FROM {who}")

    def privileges(self) -> set[tuple[Any, ...]]:
        return set(
            self.sql(
                "SELECT routine_name, grantee, privilege_type, is_grantable FROM information_schema.routine_privileges"
                " WHERE routine_name LIKE '%\\_1' UNION ALL"
                " SELECT table_name, grantee, privilege_type, is_grantable FROM information_schema.table_privileges"
                " WHERE table_name LIKE '%\\_1'"
            )
        )

    def denies(self, connection: Any, statement: str) -> bool:
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            return True
        return False

    def drop(self, *names: str) -> None:
        for name in names:
            ((kind,),) = self.sql(
                "SELECT CASE WHEN to_regclass(?) IS NULL THEN 'FUNCTION' ELSE 'VIEW' END", name
            )
            self.sql(f"DROP {kind} {name} CASCADE")

    def hide(self, name: str, view: str) -> None:
        body = f"BEGIN RETURN (SELECT count(*) FROM {view}); END"
        self.sql(f"CREATE FUNCTION {name}() RETURNS bigint LANGUAGE plpgsql AS $${body}$$")

    def hang_up(self) -> None:
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def tap(self, before: Watcher, after: Watcher | None = None) -> AbstractContextManager[Any]:
        from tests.faults import Proxy

        return Proxy(self.url, before, stepping=True, after=after)

    def terminate(self, session: int) -> None:
        from tests.faults import terminate

        terminate(self.url, session)

    def bystander(self) -> Any:
        return psycopg.connect(self.url, autocommit=True, options="-c lock_timeout=2s")

    def actor(self) -> str:
        return str(self.sql("SELECT session_user")[0][0])

    def spoil(self, physical: str, text: str, other: str) -> None:
        self.sql(
            "UPDATE procver.version SET definition = replace(definition::text, ?, ?)::json WHERE physical = ?",
            text, other, physical,
        )  # fmt: skip

    @contextmanager
    def elsewhere(self) -> Iterator[World]:
        name = f"staging_{uuid.uuid4().hex[:12]}"
        url = psycopg.conninfo.conninfo_to_dict(self.url)["dbname"]
        with psycopg.connect(self.url, autocommit=True) as connection:
            create_database(connection, name)
        try:
            made = PostgresqlWorld(
                self.root.parent / "staging", self.url.replace(str(url), name), more=NOW
            )
            made.lay()
            yield made
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")


class MssqlWorld(World):
    """The sample on SQL Server or Babelfish: procedures that call each other.

    Args:
        root: the project's directory.
        place: the database; worlds of several projects may share it.
        name: the project's name in the registry.
        more: further TOML.
    """

    dialect = "mssql"
    now = "SYSUTCDATETIME()"
    nowhere = "mssql://nobody:none@127.0.0.1:1/nowhere"

    def __init__(self, root: Path, place: Any, name: str = "shop", more: str = "") -> None:
        self.place = place
        self.Error = place.Error
        super().__init__(root, place.url, name, more)
        self.babelfish = self.sql("SELECT CAST(SERVERPROPERTY('Babelfish') AS int)") == [(1,)]
        self.holds = self.babelfish

    def routines(self) -> dict[str, str]:
        return {
            "find_things": (
                "CREATE PROCEDURE app.find_things @minimum int AS\n"
                "SELECT v.* FROM app.things v WHERE v.id >= @minimum ORDER BY v.id\n"
            ),
            "count_things": (
                "CREATE PROCEDURE app.count_things AS\nBEGIN\n"
                "    EXEC app.find_things @minimum = 0;\n    SELECT @@ROWCOUNT AS n;\nEND\n"
            ),
        }

    def constant(self, name: str, number: int) -> str:
        return f"CREATE PROCEDURE {name} AS SELECT {number} AS n\n"

    def saying(self, name: str, kind: str, value: str) -> str:
        if kind == "function":
            return f"CREATE FUNCTION {name}() RETURNS varchar(200) AS BEGIN RETURN {value} END\n"
        return (
            f"CREATE {'VIEW' if kind == 'view' else 'PROCEDURE'} {name} AS SELECT {value} AS tag\n"
        )

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.place.sql(query, *parameters)  # type: ignore[no-any-return]

    def objects(self) -> set[str]:
        return self.place.objects()  # type: ignore[no-any-return]

    def at(self, root: Path) -> World:
        return MssqlWorld(root, self.place, self.name, NOW)

    def reach(self, build: Callable[[World], object]) -> None:
        """Make the state in which ``build`` leaves the new project; what was made for the test before is taken up again."""
        self.place.reach(self, build)

    def look(self) -> set[tuple[Any, ...]]:
        found: set[tuple[Any, ...]] = set(
            self.sql(
                "SELECT o.object_id, SCHEMA_NAME(o.schema_id), o.name, RTRIM(o.type),"
                " (SELECT m.definition FROM sys.sql_modules m WHERE m.object_id = o.object_id)"
                " FROM sys.objects o WHERE SCHEMA_NAME(o.schema_id) <> 'sys'"
            )
        )
        for table in TABLES if self.sql("SELECT OBJECT_ID('procver.event')") != [(None,)] else ():
            found.update((table, *row) for row in self.sql(f"SELECT * FROM procver.{table}"))
        return found

    def connect(self, *, autocommit: bool = True) -> Any:
        return self.place.plain(autocommit=autocommit)

    def calling(self, physical: str, *arguments: int) -> str:
        return f"EXEC {physical} {', '.join(map(str, arguments))}".rstrip()

    def beat(
        self, release: str, instance: str | None = "web-1", *, project: str | None = "shop",
        leaving: bool = False, by: Any = None,
    ) -> None:  # fmt: skip
        call = "EXEC procver.beat @project = ?, @release = ?, @instance = ?, @leaving = ?"
        send = self.sql if by is None else by.execute
        send(call, project, release, instance, leaving)

    def ago(self, column: str, **span: float) -> str:
        ((unit, number),) = span.items()
        return f"DATEADD({unit.removesuffix('s')}, {-number}, {column})"

    @contextmanager
    def hold(self, view: str) -> Iterator[Any]:
        reader = self.connect(autocommit=False)
        reader.execute(f"SELECT * FROM {view}").fetchall()
        try:
            yield reader
            reader.rollback()
        finally:
            reader.close()

    @contextmanager
    def user(self) -> Iterator[User]:
        name, password = f"app_{uuid.uuid4().hex[:12]}", "Procver-User-1"
        self.sql(f"CREATE LOGIN {name} WITH PASSWORD = '{password}'")
        self.sql(f"CREATE USER {name} FOR LOGIN {name}")
        made: list[Any] = []

        def connect() -> Any:
            made.append(self.place.plain(login=(name, password)))
            return made[-1]

        try:
            yield User(name, connect)
        finally:
            for connection in made:
                connection.close()
            self.place.clear()  # Babelfish drops nobody who has rights on anything
            self.sql(f"DROP USER {name}")
            self._patiently(f"DROP LOGIN {name}")

    def _patiently(self, statement: str) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                self.sql(statement)
                return
            except self.Error:  # a closed connection takes a moment to end
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def allow(self, who: str, view: str, *routines: str) -> None:
        self.sql(f"GRANT SELECT ON {view} TO {who}")
        for routine in routines:
            self.sql(f"GRANT EXECUTE ON {routine} TO {who}")

    def forbid(self, who: str, routine: str) -> None:
        self.sql(f"REVOKE EXECUTE ON {routine} FROM {who}")

    def privileges(self) -> set[tuple[Any, ...]]:
        asked = ", ".join(
            f'{{"schema": "app", "leaf": "{name.split(".")[1]}", "kind": "{"view" if "app.things" in name else "procedure"}"}}'
            for name in sorted(FIRST)
        )
        return set(self.sql("SELECT q.privileges FROM procver.privileges(?) q", f"[{asked}]"))

    def denies(self, connection: Any, statement: str) -> bool:
        try:
            connection.execute(statement)
        except self.Error as error:
            if "permission" not in str(error):
                raise
            return True
        return False

    def drop(self, *names: str) -> None:
        for name in names:
            kind = "VIEW" if name.startswith("app.things") else "PROCEDURE"
            self.sql(f"DROP {kind} {name}")

    def hide(self, name: str, view: str) -> None:
        self.sql(f"CREATE PROCEDURE {name} AS EXEC(N'SELECT COUNT(*) FROM {view.upper()}')")

    def hang_up(self) -> None:
        sessions = self.sql(
            "SELECT DISTINCT session_id FROM sys.dm_exec_sessions"
            " WHERE database_id = DB_ID() AND session_id <> @@SPID"
        )
        for (session,) in sessions:
            self.sql(f"KILL {session}")

    def tap(self, before: Watcher, after: Watcher | None = None) -> AbstractContextManager[Any]:
        from tests.taps import Tap

        return Tap(self.url, before, after)

    def terminate(self, session: int) -> None:
        self.sql(f"KILL {session}")
        end = time.monotonic() + 30
        while self.sql("SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = ?", session):
            assert time.monotonic() < end, f"session {session} is still there"
            time.sleep(0.002)

    def bystander(self) -> Any:
        made = self.connect()
        made.execute("SET LOCK_TIMEOUT 2000")
        return made

    def actor(self) -> str:
        return str(self.sql("SELECT ORIGINAL_LOGIN()")[0][0])

    def spoil(self, physical: str, text: str, other: str) -> None:
        self.sql(
            "UPDATE procver.version SET definition = REPLACE(definition, ?, ?) WHERE physical = ?",
            text, other, physical,
        )  # fmt: skip

    @contextmanager
    def elsewhere(self) -> Iterator[World]:
        from tests.mssql.conftest import new_database

        with new_database() as place:
            made = MssqlWorld(self.root.parent / "staging", place, more=NOW)
            made.lay()
            yield made
