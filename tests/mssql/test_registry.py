"""The registry and the catalog on a real server, with hand-made versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from procver.dialects import Call, DdlError, Unit
from procver.dialects.mssql import MssqlDatabase
from procver.errors import ConflictError, DatabaseError, FindingsError, StalePlanError, UsageError
from procver.evidence import evidence_against
from procver.known import Known
from procver.registry import reading, upgrades, writing
from procver.registry.writing import Goner, NewVersion
from procver.resolver import _VERIFY, Resolver
from tests.mssql.conftest import Place
from tests.mssql.versions import COUNT, FIND, VIEW, things, version

Read = Callable[[], Known]


def publish(database: MssqlDatabase, known: Known, versions: list[NewVersion]) -> None:
    units = writing.creation(known.project_id, versions, [])
    assert len(list(database.run(known.project_id, known.generation, units))) >= 1


def ids(known: Known, *labels: str) -> list[int]:
    return [v.id for v in known.versions.values() if not labels or v.label in labels]


def catalog(database: MssqlDatabase, known: Known) -> dict[int, tuple[Any, ...]]:
    rows = database.read(Call("catalog", {"ids": ids(known)}))[0]
    return {row[0]: row[1:] for row in rows}


def acl(database: MssqlDatabase, known: Known, label: str) -> set[tuple[str | None, str, bool]]:
    privileges = catalog(database, known)[ids(known, label)[0]][3]
    return {tuple(entry) for entry in privileges[0]["acl"]}


def test_versions_and_what_the_registry_says_of_them(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    before = datetime.now(UTC)
    publish(database, known(), things())
    found = known()
    assert found.generation == 1
    assert abs(found.now - before) < timedelta(hours=1)
    assert {v.physical: (str(v.kind), v.state, v.found) for v in found.versions.values()} == {
        "dbo.Wanted_1": ("table_type", "present", True),
        "dbo.vThings_1": ("view", "present", True),
        "dbo.spFind_1": ("procedure", "present", True),
        "dbo.fnCount_1": ("function", "present", True),
    }
    view = found.versions["dbo.vThings", 1].id
    assert set(found.requires.values()) == {(view,)}
    assert place.sql("EXEC dbo.spFind_1 @id = 1") == [("Ąж",)]
    assert place.sql("SELECT dbo.fnCount_1()") == [(1,)]
    for was, now, given, given_now in catalog(database, found).values():
        assert was == now
        assert was.startswith("sha256:")
        assert given == given_now
    stored = database.read(Call("definitions", {"ids": [view]}))[0][0]
    assert stored[1] == [[VIEW, "definition"]]
    assert place.sql("SELECT COUNT(*) FROM procver.dependency") == [(2,)]


def test_setting_up_twice_is_setting_up_once(place: Place, database: MssqlDatabase) -> None:
    assert database.install()
    assert place.sql("SELECT COUNT(*) FROM procver.upgrade") == [(len(upgrades("mssql")),)]
    place.sql("INSERT procver.upgrade (number, name) VALUES (99, 'later')")
    with pytest.raises(ConflictError, match="level 99"):
        database.install(create=False)


def test_a_schema_called_procver_that_is_not_ours(empty: Place) -> None:
    empty.sql("CREATE SCHEMA procver")
    empty.sql("CREATE TABLE procver.things (id int)")
    database = empty.open()
    with pytest.raises(ConflictError, match="procver did not make it"):
        database.install()
    database.close()


def test_drift_is_seen_and_layout_is_none(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    publish(database, known(), things())
    again = FIND.replace(" AS SELECT", "\r\nAS\r\n\tSELECT")
    place.sql("DROP PROCEDURE dbo.spFind_1")
    place.sql(again)
    place.sql("DROP FUNCTION dbo.fnCount_1")
    place.sql(COUNT.replace("COUNT(*)", "COUNT(id)"))
    found = known()
    state = catalog(database, found)
    alike = {
        label: state[ids(found, label)[0]][0] == state[ids(found, label)[0]][1]
        for label, _ in found.versions
    }
    assert alike == {
        "dbo.spFind": True,
        "dbo.fnCount": False,
        "dbo.vThings": True,
        "dbo.Wanted": True,
    }
    place.sql("DROP PROCEDURE dbo.spFind_1")
    assert not known().versions["dbo.spFind", 1].found


def drop_and_restore(database: MssqlDatabase, known: Read, made: NewVersion) -> None:
    """Collect a version and bring it back from what the registry keeps of it."""
    found = known()
    target = found.versions[made.label, made.number]
    statements = [s for _, s in database.read(Call("drops", {"ids": [target.id]}))[0]]
    units = [
        writing.condemn(found.project_id, [target]),
        writing.keep_privileges([target]),
        writing.drop([Goner(target, statements, "test")]),
    ]
    assert list(database.run(found.project_id, found.generation, units)) == [0, 1, 2]
    found = known()
    assert (found.by_id[target.id].state, found.by_id[target.id].found) == ("dropped", False)
    row = database.read(Call("definitions", {"ids": [target.id]}))[0][0]
    back = made._replace(
        definition=tuple((text, role) for text, role in row[1]),
        privileges={"version": target.id, "wholly": True},
    )
    publish(database, found, [back])
    assert known().versions[made.label, made.number].id == target.id, "the same, not a new one"


def test_a_drop_and_a_restore_give_back_text_and_grants(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    place.sql("CREATE ROLE readers")
    place.sql("CREATE ROLE others")
    made = version("spFind", "procedure", FIND, after=("GRANT EXECUTE ON dbo.spFind_1 TO others",))
    publish(database, known(), [things()[1], made])
    place.sql("REVOKE EXECUTE ON dbo.spFind_1 FROM others")
    place.sql("GRANT EXECUTE ON dbo.spFind_1 TO readers")
    drop_and_restore(database, known, made)
    assert acl(database, known(), "dbo.spFind") == {("readers", "EXECUTE", False)}
    logged = database.read(Call("events", {"project": "shop"}))[0]
    assert [(row[3], row[4], row[5]["why"]) for row in logged if row[3] == "drop"] == [
        ("drop", "dbo.spFind_1", "test")
    ]


def test_what_an_administrator_changed_after_publication_outlives_a_restore(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    """The source grants and describes; what it says no longer counts once somebody said otherwise."""
    place.sql("CREATE ROLE readers")
    place.sql("CREATE ROLE others")
    about = "EXEC {} N'{}', {} N'SCHEMA', N'dbo', N'VIEW', N'vThings_1'"
    add, change, remove = (f"sp_{verb}extendedproperty" for verb in ("add", "update", "drop"))
    made = version(
        "vThings", "view", VIEW,
        after=(
            "GRANT SELECT ON dbo.vThings_1 TO others",
            "GRANT SELECT ON dbo.vThings_1 (id) TO readers",
            about.format(add, "MS_Description", "N'old',"),
            about.format(add, "Owner", "N'us',"),
            about.format(add, "MS_Description", "N'the key',") + ", N'COLUMN', N'id'",
        ),
    )  # fmt: skip
    publish(database, known(), [made])
    place.sql("REVOKE SELECT ON dbo.vThings_1 FROM others")
    place.sql("REVOKE SELECT ON dbo.vThings_1 (id) FROM readers")
    place.sql("REVOKE SELECT ON dbo.vThings_1 FROM readers")  # Babelfish: the column's does nothing
    place.sql("GRANT SELECT ON dbo.vThings_1 (name) TO readers")
    place.sql("CREATE ROLE third")
    place.sql("GRANT SELECT ON dbo.vThings_1 TO third WITH GRANT OPTION")
    place.sql(about.format(change, "MS_Description", "N'it''s new',"))
    place.sql(about.format(remove, "Owner", ""))
    place.sql(about.format(remove, "MS_Description", "") + ", N'COLUMN', N'id'")
    place.sql(about.format(add, "MS_Description", "N'a name',") + ", N'COLUMN', N'name'")
    drop_and_restore(database, known, made)
    found = known()
    given = catalog(database, found)[found.versions["dbo.vThings", 1].id][3][0]
    assert {tuple(entry) for entry in given["acl"]} == {
        ("readers", "SELECT ([name])", False),
        ("third", "SELECT", True),
    }
    assert ["MS_Description", "it's new"] in given["properties"]
    if not database.server.babelfish:  # which lists no properties of a view's columns
        given["properties"].remove(["MS_Description", "a name", "COLUMN", "name"])
    assert len(given["properties"]) == 1


def test_an_owner_that_was_taken_back_outlives_a_restore(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    if database.server.babelfish:
        pytest.skip("Babelfish knows no owner of a single object")
    place.sql("CREATE ROLE readers")
    place.sql("CREATE ROLE keepers")
    made = version(
        "vThings", "view", VIEW,
        after=(
            "ALTER AUTHORIZATION ON dbo.vThings_1 TO keepers",
            "GRANT SELECT ON dbo.vThings_1 TO readers",
        ),
    )  # fmt: skip
    publish(database, known(), [made])
    view = known().versions["dbo.vThings", 1].id
    assert catalog(database, known())[view][3][0]["own"] == "keepers"
    place.sql("ALTER AUTHORIZATION ON dbo.vThings_1 TO SCHEMA OWNER")
    place.sql("GRANT SELECT ON dbo.vThings_1 TO readers")
    drop_and_restore(database, known, made)
    given = catalog(database, known())[view][3][0]
    assert given["own"] is None
    assert given["acl"] == [["readers", "SELECT", False]]


def test_grants_go_from_version_to_version(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    place.sql("CREATE ROLE readers")
    place.sql("CREATE ROLE [o brien]")
    publish(database, known(), [things()[1]])
    place.sql("GRANT SELECT ON dbo.vThings_1 TO readers WITH GRANT OPTION")
    place.sql("GRANT SELECT ON dbo.vThings_1 (id) TO [o brien]")
    place.sql("GRANT SELECT ON dbo.vThings_1 (name) TO [o brien]")
    place.sql(
        "EXEC sp_addextendedproperty N'MS_Description', N'what''s here', N'SCHEMA', N'dbo', N'VIEW', N'vThings_1'"
    )
    like = {"like": {"schema": "dbo", "leaf": "vThings_1", "kind": "view"}}
    second = version(
        "vThings", "view", "CREATE VIEW dbo.vThings_2 AS SELECT 2 AS id", number=2, privileges=like
    )
    publish(database, known(), [second])
    found = known()
    now = catalog(database, found)[found.versions["dbo.vThings", 2].id][3][0]
    # The grant on a column that the new version does not have goes.
    assert {tuple(entry) for entry in now["acl"]} == {
        ("readers", "SELECT", True),
        ("o brien", "SELECT ([id])", False),
    }
    assert now["properties"] == [["MS_Description", "what's here"]]


def test_properties_that_the_source_sets_have_precedence(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    says = "EXEC sp_addextendedproperty N'MS_Description', N'{}', N'SCHEMA', N'dbo', N'VIEW', N'vThings_{}'"
    publish(database, known(), [version("vThings", "view", VIEW, after=(says.format("old", 1),))])
    like = {"like": {"schema": "dbo", "leaf": "vThings_1", "kind": "view"}}
    second = version(
        "vThings", "view", "CREATE VIEW dbo.vThings_2 AS SELECT 2 AS id", number=2, privileges=like,
        after=(says.format("new", 2),),
    )  # fmt: skip
    publish(database, known(), [second])
    found = known()
    now = catalog(database, found)[found.versions["dbo.vThings", 2].id][3][0]
    assert now["properties"] == [["MS_Description", "new"]]


def test_grants_of_the_configuration_fit_each_kind(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    place.sql("CREATE ROLE app")
    wanted = [
        ["app", "EXECUTE", False],
        ["app", "SELECT", False],
        [None, "EXECUTE", False],
        ["gone", "EXECUTE", False],
    ]
    kind, view, find, count = (v._replace(privileges={"exactly": wanted}) for v in things())
    rows = version(
        "fnRows", "function", "CREATE FUNCTION dbo.fnRows_1() RETURNS TABLE AS RETURN (SELECT 1 AS id)",
        privileges={"exactly": wanted},
    )  # fmt: skip
    publish(database, known(), [kind, view, find, count, rows])
    found = known()
    execute = {("app", "EXECUTE", False), (None, "EXECUTE", False)}
    assert acl(database, found, "dbo.spFind") == execute
    assert acl(database, found, "dbo.fnCount") == execute
    assert acl(database, found, "dbo.vThings") == {("app", "SELECT", False)}
    if not database.server.babelfish:
        assert acl(database, found, "dbo.fnRows") == {("app", "SELECT", False)}
        assert acl(database, found, "dbo.Wanted") == execute


def test_a_deny_goes_with_its_version(place: Place, database: MssqlDatabase, known: Read) -> None:
    if database.server.babelfish:
        pytest.skip("Babelfish knows no DENY")
    place.sql("CREATE ROLE readers")
    publish(database, known(), [things()[1]])
    place.sql("DENY SELECT ON dbo.vThings_1 TO readers")
    like = {"like": {"schema": "dbo", "leaf": "vThings_1", "kind": "view"}}
    second = version("vThings", "view", VIEW.replace("_1", "_2"), number=2, privileges=like)
    publish(database, known(), [second])
    found = known()
    now = catalog(database, found)[found.versions["dbo.vThings", 2].id][3][0]
    assert now["acl"] == [["readers", "DENY SELECT", False]]


def test_what_depends_on_a_version_is_named(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    publish(database, known(), things())
    place.sql("CREATE PROCEDURE dbo.nightly AS EXEC(N'EXEC dbo.SPFIND_1 @id = 1')")
    place.sql("CREATE VIEW dbo.theirs AS SELECT id FROM dbo.vThings_1")
    place.sql("CREATE PROCEDURE dbo.other AS SELECT 1 AS spFind_10, 2 AS myspFind_1 -- fnCount_1x")
    evidence = evidence_against(database, "shop", known().by_id.values(), known().now)
    named = {known().by_id[v].label: why for v, why in evidence.against.items()}
    assert set(named) == {"dbo.spFind", "dbo.vThings"}
    assert "dbo.nightly" in named["dbo.spFind"]
    assert "dbo.theirs" in named["dbo.vThings"]
    assert evidence.unknown == ()


@pytest.mark.parametrize("column", ["CHECK (n < dbo.fnCount_1())", "DEFAULT dbo.fnCount_1()"])
def test_a_table_that_calls_a_version_is_named(
    place: Place, database: MssqlDatabase, known: Read, column: str
) -> None:
    publish(database, known(), things())
    place.sql(f"CREATE TABLE dbo.guarded (n int {column})")
    evidence = evidence_against(database, "shop", known().by_id.values(), known().now)
    named = {known().by_id[v].label: why for v, why in evidence.against.items()}
    assert set(named) == {"dbo.fnCount"}
    assert "guarded" in named["dbo.fnCount"]


def test_a_trigger_of_the_database_is_named(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    if database.server.babelfish:
        pytest.skip("Babelfish has no triggers of a database")
    publish(database, known(), things())
    place.sql("CREATE TRIGGER noticed ON DATABASE FOR CREATE_TABLE AS EXEC dbo.spFind_1 @id = 1")
    try:
        evidence = evidence_against(database, "shop", known().by_id.values(), known().now)
    finally:
        place.sql("DROP TRIGGER noticed ON DATABASE")
    named = {known().by_id[v].label: why for v, why in evidence.against.items()}
    assert named.keys() == {"dbo.spFind"}
    assert "database trigger noticed" in named["dbo.spFind"]


def test_a_version_of_another_project_is_somebody_elses(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    publish(database, known(), things())
    database.enter("depot", "dbo")
    theirs = reading.read(database, "depot")
    assert theirs is not None
    over = version("over", "view", "CREATE VIEW dbo.over_1 AS SELECT id FROM dbo.vThings_1")
    publish(database, theirs, [over])
    evidence = evidence_against(database, "shop", known().by_id.values(), known().now)
    named = {known().by_id[v].label: why for v, why in evidence.against.items()}
    assert set(named) == {"dbo.vThings"}, "what is ours is no evidence, what is theirs is"
    assert "dbo.over_1" in named["dbo.vThings"]


def test_names_that_are_taken_or_lack_something(place: Place, database: MssqlDatabase) -> None:
    place.sql("CREATE TABLE dbo.vThings_1 (id int)")
    place.sql("CREATE TYPE dbo.Wanted_1 AS TABLE (id int)")
    names = [
        {"schema": "dbo", "leaf": "VTHINGS_1", "routine": False},
        {"schema": "dbo", "leaf": "Wanted_1", "routine": False},
        {"schema": "nowhere", "leaf": "spFind_1", "routine": True},
    ]
    taken, schemas, roles = database.read(
        Call("taken", {"names": names}),
        Call("missing_schemas", {"names": names}),
        Call("missing_roles", {"roles": ["public", "nobody"]}),
    )
    assert {row[:2] for row in taken} == {("dbo", "VTHINGS_1"), ("dbo", "Wanted_1")}
    assert schemas == [("nowhere",)]
    assert roles == [("nobody",)]


def test_a_version_that_lands_in_another_schema_is_refused(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    place.sql("CREATE SCHEMA app")
    stray = version("spFind", "procedure", "CREATE PROCEDURE spFind_1 AS SELECT 1", schema="app")
    with pytest.raises(DatabaseError, match="default schema of this login is") as refused:
        publish(database, known(), [stray])
    assert "write the schema" in str(refused.value.hint)
    assert place.objects() == set()


def test_a_refused_definition_names_its_place_and_nothing_stays(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    bad = "-- a comment\nCREATE PROCEDURE dbo.spBad_1 AS\nBEGIN\n    SELEC 1;\nEND"
    with pytest.raises(DdlError, match=r"(?i)syntax") as refused:
        publish(database, known(), [things()[1], version("spBad", "procedure", bad)])
    assert refused.value.position is not None
    assert bad.count("\n", 0, refused.value.position) == 3
    assert place.objects() == set()
    assert known().generation == 0


def test_a_version_in_use_is_not_dropped(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    publish(database, known(), things())
    place.sql("CREATE VIEW dbo.bound WITH SCHEMABINDING AS SELECT id FROM dbo.vThings_1")
    if database.server.babelfish or place.sql(
        "SELECT is_schema_bound FROM sys.sql_modules WHERE object_id = OBJECT_ID('dbo.bound')"
    ) == [(True,)]:
        found = known()
        target = found.versions["dbo.vThings", 1]
        drop = writing.drop([Goner(target, ["DROP VIEW [dbo].[vThings_1]"], "test")])
        unit = Unit((*writing.condemn(found.project_id, [target]).steps, *drop.steps))
        with pytest.raises(DdlError) as refused:
            list(database.run(found.project_id, found.generation, [unit]))
        assert refused.value.step.subject == target.id
        assert known().versions["dbo.vThings", 1].state == "present"


def test_settings_of_one_file_do_not_reach_the_next(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    off = ("SET QUOTED_IDENTIFIER OFF", "SET ANSI_NULLS OFF")
    one = version(
        "spOne", "procedure", 'CREATE PROCEDURE dbo.spOne_1 AS SELECT "text" AS x', settings=off
    )
    two = version("spTwo", "procedure", 'CREATE PROCEDURE dbo.spTwo_1 AS SELECT 1 AS "x y"')
    publish(database, known(), [one, two])
    assert place.sql("EXEC dbo.spTwo_1") == [(1,)]
    if not database.server.babelfish:  # which takes the caller's settings
        assert place.sql("EXEC dbo.spOne_1") == [("text",)]
        rows = place.sql(
            "SELECT OBJECT_NAME(object_id), uses_quoted_identifier, uses_ansi_nulls FROM sys.sql_modules"
            " WHERE object_id IN (OBJECT_ID('dbo.spOne_1'), OBJECT_ID('dbo.spTwo_1'))"
        )
        assert set(rows) == {("spOne_1", False, False), ("spTwo_1", True, True)}


def test_a_plan_made_before_another_write_is_stale(
    place: Place, database: MssqlDatabase, known: Read
) -> None:
    old = known()
    publish(database, old, things()[:2])
    with pytest.raises(StalePlanError):
        publish(database, old, things()[2:])
    assert "dbo.spfind_1" not in place.objects()


def test_a_closed_connection_is_an_error_of_ours(empty: Place) -> None:
    connection = empty.plain(autocommit=False)
    connection.close()
    with pytest.raises(DatabaseError):
        Resolver.from_database(connection, release="2026.1")


def test_without_a_registry_the_resolver_says_so(empty: Place) -> None:
    connection = empty.plain()
    with pytest.raises(UsageError, match="no procver registry") as refused:
        Resolver.from_database(connection, release="2026.1")
    assert refused.value.hint
    connection.close()


@pytest.mark.parametrize("autocommit", [True, False])
def test_an_app_resolves_and_verifies(
    place: Place, database: MssqlDatabase, known: Read, autocommit: bool
) -> None:
    publish(database, known(), things())
    found = known()
    about = {
        "project_id": found.project_id, "release": "2026.1", "number": 1, "content": "c",
        "added": [{"name": v.label, "number": 1} for v in found.versions.values()],
        "removed": [], "spared": [],
    }  # fmt: skip
    unit = writing.Unit((Call("add_release", about), Call("insert_release", about)))
    assert list(database.run(found.project_id, found.generation, [unit])) == [0]
    connection = place.plain(autocommit=autocommit)
    resolver = Resolver.from_database(connection, release="2026.1")
    assert resolver["dbo.spFind"] == "dbo.spFind_1"
    assert resolver["SPFIND"] == "dbo.spFind_1"
    resolver.verify(connection)
    if not autocommit and not database.server.babelfish:  # there even asking begins a transaction
        assert connection.execute("SELECT @@TRANCOUNT").fetchone()[0] == 0
    connection.rollback()
    place.sql("DROP PROCEDURE dbo.spFind_1")
    place.sql("DROP TYPE dbo.Wanted_1")
    with pytest.raises(
        FindingsError, match=r"dbo\.Wanted_1, dbo\.spFind_1|dbo\.spFind_1, dbo\.Wanted_1"
    ):
        resolver.verify(connection)
    connection.close()


def test_a_login_that_may_not_see_a_version_is_told_so(
    place: Place, database: MssqlDatabase, known: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(database, known(), things())
    resolver = Resolver("1", "mssql", {"dbo.gone": ("procedure", "dbo.gone_1")})
    connection = place.plain()
    with pytest.raises(FindingsError) as refused:
        resolver.verify(connection)
    assert "VIEW DEFINITION" not in str(refused.value.hint), "it sees all: what lacks is gone"
    if database.server.babelfish:  # which answers no to all that is asked of VIEW DEFINITION
        query = _VERIFY["mssql"].replace("SERVERPROPERTY('Babelfish') = 1", "1 = 0")
        monkeypatch.setitem(_VERIFY, "mssql", query)
        resolver = Resolver("1", "mssql", {"dbo.spFind": ("procedure", "dbo.spFind_9")})
    else:
        place.sql("CREATE USER app_blind WITHOUT LOGIN")
        connection.execute("EXECUTE AS USER = 'app_blind'")
        resolver = Resolver("1", "mssql", {"dbo.spFind": ("procedure", "dbo.spFind_1")})
    with pytest.raises(FindingsError) as refused:
        resolver.verify(connection)
    assert "GRANT VIEW DEFINITION ON SCHEMA::[dbo]" in str(refused.value.hint)
    if not database.server.babelfish:
        connection.execute("REVERT")
        place.sql("DROP USER app_blind")
    connection.close()
