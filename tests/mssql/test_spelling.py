"""Names in another case, through the commands: one name to SQL Server is one name to procver."""

from __future__ import annotations

import json

from tests.behaviour.worlds import NOW
from tests.mssql.shop import SOURCES, WIDER, Shop


def test_a_source_in_another_case_is_published_as_what_it_was(shop: Shop) -> None:
    shop.publish("1")
    shop.json("release", "activate", "1")
    louder = SOURCES["spAlone"].replace("dbo.spAlone", "DBO.SPALONE")
    shop.write(spAlone=louder)
    done = shop.json("publish", "--release", "2")
    assert (done["create"], done["cosmetic"]) == ([], ["dbo.spAlone"])
    shop.write(spAlone=louder.replace("42", "43"))
    assert shop.created("3") == {"dbo.spAlone_2": ("changed", [])}
    assert shop.place.sql("EXEC dbo.spAlone_2") == [(43,)]
    assert shop.resolver()["dbo.spalone"] == "dbo.spAlone_2"
    # A pin, a name on the command line, a pattern of [grants].
    pins = "pins = ['DBO.spALONE_1', 'dbo.nothing_1']\n"
    shop.configure(more=NOW + pins + "[grants]\n'DBO.SPALONE' = { execute = ['app_reader'] }\n")
    shop.json("release", "discard", "2")
    shop.json("release", "activate", "3")
    shop.json("release", "retire", "1")
    shop.json("gc", "--apply")
    shown = shop.json("gc", "--apply")
    assert (shown["dropped"], shown["strays"]) == (0, ["dbo.nothing_1"])
    why = shop.json("why", "DBO.SPALONE_1")
    assert (why["physical"], why["because"]) == (
        "dbo.spAlone_1",
        [["[gc] pins", "dbo.spAlone_1"]],
    )
    shop.place.sql("CREATE ROLE app_reader")
    shop.write(spAlone=louder.replace("42", "44"))
    shop.publish("4")
    kept = shop.place.sql("SELECT privileges FROM procver.version WHERE leaf = N'spAlone_3'")
    assert ["app_reader", "EXECUTE", False] in json.loads(kept[0][0])[0]["acl"]


def test_the_name_of_our_own_database_where_the_project_says_it(shop: Shop) -> None:
    name = shop.place.sql("SELECT DB_NAME()")[0][0]
    config = shop.root / "procver.toml"
    text = config.read_text()
    config.write_text(
        text.replace("[project]\n", f'[project]\ndatabases = ["{name.upper()}"]\n', 1)
    )
    shop.write(
        spAlone=f"CREATE PROC dbo.spAlone AS SELECT COUNT(*) AS n FROM {name}.dbo.vThings AS v, [{name}]..vThings\n"
    )
    shop.publish("1")
    shop.write(vThings=WIDER)
    assert shop.created("2")["dbo.spAlone_2"] == ("dependency", ["dbo.vThings"])
    sent = shop.place.sql("SELECT definition FROM procver.version WHERE leaf = N'spAlone_2'")[0][0]
    assert f"FROM {name}.dbo.vThings_2 AS v, [{name}]..vThings_2" in sent
    assert shop.place.sql("EXEC dbo.spAlone_2") == [(9,)]


def test_a_definition_without_a_schema_goes_into_the_projects(shop: Shop) -> None:
    """Not into the login's default schema, which may be another one."""
    shop.place.sql("CREATE SCHEMA app")
    config = (shop.root / "procver.toml").read_text()
    (shop.root / "procver.toml").write_text(
        config.replace('default_schema = "dbo"', 'default_schema = "app"')
    )
    for stem in SOURCES:
        (shop.root / "sql" / f"{stem}.sql").unlink()
    shop.write(
        bare="CREATE PROC bare AS SELECT 7 AS n\nGO\nGRANT EXECUTE ON bare TO public\nGO\n",
        kind="CREATE TYPE kind AS TABLE (id int NOT NULL)\n",
    )
    assert set(shop.created("1")) == {"app.bare_1", "app.kind_1"}
    assert shop.place.sql("EXEC app.bare_1") == [(7,)]
    assert shop.place.objects() == {"app.bare_1", "app.kind_1"}
