"""Bytes of a source file to text: byte order mark or the configured encoding, nothing guessed."""

from __future__ import annotations

import codecs

from procver.errors import SourceError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes, encoding: str) -> str:
    """Return the text of ``data`` without its byte order mark, ends of line as they are.

    Args:
        data: the file's content.
        encoding: what it is in when it begins with no byte order mark.

    Raises:
        SourceError: it is not in that encoding; the byte offset is in the message, ``line`` is
            set, ``file`` is left to the caller.
    """
    for mark, marked in _MARKS:
        if data.startswith(mark):
            text = _decode(data, len(mark), marked, "its byte order mark says so")
            break
    else:
        text = _decode(data, 0, encoding, "the default" if encoding == "utf-8" else "procver.toml")
    at = text.find("\0")
    if at >= 0:
        raise SourceError(
            "holds a NUL byte: not text, or UTF-16 without a byte order mark",
            line=text.count("\n", 0, at) + 1,
            hint="save the file as UTF-8, or set encoding in procver.toml",
        )
    return text


def _decode(data: bytes, start: int, encoding: str, why: str) -> str:
    body = data[start:] if start else data
    if encoding.startswith("utf-16") and len(body) % 2:
        raise SourceError(
            f"is UTF-16 ({why}) but has an odd number of bytes, {len(data)}: it was cut off",
            hint="restore the file, or save it again, as UTF-8 if you can",
        )
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"is not {encoding.upper()} ({why}): byte {start + error.start} "
            f"is 0x{body[error.start]:02x}, {error.reason}",
            line=body[: error.start].decode(encoding, "replace").count("\n") + 1,
            hint="save the file as UTF-8, or set encoding in procver.toml (cp1252 for older "
            "Windows editors)",
        ) from error
