"""What is read out of a driver's error."""

from __future__ import annotations

import pytest

from procver.dialects.odbc_errors import failures

MICROSOFT = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
FREETDS = "[FreeTDS][SQL Server]"


def said(state: str, text: str) -> Exception:
    return Exception(state, text)


def test_each_message_has_its_number() -> None:
    found = failures(
        said(
            "42S22",
            f"[42S22] {MICROSOFT}Invalid column name 'a (b)'. (207) (SQLExecDirectW);"
            f" [42S22] {MICROSOFT}Invalid column name 'c'. (207); [01000] {MICROSOFT}The statement has been"
            " terminated. (3621)",
        )
    )
    assert [(f.state, f.number) for f in found.all] == [("42S22", 207), ("42S22", 207)]
    assert found.message == "Invalid column name 'a (b)'.; Invalid column name 'c'."
    assert found.sqlstate == "207"
    assert found.hint
    assert not found.busy
    assert not found.lost


@pytest.mark.parametrize(
    "text",
    [
        f"[HYT00] {MICROSOFT}Lock request time out period exceeded. (1222) (SQLExecDirectW)",
        f"[40001] {MICROSOFT}Transaction (Process ID 61) was deadlocked on lock resources. (1205) (SQLExecDirectW)",
        f"[42000] {MICROSOFT}canceling statement due to lock timeout (33557097) (SQLExecDirectW)",
        f"[42000] {FREETDS}deadlock detected (33557097) (SQLExecDirectW)",
        f"[42000] {FREETDS}another procver command is writing for this project (51002) (SQLExecDirectW)",
    ],
)
def test_what_may_pass_when_tried_again(text: str) -> None:
    found = failures(said(text[1:6], text))
    assert found.busy
    assert not found.lost


@pytest.mark.parametrize(
    "text",
    [
        "[08S01] [Microsoft][ODBC Driver 18 for SQL Server]TCP Provider: Error code 0x68 (104) (SQLExecDirectW)",
        f"[42000] {MICROSOFT}Cannot continue the execution because the session is in the kill state. (596) (SQLExecDirectW)",
        f"[HYT00] {MICROSOFT}Login timeout expired (0) (SQLDriverConnect)",
        f"[42000] {MICROSOFT}terminating connection due to administrator command (33557097) (SQLExecDirectW)",
    ],
)
def test_a_connection_that_is_gone(text: str) -> None:
    assert failures(said(text[1:6], text)).lost


def test_babelfish_names_the_place_in_its_text() -> None:
    found = failures(
        said(
            "42000",
            f"[42000] {MICROSOFT}syntax error near '1' at line 3 and character position 7 (33557097) (SQLExecDirectW)",
        )
    )
    assert found.place == (3, 7)
    assert found.plain == "syntax error near '1'"


def test_an_error_of_another_form_is_kept_as_it_is() -> None:
    found = failures(said("HY106", "ODBC SQL type -16 is not yet supported.  column-index=0"))
    assert found.message.startswith("ODBC SQL type -16")
    assert found.sqlstate == "HY106"
    assert failures(Exception()).message == ""
