"""`procver status`: counts, what nothing needs, instances, the last gc; for people, scripts and Prometheus."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.faults import Proxy
from tests.live.conftest import ALONE
from tests.workshop import Workshop

GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
OTHER = ALONE.replace("42", "43")

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


def metrics(shop: Workshop, project: str = "shop") -> dict[str, float]:
    """Return the metrics of a project, each as ``name label=value ...``."""
    text = shop.run("status", "--format", "prometheus").stdout
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


def test_a_new_project(workshop: Workshop) -> None:
    workshop.publish("1")
    found = workshop.json("status")
    assert found["versions"] == {"present": 4, "condemned": 0, "dropped": 0}
    assert found["releases"] == {"published": 1, "live": 0, "retired": 0}
    assert found["unreferenced"] == {"count": 0, "oldest": None}
    assert (found["gc"], found["instances"], found["live"]) == (None, [], [])
    assert metrics(workshop) == {
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
    assert "last gc      never" in workshop.run("status").stdout


def cycle(shop: Workshop) -> None:
    """Publish two releases, retire the first; leave one version that nothing needs."""
    shop.configure(more=GC_NOW)
    shop.publish("1")
    shop.run("release", "activate", "1", "--instance", "web-1")
    shop.write(alone=OTHER)
    shop.publish("2")
    shop.run("release", "activate", "2", "--instance", "web-2")
    shop.run("release", "retire", "1", "--instance", "web-1")


def test_what_nothing_needs_and_since_when(workshop: Workshop) -> None:
    cycle(workshop)
    workshop.sql("UPDATE procver.version SET created_at = created_at - interval '9 days'")
    workshop.sql(
        "UPDATE procver.release SET retired_at = retired_at - interval '2 days' WHERE name = '1'"
    )
    found = workshop.json("status")["unreferenced"]
    assert (found["count"], found["oldest"]["physical"]) == (1, "app.alone_1")
    assert 172_800 <= found["oldest"]["seconds"] < 172_900
    assert metrics(workshop)["oldest_unreferenced_seconds"] == pytest.approx(172_800, abs=100)
    assert "unreferenced 1, the oldest app.alone_1, for 2 d" in workshop.run("status").stdout


def test_what_gc_keeps_is_referenced(workshop: Workshop) -> None:
    cycle(workshop)
    for more in ("[gc]\nkeep_releases = 1\n", '[gc]\nkeep_releases = 0\npins = ["app.alone_1"]\n'):
        workshop.configure(more=more)
        assert workshop.json("status")["unreferenced"] == {"count": 0, "oldest": None}


def test_what_only_a_pinned_version_needs_is_referenced(workshop: Workshop) -> None:
    cycle(workshop)
    workshop.write(
        things="CREATE VIEW app.things AS SELECT t.id, t.name, t.price FROM app.thing t;\n"
    )
    workshop.publish("3")
    workshop.run("release", "activate", "3")
    workshop.run("release", "retire", "2", "--instance", "web-2")
    kept = '[gc]\nkeep_releases = 0\npins = ["app.count_things_1"]\n'
    workshop.configure(more=kept)
    assert workshop.json("status")["unreferenced"]["count"] == 1
    assert [c["physical"] for c in workshop.json("gc")["condemn"]] == ["app.alone_1"]


@pytest.mark.parametrize("apply_", [1, 2, 3])
def test_the_last_gc_leaves_a_trace_even_if_it_found_nothing(
    workshop: Workshop, apply_: int
) -> None:
    cycle(workshop)
    workshop.run("gc")
    assert workshop.json("status")["gc"] is None, "gc without --apply writes nothing"
    for _ in range(apply_):
        before = generation(workshop)
        workshop.run("gc", "--apply")
    if apply_ == 3:
        assert generation(workshop) == before, "a run that found nothing disturbs no publisher"
    found = workshop.json("status")
    assert found["gc"]["actor"] == "postgres"
    done = {key: found["gc"][key] for key in ("dropped", "condemned", "kept")}
    assert (
        done
        == [
            {"dropped": 0, "condemned": 1, "kept": 4},
            {"dropped": 1, "condemned": 0, "kept": 4},
            {"dropped": 0, "condemned": 0, "kept": 4},
        ][apply_ - 1]
    )
    seen = metrics(workshop)
    assert seen["last_gc_dropped"] == done["dropped"]
    assert seen["last_gc_condemned"] == done["condemned"] == seen["versions state=condemned"]
    now = workshop.sql("SELECT extract(epoch FROM now())::float8")[0][0]
    assert now - 60 < seen["last_gc_timestamp_seconds"] <= now


def generation(shop: Workshop) -> Any:
    return shop.sql("SELECT generation, last_release FROM procver.project")


def test_instances_by_release(workshop: Workshop) -> None:
    cycle(workshop)
    for name in ("web-3", "web-4"):
        workshop.run("release", "activate", "2", "--instance", name)
    workshop.sql(
        "UPDATE procver.instance SET declared_at = now() - interval '20 days', last_seen_at = now() - interval '20 days'"
        " WHERE name = 'web-3'"
    )
    found = workshop.json("status")
    assert found["instances"] == [{"release": "2", "living": 2, "stale": 1}]
    assert found["live"] == ["2"]
    seen = metrics(workshop)
    assert seen["instances release=2 state=living"] == 2
    assert seen["instances release=2 state=stale"] == 1


def test_labels_are_escaped(workshop: Workshop) -> None:
    name = 'shop "new" \\ 1'
    text = (workshop.root / "procver.toml").read_text().replace('"shop"', f"'{name}'")
    (workshop.root / "procver.toml").write_text(text)
    workshop.publish('r"1\\n')
    workshop.run("release", "activate", 'r"1\\n', "--instance", "web-1")
    assert metrics(workshop, name)['instances release=r"1\\n state=living'] == 1


def test_the_cost_does_not_grow_with_versions(workshop: Workshop) -> None:
    cost = []
    for count in (1, 40):
        for index in range(count):
            workshop.write(
                **{
                    f"f{index}": f"CREATE FUNCTION app.f{index}x() RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
                }
            )
        workshop.publish(str(count))
        with Proxy(workshop.url) as proxy:
            workshop.run("status", "-t", proxy.url)
        cost.append((proxy.syncs, len(proxy.statements)))
    assert cost[0] == cost[1]
    assert cost[0][0] <= 6


def test_a_file_is_written_whole_or_not_at_all(workshop: Workshop, tmp_path: Path) -> None:
    cycle(workshop)
    place = tmp_path / "procver.prom"
    words = ("status", "--format", "prometheus", "-o", str(place))
    assert workshop.run(*words).stdout == ""
    written = place.read_text("utf-8")
    assert parsed(written)
    workshop.run(*words, "-t", "postgresql://127.0.0.1:1/nowhere", code=3)
    assert place.read_text("utf-8") == written
    assert workshop.run("status", "--format", "prometheus", "--json", code=2).exit_code == 2


def test_a_project_that_is_not_there(workshop: Workshop) -> None:
    for _ in range(2):
        assert "has published nothing" in workshop.json("status", code=2)["error"]["message"]
        workshop.configure(name="other")
        workshop.publish("1")
        workshop.configure(name="shop")
