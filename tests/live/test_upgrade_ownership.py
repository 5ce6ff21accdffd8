"""Versions that registry 1 knew by their names: which of them the upgrade takes for ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import procver
from tests.behaviour.worlds import NOW
from tests.live.conftest import ALONE, THINGS
from tests.workshop import Workshop

FIRST = Path(procver.__file__).parent / "registry" / "postgresql" / "001_registry.sql"
KEPT = ("project", "version", "release", "membership", "event")


@pytest.fixture
def old(workshop: Workshop) -> Workshop:
    """A database with registry 1, as the first release of procver left it: release 1 is active."""
    workshop.configure(more=NOW)
    workshop.write(others=THINGS.replace("things", "others"))
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    rows = {
        table: [row for (row,) in workshop.sql(f"SELECT to_jsonb(t) FROM procver.{table} t")]
        for table in KEPT
    }
    workshop.sql("DROP SCHEMA procver CASCADE")
    workshop.sql("CREATE SCHEMA procver")
    workshop.sql(
        "CREATE TABLE procver.upgrade (number int PRIMARY KEY, name text, applied_at timestamptz, applied_by text)"
    )
    workshop.sql("INSERT INTO procver.upgrade VALUES (1, '001_registry.sql', now(), session_user)")
    workshop.sql(FIRST.read_text("utf-8"))
    for table, found in rows.items():
        overriding = "" if table == "membership" else " OVERRIDING SYSTEM VALUE"
        workshop.sql(
            f"INSERT INTO procver.{table}{overriding}"
            f" SELECT * FROM jsonb_populate_recordset(NULL::procver.{table}, %s::jsonb)",
            json.dumps(found),
        )
        if table != "membership":
            workshop.sql(f"SELECT setval(pg_get_serial_sequence('procver.{table}', 'id'), 1000)")
    workshop.sql(
        "UPDATE procver.version v SET digest ="
        " current_setting('server_version_num')::int / 10000 || ':' || l.digest FROM procver.version x"
        " CROSS JOIN LATERAL procver.looks(jsonb_build_array(jsonb_build_object("
        "'schema', x.schema, 'leaf', x.leaf, 'kind', x.kind))) l WHERE x.id = v.id"
    )
    return workshop


def upgraded(old: Workshop) -> dict[str, str]:
    """Upgrade the registry; return the rules of what verify finds, by object."""
    old.run("release", "list")
    assert old.sql("SELECT max(number) FROM procver.upgrade") == [(2,)]
    return {f["object"]: f["rule"] for f in old.json("verify", code=None)["findings"]}


def test_all_is_as_it_was_published(old: Workshop) -> None:
    assert upgraded(old) == {}
    assert old.sql("SELECT count(*) FROM procver.version WHERE identity IS NULL") == [(0,)]
    assert old.json("publish", "-r", "2")["create"] == []
    old.sql("ALTER TABLE app.thing RENAME COLUMN name TO title")
    assert old.json("verify")["findings"] == []


def test_what_was_replaced_by_hand_is_an_obstacle(old: Workshop) -> None:
    old.sql("DROP FUNCTION app.alone_1(); DROP VIEW app.others_1")
    old.sql("CREATE FUNCTION app.alone_1() RETURNS int LANGUAGE sql AS 'SELECT 7'")
    old.sql("CREATE VIEW app.others_1 AS SELECT 1 AS by_hand")
    assert upgraded(old) == {"app.alone_1": "altered", "app.others_1": "altered"}
    for name in ("app.alone_1", "app.others_1"):
        assert name in old.json("restore", name, code=4)["error"]["message"]
    old.sql(
        "ALTER FUNCTION app.alone_1() RENAME TO by_hand; ALTER VIEW app.others_1 RENAME TO by_hand_too"
    )
    for name in ("app.alone_1", "app.others_1"):
        old.run("restore", name)
    assert old.json("verify")["findings"] == []
    assert old.sql("SELECT app.by_hand(), (SELECT by_hand FROM app.by_hand_too)") == [(7, 1)]


def test_a_view_that_was_altered_in_place_is_still_ours(old: Workshop) -> None:
    old.sql(
        "CREATE OR REPLACE VIEW app.others_1 AS SELECT t.id, 'x'::text AS name FROM app.thing t"
    )
    assert upgraded(old) == {"app.others_1": "altered"}
    assert "is not the one that was published" in old.run("verify", code=1).output


def test_a_database_that_was_restored_before(old: Workshop) -> None:
    """All views have other OIDs than the registry says."""
    old.sql(
        "UPDATE procver.version SET digest = regexp_replace(digest, ':(\\d+):', ':4' || id || ':')"
        " WHERE kind = 'view'"
    )
    assert upgraded(old) == {}
    old.write(alone=ALONE.replace("42", "43"))
    assert [c["physical"] for c in old.publish("2")["create"]] == ["app.alone_2"]


def test_a_server_of_another_major_version(old: Workshop) -> None:
    old.sql("UPDATE procver.version SET digest = regexp_replace(digest, '^\\d+', '9') || 'x'")
    assert upgraded(old) == {}
