"""The resolver against a real PostgreSQL: the registry's view in, missing versions out."""

import psycopg
import pytest

from procver import DatabaseError, FindingsError, Resolver, UsageError

REGISTRY = """
CREATE SCHEMA procver;
CREATE TABLE procver.mapping (project text, release text, dialect text, default_schema text,
    name text, kind text, version int, physical text, fingerprint text);
INSERT INTO procver.mapping VALUES
    ('shop', 'r1', 'postgresql', 'app', 'app.fn', 'function', 1, 'app.fn_1', 'v1:a'),
    ('shop', 'r1', 'postgresql', 'app', 'app."V.""x"', 'view', 2, 'app."V.""x_2"', 'v1:b'),
    ('shop', 'r2', 'postgresql', 'app', 'app.fn', 'function', 2, 'app.fn_2', 'v1:c'),
    ('till', 'r2', 'postgresql', 'app', 'app.fn', 'function', 9, 'app.fn_9', 'v1:d');
"""
OBJECTS = """
CREATE SCHEMA app;
CREATE SCHEMA "My.App";
CREATE FUNCTION app.fn_1() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.fn_1(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.pr_1() LANGUAGE sql AS 'SELECT 1';
CREATE VIEW app."V.""x_2" AS SELECT 1 AS a;
CREATE VIEW "My.App".v_1 AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW app.m_1 AS SELECT 1 AS a;
CREATE TABLE app.t_1 (a int);
"""


@pytest.fixture
def database(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(REGISTRY + OBJECTS)
    return url


@pytest.fixture(params=["tuples", "dictionaries", "autocommit"])
def connection(database, request):
    options = {
        "tuples": {},
        "dictionaries": {"row_factory": psycopg.rows.dict_row},
        "autocommit": {"autocommit": True},
    }
    with psycopg.connect(database, **options[request.param]) as opened:
        yield opened


def test_from_database(connection):
    found = Resolver.from_database(connection, release="r1")
    assert dict(found) == {"app.fn": "app.fn_1", 'app."V.""x"': 'app."V.""x_2"'}
    assert (found.release, found.dialect, found["fn"]) == ("r1", "postgresql", "app.fn_1")
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    found.verify(connection)
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_two_projects_may_have_a_release_of_one_name(connection):
    with pytest.raises(UsageError, match="several projects have a release 'r2': shop, till"):
        Resolver.from_database(connection, release="r2")
    found = Resolver.from_database(connection, release="r2", project="till")
    assert found["app.fn"] == "app.fn_9"


@pytest.mark.parametrize("release", ["r9", "", "'; DROP SCHEMA procver CASCADE; --", "%s"])
def test_an_unknown_release(connection, release):
    with pytest.raises(UsageError) as caught:
        Resolver.from_database(connection, release=release)
    assert "procver release list" in caught.value.hint
    Resolver.from_database(connection, release="r1")


def test_no_registry(url):
    with psycopg.connect(url) as connection:
        with pytest.raises(UsageError, match="no procver registry"):
            Resolver.from_database(connection, release="r1")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_no_right_to_read_the_registry(database):
    with psycopg.connect(database) as connection:
        connection.execute("SET ROLE app")
        with pytest.raises(DatabaseError) as caught:
            Resolver.from_database(connection, release="r1")
    assert "grant" in caught.value.hint
    assert caught.value.sqlstate == "42501"


def verify(connection, **objects):
    rows = {physical: (kind, physical) for kind, names in objects.items() for physical in names}
    Resolver("r1", "postgresql", rows).verify(connection)


def test_everything_there(connection):
    verify(
        connection,
        function=["app.fn_1"],
        procedure=["app.pr_1"],
        view=['app."V.""x_2"', '"My.App".v_1'],
        materialized_view=["app.m_1"],
    )
    verify(connection)


@pytest.mark.parametrize(
    ("kind", "physical"),
    [
        ("function", "app.fn_2"),
        ("function", "other.fn_1"),
        ("function", "app.pr_1"),
        ("procedure", "app.fn_1"),
        ("view", "app.t_1"),
        ("view", "app.m_1"),
        ("materialized_view", '"My.App".v_1'),
        ("view", '"My"."App.v_1"'),
        ("view", 'app."V.x_2"'),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(connection, kind, physical):
    with pytest.raises(FindingsError) as caught:
        verify(connection, **{kind: [physical]})
    assert physical in str(caught.value)
    assert "restore" in caught.value.hint
    assert caught.value.exit_code == 1


def test_many_missing_are_counted(connection):
    with pytest.raises(FindingsError, match=r"app.g_0, .*app.g_9 and 90 more$"):
        verify(connection, function=["app.fn_1", *(f"app.g_{n}" for n in range(100))])


def test_work_in_progress_is_left_alone(database):
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE app.mine (a int)")
        verify(connection, function=["app.fn_1"])
        with pytest.raises(FindingsError):
            verify(connection, function=["app.gone_1"])
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        assert connection.execute("SELECT to_regclass('app.mine')").fetchone() != (None,)
        connection.rollback()


def test_one_query_for_ten_thousand(database):
    with psycopg.connect(database) as connection:
        sent = []

        class Counting(psycopg.Cursor):
            def execute(self, query, *arguments, **options):
                sent.append(query)
                return super().execute(query, *arguments, **options)

        connection.cursor_factory = Counting
        with pytest.raises(FindingsError, match="and 9990 more"):
            verify(connection, function=[f"app.h_{n}" for n in range(10_000)])
    assert len(sent) == 1


def test_a_connection_that_is_gone(database):
    connection = psycopg.connect(database)
    connection.close()
    with pytest.raises(DatabaseError):
        verify(connection, function=["app.fn_1"])
