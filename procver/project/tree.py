"""Which files below the source directories count."""

from __future__ import annotations

import os
import posixpath
import re
from fnmatch import translate
from typing import NamedTuple

from procver.errors import ConfigError, SourceError
from procver.project.config import Config
from procver.project.templates import LIBRARY
from procver.project.templates import SOURCE as TEMPLATE

_PLAIN = ".sql"


class File(NamedTuple):
    """A file: ``path`` relative to the project with ``/``, ``real`` to open it by."""

    path: str
    real: str


def walk(config: Config) -> list[File]:
    """Return every ``*.sql`` and ``*.sql.j2`` below the source directories, sorted by path.

    Hidden files and directories are skipped, and what ``exclude`` names; each directory is visited once, however many
    symbolic links lead to it.

    Raises:
        ConfigError: a source directory does not exist.
        SourceError: there is no source at all, a file's name is no text, or a template's ends in capitals.
    """
    files = [file for file in _all(config) if file.path.lower().endswith((_PLAIN, TEMPLATE))]
    if not files:
        where = ", ".join(f"{source}/" for source in config.sources)
        but = f" but what exclude names ({', '.join(config.exclude)})" if config.exclude else ""
        raise SourceError(
            f"no *.sql file in {where}{but}",
            hint="put one CREATE FUNCTION, PROCEDURE or VIEW in each file there; "
            "`procver init` writes an example",
        )
    for file in files:
        if not file.path.isprintable():
            raise SourceError(
                f"{file.path!a}: this file's name holds bytes or characters that no one can read",
                hint="rename it",
            )
        if file.path.lower().endswith(LIBRARY) and not file.path.endswith(TEMPLATE):
            raise SourceError(
                "the end of a template's name is in lower case",
                file=file.path,
                hint=f"rename it to *{TEMPLATE}",
            )
    return files


def libraries(config: Config) -> list[File]:
    """Return every ``*.j2`` below the source directories that is no source itself."""
    return [
        file
        for file in _all(config)
        if file.path.endswith(LIBRARY) and not file.path.endswith(TEMPLATE)
    ]


def idle_excludes(config: Config) -> list[str]:
    """Return the lines of ``exclude`` that match no file below the source directories."""
    if not config.exclude:
        return []
    files = _found(config)
    patterns = [(glob, re.compile(_pattern(glob)).match) for glob in config.exclude]
    return [glob for glob, match in patterns if not any(match(file.path) for file in files)]


def _all(config: Config) -> list[File]:
    found = _found(config)
    if config.exclude:
        excluded = re.compile("|".join(map(_pattern, config.exclude))).match
        found = [file for file in found if not excluded(file.path)]
    return sorted(found)


def _found(config: Config) -> list[File]:
    found: list[File] = []
    visited: set[tuple[int, int]] = set()
    for source in config.sources:
        real = os.path.normpath(os.path.join(config.root, source))  # noqa: PTH118 - strings here
        path = posixpath.normpath(source.replace(os.sep, "/"))
        if not os.path.isdir(real):  # noqa: PTH112 - strings here
            state = "is no directory" if os.path.lexists(real) else "does not exist"
            raise ConfigError(
                f"procver.toml: source directory {source!r} {state}",
                hint=f"create {source}/, or correct sources in [project]",
            )
        _visit("" if path == "." else f"{path}/", real, visited, found)
    return found


def _pattern(glob: str) -> str:
    """Return the regular expression of what a line of ``exclude`` names: files, or directories with all that is in them."""
    glob = posixpath.normpath(glob.replace("\\", "/"))
    return f"{translate(glob)}|{translate(glob + '/*')}"


def _visit(start: str, top: str, visited: set[tuple[int, int]], found: list[File]) -> None:
    pending = [(start, top)]
    while pending:
        prefix, real = pending.pop()
        try:
            status = os.stat(real)  # noqa: PTH116 - strings here
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(real) as listed:
                entries = sorted(listed, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            raise SourceError(
                f"cannot be listed: {error.strerror}",
                file=prefix,
                hint="make it a directory that this user may read",
            ) from error
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_directory(entry):
                pending.append((f"{prefix}{entry.name}/", entry.path))
            # Whatever else it is counts, a link that leads nowhere or a pipe too: a source must not
            # vanish without a word.
            elif entry.name.lower().endswith((_PLAIN, LIBRARY)):
                found.append(File(prefix + entry.name, entry.path))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
