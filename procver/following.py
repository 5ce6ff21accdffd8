"""In the app: names resolved by the release that a channel points to, which may become another one while the app runs.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from procver.background import Background, check_period, told
from procver.errors import UsageError
from procver.resolver import Resolver, ask, equals, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self


class Following(Mapping[str, str]):
    """What `Resolver.follow` returns: like a `Resolver`, of the release that its channel pointed to when it looked last.

    It switches to another release as a whole, and only to one whose versions are all there; if a look fails it keeps the
    release it has, and logs that, once per run of failures. Any thread may use it. Each call site that resolves several names which
    belong together takes them from one `current` or `pinned` resolver.

    Attributes:
        channel: the channel's name.
    """

    def __init__(
        self,
        connection: Any,
        channel: str,
        *,
        project: str | None = None,
        every: float | None = None,
    ) -> None:
        """See `Resolver.follow`."""
        if not isinstance(channel, str) or not channel.strip():
            raise UsageError(f"{channel!r} is no channel", hint="see: procver release channel")
        made = callable(connection) and not hasattr(connection, "cursor")
        if every is not None and not made:
            raise UsageError(
                "a thread cannot share the app's connection",
                hint="give a function that returns a new one: Resolver.follow(lambda: connect(url), ...)",
            )
        self.channel = channel
        self._project = project
        self._made = made
        self._place: tuple[int | None, Resolver | None] = None, None
        self._background = Background(
            connection if made else lambda: connection, self._look,
            60.0 if every is None else check_period(every), name="procver-follow",
            failed=self._failed, recovered=lambda: f"channel {channel} can be followed again", owned=made,
        )  # fmt: skip
        # The app cannot do without a first release: here an error is raised.
        opened = connection() if made else connection
        try:
            self._look(opened)
        finally:
            if made:
                opened.close()
        if every is not None:
            self.start()

    @property
    def current(self) -> Resolver:
        """The resolver of the release it is on now. It stays what it is: keep it for names that belong together."""
        found = self._place[1]
        assert found is not None  # set by the first look
        return found

    @contextmanager
    def pinned(self) -> Iterator[Resolver]:
        """Give the `current` resolver for the length of a request: ``with procs.pinned() as p: p['app.fn']``."""
        yield self.current

    @property
    def release(self) -> str:
        """Name of the release it is on now."""
        return self.current.release

    @property
    def project(self) -> str:
        """The project that the channel belongs to."""
        return self.current.project

    @property
    def dialect(self) -> str:
        """``postgresql`` or ``mssql``."""
        return self.current.dialect

    @property
    def default_schema(self) -> str:
        """The schema that a bare name means."""
        return self.current.default_schema

    @property
    def failures(self) -> int:
        """How many looks failed since the last one that did not."""
        return self._background.failures

    @property
    def error(self) -> Exception | None:
        """What went wrong with the last look; None if nothing did."""
        return self._background.error

    def refresh(self, *, strict: bool = False) -> bool:
        """Look where the channel points to, in one small query, and switch if that is another release.

        Args:
            strict: raise what goes wrong; else it is logged, and the release stays.

        Returns:
            whether it is on another release now.

        Raises:
            ProcverError: ``strict``, and the channel or versions of its release are gone, or the database refused.
        """
        before = self._place
        if not self._background.once() and strict and self._background.error is not None:
            raise self._background.error
        return self._place is not before

    def start(self) -> Self:
        """Look again and again in a daemon thread: what ``every`` does, and what a forked child may call."""
        if not self._made:
            raise UsageError(
                "a thread cannot share the app's connection",
                hint="give a function that returns a new one: Resolver.follow(lambda: connect(url), ...)",
            )
        self._background.start()
        return self

    def close(self, timeout: float = 5.0) -> bool:
        """End the thread and close its connection; names can still be resolved. Return whether that was done in time."""
        return self._background.stop(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def verify(self, connection: Any) -> None:
        """See `Resolver.verify`."""
        self.current.verify(connection)

    def __getitem__(self, name: str) -> str:
        return self.current[name]

    def __contains__(self, name: object) -> bool:
        return name in self.current

    def __iter__(self) -> Iterator[str]:
        return iter(self.current)

    def __len__(self) -> int:
        return len(self.current)

    def get(self, name: str, default: Any = None) -> Any:
        """See `Resolver.get`."""
        return self.current.get(name, default)

    def __repr__(self) -> str:
        return f"<Following channel {self.channel!r}: {self.current!r}>"

    def _look(self, connection: Any) -> None:
        query = (
            "SELECT project, release, release_id FROM procver.channel_release"
            f" WHERE channel {equals(connection)} {mark_of(connection)}"
        )
        rows = ask(connection, query, self.channel, "procver.channel_release")
        rows = [row for row in rows if self._project in (None, row[0])]
        if len(rows) != 1:
            raise self._ambiguous(sorted(row[0] for row in rows))
        project, release, release_id = rows[0]
        if release_id != self._place[0]:
            found = Resolver.from_database(connection, release=release, project=project)
            found.verify(connection)
            self._project = project
            self._place = release_id, found  # one assignment: nobody sees half of it
        if self._made:
            connection.rollback()  # not every driver tells whether a transaction was begun

    def _ambiguous(self, projects: list[str]) -> UsageError:
        if projects:
            return UsageError(
                f"several projects have a channel {self.channel!r}: {', '.join(projects)}",
                hint="say which: Resolver.follow(connection, channel, project=...)",
            )
        where = "here" if self._project is None else f"of project {self._project!r} here"
        return UsageError(
            f"no channel {self.channel!r} {where}", hint="see: procver release channel"
        )

    def _failed(self, error: Exception) -> str:
        hint = getattr(error, "hint", None)
        return (
            f"channel {self.channel} could not be followed, release {self.release} stays: {told(error)}"
            + (f"; {hint}" if hint else "")
        )
