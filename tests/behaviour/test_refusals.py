"""What people get wrong about releases, instances, names and cleanup: said clearly, and nothing changed."""

from __future__ import annotations

import json

import pytest

from procver import creation
from procver.registry import writing
from tests.behaviour.worlds import NOW, World
from tests.cli.untouched import refused

UNKNOWN = "no release 'r2' in this database"


@pytest.fixture
def shop(empty_world: World) -> World:
    """Release r1 is retired and collected, release r3 live on web-1, r4 a trial."""
    empty_world.reach(trial)
    return empty_world


def trial(world: World) -> None:
    world.configure(more=NOW)
    world.publish("r1")
    world.run("release", "activate", "r1")
    world.widen()
    world.publish("r3")
    world.run("release", "activate", "r3", "-i", "web-1")
    world.run("release", "retire", "r1")
    for _ in range(2):
        world.run("gc", "--apply")
    world.publish("r4")


CANNOT: list[tuple[list[str], int, str, str]] = [
    (["release", "activate", "r2"], 2, UNKNOWN, "did you mean r"),
    (["release", "retire", "r2"], 2, UNKNOWN, "did you mean r"),
    (["release", "show", "r2"], 2, UNKNOWN, "did you mean r"),
    (["release", "discard", "r2"], 2, UNKNOWN, "did you mean r"),
    (["release", "retire", "r3", "-i", "web-7"], 2, "instance 'web-7' is not on release r3", "release list"),
    (["release", "retire", "r4"], 2, "release r4 was never activated", "release discard r4"),
    (["release", "activate", "r1"], 4, "release r1 needs 3 version(s) that are gone", "--restore"),
    (["release", "discard", "r3"], 4, "release r3 is live on web-1", "release retire r3"),
    (["restore", "app.things_7"], 2, "app.things_7 is no version that was published here", "did you mean"),
    (["why", "zzz"], 2, "zzz is no version that was published here", "a version is named like"),
    (["gc", "--apply", "--for", "-1h"], 2, "--for: '-1h' is no duration", '"7d"'),
    (["release", "retire", "zzz"], 2, "no release 'zzz'", "procver release list"),
    (["release", "discard", "zzz"], 2, "no release 'zzz'", "procver release list"),
    (["release", "discard"], 2, "name a release, or --leftovers", "procver release list"),
    (["release", "discard", "r3", "--leftovers"], 2, "name a release, or --leftovers", ""),
    (["release", "diff", "r3", "zzz"], 2, "no release 'zzz'", "procver release list"),
    (["release", "activate", "r3", "-i", ""], 2, "'' cannot be an instance name", "web-1"),
    (["release", "activate", "r3", "-i", "a\tb"], 2, "cannot be an instance name", "web-1"),
    (["why", "app.thing_1"], 2, "app.thing_1 is no version", "did you mean app.things_"),
    (["why", "what is this"], 2, "is no name of an object", "schema.name"),
    (["restore", "app.nix_7"], 2, "app.nix_7 is no version", ""),
    (["restore", "x" * 3000], 2, "is no version", "app.find_things_3"),
    (["publish", "-r", ""], 2, "'' cannot be a release name", "printable"),
    (["publish", "-r", " x"], 2, "' x' cannot be a release name", "printable"),
    (["publish", "--release=-x"], 2, "'-x' cannot be a release name", "printable"),
    (["publish", "-r", "a\nb"], 2, "cannot be a release name", "printable"),
    (["publish", "-r", "a\x1b[2Jb"], 2, "'a\\x1b[2Jb' cannot be", "printable"),
    (["publish", "-r", "r" * 201], 2, "cannot be a release name", "1 to 200"),
    (["plan", "-r", "a\nb"], 2, "cannot be a release name", "printable"),
    (["map", "-r", "a\nb"], 2, "cannot be a release name", "printable"),
    (["lock", "--base", "nowhere"], 2, "procver.lock at 'nowhere'", "git"),
    (["init"], 2, "procver.toml exists already", "none of its files"),
    (["log", "--since", "yesterday"], 2, "'yesterday' is no duration", "2026-11-21T09:30"),
    (["log", "--since", ""], 2, "'' is no duration", "36h"),
    (["log", "--since", "-1d"], 2, "'-1d' is no duration", "36h"),
    (["log", "--until", "2026-13-01"], 2, "'2026-13-01' is no time", "2026-11-21"),
    (["log", "--until", "2026-02-30T10:00"], 2, "is no time", "2026-11-21"),
    (["log", "--since", "200000d"], 2, "longer than 100 years", "36h"),
    (["log", "--action", "dropp"], 2, "dropp", "log --help"),
    (["log", "--limit", "0"], 2, "0", "log --help"),
    (["log", "--limit", "x"], 2, "x", "log --help"),
    (["log", "--object", "a.b.c.d"], 2, "a.b.c.d", ""),
]  # fmt: skip


