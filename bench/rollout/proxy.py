"""A TCP proxy on loopback, in a process of its own, that drops and delays connections: the network between app and database."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import socket
import struct
import threading
from multiprocessing.connection import Connection
from typing import NamedTuple

from bench.rollout.server import Address


class Weather(NamedTuple):
    """What the network is like.

    Attributes:
        life: seconds after which a connection breaks, on average; None: it never does.
        delay: the share of packets that are delayed.
        longest: seconds of the longest delay.
        stall: the share of breaking connections that fall silent first, for up to two seconds.
        refuse: the share of new connections that are refused.
    """

    life: float | None = None
    delay: float = 0.0
    longest: float = 0.0
    stall: float = 0.0
    refuse: float = 0.0


CALM = Weather()
ROUGH = Weather(life=5.0, delay=0.01, longest=0.2, stall=0.1, refuse=0.03)


class Counts(NamedTuple):
    """What a proxy has done."""

    connections: int = 0
    broken: int = 0
    refused: int = 0
    delayed: int = 0


class Proxy:
    """A proxy before a server.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    def __init__(self, target: Address, seed: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(target, seed, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.port: int = self._pipe.recv()
        self._lock = threading.Lock()

    def set(self, weather: Weather) -> Counts:
        """Change the weather; return what was done so far."""
        with self._lock:
            self._pipe.send(weather)
            found = self._pipe.recv()
            assert isinstance(found, Counts)
            return found

    def close(self) -> None:
        """End the process, and with it all connections."""
        self._process.kill()
        self._process.join(10)


def _serve(target: Address, seed: str, pipe: Connection) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM):  # the driver ends it, or its own end does
        signal.signal(sign, signal.SIG_IGN)
    asyncio.run(_Service(target, seed, pipe).run())


class _Service:
    def __init__(self, target: Address, seed: str, pipe: Connection) -> None:
        self.target, self.pipe = target, pipe
        self.dice = random.Random(seed)
        self.weather = CALM
        self.counts = dict.fromkeys(Counts._fields, 0)

    async def run(self) -> None:
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        self.pipe.send(server.sockets[0].getsockname()[1])
        asyncio.get_running_loop().add_reader(self.pipe.fileno(), self.told)
        await server.serve_forever()

    def told(self) -> None:
        try:
            self.weather = self.pipe.recv()
            self.pipe.send(Counts(**self.counts))
        except (EOFError, OSError):
            os._exit(0)  # nobody needs this proxy any more

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        if self.dice.random() < self.weather.refuse:
            self.counts["refused"] += 1
            _reset(writer)
            return
        try:
            if isinstance(self.target, str):
                server = await asyncio.open_unix_connection(self.target)
            else:
                server = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        pair = _Pair(writer, server[1])
        pair.end = self.end()
        pumps = [
            asyncio.create_task(self.pump(reader, server[1], pair)),
            asyncio.create_task(self.pump(server[0], writer, pair)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        if not pair.broken:
            await asyncio.wait(pumps, timeout=1)  # what the other side said last
        for pump in pumps:
            pump.cancel()
        pair.close()

    def end(self) -> float | None:
        """Return when a new connection breaks, by the loop's clock."""
        if self.weather.life is None:
            return None
        now = asyncio.get_running_loop().time()
        return now + self.dice.expovariate(1 / self.weather.life)

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: _Pair
    ) -> None:
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                weather = self.weather
                if pair.end is not None and weather.life is not None and clock() > pair.end:
                    if not pair.broken:
                        pair.broken = True
                        self.counts["broken"] += 1
                        await self.break_off(chunk, writer, weather)
                    return
                if weather.delay and self.dice.random() < weather.delay:
                    self.counts["delayed"] += 1
                    await asyncio.sleep(self.dice.uniform(0, weather.longest))
                writer.write(chunk)
                await writer.drain()
            writer.write_eof()

    async def break_off(self, chunk: bytes, writer: asyncio.StreamWriter, weather: Weather) -> None:
        """Let a part of the last packet through, or all, or nothing, perhaps a while of silence, and then the end."""
        writer.write(chunk[: self.dice.choice((0, self.dice.randrange(len(chunk)), len(chunk)))])
        await writer.drain()
        if self.dice.random() < weather.stall:
            await asyncio.sleep(self.dice.uniform(0, 2))


class _Pair:
    """The two sides of one connection."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._sides = client, server
        self.end: float | None = None
        self.broken = False

    def close(self) -> None:
        for side in self._sides:
            if self.broken:
                _reset(side)
            else:
                side.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close without a goodbye."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
