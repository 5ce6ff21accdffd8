"""What else a server would refuse, once it has refused one definition: so that they can be corrected together.

The definitions that are left are created in one transaction that is always rolled back, again and again without those that
were refused and what needs them. Nothing of it lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from procver.dialects import Database, Ddl, DdlError, Unit
from procver.errors import DatabaseError
from procver.known import Known
from procver.registry.writing import NewVersion, Subject

LARGEST = 2000
"""Versions that are tried: more of them in one transaction would take too many locks."""

MOST = 20
"""Definitions that are told of, the first included."""

SECONDS = 20.0
"""How long it goes on looking."""

_NEVER = Ddl("PROCVER ROLLS THIS BACK", setting=True)
"""No server takes it: the transaction that ends with it leaves nothing. As a setting it is sent by itself."""

Explain = Callable[[DdlError, list[Subject]], DdlError]


def others(
    database: Database,
    known: Known,
    versions: Iterable[NewVersion],
    refused: NewVersion,
    explain: Explain,
) -> list[DdlError]:
    """Return which definitions beside the first one the server refuses.

    What has settings of its own or is part of a cycle is passed over, and so is what needs it.

    Args:
        database: where.
        known: a read of its registry, after the refusal.
        versions: what was to be created, in order.
        refused: the first that was refused.
        explain: turns a refusal into one that names the source.
    """
    there = {key for key, version in known.versions.items() if version.usable}
    left = [v for v in versions if (v.label, v.number) not in there]
    if len(left) > LARGEST:
        return []
    bad = {(refused.label, refused.number)}
    found: list[DdlError] = []
    end = time.monotonic() + SECONDS
    while len(found) < MOST - 1 and time.monotonic() < end:
        subjects: list[Subject] = []
        steps = [*_steps(left, bad, subjects), _NEVER]
        if len(steps) == 1:
            break
        try:
            for _ in database.run(known.project_id, known.generation, [Unit(steps)], tries=1):
                pass
        except DdlError as error:
            if error.step == _NEVER:
                break
            version = subjects[error.step.subject].version
            bad.add((version.label, version.number))
            found.append(explain(error, subjects))
        except (
            DatabaseError
        ):  # somebody else is writing, or the connection broke: what was found is enough
            break
    return found


def _steps(
    versions: Iterable[NewVersion], bad: set[tuple[str, int]], subjects: list[Subject]
) -> Iterable[Ddl]:
    doubtful = set(bad)
    for version in versions:
        key = (version.label, version.number)
        if (
            key in bad
            or version.alone
            or version.deferred
            or not doubtful.isdisjoint(version.requires)
        ):
            doubtful.add(key)
            continue
        for index, (text, _) in enumerate(version.definition):
            subjects.append(Subject(version, index))
            yield Ddl(text, len(subjects) - 1)
