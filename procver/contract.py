"""A release's contract: for every object of the sources, which version it is and what that version needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from procver.errors import ConflictError, SourceError
from procver.fingerprint import fingerprints
from procver.graph import components
from procver.lock import Entry, Lock
from procver.mapping import Mapped
from procver.objects import Analysis, Kind, Name, physical_leaf
from procver.recorded import digest
from procver.scanning import Scanner


class Member(NamedTuple):
    """One object of a contract, at its version.

    ``requires`` lists (label, number) of what it needs directly; ``deferred`` is True where it is part of a
    reference cycle, so that its body can only be checked once all of the cycle exists.
    """

    label: str
    name: Name
    kind: Kind
    number: int
    fingerprint: str
    shape: str
    physical: Name
    quoted: str
    requires: tuple[tuple[str, int], ...]
    deferred: bool


class Contract(NamedTuple):
    """Members by label, in an order in which they can be created; ``default_schema`` is that of bare names."""

    members: Mapping[str, Member]
    default_schema: str = ""

    @property
    def content(self) -> str:
        """The digest of its versions: see `procver.recorded.digest`."""
        return digest((m.label, m.number, m.fingerprint) for m in self.members.values())

    def mapped(self) -> list[Mapped]:
        """Return what a mapping file says of it."""
        return [
            Mapped(m.label, m.kind, m.number, m.quoted, m.fingerprint)
            for m in self.members.values()
        ]


class Contents(NamedTuple):
    """The sources as versioning sees them: analyses, labels and, for messages, file paths."""

    analyses: Mapping[Name, Analysis]
    labels: Mapping[Name, str]
    paths: Mapping[Name, str]


def number(contents: Contents, lock: Lock) -> tuple[dict[Name, str], Lock, tuple[Entry, ...]]:
    """Fingerprint all objects and number what ``lock`` does not know.

    Returns:
        the fingerprints, the lock with all of them, and the entries that had to be added.

    Raises:
        SourceError: a pin names a version that the lock does not hold.
    """
    pinned: dict[tuple[Name, int], str] = {}
    for name, analysis in contents.analyses.items():
        for pin in analysis.pins:
            label = contents.labels.get(pin[0])
            found = lock.fingerprint(label, pin[1]) if label else None
            if found is None:
                raise SourceError(
                    f"pin {label or '.'.join(pin[0])} = {pin[1]}: procver.lock holds no such version",
                    file=contents.paths[name],
                    hint=f"pin one of its numbers in procver.lock; the newest is {_newest(lock, label)}",
                )
            pinned[pin] = found
    prints = fingerprints(contents.analyses, contents.labels, pinned)
    wanted = ((contents.labels[n], contents.analyses[n].kind, prints[n]) for n in prints)
    extended, added = lock.extended(wanted)
    return prints, extended, added


def _newest(lock: Lock, label: str | None) -> str:
    entry = lock.latest(label) if label else None
    return str(entry.number) if entry else "none"


def build(
    contents: Contents,
    prints: Mapping[Name, str],
    lock: Lock,
    scanner: Scanner,
    suffix: str,
    default_schema: str,
) -> Contract:
    """Return the contract of the sources.

    Args:
        contents: the sources.
        prints: their fingerprints, from `number`.
        lock: a lock that holds all of these.
        scanner: of the project's dialect.
        suffix: the pattern of physical names.
        default_schema: the schema that a bare name means.

    Raises:
        SourceError: a name is too long once suffixed, or objects need each other to be created.
        ConflictError: two names would collide.
    """
    order: list[tuple[Name, bool]] = []
    edges = {name: analysis.references for name, analysis in contents.analyses.items()}
    for component in components(edges):
        if len(component) > 1:
            order += [(name, True) for name in _creatable(component, contents)]
        else:
            order.append((component[0], False))
    members: dict[str, Member] = {}
    physicals: dict[Name, str] = {}
    own: dict[Name, tuple[str, int]] = {}
    for name, label in contents.labels.items():
        found = lock.number(label, prints[name])
        assert found is not None  # it holds all prints
        own[name] = label, found
    for name, deferred in order:
        analysis, (label, version) = contents.analyses[name], own[name]
        leaf = physical_leaf(name.leaf, version, suffix)
        _check_name(name, leaf, label, contents, scanner)
        physical = Name(name.schema, leaf)
        if physical in physicals:
            raise ConflictError(
                f"{label} and {physicals[physical]} would both be published as {scanner.label(physical)}",
                hint="rename one of them, or choose a suffix in procver.toml that tells them apart",
            )
        physicals[physical] = label
        members[label] = Member(
            label, name, analysis.kind, version, prints[name], analysis.shape, physical,
            scanner.quote(physical), _requires(analysis, contents, lock, own),
            deferred or analysis.recursive,
        )  # fmt: skip
    return Contract(members, default_schema)


def _requires(
    analysis: Analysis, contents: Contents, lock: Lock, own: Mapping[Name, tuple[str, int]]
) -> tuple[tuple[str, int], ...]:
    if not analysis.pins and not analysis.fixed:
        return tuple([own[reference] for reference in analysis.references])
    pins = dict(analysis.pins)
    found: dict[tuple[str, int], None] = {}
    for reference in analysis.references:
        label, known = own[reference]
        found[label, pins.get(reference, known)] = None
    for name, fixed in analysis.fixed:
        label = contents.labels.get(name, "")
        if lock.fingerprint(label, fixed) is not None:
            found[label, fixed] = None
    return tuple(found)


def _check_name(name: Name, leaf: str, label: str, contents: Contents, scanner: Scanner) -> None:
    reason = scanner.too_long(leaf)
    if reason:
        raise SourceError(
            f"{label} would be published as {leaf}: {reason}",
            file=contents.paths[name],
            hint="give it a shorter name: versions whose names are cut off would collide",
        )


def _creatable(cycle: tuple[Name, ...], contents: Contents) -> list[Name]:
    """Return the members of a cycle in an order in which they can be created.

    A routine whose body looks names up when it runs comes before what it reads, so only a cycle of
    references that are looked up at creation is refused.
    """
    members = set(cycle)
    edges = {
        name: [other for other in contents.analyses[name].needed if other in members]
        for name in cycle
    }
    order: list[Name] = []
    for component in components(edges):
        if len(component) > 1:
            views = [name for name in component if contents.analyses[name].kind.is_relation]
            chain = _chain((views or component)[0], component, edges)
            shown = " -> ".join(contents.labels[link] for link in chain)
            raise SourceError(
                f"{contents.labels[chain[0]]} is part of a reference cycle that cannot be created:"
                f" {shown}",
                file=contents.paths[chain[0]],
                hint="break the cycle: each of these can only be created after the next one",
            )
        order += component
    return order


def _chain(
    start: Name, component: tuple[Name, ...], edges: Mapping[Name, Sequence[Name]]
) -> list[Name]:
    """Return names of a component that refer to each other in turn, the first one also last."""
    members, chain = set(component), [start]
    while True:
        following = next(name for name in edges[chain[-1]] if name in members)
        if following in chain:
            return [*chain[chain.index(following) :], following]
        chain.append(following)
