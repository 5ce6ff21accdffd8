"""Any words on the command line, in any order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.profiles import examples, run
from tests.fuzz.test_files import GOOD, VIEW

COMMANDS = [
    ("init",), ("lock",), ("plan",), ("publish",), ("map",), ("release", "list"), ("release", "show"),
    ("release", "activate"), ("release", "retire"), ("release", "channel"), ("release", "discard"), ("release", "diff"),
    ("why",), ("gc",), ("restore",), ("verify",), ("log",), ("status",), ("completion",), ("embedded", "stop"), (),
]  # fmt: skip
OPTIONS = [
    "-r", "--release", "-t", "--target", "-C", "-q", "--json", "--check", "--base", "--locked", "-n", "--dry-run",
    "--format", "-o", "--output", "-i", "--instance", "--restore", "--remove", "--leftovers", "--apply", "--max", "--for",
    "--retire-idle", "--since", "--until", "--action", "--actor", "--object", "--limit", "--all", "--dialect", "--name",
    "--roles", "--prefix", "--help", "-h", "--version", "--", "--nonsense", "-", "--target=", "--format=json",
]  # fmt: skip
VALUES = [
    "1", "app.v", "app.v_1", '"', "a.b.c", "", " ", "0", "-1", "9" * 5000, "1e400", "nan", "7d", "9" * 30, "HEAD", "main",
    "json", "python", "csharp", "text", "prometheus", "out.json", "procver.lock", "procver.toml", "sql/v.sql", ".procver/x",
    "link", "loop", "pipe", "/dev/null", "2026-01-01", "9999-12-31T23:59:59+14:00", "0001-01-01", "mssql", "local",
    "postgresql://127.0.0.1:1/shop", "postgresql://u:sesame@127.0.0.1:x/shop", "host=h password=sesame", "u:sesame@h/d",
    "Server=h;PWD=sesame;x", "mssql://u:sesame@h", "embedded:~nobody/x", "\udcff", "a\0b", "\n", "\x1b[2J", "x" * 300,
]  # fmt: skip
text = st.text(st.characters(exclude_characters="/~"), max_size=10)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("words")
    (made / "sql").mkdir()
    (made / "loop").symlink_to("loop")
    (made / "link").symlink_to(made.parent / "elsewhere")
    return made


@examples(60, 4000)
@given(
    command=st.sampled_from(COMMANDS),
    rest=st.lists(st.sampled_from(OPTIONS) | st.sampled_from(VALUES) | text, max_size=6),
)
def test_any_words(root: Path, command: tuple[str, ...], rest: list[str]) -> None:
    (root / "sql/v.sql").write_text(VIEW)
    (root / "procver.toml").write_text(GOOD)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        result = run(*command, *rest)
    assert "sesame" not in result.output
    assert (root / "sql/v.sql").read_text() == VIEW
    assert (root / "procver.toml").read_text() == GOOD
    assert not (root.parent / "elsewhere").exists() or "-o" in rest or "--output" in rest
