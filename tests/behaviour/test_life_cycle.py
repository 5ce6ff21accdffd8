"""From source to published version to mapping to gc, and back."""

from __future__ import annotations

from tests.behaviour.worlds import FIRST, GONE, NEW, OLD, World
from tests.cli.untouched import refused


def test_a_changed_view_versions_what_reads_it_and_nothing_else(world: World) -> None:
    first = world.publish("1")
    assert {c["physical"]: c["reason"] for c in first["create"]} == dict.fromkeys(FIRST, "new")
    old = world.resolver()
    world.widen()
    second = world.publish("2")
    assert {c["physical"]: (c["reason"], c["because"]) for c in second["create"]} == {
        "app.things_2": ("changed", []),
        "app.find_things_2": ("dependency", ["app.things"]),
        "app.count_things_2": ("dependency", ["app.find_things"]),
    }
    assert second["reuse"] == 1
    new = world.resolver()
    assert old["app.find_things"] == "app.find_things_1"
    assert new["find_things"] == "app.find_things_2"
    assert world.call(old["app.find_things"], 2) == OLD
    assert world.call(new["app.find_things"], 2) == NEW
    assert world.call(old["count_things"]) == world.call(new["count_things"]) == [(3,)]


def test_publishing_again_changes_nothing(world: World) -> None:
    world.publish("1")
    before = world.look()
    again = world.publish("1")
    assert again["create"] == []
    assert again["reuse"] == 4
    assert world.look() == before


def test_earlier_content_gets_its_earlier_number_back(world: World) -> None:
    world.publish("1")
    world.widen()
    world.publish("2")
    world.narrow()
    third = world.publish("3")
    assert third["create"] == []
    assert world.resolver()["app.things"] == "app.things_1"


def test_comments_and_layout_make_no_version(world: World) -> None:
    world.publish("1")
    world.write(
        things="-- wider comment\ncreate   view app.things as\n\tSELECT t.id,t.name\r\nFROM app.thing t\n"
    )
    assert world.publish("2")["create"] == []
    assert world.publish("2")["cosmetic"] == ["app.things"]


def test_a_revision_is_a_change_of_its_object_and_no_dependency(world: World) -> None:
    world.publish("1")
    world.write(
        things="-- procver: revision 2\nCREATE VIEW app.things AS SELECT t.id, t.name FROM app.thing t\n"
    )
    made = {c["physical"]: (c["reason"], c["because"]) for c in world.publish("2")["create"]}
    assert made["app.things_2"] == ("changed", [])
    assert made["app.find_things_2"] == ("dependency", ["app.things"])


def test_gc_takes_what_only_the_retired_release_used_and_it_comes_back(two: World) -> None:
    both = two.objects()
    assert two.json("gc", "--apply")["condemn"] == []
    two.run("release", "retire", "1")
    shown = two.json("gc")
    assert {c["physical"] for c in shown["condemn"]} == GONE
    two.run("gc", "--apply")
    assert two.objects() == both, "the run that condemns never drops"
    done = two.json("gc", "--apply")
    assert done["dropped"] == 3
    assert two.objects() == {
        "app.things_2", "app.find_things_2", "app.count_things_2", "app.alone_1",
    }  # fmt: skip
    assert two.json("verify")["findings"] == []
    refused = two.json("release", "activate", "1", code=4)
    assert "--restore" in refused["error"]["hint"]
    assert "did not drop them" not in refused["error"]["hint"]
    two.run("release", "activate", "1", "--restore")
    assert two.objects() == both
    assert two.call("app.find_things_1", 2) == OLD
    assert two.json("verify")["findings"] == []


def test_drift_is_found(world: World) -> None:
    with world.user() as app:
        world.publish("1")
        world.allow(app.name, "app.things_1", "app.count_things_1")
        world.widen()
        world.publish("2")
        world.run("release", "activate", "2")
        world.run("release", "discard", "1")
        assert world.json("verify")["findings"] == []
        world.forbid(app.name, "app.count_things_2")
        world.drop("app.alone_1")
        world.sql(world.constant("app.alone_1", 7))
        found = {(f["object"], f["rule"]) for f in world.json("verify", code=1)["findings"]}
        assert found == {("app.alone_1", "altered"), ("app.count_things_2", "grant-lost")}
        world.drop("app.count_things_2")
        refused = world.json("release", "activate", "2", code=4)
        assert "procver did not drop them all" in refused["error"]["hint"]
        found = {(f["object"], f["rule"]) for f in world.json("verify", code=1)["findings"]}
        assert found == {("app.alone_1", "altered"), ("app.count_things_2", "missing")}
        world.run("restore", "app.count_things_2")
        found = {(f["object"], f["rule"]) for f in world.json("verify", code=1)["findings"]}
        assert found == {("app.alone_1", "altered")}


