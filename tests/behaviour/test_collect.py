"""gc that nobody watches: limits, locks, and what it says afterwards."""

from __future__ import annotations

import pytest

from procver.collect import collect
from procver.project.workspace import Project
from tests.behaviour.worlds import FIRST, GONE, NEW, NOW, World


def test_a_run_drops_no_more_than_it_may_and_the_next_goes_on(replaced: World) -> None:
    first = replaced.json("gc", "--apply", "--max", "1")
    assert first["dropped"] == 1
    assert first["remaining"] == 2
    assert "2 more may be dropped" in replaced.run("gc", "--apply", "--max", "0").output
    second = replaced.json("gc", "--apply", "--max", "5")
    assert (second["dropped"], second["remaining"]) == (2, 0)
    assert not GONE & replaced.objects()


def test_a_run_without_time_drops_nothing_but_condemns(world: World) -> None:
    world.configure(more=NOW)
    world.publish("1")
    world.run("release", "activate", "1")
    world.run("release", "retire", "1")
    assert len(world.json("gc", "--apply", "--for", "0s")["condemn"]) == 4
    found = world.json("gc", "--apply", "--for", "0s")
    assert (found["dropped"], found["remaining"]) == (0, 4)
    assert world.json("gc", "--apply", "--for", "5m")["dropped"] == 4
    assert world.objects() == set()


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
def test_limits_that_are_none(replaced: World, words: list[str], message: str) -> None:
    before = replaced.look()
    assert message in replaced.json("gc", "--apply", *words, code=2)["error"]["message"]
    assert replaced.look() == before


def test_a_version_in_use_stays_with_what_it_needs_and_nothing_else(replaced: World) -> None:
    if not replaced.holds:
        pytest.skip("a transaction that has read a view holds nothing on SQL Server")
    impatient = replaced.open(lock_timeout=0.3)
    with replaced.hold("app.things_1") as reader:
        found = collect(Project.at(replaced.root), impatient).as_json()
        assert {d["physical"] for d in found["drop"]} == {"app.count_things_1", "app.find_things_1"}
        (kept,) = [k for k in found["keep"] if k["physical"] == "app.things_1"]
        assert "lock timeout" in kept["because"][0]
        assert len(reader.execute("SELECT * FROM app.things_1").fetchall()) == 3
    impatient.close()
    (state,) = replaced.sql("SELECT state FROM procver.version WHERE physical = 'app.things_1'")
    assert state == ("condemned",), "its grace does not begin anew"
    assert replaced.json("gc", "--apply")["dropped"] == 1
    assert replaced.call("app.find_things_2", 2) == NEW


