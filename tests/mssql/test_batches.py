"""The exact batches, in order: what is sent, without a server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from procver import registry
from procver.dialects import Call, Ddl, DdlError, Unit, mssql, mssql_batches
from procver.dialects.mssql import MssqlDatabase, pyodbc
from procver.dialects.mssql_server import Server
from procver.dialects.odbc import Target
from procver.errors import ConflictError, DatabaseError, StalePlanError
from procver.registry import writing
from tests.mssql.versions import TYPE, VIEW, version

BEGIN = (
    "SET XACT_ABORT ON; SET LOCK_TIMEOUT 3000; SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON; BEGIN TRANSACTION;"
    " EXEC procver.hold 7, {}, 60000"
)
COMMIT = "COMMIT TRANSACTION; SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON;"
ROLLBACK = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON;"
PROBE = "DECLARE @a nvarchar(max) = ?; SET NOCOUNT ON; BEGIN TRY EXEC sys.sp_executesql @a; END TRY"

LOCKED = "[HYT00] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Lock request time out period exceeded. (1222) (SQLExecDirectW)"
STALE = "[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]the registry was changed (51001) (SQLExecDirectW)"
SYNTAX = "[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Incorrect syntax near 'SELEC'. (102) (SQLExecDirectW)"
GONE = "[08S01] [Microsoft][ODBC Driver 18 for SQL Server]Communication link failure (0) (SQLExecDirectW)"

NAMES = {sql: name for name, sql in mssql._queries("sqlserver").items()}


class Wire:
    """A connection that writes down what is sent, and answers from a script.

    Args:
        answers: by the beginning of a batch, the answers to give in turn: rows, or the text of an error.
    """

    def __init__(self, answers: dict[str, list[Any]] | None = None) -> None:
        self.sent: list[str] = []
        self.arguments: list[Any] = []
        self._answers = {start: iter(given) for start, given in (answers or {}).items()}
        self.closed = False

    def cursor(self) -> Wire.Cursor:
        return self.Cursor(self)

    def close(self) -> None:
        self.closed = True

    class Cursor:
        """One cursor of it."""

        noscan = False

        def __init__(self, wire: Wire) -> None:
            self._wire = wire
            self._rows: list[tuple[Any, ...]] = []
            self.description: list[tuple[str]] | None = None

        def execute(self, batch: str, *parameters: str) -> None:
            wire = self._wire
            assert bool(parameters) != self.noscan, "only a batch without parameters goes unscanned"
            wire.sent.append(NAMES.get(batch, batch))
            wire.arguments += [json.loads(p) if p[:1] in "[{" else p for p in parameters]
            for start, answers in wire._answers.items():
                if batch.startswith(start):
                    answer = next(answers, None)
                    if isinstance(answer, str):
                        raise pyodbc.Error(answer[1:6], answer)
                    self._rows = answer or []
                    self.description = [("x",)] * len(self._rows[0]) if self._rows else None

        def fetchall(self) -> list[tuple[Any, ...]]:
            return self._rows

        def nextset(self) -> bool:
            return False

        def close(self) -> None:
            pass


def database(wire: Wire) -> MssqlDatabase:
    server = Server(babelfish=False, edition=3, version="16.0.1", level=160)
    return MssqlDatabase(wire, Target("", (), ""), server, 3.0)  # type: ignore[arg-type]


def run(wire: Wire, units: Iterable[Unit]) -> list[int]:
    return list(database(wire).run(7, 40, units))


def together(*statements: str) -> str:
    """Return the batch in which statements travel together."""
    return "\n".join("EXEC(N'" + text.replace("'", "''") + "')" for text in statements)


def test_a_unit_is_one_transaction_that_holds_the_project() -> None:
    wire = Wire()
    versions = [
        version("Wanted", "table_type", TYPE),
        version(
            "vThings", "view", VIEW, privileges={"like": {"leaf": "vThings"}},
            after=("GRANT SELECT ON dbo.vThings_1 TO app",),
        ),
    ]  # fmt: skip
    assert run(wire, writing.creation(7, versions, [])) == [0]
    assert wire.sent == [
        BEGIN.format(40), together(TYPE, VIEW), "carry", "GRANT SELECT ON dbo.vThings_1 TO app", "describe", "add_versions",
        "log", COMMIT,
    ]  # fmt: skip
    carried, described, added, _ = wire.arguments
    assert carried == described
    assert [row["physical"] for row in added] == ["dbo.Wanted_1", "dbo.vThings_1"]


def test_what_is_restored_takes_its_grants_after_what_its_source_says() -> None:
    wire = Wire()
    says = "GRANT SELECT ON dbo.vThings_1 TO app"
    back = {"given": [{"own": None, "acl": [], "properties": []}], "wholly": True}
    restored = version("vThings", "view", VIEW, privileges=back, after=(says,))
    like = {"like": {"schema": "dbo", "leaf": "vMore_1", "kind": "view"}}
    more = "CREATE VIEW dbo.vMore_2 AS SELECT 1 AS x"
    fresh = version("vMore", "view", more, privileges=like)
    assert run(wire, writing.creation(7, [restored, fresh], [])) == [0]
    assert wire.sent == [
        BEGIN.format(40), together(VIEW, more), "carry", says, "carry", "describe",
        "add_versions", "log", "log", COMMIT,
    ]  # fmt: skip
    assert [[item["target"]["leaf"] for item in sent] for sent in wire.arguments[:3]] == [
        ["vMore_1"], ["vThings_1"], ["vMore_1", "vThings_1"],
    ]  # fmt: skip


def test_settings_of_a_file_hold_in_its_own_unit_and_are_set_back() -> None:
    wire = Wire()
    off = "SET QUOTED_IDENTIFIER OFF"
    versions = [
        version("a", "view", "CREATE VIEW dbo.a_1 AS SELECT 1 AS x"),
        version("b", "view", 'CREATE VIEW dbo.b_1 AS SELECT "y" AS x', settings=(off,)),
        version("c", "view", "CREATE VIEW dbo.c_1 AS SELECT 2 AS x"),
    ]
    assert run(wire, writing.creation(7, versions, [])) == [0, 1, 2]
    assert wire.sent == [
        BEGIN.format(40), "CREATE VIEW dbo.a_1 AS SELECT 1 AS x", "add_versions", "log", COMMIT,
        BEGIN.format(41), off, 'CREATE VIEW dbo.b_1 AS SELECT "y" AS x', "add_versions", "log", COMMIT,
        BEGIN.format(42), "CREATE VIEW dbo.c_1 AS SELECT 2 AS x", "add_versions", "log", COMMIT,
    ]  # fmt: skip


def test_an_index_is_there_before_what_may_name_it() -> None:
    wire = Wire()
    index = "CREATE UNIQUE CLUSTERED INDEX ix ON dbo.a_1 (x)"
    versions = [
        version(
            "a", "view", "CREATE VIEW dbo.a_1 WITH SCHEMABINDING AS SELECT 1 AS x", after=(index,)
        ),
        version("b", "view", "CREATE VIEW dbo.b_1 AS SELECT x FROM dbo.a_1 WITH (NOEXPAND)"),
    ]
    run(wire, writing.creation(7, versions, []))
    first, second = [(made.definition[0][0]) for made in versions]
    assert wire.sent.index(together(first, index)) < wire.sent.index(second)


def test_babelfish_is_spared_grants_on_types(caplog: pytest.LogCaptureFixture) -> None:
    grant = "-- for the app\nGRANT EXECUTE ON TYPE::dbo.Wanted_1 TO app"
    made = version("Wanted", "table_type", TYPE, after=(grant,))
    for babelfish in (True, False):
        wire = Wire()
        spoken = database(wire)
        spoken.server = spoken.server._replace(babelfish=babelfish)
        list(spoken.run(7, 40, writing.creation(7, [made], [])))
        assert (together(TYPE, grant) in wire.sent) is not babelfish
        assert (TYPE in wire.sent) is babelfish
    assert "left out, Babelfish has no grants on types" in caplog.text


@pytest.mark.parametrize(("counts", "carried"), [((0, 0), False), ((1, 0), True), ((0, 1), True)])
def test_babelfish_is_spared_carrying_nothing(counts: tuple[int, int], carried: bool) -> None:
    queries = mssql._queries("babelfish")
    wire = Wire({queries["carries"]: [[counts]]})
    server = Server(babelfish=True)
    target = MssqlDatabase(wire, Target("", (), ""), server, 3.0)  # type: ignore[arg-type]
    like = {"like": {"schema": "dbo", "leaf": "vThings_1", "kind": "view"}}
    again = version("vThings", "view", VIEW.replace("_1", "_2"), number=2, privileges=like)
    assert list(target.run(7, 40, writing.creation(7, [again], []))) == [0]
    assert ("carry" in wire.sent, "describe" in wire.sent) == (carried, carried)
    # What is restored, or given by [grants], is never asked about.
    wire = Wire()
    target = MssqlDatabase(wire, Target("", (), ""), server, 3.0)  # type: ignore[arg-type]
    given = again._replace(privileges={**like, "exactly": []})
    assert list(target.run(7, 41, writing.creation(7, [given], []))) == [0]
    assert queries["carries"] not in wire.sent


def test_nothing_is_sent_for_checks_that_t_sql_defers_by_itself() -> None:
    wire = Wire()
    loop = version("a", "procedure", "CREATE PROC dbo.a_1 AS EXEC dbo.a_1")._replace(deferred=True)
    run(wire, writing.creation(7, [loop], []))
    assert wire.sent == [BEGIN.format(40), loop.definition[0][0], "add_versions", "log", COMMIT]


def test_batches_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Ddl(f"CREATE VIEW dbo.v_{n} AS SELECT {n} AS x") for n in range(mssql_batches.MOST + 3)]
    wire = Wire()
    run(wire, [Unit(made)])
    assert wire.sent[1:-1] == [
        together(*(d.sql for d in made[:-3])),
        together(*(d.sql for d in made[-3:])),
    ]
    monkeypatch.setattr(mssql_batches, "LARGEST", len(made[0].sql) * 2)
    wire = Wire()
    run(wire, [Unit(made[:5])])
    assert wire.sent[1:-1] == [
        together(*(d.sql for d in made[:2])), together(*(d.sql for d in made[2:4])), made[4].sql,
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_a_string_would_lose_is_sent_as_it_is(end: str) -> None:
    art = f"CREATE VIEW dbo.a_1 AS /* \\{end} */ SELECT 1 AS x"
    others = ["CREATE VIEW dbo.b_1 AS SELECT '\\' AS x", "CREATE VIEW dbo.c_1 AS SELECT 2 AS x"]
    wire = Wire()
    run(wire, [Unit([Ddl(others[0]), Ddl(others[1]), Ddl(art), Ddl(others[0]), Ddl(others[1])])])
    assert wire.sent[1:-1] == [together(*others), art, together(*others)]


def test_of_a_batch_that_is_refused_each_statement_is_sent_alone() -> None:
    good, bad = "CREATE VIEW dbo.a_1 AS SELECT 1 AS x", "CREATE VIEW dbo.b_1 AS\nSELEC 1 AS x"
    wire = Wire({
        together(good, bad): [SYNTAX], bad: [SYNTAX], "SELECT @@TRANCOUNT": [[(1, 1)]], PROBE: [[(102, 2)]],
    })  # fmt: skip
    with pytest.raises(DdlError, match="Incorrect syntax") as refused:
        run(wire, [Unit((Ddl(good, 3), Ddl(bad, 4)))])
    assert refused.value.step == Ddl(bad, 4)
    assert bad[refused.value.position :].startswith("SELEC")
    assert wire.sent[:5] == [
        BEGIN.format(40), together(good, bad), ROLLBACK, BEGIN.format(40), good,
    ]  # fmt: skip
    assert wire.sent[5] == bad


def test_a_refused_statement_of_the_registry_ends_it() -> None:
    wire = Wire({mssql._queries("sqlserver")["log"]: [SYNTAX]})
    views = ["CREATE VIEW dbo.a_1 AS SELECT 1 AS x", "CREATE VIEW dbo.b_1 AS SELECT 1 AS x"]
    with pytest.raises(DatabaseError, match="the registry's 'log' failed: Incorrect syntax"):
        run(wire, [Unit([*map(Ddl, views), Call("log", {})])])
    assert wire.sent == [BEGIN.format(40), together(*views), "log", ROLLBACK]


def test_what_fails_only_in_a_batch_is_done_without_it() -> None:
    views = ["CREATE VIEW dbo.a_1 AS SELECT 1 AS x", "CREATE VIEW dbo.b_1 AS SELECT 1 AS x"]
    wire = Wire({together(*views): [SYNTAX]})
    assert run(wire, [Unit([Ddl(text) for text in views])]) == [0]
    assert wire.sent == [
        BEGIN.format(40), together(*views), ROLLBACK, BEGIN.format(40), *views, COMMIT,
    ]  # fmt: skip


def test_the_last_attempt_tells_what_the_lock_stood_in_the_way_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mssql, "_pause", lambda attempt: None)
    drops = ["DROP VIEW [dbo].[a_1]", "DROP VIEW [dbo].[b_1]"]
    wire = Wire({together(*drops): [LOCKED, LOCKED], drops[1]: [LOCKED]})
    units = [Unit([Ddl(text, number) for number, text in enumerate(drops)])]
    with pytest.raises(DdlError, match="Lock request time out") as refused:
        list(database(wire).run(7, 40, units, tries=3))
    assert refused.value.step.subject == 1
    assert wire.sent.count(together(*drops)) == 2


def test_without_patience_a_lock_ends_the_batch_at_once() -> None:
    drops = ["DROP VIEW [dbo].[a_1]", "DROP VIEW [dbo].[b_1]"]
    wire = Wire({together(*drops): [LOCKED]})
    with pytest.raises(DatabaseError, match="Lock request time out"):
        run(wire, [Unit([Ddl(text) for text in drops], patient=False)])
    assert wire.sent[1:] == [together(*drops), ROLLBACK]


def test_a_unit_that_met_a_lock_is_sent_again_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(mssql, "_pause", pauses.append)
    wire = Wire({"DROP VIEW": [LOCKED, LOCKED, []]})
    steps = (Ddl("DROP VIEW [dbo].[v_1]"), Call("drop_versions", [{"id": 1}]))
    assert run(wire, [Unit(steps)]) == [0]
    tried = [BEGIN.format(40), "DROP VIEW [dbo].[v_1]", ROLLBACK]
    done = [BEGIN.format(40), "DROP VIEW [dbo].[v_1]", "drop_versions", COMMIT]
    assert wire.sent == [*tried, *tried, *done]
    assert pauses == [1, 2]


def test_a_lock_that_stays_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mssql, "_pause", lambda attempt: None)
    wire = Wire({"DROP VIEW": [LOCKED] * mssql.PATIENCE})
    with pytest.raises(DdlError, match="Lock request time out") as refused:
        run(wire, [Unit((Ddl("DROP VIEW [dbo].[v_1]", 5),))])
    assert refused.value.step.subject == 5
    assert wire.sent.count(ROLLBACK) == mssql.PATIENCE


def test_another_writer_makes_the_plan_stale() -> None:
    wire = Wire({BEGIN.format(40): [STALE]})
    with pytest.raises(StalePlanError):
        run(wire, [Unit((Ddl("DROP VIEW x"),))])
    assert wire.sent == [BEGIN.format(40), ROLLBACK]


def test_a_refused_statement_is_sent_once_more_to_learn_its_line() -> None:
    text = "CREATE PROC dbo.a_1 AS\nBEGIN\n  SELEC 1\nEND"
    wire = Wire({text: [SYNTAX], "SELECT @@TRANCOUNT": [[(1, 1)]], PROBE: [[(102, 3)]]})
    with pytest.raises(DdlError, match="Incorrect syntax") as refused:
        run(wire, writing.creation(7, [version("a", "procedure", text)], []))
    assert text[refused.value.position :].startswith("  SELEC")
    assert refused.value.sqlstate == "102"
    assert wire.sent[:3] == [BEGIN.format(40), text, "SELECT @@TRANCOUNT, XACT_STATE()"]
    assert wire.sent[3].startswith(PROBE)
    assert wire.sent[4:] == [ROLLBACK]


@pytest.mark.parametrize("state", [[(0, 0)], [(1, -1)]])
def test_where_the_transaction_is_gone_the_line_is_asked_in_a_new_one(state: list[Any]) -> None:
    wire = Wire({"CREATE": [SYNTAX], "SELECT @@TRANCOUNT": [state], PROBE: [[(208, 1)]]})
    with pytest.raises(DdlError) as refused:
        run(wire, [Unit((Ddl("CREATE PROC x"),))])
    assert wire.sent[3] == "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; BEGIN TRANSACTION"
    assert wire.sent[-1] == ROLLBACK
    assert refused.value.position is None, "another error than the first tells nothing"


def test_a_lost_connection_says_to_run_the_command_again() -> None:
    wire = Wire({"CREATE": [GONE], ROLLBACK: [GONE]})
    with pytest.raises(DatabaseError, match="connection to the server was lost") as refused:
        run(wire, [Unit((Ddl("CREATE PROC x"),))])
    assert not isinstance(refused.value, DdlError)
    assert "run the same command again" in str(refused.value.hint)
    assert wire.closed


def test_an_interruption_rolls_back() -> None:
    wire = Wire()

    def steps() -> Iterable[Ddl]:
        yield Ddl("CREATE PROC x")
        yield Call("log", {})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(wire, [Unit(steps())])
    assert wire.sent == [BEGIN.format(40), "CREATE PROC x", "log", ROLLBACK]


def test_a_read_holds_the_projects_row_until_all_is_read() -> None:
    wire = Wire(
        {"DECLARE @a nvarchar(max) = ?;\nSELECT id, dialect": [[(7, "mssql", "dbo", 4, 1)]]}
    )
    database(wire).read(Call("project", {"project": "shop"}), Call("versions", {"project": "shop"}))
    assert wire.sent == [
        "SET LOCK_TIMEOUT 60000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN TRANSACTION",
        "project",
        "versions",
        "COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ]
    assert "HOLDLOCK" in mssql._queries("sqlserver")["project"]


@pytest.mark.parametrize("project", [[], [(7, "mssql", "dbo", 0, 0)]])
def test_what_a_new_project_cannot_have_is_not_asked_for(project: list[tuple[Any, ...]]) -> None:
    wire = Wire({"DECLARE @a nvarchar(max) = ?;\nSELECT id, dialect": [project]})
    about = {"project": "shop"}
    calls = [Call(query, about) for query in ("project", "versions", "memberships", "now")]
    assert database(wire).read(*calls)[0] == project
    assert wire.sent[1:-1] == ["project", "now"]


def test_an_empty_list_is_not_sent() -> None:
    wire = Wire()
    calls = [
        Call("definitions", {"ids": []}),
        Call("unmanaged_namesakes", {"names": [{"leaf": "v"}]}),
    ]
    assert database(wire).read(*calls) == [[], []]
    assert wire.sent[1:-1] == ["unmanaged_namesakes"]
    wire = Wire()
    assert database(wire).read(calls[0], calls[0]) == [[], []]
    assert wire.sent == [], "not even a transaction"


def test_round_trips_of_a_read_do_not_grow_with_its_rows() -> None:
    wire = Wire({"DECLARE @a": [[(number, "x") for number in range(10_000)]]})
    assert len(database(wire).read(Call("memberships", {"project": "shop"}))[0]) == 10_000
    assert len(wire.sent) == 3


def test_the_registry_is_made_in_one_transaction() -> None:
    wire = Wire({"SELECT OBJECT_ID": [[(None, None)], [(None, None)]]})
    assert database(wire).install()
    sent = [text.split("\n", 1)[0] for text in wire.sent]
    assert sent[1].endswith("BEGIN TRANSACTION")
    assert "sp_getapplock @Resource = N'procver'" in sent[2]
    assert sent[4] == "IF SCHEMA_ID(N'procver') IS NULL EXEC(N'CREATE SCHEMA procver')"
    assert sent[-1] == "COMMIT TRANSACTION"
    assert not [text for text in wire.sent if "\n-- only: babelfish\n" in text]
    assert len([text for text in wire.sent if "CREATE FUNCTION procver.privileges" in text]) == 1


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        (
            {"SELECT OBJECT_ID": [[(None, 7)]], "SELECT COUNT(*)": [[(3, 1)]]},
            ConflictError,
            "procver did not make it",
        ),
        (
            {"SELECT OBJECT_ID": [[(None, 7)]], "SELECT COUNT(*)": [[(0, 0)]]},
            DatabaseError,
            "may not read the registry",
        ),
        (
            {"SELECT OBJECT_ID": [[(5, 7)]], "SELECT MAX(number)": [[(99,)]]},
            ConflictError,
            "level 99",
        ),
    ],
)
def test_a_schema_that_is_not_ours_is_left_alone(
    answers: dict[str, Any], error: type[Exception], words: str
) -> None:
    wire = Wire(answers)
    with pytest.raises(error, match=words):
        database(wire).install()
    assert not [text for text in wire.sent if not text.startswith(("SELECT", ROLLBACK))]


def test_nothing_is_made_where_only_reading_is_wanted() -> None:
    wire = Wire({"SELECT OBJECT_ID": [[(None, None)]]})
    assert not database(wire).install(create=False)
    assert len(wire.sent) == 1


@pytest.mark.parametrize("flavour", ["sqlserver", "babelfish"])
def test_both_dialects_have_the_same_statements(flavour: str) -> None:
    elsewhere = set(registry.queries("postgresql")) - {"hold", "hold_lane", "execute"}
    here = mssql._queries(flavour)
    assert set(here) - {"carries", "describe"} == elsewhere
    for name, sql in here.items():
        if sql:
            assert sql.startswith("DECLARE @a nvarchar(max) = ?;"), name
            assert sql.count("?") == 1, name
