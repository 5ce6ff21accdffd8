"""What else a server would refuse, once it has refused one definition: so that they can be corrected together.

The definitions that are left are created in one transaction that is always rolled back, again and again without those that
were refused and what needs them. Nothing of it lasts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable

from procver.dialects import Database, Ddl, DdlError, Unit
from procver.errors import ProcverError
from procver.known import Known
from procver.registry.reading import read
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
    project: str,
    versions: Iterable[NewVersion],
    first: DdlError,
    subjects: list[Subject],
    explain: Explain,
) -> list[DdlError]:
    """Return which definitions beside the first one the server refuses; none, where that cannot be learnt.

    What has settings of its own or is part of a cycle is passed over, and so is what needs it.

    Args:
        database: where.
        project: its name there.
        versions: what was to be created, in order.
        first: the first refusal. Where a right was lacking or a lock stood in the way, the others would say the same.
        subjects: what its step was for.
        explain: turns a refusal into one that names the source.
    """
    found: list[DdlError] = []
    if first.refused or first.busy:
        return found
    end = time.monotonic() + SECONDS
    # Somebody else may be writing, a source may just have changed, the connection may break: the first refusal is what counts.
    with contextlib.suppress(ProcverError):
        known = read(database, project)
        there = {key for key, version in known.versions.items() if version.usable} if known else ()
        left = [v for v in versions if (v.label, v.number) not in there]
        bad = {_key(first, subjects)}
        while known and len(left) <= LARGEST and len(found) < MOST - 1 and time.monotonic() < end:
            error, tried = _refused(database, known, _steps(left, bad))
            if error is None or error.refused or error.busy:
                break
            bad.add(_key(error, tried))
            found.append(explain(error, tried))
    return found


def _key(error: DdlError, subjects: list[Subject]) -> tuple[str, int]:
    version = subjects[error.step.subject].version
    return version.label, version.number


def _refused(
    database: Database, known: Known, tried: list[Subject]
) -> tuple[DdlError | None, list[Subject]]:
    """Create definitions in vain; return the first refusal, None if there is none."""
    steps = [
        Ddl(subject.version.definition[subject.statement][0], index)
        for index, subject in enumerate(tried)
    ]
    unit = Unit([*steps, _NEVER])
    try:
        for _ in database.run(known.project_id, known.generation, [unit] if steps else [], tries=1):
            pass
    except DdlError as error:
        return (None if error.step == _NEVER else error), tried
    return None, tried


def _steps(versions: Iterable[NewVersion], bad: set[tuple[str, int]]) -> list[Subject]:
    """Return the statements of what may be created without what is ``bad``."""
    found: list[Subject] = []
    doubtful = set(bad)
    for version in versions:
        key = (version.label, version.number)
        sound = doubtful.isdisjoint(version.requires)
        if key in bad or version.alone or version.deferred or not sound:
            doubtful.add(key)
        else:
            found += (Subject(version, index) for index in range(len(version.definition)))
    return found
