"""Dependents of a version, and texts that name it: everything that a drop would break is found before quarantine."""

from __future__ import annotations

import pytest

from tests.behaviour.worlds import NOW
from tests.live.conftest import ALONE, THINGS
from tests.workshop import Workshop

WIDER = THINGS.replace("t.name", "t.name, t.price")
OTHER = ALONE.replace("42", "43")
F = "CREATE FUNCTION app.f(x int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT x+1 $$;\n"
C = """\
CREATE VIEW app.c AS SELECT t.id, t.price AS a FROM app.thing t;
ALTER VIEW app.c ALTER COLUMN a SET DEFAULT app.f(1);
CREATE RULE insert_c AS ON INSERT TO app.c DO INSTEAD INSERT INTO app.thing VALUES (NEW.id, '-', app.f(NEW.a));
"""


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """Release 2 in place of 1: nothing needs the first view, and what reads it, nor ``alone_1``."""
    workshop.configure(more=NOW)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.write(things=WIDER, alone=OTHER)
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")
    return workshop


def kept(shop: Workshop, physical: str) -> list[str]:
    """Return why gc keeps a version, as it is shown and as it is done."""
    found = [
        next((k["because"] for k in shop.json(*words)["keep"] if k["physical"] == physical), [])
        for words in (("gc",), ("gc", "--apply"), ("gc",))
    ]
    assert found[0] == found[1] == found[2]
    assert physical in shop.objects()
    return found[0]


