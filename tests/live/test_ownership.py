"""Objects of ours and objects of others: only what procver created is dropped, altered or taken for a version."""

from __future__ import annotations

import psycopg
import pytest

from procver import Resolver
from procver.errors import FindingsError
from tests.behaviour.worlds import NOW
from tests.live.conftest import ALONE
from tests.workshop import Workshop

QUARANTINE = NOW + 'quarantine = "0s"\n'
BY_HAND = (
    "CREATE FUNCTION app.alone_1(hand_made int) RETURNS text LANGUAGE sql AS $$ SELECT 'by hand' $$"
)
OVERLOADS = """\
CREATE FUNCTION app.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE FUNCTION app.twice(t text) RETURNS text LANGUAGE sql AS 'SELECT t || t';
"""
ACL = "SELECT p.oid::regprocedure::text, p.proacl::text FROM pg_proc p WHERE p.proname = 'alone_1' ORDER BY 1"


def routines(shop: Workshop, name: str) -> list[str]:
    """Return the overloads of a name, as the server writes them."""
    found = shop.sql(
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.proname = %s ORDER BY 1", name
    )
    return [row[0] for row in found]


def rules(shop: Workshop) -> dict[str, str]:
    """Return the rules of what verify finds, by object."""
    code = 1 if shop.json("verify", code=None)["findings"] else 0
    return {f["object"]: f["rule"] for f in shop.json("verify", code=code)["findings"]}


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """Release 1 with ``app.alone_1`` and a hand-made overload of it, which the role reporting may call."""
    workshop.configure(more=NOW)
    workshop.publish("1")
    workshop.sql(BY_HAND)
    workshop.sql("REVOKE EXECUTE ON FUNCTION app.alone_1(int) FROM PUBLIC")
    workshop.sql("GRANT EXECUTE ON FUNCTION app.alone_1(int) TO reporting")
    return workshop


def leave(shop: Workshop) -> None:
    """Let nothing need ``app.alone_1`` any more."""
    shop.run("release", "activate", "1")
    shop.write(alone=ALONE.replace("42", "43"))
    shop.publish("2")
    shop.run("release", "activate", "2")
    shop.run("release", "retire", "1")


@pytest.mark.parametrize("more", [NOW, QUARANTINE])
def test_a_hand_made_overload_outlives_its_namesake(shop: Workshop, more: str) -> None:
    shop.configure(more=more)
    before = dict(shop.sql(ACL))
    leave(shop)
    for _ in range(3):
        said = shop.run("gc", "--apply").output
        if "app.alone_1" in said:
            assert "function app.alone_1(integer) has the name of app.alone_1 and is not" in said
    assert routines(shop, "alone_1") == ["app.alone_1(integer)"]
    assert dict(shop.sql(ACL)) == {"app.alone_1(integer)": before["app.alone_1(integer)"]}, (
        "and its grants"
    )
    assert shop.sql("SELECT app.alone_1(1)") == [("by hand",)]


def test_discard_frees_the_number_and_leaves_what_was_made_by_hand(shop: Workshop) -> None:
    said = shop.run("release", "discard", "1").output
    assert "function app.alone_1(integer) has the name of app.alone_1" in said
    assert routines(shop, "alone_1") == ["app.alone_1(integer)"]
    assert "app.alone_1" in shop.json("publish", "-r", "2", code=4)["error"]["message"]


def test_verify_names_an_overload_that_may_take_the_calls(shop: Workshop) -> None:
    shop.run("release", "activate", "1")
    (found,) = shop.json("verify", code=1)["findings"]
    assert (found["rule"], found["object"]) == ("overload-added", "app.alone_1")
    assert "function app.alone_1(integer)" in found["message"]
    assert shop.json("publish", "-r", "1")["create"] == []


@pytest.mark.parametrize(
    "other",
    [
        "CREATE FUNCTION app.alone_1() RETURNS int LANGUAGE sql AS 'SELECT 7'",
        "CREATE FUNCTION app.alone_1(x int) RETURNS int LANGUAGE sql AS 'SELECT 42'",
        "CREATE PROCEDURE app.alone_1() LANGUAGE sql AS 'SELECT 42'",
        "CREATE AGGREGATE app.alone_1(int) (sfunc = int4pl, stype = int)",
    ],
)
@pytest.mark.parametrize("more", [NOW, QUARANTINE])
def test_what_replaced_a_version_is_not_dropped(workshop: Workshop, other: str, more: str) -> None:
    workshop.configure(more=more)
    workshop.publish("1")
    leave(workshop)
    workshop.sql("DROP FUNCTION app.alone_1()")
    workshop.sql(other)
    (there,) = routines(workshop, "alone_1")
    found = [workshop.run("gc", "--apply").output for _ in range(3)]
    assert any(
        "alone_1(" in said and "is not managed by procver: it stays" in said for said in found
    )
    assert routines(workshop, "alone_1") == [there]
    assert "app.alone_1" not in [d["physical"] for d in workshop.json("gc")["drop"]]


