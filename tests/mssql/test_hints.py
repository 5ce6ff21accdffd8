"""What to do next, by the number or the words of the server's error, as both drivers hand it on."""

from __future__ import annotations

import pytest

from procver.dialects.odbc_errors import failures

MICROSOFT = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
FREETDS = "[FreeTDS][SQL Server]"

NUMBERS = [
    (229, "42000", "The EXECUTE permission was denied on the object 'hold'", "grant this login"),
    (262, "42000", "CREATE PROCEDURE permission denied in database 'shop'.", "ALTER on the schema"),
    (916, "42000", 'The server principal "ci" is not able to access the database "shop"', "a user of this database"),
    (924, "42000", "Database 'shop' is already open and can only have one user at a time.", "single-user mode"),
    (5064, "42000", "Changes to the state or options of database 'shop' cannot be made at this time.", "single-user mode"),
    (942, "42000", "Database 'shop' cannot be opened because it is offline.", "bring it online"),
    (978, "42000", "The target database ('shop') is in an availability group", "readable secondary"),
    (2714, "42S01", "There is already an object named 'things_2' in the database.", "VIEW DEFINITION"),
    (2760, "42000", 'The specified schema name "app" either does not exist or you do not have permission to use it.',
     "create the schema"),
    (3729, "42S02", "Cannot DROP FUNCTION 'app.f_1' because it is being referenced by object 'v'.", "what depends on it"),
    (3732, "42000", "Cannot drop type 'app.wanted_1' because it is being referenced by object 'theirs'.", "what depends on it"),
    (3906, "25000", 'Failed to update database "shop" because the database is read-only.', "publish to the primary"),
    (4060, "42000", 'Cannot open database "shop" requested by the login. The login failed.', "create the database"),
    (4060, "42000", 'Cannot open database "shop" requested by the login. The login failed.', "CREATE USER"),
    (9002, "42000", "The transaction log for database 'shop' is full", "back up the transaction log"),
    (15151, "42000", "Cannot find the user 'reader', because it does not exist or you do not have permission.", "correct the name"),
    (18456, "28000", "Login failed for user 'ci'.", "user and password"),
    (18487, "28000", "Login failed for user 'ci'.  Reason: The password of the account has expired.", "change it"),
    (40613, "HY000", "Database 'shop' on server 'x' is not currently available.", "try again in a moment"),
]  # fmt: skip


@pytest.mark.parametrize("driver", [MICROSOFT, FREETDS])
@pytest.mark.parametrize(("number", "state", "text", "hint"), NUMBERS)
def test_numbers(driver: str, number: int, state: str, text: str, hint: str) -> None:
    found = failures(Exception(state, f"[{state}] {driver}{text} ({number}) (SQLExecDirectW)"))
    assert hint in str(found.hint)
    assert not found.busy
    assert not found.lost


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1205, "Transaction (Process ID 61) was deadlocked on lock resources with another process"),
        (1222, "Lock request time out period exceeded."),
        (3960, "Snapshot isolation transaction aborted due to update conflict."),
        (3961, "Snapshot isolation transaction failed in database 'shop' because the object was modified by a DDL statement"),
    ],
)  # fmt: skip
def test_what_is_tried_again(number: int, text: str) -> None:
    found = failures(Exception("40001", f"[40001] {MICROSOFT}{text} ({number}) (SQLExecDirectW)"))
    assert found.busy
    assert not found.lost


WORDS = [
    ('database "shop" does not exist (33557097)', "create the database"),
    ('Login failed for user "procver" (18456)', "user and password"),
    ("permission denied for schema shop_app (33557097)", "ALTER on the schema"),
    ("permission denied for database babelfish_db (33557097)", "procver init --roles"),
    ("permission denied for table version (33557097)", "grant this login"),
    ('relation "shop_dbo.nothing" does not exist (33557097)', "create what it names first"),
    ("cannot drop view things_1 because other objects depend on it (33557097)", "what depends on it"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "hint"), WORDS)
def test_words_of_babelfish(text: str, hint: str) -> None:
    found = failures(Exception("42000", f"[42000] {FREETDS}{text} (SQLExecDirectW)"))
    assert hint in str(found.hint)


@pytest.mark.parametrize(
    ("state", "text", "hint"),
    [
        ("01000", "[01000] [unixODBC][Driver Manager]Can't open lib 'No Such Driver' : file not found (0) (SQLDriverConnect)",
         "pip install"),
        ("IM002", "[IM002] [Microsoft][ODBC Driver Manager] Data source name not found and no default driver specified (0)"
         " (SQLDriverConnect)", "leave the driver out"),
        ("HY000", "[HY000] [Microsoft][ODBC Driver 18 for SQL Server]SSPI Provider: No credentials were supplied (851968)"
         " (SQLDriverConnect)", "kinit"),
        ("08001", "[08001] [Microsoft][ODBC Driver 18 for SQL Server]SSL Provider: [error:0A000086:SSL routines::certificate"
         " verify failed:self-signed certificate] (-1) (SQLDriverConnect)", "trustServerCertificate=yes"),
        ("08001", "[08001] [Microsoft][ODBC Driver 18 for SQL Server]Encryption not supported on SQL Server. (0)"
         " (SQLDriverConnect)", "encrypt=no"),
        ("01S00", "[01S00] [Microsoft][ODBC Driver 18 for SQL Server]Invalid value specified for connection string attribute"
         " 'TrustServerCertificate' (0) (SQLDriverConnect)", "yes or no where ADO.NET has True"),
    ],
)  # fmt: skip
def test_words_of_the_drivers(state: str, text: str, hint: str) -> None:
    assert hint in str(failures(Exception(state, text)).hint)
