"""``procver.toml``: found, read and checked."""

from __future__ import annotations

import codecs
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from procver.errors import ConfigError
from procver.project.files import read_bytes
from procver.project.placeholders import is_placeholder
from procver.project.tables import Table

FILE = "procver.toml"

_DIALECTS = {"postgresql": "public", "mssql": "dbo"}
"""Each dialect with the schema a bare name means unless the project says otherwise."""

_PRIVILEGES = {
    "postgresql": (
        "execute", "select", "insert", "update", "delete", "truncate", "references", "trigger",
        "maintain",
    ),
    "mssql": (
        "execute", "select", "insert", "update", "delete", "references", "alter", "control",
        "take ownership", "view definition", "view change tracking",
    ),
}  # fmt: skip

_SUFFIX = re.compile(r"[A-Za-z0-9_$]*[A-Za-z_$]\{version\}(?:[A-Za-z_$][A-Za-z0-9_$]*)?")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DURATION = re.compile(r"([0-9]{1,9}) ?([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = timedelta(days=36525)
_DEEPEST = 50
_NO_ENCODINGS = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"}
"""Encodings whose text may hold what is not a character, or that are for domain names only."""


_NEVER_ON = {
    "postgresql": {
        "function": set(_PRIVILEGES["postgresql"]) - {"execute"},
        "procedure": set(_PRIVILEGES["postgresql"]) - {"execute"},
        "view": {"execute"},
        "materialized_view": {"execute"},
    },
    "mssql": {
        "function": set(),  # a scalar one is executed, one of tables selected from: the registry tells them apart
        "procedure": {"select", "insert", "update", "delete", "references", "view change tracking"},
        "view": {"execute"},
        "table_type": {"select", "insert", "update", "delete", "alter", "view change tracking"},
    },
}
"""Privileges that cannot be granted on a kind of object, though ``[grants]`` may give them by a wide pattern."""


class GrantRule(NamedTuple):
    """A line of ``[grants]``, from 1: objects by pattern, roles by privilege (in lower case)."""

    pattern: str
    privileges: Mapping[str, tuple[str, ...]]
    line: int = 1


@dataclass(frozen=True, slots=True)
class GcConfig:
    """``[gc]``: what keeps a version that no live release needs.

    Attributes:
        keep_releases: how many of the last retired releases stay roots.
        grace: how long a version stays condemned before it is dropped.
        idle: an instance unseen for this long is not live.
        quarantine: how long a version can be used by nobody but its owner before it is dropped; None: no quarantine.
        unactivated: a release never activated is no root once it is this old; None: for ever.
        pins: physical names that are never collected.
        unknown: ``keep`` or ``drop`` a version of which the server does not let us know what depends on it.
    """

    keep_releases: int = 2
    grace: timedelta = timedelta(days=7)
    idle: timedelta = timedelta(days=14)
    quarantine: timedelta | None = None
    unactivated: timedelta | None = None
    pins: tuple[str, ...] = ()
    unknown: str = "keep"


@dataclass(frozen=True, slots=True)
class Config:
    """A project. Paths are relative to ``root``, with ``/``; durations are `timedelta`.

    Attributes:
        root: the directory of ``procver.toml``, absolute.
        name: the project's name: several projects may share a database.
        dialect: ``postgresql`` or ``mssql``.
        sources: directories that hold the sources.
        exclude: patterns of files and directories in them that are none; ``*`` matches ``/`` as well.
        default_schema: the schema that a bare name means.
        search_path: schemas in which a bare reference is looked up, first match wins.
        suffix: the pattern that makes a physical name of a logical one.
        exclude_line: the line of procver.toml that names them.
        outside: objects that the project had, and that others own now: references to them are none of its business.
        databases: what the sources call their own database, in names such as ``Shop.dbo.v``.
        placeholders: what stands in sources for other text, ``$(Schema)`` of sqlcmd for instance, with that text.
        map: where publish writes the mapping.
        encoding: of source files without a byte order mark.
        main: the main branch, which keeps its numbers; for ``main`` the remote's HEAD comes first.
        variables: what templates see.
        targets: database URLs by name, variables not yet expanded; kept out of ``repr``.
        trials: the targets marked ``trials = true``, each with its line.
        grants: in file order.
        gc: see `GcConfig`.
    """

    root: Path
    name: str
    dialect: str
    sources: tuple[str, ...]
    default_schema: str
    search_path: tuple[str, ...]
    suffix: str = "_{version}"
    exclude: tuple[str, ...] = ()
    exclude_line: int = 1
    outside: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    placeholders: Mapping[str, str] = field(default_factory=dict)
    map: str = "procver.map.json"
    encoding: str = "utf-8"
    main: str = "main"
    variables: Mapping[str, object] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict, repr=False)
    trials: Mapping[str, int] = field(default_factory=dict)
    grants: tuple[GrantRule, ...] = ()
    gc: GcConfig = GcConfig()

    def matches(self, rule: GrantRule, label: str) -> bool:
        """Return whether a line of ``[grants]`` is for the object ``label``."""
        if self.dialect == "mssql":  # where case does not count
            return fnmatchcase(label.lower(), rule.pattern.lower())
        return fnmatchcase(label, rule.pattern)

    def grantable(self, privilege: str, kind: str) -> bool:
        """Return whether a privilege of ``[grants]`` can be given on an object of this kind."""
        return privilege.lower() not in _NEVER_ON[self.dialect].get(kind, ())


