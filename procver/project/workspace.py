"""A project as its commands see it: configuration, sources, lock file, contract."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from procver.contract import Contents, Contract, build, number
from procver.errors import StaleLockError
from procver.lock import Entry, Lock
from procver.objects import Name, Note
from procver.project import lockfile
from procver.project.cache import Cache
from procver.project.config import Config, find
from procver.project.config import load as load_config
from procver.project.sources import Sources
from procver.project.sources import load as load_sources
from procver.scanning import Scanner, scanner_for


class Project:
    """One project on disk. Sources are read once, when first needed.

    Args:
        config: its configuration.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.scanner: Scanner = scanner_for(config.dialect)

    @classmethod
    def at(cls, start: Path) -> Project:
        """Return the project whose ``procver.toml`` is in ``start`` or nearest above it.

        Raises:
            ConfigError: there is none, or it cannot be used.
        """
        return cls(load_config(find(start)))

    @cached_property
    def sources(self) -> Sources:
        """All source files, read and analysed.

        Raises:
            SourceError: some cannot be published.
        """
        cache = Cache(self.config.root / ".procver" / "cache.sqlite3")
        return load_sources(self.config, self.scanner, cache)

    @cached_property
    def contents(self) -> Contents:
        """The sources as versioning sees them."""
        by_name = self.sources.by_name
        return Contents(
            {name: source.analysis for name, source in by_name.items()},
            self.sources.labels,
            {name: source.path for name, source in by_name.items()},
        )

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The digest of each object's source file, by label."""
        return {source.label: source.digest for source in self.sources.by_name.values()}

    def name(self, label: str) -> Name:
        """Return the name that a label or other spelling stands for."""
        return self.scanner.parse(label, self.config.default_schema)

    def lock(self, *, base: str | None = None) -> tuple[Lock, tuple[Entry, ...]]:
        """Return the lock that the sources need, and what it has beyond the file's or ``base``'s.

        Args:
            base: a git revision to start from, whatever state the file is in.
        """
        config = self.config
        start = lockfile.read_at(config, base) if base else lockfile.read(config)
        _, extended, added = number(self.contents, start)
        return extended, added

    def contract(self, *, locked: bool = True) -> Contract:
        """Return the contract of the sources, completing the lock file first unless ``locked``.

        Raises:
            StaleLockError: ``locked``, and the lock file lacks versions.
        """
        lock, added = self.lock()
        if added and locked:
            names = ", ".join(entry.name for entry in added[:5]) + (
                " ..." if len(added) > 5 else ""
            )
            raise StaleLockError(
                f"procver.lock lacks {len(added)} version(s): {names}",
                hint="run `procver lock` and commit procver.lock",
            )
        contract = build(self.contents, lock, self.scanner, self.config.suffix)
        if added:
            lockfile.write(self.config, lock)
        return contract

    def remarks(self, lock: Lock) -> list[tuple[str, Note]]:
        """Return what the scanner left undecided, and mentions of versions by number, each with its file."""
        found: list[tuple[str, Note]] = []
        for source in sorted(self.sources.by_name.values(), key=lambda source: source.path):
            found += ((source.path, note) for note in source.analysis.notes)
            for name, version in source.analysis.fixed:
                label = self.sources.labels.get(name)
                if label and lock.fingerprint(label, version):
                    message = f"{label} is pinned to version {version} by its physical name"
                    hint = f"write {label}, with `-- procver: pin {label} = {version}` if that is meant"
                    found.append((source.path, Note("fixed-version", 1, message, hint)))
        return found
