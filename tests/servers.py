"""Starting real PostgreSQL servers: the wheel's, and one installed on the machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from procver.dialects import embedded


@dataclass(frozen=True)
class Server:
    """A running server; ``base`` is its URL with ``{database}`` in it."""

    base: str
    data: Path | None

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return self.base.format(database=database)


def running_server(url: str) -> Server:
    """Return the server that ``url`` reaches; its user must be the superuser postgres, its database does not matter."""
    parts = urlsplit(url.replace("{", "{{").replace("}", "}}"))
    return Server(urlunsplit(parts._replace(path="/{database}")), None)


def _place(tag: str) -> Path:
    place = Path(tempfile.gettempdir()) / f"procver-test-postgresql-{os.getuid()}-{tag}"
    place.mkdir(exist_ok=True)
    place.chmod(0o755)
    return place


def embedded_server() -> Server:
    """Return the wheel's server, started if need be, tuned for throw-away data."""
    import psycopg

    data = _place("embedded") / "data"
    url = embedded.start(data.parent, str(data))
    with psycopg.connect(url, autocommit=True) as connection:
        _tune(connection)
    return Server(url.replace("/postgres?", "/{database}?", 1), data)


def _tune(connection: object) -> None:
    for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
        connection.execute(f"ALTER SYSTEM SET {setting}")  # type: ignore[attr-defined]
    connection.execute("SELECT pg_reload_conf()")  # type: ignore[attr-defined]


def installed_server(binaries: Path) -> Server:
    """Return a server of the installed version whose programs are in ``binaries``."""
    place = _place(binaries.parent.name)
    data = place / "data"
    user = None
    if os.getuid() == 0:
        import pwd

        known = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in known else "nobody"  # it does not run as root
        shutil.chown(place, user)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (data / "PG_VERSION").exists():
            _run(
                binaries / "initdb",
                "-D",
                data,
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                user=user,
            )
            with (data / "postgresql.conf").open("a") as conf:
                conf.write("fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n")
                conf.write(f"listen_addresses = ''\nunix_socket_directories = '{place}'\n")
        status = subprocess.run(
            [str(binaries / "pg_ctl"), "-D", str(data), "status"], user=user, capture_output=True
        )
        if status.returncode != 0:
            _run(binaries / "pg_ctl", "-D", data, "-w", "-l", data / "log", "start", user=user)
            time.sleep(0.1)
    return Server(f"postgresql://postgres@/{{database}}?host={place}", data)


def _run(*words: object, user: str | None) -> None:
    done = subprocess.run(
        [str(word) for word in words], user=user, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, close_fds=True, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


SETTINGS = {
    "DateStyle": "German, DMY", "IntervalStyle": "sql_standard", "TimeZone": "Asia/Kathmandu",
    "standard_conforming_strings": "off", "escape_string_warning": "off",
    "backslash_quote": "on", "quote_all_identifiers": "on", "extra_float_digits": "-10",
    "bytea_output": "escape", "xmloption": "document", "array_nulls": "off",
    "transform_null_equals": "on", "check_function_bodies": "off", "row_security": "off",
    "default_transaction_isolation": "serializable", "client_encoding": "LATIN1",
    "search_path": "nowhere", "client_min_messages": "error", "lc_monetary": "C",
}  # fmt: skip
"""Every setting that may change what a statement means, unlike the server's own."""

VARIABLE = "PROCVER_TEST_DATABASE"


def create_database(connection: psycopg.Connection[Any], name: str) -> None:
    """Create a database for a test.

    PROCVER_TEST_DATABASE chooses its sort: ``settings`` (all of `SETTINGS`) or ``sql_ascii``.
    """
    sort = os.environ.get(VARIABLE, "")
    assert sort in ("", "settings", "sql_ascii"), f"{VARIABLE} is {sort!r}"
    more = " TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'" if sort == "sql_ascii" else ""
    connection.execute(f"CREATE DATABASE {name}{more}".encode())
    for setting, value in SETTINGS.items() if sort == "settings" else ():
        connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'".encode())