def test_a_foreign_object_is_in_the_way(world: World) -> None:
    world.sql(world.constant("app.alone_1", 7))
    before = world.look()
    for words in (("plan",), ("publish", "--release", "1")):
        refused = world.json(*words, code=4)["error"]
        assert "app.alone_1" in refused["message"]
        assert refused["hint"]
        assert world.look() == before
    assert world.call("app.alone_1") == [(7,)]


def test_a_statement_that_the_server_refuses_leaves_no_release(world: World) -> None:
    world.write(zebra="-- one\nCREATE VIEW app.zebra AS\nSELECT t.nope FROM app.thing t\n")
    refused = world.json("publish", "--release", "1", code=3)["error"]
    assert "sql/zebra.sql:" in refused["message"]
    assert "nope" in refused["message"]
    world.remove("zebra")
    (world.root / "procver.lock").unlink()
    done = world.publish("1")
    assert len(done["create"]) + done["reuse"] == 4
    assert [r["name"] for r in world.json("release", "list")["releases"]] == ["1"]


def test_an_object_that_leaves_is_told(world: World) -> None:
    assert world.publish("1")["removed"] == []
    (world.root / "sql" / "alone.sql").unlink()
    assert world.json("plan", "--release", "2")["removed"] == ["app.alone"]
    said = world.run("plan", "--release", "2").output
    assert "  - app.alone  in the release before, and no source defines it" in said
    assert world.publish("2")["removed"] == ["app.alone"]
    assert world.publish("2")["removed"] == []
    assert world.json("plan", "--release", "3")["removed"] == []


def test_a_suffix_other_than_that_of_what_is_published(world: World) -> None:
    world.publish("1")
    config = world.root / "procver.toml"
    text = config.read_text()
    config.write_text(text.replace('"sql"]', '"sql"]\nsuffix = "__v{version}"', 1))
    world.answer(43)
    for words in (("plan",), ("publish", "-r", "2")):
        refused(
            world, *words, code=4, error="conflict",
            says=("was published to this database as app.", "and suffix in procver.toml would make it"),
            hint=("set suffix back",),
        )  # fmt: skip
    config.write_text(text)
    assert [c["physical"] for c in world.publish("2")["create"]] == ["app.alone_2"]


def test_a_reference_to_what_left_is_told(world: World) -> None:
    world.publish("1")
    (world.root / "sql" / "find_things.sql").unlink()
    for document in (world.json("lock"), world.json("plan"), world.json("lock", "--check")):
        (remark,) = document["remarks"]
        assert remark["rule"] == "departed"
        assert remark["file"] == "sql/count_things.sql"
        assert "app.count_things refers to app.find_things" in remark["message"]
        assert 'outside = ["app.find_things"]' in remark["hint"]
    config = world.root / "procver.toml"
    config.write_text(
        config.read_text().replace('"sql"]', '"sql"]\noutside = ["app.find_things"]', 1)
    )
    assert world.json("plan")["remarks"] == []


def test_what_left_and_nobody_names_is_not_told(world: World) -> None:
    world.publish("1")
    for name in ("alone", "count_things"):
        (world.root / "sql" / f"{name}.sql").unlink()
    world.write(things="-- count_things is gone\n" + (world.root / "sql/things.sql").read_text())
    assert world.json("plan")["remarks"] == []


def test_a_reformatting_does_not_fill_the_screen(world: World) -> None:
    for number in range(12):
        world.write(**{f"n{number}": world.constant(f"app.n{number}", number)})
    world.publish("1")
    for number in range(12):
        world.write(**{f"n{number}": "-- new\n" + world.constant(f"app.n{number}", number)})
    said = world.run("plan").output
    assert said.count("only comments or layout changed: no new version") == 10
    assert "  ~ and 2 more, of which only comments or layout changed\n" in said
    assert len(world.json("plan")["cosmetic"]) == 12


def test_a_version_that_is_not_found_is_told(world: World) -> None:
    world.publish("1")
    world.drop("app.count_things_1")
    (remark,) = world.json("plan")["remarks"]
    assert (remark["rule"], remark["file"]) == ("unseen", "sql/count_things.sql")
    assert "app.count_things_1" in remark["message"]
    assert [c["reason"] for c in world.publish("1")["create"]] == ["restored"]
    assert world.json("plan")["remarks"] == []
