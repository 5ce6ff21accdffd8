"""Faults at exact places: a proxy that sees every statement, commands that can be killed, databases to copy.

The proxy speaks PostgreSQL's protocol (the manual's "Message Formats"). In a pipeline a client sends many statements
before it reads an answer, so where the server is at any moment is a matter of luck. Stepping, the proxy hands over
one statement at a time and has the server answer it (a Flush message of its own) before the next: a
fault at statement n then finds n - 1 statements executed, no more and no less, whatever the client has sent.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from procver import collect, lanes
from procver.cli import main as command_line
from procver.dialects import PATIENCE as TRIES
from procver.dialects import Call, Database, Row, Unit
from procver.registry import writing
from tests.servers import Server

ROOT = Path(__file__).parent.parent
PRELOADED = [
    "procver.cli.cleanup",
    "procver.cli.lifecycle",
    "procver.cli.publishing",
    "procver.dialects.{dialect}",
    "procver.scanning.analysis",
    "procver.scanning.{dialect}.layout",
    "procver.scanning.{dialect}.reading",
    "procver.scanning.{dialect}.rewriting",
    "procver.scanning.{dialect}.shape",
]
"""Imported once, by the process that commands are forked from: otherwise the command line does it when it must."""

FLUSH = b"H\0\0\0\4"
ANSWERED = b"CIsE"  # CommandComplete, EmptyQueryResponse, PortalSuspended, ErrorResponse
PATIENCE = 30.0


class Cut(Exception):
    """Raised by a proxy's hook: nothing more passes, in either direction."""


