"""Round trips grow with nothing, statements with what changed: counted on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults import Proxy, copy_of
from tests.live.conftest import TABLES, THINGS
from tests.servers import Server
from tests.workshop import Workshop

GC_NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
FEW, MANY = 10, 300
READERS = 3
WIDER = THINGS.replace("t.name", "t.name, t.price")


class Cost(NamedTuple):
    """``round_trips`` is how often the client waited for all answers."""

    round_trips: int
    statements: int


def measured(shop: Workshop, *words: str) -> Cost:
    """Run a command; return what crossed the wire."""
    with Proxy(shop.url) as proxy:
        shop.run(*words, "-t", proxy.url)
    assert len(proxy.backends) == 1
    return Cost(proxy.syncs, len(proxy.statements))


def fill(shop: Workshop, size: int) -> None:
    """Write a view, functions that read it, and others, ``size`` in all."""
    shop.configure(more=GC_NOW)
    shop.sql(TABLES)
    shop.write(things=THINGS)
    for index in range(size - 1):
        body = "SELECT count(*) FROM app.things" if index < READERS else f"SELECT {index}::bigint"
        text = f"CREATE FUNCTION app.fn_{index}x() RETURNS bigint LANGUAGE sql AS '{body}';\n"
        shop.write(**{f"fn_{index}x": text})


@pytest.fixture
def shops(tmp_path: Path, url: str, server: Server) -> Iterator[tuple[Workshop, Workshop]]:
    with copy_of(server, "template1") as other:
        few, many = Workshop(tmp_path / "few", url), Workshop(tmp_path / "many", other)
        fill(few, FEW)
        fill(many, MANY)
        yield few, many


def publish(release: str) -> tuple[str, ...]:
    return ("publish", "--release", release)


def test_what_a_command_costs(shops: tuple[Workshop, Workshop]) -> None:
    few, many = shops

    # A first publication: every object is sent, none is waited for.
    first = [measured(shop, *publish("1")) for shop in shops]
    assert first[0].round_trips == first[1].round_trips < 40
    assert first[1].statements < first[0].statements + MANY

    # Nothing changed: nothing depends on how much there is.
    assert measured(few, *publish("1")) == (again := measured(many, *publish("1")))
    assert again.round_trips <= 12

    # One view changed: its readers and it, whatever else there is.
    for shop in shops:
        shop.run("release", "activate", "1")
        shop.write(things=WIDER)
    changed = [measured(shop, *publish("2")) for shop in shops]
    assert changed[0] == changed[1]
    assert changed[1].round_trips <= again.round_trips + 8
    assert changed[1].statements <= again.statements + 30 + 2 * (1 + READERS)

    # Activating, retiring, looking: one release is one release.
    for words in (
        ("release", "activate", "2"), ("release", "retire", "1"), ("release", "list"),
        ("verify",), ("gc",), ("gc", "--apply"),
    ):  # fmt: skip
        costs = [measured(shop, *words) for shop in shops]
        assert costs[0] == costs[1], words

    # Some drops at a time make a transaction; all of them go down one pipeline.
    dropped = measured(many, "gc", "--apply")
    assert f"app.fn_{READERS - 1}x_1" not in many.objects()
    for index in range(READERS, 60):
        many.remove(f"fn_{index}x")
    many.run(*publish("3"))
    many.run("release", "activate", "3")
    many.run("release", "retire", "2")
    many.run("gc", "--apply")
    more = measured(many, "gc", "--apply")
    assert "app.fn_59x_1" not in many.objects()
    assert more.round_trips == dropped.round_trips
    assert dropped.statements < more.statements < dropped.statements + 57

    # Bringing them back is one pipeline too.
    restored = measured(many, "release", "activate", "2", "--restore")
    assert "app.fn_59x_1" in many.objects()
    assert restored.round_trips <= 20
