"""Execution statistics on a real server: what they tell, and that gc goes on where they tell nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from procver.dialects.mssql import MssqlDatabase, _queries
from procver.evidence import Evidence, evidence_against, sample
from procver.known import Known
from procver.registry import writing
from tests.mssql.conftest import Place
from tests.mssql.versions import things

Read = Callable[[], Known]
CALL = "EXEC dbo.spFind_1 @id = 1"
COUNT = "SELECT dbo.fnCount_1()"


@pytest.fixture
def condemned(place: Place, database: MssqlDatabase, known: Read) -> Read:
    """Versions that were called while they were needed, and then condemned by a run of gc."""
    found = known()
    units = writing.creation(found.project_id, things(), [])
    assert list(database.run(found.project_id, found.generation, units)) == [0]
    place.sql(CALL)
    place.sql(COUNT)
    if database.server.babelfish:
        time.sleep(1.5)  # a session tells its counters once a second
        place.sql("SELECT 1")
        time.sleep(0.5)
    found = known()
    sample(database, "shop")
    unit = writing.condemn(found.project_id, list(found.versions.values()))
    assert list(database.run(found.project_id, found.generation, [unit])) == [0]
    return known


def asked(database: MssqlDatabase, known: Read) -> Evidence:
    found = known()
    return evidence_against(database, "shop", found.by_id.values(), found.now)


def counts(place: Place, database: MssqlDatabase) -> bool:
    """Return whether this server tells this login what was called."""
    if database.server.babelfish:
        return place.sql("SELECT pg_catalog.current_setting('track_functions')") != [("none",)]
    return place.sql("SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')") == [(1,)]


def test_what_was_called_since_it_was_condemned_is_evidence(
    place: Place, database: MssqlDatabase, condemned: Read
) -> None:
    if not counts(place, database):
        pytest.skip("this server tells this login no execution statistics")
    assert asked(database, condemned).against == {}, "calls from before count for nothing"
    place.sql(CALL)
    place.sql(COUNT)
    until = time.monotonic() + 15
    while len(asked(database, condemned).against) < 2:
        assert time.monotonic() < until, "never counted"
        time.sleep(0.2)
        place.sql("SELECT 1")
    evidence = asked(database, condemned)
    said = {condemned().by_id[v].label: why for v, why in evidence.against.items()}
    assert set(said) == {"dbo.spFind", "dbo.fnCount"}
    assert all("ago (execution statistics)" in why for why in said.values())
    assert evidence.remarks == ()
    # What was seen stays seen, whatever becomes of the plan.
    sample(database, "shop")
    if not database.server.babelfish:
        place.sql("EXEC sp_recompile N'dbo.spFind_1'")
    assert asked(database, condemned).against.keys() == evidence.against.keys()


def test_where_nothing_is_counted_that_is_a_remark_and_no_reason(
    place: Place, database: MssqlDatabase, condemned: Read
) -> None:
    if counts(place, database):
        pytest.skip("this server tells this login its execution statistics")
    place.sql(CALL)
    sample(database, "shop")
    evidence = asked(database, condemned)
    assert evidence.against == {}
    assert evidence.unknown == ()
    (remark,) = evidence.remarks
    assert "counted here" in remark


def test_asking_writes_nothing_and_a_drop_forgets_its_sample(
    place: Place, database: MssqlDatabase, condemned: Read
) -> None:
    state = "SELECT version_id, calls, last_called_at, sampled_at FROM procver.usage ORDER BY version_id"
    before = place.sql(state)
    place.sql(CALL)
    asked(database, condemned)
    assert place.sql(state) == before
    found = condemned()
    target = found.versions["dbo.spFind", 1]
    unit = writing.drop([writing.Goner(target, ["DROP PROCEDURE dbo.spFind_1"], "test")])
    assert list(database.run(found.project_id, found.generation, [unit])) == [0]
    sample(database, "shop")
    assert target.id not in [row[0] for row in place.sql(state)]


STATS = "CREATE TABLE dbo.{} (database_id int, object_id int, execution_count bigint, last_execution_time datetime)"


@pytest.fixture
def statistics(place: Place, condemned: Read) -> Callable[..., list[tuple[Any, ...]]]:
    """SQL Server's own statement, its two views being tables that a test can fill, on whatever server this is."""
    text = _queries("sqlserver")["usage"]
    for view in ("dm_exec_procedure_stats", "dm_exec_function_stats"):
        text = text.replace(f"sys.{view}", f"dbo.{view}")
        place.sql(STATS.format(view))
    # Babelfish inserts no rows of an EXEC of text.
    text, plain = re.subn(r"EXEC sp_executesql N'([^']*)';", r"\1;", text)
    assert plain == 1

    def count(*, keep: bool = False) -> list[tuple[Any, ...]]:
        ids = [v.id for v in condemned().versions.values()]
        if keep:
            place.sql(text, '{"project": "shop"}')
        return place.sql(text, f'{{"project": "shop", "ids": {ids}}}')

    return count


def test_statistics_that_may_not_be_read_are_a_remark(
    place: Place, statistics: Callable[..., list[tuple[Any, ...]]]
) -> None:
    place.sql("INSERT dbo.dm_exec_function_stats (database_id, object_id) VALUES (DB_ID(), 1)")
    for keep in (False, True):
        ((version, _, _, remark),) = statistics(
            keep=keep
        )  # no count: refused by the NOT NULL of a column
        assert version is None
        assert remark.startswith("calls cannot be counted here: ")
    assert place.sql("SELECT @@TRANCOUNT") == [(0,)]


def test_plans_come_and_go_and_the_last_call_stays(
    place: Place, condemned: Read, statistics: Callable[..., list[tuple[Any, ...]]]
) -> None:
    procedures, functions = "dm_exec_procedure_stats", "dm_exec_function_stats"
    add = (
        "INSERT dbo.{} (database_id, object_id, execution_count, last_execution_time)"
        " VALUES ({}, OBJECT_ID(N'{}'), {}, DATEADD(minute, {}, GETDATE()))"
    )
    find = condemned().versions["dbo.spFind", 1].id
    ours, other = "DB_ID()", "DB_ID() + 1"

    def minutes_ago() -> dict[int, int]:
        (now,) = place.sql("SELECT SYSUTCDATETIME()")[0]
        assert isinstance(now, datetime)
        found = statistics(keep=True)
        assert all(since == last for _, since, last, _ in found), "the server knows when"
        return {row[0]: round((now - row[2]).total_seconds() / 60) for row in found}

    assert minutes_ago() == {}
    place.sql(add.format(procedures, other, "dbo.spFind_1", 9, 0))
    assert minutes_ago() == {}, "object ids of another database"
    # Two plans of one procedure: the last call of either counts.
    place.sql(add.format(procedures, ours, "dbo.spFind_1", 5, -90))
    place.sql(add.format(procedures, ours, "dbo.spFind_1", 2, -30))
    assert minutes_ago() == {find: 30}
    assert place.sql(f"SELECT calls FROM procver.usage WHERE version_id = {find}") == [(7,)]
    place.sql(f"DELETE FROM dbo.{procedures}")
    assert minutes_ago() == {find: 30}, "the plan is gone, what it told stays"
    place.sql(add.format(procedures, ours, "dbo.spFind_1", 1, -60))
    assert minutes_ago() == {find: 30}, "never back"
    place.sql(add.format(functions, ours, "dbo.fnCount_1", 1, -10))
    place.sql(add.format(procedures, ours, "dbo.spFind_1", 1, -5))
    assert minutes_ago() == {find: 5, condemned().versions["dbo.fnCount", 1].id: 10}