class Listener(ABC):
    """A socket in a directory of its own, with a thread for each of those who come; closed with all of them.

    Args:
        name: of the socket.

    Attributes:
        directory: where the socket is.
        sockets: what is closed at the end; who came is among them.
        fault: what went wrong in a thread; raised at the end, unless something else was.
    """

    def __init__(self, name: str) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="pvx")
        self._name = name
        self._listener = socket.socket(socket.AF_UNIX)
        self._threads: list[threading.Thread] = []
        self.directory = self._made.name
        self.sockets: list[socket.socket] = []
        self.fault: BaseException | None = None

    def __enter__(self) -> Self:
        self._listener.bind(f"{self.directory}/{self._name}")
        self._listener.listen()
        self.start(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        for one in (self._listener, *self.sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        for one in (self._listener, *self.sockets):
            one.close()
        self._made.cleanup()
        if self.fault is not None and not any(error):
            raise self.fault

    def start(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do ``work`` in a thread that is waited for at the end."""
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.sockets.append(client)
                self._take(client)

    @abstractmethod
    def _take(self, client: socket.socket) -> None:
        """Serve one who has come, without waiting for them."""


class Proxy(Listener):
    """A PostgreSQL server's address at which every statement is seen, and can be stopped, on its way.

    Args:
        url: the server's.
        before: called with each statement's number, from 1, and its text, before the server gets it.
        stepping: hand over each statement only once the one before it was answered.
        after: stepping, called likewise once the server has answered, before the client hears of it.

    Attributes:
        statements: the text of each statement that came by.
        syncs: how often a client waited until the server had answered all (``ReadyForQuery``).
        backends: process ids of the server's backends, one for each connection.
    """

    def __init__(
        self, url: str, before: Callable[[int, str], None] | None = None, *, stepping: bool = False,
        after: Callable[[int, str], None] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(".s.PGSQL.5432")
        self._target = conninfo_to_dict(url)
        self._before, self._after = before, after
        self._stepping = stepping
        self.statements: list[str] = []
        self._counting = threading.Lock()
        self.syncs = 0
        self.backends: list[int] = []

    @property
    def url(self) -> str:
        """Where to connect instead."""
        user, database = self._target["user"], self._target["dbname"]
        return f"postgresql://{user}@/{database}?host={self.directory}&port=5432"

    def _take(self, client: socket.socket) -> None:
        server = self._connect()
        self.sockets.append(server)
        pair = _Pair(client, server)
        self.start(self._guarded, self._to_server, pair)
        self.start(self._guarded, self._to_client, pair)

    def _connect(self) -> socket.socket:
        host, port = str(self._target["host"]), int(self._target.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        found = socket.socket(socket.AF_UNIX)
        found.connect(f"{host}/.s.PGSQL.{port}")
        return found

    def _guarded(self, work: Callable[[_Pair], None], pair: _Pair) -> None:
        try:
            work(pair)
        except Cut:
            pair.break_off()
        except OSError:
            pass  # one side went away: that is what this is for
        except BaseException as error:
            self.fault = error
        finally:
            pair.half_close(work == self._to_client)

    def _to_server(self, pair: _Pair) -> None:
        pair.server.sendall(_startup(pair.client))
        text = ""
        for kind, body in _messages(pair.client):
            if kind == b"P":
                text = body.split(b"\0", 2)[1].decode()
            elif kind == b"Q":
                text = body.rstrip(b"\0").decode()
            if kind in b"EQ":
                with self._counting:
                    self.statements.append(text)
                    number = len(self.statements)
                if self._before is not None:
                    self._before(number, text)
                pair.sent = number, text
            pair.expect()
            pair.server.sendall(kind + struct.pack("!i", len(body) + 4) + body)
            # After a simple query the client itself waits; "Q" has answers of its own number.
            if kind == b"E" and self._stepping:
                pair.server.sendall(FLUSH)
                pair.wait()
            elif kind == b"S":
                pair.synced()

    def _to_client(self, pair: _Pair) -> None:
        for kind, body in _messages(pair.server):
            if kind == b"K":
                self.backends.append(struct.unpack("!i", body[:4])[0])
            if kind in ANSWERED and self._after is not None:
                self._after(*pair.sent)
            pair.client.sendall(kind + struct.pack("!i", len(body) + 4) + body)
            if kind == b"Z":
                self.syncs += 1
                pair.synced()
            if kind in ANSWERED:
                pair.answered(failed=kind == b"E")


class _Pair:
    """One connection: a client's socket and the server's, and how far the server has answered."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.sent = 0, ""
        self._changed = threading.Condition()
        self._answers = 0
        self._failed = self._gone = False

    def expect(self) -> None:
        """The next answer is to what is sent now."""
        with self._changed:
            self._answers = 0

    def answered(self, *, failed: bool) -> None:
        with self._changed:
            self._answers += 1
            self._failed |= failed
            self._changed.notify()

    def synced(self) -> None:
        """The server, if it failed, listens again."""
        with self._changed:
            self._failed = False

    def wait(self) -> None:
        """Wait for one answer; after an error there are none until a Sync."""
        with self._changed:
            self._changed.wait_for(lambda: self._answers or self._failed or self._gone, PATIENCE)

    def half_close(self, by_server: bool) -> None:
        """One side has nothing more to say. What the server said last still reaches the client."""
        if by_server:
            self.break_off()
        else:
            with contextlib.suppress(OSError):
                self.server.shutdown(socket.SHUT_WR)

    def break_off(self) -> None:
        """Neither side hears more of the other."""
        with self._changed:
            self._gone = True
            self._changed.notify()
        for one in (self.client, self.server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _startup(client: socket.socket) -> bytes:
    head = _exactly(client, 4)
    return head + _exactly(client, struct.unpack("!i", head)[0] - 4)


def _messages(source: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    while True:
        kind, length = struct.unpack("!ci", _exactly(source, 5))
        yield kind, _exactly(source, length - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = source.recv(size - len(parts))
        if not part:
            raise ConnectionResetError("closed")
        parts += part
    return bytes(parts)


class Paused:
    """A `Database` before whose n-th use something else happens, as another process would do it."""

    def __init__(self, database: Database, at: int, meanwhile: Callable[[], object]) -> None:
        self.dialect = database.dialect
        self._database, self._left, self._meanwhile = database, at, meanwhile

    def _tick(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._meanwhile()

    def install(self, *, create: bool = True) -> bool:
        self._tick()
        return self._database.install(create=create)

    def read(self, *calls: Call) -> list[list[Row]]:
        self._tick()
        return self._database.read(*calls)

    def note(self, call: Call) -> list[Row]:
        self._tick()
        return self._database.note(call)

    def check_name(self, name: str) -> None:
        self._database.check_name(name)

    def enter(self, project: str, default_schema: str, *, trials: bool = False) -> None:
        self._tick()
        self._database.enter(project, default_schema, trials=trials)

    def run(
        self, project_id: int, generation: int, units: Iterable[Unit], *, tries: int = TRIES
    ) -> Iterator[int]:
        self._tick()
        return self._database.run(project_id, generation, units, tries=tries)

    def close(self) -> None:
        self._database.close()


class Kennel:
    """A process that has imported procver and forks one for each command: ready within milliseconds, and killable.

    Args:
        batch: how many versions its commands create, or drop, in one transaction.
        dialect: what they speak.
        laned: whether they use two connections however little they create.
    """

    def __init__(self, batch: int, dialect: str = "postgresql", *, laned: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.faults import keep; keep({batch}, {dialect!r}, {laned})"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._news = self._process.stdin, self._process.stdout

    def start(self, *words: str) -> Command:
        """Run ``procver WORDS``."""
        descriptor, output = tempfile.mkstemp(prefix="pvc")
        os.close(descriptor)
        self._orders.write(json.dumps([words, output]) + "\n")
        return Command(int(self._news.readline()), self._news, Path(output))

    def close(self) -> None:
        self._orders.close()
        self._process.wait(PATIENCE)
        self._news.close()


class Command:
    """A running command line."""

    def __init__(self, pid: int, news: IO[str], output: Path) -> None:
        self.pid, self._news, self._output = pid, news, output

    def kill(self) -> None:
        """Send SIGKILL; `wait` tells when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 60.0) -> tuple[int, str]:
        """Return exit code and output; the code is negative for a signal."""
        ready, _, _ = select.select([self._news], [], [], timeout)
        if not ready:
            self.kill()
        code = int(self._news.readline())
        text = self._output.read_text("utf-8")
        self._output.unlink()
        assert ready, f"the command hung: {text}"
        return code, text


def keep(batch: int, dialect: str, laned: bool) -> None:
    """What a `Kennel` does in its process: fork, tell the process id, wait, tell the exit code."""
    for module in PRELOADED:
        importlib.import_module(module.format(dialect=dialect))
    if dialect == "mssql":
        from tests.taps import tap_driver

        tap_driver()
    writing.BATCH_OBJECTS = collect.TOGETHER = batch
    if laned:
        lanes.FROM, lanes.MOST_WAVES, lanes.REST = 0, 1000, 1
    for line in sys.stdin:
        words, output = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(words, output)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(words: list[str], output: str) -> NoReturn:
    descriptor = os.open(output, os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.argv = ["procver", *words]
    code: object = 70
    try:
        command_line()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 70)


def terminate(url: str, backend: int) -> None:
    """Terminate a backend as an administrator would, and wait until it is gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (backend,))
        alive = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        while connection.execute(alive, (backend,)).fetchone():  # its own timeout counts in 100 ms
            time.sleep(0.002)


@contextlib.contextmanager
def copy_of(server: Server, template: str) -> Iterator[str]:
    """Copy a database that nobody is connected to; drop the copy at the end."""
    name = f"copy_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for attempt in range(50):
            try:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
                break
            except psycopg.errors.ObjectInUse:  # a closed connection takes a moment to end
                if attempt == 49:
                    raise
                time.sleep(0.05)
        try:
            yield server.url(name)
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
