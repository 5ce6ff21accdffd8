"""The three roles of `procver init --roles`: each can do its part, through the command line, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from procver import Resolver
from tests.cli.untouched import refused
from tests.live.conftest import ALONE, THINGS
from tests.live.staff import OTHER, Staff, staffed
from tests.servers import Server

PAGE = Path(__file__).parents[2] / "docs" / "roles.md"
HAND_OVER = PAGE.read_text("utf-8").split("## Handing over")[1].split("```sql\n")[1].split("```")[0]
"""What the page says for a registry that is older than its roles."""


@pytest.fixture
def staff(tmp_path: Path, url: str) -> Iterator[Staff]:
    """A project whose roles are there, and nothing else yet."""
    made = staffed(tmp_path / "project", url)
    made.hire()
    yield made
    made.dismiss()


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Staff]:
    """A project with two releases and a trial, for what changes nothing."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    made = staffed(tmp_path_factory.mktemp("roles") / "project", server.url(name))
    made.hire()
    made.prepare()
    made.shop.write(alone=ALONE.replace("42", "44"))
    made.run("publisher", "publish", "-r", "trial")
    made.shop.write(alone=OTHER)
    yield made
    made.dismiss()
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_each_role_does_its_part(staff: Staff) -> None:
    shop = staff.shop
    staff.prepare()
    owners = shop.sql(
        "SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc WHERE proname ~ '_[0-9]$' AND pronamespace = 'app'::regnamespace"
    )
    assert owners == [(f"{staff.prefix}_publisher",)], "no version belongs to a login"

    # The collector, which owns nothing, condemns and drops.
    assert "condemned app.alone_1" in staff.run("collector", "gc", "--apply")
    assert "dropped app.alone_1" in staff.run("collector", "gc", "--apply")
    assert "app.alone_1" not in shop.objects()
    assert "app.foreign_one" in shop.objects()

    # The app answers by its own release's versions, and knows that all of them are there.
    with psycopg.connect(staff.url("app")) as connection:
        procs = Resolver.from_database(connection, release="2", project="shop")
        procs.verify(connection)
        assert connection.execute(f"SELECT {procs['app.alone']}()").fetchall() == [(43,)]
        assert connection.execute(f"SELECT count(*) FROM {procs['app.things']}").fetchall() == [
            (3,)
        ]
        assert connection.execute(f"SELECT {procs['app.count_things']}()").fetchall() == [(3,)]

    # The publisher brings it back, and takes a trial away.
    staff.run("publisher", "release", "activate", "1", "--restore")
    assert "app.alone_1" in shop.objects()
    staff.run("publisher", "release", "retire", "1")
    shop.write(alone=ALONE.replace("42", "44"))
    staff.run("publisher", "publish", "-r", "3")
    staff.run("publisher", "release", "discard", "3")
    assert "app.alone_3" not in shop.objects()
    assert shop.json("verify")["findings"] == []
    who = {event["action"]: event["actor"] for event in shop.json("log", "--all")["events"]}
    assert who["publish"] == who["restore"] == who["discard"] == staff.login("publisher")
    assert who["condemn"] == who["drop"] == staff.login("collector")


def test_a_view_and_all_overloads_are_dropped_through_the_registrys_owner(staff: Staff) -> None:
    shop = staff.shop
    shop.write(
        alone="CREATE FUNCTION app.alone(n int, t text[]) RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
        "CREATE FUNCTION app.alone(x app.thing, VARIADIC \"y z\" varchar[]) RETURNS int LANGUAGE sql AS 'SELECT 2';\n",
        proc="CREATE PROCEDURE app.proc(INOUT a int) LANGUAGE plpgsql AS 'BEGIN a := 1; END';\n",
        heap="CREATE MATERIALIZED VIEW app.heap AS SELECT t.id FROM app.thing t;\n",
    )
    staff.run("publisher", "publish", "-r", "1")
    staff.run("publisher", "release", "activate", "1")
    shop.sql(staff.script())
    shop.remove("proc", "heap", "things", "find_things", "count_things")
    shop.write(alone=ALONE)
    staff.run("publisher", "publish", "-r", "2")
    staff.run("publisher", "release", "activate", "2")
    staff.run("publisher", "release", "retire", "1")
    for _ in range(2):
        staff.run("collector", "gc", "--apply")
    assert shop.objects() == {"app.alone_2", "app.foreign_one"}


