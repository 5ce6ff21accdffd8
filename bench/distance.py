"""A server that seems to be far away: a relay holds back all that passes, each way, without making less of it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from queue import SimpleQueue


def far(host: str, port: int, seconds: float) -> int:
    """Return a local port that reaches ``host`` and ``port`` with a round trip longer by ``seconds``, as long as this process lives."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, host, port, seconds / 2), daemon=True).start()
    return int(listener.getsockname()[1])


def _accept(listener: socket.socket, host: str, port: int, delay: float) -> None:
    while True:
        near, _ = listener.accept()
        remote = socket.create_connection((host, port))
        for one in (near, remote):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink in ((near, remote), (remote, near)):
            queue: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
            threading.Thread(target=_take, args=(source, queue, delay), daemon=True).start()
            threading.Thread(target=_give, args=(sink, queue), daemon=True).start()


def _take(source: socket.socket, queue: SimpleQueue[tuple[float, bytes]], delay: float) -> None:
    data = b"more"
    while data:
        data = b""
        with contextlib.suppress(OSError):
            data = source.recv(1 << 16)
        queue.put((time.monotonic() + delay, data))


def _give(sink: socket.socket, queue: SimpleQueue[tuple[float, bytes]]) -> None:
    with contextlib.suppress(OSError):
        while True:
            due, data = queue.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
