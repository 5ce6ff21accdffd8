"""Where the demo plays: a directory and a database, there for the play and gone after it."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from procver.demo.app import ROLE, Session, SessionError, open_session
from procver.dialects import connect, embedded
from procver.errors import ConflictError, DatabaseError, UsageError

SCHEMA = "shop"
OLDEST_SERVER = 150000
"""The oldest server version that the sample runs on, as ``server_version`` counts."""


class Stage:
    """A project directory and the database beside it.

    Attributes:
        root: the directory, at first empty.
        url: the database; never printed, for it may hold a password.
        where: what it is, in words.
        kept: whether both stay when the play is over.
        own: whether the server is procver's own.
    """

    def __init__(self, root: Path, url: str, *, kept: bool, own: bool) -> None:
        self.root, self.url, self.kept, self.own = root, url, kept, own
        self.made_tables = self.made_role = False
        # Says what is wrong with a target, its password masked, before anything else sees the URL.
        connect(url, dialect="postgresql", root=root, search_path=(SCHEMA,)).close()
        with open_session(url, "procver demo") as session:
            self._check(session)
            if own and not kept:  # nothing here is to outlive a crash
                for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                    session.execute(f"ALTER SYSTEM SET {setting} = off".encode())
                session.execute(b"SELECT pg_catalog.pg_reload_conf()")
            version = session.info.parameter_status("server_version") or "?"
            database = session.info.dbname
        place = "a server of its own" if own else f"database {database}"
        self.where = f"PostgreSQL {version.split()[0]}, {place}"

    def _check(self, session: Session) -> None:
        if session.info.server_version < OLDEST_SERVER:
            raise UsageError(
                f"the server is PostgreSQL {session.info.server_version // 10000}",
                hint="the sample application needs 15 or newer; leave --target out for a server of its own",
            )
        rows = session.execute(
            "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY (%s) ORDER BY 1 DESC",
            ([SCHEMA, "procver"],),
        ).fetchall()
        if rows:
            raise ConflictError(
                f"a schema {rows[0][0]} exists in this database already",
                hint="give the demo an empty database: createdb demo, then --target postgresql:///demo",
            )

    def migrate(self, files: Sequence[Path]) -> None:
        """Make the shop's tables, all or none, as a team's migration tool would.

        Raises:
            DatabaseError: the server refused.
        """
        role = b"SELECT FROM pg_catalog.pg_roles WHERE rolname = '" + ROLE.encode() + b"'"
        try:
            with open_session(self.url, "migrations") as session:
                fresh = session.execute(role).fetchone() is None
                with session.transaction():
                    for path in files:
                        session.execute(path.read_bytes())
                    if fresh:
                        # Who may create roles is no member of them, unless it is a superuser.
                        session.execute(f"GRANT {ROLE} TO CURRENT_USER".encode())
                    session.execute(f"SET LOCAL ROLE {ROLE}".encode())
                self.made_tables, self.made_role = True, fresh
        except SessionError as error:
            raise DatabaseError(
                f"the shop's tables cannot be made: {error.diag.message_primary or error}",
                hint=f"the target's user must own the database, and be a member of {ROLE} or able to"
                " create it; leave --target out for a server of its own",
                sqlstate=error.sqlstate,
            ) from None

    def clear(self) -> None:
        """Take away what the demo made in a database that it was given.

        Raises:
            DatabaseError: the server refused, or is gone.
        """
        if not self.made_tables:
            return
        try:
            with open_session(self.url, "procver demo") as session:
                for schema in (SCHEMA, "procver"):
                    session.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
                if self.made_role:
                    # Another database may have come to use the role meanwhile: then it stays.
                    with suppress(SessionError):
                        session.execute(f"DROP ROLE {ROLE}".encode())
        except SessionError as error:
            raise DatabaseError(
                f"what the demo made could not be removed: {error}",
                hint=f"DROP SCHEMA {SCHEMA}, procver CASCADE; DROP ROLE {ROLE};",
                sqlstate=error.sqlstate,
            ) from None


@contextmanager
def set_up(target: str | None, keep: Path | None) -> Iterator[Stage]:
    """Give a stage; take it away at the end, after Ctrl-C too, unless it is kept.

    Args:
        target: URL of an empty database; None: an embedded server with its data in the directory.
        keep: a new or empty directory that stays; None: a temporary one.

    Raises:
        UsageError: ``keep`` is not empty, or cannot be made.
        ConflictError: the database is not empty.
        DatabaseError: the database cannot be reached.
    """
    root = _directory(keep)
    url, stage, finished = target, None, False
    with _ended_by_signals(), nullcontext() if target else embedded.alone():
        try:
            url = target or embedded.start(root)
            stage = Stage(root, url, kept=keep is not None, own=target is None)
            yield stage
            finished = True
        finally:
            with _undisturbed():
                try:
                    if target is None and not (keep and finished):
                        _stop(root, url)
                    if target and keep is None and stage:
                        stage.clear()
                finally:
                    if keep is None:
                        _remove(root)


def _directory(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="procver-demo-")).resolve()
    try:
        keep.mkdir(parents=True, exist_ok=True)
        empty = next(keep.iterdir(), None) is None
    except OSError as error:
        raise UsageError(
            f"{keep} cannot be the demo's directory: {error.strerror}",
            hint="name a new directory where this user may write",
        ) from None
    if not empty:
        raise UsageError(
            f"{keep} is not empty", hint="name a new directory: the demo writes a project into it"
        )
    return keep.resolve()


def _stop(root: Path, url: str | None) -> None:
    """Stop the server, also one that was interrupted while starting and is not ready yet."""
    deadline = time.monotonic() + 10
    while (root / embedded.DEFAULT_DIRECTORY / "postmaster.pid").exists():
        if embedded.stop(root) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    # Where the data directory's path is too long for a socket, the wheel has made another directory.
    socket = parse_qs(urlsplit(url or "").query).get("host", [""])[0]
    if socket and not Path(socket).is_relative_to(root):
        with suppress(OSError):
            Path(socket).rmdir()


def _remove(directory: Path) -> None:
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.1)  # an initdb that was interrupted may still be writing
    raise UsageError(f"{directory} could not be removed", hint="remove it by hand")


def _signals(*names: str) -> list[signal.Signals]:
    if threading.current_thread() is not threading.main_thread():
        return []
    return [signal.Signals[name] for name in names if name in signal.Signals.__members__]


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a polite kill and a closed terminal end the demo as Ctrl-C does: with everything removed."""
    former = {number: signal.getsignal(number) for number in _signals("SIGTERM", "SIGHUP")}
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a second Ctrl-C not interrupt the cleaning up after the first."""
    numbers = _signals("SIGINT", "SIGTERM", "SIGHUP")
    former = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
