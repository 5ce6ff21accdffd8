"""Which server is at the other end: SQL Server, Azure SQL or Babelfish, and whether it is new enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from procver.errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    import pyodbc

OLDEST_SERVER = 14
"""The oldest major version that is supported: SQL Server 2017."""

OLDEST_LEVEL = 130
"""The lowest compatibility level of a database that knows OPENJSON."""

SETTINGS = (
    "SET QUOTED_IDENTIFIER, ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ANSI_NULL_DFLT_ON, ARITHABORT,"
    " CONCAT_NULL_YIELDS_NULL, NOCOUNT ON; SET NUMERIC_ROUNDABORT, IMPLICIT_TRANSACTIONS,"
    " CURSOR_CLOSE_ON_COMMIT OFF; SET ROWCOUNT 0; SET TEXTSIZE 2147483647; SET LANGUAGE us_english;"
    " SET DATEFORMAT mdy; SET DATEFIRST 7; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"
)
"""The session's settings, whatever the server, database, login and driver set: a definition means
the same everywhere. They are those of Microsoft's drivers, and what indexed views require."""

_CLOUD = {5, 6, 8, 9, 11, 12}
"""Editions (SERVERPROPERTY('EngineEdition')) that are always current, whatever version they name."""


class Server(NamedTuple):
    """What is at the other end.

    Attributes:
        babelfish: whether it is Babelfish; then the rest was not asked.
        edition: SERVERPROPERTY('EngineEdition').
        version: SERVERPROPERTY('ProductVersion').
        level: the database's compatibility level.
    """

    babelfish: bool
    edition: int = 0
    version: str = "0"
    level: int = OLDEST_LEVEL

    @property
    def flavour(self) -> str:
        """The word by which the registry's statements tell servers apart."""
        return "babelfish" if self.babelfish else "sqlserver"


def recognised(connection: pyodbc.Connection) -> Server:
    """Pin the settings of a connection; return what is at its other end.

    Raises:
        ConfigError: the database is set to be too old.
        DatabaseError: the server is too old.
    """
    cursor = connection.execute(f"{SETTINGS} SELECT CAST(SERVERPROPERTY('Babelfish') AS int)")
    while cursor.description is None and cursor.nextset():  # Babelfish answers SET too
        pass
    row = cursor.fetchone()
    if row is not None and row[0] == 1:
        return Server(True)
    row = connection.execute(
        "SELECT CAST(SERVERPROPERTY('EngineEdition') AS int),"
        " CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)),"
        " (SELECT compatibility_level FROM sys.databases WHERE name = DB_NAME()), DB_NAME()"
    ).fetchone()
    assert row is not None
    server = Server(False, row[0] or 0, row[1] or "0", row[2] or OLDEST_LEVEL)
    if server.edition not in _CLOUD and int(server.version.split(".")[0]) < OLDEST_SERVER:
        raise DatabaseError(
            f"the server is SQL Server version {server.version}",
            hint="procver needs SQL Server 2017 (14.0) or newer",
        )
    if server.level < OLDEST_LEVEL:
        raise ConfigError(
            f"database {row[3]} is at compatibility level {server.level}, which knows no OPENJSON",
            hint=f"ALTER DATABASE [{row[3]}] SET COMPATIBILITY_LEVEL = {OLDEST_LEVEL} or higher",
        )
    return server
