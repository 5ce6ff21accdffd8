"""Configuration, lock and mapping with anything in them: a clear refusal or a result, never a traceback."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procver import Resolver, UsageError
from tests.fuzz.profiles import examples, run

GOOD = """\
[project]
name = "shop"
dialect = "postgresql"
sources = ["sql"]
default_schema = "app"

[targets]
local = "postgresql://127.0.0.1:1/shop"
"""
VIEW = "CREATE VIEW app.v AS SELECT 1 AS n;\n"
TEMPLATE = "CREATE VIEW app.t AS SELECT {{ n }} AS n FROM {{ ref('app.v') }};\n"

KEYS = {
    "project": [
        "name", "dialect", "sources", "exclude", "default_schema", "search_path", "suffix", "databases",
        "outside", "map", "encoding", "main",
    ],
    "targets": ["local", "prod"],
    "placeholders": ["$(Schema)", "${x}", "plain"],
    "variables": ["n", "ref", "a-b"],
    "grants": ["app.*", "*"],
    "gc": ["keep_releases", "grace", "idle", "quarantine", "unactivated", "pins", "unknown"],
    "other": ["x"],
}  # fmt: skip

words = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "", " ", "sql", "procver.lock", "procver.toml", ".procver/x", "..", "../x", "/", "a/b", "_{version}",
            "{version}", "x{version}9", "postgresql", "mssql", "utf-8", "utf-16", "idna", "hex", "undefined",
            "unicode_escape", "7d", "9" * 5000 + "d", "0", "keep", "drop", "app.v_1", "a.b.c.d", '"', '"a""b"',
            "[x", "\0", "a\0b", "\n", "x" * 5000, "${X}", "${", "${pass word}", "*", "[!", "[[]", "\\", "embedded:",
            "embedded:~nobody/x", "host=h password=sesame", "postgresql://u:p@h:x/d", "\ud7ff", "\U0010ffff",
        ]
    ),
)  # fmt: skip
numbers = st.one_of(
    st.integers(), st.sampled_from([2**63, -(2**63), 2**64, 10**400, -1, 0, 10**9 + 1])
)
leaves = st.one_of(words, numbers, st.booleans(), st.floats(allow_nan=False))
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return re.sub("\x7f", r"\\u007f", json.dumps(value, ensure_ascii=False))
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return repr(value)


def document(tables: dict[str, dict[str, Any]]) -> str:
    lines = []
    for table, keys in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{toml(key)} = {toml(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def tables() -> st.SearchStrategy[str]:
    each = {
        name: st.dictionaries(st.sampled_from(keys), values, max_size=3)
        for name, keys in KEYS.items()
    }
    plain = {"name": "shop", "dialect": "postgresql"}
    return st.fixed_dictionaries({}, optional=each).map(
        lambda found: document({**found, "project": {**plain, **found.get("project", {})}})
    )


def damaged(text: str) -> st.SearchStrategy[bytes]:
    """Return a text with a few stretches replaced by others."""
    cut = st.tuples(st.integers(0, len(text)), st.integers(0, 30), st.binary(max_size=12))

    def apply(cuts: list[tuple[int, int, bytes]]) -> bytes:
        data = text.encode()
        for start, length, new in cuts:
            data = data[:start] + new + data[start + length :]
        return data

    return st.lists(cut, min_size=1, max_size=4).map(apply)


deep = st.sampled_from(
    [
        "x = " + "[" * 5000 + "]" * 5000, "x = " + "{a=" * 3000 + "1" + "}" * 3000, "x = " + "1" * 5000,
        "x = 0x" + "f" * 5000, "[" + ".".join("a" * 2000) + "]\nx = 1", "[variables]\nn = " + "[" * 60 + "]" * 60,
        "[variables]\nn = 1e999", "[variables]\nn = 1979-05-27T07:32:00Z", "[gc]\nkeep_releases = 0xffffffffffff",
    ]
).map(str.encode)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    (made / "sql").mkdir()
    (made / "sql/v.sql").write_text(VIEW)
    (made / "sql/t.sql.j2").write_text(TEMPLATE)
    (made / "procver.toml").write_text(GOOD + "[variables]\nn = 1\n")
    run("lock", "-C", str(made))
    return made


@examples(60, 6000)
@given(
    data=st.one_of(
        tables().map(lambda text: text.encode("utf-8", "surrogatepass")),
        damaged(GOOD), st.binary(max_size=60), deep.map(lambda data: GOOD.encode() + data),
    ),
    command=st.sampled_from([("lock", "--check"), ("map", "-r", "1"), ("init", "--roles", "-o", "-"), ("plan",)]),
    as_json=st.booleans(),
)  # fmt: skip
def test_any_configuration(
    root: Path, data: bytes, command: tuple[str, ...], as_json: bool
) -> None:
    before = (root / "procver.lock").read_bytes()
    (root / "procver.toml").write_bytes(data)
    # An embedded server would be started, and a host of another name be asked for.
    local = ("-t", "postgresql://127.0.0.1:1/x") if command == ("plan",) else ()
    run(*command, *local, "-C", str(root), *(["--json"] if as_json else []))
    assert (root / "procver.lock").read_bytes() == before


@examples(60, 4000)
@given(data=st.data(), command=st.sampled_from([("lock", "--check"), ("map", "-r", "1")]))
def test_any_lock(root: Path, data: st.DataObject, command: tuple[str, ...]) -> None:
    (root / "procver.toml").write_text(GOOD + "[variables]\nn = 1\n")
    lock = root / "procver.lock"
    good = lock.read_text("utf-8")
    line = st.tuples(
        words, st.sampled_from(["view", "function", "vue"]),
        st.sampled_from(["1", "2", "0", "01", "9" * 5000, "١", "-1"]) | st.text(max_size=4),
        st.sampled_from(["v1:" + "a" * 64, "v9:aa", "v1:"]) | st.text(max_size=9),
    ).map(lambda parts: " ".join(parts).encode("utf-8", "surrogatepass"))  # fmt: skip
    more = st.lists(line | st.binary(max_size=30), min_size=1, max_size=4)
    made = data.draw(
        damaged(good) | more.map(b"\n".join) | more.map(lambda m: good.encode() + b"\n".join(m))
    )
    try:
        lock.write_bytes(made)
        run(*command, "-C", str(root))
        assert lock.read_bytes() == made
    finally:
        lock.write_text(good, "utf-8")


PLAIN = re.compile(r'[^\W\d][\w$]*|"(?:[^"\x00-\x1f\x7f]|"")+"')
BRACKETS = re.compile(r"[^\W\d][\w$@#]*|\[(?:[^\]\x00-\x1f\x7f]|\]\])+\]")
pieces = st.sampled_from(
    ["app", "v_1", '"', '""', ".", "[", "]", "]]", " ", ";", "--", "(", ")", "\n", "\0", "'", "é", "x" * 200, "1", "\ud800"]
)  # fmt: skip
names = st.lists(pieces, max_size=7).map("".join) | st.text(max_size=12)
mapping = st.fixed_dictionaries(
    {
        "procver": st.just(1) | values,
        "release": st.just("1") | values,
        "dialect": st.sampled_from(["postgresql", "mssql"]) | values,
        "objects": st.dictionaries(
            names,
            st.fixed_dictionaries(
                {"kind": st.sampled_from(["view", "function", "table_type"]) | values, "physical": names | values}
            ) | values,
            max_size=3,
        ) | values,
    },
    optional={"default_schema": names | values, "project": names | values, "digest": values},
)  # fmt: skip


def is_name(text: str, dialect: str) -> bool:
    """Return whether a text can be nothing but one or two identifiers."""
    part = PLAIN if dialect == "postgresql" else BRACKETS
    found = part.match(text)
    if found is None:
        return False
    rest = text[found.end() :]
    return not rest or (rest[0] == "." and part.fullmatch(rest[1:]) is not None)


@examples(200, 5000)
@given(document=mapping, as_file=st.booleans())
def test_any_mapping(root: Path, document: dict[str, Any], as_file: bool) -> None:
    path = root / "map.json"
    try:
        if as_file:
            path.write_text(json.dumps(document))
            found = Resolver.load(path)
        else:
            found = Resolver.from_mapping(document)
    except UsageError:
        return
    for logical, physical in found.items():
        assert is_name(physical, found.dialect), physical
        assert found[logical] == physical


@examples(30, 1000)
@given(
    data=st.binary(max_size=80)
    | damaged('{"procver": 1, "release": "1", "dialect": "mssql", "objects": {}}')
)
def test_any_mapping_file(root: Path, data: bytes) -> None:
    path = root / "map.json"
    path.write_bytes(data)
    with suppress(UsageError):
        assert not dict(Resolver.load(path))
