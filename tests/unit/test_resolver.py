"""The resolver in the app: names, files, and what importing it costs."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

import procver
from procver import Resolver, UnknownNameError, UsageError
from procver.mapping import Mapped, to_json
from procver.objects import Kind

FP = "v1:" + "a" * 64


def resolver(*names, dialect="postgresql", default_schema="app"):
    rows = {name: ("view", name + "_1") for name in names}
    return Resolver("r1", dialect, rows, default_schema=default_schema)


def test_lookup_and_mapping_protocol():
    found = resolver("app.fn", "app.v")
    assert found["app.fn"] == found["app.fn"] == "app.fn_1"
    assert dict(found) == {"app.fn": "app.fn_1", "app.v": "app.v_1"}
    assert (len(found), list(found)) == (2, ["app.fn", "app.v"])
    assert "app.fn" in found
    assert "app.x" not in found
    assert 7 not in found
    assert (found.get("app.x"), found.get("app.x", "other")) == (None, "other")
    assert copy.copy(found) == found


def test_a_bare_name_means_the_default_schema():
    found = resolver("app.fn", "other.fn", "other.v")
    assert found["fn"] == found["fn"] == "app.fn_1"
    assert found.get("fn") == "app.fn_1"
    assert "fn" in found
    assert "v" not in found
    assert len(found) == 2 + 1
    assert list(found) == ["app.fn", "other.fn", "other.v"]


@pytest.mark.parametrize(
    ("dialect", "label"), [("postgresql", '"My App".fn'), ("mssql", "[My App].fn")]
)
def test_a_default_schema_that_needs_quotes(dialect, label):
    assert resolver(label, dialect=dialect, default_schema="My App")["fn"] == f"{label}_1"


def test_names_in_brackets_on_sql_server():
    found = resolver("dbo.spFoo", "dbo.[My Proc]", dialect="mssql", default_schema="dbo")
    assert found["[dbo].[spFoo]"] == found["[spfoo]"] == "dbo.spFoo_1"
    assert found["[dbo].[My Proc]"] == found["[My Proc]"] == "dbo.[My Proc]_1"
    assert found.get("[dbo].[spBar]") is None
    with pytest.raises(UnknownNameError):
        resolver("app.fn")["[app].[fn]"]


def test_case_matters_except_on_sql_server():
    found = resolver("dbo.spFoo", dialect="mssql", default_schema="dbo")
    assert found["DBO.SPFOO"] == found["spfoo"] == "dbo.spFoo_1"
    with pytest.raises(UnknownNameError):
        resolver("app.fn")["app.FN"]


@pytest.mark.parametrize(
    ("asked", "near"), [("app.find_thing", "app.find_things"), ("find_thngs", "app.find_things")]
)
def test_an_unknown_name_raises_with_the_nearest(asked, near):
    found = resolver("app.find_things", "app.other")
    with pytest.raises(UnknownNameError) as caught:
        found[asked]
    assert caught.value.near == [near]
    assert near in str(caught.value)
    assert isinstance(caught.value, KeyError)
    assert found.get("app.zzzzzz") is None


def test_load_reads_what_was_written(tmp_path):
    path = tmp_path / "map.json"
    rows = [Mapped('app."V é"', Kind.VIEW, 3, 'app."V é_3"', FP)]
    path.write_text(to_json("r1", "postgresql", rows, default_schema="app"), encoding="utf-8")
    for given in (path, str(path)):
        found = Resolver.load(given)
        assert found['"V é"'] == 'app."V é_3"'
        assert (found.release, found.dialect, found.default_schema) == ("r1", "postgresql", "app")


GOOD = {"procver": 1, "release": "r", "dialect": "postgresql", "objects": {}}


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"{", "is not JSON", "procver map"),
        (b"\xff\xfe", "is not JSON", "procver map"),
        (b"[]", "is no procver mapping", "procver map"),
        (b"{}", "is no procver mapping", "procver map"),
        (json.dumps({**GOOD, "objects": {"a": {}}}).encode(), "it lacks 'kind'", "procver map"),
        (json.dumps({**GOOD, "objects": []}).encode(), "is no procver mapping", "procver map"),
        (json.dumps({**GOOD, "procver": 2}).encode(), "has format 2", "upgrade"),
        (json.dumps({**GOOD, "procver": "1"}).encode(), "is no procver mapping", "procver map"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_that_is_no_mapping(tmp_path, content, message, hint):
    path = tmp_path / "map.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        Resolver.load(path)
    assert str(path) in str(caught.value)
    assert hint in caught.value.hint


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"no mapping file .*map\.json"):
        Resolver.load(tmp_path / "map.json")
    with pytest.raises(UsageError, match="cannot read mapping file"):
        Resolver.load(tmp_path)


def loaded(statement):
    """Return the modules that a bare Python has after ``statement`` and has not without it."""

    def modules(code):
        command = [sys.executable, "-I", "-S", "-c", code + "; print(*sorted(sys.modules))"]
        return set(subprocess.check_output(command, text=True).split())

    root = str(Path(procver.__file__).parents[1])
    start = f"import sys; sys.path.insert(0, {root!r})"
    return modules(f"{start}; {statement}") - modules(start)


def test_importing_costs_next_to_nothing():
    """The budget is 10 ms; what is not imported cannot cost anything, on any machine."""
    found = loaded("from procver import Resolver")
    ours = {name for name in found if name.startswith("procver")}
    assert ours == {"procver", "procver.errors", "procver.resolver"}
    allowed = {
        "collections", "collections.abc", "itertools", "keyword", "operator", "_operator",
        "os.path", "reprlib", "_collections", "__future__",
    }  # fmt: skip
    base = {"os", "stat", "posixpath", "genericpath", "abc", "_abc", "_stat", "_collections_abc"}
    assert found - ours <= allowed | base


def test_loading_a_mapping_needs_the_standard_library_only(tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps(GOOD))
    found = loaded(f"import procver; procver.Resolver.load({str(path)!r})")
    top = {name.partition(".")[0] for name in found}
    assert top - {"procver"} <= sys.stdlib_module_names


def mapping_of(physical, dialect="postgresql", kind="view"):
    row = {"kind": kind, "physical": physical}
    return {"procver": 1, "release": "r", "dialect": dialect, "objects": {"app.v": row}}


@pytest.mark.parametrize(
    ("dialect", "physical"),
    [
        ("postgresql", "app.v_1"), ("postgresql", 'app."a""b_1"'), ("postgresql", '"My App"."V.2; --"'), ("postgresql", "v_1"),
        ("postgresql", 'app."日本_1"'), ("mssql", "dbo.v_1"), ("mssql", "[a]]b].[x; y]"), ("mssql", "dbo.[My Proc_1]"),
    ],
)  # fmt: skip
def test_a_physical_name_is_taken_as_it_is(dialect, physical):
    assert Resolver.from_mapping(mapping_of(physical, dialect))["app.v"] == physical


@pytest.mark.parametrize(
    ("dialect", "physical"),
    [
        ("postgresql", value)
        for value in (
            "", "app.v_1; DROP TABLE x", "app.v_1 x", "app.v_1--", "(SELECT 1)", "a.b.c", "app.", ".v", "1v", '"a"b"', '"a', 'a"',
            '""', '"a\nb"', '"a\0b"', "app.v_1\n", "[a].[b]", "x" * 64, None, 1, ["app.v_1"], {"a": 1}, '"\ud800"',
        )
    ]
    + [
        ("mssql", value)
        for value in ("[a]b]", "[a", "a]", "[]", "[a\nb]", "dbo.v_1; EXEC x", "dbo.v 1", '"a"', "#t", "@v", "a.b.c", None)
    ],
)  # fmt: skip
def test_what_is_not_a_physical_name_is_refused(dialect, physical):
    with pytest.raises(UsageError, match="not the name of an object") as caught:
        Resolver.from_mapping(mapping_of(physical, dialect))
    assert "procver map" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"dialect": "oracle"}, {"dialect": None}, {"release": 1}, {"default_schema": []}, {"project": {}}, {"procver": True},
        {"procver": 1.0}, {"objects": {"app.v": {"kind": "table", "physical": "app.v_1"}}},
        {"objects": {"app.v": {"kind": [], "physical": "app.v_1"}}}, {"objects": {1: {"kind": "view", "physical": "app.v_1"}}},
        {"objects": {"app.v": {"kind": "table_type", "physical": "app.v_1"}}},
    ],
    ids=repr,
)  # fmt: skip
def test_other_values_of_a_mapping(change):
    with pytest.raises(UsageError):
        Resolver.from_mapping({**mapping_of("app.v_1"), **change})


def test_a_mapping_of_nothing_but_brackets(tmp_path):
    path = tmp_path / "map.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="is not JSON"):
        Resolver.load(path)
