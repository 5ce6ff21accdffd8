"""gc on PostgreSQL alone: an event trigger that refuses drops, and what quarantine takes besides plain grants."""

from __future__ import annotations

from pathlib import Path

from tests.behaviour.conftest import both
from tests.behaviour.worlds import GONE, NOW, PostgresqlWorld
from tests.workshop import Workshop


def test_many_refusals_are_no_other_writers(tmp_path: Path, url: str) -> None:
    """Once, each refusal counted as a conflict, and fifty of them ended the run with an untrue message."""
    workshop = Workshop(tmp_path / "many", url, more=NOW)
    workshop.sql("CREATE SCHEMA app")
    views = {f"v{i}": f"CREATE VIEW app.v{i} AS SELECT {i} AS id;\n" for i in range(60)}
    workshop.write(**views)
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.run("release", "retire", "1")
    workshop.run("gc", "--apply")
    workshop.sql(
        "CREATE FUNCTION app.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_name ~ '^v[1-5][0-9]_1$')"
        " THEN RAISE 'not today'; END IF; END $$"
    )
    workshop.sql("CREATE EVENT TRIGGER refuse ON sql_drop EXECUTE FUNCTION app.refuse()")
    found = workshop.json("gc", "--apply")
    assert found["dropped"] == 10
    assert {k["because"][0] for k in found["keep"]} == {"the server refused to drop it: not today"}
    assert len(found["keep"]) == 50


def test_quarantine_takes_columns_and_options_and_leaves_comments(
    workshop: PostgresqlWorld,
) -> None:
    workshop.publish("1")
    workshop.sql("GRANT SELECT ON app.things_1 TO app")
    workshop.sql("GRANT SELECT (id) ON app.things_1 TO app WITH GRANT OPTION")
    workshop.sql("COMMENT ON VIEW app.things_1 IS 'things'")
    acl = (
        "SELECT c.relacl::text, a.attacl::text, obj_description(c.oid) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id' WHERE c.oid = 'app.things_1'::regclass"
    )
    before = workshop.sql(acl)
    both(workshop)
    workshop.run("release", "retire", "1")
    workshop.configure(more=NOW + 'quarantine = "1h"\n')
    workshop.run("gc", "--apply")
    found = workshop.json("gc", "--apply")
    assert {q["physical"] for q in found["quarantine"]} == GONE
    ((relation, column, comment),) = workshop.sql(acl)
    assert "app=" not in f"{relation}{column}"
    assert comment == "things"
    workshop.run("restore", "app.things_1")
    assert workshop.sql(acl) == before
