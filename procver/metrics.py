"""A status as Prometheus reads it: the text exposition format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from procver.status import Status

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metric(NamedTuple):
    """A metric with its samples: labels, besides the project, and value."""

    name: str
    help: str
    samples: list[tuple[dict[str, str], float]]


def exposition(status: Status) -> Iterator[str]:
    """Yield the lines of a status in Prometheus' text format. All metrics are gauges."""
    for metric in _metrics(status):
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} gauge"
        for labels, value in metric.samples:
            shown = ",".join(
                f'{key}="{text.translate(_ESCAPES)}"'
                for key, text in ({"project": status.project} | labels).items()
            )
            yield f"{metric.name}{{{shown}}} {value:.15g}"


def _metrics(status: Status) -> Iterator[Metric]:
    yield Metric(
        "procver_versions",
        "Versions by state.",
        [({"state": state}, count) for state, count in status.versions.items()],
    )
    yield Metric(
        "procver_releases",
        "Releases by state.",
        [({"state": state}, count) for state, count in status.releases.items()],
    )
    yield Metric(
        "procver_unreferenced_versions",
        "Versions in the database that no release kept by gc and no pin needs.",
        [({}, status.unneeded)],
    )
    yield Metric(
        "procver_oldest_unreferenced_seconds",
        "For how long the oldest of these has been unreferenced; 0 if there is none.",
        [({}, status.oldest.seconds if status.oldest else 0)],
    )
    yield Metric(
        "procver_instances",
        "Instances of the app by release, seen within the idle time or not.",
        [
            ({"release": of.release, "state": state}, count)
            for of in status.instances
            for state, count in (("living", of.living), ("stale", of.stale))
        ],
    )
    last = status.gc
    yield Metric(
        "procver_last_gc_timestamp_seconds",
        "When gc --apply last ran to its end, in seconds since 1970; 0 if it never did.",
        [({}, last.at.timestamp() if last else 0)],
    )
    yield Metric(
        "procver_last_gc_dropped",
        "Versions that the last gc --apply dropped.",
        [({}, last.dropped if last else 0)],
    )
    yield Metric(
        "procver_last_gc_condemned",
        "Versions that the last gc --apply left condemned.",
        [({}, last.condemned if last else 0)],
    )
