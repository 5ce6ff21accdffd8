"""A project as its commands see it: configuration, sources, lock file, contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from procver.contract import Contents, Contract, build, number
from procver.errors import LockError, StaleLockError
from procver.lock import Entry, Lock
from procver.objects import Name, Note
from procver.project import departed, lockfile, tree
from procver.project.cache import Cache
from procver.project.config import FILE, Config, find
from procver.project.config import load as load_config
from procver.project.git import Branches
from procver.project.merging import Move, settle
from procver.project.sources import Sources
from procver.project.sources import load as load_sources
from procver.scanning import Scanner, scanner_for


class Numbered(NamedTuple):
    """Fingerprints by name, the lock that holds all of them, and what had to be added for that."""

    prints: Mapping[Name, str]
    lock: Lock
    added: tuple[Entry, ...]


class Renewed(NamedTuple):
    """The lock file as it must be.

    Attributes:
        numbered: the sources' fingerprints, the lock, and what is new in it.
        moved: contents that got another number, as the one they had is another branch's.
        restored: entries of the main branch that the file had lost.
        branches: the branches whose numbers were looked at.
        damaged: errors of lines, of other branches' files, that were passed over.
    """

    numbered: Numbered
    moved: tuple[Move, ...]
    restored: tuple[Entry, ...]
    branches: Branches
    damaged: Sequence[LockError]


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
        return load_sources(self.config, self.scanner, cache, lambda: self._start.labels)

    @cached_property
    def _start(self) -> Lock:
        """The lock that numbers go on from.

        Raises:
            LockError: the lock file cannot be read.
        """
        return lockfile.read(self.config)

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
    def names(self) -> Mapping[str, Name]:
        """The name of each source's object, by label."""
        return {label: name for name, label in self.sources.labels.items()}

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The digest of each object's source file, by label."""
        return {source.label: source.digest for source in self.sources.by_name.values()}

    @property
    def schemas(self) -> list[str]:
        """The schemas that hold managed objects, by the sources and the lock file."""
        labels = [*self.sources.labels.values(), *(entry.name for entry in self.numbered.lock)]
        return sorted({self.name(label).schema for label in labels})

    def name(self, label: str) -> Name:
        """Return the name that a label or other spelling stands for."""
        return self.scanner.parse(label, self.config.default_schema)

    @cached_property
    def numbered(self) -> Numbered:
        """The sources' fingerprints and the lock that holds all of them, from the lock file.

        A new number is one that no other branch has assigned, as far as git knows here.

        Raises:
            LockError: the lock file cannot be read.
            SourceError: a pin names a version that the lock does not hold.
        """
        found = Numbered(*number(self.contents, self._start))
        return self.renewed().numbered if found.added else found

    def renewed(self, base: str | None = None) -> Renewed:
        """Return the lock file as it must be, with the numbers of other branches taken into account.

        Args:
            base: a git revision whose entries are all taken over, whatever state the file is in;
                an empty one is the main branch.

        Raises:
            UsageError: git cannot read the revision.
            LockError: the file is damaged, or in conflict and no main branch decides.
            SourceError: a pin names a version that no side holds.
        """
        sides = lockfile.sides(self.config, base)
        if (agreed := sides.agreed) is not None:
            self._start = agreed
            self.numbered = Numbered(*number(self.contents, agreed))
            return Renewed(self.numbered, (), (), sides.branches, sides.damaged)
        whole, kept = sides.merged, sides.kept
        self._start = settle(whole, kept).lock
        labels = self.sources.labels
        prints, extended, _ = number(self.contents, whole)
        wanted = ((labels[name], fingerprint) for name, fingerprint in prints.items())
        analyses = self.contents.analyses.values()
        pinned = (
            (labels[name], version)
            for analysis in analyses
            for name, version in (*analysis.pins, *analysis.fixed)
            if name in labels
        )
        lock, added, moved = settle(extended, kept, wanted, pinned)
        self.numbered = Numbered(prints, lock, added)
        here = {(entry.name, entry.number): entry.fingerprint for entry in sides.file}
        # What was moved in an earlier run stays contested until it is merged.
        moved = tuple(m for m in moved if here.get((m.entry.name, m.number)) != m.entry.fingerprint)
        lost = () if sides.whole else sides.fork
        restored = tuple(entry for entry in lost if (entry.name, entry.number) not in here)
        return Renewed(self.numbered, moved, restored, sides.branches, sides.damaged)

    def contract(self, *, locked: bool = True) -> Contract:
        """Return the contract of the sources, completing the lock file first unless ``locked``.

        Raises:
            StaleLockError: ``locked``, and the lock file lacks versions.
        """
        contract = self.draft(locked=locked)
        self.keep_lock()
        return contract

    def draft(self, *, locked: bool) -> Contract:
        """Return the contract of the sources, leaving the lock file as it is: see `keep_lock`.

        Raises:
            StaleLockError: ``locked``, and the lock file lacks versions.
        """
        prints, lock, added = self.numbered
        if added and locked:
            names = ", ".join(entry.name for entry in added[:5])
            raise StaleLockError(
                f"procver.lock lacks {len(added)} version(s): {names}{' ...' if len(added) > 5 else ''}",
                hint="run `procver lock` and commit procver.lock",
            )
        return self._built(prints, lock)

    def keep_lock(self) -> None:
        """Write the lock file, if the sources need versions that it lacks.

        Raises:
            UsageError: it cannot be written; the old file is untouched.
        """
        if self.numbered.added:
            lockfile.write(self.config, self.numbered.lock)

    def check(self, numbered: Numbered) -> None:
        """Refuse what could be numbered but never published.

        Raises:
            SourceError: a name is too long once suffixed, or objects refer to each other in a cycle through a view.
            ConflictError: two names would collide.
        """
        self._built(numbered.prints, numbered.lock)

    def _built(self, prints: Mapping[Name, str], lock: Lock) -> Contract:
        suffix, schema = self.config.suffix, self.config.default_schema
        return build(self.contents, prints, lock, self.scanner, suffix, schema)

    def remarks(self) -> list[tuple[str, Note]]:
        """Return what the scanner left undecided, and mentions of versions by number, each with its file."""
        lock = self.numbered.lock
        found: list[tuple[str, Note]] = []
        for source in sorted(self.sources.by_name.values(), key=lambda source: source.path):
            found += ((source.path, note) for note in source.analysis.notes)
            for name, version in source.analysis.fixed:
                label = self.sources.labels.get(name)
                if label and lock.fingerprint(label, version):
                    message = f"{label} is pinned to version {version} by its physical name"
                    hint = f"write {label}, with `-- procver: pin {label} = {version}` if that is meant"
                    found.append((source.path, Note("fixed-version", 1, message, hint)))
        found += departed.remarks(self.config, self.scanner, self.sources, self._start)
        found += self._idle_grants()
        found += self._idle_excludes()
        return found

    def _idle_grants(self) -> Iterator[tuple[str, Note]]:
        for rule in self.config.grants:
            if not any(self.config.matches(rule, label) for label in self.names):
                yield (
                    FILE,
                    Note(
                        "idle-grant",
                        rule.line,
                        f"[grants] {rule.pattern!r} is for no object of this project",
                        "correct the pattern: it names schema and object, as app.* or app.find_things does",
                    ),
                )

    def _idle_excludes(self) -> Iterator[tuple[str, Note]]:
        for pattern in tree.idle_excludes(self.config):
            yield (
                FILE,
                Note(
                    "idle-exclude",
                    self.config.exclude_line,
                    f"exclude {pattern!r} matches no file in the source directories",
                    "correct the pattern: paths begin with the source directory, as sql/old/* does; a"
                    " leading */ stands for any directory",
                ),
            )