def test_what_something_else_depends_on_is_named_to_the_collector_too(staff: Staff) -> None:
    shop = staff.shop
    staff.prepare()
    shop.write(things=THINGS.replace("t.name", "t.name, t.price"))
    staff.run("publisher", "publish", "-r", "3")
    staff.run("publisher", "release", "activate", "3")
    staff.run("publisher", "release", "retire", "2")
    shop.sql("CREATE VIEW app.report AS SELECT * FROM app.things_1")
    staff.run("collector", "gc", "--apply")
    assert "view app.report depends on it" in staff.run("collector", "gc")
    assert staff.run("collector", "gc", "--apply").count("dropped app.") == 3
    assert "app.things_1" in shop.objects()


NEVER = "permission denied"

COMMANDS: list[tuple[str, tuple[str, ...], bool]] = [
    ("collector", ("gc",), True),
    ("collector", ("status",), True),
    ("collector", ("log",), True),
    ("collector", ("verify",), True),
    ("collector", ("release", "list"), True),
    ("collector", ("release", "show", "2"), True),
    ("collector", ("why", "app.alone_2"), True),
    ("collector", ("plan",), True),
    ("collector", ("publish", "-r", "2"), True),  # nothing to do
    ("collector", ("publish", "-r", "9"), False),
    ("collector", ("release", "activate", "1"), False),
    ("collector", ("release", "activate", "2", "-i", "web-1"), False),
    ("collector", ("release", "retire", "2"), False),
    ("collector", ("release", "discard", "trial"), False),
    ("app", ("gc",), False),
    ("app", ("gc", "--apply"), False),
    ("app", ("status",), False),
    ("app", ("log",), False),
    ("app", ("release", "list"), False),
    ("app", ("plan",), False),
    ("app", ("publish", "-r", "9"), False),
    ("app", ("release", "activate", "2"), False),
    ("publisher", ("gc",), True),
    ("publisher", ("status",), True),
    ("publisher", ("log",), True),
    ("publisher", ("verify",), True),
]


@pytest.mark.parametrize(
    ("role", "words", "allowed"), COMMANDS, ids=[f"{r}-{'-'.join(w)}" for r, w, _ in COMMANDS]
)
def test_what_a_role_may_ask_for(
    settled: Staff, role: str, words: tuple[str, ...], allowed: bool
) -> None:
    if allowed:
        settled.run(role, *words)
    else:
        said = refused(
            settled.shop,
            *words,
            "-t",
            settled.url(role),
            code=3,
            error="ddl" if "discard" in words else "database",
            says=(NEVER,),
        )
        assert "procver init --roles" in said


