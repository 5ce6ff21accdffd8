"""The mapping as JSON, as Python and as C#."""

import json
import re
import subprocess
import sys

import pytest

from procver import Resolver
from procver.mapping import FORMATS, Mapped, to_csharp, to_json, to_python
from procver.objects import Kind

FP = "v1:" + "a" * 64
ROWS = [
    Mapped("public.v", Kind.VIEW, 2, "public.v_2", FP),
    Mapped('app."V x"', Kind.FUNCTION, 13, 'app."V x_13"', FP),
]


def hostile(name):
    return Mapped(name, Kind.VIEW, 1, name + "_1", FP)


HOSTILE = [
    hostile('app."quote""d"'),
    hostile('app."back\\slash"'),
    hostile('app."{brace} %s \u2028 \x7f"'),
    hostile('app."名前"'),
    hostile('app."1st"'),
    hostile('app."""; import os; x = """'),
    hostile('"""".""""'),
]


def run(module):
    scope = {}
    exec(compile(module, "generated", "exec"), scope)
    return scope


def test_json_is_pinned():
    assert to_json("r1", "postgresql", ROWS, default_schema="public") == (
        '{\n  "procver": 1,\n  "release": "r1",\n  "dialect": "postgresql",\n'
        '  "default_schema": "public",\n  "objects": {\n'
        '    "app.\\"V x\\"": {\n      "kind": "function",\n      "version": 13,\n'
        '      "physical": "app.\\"V x_13\\"",\n'
        f'      "fingerprint": "{FP}"\n    }},\n'
        '    "public.v": {\n      "kind": "view",\n      "version": 2,\n'
        '      "physical": "public.v_2",\n'
        f'      "fingerprint": "{FP}"\n    }}\n  }}\n}}\n'
    )


def test_the_project_is_named_where_it_is_known():
    document = json.loads(to_json("r1", "postgresql", ROWS, default_schema="public", project='s"1'))
    assert list(document) == [
        "procver",
        "project",
        "release",
        "dialect",
        "default_schema",
        "objects",
    ]
    assert Resolver.from_mapping(document).project == 's"1'
    scope = run(to_python("r1", "postgresql", ROWS, default_schema="public", project='s"1'))
    assert scope["MAPPING"] == document
    assert Resolver.from_mapping({**document, "project": ""}).project == ""


@pytest.mark.parametrize("rows", [[], ROWS, HOSTILE], ids=["none", "plain", "hostile"])
def test_json_is_what_the_standard_library_would_write(rows):
    text = to_json('r"1\n', "postgresql", rows, default_schema='p"')
    document = json.loads(text)
    assert text == json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    assert document["release"] == 'r"1\n'
    assert list(document["objects"]) == sorted(row.name for row in rows)


@pytest.mark.parametrize("rows", [[], ROWS, HOSTILE], ids=["none", "plain", "hostile"])
def test_python_holds_the_same_mapping(rows):
    scope = run(to_python('r"\\1', "postgresql", rows, default_schema="public"))
    expected = json.loads(to_json('r"\\1', "postgresql", rows, default_schema="public"))
    assert scope["MAPPING"] == expected
    assert scope["RELEASE"] == 'r"\\1'
    constants = {key for key in scope if not key.startswith("__")} - {"Any", "RELEASE", "MAPPING"}
    assert len(constants) == len(rows)
    assert sorted(scope[key] for key in constants) == sorted(row.physical for row in rows)


def test_python_feeds_the_resolver():
    scope = run(to_python("r1", "postgresql", ROWS, default_schema="public"))
    assert Resolver.from_mapping(scope["MAPPING"])["v"] == scope["PUBLIC_V"] == "public.v_2"


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        ("app.fn", "APP_FN"),
        ("dbo.spFindAllThings", "DBO_SP_FIND_ALL_THINGS"),
        ('app."V x"', "APP_V_X"),
        ('"1".x', "_1_X"),
        ("app.fn$1", "APP_FN_1"),
        ("app.größe", "APP_GRÖSSE"),
    ],
)
def test_constants(name, constant):
    assert run(to_python("r", "mssql", [hostile(name)], default_schema="dbo"))[constant]


@pytest.mark.parametrize(
    "names",
    [
        ["a.b_c", "a_b.c"],
        ["app.fn", 'app."FN"'],
        ["app.\ufb01", "app.fi"],  # the same identifier to Python, in NFKC
    ],
)
def test_a_constant_never_comes_to_mean_another_object(names):
    """Both get a suffix, so adding the second breaks loudly what used the first."""
    scope = run(to_python("r", "postgresql", map(hostile, names), default_schema="public"))
    alone = run(to_python("r", "postgresql", [hostile(names[0])], default_schema="public"))
    constants = [key for key in scope if key.isupper() and key not in ("RELEASE", "MAPPING")]
    assert sorted(scope[key] for key in constants) == sorted(f"{name}_1" for name in names)
    assert not set(constants) & (set(alone) - {"__builtins__"} - {"RELEASE", "MAPPING", "Any"})


def test_names_of_the_module_are_not_taken():
    scope = run(to_python("r1", "postgresql", [hostile("mapping"), hostile("release")],
                          default_schema=""))  # fmt: skip
    assert scope["RELEASE"] == "r1"
    assert len(scope["MAPPING"]["objects"]) == 2


def test_python_passes_the_type_checker(tmp_path):
    module = tmp_path / "names.py"
    module.write_text(to_python("r", "postgresql", HOSTILE, default_schema=""), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, module]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def csharp(rows, **more):
    """Return what the constants of the C# form hold, by their path."""
    found, path = {}, []
    for line in to_csharp("r1", "mssql", rows, default_schema="dbo", **more).splitlines():
        assert line.isprintable(), "no name ends a line"
        if match := re.fullmatch(r" *public static class (\w+)", line):
            path.append(match[1])
        elif line.strip() == "}":
            path.pop()
        elif match := re.fullmatch(r" *public const string (\w+) = (\".*\");", line):
            key = ".".join([*path, match[1]])
            assert key not in found
            found[key] = json.loads(match[2])
    assert path == []
    return found


def test_csharp_holds_a_constant_for_each_object():
    rows = [
        hostile("dbo.spFindAllThings"),
        hostile("dbo.[odd one]"),
        hostile("[a.b]].c].find_things"),
    ]
    assert csharp(rows, project='s"1') == {
        "Procs.Project": 's"1',
        "Procs.Release": "r1",
        "Procs.Dbo.SpFindAllThings": "dbo.spFindAllThings_1",
        "Procs.Dbo.OddOne": "dbo.[odd one]_1",
        "Procs.ABC.FindThings": "[a.b]].c].find_things_1",
    }
    assert csharp([]) == {"Procs.Release": "r1"}
    found = csharp(HOSTILE)
    assert sorted(found.values()) == sorted(["r1", *(row.physical for row in HOSTILE)])


@pytest.mark.parametrize(
    "names",
    [
        ["dbo.find_things", "dbo.FindThings"],
        ["dbo.Dbo", "dbo.x"],  # no member may be called as its class
        ["dbo.Equals", "dbo.x"],
        ["procs.x", "release.x"],
        ["a_b.x", "aB.x"],
        ["dbo.1", "dbo._1"],
    ],
)
def test_a_csharp_constant_never_comes_to_mean_another_object(names):
    found = csharp(map(hostile, names))
    assert sorted(found.values()) == sorted(["r1", *(f"{name}_1" for name in names)])
    for path in found:
        parts = path.split(".")
        assert len(set(parts)) == len(parts)


def test_formats():
    assert dict(FORMATS, csharp=to_csharp, json=to_json, python=to_python) == FORMATS
