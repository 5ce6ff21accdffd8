"""What a version is a version of: one hash per object, over its own text and what it refers to.

Every hash is SHA-256 over length-prefixed parts that start with a tag of its purpose, so no two
different inputs are ever joined into the same bytes. The literals in the tests pin the algorithm:
a change of it would give every object of every project a new version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

from procver.graph import components
from procver.objects import Analysis, Name

PREFIX = "v1:"
"""The algorithm's own version, first in every fingerprint."""

_OBJECT = b"procver object"
_COMPONENT = b"procver component"
_MEMBER = b"procver member"
_SEAL = b"procver seal"


def fingerprints(
    analyses: Mapping[Name, Analysis],
    labels: Mapping[Name, str],
    pinned: Mapping[tuple[Name, int], str],
) -> dict[Name, str]:
    """Return the fingerprint of every object.

    A reference counts by the fingerprint of what it refers to, so a change reaches all dependents
    and nothing else. Objects that refer to each other in a cycle share the hash of the whole cycle
    and so change together.

    Args:
        analyses: every managed object.
        labels: their canonical names.
        pinned: fingerprint of each version that some analysis pins, by name and number.

    Returns:
        ``v1:`` and 64 hexadecimal digits per name, in the order of ``analyses``.
    """
    edges = {
        name: _followed(analysis) if analysis.pins else analysis.references
        for name, analysis in analyses.items()
    }
    known: dict[Name, str] = {}
    for members in components(edges):
        if len(members) == 1:
            (name,) = members
            parts = _parts(analyses[name], labels, known, pinned, ())
            known[name] = PREFIX + _digest(_OBJECT, parts)
            continue
        cycle = set(members)
        bases = {
            name: _digest(_OBJECT, _parts(analyses[name], labels, known, pinned, cycle))
            for name in members
        }
        pairs = sorted((labels[name], base) for name, base in bases.items())
        whole = _digest(_COMPONENT, [part.encode() for pair in pairs for part in pair])
        for name, base in bases.items():
            known[name] = PREFIX + _digest(_MEMBER, (base.encode(), whole.encode()))
    return {name: known[name] for name in analyses}


def _followed(analysis: Analysis) -> tuple[Name, ...]:
    held = {name for name, _ in analysis.pins}
    return tuple(name for name in analysis.references if name not in held)


def _parts(
    analysis: Analysis,
    labels: Mapping[Name, str],
    known: Mapping[Name, str],
    pinned: Mapping[tuple[Name, int], str],
    cycle: Iterable[Name],
) -> list[bytes]:
    parts = [
        labels[analysis.name].encode(),
        analysis.kind.encode(),
        b"%d" % analysis.revision,
        analysis.shape.encode(),
    ]
    pins = dict(analysis.pins) if analysis.pins else None
    for name in analysis.references:
        # The first byte tells a fingerprint from a name that cannot have one yet.
        if pins and name in pins:
            parts.append(b"=" + pinned[name, pins[name]].encode())
        elif name in cycle:
            parts.append(b"@" + labels[name].encode())
        else:
            parts.append(b"=" + known[name].encode())
    return parts


def content(versions: Iterable[tuple[str, int, str]]) -> str:
    """Return the digest of a release: SHA-256, in hex, over label, number and fingerprint of each version."""
    lines = sorted(f"{label}\0{number}\0{print_}\n" for label, number, print_ in versions)
    return sha256("".join(lines).encode()).hexdigest()


def seal(fingerprint: str, definition: Iterable[tuple[str, str]]) -> str:
    """Return what binds a version's text to its fingerprint: a registry that was tampered with restores nothing.

    Args:
        fingerprint: of the version.
        definition: its statements as they are sent, each with its role.
    """
    parts = [
        part.encode("utf-8", "surrogatepass") for statement in definition for part in statement
    ]
    return _digest(_SEAL, [fingerprint.encode(), *parts])


def _digest(tag: bytes, parts: Iterable[bytes]) -> str:
    return sha256(b"".join([b"%d:%b" % (len(part), part) for part in (tag, *parts)])).hexdigest()
