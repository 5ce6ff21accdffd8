"""What somebody may do travels from version to version, comes back with a restored one, or is what the project says."""

from __future__ import annotations

from tests.behaviour.worlds import NOW, World
from tests.cli.untouched import refused


def test_rights_travel_to_the_next_version_and_come_back_with_a_restored_one(world: World) -> None:
    world.configure(more=NOW)
    with world.user() as app:
        world.publish("1")
        world.allow(app.name, "app.things_1", "app.find_things_1", "app.count_things_1")
        world.run("release", "activate", "1")
        world.widen()
        world.publish("2")
        world.run("release", "activate", "2")
        connection = app.connect()
        for number in (1, 2):
            find = world.calling(f"app.find_things_{number}", 2)
            assert len(connection.execute(find).fetchall()) == 2
        before = world.privileges()
        world.run("release", "retire", "1")
        world.run("gc", "--apply")
        assert world.json("gc", "--apply")["dropped"] == 3
        assert world.privileges() != before
        world.run("release", "activate", "1", "--restore")
        assert len(connection.execute(world.calling("app.find_things_1", 2)).fetchall()) == 2
        assert world.privileges() == before
        assert world.json("verify")["findings"] == []


def test_configured_rights_are_given_to_every_version(world: World) -> None:
    with world.user() as app, world.user() as other:
        rights = f'execute = ["{app.name}"], select = ["{app.name}"]'
        world.configure(more=NOW + f'[grants]\n"app.*" = {{ {rights} }}\n')
        world.publish("1")
        world.allow(other.name, "app.things_1", "app.find_things_1")
        world.widen()
        world.publish("2")
        find = world.calling("app.find_things_2", 2)
        assert len(app.connect().execute(find).fetchall()) == 2
        assert len(app.connect().execute("SELECT * FROM app.things_2").fetchall()) == 3
        assert world.denies(other.connect(), find), "the project says who, not the version before"
        assert world.denies(other.connect(), "SELECT * FROM app.things_2")
        assert len(other.connect().execute("SELECT * FROM app.things_1").fetchall()) == 3


def test_a_role_that_is_missing(world: World) -> None:
    world.configure(more='[grants]\n"app.*" = { execute = ["nobody_here"] }\n')
    for words in (("plan",), ("publish", "-r", "1")):
        refused(
            world, *words, code=3, error="database", says=("role nobody_here", "[grants]"),
            hint=("CREATE ROLE nobody_here", "correct [grants]"),
        )  # fmt: skip
    world.configure()
    world.publish("1")


def test_a_pattern_that_is_for_nothing_is_told(world: World) -> None:
    world.configure(more='[grants]\n"app.*" = {}\n"apps.*" = { select = [] }\n')
    (remark,) = world.json("plan")["remarks"]
    assert (remark["rule"], remark["file"]) == ("idle-grant", "procver.toml")
    line = (world.root / "procver.toml").read_text().splitlines()[remark["line"] - 1]
    assert line.startswith('"apps.*"')
