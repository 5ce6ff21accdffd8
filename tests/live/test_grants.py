"""Grants, owners and comments travel from version to version, and come back with a restored one."""

from __future__ import annotations

import json

import pytest

from tests.live.conftest import ALONE, THINGS
from tests.workshop import Workshop

GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
WIDER = "CREATE VIEW app.things AS SELECT t.id, t.name, t.price FROM app.thing t;\n"
OTHER = "CREATE FUNCTION app.alone() RETURNS int LANGUAGE sql AS 'SELECT 43';\n"
OVERLOADS = """\
CREATE FUNCTION app.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE FUNCTION app.twice(t text) RETURNS text LANGUAGE sql AS 'SELECT t || t';
"""
DEAREST = """\
CREATE MATERIALIZED VIEW app.dearest AS SELECT v.id FROM app.things v ORDER BY v.id DESC LIMIT 1;
CREATE UNIQUE INDEX ON app.dearest (id);
"""

Grants = set[tuple[str, str, bool]]


def routine(shop: Workshop, signature: str) -> Grants:
    """Who but its owner may do what with a function."""
    return grants(
        shop,
        "SELECT p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p"
        f" WHERE p.oid = '{signature}'::regprocedure",
    )


def relation(shop: Workshop, name: str, column: str | None = None) -> Grants:
    """Who but its owner may do what with a view, or with one column of it."""
    if column is not None:
        return grants(
            shop,
            "SELECT c.relowner, a.attacl FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            f" WHERE c.oid = '{name}'::regclass AND a.attname = '{column}'",
        )
    return grants(
        shop,
        "SELECT c.relowner, coalesce(c.relacl, acldefault('r', c.relowner)) FROM pg_class c"
        f" WHERE c.oid = '{name}'::regclass",
    )


def grants(shop: Workshop, query: str) -> Grants:
    return set(
        shop.sql(
            "SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,"
            f" a.privilege_type, a.is_grantable FROM ({query}) AS of (owner, acl),"
            " aclexplode(of.acl) a WHERE a.grantee <> of.owner"
        )
    )


def owner(shop: Workshop, name: str) -> str:
    kind, column, catalog = (
        ("regprocedure", "proowner", "pg_proc")
        if "(" in name
        else ("regclass", "relowner", "pg_class")
    )
    found = shop.sql(
        f"SELECT pg_get_userbyid({column}) FROM {catalog} WHERE oid = '{name}'::{kind}"
    )
    return str(found[0][0])


def comment(shop: Workshop, name: str) -> str | None:
    catalog, kind = ("pg_proc", "regprocedure") if "(" in name else ("pg_class", "regclass")
    found: str | None = shop.sql(f"SELECT obj_description('{name}'::{kind}, '{catalog}')")[0][0]
    return found


def column_comment(shop: Workshop, name: str, number: int) -> str | None:
    found: str | None = shop.sql(f"SELECT col_description('{name}'::regclass, {number})")[0][0]
    return found


PUBLIC: Grants = {("PUBLIC", "EXECUTE", False)}


def test_a_new_function_may_be_executed_by_all_as_postgresql_has_it(workshop: Workshop) -> None:
    workshop.publish("1")
    assert routine(workshop, "app.alone_1()") == PUBLIC


