"""From T-SQL source to published version to mapping to gc, on a real server, by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from procver import Resolver
from procver.cli import cli
from tests.mssql.conftest import Place

CONFIG = """\
[project]
name = "shop"
dialect = "mssql"
sources = ["sql"]
default_schema = "dbo"

[targets]
local = '{url}'

[gc]
keep_releases = 0
grace = "0s"
"""
TABLES = """
CREATE TABLE dbo.Thing (id int NOT NULL PRIMARY KEY, name nvarchar(50) NOT NULL, price int NOT NULL);
INSERT dbo.Thing (id, name, price) VALUES (1, N'anvil', 100), (2, N'bolt', 1), (3, N'crane', 5000);
"""
SOURCES = {
    "Wanted": "CREATE TYPE dbo.Wanted AS TABLE (id int NOT NULL)\nGO\n",
    "vThings": "CREATE VIEW dbo.vThings AS SELECT t.id, t.name FROM dbo.Thing t\nGO\n",
    "spFindThings": (
        "SET ANSI_NULLS ON\nGO\nSET QUOTED_IDENTIFIER ON\nGO\n"
        "ALTER PROCEDURE [dbo].[spFindThings] @minimum int\nAS\nBEGIN\n    SET NOCOUNT ON;\n"
        "    SELECT v.* FROM vThings v WHERE v.id >= @minimum ORDER BY v.id;\nEND\nGO\n"
        "GRANT EXECUTE ON dbo.spFindThings TO public\nGO\n"
    ),
    "spFindWanted": (
        "CREATE PROCEDURE dbo.spFindWanted @wanted dbo.Wanted READONLY AS\n"
        "SELECT v.name FROM dbo.vThings v JOIN @wanted w ON w.id = v.id\nGO\n"
    ),
    "fnCount": "CREATE FUNCTION dbo.fnCount() RETURNS int AS\nBEGIN\n    RETURN (SELECT COUNT(*) FROM dbo.vThings)\nEND\n",
    "spAlone": "CREATE PROC dbo.spAlone AS SELECT 42 AS n -- says: dbo.vThings\n",
}
WIDER = SOURCES["vThings"].replace("t.name", "t.name, t.price")


class Shop:
    """A project on a database of its own."""

    def __init__(self, root: Path, place: Place) -> None:
        self.root = root
        self.place = place
        (root / "sql").mkdir()
        (root / "procver.toml").write_text(CONFIG.format(url=place.url), "utf-8")
        self.write(**SOURCES)

    def write(self, **sources: str) -> None:
        for stem, text in sources.items():
            (self.root / "sql" / f"{stem}.sql").write_text(text, "utf-8")

    def run(self, *words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(cli, [*words, "--json", "-C", str(self.root)])
        assert result.exit_code == code, (words, result.exit_code, result.output, result.exception)
        return json.loads(result.stdout)

    def publish(self, release: str) -> dict[str, tuple[str, list[str]]]:
        done = self.run("publish", "--release", release)
        return {c["physical"]: (c["reason"], c["because"]) for c in done["create"]}

    def resolver(self) -> Resolver:
        return Resolver.load(self.root / "procver.map.json")


@pytest.fixture
def shop(tmp_path: Path, place: Place) -> Shop:
    """A type, a view, what reads them, and a procedure apart."""
    place.sql(TABLES)
    return Shop(tmp_path, place)


def test_a_rolling_deployment_from_first_to_last(shop: Shop) -> None:
    place = shop.place
    assert {p: reason for p, (reason, _) in shop.publish("1").items()} == {
        f"dbo.{name}_1": "new" for name in SOURCES
    }
    old = shop.resolver()
    shop.run("release", "activate", "1")
    assert shop.publish("1") == {}
    shop.write(vThings=WIDER)
    assert shop.publish("2") == {
        "dbo.vThings_2": ("changed", []),
        "dbo.spFindThings_2": ("dependency", ["dbo.vThings"]),
        "dbo.spFindWanted_2": ("dependency", ["dbo.vThings"]),
        "dbo.fnCount_2": ("dependency", ["dbo.vThings"]),
    }
    new = shop.resolver()
    assert place.sql(f"EXEC {old['spFindThings']} @minimum = 2") == [(2, "bolt"), (3, "crane")]
    assert place.sql(f"EXEC {new['spFindThings']} @minimum = 2") == [
        (2, "bolt", 1),
        (3, "crane", 5000),
    ]
    assert place.sql(
        f"DECLARE @w {new['dbo.Wanted']}; INSERT @w (id) VALUES (3); EXEC {new['dbo.spFindWanted']} @wanted = @w"
    ) == [("crane",)]
    shop.run("release", "activate", "2")
    shop.run("release", "retire", "1")
    assert shop.run("verify")["findings"] == []
    shown = shop.run("gc", "--apply")
    leaving = {"dbo.vThings_1", "dbo.spFindThings_1", "dbo.spFindWanted_1", "dbo.fnCount_1"}
    assert {c["physical"] for c in shown["condemn"]} == leaving
    done = shop.run("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == leaving
    assert place.objects() == {
        "dbo.vthings_2", "dbo.spfindthings_2", "dbo.spfindwanted_2", "dbo.fncount_2", "dbo.wanted_1",
        "dbo.spalone_1",
    }  # fmt: skip
    shop.run("release", "activate", "1", "--restore")
    assert place.sql(f"EXEC {old['spFindThings']} @minimum = 3") == [(3, "crane")]
    assert shop.run("verify")["findings"] == []


def test_what_the_team_wrote_by_hand_keeps_a_version(shop: Shop) -> None:
    shop.publish("1")
    shop.run("release", "activate", "1")
    shop.place.sql("CREATE PROCEDURE dbo.nightly AS EXEC dbo.spFindThings_1 @minimum = 0")
    shop.write(vThings=WIDER)
    shop.publish("2")
    shop.run("release", "activate", "2")
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    done = shop.run("gc", "--apply")
    assert {d["physical"] for d in done["drop"]} == {"dbo.spFindWanted_1", "dbo.fnCount_1"}
    kept = {k["physical"]: k["because"] for k in done["keep"]}
    assert "dbo.nightly" in kept["dbo.spFindThings_1"][0]
    assert "dbo.vThings_1" in kept, "what a kept version needs is kept too"


def test_drift_is_found(shop: Shop) -> None:
    shop.publish("1")
    shop.run("release", "activate", "1")
    shop.place.sql("REVOKE EXECUTE ON dbo.spFindThings_1 FROM public")
    shop.place.sql("DROP PROCEDURE dbo.spAlone_1")
    shop.place.sql("DROP FUNCTION dbo.fnCount_1")
    shop.place.sql("CREATE FUNCTION dbo.fnCount_1() RETURNS int AS BEGIN RETURN 7 END")
    found = {(f["object"], f["rule"]) for f in shop.run("verify", code=1)["findings"]}
    assert found == {
        ("dbo.spAlone_1", "missing"),
        ("dbo.fnCount_1", "altered"),
        ("dbo.spFindThings_1", "grant-lost"),
    }


def test_a_syntax_error_names_file_and_line(shop: Shop) -> None:
    shop.write(spAlone="-- one\nCREATE PROC dbo.spAlone AS\nSELECT 1\nSELEC 2\n")
    refused = shop.run("publish", "--release", "1", code=3)["error"]
    assert "spAlone.sql:4" in refused["message"]
    assert refused["hint"]


def test_a_foreign_object_is_in_the_way(shop: Shop) -> None:
    shop.place.sql("CREATE PROCEDURE dbo.spAlone_1 AS SELECT 'mine'")
    refused = shop.run("publish", "--release", "1", code=4)["error"]
    assert "dbo.spAlone_1" in refused["message"]
    assert shop.place.sql("EXEC dbo.spAlone_1") == [("mine",)]
