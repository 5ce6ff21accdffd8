"""What T-SQL refers to, as Microsoft's own tools resolve it: an oracle for what the scanner rewrites.

``binder.csproj`` makes a program of Microsoft's DacFx, which reads the definitions of a whole database and resolves their names
offline, down to columns. Each managed object is given to it twice, as its source says and as a version, beside the tables that
they use. A version must then refer to just what its source refers to, with every managed object as a version.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from procver.objects import DEFINITION, Name, Statement
from procver.project.workspace import Project

COMMAND = "PROCVER_TEST_BINDER"
NUMBER = 9
"""The version that every object is given."""

_PART = re.compile(r"\[((?:[^\]]|\]\])*)\]")


class Bound(NamedTuple):
    """What a database's objects refer to, by their names, and which texts were refused, by their files.

    A name is (kind, parts...), in lower case; the kind of one that cannot be resolved is ``?``.
    """

    references: Mapping[tuple[str, ...], set[tuple[str, ...]]]
    refused: Mapping[str, str]


def command() -> list[str]:
    """Return the oracle's command, or skip the test with the reason."""
    found = os.environ.get(COMMAND)
    if not found:
        pytest.skip(f"{COMMAND} names no command: CONTRIBUTING.md tells how to make one")
    return shlex.split(found)


def bind(texts: Mapping[str, str], place: Path) -> Bound:
    """Resolve the names in statements, given by the file that each is written to."""
    program = command()
    place.mkdir()
    for file, text in texts.items():
        (place / file).write_text(text, "utf-8")
    done = subprocess.run(
        [*program, str(place)], capture_output=True, text=True, check=True, timeout=600
    )
    references: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    refused = {}
    for line in done.stdout.splitlines():
        what, one, other = line.split("\t")
        if what == "refers":
            references.setdefault(_name(one), set()).add(_name(other))
        elif what == "refused":
            refused[one] = other
    return Bound(references, refused)


def _name(called: str) -> tuple[str, ...]:
    kind, _, parts = called.partition(" ")
    return (kind, *(part.replace("]]", "]").lower() for part in _PART.findall(parts)))


class Twice:
    """A project's objects, each as its source says and as a version.

    Args:
        root: the project.
        others: statements that make the tables and types that it uses.

    Attributes:
        texts: the statements to be bound, by file.
        versions: which of these files is the version of an object.
        refused: the texts that the oracle could not read, by file, once it was asked.
    """

    def __init__(self, root: Path, others: Iterable[str] = ()) -> None:
        project = Project.at(root)
        self.sources = project.sources
        numbers = dict.fromkeys(self.sources.by_name, NUMBER)
        logical = {name: name.leaf for name in self.sources.by_name}
        self.texts = {f"0{i:05}.sql": text for i, text in enumerate(others)}
        self.versions: dict[Name, str] = {}
        self.refused: Mapping[str, str] = {}
        for i, name in enumerate(self.sources.by_name):
            text, spans = self.sources.text(name)
            schema = project.config.default_schema
            asked = (text, schema, self.sources.managed, logical, spans)
            self.texts[f"1{i:05}.sql"] = _definition(project.scanner.rewrite(*asked))
            file = self.versions[name] = f"2{i:05}.sql"
            self.texts[file] = _definition(self.sources.statements(name, numbers))
        suffix = self.sources.managed.suffix.replace("{version}", str(NUMBER))
        self.suffix = suffix.lower()
        self.managed = {(name.schema.lower(), name.leaf.lower()) for name in self.sources.by_name}

    def problems(self, place: Path, *, columns: bool = True) -> list[str]:
        """Return what the versions refer to that their sources do not, and the other way round.

        Without ``columns``, only which objects are referred to: of a column whose qualifier is both a CTE, even of an earlier
        statement, and a view of that name, the oracle takes either.
        """
        bound = bind(self.texts, place)
        self.refused = bound.refused
        if not columns:
            bound = bound._replace(
                references={
                    name: {each if each[0] == "?" else ("", *each[1:3]) for each in found}
                    for name, found in bound.references.items()
                }
            )
        seen = {name[1:]: name for name in bound.references}
        return [
            problem
            for name, file in self.versions.items()
            for problem in self._compared(name, file, bound, seen)
        ]

    def _compared(
        self, name: Name, file: str, bound: Bound, seen: Mapping[tuple[str, ...], tuple[str, ...]]
    ) -> Iterator[str]:
        source = (name.schema.lower(), name.leaf.lower())
        version = (source[0], source[1] + self.suffix)
        before, after = (
            bound.references.get(seen.get(each, ()), set()) for each in (source, version)
        )
        if file in bound.refused and f"1{file[1:]}" not in bound.refused:
            yield f"{name} is refused as a version: {bound.refused[file]}"
        meant = {self._unversioned(reference) for reference in after}
        for reference in sorted(before - meant):
            yield f"{name} as a version does not refer to {' '.join(reference)}"
        for reference in sorted(meant - before):
            yield f"{name} as a version refers to {' '.join(reference)}"
        for reference in sorted(after):
            if reference[0] != "?" and reference[1:3] in self.managed:
                yield f"{name} as a version still refers to {' '.join(reference)}"

    def _unversioned(self, reference: tuple[str, ...]) -> tuple[str, ...]:
        if len(reference) > 2 and reference[2].endswith(self.suffix):
            leaf = reference[2].removesuffix(self.suffix)
            if (reference[1], leaf) in self.managed:
                return (*reference[:2], leaf, *reference[3:])
        return reference


def _definition(statements: Iterable[Statement]) -> str:
    return next(each.text for each in statements if each.role == DEFINITION)
