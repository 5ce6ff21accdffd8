"""Creating many versions at once: over two connections, each object's versions in its own lane.

Nothing a lane creates can stand in the way of another's: they hold the project together, so that everybody else waits, and
two publications never create the same version in different lanes, because the lane is a hash of the object's name. What
refers to versions of the other lane waits until these are committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import NamedTuple
from zlib import crc32

from procver.dialects import DdlError, Lane, Laned, Unit
from procver.known import Known
from procver.plan import Create
from procver.prepared import Prepared
from procver.registry import writing
from procver.registry.writing import Subject

LANES = 2
"""How many there are. Every publisher of a project must count the same, so a change of it is one of the registry."""

FROM = 3000
"""How many versions are worth a second connection: of fewer, the waiting takes what the other one wins."""

MOST_WAVES = 30
"""After each wave both lanes wait for each other; so however much there is to create, the round trips are bounded."""

REST = writing.BATCH_OBJECTS
"""So many that fit into one transaction are not worth the waiting: one connection creates them after the waves."""

Waves = list[tuple[list[Create], ...]]
"""For each wave the steps of each lane. What a step needs is in an earlier wave, or before it in the same lane."""


class Division(NamedTuple):
    """Steps divided among lanes: first the waves, then over one connection the ``rest``, dependencies first."""

    waves: Waves
    rest: tuple[Create, ...]


def lane_of(label: str) -> int:
    """Return the lane in which the versions of an object are created."""
    return crc32(label.encode("utf-8", "surrogatepass")) % LANES


def divide(steps: Sequence[Create]) -> Division | None:
    """Divide steps among lanes.

    Args:
        steps: dependencies first.

    Returns:
        the division; None where two connections would not be faster, or where some steps must share a transaction.
    """
    if len(steps) < FROM:
        return None
    places: dict[tuple[str, int], tuple[int, int]] = {}
    sizes: list[int] = []
    ahead = {(step.label, step.number) for step in steps}
    for step in steps:
        own = (step.label, step.number)
        ahead.discard(own)
        if step.member is None or step.known is not None:  # from the registry
            return None
        lane, wave = lane_of(step.label), 0
        for need in step.member.requires:
            if need in ahead:  # a cycle is created in one transaction
                return None
            if need in places:
                other, then = places[need]
                wave = max(wave, then + (other != lane))
        places[own] = lane, wave
        if wave == len(sizes):
            sizes.append(0)
        sizes[wave] += 1
    left = 0
    while sizes and left + sizes[-1] <= REST:
        left += sizes.pop()
    if len(sizes) > MOST_WAVES:
        return None
    found: Waves = [tuple([] for _ in range(LANES)) for _ in sizes]
    rest: list[Create] = []
    for step, (lane, wave) in zip(steps, places.values(), strict=True):
        (found[wave][lane] if wave < len(found) else rest).append(step)
    return Division(found, tuple(rest))


class Publication:
    """One publication over several connections.

    Args:
        databases: one for each lane, all of the same target.
        known: the registry as it was planned from.
        prepared: makes the versions ready.
        release: for which release, if for one.
        progress: called with about how many versions were committed just now.
        explain: turns a server's refusal into one that names a source.
    """

    def __init__(
        self,
        databases: Sequence[Laned],
        known: Known,
        prepared: Prepared,
        release: str | None,
        progress: Callable[[int], None],
        explain: Callable[[DdlError, list[Subject]], DdlError],
    ) -> None:
        self._known, self._prepared, self._release = known, prepared, release
        self._progress, self._explain = progress, explain
        self._databases = databases
        self._committed = [0] * LANES
        self._stop = Event()
        self._telling = Lock()

    @property
    def committed(self) -> int:
        """The generations taken so far."""
        return sum(self._committed)

    def create(self, found: Waves) -> None:
        """Create the versions of all waves.

        Nothing of it is sure to survive a crash of the server before a later commit.

        Raises:
            StalePlanError: somebody else wrote to the registry; plan anew.
            DdlError: the server refused a definition; what was committed before stays.
            DatabaseError: a connection broke.
        """
        with ThreadPoolExecutor(LANES - 1, "procver-lane") as pool:
            try:
                for wave in found:
                    others = [pool.submit(self._run, lane, wave[lane]) for lane in range(1, LANES)]
                    self._run(0, wave[0])
                    for other in others:
                        other.result()
            except BaseException:
                self._stop.set()  # Ctrl-C finds this thread waiting for the other one as well
                raise

    def _run(self, lane: int, steps: Sequence[Create]) -> None:
        subjects: list[Subject] = []
        known = self._known
        at = Lane(lane, known.lanes.get(lane, 0) + self._committed[lane])
        units = writing.creation(
            known.project_id, self._prepared.versions(steps), subjects, self._release, lightly=True
        )
        told = 0
        try:
            for index in self._databases[lane].run_in_lane(
                known.project_id, known.main, at, self._going(units)
            ):
                self._committed[lane] += 1
                now = min((index + 1) * writing.BATCH_OBJECTS, len(steps))
                self._tell(now - told)
                told = now
        except BaseException as error:
            self._stop.set()
            if isinstance(error, DdlError):
                raise self._explain(error, subjects) from None
            raise

    def _going(self, units: Iterator[Unit]) -> Iterator[Unit]:
        """Yield units until another lane fails."""
        for unit in units:
            if self._stop.is_set():
                return
            yield unit

    def _tell(self, versions: int) -> None:
        with self._telling:
            self._progress(versions)
