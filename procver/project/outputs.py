"""Files that commands write for others to use, none of which may take the place of the project's own."""

from __future__ import annotations

import os
from pathlib import Path

from procver.errors import ConfigError, UsageError
from procver.project.config import FILE, Config
from procver.project.files import PRIVATE, check_target, write_atomic
from procver.project.lockfile import FILE as LOCK
from procver.project.templates import LIBRARY

_PRIVATE = (PRIVATE, ".git")


def check_map(config: Config) -> None:
    """Refuse a ``map`` in procver.toml that cannot be written, before anything else is done.

    Raises:
        ConfigError: it is a file of the project's own, a device, or a link out of the project.
    """
    try:
        _refuse_own(config, config.root / config.map)
        check_target(config.root / config.map, within=config.root)
    except (UsageError, OSError) as error:
        why = error.message if isinstance(error, UsageError) else error.strerror or str(error)
        raise ConfigError(
            f"{FILE}: [project] map: {why}", hint='write map = "procver.map.json"'
        ) from None


def write_map(config: Config, text: str) -> None:
    """Write the mapping where procver.toml says.

    Raises:
        ConfigError: see `check_map`.
        UsageError: it cannot be written; the old file is untouched.
    """
    check_map(config)
    write_atomic(config.root / config.map, text, within=config.root)


def write_output(config: Config, path: Path, text: str) -> None:
    """Write a file that the user names: a device or a pipe as it is, anything else atomically.

    Raises:
        UsageError: it is a file of the project's own, or cannot be written.
    """
    _refuse_own(config, path)
    write_atomic(path, text)


def _refuse_own(config: Config, path: Path) -> None:
    sort = _own(config, path)
    if sort is not None:
        raise UsageError(f"cannot write {path}: it is {sort}", hint="name another file")


def _own(config: Config, path: Path) -> str | None:
    """Return what ``path`` is to the project, if it is one of its own files, however it is spelled."""
    if "\0" in str(path):
        return None  # refused by `check_target`
    for name in (FILE, LOCK):
        own = config.root / name
        if _real(path) == _real(own) or _same(path, own):
            return f"the project's {name}"
    for name in _PRIVATE:
        if _inside(path, config.root / name):
            return f"a file in {name}/, which others do not write to"
    if path.name.lower().endswith((".sql", LIBRARY)) or Path(_real(path)).name.lower().endswith(
        (".sql", LIBRARY)
    ):
        for source in config.sources:
            if _inside(path, config.root / source):
                return f"a source of the project, or would be one, in {source}/"
    return None


def _inside(path: Path, directory: Path) -> bool:
    real = Path(_real(path))
    if real.is_relative_to(_real(directory)):
        return True
    return any(_same(parent, directory) for parent in real.parents)  # case does not count there


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - of two paths
    except OSError:
        return False


def _real(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))
