"""What in the database speaks against dropping versions: whatever a later source of evidence finds joins in here."""

from __future__ import annotations

from typing import NamedTuple

from procver.dialects import Call, Database


class Evidence(NamedTuple):
    """What in the database speaks against dropping versions.

    Attributes:
        against: by version id, the objects that depend on it and that procver does not manage.
        unknown: what the server did not let us know.
    """

    against: dict[int, str]
    unknown: tuple[str, ...] = ()

    def weighed(self, ids: list[int], *, keep_unknown: bool) -> dict[int, str]:
        """Return by version id what keeps it: that something depends on it, or that nobody can know."""
        found = dict(self.against)
        if self.unknown and keep_unknown:
            for version_id in ids:
                found.setdefault(
                    version_id, f"nobody can tell what depends on it: {self.unknown[0]}"
                )
        return found


def evidence_against(database: Database, ids: list[int]) -> Evidence:
    """Return what in the database speaks against dropping versions: objects that procver does not manage."""
    found: dict[int, list[str]] = {}
    unknown: list[str] = []
    if ids:
        for version_id, what in database.read(Call("dependents", {"ids": ids}))[0]:
            if version_id is None:
                unknown.append(what)
            else:
                found.setdefault(version_id, []).append(what)
    against = {
        version_id: f"{', '.join(sorted(names)[:3])} depends on it and is none of this project's versions"
        for version_id, names in found.items()
    }
    return Evidence(against, tuple(unknown))
