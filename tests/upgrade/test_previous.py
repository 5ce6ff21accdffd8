"""A registry that 0.1.0 made, upgraded while apps with 0.1.0 run on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from procver import FindingsError, Resolver
from tests.behaviour.worlds import NEW, OLD, PostgresqlWorld, World
from tests.live.test_roles import Staff, staffed
from tests.mssql.conftest import TABLES
from tests.upgrade.conftest import Previous

FOLLOW = "globals().update(procs=Resolver.follow(opened, 'stable', project='shop'))"


def columns(world: World) -> dict[str, str]:
    """Return the columns of every table of the registry, but for those that the upgrade computes anew."""
    tables = [*TABLES, *(["lane"] if isinstance(world, PostgresqlWorld) else [])]
    query = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'procver' AND table_name = ?"
    quote = '"{}"' if isinstance(world, PostgresqlWorld) else "[{}]"
    found = {table: {name for (name,) in world.sql(query, table)} for table in tables}
    found["version"].discard("digest")
    return {table: ", ".join(map(quote.format, sorted(names))) for table, names in found.items()}


def rows(world: World, tables: dict[str, str]) -> dict[str, set[tuple[str, ...]]]:
    return {
        table: {tuple(map(repr, row)) for row in world.sql(f"SELECT {names} FROM procver.{table}")}
        for table, names in tables.items()
    }


def test_every_row_survives_the_upgrade(lived: World) -> None:
    tables = columns(lived)
    before = rows(lived, tables)
    assert all(before.values()), "no table is empty"
    lived.run("plan")
    assert lived.sql("SELECT MAX(number) FROM procver.upgrade") == [(2,)]
    after = rows(lived, tables)
    for table, held in before.items():
        assert held <= after[table], table
    assert lived.json("verify")["findings"] == []
    states = {r["name"]: r["state"] for r in lived.json("release", "list")["releases"]}
    assert states == {"1": "retired", "2": "live", "trial": "published"}
    # What was condemned before is dropped, and comes back.
    assert lived.json("gc", "--apply")["dropped"] == 3
    lived.run("release", "activate", "1", "--restore")
    assert lived.call("app.find_things_1", 2) == OLD


def test_an_app_of_the_previous_procver_goes_on(
    lived: World, previous: Previous, connection: Any
) -> None:
    app = previous.app(lived, lived.root / "old" / "2.json")
    assert app("loaded.verify(opened)") is None
    assert app(FOLLOW) is None
    assert app("procs.release") == "2"
    lived.publish("3")
    assert lived.sql("SELECT MAX(number) FROM procver.upgrade") == [(2,)]
    # What ran already goes on,
    assert app("loaded.verify(opened)") is None
    assert app("[procs.refresh(strict=True), procs.release]") == [False, "2"]
    lived.run("release", "channel", "stable", "3")
    assert app("[procs.refresh(strict=True), procs.release]") == [True, "3"]
    assert app("procs['app.alone']") == "app.alone_2"
    beat = "Heartbeat(connect, loaded, 'web-9').beat()"
    assert app(beat) is True
    assert ("web-9", "2", False, True, False) in lived.instances()
    # and so does what starts now, with a mapping of either version.
    again = previous.app(lived, lived.root / "procver.map.json")
    assert again("[loaded.release, loaded.verify(opened)]") == ["3", None]
    found = "Resolver.from_database(opened, release='{}', project='shop')"
    for release in ("2", "3", "trial"):
        assert again(f"{found.format(release)}.verify(opened)") is None
        mine = dict(Resolver.from_database(connection, release=release, project="shop"))
        assert again(f"dict({found.format(release)})") == mine
    assert again(FOLLOW) is None
    assert again("[procs.release, procs.verify(opened)]") == ["3", None]
    assert lived.call(again("loaded['find_things']"), 2) == NEW


@pytest.fixture
def connection(lived: World) -> Iterator[Any]:
    with closing(lived.connect()) as opened:
        yield opened


def test_a_mapping_file_of_the_previous_procver(lived: World, connection: Any) -> None:
    lived.run("plan")
    for release in ("1", "2", "trial"):
        found = Resolver.load(lived.root / "old" / f"{release}.json")
        assert found.digest == ""
        found.verify(connection)
        assert Resolver.from_database(connection, release=release).digest
    # Without a digest it is compared object by object, and its release must be known.
    path = lived.root / "old" / "1.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"release": "1"', '"release": "2"'), "utf-8")
    with pytest.raises(FindingsError, match=r"other versions .*: app.count_things, app.find_"):
        Resolver.load(path).verify(connection)
    path.write_text(text.replace('"release": "1"', '"release": "9"'), "utf-8")
    with pytest.raises(FindingsError, match="release '9' is not known to project 'shop'"):
        Resolver.load(path).verify(connection)
    path.write_text(text.replace('"fingerprint": "v1:', '"fingerprint": "v1:0'), "utf-8")
    with pytest.raises(FindingsError, match=r"other versions .*: app.alone"):
        Resolver.load(path).verify(connection)


def test_an_app_of_this_procver_before_the_upgrade(lived: World, connection: Any) -> None:
    for release in ("1", "2", "trial"):
        Resolver.load(lived.root / "old" / f"{release}.json").verify(connection)
        found = Resolver.from_database(connection, release=release, project="shop")
        assert (found.digest, len(found)) == ("", 4)
        found.verify(connection)
    assert Resolver.follow(connection, "stable")["things"] == "app.things_2"
    assert lived.sql("SELECT MAX(number) FROM procver.upgrade") == [(1,)]


def test_the_previous_command_line_is_refused(lived: World, previous: Previous) -> None:
    lived.run("plan")
    for words in (("plan",), ("publish", "-r", "9"), ("gc", "--apply"), ("release", "list")):
        error = previous.run(lived, *words, code=4)["error"]
        assert "the registry in this database is at level 2" in error["message"]
        assert "upgrade procver" in error["hint"]


def test_the_publishers_rights_are_enough(tmp_path: Path, url: str, previous: Previous) -> None:
    staff: Staff = staffed(tmp_path / "project", url)
    staff.hire()
    shop = staff.shop
    try:
        as_publisher = ("-t", staff.url("publisher"))
        previous.run(shop, "publish", "-r", "1", *as_publisher)
        # As the script of 0.1.0 did.
        shop.sql(
            f"GRANT SELECT ON procver.mapping, procver.channel_release TO {staff.prefix}_app;"
            f"GRANT EXECUTE ON FUNCTION procver.beat TO {staff.prefix}_app"
        )
        previous.run(shop, "release", "activate", "1", *as_publisher)
        staff.run("publisher", "plan")
        assert shop.sql("SELECT max(number) FROM procver.upgrade") == [(2,)]
        owners = "SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.relnamespace = 'procver'::regnamespace"
        assert shop.sql(owners) == [(f"{staff.prefix}_publisher",)]
        # The app's rights are as they were, before the script is run again.
        with psycopg.connect(staff.url("app")) as connection:
            Resolver.load(shop.root / "procver.map.json").verify(connection)
            found = Resolver.from_database(connection, release="1")
            assert len(found.digest) == 64
            found.verify(connection)
            connection.execute("SELECT procver.beat('shop', '1', 'web-1')")
        staff.run("publisher", "publish", "-r", "2")
        staff.run("publisher", "release", "discard", "2")
    finally:
        staff.dismiss()
