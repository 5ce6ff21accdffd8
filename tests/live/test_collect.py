"""gc that nobody watches: limits, locks, quarantine, and what it says afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.live.conftest import THINGS
from tests.workshop import Workshop

NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
QUARANTINE = NOW + 'quarantine = "{time}"\n'
WIDER = "CREATE VIEW app.things AS SELECT t.id, t.name, t.price FROM app.thing t;\n"
OLD = {"app.things_1", "app.find_things_1", "app.count_things_1"}


def replace_release(workshop: Workshop, more: str = NOW) -> None:
    """Publish and activate release 2 in place of release 1, and condemn what only that needed."""
    workshop.configure(more=more)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.write(things=WIDER)
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    workshop.run("release", "retire", "1")
    workshop.run("gc", "--apply")


@contextmanager
def role(workshop: Workshop, name: str) -> Iterator[str]:
    """Make a role that may do nothing yet; return a URL for it."""
    workshop.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    workshop.sql(f"GRANT USAGE ON SCHEMA app TO {name}")
    try:
        yield psycopg.conninfo.make_conninfo(workshop.url, user=name, password="x")
    finally:
        workshop.sql(f"DROP OWNED BY {name}")
        workshop.sql(f"DROP ROLE {name}")


def grants(workshop: Workshop) -> set[tuple[object, ...]]:
    """Return who may do what with the first versions, as information_schema sees it."""
    return set(
        workshop.sql(
            "SELECT specific_name, grantee, privilege_type, is_grantable FROM information_schema.routine_privileges"
            " WHERE routine_name LIKE '%\\_1' UNION ALL"
            " SELECT table_name, grantee, privilege_type, is_grantable FROM information_schema.table_privileges"
            " WHERE table_name LIKE '%\\_1'"
        )
    )


# ---- limits ------------------------------------------------------------------------------------


def test_a_run_drops_no_more_than_it_may_and_the_next_goes_on(workshop: Workshop) -> None:
    replace_release(workshop)
    first = workshop.json("gc", "--apply", "--max", "1")
    assert first["dropped"] == 1
    assert first["remaining"] == 2
    assert "2 more may be dropped" in workshop.run("gc", "--apply", "--max", "0").output
    second = workshop.json("gc", "--apply", "--max", "5")
    assert (second["dropped"], second["remaining"]) == (2, 0)
    assert not OLD & workshop.objects()


def test_a_run_without_time_drops_nothing_but_condemns(workshop: Workshop) -> None:
    workshop.configure(more=NOW)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.run("release", "retire", "1")
    assert len(workshop.json("gc", "--apply", "--for", "0s")["condemn"]) == 4
    found = workshop.json("gc", "--apply", "--for", "0s")
    assert (found["dropped"], found["remaining"]) == (0, 4)
    assert workshop.json("gc", "--apply", "--for", "5m")["dropped"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--for", "-5m"], "'-5m' is no duration"),
        (["--for", "soon"], "'soon' is no duration"),
        (["--for", "9999w"], "longer than 100 years"),
        (["--max", "-1"], "-1 is not in the range"),
        (["--max", "many"], "'many' is not a valid integer"),
    ],
)
def test_limits_that_are_none(workshop: Workshop, words: list[str], message: str) -> None:
    workshop.publish("1")
    before = workshop.sql("SELECT * FROM procver.event")
    assert message in workshop.json("gc", "--apply", *words, code=2)["error"]["message"]
    assert workshop.sql("SELECT * FROM procver.event") == before


# ---- locks -------------------------------------------------------------------------------------


def test_a_version_in_use_stays_with_what_it_needs_and_nothing_else(workshop: Workshop) -> None:
    replace_release(workshop)
    workshop.configure(more=NOW)
    with psycopg.connect(workshop.url) as reader:
        reader.execute("SELECT * FROM app.things_1")  # and the transaction stays open
        found = workshop.json("gc", "--apply")
        assert {d["physical"] for d in found["drop"]} == {"app.count_things_1", "app.find_things_1"}
        (kept,) = [k for k in found["keep"] if k["physical"] == "app.things_1"]
        assert "lock timeout" in kept["because"][0]
    (state,) = workshop.sql("SELECT state FROM procver.version WHERE physical = 'app.things_1'")
    assert state == ("condemned",), "its grace does not begin anew"
    assert workshop.json("gc", "--apply")["dropped"] == 1


def test_many_refusals_are_no_other_writers(tmp_path: Path, url: str) -> None:
    """Once, each refusal counted as a conflict, and fifty of them ended the run with an untrue message."""
    workshop = Workshop(tmp_path / "many", url, more=NOW)
    workshop.sql("CREATE SCHEMA app")
    views = {f"v{i}": f"CREATE VIEW app.v{i} AS SELECT {i} AS id;\n" for i in range(60)}
    workshop.write(**views)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.run("release", "retire", "1")
    workshop.run("gc", "--apply")
    workshop.sql(
        "CREATE FUNCTION app.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_name ~ '^v[1-5][0-9]_1$')"
        " THEN RAISE 'not today'; END IF; END $$"
    )
    workshop.sql("CREATE EVENT TRIGGER refuse ON sql_drop EXECUTE FUNCTION app.refuse()")
    found = workshop.json("gc", "--apply")
    assert found["dropped"] == 10
    assert {k["because"][0] for k in found["keep"]} == {"the server refused to drop it: not today"}
    assert len(found["keep"]) == 50


# ---- quarantine --------------------------------------------------------------------------------


def test_what_is_in_quarantine_can_be_used_by_nobody_and_then_goes(workshop: Workshop) -> None:
    with role(workshop, "quarantined_app") as app:
        workshop.configure(more=QUARANTINE.format(time="1s"))
        workshop.publish("1")
        workshop.sql("GRANT SELECT ON app.things_1 TO quarantined_app")
        workshop.sql("GRANT SELECT (id) ON app.things_1 TO quarantined_app WITH GRANT OPTION")
        workshop.sql("COMMENT ON VIEW app.things_1 IS 'things'")
        replace_release(workshop, QUARANTINE.format(time="1s"))
        with psycopg.connect(app) as connection:
            assert len(connection.execute("SELECT * FROM app.find_things_1(0)").fetchall()) == 3
        found = workshop.json("gc", "--apply")
        assert found["drop"] == []
        assert {q["physical"] for q in found["quarantine"]} == OLD
        for call in ("SELECT * FROM app.find_things_1(0)", "SELECT id FROM app.things_1"):
            with (
                psycopg.connect(app) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(call)
        with psycopg.connect(app) as connection:
            assert len(connection.execute("SELECT * FROM app.find_things_2(0)").fetchall()) == 3
        (comment,) = workshop.sql("SELECT obj_description('app.things_1'::regclass)")
        assert comment == ("things",)
        assert workshop.json("gc", "--apply")["dropped"] == 0
        time.sleep(1.1)
        done = workshop.json("gc", "--apply")
        assert {d["physical"] for d in done["drop"]} == OLD
        assert "missed by nobody" in done["drop"][0]["why"]


def test_a_caller_that_was_forgotten_is_cured_at_once(workshop: Workshop) -> None:
    with role(workshop, "forgotten_app") as app:
        workshop.configure(more=QUARANTINE.format(time="1h"))
        workshop.publish("1")
        workshop.sql("REVOKE EXECUTE ON FUNCTION app.count_things_1() FROM PUBLIC")
        workshop.sql("GRANT EXECUTE ON FUNCTION app.count_things_1() TO forgotten_app")
        workshop.sql("GRANT SELECT ON app.things_1 TO forgotten_app")
        before = grants(workshop)
        replace_release(workshop, QUARANTINE.format(time="1h"))
        workshop.run("gc", "--apply")
        with (
            psycopg.connect(app) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("SELECT app.count_things_1()")
        done = workshop.json("restore", "app.count_things_1")
        assert set(done["restored"]) == OLD, "and all that it needs"
        with psycopg.connect(app) as connection:
            assert connection.execute("SELECT app.count_things_1()").fetchone() == (3,)
        assert grants(workshop) == before


@pytest.mark.parametrize("way", ["activate", "publish"])
def test_a_release_that_needs_it_again_lifts_the_quarantine(workshop: Workshop, way: str) -> None:
    with role(workshop, "returning_app") as app:
        workshop.configure(more=QUARANTINE.format(time="1h"))
        workshop.publish("1")
        workshop.sql("GRANT SELECT ON app.things_1 TO returning_app")
        replace_release(workshop, QUARANTINE.format(time="1h"))
        workshop.run("gc", "--apply")
        if way == "activate":
            workshop.run("release", "activate", "1")
        else:
            workshop.write(things=THINGS)
            assert workshop.publish("3")["create"] == []
        with psycopg.connect(app) as connection:
            assert len(connection.execute("SELECT * FROM app.find_things_1(0)").fetchall()) == 3
        assert workshop.json("verify")["findings"] == []


def test_a_new_version_takes_its_grants_from_before_the_quarantine(workshop: Workshop) -> None:
    with role(workshop, "carried_app") as app:
        workshop.configure(more=QUARANTINE.format(time="1h"))
        workshop.publish("1")
        workshop.sql("GRANT SELECT ON app.things_1 TO carried_app")
        workshop.remove("things", "find_things", "count_things")
        workshop.run("release", "activate", "1")
        workshop.publish("2")
        workshop.run("release", "activate", "2")
        workshop.run("release", "retire", "1")
        workshop.run("gc", "--apply")
        assert len(workshop.json("gc", "--apply")["quarantine"]) == 3
        workshop.write(things=WIDER)
        assert [c["physical"] for c in workshop.publish("3")["create"]] == ["app.things_2"]
        with psycopg.connect(app) as connection:
            assert len(connection.execute("SELECT * FROM app.things_2").fetchall()) == 3


def test_a_version_dropped_out_of_quarantine_comes_back_as_it_was_before(
    workshop: Workshop,
) -> None:
    with role(workshop, "restored_app") as app:
        workshop.configure(more=QUARANTINE.format(time="0s"))
        workshop.publish("1")
        workshop.sql("GRANT SELECT ON app.things_1 TO restored_app")
        replace_release(workshop, QUARANTINE.format(time="0s"))
        workshop.run("gc", "--apply")
        assert workshop.json("gc", "--apply")["dropped"] == 3
        workshop.run("release", "activate", "1", "--restore")
        with psycopg.connect(app) as connection:
            assert len(connection.execute("SELECT * FROM app.find_things_1(0)").fetchall()) == 3
        assert workshop.json("verify")["findings"] == []


# ---- what it says ------------------------------------------------------------------------------


def test_every_decision_leaves_an_event(workshop: Workshop) -> None:
    replace_release(workshop, QUARANTINE.format(time="0s"))
    workshop.run("gc", "--apply")
    workshop.run("release", "activate", "1")
    workshop.run("release", "retire", "1")
    for _ in range(3):
        workshop.run("gc", "--apply")
    rows = workshop.sql("SELECT action, subject, detail FROM procver.event ORDER BY id")
    said = {action: (subject, detail) for action, subject, detail in rows}
    assert said["condemn"] == ("3 versions", {"versions": sorted(OLD, key=lambda n: n)})
    assert said["quarantine"][1]["versions"] == said["condemn"][1]["versions"]
    drops = {subject: detail["why"] for action, subject, detail in rows if action == "drop"}
    assert drops.keys() == OLD
    assert all("only retired releases map to it (1)" in why for why in drops.values())


def test_a_drop_does_not_say_of_a_release_that_was_never_activated_that_it_was_retired(
    workshop: Workshop,
) -> None:
    replace_release(workshop)
    workshop.write(alone="CREATE FUNCTION app.alone() RETURNS int LANGUAGE sql AS 'SELECT 43';\n")
    workshop.publish("3")
    workshop.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\nunactivated = "0s"\n')
    workshop.run("gc", "--apply")
    drops = {d["physical"]: d["why"] for d in workshop.json("gc")["drop"]}
    assert drops["app.alone_2"].startswith(
        "only retired or never activated releases map to it (3);"
    )


def test_a_decision_can_be_made_again_from_what_it_says(workshop: Workshop) -> None:
    replace_release(workshop)
    found = workshop.json("gc")
    assert found["policy"]["grace"] == 0.0
    assert found["policy"]["keep_releases"] == 0
    assert found["at"] > min(
        row[0].isoformat() for row in workshop.sql("SELECT at FROM procver.event")
    )
    assert {d["physical"] for d in found["drop"]} == OLD


def test_a_clock_that_jumps_back_delays_and_never_hastens(workshop: Workshop) -> None:
    replace_release(workshop)
    workshop.sql(
        "UPDATE procver.version SET condemned_at = now() + interval '1 h' WHERE state = 'condemned'"
    )
    found = workshop.json("gc", "--apply")
    assert found["dropped"] == 0
    assert {c["physical"] for c in found["condemn"]} == OLD


def test_a_text_that_was_changed_in_the_registry_is_not_restored(workshop: Workshop) -> None:
    replace_release(workshop)
    assert workshop.json("gc", "--apply")["dropped"] == 3
    workshop.sql(
        "UPDATE procver.version SET definition = replace(definition::text, 't.name', 't.id')::json"
        " WHERE physical = 'app.things_1'"
    )
    before = workshop.objects()
    for words in (["restore", "app.find_things_1"], ["release", "activate", "1", "--restore"]):
        error = workshop.json(*words, code=4)["error"]
        assert error["message"] == "the registry's text of app.things_1 is not what was published"
        assert "backup" in error["hint"]
    assert workshop.objects() == before
    assert workshop.json("restore", "app.things_1", code=4)