STATEMENTS: list[tuple[str, str, bool]] = [
    # the app
    ("app", "SELECT app.alone_2()", True),
    ("app", "SELECT * FROM app.things_1", True),
    ("app", "SELECT count(*) FROM procver.mapping", True),
    ("app", "SELECT procver.beat('shop', '2', 'web-1')", True),
    ("app", "SELECT count(*) FROM procver.channel_release", True),
    ("app", "SELECT * FROM procver.channel", False),
    ("app", "SELECT * FROM app.thing", False),
    ("app", "SELECT * FROM procver.instance", False),
    ("app", "SELECT procver.require_silence(1, '1s', '{{}}')", False),
    ("app", "SELECT * FROM procver.version", False),
    ("app", "SELECT * FROM procver.event", False),
    ("app", "UPDATE procver.release SET retired_at = now()", False),
    ("app", "SELECT procver.hold(1, 1)", False),
    ("app", "SELECT procver.drop_part(1, '')", False),
    ("app", "CREATE FUNCTION app.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", False),
    ("app", "DROP FUNCTION app.alone_2()", False),
    ("app", "ALTER FUNCTION app.alone_2() OWNER TO {prefix}_app", False),
    # the collector
    ("collector", "SELECT * FROM procver.version", True),
    ("collector", "SELECT procver.beat('shop', '2', 'web-1')", False),
    ("collector", "UPDATE procver.instance SET last_seen_at = now()", False),
    ("collector", "SELECT app.alone_2()", False),
    ("collector", "SELECT * FROM app.things_1", False),
    ("collector", "SELECT * FROM app.thing", False),
    ("collector", "DROP FUNCTION app.alone_2()", False),
    ("collector", "DROP FUNCTION app.foreign_one()", False),
    ("collector", "DROP TABLE app.thing", False),
    (
        "collector",
        "SELECT procver.drop_part(v.id, '') FROM procver.version v WHERE v.leaf = 'alone_2'",
        False,
    ),
    ("collector", "SELECT procver.drop_part(-1, '')", False),
    ("collector", "CREATE FUNCTION app.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", False),
    ("collector", "CREATE TABLE procver.mine (id int)", False),
    (
        "collector",
        "INSERT INTO procver.version OVERRIDING SYSTEM VALUE SELECT * FROM procver.version",
        False,
    ),
    ("collector", "UPDATE procver.version SET schema = 'app', leaf = 'foreign_one'", False),
    ("collector", "UPDATE procver.version SET definition = '[]'", False),
    ("collector", "DELETE FROM procver.version", False),
    ("collector", "UPDATE procver.release SET retired_at = now()", False),
    ("collector", "UPDATE procver.project SET name = 'x'", False),
    ("collector", "DELETE FROM procver.event", False),
    ("collector", "UPDATE procver.event SET actor = 'x'", False),
    (
        "collector",
        "INSERT INTO procver.event (project_id, action, subject, actor) VALUES (1, 'drop', 'x', 'y')",
        False,
    ),
    ("collector", "SET ROLE {prefix}_publisher", False),
    # the publisher
    ("publisher", "SELECT count(*) FROM app.thing", True),  # as given
    ("publisher", "INSERT INTO app.thing VALUES (9, 'x', 1)", False),
    ("publisher", "DROP TABLE app.thing", False),
    ("publisher", "DROP FUNCTION app.foreign_one()", False),
    (
        "publisher",
        "CREATE OR REPLACE FUNCTION app.foreign_one() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        False,
    ),
    ("publisher", "CREATE SCHEMA other", False),
    ("publisher", "CREATE ROLE other", False),
    ("publisher", "CREATE TABLE elsewhere.mine (id int)", False),
]


@pytest.mark.parametrize(
    ("role", "statement", "allowed"), STATEMENTS, ids=[f"{r}-{s[:50]}" for r, s, _ in STATEMENTS]
)
def test_what_a_role_may_say(settled: Staff, role: str, statement: str, allowed: bool) -> None:
    settled.shop.sql("CREATE SCHEMA IF NOT EXISTS elsewhere")
    with psycopg.connect(settled.url(role)) as connection:
        text = statement.format(prefix=settled.prefix).encode()
        if allowed:
            connection.execute(text)
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(text)
        connection.rollback()


def test_retiring_what_is_idle_takes_one_right_more(staff: Staff) -> None:
    shop = staff.shop
    staff.prepare()
    staff.run("publisher", "publish", "-r", "3")
    staff.run("publisher", "release", "activate", "3")
    with psycopg.connect(staff.url("app"), autocommit=True) as connection:
        connection.execute(
            "SELECT procver.beat('shop', '2', 'web-1'), procver.beat('shop', '3', 'web-2')"
        )
    for change in (
        "instance SET last_seen_at = now() - interval '20 days' WHERE name = 'web-1'",
        "release SET activated_at = now() - interval '30 days' WHERE name = '2'",
    ):
        shop.sql(f"UPDATE procver.{change}")
    words = ("gc", "--apply", "--retire-idle")
    assert "procver init --roles" in staff.run("collector", *words, code=3)
    page = PAGE.read_text("utf-8")
    grant = "GRANT UPDATE (retired_at) ON procver.release TO procver_collector"
    assert grant in page
    shop.sql(grant.replace("procver_collector", f"{staff.prefix}_collector"))
    staff.run("collector", *words)
    states = {
        release["name"]: release["state"] for release in shop.json("release", "list")["releases"]
    }
    assert states == {"1": "retired", "2": "retired", "3": "live"}


