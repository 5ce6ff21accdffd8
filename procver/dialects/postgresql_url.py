"""Errors of a PostgreSQL URL and of a login with it: what may be printed of them, and advice.

libpq quotes the URL where it cannot read it, and takes the rest of a password that holds an unescaped ``@``
or ``/`` for a host, port or database. So its message is shown only where nothing in it can be of a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from procver.errors import DatabaseError

LOGIN_HINTS = {
    "28P01": "check user and password of the target",
    "28000": "check user and password of the target, and pg_hba.conf on the server",
    "3D000": "create the database first, or correct its name in the target",
}
"""Advice by SQLSTATE."""

ESCAPE = (
    "write postgresql://user:password@host:5432/database; escape @ : / in a password as %40 %3A %2F"
)

_UNREADABLE = (
    "invalid percent-encoded token", "forbidden value %00", "unexpected character",
    "missing key/value separator", "extra key/value separator", "invalid URI query parameter",
    "end of string reached", "IPv6 host address may not be empty", "bad value for connect_timeout",
)  # fmt: skip
"""Words of libpq about a URL; the rest of each message quotes the URL."""

_CLEAR = re.compile(r"[^:]*://(?:[^@/]*@)?[^@/?]*(?:/[^@?]*)?(?:\?[^@]*)?")
"""A URL with each of @, / and ? only where they end a part."""


def why_unreadable(message: str) -> str:
    """Return what libpq says of a URL that it cannot read, without any of the URL."""
    found = next((words for words in _UNREADABLE if words in message), None)
    return "it does not have the form of one" if found is None else found


def unreached(
    message: str, url: str, parts: Mapping[str, Any], sqlstate: str | None
) -> DatabaseError:
    """Return the error of a login that failed, with nothing in it that may be of the password.

    Args:
        message: of libpq.
        url: the target.
        parts: what libpq read in it.
        sqlstate: the server's error code, where it sent one.
    """
    if not _CLEAR.fullmatch(url):
        return DatabaseError(
            "the target cannot be reached, and an @, / or ? in its URL may be of the password",
            hint=ESCAPE,
            sqlstate=sqlstate,
        )
    message = " ".join(message.split())
    hint = _login_hint(message)
    if not re.fullmatch("[0-9,]*", str(parts.get("port", ""))):
        message = "the port in its URL is not a number"
    return DatabaseError(
        f"the target cannot be reached{_whom(parts)}: {message}", hint=hint, sqlstate=sqlstate
    )


def _whom(parts: Mapping[str, Any]) -> str:
    words = (("database", "dbname"), ("user", "user"))
    about = [f"{word} {parts[key]}" for word, key in words if parts.get(key)]
    return f" ({', '.join(about)})" if about else ""


def _login_hint(message: str) -> str:
    if "password authentication failed" in message or "no password supplied" in message:
        return LOGIN_HINTS["28P01"]
    if re.search(r'role ".*" does not exist', message):
        return "create the role first, or correct the user in the target"
    if "does not exist" in message:
        return LOGIN_HINTS["3D000"]
    if "pg_hba.conf" in message:
        return LOGIN_HINTS["28000"]
    if "too many c" in message or "connection slots" in message:
        return "wait, or close other connections, then run the same command again"
    return "check that the server runs and that the target names its host, port and database"