def test_defaults_and_rules_of_our_own_are_ours(workshop: Workshop) -> None:
    workshop.configure(more=NOW)
    workshop.write(f=F, c=C)
    workshop.publish("1")
    assert set(workshop.json("release", "discard", "1")["freed"]) >= {"app.c_1", "app.f_1"}
    assert workshop.objects() == set()
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.remove("f", "c")
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")
    workshop.run("gc", "--apply")
    gone = {d["physical"] for d in workshop.json("gc", "--apply")["drop"]}
    assert gone == {"app.c_1", "app.f_1"}


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE TABLE app.ta (x app.things_1[])", "column x of table app.ta"),
        ("CREATE TABLE app.ta (x app.things_1)", "column x of table app.ta"),
        ("CREATE DOMAIN app.several AS app.things_1[]", "type app.several"),
        ("CREATE DOMAIN app.one AS app.things_1", "type app.one"),
        ("CREATE TYPE app.pair AS (one app.things_1, many app.things_1[])", "column"),
        (
            "CREATE FUNCTION app.many(x app.things_1[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function app.many(app.things_1[])",
        ),
        (
            "CREATE FUNCTION app.all_of() RETURNS app.things_1[] LANGUAGE sql AS 'SELECT NULL::app.things_1[]'",
            "function app.all_of()",
        ),
        ("CREATE VIEW app.by_hand AS SELECT id FROM app.things_1", "view app.by_hand"),
        (
            "CREATE TABLE app.tr (i int); CREATE RULE r AS ON INSERT TO app.tr DO ALSO SELECT 1 FROM app.things_1",
            "rule r on table app.tr",
        ),
    ],
)
@pytest.mark.parametrize("more", [NOW, NOW + 'quarantine = "0s"\n'])
def test_what_holds_on_to_a_view(shop: Workshop, made: str, named: str, more: str) -> None:
    shop.configure(more=more)
    shop.sql(made)
    (why,) = kept(shop, "app.things_1")
    assert named in why
    state = "SELECT state, quarantined_at FROM procver.version WHERE physical = 'app.things_1'"
    assert shop.sql(state) == [("present", None)]


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE VIEW app.by_hand AS SELECT 'SELECT app.alone_1()'::text AS q", "view app.by_hand"),
        (
            "CREATE MATERIALIZED VIEW app.by_hand AS SELECT 'app.alone_1()'::text AS q",
            "materialized view app.by_hand",
        ),
        (
            "CREATE TABLE app.ta (q text DEFAULT 'app.alone_1')",
            "default value for column q of table app.ta",
        ),
        (
            "CREATE TABLE app.ta (q text CHECK (q <> 'app.alone_1'))",
            "constraint ta_q_check on table app.ta",
        ),
        ("CREATE DOMAIN app.dom AS text CHECK (VALUE <> 'ALONE_1')", "constraint dom_check"),
        (
            "CREATE TABLE app.ta (q text); CREATE INDEX ti ON app.ta ((q || 'alone_1'))",
            "index app.ti",
        ),
        (
            "CREATE TABLE app.ta (q text); CREATE POLICY pol ON app.ta USING (q = 'alone_1')",
            "policy pol on table app.ta",
        ),
        (
            "CREATE TABLE app.ta (q text); CREATE POLICY pol ON app.ta FOR INSERT WITH CHECK (q = 'alone_1')",
            "policy pol on table app.ta",
        ),
        (
            "CREATE TABLE app.ta (q text); CREATE FUNCTION app.tf() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN EXECUTE ''SELECT '' || TG_ARGV[0]; RETURN NEW; END';"
            " CREATE TRIGGER tg BEFORE INSERT ON app.ta FOR EACH ROW EXECUTE FUNCTION app.tf('app.alone_1()')",
            "trigger tg on table app.ta",
        ),
        (
            "CREATE TABLE app.ta (q text); CREATE FUNCTION app.tf() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RETURN NEW; END'; CREATE TRIGGER tg BEFORE INSERT ON app.ta FOR EACH ROW"
            " WHEN (NEW.q <> 'alone_1') EXECUTE FUNCTION app.tf()",
            "trigger tg on table app.ta",
        ),
        (
            "CREATE TABLE app.ta (q text); CREATE RULE r AS ON INSERT TO app.ta DO ALSO NOTIFY alone_1",
            "rule r on table app.ta",
        ),
        (
            "CREATE FUNCTION app.g(q text DEFAULT 'alone_1') RETURNS text LANGUAGE sql AS 'SELECT q'",
            "function app.g(text)",
        ),
        (
            "CREATE FUNCTION app.g() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT 'app.alone_1()'; END",
            "function app.g()",
        ),
        (
            "CREATE FUNCTION app.g() RETURNS int LANGUAGE sql SET shop.call = 'app.alone_1' AS 'SELECT 1'",
            "function app.g()",
        ),
    ],
)
def test_what_names_a_version_in_a_string(shop: Workshop, made: str, named: str) -> None:
    shop.sql(made)
    (why,) = kept(shop, "app.alone_1")
    assert f"{named} (by name, in its text) depends on it" in why or f"{named} on" in why


def test_settings_name_a_version(shop: Workshop) -> None:
    (name,) = shop.sql("SELECT current_database()")[0]
    shop.sql(f"ALTER DATABASE {name} SET shop.call = 'app.alone_1'")
    (why,) = kept(shop, "app.alone_1")
    assert f"the settings of database {name}" in why
    shop.sql(f"ALTER DATABASE {name} RESET ALL")
    shop.sql(f"ALTER ROLE reporting IN DATABASE {name} SET shop.call = 'app.alone_1'")
    (why,) = kept(shop, "app.alone_1")
    assert "the settings of role reporting" in why
    shop.sql(f"ALTER ROLE reporting IN DATABASE {name} RESET ALL")


def test_what_belongs_to_a_version_is_no_mention_of_another(workshop: Workshop) -> None:
    """A version names another of its project in a string: both may go."""
    workshop.configure(more=NOW)
    workshop.write(f=F, c=C, g=F.replace("app.f", "app.g").replace("x+1", "length('app.f_1')"))
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.remove("f", "c", "g")
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")
    workshop.run("gc", "--apply")
    assert len(workshop.json("gc", "--apply")["drop"]) == 3