def test_quarantine_takes_an_owner(staff: Staff) -> None:
    shop = staff.shop
    staff.prepare()
    text = (shop.root / "procver.toml").read_text("utf-8")
    (shop.root / "procver.toml").write_text(
        text.replace('grace = "0s"', 'grace = "0s"\nquarantine = "1h"'), "utf-8"
    )
    staff.run("collector", "gc", "--apply")
    assert "procver init --roles" in staff.run("collector", "gc", "--apply", code=3)
    page = PAGE.read_text("utf-8")
    grant = "GRANT procver_publisher TO procver_collector"
    assert grant in page
    shop.sql(grant.replace("procver_", f"{staff.prefix}_"))
    staff.run("collector", "gc", "--apply")
    quarantined = shop.sql("SELECT physical FROM procver.version WHERE quarantined_at IS NOT NULL")
    assert quarantined == [("app.alone_1",)]


def test_the_script_may_be_run_at_any_time(settled: Staff) -> None:
    def rights() -> list[tuple[object, ...]]:
        return settled.shop.sql(
            "SELECT c.oid, c.relacl::text, c.relowner FROM pg_class c WHERE c.relnamespace = 'procver'::regnamespace"
            " UNION ALL SELECT p.oid, p.proacl::text, p.proowner FROM pg_proc p WHERE p.pronamespace = 'procver'::regnamespace"
            " UNION ALL SELECT n.oid, n.nspacl::text, n.nspowner FROM pg_namespace n WHERE n.nspname IN ('app', 'procver')"
            " ORDER BY 1"
        )

    before = rights()
    settled.shop.sql(settled.script())
    assert rights() == before


def test_a_registry_from_before_the_roles_changes_hands(tmp_path: Path, url: str) -> None:
    staff = staffed(tmp_path / "project", url)
    (staff.shop.root / "procver.toml").write_text(
        (staff.shop.root / "procver.toml").read_text().partition("[grants]")[0]
    )
    shop = staff.shop
    shop.publish("1")
    staff.hire()
    try:
        shop.write(alone=OTHER)
        shop.run("lock")
        refused(
            shop, "publish", "-r", "2", "-t", staff.url("publisher"), code=3, error="database",
            says=("postgres",), hint=("hand the version before",), look=False,
        )  # fmt: skip
        shop.sql(HAND_OVER.replace("procver_publisher", f"{staff.prefix}_publisher"))
        staff.run("publisher", "publish", "-r", "2")
        staff.run("collector", "status")
        assert {"app.alone_1", "app.alone_2"} <= shop.objects()
        assert {f["rule"] for f in shop.json("verify", code=1)["findings"]} == {"owner"}
    finally:
        staff.dismiss()


def test_a_publisher_needs_no_right_on_the_database(staff: Staff) -> None:
    rights = staff.shop.sql(
        "SELECT has_database_privilege(%s, current_database(), 'CREATE')", staff.login("publisher")
    )
    assert rights == [(False,)]
    staff.run("publisher", "publish", "-r", "1")


def test_the_owner_of_the_database_without_being_superuser(staff: Staff, tmp_path: Path) -> None:
    # As on managed servers: whoever sets things up may create roles, and owns schemas and database.
    shop, admin = staff.shop, f"{staff.prefix}_admin"
    database = shop.sql("SELECT current_database()")[0][0]
    staff.dismiss()
    shop.sql(
        f"CREATE ROLE {admin} LOGIN CREATEROLE; ALTER SCHEMA app OWNER TO {admin}; ALTER DATABASE {database} OWNER TO {admin}"
    )
    script, own = staff.script(), staff.url("app").replace(staff.login("app"), admin)
    shop.sql("DROP SCHEMA IF EXISTS procver")
    with psycopg.connect(own) as connection:
        for _ in range(2):
            connection.execute(script.encode())
    shop.sql(f"ALTER SCHEMA app OWNER TO postgres; ALTER DATABASE {database} OWNER TO postgres")
    staff.hire()
    staff.run("publisher", "publish", "-r", "1")
    staff.run("app", "status", code=3)
    shop.sql(f"DROP OWNED BY {admin} CASCADE")
    for role in Staff.LOGINS:
        shop.sql(f"REVOKE {staff.prefix}_{role} FROM {admin} CASCADE")
    shop.sql(f"DROP ROLE {admin}")
