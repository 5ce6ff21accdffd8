"""What in the database speaks against dropping versions: whatever a later source of evidence finds joins in here.

Evidence is what was seen. That nothing was seen proves nothing: statistics may be off, out of reach, or lost with a
restart. So only what may depend on a version unseen is a reason to keep it; silent statistics are a remark.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from procver.dialects import Call, Database, Row
from procver.known import KnownVersion, ago
from procver.mentions import mentions


class Evidence(NamedTuple):
    """What in the database speaks against dropping versions.

    Attributes:
        against: by version id, what was found: calls since it was condemned, objects that depend on it and that
            procver does not manage.
        unknown: what the server did not let us know about what depends on versions.
        remarks: which sources of evidence are silent here.
    """

    against: dict[int, str]
    unknown: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def absent(self) -> str:
        """What speaks for a drop where nothing was found against it, for the audit trail."""
        depends = (
            f"what depends on it cannot be known: {self.unknown[0]}"
            if self.unknown
            else "nothing but its own project's versions depends on it"
        )
        return "; ".join((depends, *(self.remarks or ("no call of it was counted since",))))

    def weighed(self, ids: list[int], *, keep_unknown: bool) -> dict[int, str]:
        """Return by version id what keeps it: what was found, or that nobody can know what depends on it."""
        found = dict(self.against)
        if self.unknown and keep_unknown:
            for version_id in ids:
                found.setdefault(
                    version_id, f"nobody can tell what depends on it: {self.unknown[0]}"
                )
        return found


def sample(database: Database, project: str) -> None:
    """Keep what the server's statistics say of a project's versions now: the next restart may lose it.

    Raises:
        DatabaseError: the registry cannot be written.
    """
    database.note(Call("sample", {"project": project}))


def evidence_against(
    database: Database, project: str, versions: Iterable[KnownVersion], now: datetime
) -> Evidence:
    """Return what in the database speaks against dropping versions.

    Args:
        database: where.
        project: whose versions they are.
        versions: candidates for a drop, now or after their grace.
        now: the server's clock.

    Raises:
        DatabaseError: the registry or the catalog cannot be read.
    """
    versions = list(versions)
    depends, unknown = dependents(database, versions)
    calls, remarks = _calls(database, project, versions, now)
    return Evidence({**depends, **calls}, unknown, remarks)


def dependents(
    database: Database, versions: Iterable[KnownVersion]
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return what depends on versions, by id, and what could not be known: objects that procver does not manage.

    What the catalog tracks counts, and what names a version in its text: no catalog tracks what is in the body of a function
    in plpgsql, or in dynamic SQL.

    Raises:
        DatabaseError: the registry or the catalog cannot be read.
    """
    leaves = {version.id: version.name.leaf for version in versions}
    if not leaves:
        return {}, ()
    ids = {"ids": list(leaves)}
    tracked, *texts = database.read(
        Call("dependents", ids), Call("texts", ids), Call("table_texts", ids)
    )
    found: dict[int, set[str]] = {}
    unknown: list[str] = []
    for version_id, what in tracked:
        if version_id is None:
            unknown.append(what)
        else:
            found.setdefault(version_id, set()).add(what)
    for version_id, what in mentions(
        ((what, text) for rows in texts for what, text in rows), leaves
    ):
        if what not in found.get(version_id, ()):
            found.setdefault(version_id, set()).add(f"{what} (by name, in its text)")
    against = {
        version_id: f"{', '.join(sorted(names)[:3])} depends on it and is none of this project's versions"
        for version_id, names in found.items()
    }
    return against, tuple(unknown)


class Stranger(NamedTuple):
    """An object that carries a version's name and is not its own; or, without a ``kind``, a part that the version lost."""

    kind: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def strangers(
    database: Database, project: str, versions: Iterable[KnownVersion]
) -> dict[int, list[Stranger]]:
    """Return by id what stands where versions were created, and is not what was created; and what they lost.

    Raises:
        DatabaseError: the registry or the catalog cannot be read.
    """
    ids = [version.id for version in versions]
    about = {"project": project, "ids": ids}
    return by_version(database.read(Call("strangers", about))[0]) if ids else {}


def by_version(rows: Iterable[Row]) -> dict[int, list[Stranger]]:
    """Return the rows of the registry's ``strangers`` by version id."""
    found: dict[int, list[Stranger]] = {}
    for version_id, kind, name in rows:
        found.setdefault(version_id, []).append(Stranger(kind, name))
    return found


def left_alone(version: KnownVersion, found: Iterable[Stranger]) -> list[str]:
    """Return a remark for each object that carries a version's name and stays when that is dropped."""
    return [
        f"{stranger} has the name of {version.physical} and is not managed by procver: it stays"
        for stranger in found
        if stranger.kind is not None
    ]


def _calls(
    database: Database, project: str, versions: list[KnownVersion], now: datetime
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return which of the condemned versions were called since they were, by id, and what cannot be counted.

    A version that is not condemned may be called by anybody who needs it; a call of a condemned one means that
    somebody needs it whom no release knows. It is spared then, and its grace begins anew.
    """
    since = {v.id: v.condemned_at for v in versions if v.condemned_at is not None}
    if not since:
        return {}, ()
    against: dict[int, str] = {}
    remarks: list[str] = []
    argument = {"project": project, "ids": list(since)}
    for version_id, after, last, remark in database.note(Call("usage", argument)):
        if version_id is None:
            remarks.append(remark)
        elif last > since[version_id]:
            # A counter tells no time, only that the call came after the sample before.
            when = ago(now, last) if after == last else f"since the sample taken {ago(now, after)}"
            against[version_id] = f"called {when} (execution statistics)"
    return against, tuple(remarks)
