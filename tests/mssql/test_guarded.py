"""Guarded grants, indexes and properties on the server, and the message about a taken name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.mssql.conftest import new_database
from tests.mssql.yard import Yard

W = """\
CREATE PROCEDURE app.w AS RETURN 1
GO
GRANT EXECUTE ON app.w TO {0}1
GO
IF OBJECT_ID('app.w') IS NOT NULL GRANT EXECUTE ON app.w TO {0}2
GO
IF EXISTS (SELECT 1 FROM sys.objects WHERE name = 'w' AND type = 'P') GRANT EXECUTE ON app.w TO {0}3
GO
IF DATABASE_PRINCIPAL_ID('{0}4') IS NOT NULL GRANT EXECUTE ON app.w TO {0}4
GO
"""


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ExitStack() as stack:
        made = Yard(tmp_path / "shop", stack.enter_context(new_database()))
        made.sql("CREATE SCHEMA app")
        yield made


def test_each_guarded_grant_reaches_the_version(yard: Yard) -> None:
    role = f"app{uuid.uuid4().hex[:8]}_"
    for number in range(1, 5):
        yard.sql(f"CREATE ROLE {role}{number}")
    yard.write(w=W.format(role))
    yard.publish("1")
    yard.write(w=W.format(role).replace("RETURN 1", "RETURN 2"))
    yard.publish("2")
    granted = yard.sql("SELECT privileges FROM procver.version ORDER BY number")
    assert len(granted) == 2
    for (privileges,) in granted:
        assert [f"{role}{number}" in privileges for number in range(1, 5)] == [True] * 4


def test_a_table_of_the_name_is_one_obstacle(yard: Yard) -> None:
    yard.write(things="CREATE VIEW app.things AS SELECT 1 AS id")
    yard.sql("CREATE TABLE app.things_1 (id int)")
    refused = yard.run("publish", "--release", "1", code=4)
    assert "a user table called app.things_1 exists already, and procver did not make it" in refused.stderr  # fmt: skip
    assert "more)" not in refused.stderr