def test_what_nobody_manages_keeps_what_it_stands_on(replaced: World) -> None:
    replaced.sql("CREATE VIEW app.nightly AS SELECT t.id FROM app.things_1 t")
    shown = replaced.json("gc")
    done = replaced.json("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == {"app.find_things_1", "app.count_things_1"}
    (kept,) = [k["because"] for k in done["keep"] if k["physical"] == "app.things_1"]
    assert "app.nightly" in kept[0]
    assert [d["physical"] for d in done["drop"]] == [d["physical"] for d in shown["drop"]]
    assert "app.nightly" in replaced.run("why", "app.things_1").output
    assert len(replaced.sql("SELECT id FROM app.nightly")) == 3
    replaced.sql("DROP VIEW app.nightly")
    replaced.run("gc", "--apply")
    assert replaced.json("gc", "--apply")["dropped"] == 1


def test_a_name_in_a_text_that_no_catalog_tracks_keeps_the_version(replaced: World) -> None:
    replaced.hide("app.nightly", "app.things_1")
    done = replaced.json("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == {"app.find_things_1", "app.count_things_1"}
    (kept,) = [k["because"] for k in done["keep"] if k["physical"] == "app.things_1"]
    assert "app.nightly" in kept[0]
    assert "(by name, in its text)" in kept[0]
    assert "app.nightly" in replaced.run("why", "app.things_1").output
    replaced.drop("app.nightly")
    replaced.hide("app.nightly", "app.things_12, app.app_things_1, things_1a")
    replaced.run("gc", "--apply")
    assert replaced.json("gc", "--apply")["dropped"] == 1


def test_what_is_held_in_the_database_keeps_what_it_needs_and_both_say_so(replaced: World) -> None:
    replaced.hide("app.nightly", "app.find_things_1")
    shown = replaced.run("gc").output
    assert "kept app.find_things_1: " in shown
    assert "kept 1 for app.find_things_1\n" in shown
    done = replaced.json("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == {"app.count_things_1"}
    (chain,) = replaced.json("why", "app.things_1")["because"]
    assert chain[1:] == ["app.find_things_1", "app.things_1"]
    assert "app.nightly" in chain[0]
    (kept,) = [k["because"] for k in done["keep"] if k["physical"] == "app.things_1"]
    assert kept == [" -> ".join(chain)]


# ---- what it says ------------------------------------------------------------------------------


def test_every_decision_leaves_an_event(replaced: World) -> None:
    replaced.configure(more=NOW + 'quarantine = "0s"\n')
    replaced.run("gc", "--apply")
    replaced.run("release", "activate", "1", "--restore")
    replaced.run("release", "retire", "1")
    for _ in range(3):
        replaced.run("gc", "--apply")
    events = replaced.json("log")["events"]
    said = {e["action"]: (e["subject"], e["detail"]) for e in reversed(events)}
    subject, detail = said["condemn"]
    assert (subject, sorted(detail["versions"])) == ("3 versions", sorted(GONE))
    assert set(said["quarantine"][1]["versions"]) == GONE
    drops = {e["subject"]: e["detail"]["why"] for e in events if e["action"] == "drop"}
    assert drops.keys() == GONE
    assert all("only retired releases map to it (1)" in why for why in drops.values())


def test_a_drop_does_not_say_of_a_release_that_was_never_activated_that_it_was_retired(
    replaced: World,
) -> None:
    replaced.answer(43)
    replaced.publish("3")
    replaced.configure(more=NOW + 'unactivated = "0s"\n')
    replaced.run("gc", "--apply")
    drops = {d["physical"]: d["why"] for d in replaced.json("gc")["drop"]}
    assert drops["app.alone_2"].startswith(
        "only retired or never activated releases map to it (3);"
    )


def test_a_decision_can_be_made_again_from_what_it_says(replaced: World) -> None:
    found = replaced.json("gc")
    assert found["policy"]["grace"] == 0.0
    assert found["policy"]["keep_releases"] == 0
    assert found["at"] > min(e["at"] for e in replaced.json("log")["events"])
    assert {d["physical"] for d in found["drop"]} == GONE
    assert set(replaced.objects()) > FIRST, "nothing was done"


def test_a_clock_that_jumps_back_delays_and_never_hastens(replaced: World) -> None:
    later = replaced.ago(replaced.now, hours=-1)
    replaced.sql(f"UPDATE procver.version SET condemned_at = {later} WHERE state = 'condemned'")
    found = replaced.json("gc", "--apply")
    assert found["dropped"] == 0
    assert {c["physical"] for c in found["condemn"]} == GONE


def test_a_text_that_was_changed_in_the_registry_is_not_restored(replaced: World) -> None:
    assert replaced.json("gc", "--apply")["dropped"] == 3
    replaced.spoil("app.things_1", "t.name", "t.id")
    before = replaced.look()
    for words in (["restore", "app.find_things_1"], ["release", "activate", "1", "--restore"]):
        error = replaced.json(*words, code=4)["error"]
        assert error["message"] == "the registry's text of app.things_1 is not what was published"
        assert "backup" in error["hint"]
        assert replaced.look() == before
    assert replaced.json("restore", "app.things_1", code=4)


def test_what_was_collected_before_more_is_kept_is_not_missing(replaced: World) -> None:
    assert replaced.json("gc", "--apply")["dropped"] == 3
    replaced.configure(more=NOW.replace("keep_releases = 0", "keep_releases = 1"))
    assert replaced.json("verify")["findings"] == []
    replaced.drop("app.alone_1")
    found = replaced.json("verify", code=1)["findings"]
    assert [(f["rule"], f["object"]) for f in found] == [("missing", "app.alone_1")]


def test_the_summary_says_what_each_release_holds_and_what_it_alone_does(two: World) -> None:
    said = two.run("gc").output
    for number in (1, 2):
        assert f"kept 4 for release {number} (live), 3 of them for it alone\n" in said
    two.run("release", "retire", "1")
    assert "kept 4 for release 2 (live)\n" in two.run("gc").output
