"""The audit trail: who did what, when and from where, as the registry recorded it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from procver.dialects import Call, Database
from procver.errors import ConfigError, UsageError
from procver.project.config import duration
from procver.project.workspace import Project
from procver.registry.actions import OF_VERSIONS, Action
from procver.releases import unpublished

PAGE = 1000
"""Events read at once."""


class Asked(NamedTuple):
    """Which events are asked for: those that fit everything that is set.

    Attributes:
        since: not before this moment, or not longer ago than this.
        until: before this moment, or longer ago than this.
        actions: of these kinds.
        actor: by this login.
        release: that concern this release.
        version: that concern the version with this physical name.
    """

    since: datetime | timedelta | None = None
    until: datetime | timedelta | None = None
    actions: tuple[Action, ...] = ()
    actor: str | None = None
    release: str | None = None
    version: str | None = None

    def as_argument(self) -> dict[str, Any]:
        """Return it as the registry's ``events`` takes it."""
        found: dict[str, Any] = {"others": OF_VERSIONS}
        for key, moment in (("since", self.since), ("until", self.until)):
            if isinstance(moment, timedelta):
                found[f"{key}_ago"] = int(moment.total_seconds())
            elif moment is not None:
                found[key] = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
        if self.actions:
            found["actions"] = self.actions
        plain = {"actor": self.actor, "release": self.release, "object": self.version}
        return found | {key: value for key, value in plain.items() if value is not None}


class Event(NamedTuple):
    """One line of the audit trail.

    Attributes:
        at: when, by the server's clock.
        actor: the login that was connected.
        client: where from, as the server knows it: None for a local connection.
        action: what was done.
        subject: to which release or version, or how many.
        detail: more of it, by action; see ``docs/commands.md``.
        id: its place.
    """

    at: datetime
    actor: str
    client: str | None
    action: str
    subject: str
    detail: dict[str, Any] | None
    id: int

    def as_json(self) -> dict[str, Any]:
        """Return it in the shape that scripts rely on."""
        keys = ("actor", "client", "action", "subject", "detail")
        return {"at": self.at.isoformat()} | {key: getattr(self, key) for key in keys}


def moment(text: str) -> datetime | timedelta:
    """Return the time that ``text`` means: a duration back from now, or a date or time in ISO 8601.

    A time without an offset is meant in this machine's time zone.

    Raises:
        UsageError: it is neither.
    """
    try:
        return duration(text)
    except ConfigError as error:
        if not re.match(r"\d{4}-\d|\d{8}(T|$)", text):
            raise UsageError(
                error.message, hint="write 90m, 36h or 7d, or a time such as 2026-11-21T09:30"
            ) from None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time", hint="write 2026-11-21, 2026-11-21T09:30 or 2026-11-21T09:30Z"
        ) from None


def events(
    project: Project, database: Database, asked: Asked, limit: int | None = None
) -> Iterator[Event]:
    """Yield what was recorded, newest first, reading a page at a time.

    Args:
        project: whose events.
        database: where.
        asked: which of them.
        limit: how many at most; None: all.

    Raises:
        UsageError: nothing was published here yet.
        DatabaseError: the registry cannot be read.
    """
    if not database.install(create=False):
        raise unpublished(project)
    about = asked.as_argument() | {"project": project.config.name}
    projects, rows = database.read(
        Call("project", about), Call("events", about | {"limit": _page(limit)})
    )
    if not projects:
        raise unpublished(project)
    while True:
        found = [Event(*row) for row in rows]
        yield from found
        if limit is not None:
            limit -= len(found)
        if len(found) < PAGE or limit == 0:
            return
        page = {"limit": _page(limit), "before": found[-1].id}
        rows = database.read(Call("events", about | page))[0]


def _page(limit: int | None) -> int:
    return PAGE if limit is None else min(PAGE, limit)
