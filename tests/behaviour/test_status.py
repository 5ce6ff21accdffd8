"""`procver status`: counts, what nothing needs, instances, the last gc; for people, scripts and Prometheus."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.worlds import NOW, World
from tests.cli.untouched import refused

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
_SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)\{{((?:{_LABEL.pattern})(?:,(?:{_LABEL.pattern}))*)\}}"
    r" ([+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
)
_UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parsed(text: str) -> Samples:
    """Return the samples of a text in Prometheus' format 0.0.4; fail where it strays from that.

    The format's page ("Text-based format") asks for: one HELP and one TYPE line for a metric, before its samples; all lines of a
    metric together; no sample twice; a line feed after the last line.
    """
    assert text.endswith("\n")
    found: Samples = {}
    described: list[str] = []
    typed: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        if help_ := re.fullmatch(r"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ([^\\\n]+)", line):
            assert help_[1] not in described
            described.append(help_[1])
        elif type_ := re.fullmatch(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) gauge", line):
            assert [*typed, type_[1]] == described
            typed.append(type_[1])
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == typed[-1]
            labels = _LABEL.findall(sample[2])
            plain = [
                (key, re.sub(r"\\.", lambda m: _UNESCAPED[m[0]], value)) for key, value in labels
            ]
            assert len(dict(plain)) == len(plain)
            key = sample[1], frozenset(plain)
            assert key not in found
            found[key] = float(line.rpartition(" ")[2])
    return found


def metrics(world: World, project: str = "shop") -> dict[str, float]:
    """Return the metrics of a project, each as ``name label=value ...``."""
    text = world.run("status", "--format", "prometheus").stdout
    found = {}
    for (name, labels), value in parsed(text).items():
        assert ("project", project) in labels
        rest = sorted(f"{key}={text}" for key, text in labels if key != "project")
        found[" ".join([name.removeprefix("procver_"), *rest])] = value
    return found


def test_a_parser_that_takes_anything_would_prove_nothing() -> None:
    head = "# HELP a b\n# TYPE a gauge\n"
    assert parsed(head + 'a{x="\\"\\\\\\n"} 1.5\n') == {("a", frozenset({("x", '"\\\n')})): 1.5}
    for wrong in (
        'a{x="1"} 1',
        'a{x="""} 1\n',
        'a{x="1"} one\n',
        'b{x="1"} 1\n',
        'a{x="1",x="2"} 1\n',
        "a 1\n",
    ):
        with pytest.raises(AssertionError):
            parsed(head + wrong)


def test_a_new_project(world: World) -> None:
    world.publish("1")
    found = world.json("status")
    assert found["versions"] == {"present": 4, "condemned": 0, "dropped": 0}
    assert found["releases"] == {"published": 1, "live": 0, "retired": 0}
    assert found["unreferenced"] == {"count": 0, "oldest": None}
    assert (found["gc"], found["instances"], found["live"]) == (None, [], [])
    assert metrics(world) == {
        "versions state=present": 4,
        "versions state=condemned": 0,
        "versions state=dropped": 0,
        "releases state=published": 1,
        "releases state=live": 0,
        "releases state=retired": 0,
        "unreferenced_versions": 0,
        "oldest_unreferenced_seconds": 0,
        "last_gc_timestamp_seconds": 0,
        "last_gc_dropped": 0,
        "last_gc_condemned": 0,
    }
    assert "last gc      never" in world.run("status").stdout


@pytest.fixture
def left(empty_world: World) -> World:
    """Two releases, of which the first is retired: one version is left that nothing needs."""
    empty_world.reach(cycle)
    return empty_world


def cycle(world: World) -> None:
    world.configure(more=NOW)
    world.publish("1")
    world.run("release", "activate", "1", "--instance", "web-1")
    world.answer(43)
    world.publish("2")
    world.run("release", "activate", "2", "--instance", "web-2")
    world.run("release", "retire", "1", "--instance", "web-1")


def test_what_nothing_needs_and_since_when(left: World) -> None:
    left.sql(f"UPDATE procver.version SET created_at = {left.ago('created_at', days=9)}")
    left.sql(
        f"UPDATE procver.release SET retired_at = {left.ago('retired_at', days=2)} WHERE name = '1'"
    )
    found = left.json("status")["unreferenced"]
    assert (found["count"], found["oldest"]["physical"]) == (1, "app.alone_1")
    assert 172_800 <= found["oldest"]["seconds"] < 173_400
    assert metrics(left)["oldest_unreferenced_seconds"] == pytest.approx(172_800, abs=600)
    assert "unreferenced 1, the oldest app.alone_1, for 2 d" in left.run("status").stdout


