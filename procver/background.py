"""In the app: small work with the database, now and then, that can never harm the app.

Standard library only. What goes wrong is logged, once per run of failures, and never raised.
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
from typing import TYPE_CHECKING, Any

from procver.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("procver")

FIRST_RETRY = 1.0
"""Seconds, about, from a first failure to the next attempt; they double until they are the work's own period."""

_INHERITED: list[Any] = []
"""Connections of the process that forked this one: they are its own, and even closing them here would disturb it."""


def check_period(every: object) -> float:
    """Return a number of seconds if work can be done that often.

    Raises:
        UsageError: it is no number, or not positive.
    """
    if isinstance(every, bool) or not isinstance(every, (int, float)) or not 0 < every < 1e9:
        raise UsageError(f"every {every!r} seconds makes no sense", hint="write: every=60")
    return float(every)


class Background:
    """Work that is done with a connection of its own, by a daemon thread or when asked.

    The connection is opened when it is needed, kept, and replaced after a failure. Nothing of it survives a fork but
    what it was told: a child that wants a thread starts one.

    Args:
        connect: returns a connection.
        work: does the work once, with a connection.
        every: seconds between two times, about.
        name: of the thread.
        failed: says what a first failure means, for the log.
        recovered: says that it works again.
        last: done when it is stopped, with a function that returns a connection.
        owned: whether connections are to be closed: a given one is not.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        work: Callable[[Any], None],
        every: float,
        *,
        name: str,
        failed: Callable[[Exception], str],
        recovered: Callable[[], str],
        last: Callable[[Callable[[], Any]], None] | None = None,
        owned: bool = True,
    ) -> None:
        self.every = every
        self._connect, self._work, self._last = connect, work, last
        self._name, self._failed, self._recovered = name, failed, recovered
        self._owned = owned
        self._renew()

    def _renew(self) -> None:
        """Begin as in a new process."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._ended = True
        self._politely = True
        self.failures = 0
        self.error: Exception | None = None

    def mine(self) -> bool:
        """Take nothing over from the process that forked this one; return whether there was one."""
        if self._pid == os.getpid():
            return True
        if self._connection is not None:
            _INHERITED.append(self._connection)
        self._renew()
        return False

    @property
    def running(self) -> bool:
        """Whether the thread runs, in this process."""
        self.mine()
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Do the work at once, and from then on, in a daemon thread; nothing if it runs already."""
        self.mine()
        with self._lock:
            if not self.running or self._stop.is_set():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name=self._name, daemon=True
                )
                self._thread.start()

    def stop(self, timeout: float, *, politely: bool = True) -> bool:
        """End the thread, do what is to be done last if ``politely``, and close the connection; never raises.

        Returns:
            whether that was done within ``timeout`` seconds. A server that does not answer is left alone.
        """
        self.mine()
        thread = self._thread
        self._stop.set()
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return self._end(politely)
        self._politely, self._ended = politely, False
        thread.join(timeout)
        return not thread.is_alive() and self._ended

    def once(self) -> bool:
        """Do the work; return whether it was done. Never raises: see `error`."""
        self.mine()
        with self._lock:
            try:
                self._work(self._open())
            except Exception as error:
                self._close()
                self.failures += 1
                self.error = error
                if self.failures == 1:
                    _logger.warning("%s", self._failed(error))
                return False
            if self.failures:
                _logger.info("%s", self._recovered())
            self.failures, self.error = 0, None
            return True

    def pause(self) -> float:
        """Return how many seconds to wait until the next time, from what the last ones came to."""
        wait = self.every
        if self.failures:
            wait = min(wait, FIRST_RETRY * math.ldexp(1, min(self.failures - 1, 60)))
        return wait * random.uniform(0.8, 1.2)  # so that a fleet is not in step

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.once()
            stop.wait(self.pause())
        if self._stop is stop:  # nobody started another one meanwhile
            self._ended = self._end(self._politely)

    def _end(self, politely: bool) -> bool:
        with self._lock:
            try:
                if politely and self._last is not None:
                    self._last(self._open)
                return True
            except Exception as error:
                _logger.debug("%s did not end well: %s", self._name, error)
                return False
            finally:
                self._close()

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._owned:
            try:
                connection.close()  # rolls back
            except Exception:  # it is gone already
                _logger.debug("a connection could not be closed", exc_info=True)


def told(error: Exception) -> str:
    """Return what an error says in one line, without what a driver adds to the server's message."""
    said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    if len(error.args) > 1 and isinstance(error.args[1], str):  # ODBC: a state, then the message
        said = error.args[1]
    return " ".join(said.split()) or type(error).__name__
