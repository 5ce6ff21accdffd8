"""References to objects that the project once had: no reader takes them for references any more."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procver.errors import SourceError
from procver.lock import Lock
from procver.objects import Kind, Managed, Name, Note
from procver.project.config import Config
from procver.project.sources import Source, Sources
from procver.scanning import Scanner

_FEW = 20
_WORDS = re.compile(r"\w+")


def remarks(
    config: Config, scanner: Scanner, sources: Sources, lock: Lock
) -> Iterator[tuple[str, Note]]:
    """Yield a remark for each source that names an object of the lock which no source defines.

    The server looks up such a name when the procedure runs, if it looks at all: nothing else would tell.
    """
    here = set(sources.labels.values())
    labels = {
        scanner.parse(label, config.default_schema): label
        for label in lock.labels
        if label not in here
    }
    outside = {scanner.key(scanner.parse(label, config.default_schema)) for label in config.outside}
    gone: dict[Name, Kind] = {}
    for name, label in labels.items():
        latest = lock.latest(label)
        if latest is not None and scanner.key(name) not in outside:
            gone[name] = latest.kind
    if not gone:
        return
    managed = sources.managed
    then = Managed(
        {**managed.kinds, **gone}, managed.search_path, managed.suffix, managed.databases
    )
    leaves = {name.leaf.lower() for name in gone}
    for source in sources.by_name.values():
        text, spans = sources.text(source.name)
        lowered = text.lower()
        if not _mentions(lowered, leaves):
            continue
        try:
            found = scanner.analyse(text, config.default_schema, then, spans)
        except SourceError:  # read that way it makes no sense, and it need not
            continue
        for name in found.references:
            if name in gone:
                line = lowered.count("\n", 0, max(0, lowered.find(name.leaf.lower()))) + 1
                yield source.path, _note(source, labels[name], line)


def _mentions(text: str, leaves: set[str]) -> bool:
    """Return whether a text in lower case may name one of ``leaves``."""
    if len(leaves) <= _FEW or any(not _WORDS.fullmatch(leaf) for leaf in leaves):
        return any(leaf in text for leaf in leaves)
    return not leaves.isdisjoint(_WORDS.findall(text))


def _note(source: Source, label: str, line: int) -> Note:
    return Note(
        "departed",
        line,
        f"{source.label} refers to {label}, which procver.lock knows and no source defines any more:"
        " it means whatever has that name in the database",
        f"bring the source of {label} back, or correct the reference; if it belongs to others now, say so in"
        f' procver.toml: outside = ["{label}"]',
    )