@pytest.mark.parametrize("discard", [True, False])
def test_a_view_that_replaced_one(workshop: Workshop, discard: bool) -> None:
    workshop.configure(more=NOW)
    workshop.publish("1")
    if not discard:
        leave(workshop)
    workshop.sql("DROP VIEW app.things_1 CASCADE")
    workshop.sql("CREATE VIEW app.things_1 AS SELECT 'by hand'::text AS tag")
    assert rules(workshop)["app.things_1"] == "altered"
    refused = workshop.json("restore", "app.things_1", code=4)["error"]
    assert "app.things_1" in refused["message"]
    if discard:
        workshop.run("release", "discard", "1")
    else:
        workshop.remove("things", "find_things", "count_things")
        workshop.publish("3")
        workshop.run("release", "activate", "3")
        workshop.run("release", "retire", "2")
        for _ in range(3):
            workshop.run("gc", "--apply")
    assert workshop.sql("SELECT tag FROM app.things_1") == [("by hand",)]


def test_an_object_that_was_altered_in_place_is_still_ours(workshop: Workshop) -> None:
    workshop.configure(more=NOW)
    workshop.publish("1")
    workshop.sql("CREATE OR REPLACE FUNCTION app.alone_1() RETURNS int LANGUAGE sql AS 'SELECT 0'")
    workshop.sql(
        "CREATE OR REPLACE VIEW app.things_1 AS SELECT t.id, 'x'::text AS name FROM app.thing t"
    )
    assert rules(workshop) == {"app.alone_1": "altered", "app.things_1": "altered"}
    workshop.run("release", "discard", "1")
    assert workshop.objects() == set()


def test_the_same_definition_made_again_by_hand_is_the_version(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql("DROP FUNCTION app.alone_1()")
    assert rules(workshop) == {"app.alone_1": "missing"}
    workshop.sql(ALONE.replace("alone", "alone_1"))
    assert rules(workshop) == {}


@pytest.mark.parametrize("gone", ["app.twice_1(int)", "app.twice_1(text)"])
@pytest.mark.parametrize("how", ["publish", "activate", "restore"])
def test_a_version_without_one_of_its_overloads(workshop: Workshop, gone: str, how: str) -> None:
    workshop.write(twice=OVERLOADS)
    workshop.publish("1")
    workshop.sql("REVOKE EXECUTE ON FUNCTION app.twice_1(int) FROM PUBLIC")
    kept = workshop.sql(
        "SELECT min(oid::int), max(oid::int) FROM pg_proc WHERE proname = 'twice_1'"
    )[0]
    workshop.sql(f"DROP FUNCTION {gone}")
    (found,) = workshop.json("verify", code=1)["findings"]
    assert (found["rule"], found["object"]) == ("missing", "app.twice_1")
    words = "(text)" if "text" in gone else "(integer)"
    assert f"its overload {words} is gone" in found["message"]
    with psycopg.connect(workshop.url) as connection, pytest.raises(FindingsError, match="twice_1"):
        workshop.resolver().verify(connection)
    assert [c["physical"] for c in workshop.json("plan")["create"]] == ["app.twice_1"]
    if how == "publish":
        workshop.publish("1")
    elif how == "activate":
        error = workshop.json("release", "activate", "1", code=4)["error"]
        assert "app.twice_1" in error["message"]
        workshop.run("release", "activate", "1", "--restore")
    else:
        workshop.run("restore", "app.twice_1")
    assert workshop.sql("SELECT app.twice_1(4), app.twice_1('ab'::text)") == [(8, "abab")]
    assert rules(workshop) == {}
    with psycopg.connect(workshop.url) as connection:
        workshop.resolver().verify(connection)
    stayed = workshop.sql("SELECT oid::int FROM pg_proc WHERE proname = 'twice_1'")
    assert {row[0] for row in stayed} & set(kept), "the other one was left alone"


def test_an_overload_in_place_of_another_is_not_the_version(workshop: Workshop) -> None:
    workshop.write(twice=OVERLOADS)
    workshop.publish("1")
    workshop.sql("DROP FUNCTION app.twice_1(int)")
    workshop.sql("CREATE FUNCTION app.twice_1(n bigint) RETURNS bigint LANGUAGE sql AS 'SELECT n'")
    with psycopg.connect(workshop.url) as connection, pytest.raises(FindingsError, match="twice_1"):
        workshop.resolver().verify(connection)
    for words in (
        ("publish", "-r", "1"), ("release", "activate", "1", "--restore"), ("restore", "app.twice_1"),
    ):  # fmt: skip
        assert "app.twice_1" in workshop.json(*words, code=4)["error"]["message"]
    assert routines(workshop, "twice_1") == ["app.twice_1(bigint)", "app.twice_1(text)"]


def test_an_app_that_may_not_ask_the_registry_looks_for_names(workshop: Workshop) -> None:
    workshop.write(twice=OVERLOADS)
    workshop.publish("1")
    workshop.sql("DROP FUNCTION app.twice_1(int)")
    with workshop.user() as app:  # type: ignore[attr-defined]
        with app.connect() as connection:
            workshop.resolver().verify(connection)
        workshop.sql(f"GRANT USAGE ON SCHEMA procver TO {app.name}")
        with app.connect() as connection:
            workshop.resolver().verify(connection)
        workshop.sql(f"GRANT SELECT ON procver.mapping TO {app.name}")
        workshop.sql(f"GRANT EXECUTE ON FUNCTION procver.lacking TO {app.name}")
        with app.connect() as connection, pytest.raises(FindingsError, match="twice_1"):
            workshop.resolver().verify(connection)
        with app.connect() as connection:
            procs = Resolver.from_database(connection, release="1")
            with pytest.raises(FindingsError, match=r"twice_1$"):
                procs.verify(connection)
