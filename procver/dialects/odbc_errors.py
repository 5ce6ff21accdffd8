"""What a driver's error says: numbers and texts, and what each means for the one who reads it.

The numbers are those of Microsoft's manual, "Database Engine events and errors". Babelfish sends most of its errors under
one number, so it is read by its words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

STALE = 51001
"""Thrown by the registry: somebody else wrote to it."""

QUEUED = 51002
"""Thrown by the registry: another command holds the project."""

MISPLACED = 51003
"""Thrown by the registry: a version was created in another schema than it was meant for."""

_BUSY = {
    1222,
    1205,
    3960,
    3961,
    QUEUED,
}  # lock request time-out, deadlock victim, snapshot conflicts
_BUSY_WORDS = (
    "canceling statement due to lock timeout",
    "deadlock detected",
    "could not serialize access",
    "tuple concurrently updated",
)
_LOST = {64, 233, 596, 10053, 10054, 10060}
_LOST_STATES = {"08S01", "08003", "08007", "HYT00", "HYT01", "01002"}
_LOST_WORDS = ("terminating connection", "connection is closed", "communication link failure")
_PIECE = re.compile(
    r"\[(\w{5})\] ((?:\[[^\]]*\])*)(.*?) ?\((-?\d+)\)(?= \(SQL\w+\)|; \[|$)", re.DOTALL
)
_PLACE = re.compile(r" at line (\d+) and character position (\d+)")

_LOGIN = "check user and password of the target"
_DATABASE = "create the database first, or correct its name in the target"
_OPEN = (
    "create the database first, or correct its name in the target; where it is there, let the login be a user of it:"
    " CREATE USER ... FOR LOGIN ..."
)
_MOMENT = "the server is busy or wakes up: try again in a moment"
_DRIVER = (
    "leave the driver out of the target, and procver takes the best one installed; or install the one named:"
    ' pip install "procver[mssql]" brings Microsoft\'s'
)
_KERBEROS = "name user and password in the target, or get a Kerberos ticket first (kinit)"
_ROLES = "; `procver init --roles` writes a script with what each role needs"
_CREATE = (
    "let the login that publishes have CREATE on this database and ALTER on the schema: a member of db_ddladmin has both"
    + _ROLES
)
HINTS = {
    51006: "if somebody changed procver.version by hand, bring that row back from a backup of the database",
    51008: "drop that trigger, then run the same command again",
    51007: "make this login's user a member of that role: docs/roles.md",
    207: "correct the source, or let your migration tool add the column first",
    208: "create what it names first, with your migration tool",
    229: f"grant this login what the message names, or publish with one that has it{_ROLES}",
    262: _CREATE,
    297: "grant this login what the message names, or publish with one that has it",
    300: "grant this login what the message names, or publish with one that has it",
    2760: f"create the schema with your migration tool first; or {_CREATE}",
    15151: "grant this login what the message names (VIEW DEFINITION or CONTROL), or correct the name",
    15247: _CREATE,
    4613: "the login that publishes must own what it grants on, or have CONTROL on its schema",
    4602: "the login that publishes must own what it grants on, or have CONTROL on its schema",
    916: "let the login be a user of this database, or correct the database's name in the target",
    924: "the database is in single-user mode: wait until that session ends, then run the same command again",
    1802: "free space on the server, then run the same command again",
    1105: "free space on the server, then run the same command again",
    9002: "back up the transaction log or free space on the server, then run the same command again",
    3729: "drop or change what depends on it first",
    3732: "drop or change what depends on it first",
    3906: "publish to the primary: a read-only database cannot be written to",
    3908: "the database is being recovered: try again in a moment",
    978: "publish to the primary: this is a readable secondary",
    976: "publish to the primary: this replica cannot be read",
    942: "the database is offline: bring it online, then run the same command again",
    2714: "rename what has this name, or let this login see it (VIEW DEFINITION) if procver made it",
    4060: _OPEN,
    5064: "the database is in single-user mode: wait until that session ends, then run the same command again",
    40197: _MOMENT,
    40501: _MOMENT,
    40613: _MOMENT,
    4064: "give the login a default database it may open",
    18456: _LOGIN,
    18452: "the server takes no Windows login from here: name user and password in the target",
    18470: "the login is disabled",
    18487: "the password has expired: change it",
    18488: "the password must be changed before the login can be used",
    MISPLACED: "write the schema in the source's CREATE, or: ALTER USER ... WITH DEFAULT_SCHEMA = ...",
}
_HINT_WORDS = (
    ("password authentication failed", _LOGIN),
    ("Can't open lib", _DRIVER),
    ("no default driver specified", _DRIVER),
    ("Invalid value specified for connection string attribute", "an ODBC driver takes yes or no where ADO.NET has True or"
     " False, Encrypt strict too: encrypt=no"),
    ('database "', _DATABASE),
    ("No credentials were supplied", _KERBEROS),
    ("Cannot generate SSPI context", _KERBEROS),
    ("Encryption not supported", "say encrypt=no in the target, if the network is yours; or let the server encrypt"),
    ("permission denied for schema", _CREATE),
    ("permission denied for database", _CREATE),
    ("permission denied", "grant this login what it lacks, or publish with one that has it"),
    ("depend on it", "drop or change what depends on it first"),
    ('relation "', HINTS[208]),
    ("read-only transaction", "publish to the primary: a standby cannot be written to"),
    ("certificate verify failed", "trust the server's certificate on this machine; or say"
     " trustServerCertificate=yes in the target, if you mean it"),
    ("SSL Provider", "trust the server's certificate on this machine; or say"
     " trustServerCertificate=yes (or encrypt=no) in the target, if you mean it"),
)  # fmt: skip


class Failure(NamedTuple):
    """One message of the server or driver. ``number`` is 0 where none was sent."""

    state: str
    number: int
    message: str


class Failures(NamedTuple):
    """All messages of one error, the first being what went wrong.

    ``broken`` is set by one who found that the connection answers no more: FreeTDS does not say so itself.
    """

    all: tuple[Failure, ...]
    broken: bool = False

    @property
    def first(self) -> Failure:
        """What went wrong."""
        return self.all[0]

    @property
    def message(self) -> str:
        """What went wrong, and what the server said beside it."""
        return "; ".join(dict.fromkeys(f.message for f in self.all))

    @property
    def busy(self) -> bool:
        """True if the same transaction may pass when it is run again."""
        return any(
            f.number in _BUSY or any(words in f.message for words in _BUSY_WORDS) for f in self.all
        )

    @property
    def lost(self) -> bool:
        """True if the connection is gone."""
        return self.broken or any(
            f.number in _LOST
            or (f.state in _LOST_STATES and f.number not in _BUSY)  # 1222 comes as a time-out too
            or any(words in f.message.lower() for words in _LOST_WORDS)
            for f in self.all
        )

    @property
    def sqlstate(self) -> str:
        """The server's number as text, or the driver's state where there is none."""
        return str(self.first.number) if self.first.number else self.first.state

    @property
    def hint(self) -> str | None:
        """What to do next, if the error is one that tells."""
        for failure in self.all:
            if failure.number in HINTS:
                return HINTS[failure.number]
            for words, hint in _HINT_WORDS:
                if words in failure.message:
                    return hint
        return None

    @property
    def place(self) -> tuple[int, int] | None:
        """Line, from 1, and column, from 0, where the message names them: Babelfish's parser does."""
        found = _PLACE.search(self.first.message)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def plain(self) -> str:
        """The message without the place that `place` tells."""
        return _PLACE.sub("", self.message)


def failures(error: BaseException) -> Failures:
    """Return what an error of the driver says."""
    text = str(error.args[-1]) if error.args else str(error)
    found = [Failure(piece[1], int(piece[4]), piece[3].strip()) for piece in _PIECE.finditer(text)]
    # 3621, "The statement has been terminated", only follows what went wrong.
    telling = [f for f in found if f.number != 3621] or found
    if not telling:
        state = str(error.args[0]) if error.args else ""
        telling = [Failure(state if len(state) == 5 else "", 0, text)]
    return Failures(tuple(telling))
