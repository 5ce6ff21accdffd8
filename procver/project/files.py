"""Reading regular files, and writing files whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from procver.errors import UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

PRIVATE = ".procver"
"""The project's directory for what is not committed; it holds a ``.gitignore`` of its own."""

LARGEST = 256 << 20
"""Bytes of the largest file that is read."""

_BLOCK = 65536
_SORTS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}
_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a regular file; without a file object, in half the time of `open`.

    Raises:
        OSError: it cannot be read, is a device, a pipe or the like, or is larger than `LARGEST`.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:  # a NUL in the path
        raise OSError(errno.EINVAL, str(error)) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, _not_regular(status.st_mode))
        if status.st_size > LARGEST:
            raise OSError(errno.EFBIG, f"larger than {LARGEST >> 20} MB")
        whole = os.read(descriptor, status.st_size + 1)
        if len(whole) == status.st_size:
            return whole
        blocks = [whole]  # it is being written
        while data := os.read(descriptor, _BLOCK):
            blocks.append(data)
        return b"".join(blocks)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: str | bytes, *, within: Path | None = None) -> None:
    """Write ``content`` to ``path`` whole, or not at all.

    A new file is written, synced and renamed over it; the mode of an existing file is kept, and a
    symbolic link stays one. What a killed write left behind is removed by the next one. A device
    or a pipe is written to as it is. Text is written as UTF-8, ends of line as they are.

    Args:
        path: where to.
        content: what.
        within: the project's directory, for a file that the project names itself: neither a device
            nor a link that leads out of the project is then written to.

    Raises:
        UsageError: the directory is missing or may not be written, the disk is full, or ``path`` is
            nothing to write to; whatever was at ``path`` is untouched.
    """
    try:
        data = content.encode() if isinstance(content, str) else content
    except UnicodeEncodeError:
        raise UsageError(
            f"cannot write {path}: a name in it is not text; nothing was written",
            hint="give it a name of characters that UTF-8 can hold",
        ) from None
    try:
        target = check_target(path, within=within)
        if target is None:
            _write_through(path, data)
        else:
            _replace(target, data, _place(target, within))
    except OSError as error:
        exists = os.path.lexists(path)
        state = "the file there is unchanged" if exists else "nothing was written"
        raise UsageError(
            f"cannot write {path}: {error.strerror or error}; {state}",
            hint=_hint(error, Path(os.path.realpath(path))),
        ) from error


def check_target(path: Path, *, within: Path | None = None) -> Path | None:
    """Return the file that a write to ``path`` would replace; None for a device, pipe or stream.

    Args:
        path: where to.
        within: as for `write_atomic`.

    Raises:
        UsageError: ``path`` is nothing to write to.
        OSError: it cannot be looked at.
    """
    if "\0" in str(path):
        raise UsageError("a file name holds a NUL character", hint="name another file")
    if within is None and _descriptor(path) is not None:
        return None
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if within is None and (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        return None
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"cannot write {path}: it is {_not_regular(mode)}",
            hint="name a regular file, or remove what is there",
        )
    target = os.path.realpath(path)
    if within is not None:
        root, written = os.path.abspath(within), os.path.abspath(path)  # noqa: PTH100 - no links
        inside = Path(written).is_relative_to(root)
        if not Path(target).is_relative_to(os.path.realpath(root)) if inside else path.is_symlink():
            raise UsageError(
                f"cannot write {path}: it is or goes through a link that leads out of the project",
                hint=f"remove the link, or name {target} itself",
            )
    return Path(target)


def _not_regular(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return os.strerror(errno.EISDIR)
    return f"{_SORTS.get(stat.S_IFMT(mode), 'something else')}, not a regular file"


def _descriptor(path: Path) -> int | None:
    """Return the open file of this process that ``path`` names, such as ``/dev/stdout``."""
    if str(path.parent) in ("/dev/fd", "/proc/self/fd") and path.name.isdecimal():
        return int(path.name[:9])
    return _STREAMS.get(str(path))


def is_stdout(path: Path | str) -> bool:
    """Return whether ``path`` is ``-`` or a name of this process's stdout."""
    return str(path) == "-" or _descriptor(Path(path)) == 1


def _write_through(path: Path, data: bytes) -> None:
    descriptor = _descriptor(path)
    if descriptor is None:
        descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    else:
        descriptor = os.dup(descriptor)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) or 0 :]


def _place(target: Path, within: Path | None) -> Path:
    """Return the directory for the temporary file: the private one, which git ignores, if it will do."""
    if within is not None:
        private = within / PRIVATE
        with suppress(OSError):
            status = private.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_dev == target.parent.stat().st_dev:
                return private
    return target.parent


def _replace(target: Path, data: bytes, place: Path) -> None:
    start = f".{target.name[:40]}."
    for directory in {place, target.parent}:
        _sweep(directory, start)
    descriptor, temporary = _create(place, start)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:  # while it is locked no other write takes it for left behind
                temporary.replace(target)
        if fcntl is None:
            temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_directory(target.parent)


def _create(place: Path, start: str) -> tuple[int, Path]:
    """Create and lock a temporary file; return its descriptor and path."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = place / f"{start}{secrets.token_hex(6)}.tmp"
        # 0o666 here, not tempfile's 0o600, so that a new file gets what the umask allows.
        descriptor = os.open(temporary, flags, 0o666)
        if fcntl is None:
            return descriptor, temporary
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # another write took it for left behind before it was locked


def _sweep(directory: Path, start: str) -> None:
    """Remove the temporary files of writes that were killed: nobody holds their lock any more."""
    pattern = re.compile(re.escape(start) + r"[0-9a-f]{12}\.tmp")
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    _remove_unlocked(entry.path)


def _remove_unlocked(path: str) -> None:
    if fcntl is None:
        Path(path).unlink()
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        Path(path).unlink()
    finally:
        os.close(descriptor)


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
    if error.errno in (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EINVAL, errno.EBADF):
        return "name another file"
    return "make room or lift the limit, then run the same command again"