def test_what_cannot_be_done(shop: World) -> None:
    """One after the other on one state: each leaves it as it was."""
    for words, code, message, hint in CANNOT:
        error = "conflict" if code == 4 else "usage"
        refused(shop, *words, code=code, error=error, says=(message,), hint=(hint,))


def test_a_duration_that_is_none(shop: World) -> None:
    before = shop.look()
    for key in ("grace", "idle", "quarantine", "unactivated"):
        for value in ("-7d", "soon", "7", "1.5d", "99999w", ""):
            shop.configure(more=f'[gc]\n{key} = "{value}"\n')
            error = shop.json("gc", "--apply", code=2)["error"]
            assert key in error["message"], value
            assert error["hint"]
    assert shop.look() == before


def test_retiring_twice_is_retiring_once(shop: World) -> None:
    shop.run("release", "retire", "r3")
    shop.run("release", "retire", "r3", "-i", "web-1")
    before = shop.look()
    assert shop.json("release", "retire", "r3")["state"] == "retired"
    assert shop.look() == before


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW app.things_1 AS SELECT 1 AS mine",
        "CREATE TABLE app.things_1 (mine int)",
    ],
)
def test_restoring_over_a_foreign_object(shop: World, sql: str) -> None:
    shop.sql(sql)
    for words in (["restore", "app.find_things_1"], ["release", "activate", "r1", "--restore"]):
        refused(
            shop, *words, code=4, error="conflict", says=("things_1 exists already, and",),
        )  # fmt: skip
    assert shop.sql("SELECT mine FROM app.things_1") in ([(1,)], [])


def test_before_anything_was_published(world: World) -> None:
    for words in (
        ("release", "list"), ("release", "show", "1"), ("release", "activate", "1"), ("gc",), ("gc", "--apply"),
        ("why", "app.things_1"), ("restore", "app.things_1"), ("verify",), ("release", "discard", "--leftovers"),
        ("log",), ("status",),
    ):  # fmt: skip
        refused(
            world, *words, code=2, error="usage",
            says=("project shop has published nothing to this database",), hint=("procver publish",),
        )  # fmt: skip


def test_a_registry_of_a_newer_procver(shop: World) -> None:
    shop.sql("INSERT INTO procver.upgrade (number, name) VALUES (99, '099_future.sql')")
    for words in (
        ("plan",), ("publish", "-r", "2"), ("release", "list"), ("release", "activate", "r3"), ("gc", "--apply"),
        ("verify",), ("why", "app.things_1"), ("restore", "app.things_1"), ("release", "discard", "r4"),
    ):  # fmt: skip
        refused(
            shop, *words, code=4, error="conflict", says=("level 99",), hint=("upgrade procver",)
        )


def test_a_release_name_used_again(world: World) -> None:
    world.publish("1")
    world.answer(43)
    replaced = world.run("publish", "-r", "1")
    assert "it replaces what was published under this name and never activated" in replaced.stdout
    world.run("release", "activate", "1")
    world.answer(44)
    for words in (("plan", "-r", "1"), ("publish", "-r", "1", "--dry-run"), ("publish", "-r", "1")):
        refused(
            world, *words, code=4, error="conflict",
            says=("release 1 was already published with other content, and activated",),
            hint=("under a new release name",),
        )  # fmt: skip
    world.run("release", "retire", "1")
    refused(world, "publish", "-r", "1", code=4, error="conflict", says=("already published",))


def test_a_fingerprint_edited_by_hand_into_another(shop: World) -> None:
    lock = shop.root / "procver.lock"
    lock.write_text(lock.read_text("utf-8")[:-5] + "0000\n", "utf-8")
    assert shop.json("lock", "--check", code=1)["added"][0]["version"] == 3
    for words in (("publish", "-r", "r5", "--locked"), ("map", "-r", "r5")):
        refused(
            shop, *words, code=4, error="stale-lock", says=("lacks 1 version(s): app.things",),
            hint=("procver lock", "commit"),
        )  # fmt: skip


def test_commands_that_need_no_sources_work_whatever_these_are(shop: World) -> None:
    shop.write(things="CREATE TABLE nonsense")
    (shop.root / "procver.lock").write_text("<<<<<<< HEAD\n")
    shop.run("release", "activate", "r3")
    shop.run("release", "list")
    shop.run("why", "app.things_2")
    shop.run("gc", "--apply")
    shop.run("verify")
    shop.drop("app.alone_1")
    shop.run("restore", "app.alone_1")
    assert shop.call("app.alone_1") == [(42,)]


