"""In the app: a mapping beside the release as the registry holds it.

Standard library only; loaded when it is needed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from procver.errors import FindingsError
from procver.resolver import ask, equals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VIEW = "procver.mapping"

_HINT = "make it anew with: procver map --from-database --release {} -o FILE"


def digest(versions: Iterable[tuple[str, int, str]]) -> str:
    """Return the digest of a release: two with the same digest hold the same versions.

    Args:
        versions: logical name, number and fingerprint of each, in any order.

    Returns:
        SHA-256, in hex, over their sorted lines: name, NUL, number, NUL, fingerprint, LF.
    """
    lines = sorted(f"{name}\0{number}\0{print_}\n" for name, number, print_ in versions)
    return sha256("".join(lines).encode()).hexdigest()


def held(connection: Any, mark: str, release: str, project: str | None) -> list[tuple[Any, ...]]:
    """Return the registry's rows of a release, with the columns of ``procver.mapping`` in order.

    Args:
        connection: a DB-API connection; its transaction is left as found.
        mark: the driver's parameter mark.
        release: the release's name.
        project: the project it belongs to; None: any.

    Raises:
        UsageError: the database has no registry.
        FindingsError: the rows are not those that were published.
        DatabaseError: the database refused the query.
    """
    query = f"SELECT * FROM {VIEW} WHERE release {equals(connection)} {mark}"
    rows = [row for row in ask(connection, query, release, VIEW) if project in (None, row[0])]
    # A registry that no newer procver upgraded yet has no digest.
    for owner, published in {(row[0], row[9]) for row in rows if len(row) > 9}:
        if published != digest((row[4], row[6], row[8]) for row in rows if row[0] == owner):
            raise FindingsError(
                f"release {release!r} no longer consists of the versions it was published with",
                hint="somebody changed procver.membership or procver.version by hand: procver verify",
            )
    return rows


class Claim(NamedTuple):
    """A mapping's own account of its release.

    Attributes:
        release: name of the release.
        project: the project it belongs to; empty where that is not known.
        digest: the release's digest; empty where that is not known.
        objects: kind and physical name by logical name.
        rows: the same with version and fingerprint, as the mapping file has them; empty where there is no file.
    """

    release: str
    project: str
    digest: str
    objects: Mapping[str, tuple[str, str]]
    rows: Mapping[str, Any]

    def check(self) -> None:
        """Compare the digest with that of the mapping's own objects.

        Raises:
            FindingsError: they differ.
        """
        if not self.digest or not self.rows:
            return
        try:
            rows = [(name, row["version"], row["fingerprint"]) for name, row in self.rows.items()]
        except (KeyError, TypeError):
            rows = []
        if digest(rows) != self.digest:
            raise FindingsError(
                f"the mapping of release {self.release!r} was changed after it was written:"
                " its digest is not that of its objects",
                hint=_HINT.format(self.release),
            )

    def compare(self, connection: Any, mark: str, *, by_digest: bool) -> None:
        """Compare the mapping with the release as the registry holds it.

        Args:
            connection: a DB-API connection; its transaction is left as found.
            mark: the driver's parameter mark.
            by_digest: whether both have a digest; else they are compared object by object.

        Raises:
            FindingsError: the registry does not know the release, or has other versions of it.
            DatabaseError: the database refused the query.
        """
        project = self.project or None
        if by_digest:
            query = f"SELECT DISTINCT project, digest FROM {VIEW} WHERE release {equals(connection)} {mark}"
            found = ask(connection, query, self.release, VIEW)
            if self.digest in [row[1] for row in found if project in (None, row[0])]:
                return
        rows = held(connection, mark, self.release, project)
        if not rows:
            where = "this database" if project is None else f"project {project!r} in this database"
            raise FindingsError(
                f"release {self.release!r} is not known to {where}",
                hint="publish it here, or check the connection's database: procver release list",
            )
        objects: dict[str, dict[str, tuple[Any, ...]]] = {}
        for row in rows:
            objects.setdefault(row[0], {})[row[4]] = row[5], row[7], row[6], row[8]
        # Of several projects with such a release, the one that this mapping is most like.
        names = min((self._differing(of) for of in objects.values()), key=len)
        if names or by_digest:
            shown = ", ".join(names[:10]) or "their digests differ"
            if len(names) > 10:
                shown += f" and {len(names) - 10} more"
            raise FindingsError(
                f"release {self.release!r} has other versions in this database than in the mapping: {shown}",
                hint=_HINT.format(self.release),
            )

    def _differing(self, held: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """Return the names of objects that are not as the registry holds them, as far as the mapping tells."""
        names = set(self.objects) ^ set(held)
        for name in set(self.objects) & set(held):
            row = self.rows.get(name) or {}
            mine = (*self.objects[name], row.get("version"), row.get("fingerprint"))
            if any(a not in (None, b) for a, b in zip(mine, held[name], strict=True)):
                names.add(name)
        return sorted(names)