def test_a_function_takes_grants_and_revokes_of_the_one_before(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql(
        "REVOKE EXECUTE ON FUNCTION app.alone_1 FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION app.alone_1 TO app WITH GRANT OPTION;"
        "GRANT EXECUTE ON FUNCTION app.alone_1 TO reporting;"
        "COMMENT ON FUNCTION app.alone_1 IS 'the answer''s \"own\" words';"
        "ALTER FUNCTION app.alone_1 OWNER TO shop_app"
    )
    before = routine(workshop, "app.alone_1()")
    workshop.write(alone=OTHER)
    workshop.publish("2")
    assert routine(workshop, "app.alone_2()") == {
        ("app", "EXECUTE", True),
        ("reporting", "EXECUTE", False),
    }
    assert owner(workshop, "app.alone_2()") == "shop_app"
    assert comment(workshop, "app.alone_2()") == 'the answer\'s "own" words'
    assert routine(workshop, "app.alone_1()") == before


def test_a_view_takes_column_grants_and_comments_too(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql(
        "GRANT SELECT ON app.things_1 TO reporting;"
        "GRANT SELECT (id), UPDATE (name) ON app.things_1 TO app;"
        "GRANT SELECT (name) ON app.things_1 TO PUBLIC;"
        "COMMENT ON VIEW app.things_1 IS 'all of them';"
        "COMMENT ON COLUMN app.things_1.name IS 'as painted on it';"
        "ALTER VIEW app.things_1 OWNER TO shop_app"
    )
    workshop.write(things=WIDER)
    workshop.publish("2")
    assert relation(workshop, "app.things_2") == {("reporting", "SELECT", False)}
    assert relation(workshop, "app.things_2", "id") == {("app", "SELECT", False)}
    assert relation(workshop, "app.things_2", "name") == {
        ("app", "UPDATE", False),
        ("PUBLIC", "SELECT", False),
    }
    assert relation(workshop, "app.things_2", "price") == set()
    assert owner(workshop, "app.things_2") == "shop_app"
    assert comment(workshop, "app.things_2") == "all of them"
    assert column_comment(workshop, "app.things_2", 2) == "as painted on it"


def test_a_materialized_view_takes_them_as_well(workshop: Workshop) -> None:
    workshop.write(dearest=DEAREST)
    workshop.publish("1")
    workshop.sql(
        "GRANT SELECT ON app.dearest_1 TO app; COMMENT ON MATERIALIZED VIEW app.dearest_1 IS 'dear';"
        "ALTER MATERIALIZED VIEW app.dearest_1 OWNER TO shop_app"
    )
    workshop.write(things=WIDER)
    workshop.publish("2")
    assert relation(workshop, "app.dearest_2") == {("app", "SELECT", False)}
    assert owner(workshop, "app.dearest_2") == "shop_app"
    assert comment(workshop, "app.dearest_2") == "dear"


def test_overloads_keep_each_its_own_grants(workshop: Workshop) -> None:
    workshop.write(twice=OVERLOADS)
    workshop.publish("1")
    workshop.sql(
        "REVOKE EXECUTE ON FUNCTION app.twice_1(int), app.twice_1(text) FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION app.twice_1(int) TO app, reporting;"
        "GRANT EXECUTE ON FUNCTION app.twice_1(text) TO reporting;"
        "COMMENT ON FUNCTION app.twice_1(text) IS 'of text'"
    )
    third = "CREATE FUNCTION app.twice(n numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 2 * n';\n"
    workshop.write(twice=OVERLOADS + third)
    workshop.publish("2")
    assert {who for who, _, _ in routine(workshop, "app.twice_2(int)")} == {"app", "reporting"}
    assert {who for who, _, _ in routine(workshop, "app.twice_2(text)")} == {"reporting"}
    assert comment(workshop, "app.twice_2(text)") == "of text"
    assert comment(workshop, "app.twice_2(int)") is None
    # What PUBLIC may do with none of the others it may not do with the new one.
    assert {who for who, _, _ in routine(workshop, "app.twice_2(numeric)")} == {"reporting"}
    assert comment(workshop, "app.twice_2(numeric)") is None


def test_a_changed_signature_keeps_the_grants(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql(
        "REVOKE EXECUTE ON FUNCTION app.alone_1 FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION app.alone_1 TO app"
    )
    workshop.write(alone=OTHER.replace("alone()", "alone(n int DEFAULT 1)"))
    workshop.publish("2")
    assert routine(workshop, "app.alone_2(int)") == {("app", "EXECUTE", False)}


def test_the_first_version_takes_the_grants_of_what_was_there_before(workshop: Workshop) -> None:
    workshop.sql(
        "CREATE FUNCTION app.alone() RETURNS int LANGUAGE sql AS 'SELECT 41';"
        "REVOKE EXECUTE ON FUNCTION app.alone FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION app.alone TO app;"
        "ALTER FUNCTION app.alone OWNER TO shop_app;"
        "CREATE VIEW app.things AS SELECT 1 AS id, 'x'::text AS name;"
        "GRANT SELECT (name) ON app.things TO reporting; COMMENT ON VIEW app.things IS 'old'"
    )
    workshop.publish("1")
    assert routine(workshop, "app.alone_1()") == {("app", "EXECUTE", False)}
    assert owner(workshop, "app.alone_1()") == "shop_app"
    assert relation(workshop, "app.things_1", "name") == {("reporting", "SELECT", False)}
    assert comment(workshop, "app.things_1") == "old"
    assert workshop.sql("SELECT app.alone(), app.alone_1()") == [(41, 42)]


def test_configured_grants_are_exact_and_owner_and_comment_still_travel(workshop: Workshop) -> None:
    workshop.configure(more='[grants]\n"app.*" = { execute = ["app"], select = ["reporting"] }\n')
    workshop.publish("1")
    assert routine(workshop, "app.alone_1()") == {("app", "EXECUTE", False)}
    assert relation(workshop, "app.things_1") == {("reporting", "SELECT", False)}
    workshop.sql(
        "GRANT EXECUTE ON FUNCTION app.alone_1 TO PUBLIC; GRANT SELECT (id) ON app.things_1 TO app;"
        "COMMENT ON FUNCTION app.alone_1 IS 'the answer';"
        "ALTER FUNCTION app.alone_1 OWNER TO shop_app; ALTER VIEW app.things_1 OWNER TO shop_app;"
        "COMMENT ON COLUMN app.things_1.id IS 'key'"
    )
    workshop.write(alone=OTHER, things=WIDER)
    workshop.publish("2")
    assert routine(workshop, "app.alone_2()") == {("app", "EXECUTE", False)}
    assert relation(workshop, "app.things_2") == {("reporting", "SELECT", False)}
    assert relation(workshop, "app.things_2", "id") == set()
    assert owner(workshop, "app.alone_2()") == "shop_app"
    assert owner(workshop, "app.things_2") == "shop_app"
    assert comment(workshop, "app.alone_2()") == "the answer"
    assert column_comment(workshop, "app.things_2", 1) == "key"


def test_what_the_source_itself_grants_has_the_last_word(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql("GRANT EXECUTE ON FUNCTION app.alone_1 TO app, reporting")
    workshop.write(
        alone=OTHER + "REVOKE EXECUTE ON FUNCTION app.alone FROM PUBLIC, app;\n"
        "COMMENT ON FUNCTION app.alone IS 'from the source';\n"
    )
    workshop.publish("2")
    assert routine(workshop, "app.alone_2()") == {("reporting", "EXECUTE", False)}
    assert comment(workshop, "app.alone_2()") == "from the source"


def test_security_definer_and_search_path_belong_to_the_definition(workshop: Workshop) -> None:
    text = ALONE.replace("LANGUAGE", "SECURITY DEFINER SET search_path = app, pg_temp LANGUAGE")
    workshop.write(alone=text)
    workshop.publish("1")
    workshop.write(alone=text.replace("42", "43"))
    workshop.publish("2")
    found = workshop.sql(
        "SELECT prosecdef, proconfig FROM pg_proc WHERE oid = 'app.alone_2()'::regprocedure"
    )
    assert found == [(True, ["search_path=app, pg_temp"])]


def retire_and_collect(shop: Workshop, old: str, new: str) -> None:
    shop.configure(more=GC_NOW)
    shop.run("release", "activate", old)
    shop.run("release", "activate", new)
    shop.run("release", "retire", old)
    shop.run("gc", "--apply")
    shop.run("gc", "--apply")


def test_restore_gives_back_all_as_it_was_right_before_the_drop(workshop: Workshop) -> None:
    sourced = (
        "GRANT EXECUTE ON FUNCTION app.alone TO app;\nCOMMENT ON FUNCTION app.alone IS 'first';\n"
    )
    viewed = "GRANT SELECT (id) ON app.things TO app;\nCOMMENT ON COLUMN app.things.id IS 'key';\n"
    workshop.write(alone=ALONE + sourced, things=THINGS + viewed)
    workshop.publish("1")
    # After publication an administrator changed what the source says.
    workshop.sql(
        "REVOKE EXECUTE ON FUNCTION app.alone_1 FROM app, PUBLIC;"
        "GRANT EXECUTE ON FUNCTION app.alone_1 TO reporting WITH GRANT OPTION;"
        "COMMENT ON FUNCTION app.alone_1 IS 'changed';"
        "ALTER FUNCTION app.alone_1 OWNER TO shop_app;"
        "REVOKE SELECT (id) ON app.things_1 FROM app;"
        "GRANT SELECT (name) ON app.things_1 TO reporting;"
        "COMMENT ON COLUMN app.things_1.id IS NULL"
    )
    workshop.write(alone=OTHER, things=WIDER)
    workshop.publish("2")
    retire_and_collect(workshop, "1", "2")
    assert "app.alone_1" not in workshop.objects()
    workshop.run("release", "activate", "1", "--restore")
    assert routine(workshop, "app.alone_1()") == {("reporting", "EXECUTE", True)}
    assert owner(workshop, "app.alone_1()") == "shop_app"
    assert comment(workshop, "app.alone_1()") == "changed"
    assert relation(workshop, "app.things_1", "id") == set()
    assert relation(workshop, "app.things_1", "name") == {("reporting", "SELECT", False)}
    assert column_comment(workshop, "app.things_1", 1) is None
    assert workshop.json("verify")["findings"] == []


@pytest.mark.parametrize("rights", [["app"], []])
def test_an_object_that_comes_back_has_the_grants_it_had(
    workshop: Workshop, rights: list[str]
) -> None:
    """All its versions were collected; the registry remembers what they allowed."""
    workshop.publish("1")
    workshop.sql(
        "REVOKE EXECUTE ON FUNCTION app.alone_1 FROM PUBLIC;"
        + "".join(f"GRANT EXECUTE ON FUNCTION app.alone_1 TO {role};" for role in rights)
    )
    workshop.remove("alone")
    workshop.publish("2")
    retire_and_collect(workshop, "1", "2")
    assert "app.alone_1" not in workshop.objects()
    workshop.write(alone=OTHER)
    workshop.publish("3")
    assert routine(workshop, "app.alone_2()") == {(role, "EXECUTE", False) for role in rights}


def test_a_lower_number_that_arrives_later_takes_the_grants_too(workshop: Workshop) -> None:
    """Version 2 was numbered on a branch that is published after version 3."""
    workshop.publish("1")
    workshop.write(alone=OTHER)
    workshop.run("lock")
    workshop.write(alone=OTHER.replace("43", "44"))
    workshop.publish("3")
    workshop.sql(
        "REVOKE EXECUTE ON FUNCTION app.alone_3 FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION app.alone_3 TO app"
    )
    workshop.configure(more=GC_NOW)
    workshop.run("release", "discard", "1")
    assert "app.alone_1" not in workshop.objects()
    workshop.write(alone=OTHER)
    workshop.publish("2")
    assert routine(workshop, "app.alone_2()") == {("app", "EXECUTE", False)}


def test_a_role_that_is_gone_is_passed_over(workshop: Workshop) -> None:
    name = f"gone_{workshop.sql('SELECT pg_backend_pid()')[0][0]}"
    workshop.publish("1")
    workshop.sql(f"CREATE ROLE {name}; GRANT EXECUTE ON FUNCTION app.alone_1 TO {name}, app")
    workshop.write(alone=OTHER)
    workshop.publish("2")
    retire_and_collect(workshop, "1", "2")
    workshop.sql(f"DROP OWNED BY {name}; DROP ROLE {name}")
    workshop.run("release", "activate", "1", "--restore")
    assert routine(workshop, "app.alone_1()") == {*PUBLIC, ("app", "EXECUTE", False)}


def test_grants_lost_by_hand_are_found(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.sql("REVOKE EXECUTE ON FUNCTION app.alone_1 FROM PUBLIC")
    found = json.loads(workshop.run("verify", "--json", code=1).stdout)["findings"]
    assert [(f["rule"], f["object"]) for f in found] == [("grant-lost", "app.alone_1")]
