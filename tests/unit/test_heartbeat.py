"""What a heartbeat sends to each driver, what it makes of an error, and that an app which sends none pays nothing."""

import pytest

import procver
from procver import background, heartbeat
from tests.unit.test_resolver import loaded

VALUES = ("shop", "1", "web-1", False)
NAMED = {"project": "shop", "release": "1", "instance": "web-1", "leaving": False}


@pytest.mark.parametrize(
    ("dialect", "mark", "sql", "parameters"),
    [
        ("postgresql", "%s", "SELECT procver.beat(%s, %s, %s, %s)", VALUES),
        ("postgresql", "?", "SELECT procver.beat(?, ?, ?, ?)", VALUES),
        ("postgresql", ":1", "SELECT procver.beat(:1, :2, :3, :4)", VALUES),
        ("postgresql", ":name", "SELECT procver.beat(:project, :release, :instance, :leaving)", NAMED),
        ("mssql", "?", "EXEC procver.beat @project = ?, @release = ?, @instance = ?, @leaving = ?", VALUES),
        ("mssql", "%s", "EXEC procver.beat @project = %s, @release = %s, @instance = %s, @leaving = %s", VALUES),
    ],
)  # fmt: skip
def test_the_statement_in_a_drivers_own_style(dialect, mark, sql, parameters):
    assert heartbeat._statement(dialect, mark, VALUES) == (sql, parameters)


class Refused(Exception):
    """As pyodbc has them: a state and a message."""


@pytest.mark.parametrize(
    ("error", "says", "hint"),
    [
        (Refused("42000", "[42000] [M][SQL Server]no release '9' (51004) (SQLExecDirectW)"), "no release '9'", "publish the release"),
        (Refused("42000", "[42000] [M][SQL Server]Could not find stored procedure 'procver.beat'. (2812)"), "Could not find", "procver publish"),
        (Refused("42000", '[42000] [M][SQL Server]schema "shop_procver" does not exist (33557097)'), "does not exist", "procver publish"),
        (Refused("42000", "[42000] [M][SQL Server]The EXECUTE permission was denied on the object 'beat' (229)"), "was denied", "GRANT EXECUTE ON OBJECT::procver.beat"),
        (Refused("08001", "[08001] [M]TCP Provider:\n  Error code 0x2749 (10061)"), "TCP Provider: Error code", ""),
        (OSError(111, "Connection refused"), "Connection refused", ""),
        (RuntimeError(), "RuntimeError", ""),
    ],
)  # fmt: skip
def test_what_is_made_of_an_error(error, says, hint):
    assert says in background.told(error)
    assert "\n" not in background.told(error)
    found = heartbeat._hint(error, "mssql")
    assert hint in found
    assert bool(found) is bool(hint)


def test_an_app_that_sends_none_does_not_pay_for_it():
    for statement in ("from procver import Resolver", "import procver; dir(procver)"):
        assert not {
            "procver.heartbeat",
            "procver.background",
            "procver.following",
            "threading",
        } & loaded(statement)
    found = loaded("from procver import Heartbeat")
    assert "procver.heartbeat" in found
    assert {name.partition(".")[0] for name in found} - {"procver"} <= set(
        __import__("sys").stdlib_module_names
    )
    assert procver.Heartbeat is heartbeat.Heartbeat
    with pytest.raises(AttributeError, match="no attribute 'Heartbaet'"):
        procver.Heartbaet  # noqa: B018