def test_gc_while_a_release_is_half_rolled_out(world: World) -> None:
    world.configure(more=NOW)
    world.publish("1")
    world.run("release", "activate", "1", "-i", "web-1")
    world.run("release", "activate", "1", "-i", "web-2")
    world.answer(43)
    world.widen()
    world.publish("2")
    both = world.objects()
    for _ in range(3):
        assert world.json("gc", "--apply")["condemn"] == []
    world.run("release", "activate", "2", "-i", "web-1")
    for _ in range(3):
        assert world.json("gc", "--apply")["condemn"] == []
    # Declared retired too early: web-2 still runs it.
    assert world.json("release", "retire", "1")["kept_by"] == ["web-2"]
    found = [world.json("gc", "--apply") for _ in range(3)]
    assert [f["dropped"] for f in found] == [0, 0, 0]
    assert "instance web-2" in json.dumps(found[0]["keep"])
    assert world.objects() == both
    world.run("release", "activate", "2", "-i", "web-2")
    world.run("gc", "--apply")
    assert world.json("gc", "--apply")["dropped"] == 4
    assert world.json("verify")["findings"] == []


def test_every_rejected_definition_is_reported_and_the_valid_ones_are_kept(world: World) -> None:
    world.publish("1")
    world.write(
        bad1="CREATE VIEW app.bad1 AS\nSELECT t.nope1 FROM app.thing t\n",
        bad2="CREATE VIEW app.bad2 AS SELECT t.nope2 FROM app.thing t\n",
        bad3="CREATE VIEW app.bad3 AS SELECT x.nope3 FROM app.good x\n",
        good="CREATE VIEW app.good AS SELECT t.id FROM app.thing t\n",
        over="CREATE VIEW app.over1 AS SELECT b.nope1 FROM app.bad1 b\n",
        under="CREATE VIEW app.under AS SELECT t.id FROM app.thing t\n",
    )
    error = world.json("publish", "-r", "2", code=3)["error"]
    assert error["code"] == "ddl"
    lines = error["message"].splitlines()
    assert "2 more definitions were rejected:" in lines
    for number in (1, 2, 3):
        (line,) = [line for line in lines if f"sql/bad{number}.sql:" in line]
        assert f"app.bad{number}_1" in line
        assert f"nope{number}" in line
    assert len(error["others"]) == 2
    assert all(other["message"] and other["hint"] for other in error["others"])
    assert "over1" not in error["message"], "nobody can tell yet"
    assert {"app.good_1", "app.under_1"} <= world.objects()
    assert [r["name"] for r in world.json("release", "list")["releases"]] == ["1"]
    for number in (1, 3):
        (world.root / f"sql/bad{number}.sql").unlink()
    (world.root / "sql/over.sql").unlink()
    assert "rejected" not in world.json("publish", "-r", "2", code=3)["error"]["message"]
    (world.root / "sql/bad2.sql").unlink()
    found = world.publish("2")
    assert found["create"] == []
    assert found["reuse"] == len(world.objects())


@pytest.mark.parametrize("bad", [{0}, {39}, {3, 4, 17, 38}, set(range(1, 40)), set(range(40))])
def test_rejected_definitions_among_many(
    world: World, monkeypatch: pytest.MonkeyPatch, bad: set[int]
) -> None:
    """However they lie in their transactions: units of 8, attempts of 2 at least."""
    monkeypatch.setattr(writing, "BATCH_OBJECTS", 8)
    monkeypatch.setattr(creation, "SMALLEST", 2)
    for at in range(40):
        column = f"nope{at}" if at in bad else "id"
        below = f", (SELECT count(*) FROM app.many{at - 1:02}) AS n" if at % 5 else ""
        text = f"CREATE VIEW app.many{at:02} AS SELECT t.{column} AS a{below} FROM app.thing t\n"
        world.write(**{f"many{at:02}": text})
    error = world.json("publish", "-r", "1", code=3)["error"]
    others = error.get("others", [])
    message = error["message"]
    expected = {at for at in bad if not any(b in bad for b in range(at - at % 5, at))}
    assert len(others) == len(expected) - 1
    for at in range(40):
        assert (f"sql/many{at:02}.sql:" in message) == (at in expected), at
    made = {at for at in range(40) if not any(b in bad for b in range(at - at % 5, at + 1))}
    assert {f"app.many{at:02}_1" for at in made} == {
        name for name in world.objects() if "many" in name
    }
    for at in bad:
        text = (world.root / f"sql/many{at:02}.sql").read_text()
        world.write(**{f"many{at:02}": text.replace(f"nope{at}", "id")})
    created = {c["name"] for c in world.publish("1")["create"]}
    assert created == {f"app.many{at:02}" for at in range(40) if at not in made}
