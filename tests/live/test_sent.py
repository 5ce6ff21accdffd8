"""A reference within a string is published as what its fingerprint stands for."""

from __future__ import annotations

from tests.workshop import Workshop

FUNCTION = """\
-- procver: requires app.v
CREATE FUNCTION app.f() RETURNS int LANGUAGE plpgsql AS $$
DECLARE found int;
BEGIN
    EXECUTE 'SELECT n FROM {name}' INTO found;
    RETURN found;
END $$;
"""


def test_a_reference_takes_the_place_of_a_string(workshop: Workshop) -> None:
    workshop.sql("CREATE SCHEMA IF NOT EXISTS app")
    for path in (workshop.root / "sql").iterdir():
        path.unlink()
    workshop.write(v="CREATE VIEW app.v AS SELECT 7 AS n;", f=FUNCTION.format(name="app.v"))
    workshop.publish("plain")
    workshop.remove("f")
    template = workshop.root / "sql" / "f.sql.j2"
    template.write_text(FUNCTION.format(name="{{ ref('app.v') }}"))
    plan = workshop.json("plan")
    assert plan["cosmetic"] == []
    assert [(c["name"], c["version"], c["reason"]) for c in plan["create"]] == [
        ("app.f", 2, "changed")
    ]
    workshop.publish("explicit")
    assert workshop.sql("SELECT app.f_2()") == [(7,)]
    assert workshop.sql("SELECT prosrc LIKE '%app.v_1%' FROM pg_proc WHERE proname = 'f_2'") == [
        (True,)
    ]
    template.write_text(template.read_text().replace("BEGIN", "-- a comment\nBEGIN"))
    assert workshop.json("plan")["cosmetic"] == ["app.f"]
