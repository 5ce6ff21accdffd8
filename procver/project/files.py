"""Writing a file so that a crash, a full disk or Ctrl-C leaves the old one or the new one."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from procver.errors import UsageError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path`` whole, or not at all.

    A new file beside it is written, synced and renamed over it; the mode of an existing file is
    kept, and a symbolic link stays one. Text is written as UTF-8, ends of line as they are.

    Raises:
        UsageError: the directory is missing or may not be written, or the disk is full; whatever
            was at ``path`` is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            _write(temporary, data, target)
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_directory(target.parent)
    except OSError as error:
        exists = target.exists()
        state = "the file there is unchanged" if exists else "nothing was written"
        raise UsageError(
            f"cannot write {path}: {error.strerror or error}; {state}", hint=_hint(error, target)
        ) from error


def _write(temporary: Path, data: bytes, target: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # 0o666 here, not tempfile's 0o600, so that a new file gets what the umask allows.
    with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    """Make the rename itself durable, where the system knows such a thing."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _hint(error: OSError, target: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return f"create the directory {target.parent}, then run the same command again"
    if isinstance(error, PermissionError):
        return f"make {target.parent} writable for this user, then run the same command again"
    if isinstance(error, IsADirectoryError):
        return f"{target} is a directory: remove it, or name another file"
    return "make room or lift the limit, then run the same command again"
