"""From source to published version to mapping to gc, on a real server."""

from __future__ import annotations

from tests.live.conftest import THINGS
from tests.workshop import Workshop

WIDER = "CREATE VIEW app.things AS SELECT t.id, t.name, t.price FROM app.thing t;\n"
GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'


def find(workshop: Workshop, physical: str) -> list[tuple[object, ...]]:
    return workshop.sql(f"SELECT * FROM {physical}(2)")


def test_a_changed_view_versions_what_reads_it_and_nothing_else(workshop: Workshop) -> None:
    first = workshop.publish("1")
    assert {c["physical"]: c["reason"] for c in first["create"]} == {
        "app.things_1": "new",
        "app.find_things_1": "new",
        "app.count_things_1": "new",
        "app.alone_1": "new",
    }
    old = workshop.resolver()
    workshop.write(things=WIDER)
    second = workshop.publish("2")
    assert {c["physical"]: (c["reason"], c["because"]) for c in second["create"]} == {
        "app.things_2": ("changed", []),
        "app.find_things_2": ("dependency", ["app.things"]),
        "app.count_things_2": ("dependency", ["app.find_things"]),
    }
    assert second["reuse"] == 1
    new = workshop.resolver()
    assert old["app.find_things"] == "app.find_things_1"
    assert new["find_things"] == "app.find_things_2"
    assert find(workshop, old["app.find_things"]) == [(2, "bolt"), (3, "crane")]
    assert find(workshop, new["app.find_things"]) == [(2, "bolt", 1), (3, "crane", 5000)]


def test_publishing_again_changes_nothing(workshop: Workshop) -> None:
    workshop.publish("1")
    before = workshop.sql("SELECT oid FROM pg_proc WHERE proname LIKE '%\\_1' ORDER BY 1")
    again = workshop.publish("1")
    assert again["create"] == []
    assert again["reuse"] == 4
    assert before == workshop.sql("SELECT oid FROM pg_proc WHERE proname LIKE '%\\_1' ORDER BY 1")


def test_earlier_content_gets_its_earlier_number_back(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.write(things=WIDER)
    workshop.publish("2")
    workshop.write(things=THINGS)
    third = workshop.publish("3")
    assert third["create"] == []
    assert workshop.resolver()["app.things"] == "app.things_1"


def test_comments_and_layout_make_no_version(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.write(
        things="-- wider comment\ncreate   view app.things as\n\tSELECT t.id,t.name\r\nFROM app.thing t\n"
    )
    assert workshop.publish("2")["create"] == []
    assert workshop.publish("2")["cosmetic"] == ["app.things"]


def test_gc_takes_what_only_the_retired_release_used(workshop: Workshop) -> None:
    workshop.configure(more=GC_NOW)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.write(things=WIDER)
    workshop.publish("2")
    workshop.run("release", "activate", "2")
    both = workshop.objects()
    assert workshop.json("gc", "--apply")["condemn"] == []
    workshop.run("release", "retire", "1")
    shown = workshop.json("gc")
    assert {c["physical"] for c in shown["condemn"]} == {
        "app.things_1", "app.find_things_1", "app.count_things_1",
    }  # fmt: skip
    workshop.run("gc", "--apply")
    assert workshop.objects() == both, "the run that condemns never drops"
    done = workshop.json("gc", "--apply")
    assert done["dropped"] == 3
    assert workshop.objects() == {
        "app.things_2",
        "app.find_things_2",
        "app.count_things_2",
        "app.alone_1",
    }
    assert workshop.json("verify")["findings"] == []


def test_a_collected_release_comes_back(workshop: Workshop) -> None:
    test_gc_takes_what_only_the_retired_release_used(workshop)
    refused = workshop.json("release", "activate", "1", code=4)
    assert "--restore" in refused["error"]["hint"]
    workshop.run("release", "activate", "1", "--restore")
    assert find(workshop, "app.find_things_1") == [(2, "bolt"), (3, "crane")]
    assert workshop.json("verify")["findings"] == []
