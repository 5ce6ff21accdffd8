"""Waiting, giving up, and connections that break, on a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from procver.dialects import Call, Ddl, DdlError, Unit, mssql
from procver.dialects.mssql import MssqlDatabase, pyodbc
from procver.errors import ConfigError, DatabaseError, StalePlanError
from procver.known import Known
from procver.registry import writing
from tests.mssql.conftest import Place, server_url
from tests.mssql.versions import VIEW, things, version

Read = Callable[[], Known]


def test_writers_queue_and_all_but_one_plan_anew(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    start = known()
    outcomes: list[str] = []

    def write(number: int) -> None:
        other = place.open()
        made = version(f"v{number}", "view", VIEW.replace("vThings", f"v{number}"))
        try:
            units = writing.creation(start.project_id, [made], [])
            outcomes.extend("done" for _ in other.run(start.project_id, start.generation, units))
        except StalePlanError:
            outcomes.append("stale")
        finally:
            other.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["done", "stale", "stale", "stale"]
    assert len(place.objects()) == 1
    assert known().generation == 1


def test_a_lock_is_waited_for(
    place: Place, database: MssqlDatabase, known: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    place.sql("CREATE TABLE dbo.t (id int)")
    reader = place.plain()
    reader.execute("BEGIN TRANSACTION; INSERT dbo.t (id) VALUES (1)")

    def pause(attempt: int) -> None:
        pauses.append(attempt)
        if attempt == 2:
            reader.execute("COMMIT TRANSACTION")

    monkeypatch.setattr(mssql, "_pause", pause)
    found = known()
    impatient = place.open(lock_timeout=0.3)
    unit = Unit((Ddl("DROP TABLE dbo.t"),))
    assert list(impatient.run(found.project_id, found.generation, [unit])) == [0]
    assert pauses == [1, 2]
    impatient.close()
    reader.close()


def test_a_lock_that_stays_ends_in_an_error_and_nothing_done(
    place: Place, database: MssqlDatabase, known: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mssql, "_pause", lambda attempt: None)
    monkeypatch.setattr(mssql, "PATIENCE", 2)
    place.sql("CREATE TABLE dbo.t (id int)")
    reader = place.plain()
    reader.execute("BEGIN TRANSACTION; INSERT dbo.t (id) VALUES (1)")
    impatient = place.open(lock_timeout=0.2)
    found = known()
    with pytest.raises(DdlError, match=r"(?i)lock"):
        list(impatient.run(found.project_id, found.generation, [Unit((Ddl("DROP TABLE dbo.t"),))]))
    reader.execute("ROLLBACK TRANSACTION")
    assert known().generation == found.generation
    impatient.close()
    reader.close()


def test_a_killed_connection_says_so_and_the_same_run_completes(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    found = known()
    victim = place.open()
    session = victim._send("SELECT @@SPID")[0][0]

    def units() -> list[Unit]:
        return list(writing.creation(found.project_id, things(), []))

    def steps() -> list[Unit]:
        (unit,) = units()
        first, *rest = list(unit.steps)

        def made():  # type: ignore[no-untyped-def]
            yield first
            place.sql(f"KILL {session}")
            yield from rest

        return [Unit(made())]

    with pytest.raises(DatabaseError, match="connection to the server was lost") as lost:
        list(victim.run(found.project_id, found.generation, steps()))
    assert "run the same command again" in str(lost.value.hint)
    victim.close()
    assert place.objects() == set()
    assert list(database.run(found.project_id, known().generation, units())) == [0]
    assert len(place.objects()) == 4


def test_a_session_that_ends_before_its_first_statement_is_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = mssql.pyodbc.connect

    def connect(*words: str, **options: object) -> object:
        made = plain(*words, **options)
        session = made.execute("SELECT @@SPID").fetchone()[0]
        place.sql(f"KILL {session}")
        while place.sql("SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = ?", session):
            time.sleep(0.01)
        return made

    monkeypatch.setattr(mssql.pyodbc, "connect", connect)
    with pytest.raises(DatabaseError, match="connection to the server was lost") as lost:
        place.open()
    assert "run the same command again" in str(lost.value.hint)


def test_a_reader_sees_one_generation(place: Place, database: MssqlDatabase, known: Read) -> None:
    found = known()
    stop = threading.Event()

    def write() -> None:
        other, generation = place.open(), found.generation
        number = 0
        while not stop.is_set():
            number += 1
            made = version(f"v{number}", "view", VIEW.replace("vThings", f"v{number}"))
            for _ in other.run(
                found.project_id, generation, writing.creation(found.project_id, [made], [])
            ):
                generation += 1
        other.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(10):
            project, versions = database.read(
                Call("project", {"project": "shop"}), Call("versions", {"project": "shop"})
            )
            assert project[0][3] == len(versions)
    finally:
        stop.set()
        thread.join(60)


def test_a_login_that_fails_never_shows_the_password(place: Place) -> None:
    url = server_url()
    if not url.startswith("mssql://"):
        pytest.skip("the server is named by a connection string")
    from pathlib import Path

    from procver.dialects import connect

    head, rest = url.split("@", 1)
    wrong = f"{head.rsplit(':', 1)[0]}:Wr0ng-s3cret@{rest}"
    with pytest.raises(DatabaseError, match="cannot be reached") as refused:
        connect(wrong, dialect="mssql", root=Path(), search_path=("dbo",))
    assert "s3cret" not in f"{refused.value} {refused.value.hint}"
    with pytest.raises(ConfigError, match="no way to reach"):
        connect(wrong.replace("mssql", "mysql"), dialect="mssql", root=Path(), search_path=("dbo",))


def test_nothing_stays_open_after_an_error(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    found = known()
    with pytest.raises(DatabaseError):
        list(database.run(found.project_id, found.generation, [Unit((Ddl("SELECT 1 / 0"),))]))
    assert database._send("SELECT @@TRANCOUNT") == [(0,)]
    with pytest.raises(pyodbc.Error):
        database._send("SELECT * FROM dbo.nowhere")