def is_project_name(name: str) -> bool:
    """Return whether a project may be called so: at most 100 printable characters, no blanks around."""
    return len(name) <= 100 and name.isprintable() and name == name.strip()


def find(start: Path) -> Path:
    """Return the path of the ``procver.toml`` in ``start`` or the nearest directory above.

    Raises:
        ConfigError: there is none.
    """
    start = start.absolute()
    for directory in (start, *start.parents):
        # Whatever it is: a project above must not be taken for one that cannot be read.
        if os.path.lexists(directory / FILE):
            return directory / FILE
    raise ConfigError(
        f"no {FILE} in {start} or above",
        hint="start a project here with: procver init; or name one with --project DIRECTORY",
    )


def load(path: Path) -> Config:
    """Return the project that ``path``, a ``procver.toml``, describes.

    Raises:
        ConfigError: the file is missing, is no TOML, or says something unknown or contradictory;
            the message names file, line and key.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"no file {path}", hint="start a project with: procver init") from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="make it a file that this user may read"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8 (byte {error.start})", hint="save the file as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}", hint="correct the TOML at that place") from error
    except RecursionError:
        raise ConfigError(
            f"{path}: arrays or tables are nested too deeply", hint="use fewer levels"
        ) from None
    except ValueError:  # int() reads only so many digits
        raise ConfigError(
            f"{path}: a number has too many digits", hint="numbers must fit into 64 bits"
        ) from None
    _limit(document, path)
    top = Table(document, path, text, "")
    config = _read(top, path)
    top.end()
    return config


def _limit(document: dict[str, object], path: Path) -> None:
    """Refuse what no key can mean and what later readers could not go through."""
    pending: list[tuple[object, int]] = [(document, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, (dict, list)):
            if depth > _DEEPEST:
                raise ConfigError(
                    f"{path}: arrays or tables are nested more than {_DEEPEST} deep",
                    hint="use fewer levels",
                )
            inner = value.values() if isinstance(value, dict) else value
            pending += [(each, depth + 1) for each in inner]
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ConfigError(
                f"{path}: a number does not fit into 64 bits", hint="write it as a string"
            )


def _read(top: Table, path: Path) -> Config:
    project = top.table("project", required=True)
    name = project.string("name", required=True)
    if not is_project_name(name):
        raise project.error("name", "must be at most 100 printable characters, no blanks around")
    dialect = project.choice("dialect", tuple(_DIALECTS))
    default_schema = project.string("default_schema", _DIALECTS[dialect])
    fallback = (default_schema, _DIALECTS[dialect])
    search_path = project.strings("search_path", tuple(dict.fromkeys(fallback)))
    suffix = project.string("suffix", "_{version}")
    if not _SUFFIX.fullmatch(suffix):
        raise project.error(
            "suffix",
            f"{suffix!r} does not tell versions apart: it must hold {{version}} once, with a"
            " letter or _ before it and no digit after it",
            hint='write suffix = "_{version}", or "_v{version}"',
        )
    encoding = project.string("encoding", "utf-8")
    try:
        usable = codecs.lookup(encoding).name not in _NO_ENCODINGS
        "".encode(encoding)
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise project.error(
            "encoding", f"{encoding!r} is unknown", hint='write "utf-8", "cp1252" or the like'
        )
    targets, trials = _targets(top.table("targets"))
    config = Config(
        root=path.absolute().parent,
        name=name,
        dialect=dialect,
        sources=_sources(project),
        default_schema=default_schema,
        search_path=search_path,
        suffix=suffix,
        exclude=project.strings("exclude", ()),
        exclude_line=project.line("exclude") or 1,
        outside=project.strings("outside", ()),
        databases=project.strings("databases", ()),
        map=project.string("map", "procver.map.json"),
        encoding=encoding,
        main=project.string("main", "main"),
        placeholders=_placeholders(top.table("placeholders")),
        variables=_variables(top.table("variables")),
        targets=targets,
        trials=trials,
        grants=_grants(top.table("grants"), dialect),
        gc=_gc(top.table("gc")),
    )
    project.end()
    return config


def _sources(project: Table) -> tuple[str, ...]:
    sources = project.strings("sources", ("sql",))
    if not sources:
        raise project.error("sources", "is empty", hint='write sources = ["sql"]')
    for source in sources:
        if Path(source).is_absolute():
            raise project.error("sources", f"{source!r} must be relative to {FILE}")
    return sources


def _targets(table: Table) -> tuple[Mapping[str, str], Mapping[str, int]]:
    """Return the URL of each target, and the line of each that is for trials."""
    urls: dict[str, str] = {}
    trials: dict[str, int] = {}
    for name in table:
        if not table.is_table(name):
            urls[name] = table.string(name, lines=True)
            continue
        target = table.table(name)
        urls[name] = target.string("url", required=True, lines=True)
        if target.flag("trials"):
            trials[name] = table.line(name) or 1
        target.end()
    return MappingProxyType(urls), MappingProxyType(trials)


def _placeholders(table: Table) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for key, value in table.all().items():
        if not is_placeholder(key):
            raise table.error(
                key,
                "could be a part of other words: it must begin and end with a sign and hold no blanks",
                hint='write "$(Schema)", "${schema}", "@schema@" or the like',
            )
        if not isinstance(value, str) or not (value.isprintable() or not value):
            raise table.error(
                key, f"stands for {value!r}, which is no string of one printable line"
            )
        if key.lower() in {other.lower() for other in values}:
            raise table.error(key, "is there already: case does not count", hint="keep one of them")
        values[key] = value
    return MappingProxyType(values)


def _variables(table: Table) -> Mapping[str, object]:
    for key in table:
        if not key.isidentifier() or key == "ref":
            raise table.error(key, "is no name that a template can use")
    return MappingProxyType(table.all())


def _grants(table: Table, dialect: str) -> tuple[GrantRule, ...]:
    rules = []
    for pattern in table:
        rule = table.table(pattern)
        privileges = {key.lower(): rule.strings(key, ()) for key in rule}
        rule.end(allowed=_PRIVILEGES[dialect], word="privilege")
        rules.append(GrantRule(pattern, MappingProxyType(privileges), table.line(pattern) or 1))
    return tuple(rules)


def _gc(table: Table) -> GcConfig:
    def age(key: str) -> timedelta | None:
        text = table.string(key, "")
        try:
            return duration(text) if key in table else None
        except ConfigError as error:
            raise table.error(key, error.message, hint=error.hint) from None

    plain = GcConfig()
    grace, idle = age("grace"), age("idle")
    gc = GcConfig(
        keep_releases=table.count("keep_releases", plain.keep_releases),
        grace=plain.grace if grace is None else grace,
        idle=plain.idle if idle is None else idle,
        quarantine=age("quarantine"),
        unactivated=age("unactivated"),
        pins=table.strings("pins", ()),
        unknown=table.choice("unknown", ("keep", "drop")) if "unknown" in table else plain.unknown,
    )
    table.end()
    return gc


def target_name(config: Config, target: str | None) -> str | None:
    """Return the name in ``[targets]`` that ``--target`` means; None where it means none of them."""
    names = config.targets
    if target is None:
        target = "local" if "local" in names or len(names) != 1 else next(iter(names))
    return target if target in names else None


def target_url(config: Config, target: str | None, environ: Mapping[str, str]) -> str:
    """Return the database URL that ``--target`` means.

    Args:
        config: the project; its ``[targets]`` may hold ``${VARIABLE}``.
        target: a name in ``[targets]``, or a URL; None: the only target, or the one named local.
        environ: the environment that variables are looked up in.

    Raises:
        ConfigError: no such target, several to choose from, or a variable is not set; neither
            URLs nor values are ever shown.
    """
    target = target_name(config, target) or target
    targets = config.targets
    known = "known targets: " + ", ".join(targets) if targets else f"add [targets] to {FILE}"
    if target is None:
        if not targets:
            raise ConfigError(
                f"no target: {FILE} has none", hint=f"name a URL with --target, or {known}"
            )
        raise ConfigError("several targets, none named local", hint=f"add --target; {known}")
    if target not in targets:
        if "://" in target or target.startswith("embedded:") or re.search(r"\w\s*=.*;", target):
            return target
        # Only a name is shown: anything else may hold a password.
        shown = f" {target!r}" if re.fullmatch(r"[\w-]+", target) else " as the one given"
        raise ConfigError(f"no target{shown} in {FILE}", hint=f"{known}; or give a URL")

    def value(match: re.Match[str]) -> str:
        if not match[1].isidentifier():  # it may be a part of a password
            raise ConfigError(
                f"target {target!r} has a ${{...}} that holds no name of a variable",
                hint="write ${NAME}; a target cannot hold ${ otherwise: escape it as %24%7B",
            )
        found = environ.get(match[1])
        if not found:
            state = "empty" if found == "" else "not set"
            raise ConfigError(
                f"target {target!r} needs the environment variable {match[1]!r}, which is {state}",
                hint=f"set it: export {match[1]}=...",
            )
        return found

    return _VARIABLE.sub(value, targets[target])


def duration(text: str) -> timedelta:
    """Return the time that ``text`` means: ``30s``, ``90m``, ``36h``, ``7d``, ``2w`` or ``0``.

    Raises:
        ConfigError: it is none of these, or more than a hundred years.
    """
    if text == "0":
        return timedelta(0)
    match = _DURATION.fullmatch(text)
    if match is not None:
        seconds = int(match[1]) * _SECONDS[match[2]]
        if seconds <= _LONGEST.total_seconds():
            return timedelta(seconds=seconds)
    why = "is longer than 100 years" if match else "is no duration"
    raise ConfigError(f"{text!r} {why}", hint='write "30s", "90m", "36h", "7d", "2w" or "0s"')