def test_what_gc_keeps_is_referenced(left: World) -> None:
    for more in ("[gc]\nkeep_releases = 1\n", '[gc]\nkeep_releases = 0\npins = ["app.alone_1"]\n'):
        left.configure(more=more)
        assert left.json("status")["unreferenced"] == {"count": 0, "oldest": None}


def test_what_only_a_pinned_version_needs_is_referenced(left: World) -> None:
    left.widen()
    left.publish("3")
    left.run("release", "activate", "3")
    left.run("release", "retire", "2", "--instance", "web-2")
    left.configure(more='[gc]\nkeep_releases = 0\npins = ["app.count_things_1"]\n')
    assert left.json("status")["unreferenced"]["count"] == 1
    assert [c["physical"] for c in left.json("gc")["condemn"]] == ["app.alone_1"]


def test_the_last_gc_leaves_a_trace_even_if_it_found_nothing(left: World) -> None:
    left.run("gc")
    assert left.json("status")["gc"] is None, "gc without --apply writes nothing"
    for expected in (
        {"dropped": 0, "condemned": 1, "kept": 4},
        {"dropped": 1, "condemned": 0, "kept": 4},
        {"dropped": 0, "condemned": 0, "kept": 4},
    ):
        before, started = generation(left), time.time()
        left.run("gc", "--apply")
        found = left.json("status")
        assert found["gc"]["actor"] == left.actor()
        assert {key: found["gc"][key] for key in ("dropped", "condemned", "kept")} == expected
        seen = metrics(left)
        assert seen["last_gc_dropped"] == expected["dropped"]
        assert seen["last_gc_condemned"] == expected["condemned"]
        assert seen["versions state=condemned"] == expected["condemned"]
        assert started - 60 < seen["last_gc_timestamp_seconds"] <= time.time() + 60
    assert generation(left) == before, "a run that found nothing disturbs no publisher"


def generation(world: World) -> Any:
    return world.sql("SELECT generation, last_release FROM procver.project")


def test_instances_by_release(left: World) -> None:
    for name in ("web-3", "web-4"):
        left.run("release", "activate", "2", "--instance", name)
    long_ago = left.ago(left.now, days=20)
    left.sql(
        f"UPDATE procver.instance SET declared_at = {long_ago}, last_seen_at = {long_ago}"
        " WHERE name = 'web-3'"
    )
    found = left.json("status")
    assert found["instances"] == [{"release": "2", "living": 2, "stale": 1}]
    assert found["live"] == ["2"]
    seen = metrics(left)
    assert seen["instances release=2 state=living"] == 2
    assert seen["instances release=2 state=stale"] == 1


def test_labels_are_escaped(world: World) -> None:
    name = 'shop "new" \\ 1'
    if world.babelfish:  # its JSON functions do not undo escapes
        for release in ('r"1', "r\\1"):
            for verb in ("plan", "publish"):
                refused(
                    world, verb, "-r", release, code=2, error="usage",
                    says=("Babelfish cannot hold the name",), hint=("choose a name without them",),
                )  # fmt: skip
        world.publish("plain")
        world.run("release", "activate", "plain", "--instance", "web 'x'")
        assert metrics(world)["instances release=plain state=living"] == 1
        return
    text = (world.root / "procver.toml").read_text("utf-8").replace('"shop"', f"'{name}'")
    (world.root / "procver.toml").write_text(text, "utf-8")
    world.publish('r"1\\n')
    world.run("release", "activate", 'r"1\\n', "--instance", "web-1")
    assert metrics(world, name)['instances release=r"1\\n state=living'] == 1


def test_a_file_is_written_whole_or_not_at_all(left: World, tmp_path: Path) -> None:
    place = tmp_path / "procver.prom"
    words = ("status", "--format", "prometheus", "-o", str(place))
    assert left.run(*words).stdout == ""
    written = place.read_text("utf-8")
    assert parsed(written)
    left.run(*words, "-t", left.nowhere, code=3)
    assert place.read_text("utf-8") == written
    assert left.run("status", "--format", "prometheus", "--json", code=2).exit_code == 2


def test_a_project_that_is_not_there(world: World) -> None:
    for _ in range(2):
        assert "has published nothing" in world.json("status", code=2)["error"]["message"]
        world.configure(name="other")
        world.publish("1")
        world.configure(name="shop")
