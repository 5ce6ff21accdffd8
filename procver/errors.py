"""The one error tree of procver.

::

    ProcverError                 code           exit
    ├── UsageError               usage             2   wrong call, unknown option or name
    │   ├── ConfigError          config            2   procver.toml cannot be used
    │   ├── SourceError          source            2   a source file cannot be published
    │   └── LockError            lock              2   procver.lock cannot be read
    ├── FindingsError            findings          1   something to look at: drift, `--check`
    ├── DatabaseError            database          3   refused, or could not be reached
    │   └── StalePlanError       stale-plan        3   somebody else changed the registry meanwhile
    └── ConflictError            conflict          4   number, name or release already taken
        └── StaleLockError       stale-lock        4   procver.lock lacks what the sources need
    UnknownNameError (a KeyError too)  unknown-name    2   the resolver has no such name

Each says what was being done, to which object, why it failed, and (``hint``) what to do next.
Standard library only: the app imports this module through the resolver.
"""

from __future__ import annotations


class ProcverError(Exception):
    """Base of all errors that procver raises on purpose.

    Args:
        message: what failed and why, in one sentence.
        hint: what to do next, in one sentence.

    Attributes:
        others: more of the same, where this error stands for several; its message names some of them.
    """

    code = "error"
    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.others: tuple[ProcverError, ...] = ()

    def __str__(self) -> str:
        return self.message


class UsageError(ProcverError):
    """The command or call cannot be understood as given."""

    code = "usage"


class ConfigError(UsageError):
    """``procver.toml`` is missing, malformed or contradicts itself."""

    code = "config"


class SourceError(UsageError):
    """A source file cannot be published as it stands.

    Args:
        message: what is wrong.
        file: path of the source, as the user knows it; added by the project floor when None.
        line: line in the file, from 1.
        hint: what to write instead.
    """

    code = "source"

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line

    def __str__(self) -> str:
        if self.file is None:
            return self.message if self.line is None else f"line {self.line}: {self.message}"
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


class LockError(UsageError):
    """``procver.lock`` cannot be read: conflict markers, or a line edited by hand."""

    code = "lock"


class FindingsError(ProcverError):
    """The command did its work and found something that needs a person."""

    code = "findings"
    exit_code = 1


class DatabaseError(ProcverError):
    """The database refused a statement, or could not be reached.

    Args:
        message: the server's message, with the object it concerns; never a password.
        hint: what to do next.
        sqlstate: the server's error code, where it sent one.
    """

    code = "database"
    exit_code = 3

    def __init__(
        self, message: str, *, hint: str | None = None, sqlstate: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class StalePlanError(DatabaseError):
    """The registry changed between reading it and writing to it; read again and plan anew."""

    code = "stale-plan"


class ConflictError(ProcverError):
    """A number, a physical name or a release is already taken by other content."""

    code = "conflict"
    exit_code = 4


class StaleLockError(ConflictError):
    """``procver.lock`` lacks versions that the sources need."""

    code = "stale-lock"


class UnknownNameError(ProcverError, KeyError):
    """The mapping holds no such logical name.

    Args:
        name: the name that was asked for.
        near: the nearest names that the mapping holds.
    """

    code = "unknown-name"

    def __init__(self, name: str, near: list[str]) -> None:
        message = f"no object {name!r} in this mapping"
        hint = "did you mean " + " or ".join(near) + "?" if near else None
        super().__init__(f"{message}; {hint}" if hint else message, hint=hint)
        self.name = name
        self.near = near
