"""Input that nobody means and machines in a bad state: one clear error, never a traceback, nothing hangs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from procver.cli import cli

CONFIG = """\
[project]
name = "shop"
dialect = "postgresql"

[targets]
local = "postgresql://127.0.0.1:1/shop"
"""
VIEW = "CREATE VIEW v AS SELECT 1 AS n;\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "sql").mkdir(parents=True)
    (root / "sql/v.sql").write_text(VIEW)
    (root / "procver.toml").write_text(CONFIG)
    return root


def process(*words: str | bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
    defaults: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "procver", *words],
        check=False, timeout=60, **{**defaults, **options},
    )  # fmt: skip


def refused(root: Path, *words: str, code: int = 2) -> str:
    """Run a command with and without --json, in a process that is ended when it hangs; return its words."""
    text = process(*words, "-C", str(root))
    plain = process(*words, "--json", "-C", str(root))
    for done in (text, plain):
        assert done.returncode == code, done
        assert b"Traceback" not in done.stderr + done.stdout
    error = json.loads(plain.stdout)["error"]
    assert error["hint"]
    assert text.stderr.startswith(b"error: ")
    return f"{error['message']} | {error['hint']}"


TOML = [
    ("deep-array", "x = " + "[" * 100_000 + "]" * 100_000, "nested too deeply"),
    ("deep-table", "[variables]\nx = " + "{a = " * 60 + "1" + "}" * 60, "nested more than 50 deep"),
    ("long-number", "[gc]\nkeep_releases = " + "9" * 5000, "too many digits"),
    ("long-hexadecimal", "[variables]\nx = 0x" + "f" * 5000, "does not fit into 64 bits"),
    ("large-number", "[gc]\nkeep_releases = 9999999999", "a whole number from 0 to 1000000000"),
    ("long-duration", f'[gc]\ngrace = "{"9" * 5000}d"', "is no duration"),
    ("nul-in-a-name", '[gc]\npins = ["a\\u0000b"]', "control characters"),
    ("nul-byte", "[gc]\n\0", "procver.toml"),
]


@pytest.mark.parametrize(("text", "says"), [case[1:] for case in TOML], ids=[c[0] for c in TOML])
def test_a_configuration(root: Path, text: str, says: str) -> None:
    (root / "procver.toml").write_text(CONFIG + text)
    assert says in refused(root, "lock")


def test_nul_in_every_key_of_the_project(root: Path) -> None:
    for key in ("name", "default_schema", "suffix", "map", "encoding", "main", "dialect"):
        (root / "procver.toml").write_text(
            f'[project]\nname = "x"\ndialect = "postgresql"\n{key} = "a\\u0000b"\n'
            if key not in ("name", "dialect")
            else f'[project]\n{key} = "a\\u0000b"\n'
        )
        assert "procver.toml" in refused(root, "lock")
    for key in ("sources", "exclude", "search_path", "databases", "outside"):
        (root / "procver.toml").write_text(
            f'[project]\nname = "x"\ndialect = "postgresql"\n{key} = ["a\\u0000b"]\n'
        )
        assert "control characters" in refused(root, "lock")


@pytest.mark.parametrize(
    "encoding", ["idna", "punycode", "undefined", "unicode_escape", "hex", "utf-7"]
)
def test_an_encoding_that_is_not_one_of_text(root: Path, encoding: str) -> None:
    (root / "procver.toml").write_text(
        CONFIG.replace("[targets]", f'encoding = "{encoding}"\n[targets]')
    )
    assert "is unknown" in refused(root, "lock")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sock(path: Path) -> None:
    made = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        made.bind(path.name)
    finally:
        os.chdir(here)
        made.close()


ODD: list[tuple[str, Callable[[Path], object], str]] = [
    ("pipe", fifo, "a named pipe"),
    ("link-to-a-pipe", lambda path: (fifo(path.with_name(".p")), path.symlink_to(".p")), "a named pipe"),
    ("device", lambda path: path.symlink_to("/dev/zero"), "a device"),
    ("socket", sock, "cannot be read: |cannot read"),
    ("link-to-itself", lambda path: path.symlink_to(path.name), "Too many levels"),
    ("links-in-a-ring", lambda path: (path.symlink_to("ring"), path.with_name("ring").symlink_to(path.name)), "Too many levels"),
    ("link-to-nothing", lambda path: path.symlink_to("nothing"), "No such file|no file"),
]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["sql/w.sql", "sql/w.sql.j2", "sql/w.j2", "procver.toml", "procver.lock"]
)
@pytest.mark.parametrize(("make", "says"), [case[1:] for case in ODD], ids=[c[0] for c in ODD])
def test_what_is_not_a_file(
    root: Path, name: str, make: Callable[[Path], object], says: str
) -> None:
    if name == "sql/w.j2":
        (root / "sql/t.sql.j2").write_text(VIEW.replace("v AS", "t AS"))
    path = root / name
    path.unlink(missing_ok=True)
    make(path)
    if name == "procver.lock" and says.startswith("No such"):  # the first of a project
        return
    said = refused(root, "lock", "--check")
    assert any(word in said for word in says.split("|")), said


def test_directories_in_each_other_and_links_to_them(root: Path) -> None:
    (root / "sql/again").symlink_to(".")
    (root / "sql/up").symlink_to("..")
    inner = "/".join(["d"] * 1500)
    here = Path.cwd()
    try:
        os.chdir(root / "sql")
        for part in inner.split("/"):
            Path(part).mkdir()
            os.chdir(part)
    finally:
        os.chdir(here)
    try:
        done = CliRunner().invoke(cli, ["lock", "--json", "-C", str(root)])
        assert done.exit_code == 0, done.output
        assert [entry["name"] for entry in json.loads(done.stdout)["added"]] == ["public.v"]
    finally:
        subprocess.run(["rm", "-rf", str(root / "sql/d")], check=True)


SOURCES = [
    ("nul", b"CREATE VIEW w AS SELECT '\0'", "NUL byte"),
    ("nul-after-a-mark", b"\xef\xbb\xbfCREATE VIEW w AS SELECT '\0'", "NUL byte"),
    ("nul-in-utf-16", b"\xff\xfe" + "CREATE VIEW w AS SELECT '\0'".encode("utf-16-le"), "NUL byte"),
    (
        "revision",
        b"-- procver: revision " + b"9" * 5000 + b"\nCREATE VIEW w AS SELECT 1",
        "directive",
    ),
    ("pin", b"-- procver: pin v = " + b"9" * 5000 + b"\nCREATE VIEW w AS SELECT 1", "directive"),
    ("name", b"CREATE VIEW v_" + b"9" * 5000 + b" AS SELECT 1", "bytes"),
]


@pytest.mark.parametrize(
    ("data", "says"), [case[1:] for case in SOURCES], ids=[c[0] for c in SOURCES]
)
def test_a_source(root: Path, data: bytes, says: str) -> None:
    (root / "sql/w.sql").write_bytes(data)
    assert says in refused(root, "lock")


@pytest.mark.parametrize("dialect", ["postgresql", "mssql"])
def test_a_source_with_parentheses_in_each_other(root: Path, dialect: str) -> None:
    (root / "procver.toml").write_text(CONFIG.replace("postgresql", dialect, 1))
    for text in (
        "(" * 50_000 + "1" + ")" * 50_000,
        "CASE WHEN 1=1 THEN " * 5000 + "1" + " END" * 5000,
    ):
        (root / "sql/w.sql").write_text(f"CREATE VIEW w AS SELECT {text} AS n")
        done = process("lock", "--check", "-C", str(root))
        assert done.returncode in (1, 2)
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("gc", "--max", "9" * 5000), ("gc", "--for", "9" * 5000 + "d"), ("log", "-n", "9" * 5000), ("log", "--since", "9" * 5000 + "d"),
        ("log", "--since", "9" * 5000), ("log", "--until", "0001-01-01T00:00:00+23:59"), ("why", "v_" + "9" * 5000),
        ("restore", "v_" + "9" * 5000), ("map", "-r", "9" * 5000), ("plan", "-t", "x" * 100_000), ("map", "-r", "1", "-o", "x" * 5000),
    ],
    ids=lambda words: " ".join(words)[:20],
)  # fmt: skip
def test_long_arguments(root: Path, words: tuple[str, ...]) -> None:
    CliRunner().invoke(cli, ["lock", "-C", str(root)])
    done = process(*words, "-C", str(root))
    assert done.returncode in (2, 3), done
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [("lock", "-C", "a\0b"), ("map", "-r", "a\0b"), ("map", "-r", "1", "-o", "a\0b"), ("plan", "-t", "postgresql://h/a\0b"),
     ("\0",), ("lock", "--base", "\0"), ("init", "--name", "\0")],
)  # fmt: skip
def test_a_nul_in_an_argument(
    root: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    CliRunner().invoke(cli, ["lock"])
    for more in ((), ("--json",)):
        done = CliRunner().invoke(cli, [*words, *more])
        assert done.exit_code in (2, 3), done.output


@pytest.mark.parametrize(
    "words",
    [(b"map", b"-r", b"\xff"), (b"map", b"-r", b"1", b"-o", b"\xff/x"), (b"lock", b"-C", b"\xff"), (b"\xff",),
     (b"plan", b"-t", b"postgresql://u:\xff@127.0.0.1:1/d"), (b"init", b"--name", b"\xff")],
)  # fmt: skip
def test_bytes_that_are_not_text(root: Path, words: tuple[bytes, ...]) -> None:
    process("lock", cwd=root)
    for more in ((), (b"--json",)):
        done = process(*words, *more, cwd=root)
        assert done.returncode == 2, done
        assert b"Traceback" not in done.stderr
        if more:
            assert json.loads(done.stdout)["error"]["hint"]


def test_a_project_in_a_directory_whose_name_is_not_text(root: Path) -> None:
    moved = root.rename(root.parent / "\udcff\udcfe")
    for words in (
        (b"lock",),
        (b"map", b"-r", b"1", b"-o", b"\xfd.json"),
        (b"lock", b"--check", b"--json"),
    ):
        done = process(*words, cwd=moved)
        assert done.returncode == 0, done
    assert json.loads((moved / "\udcfd.json").read_bytes())["release"] == "1"
    shutil.rmtree(moved)


FULL = [("map", "-r", "1"), ("lock",), ("lock", "--json"), ("--help",), ("map", "--help"), ("--version",), ("completion", "bash"), ("nonsense", "--json")]  # fmt: skip


@pytest.mark.parametrize("words", FULL, ids=lambda words: " ".join(words))
def test_a_stdout_that_is_full(root: Path, words: tuple[str, ...]) -> None:
    process("lock", cwd=root)
    with Path("/dev/full").open("wb") as full:
        done = process(*words, cwd=root, stdout=full)
    assert done.returncode == 2, done
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert b"error: " in done.stderr


def test_a_stderr_that_is_full(root: Path) -> None:
    (root / "sql/w.sql").write_text(
        "CREATE FUNCTION w() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT 1 FROM v'; RETURN 1; END $$;"
    )
    with Path("/dev/full").open("wb") as full:
        assert process("lock", cwd=root, stderr=full).returncode == 0
        assert process("plan", cwd=root, stderr=full).returncode == 3
    assert "public.w function 1" in (root / "procver.lock").read_text()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(root: Path, closed: str) -> None:
    for words, code in (
        ("lock", 0),
        ("map -r 1", 0),
        ("plan", 3),
        ("nonsense", 2),
        ("lock --json", 0),
    ):
        line = f'"{sys.executable}" -m procver {words} {closed}'
        done = subprocess.run(["sh", "-c", line], cwd=root, capture_output=True, check=False)
        assert done.returncode == code, (line, done)
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr


def test_a_reader_that_went_away_before_the_help(root: Path) -> None:
    for words in ("--help", "map --help", "--version", "nonsense --json", "lock"):
        line = f'trap "" PIPE; ("{sys.executable}" -m procver {words}; echo $? >&2) | true'
        done = subprocess.run(
            ["bash", "-c", line], cwd=root, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        assert done.stderr.split()[-1] in ("141", "0", "2"), (words, done.stderr)


def test_a_directory_that_is_gone(root: Path) -> None:
    gone = root / "gone"
    for words in ("lock", "plan", "init", "map -r 1", "gc"):
        gone.mkdir()
        line = f'rmdir "{gone}"; "{sys.executable}" -P -m procver {words}'
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            ["sh", "-c", line], cwd=gone, capture_output=True, text=True, check=False, env=environ
        )
        assert done.returncode == 2, done
        assert "current directory cannot be found" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "procver", "lock", "-C", str(gone)], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (done.returncode, "does not exist" in done.stderr) == (2, True)


def test_no_home_and_nowhere_for_temporary_files(root: Path) -> None:
    environ = {
        **os.environ,
        "HOME": "/nonexistent",
        "TMPDIR": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
    }
    assert process("lock", cwd=root, env=environ).returncode == 0
    assert process("map", "-r", "1", cwd=root, env=environ).returncode == 0
    del environ["HOME"]
    assert process("plan", cwd=root, env=environ).returncode == 3


def pipe_for_cache(cache: Path) -> None:
    cache.unlink()
    os.mkfifo(cache)


CACHES: list[tuple[str, Callable[[Path], object]]] = [
    ("text", lambda cache: cache.write_text("not a database at all" * 100)),
    ("cut", lambda cache: cache.write_bytes(cache.read_bytes()[:5000])),
    ("zeros", lambda cache: cache.write_bytes(cache.read_bytes()[:4096] + bytes(8192))),
    ("directory", lambda cache: (cache.unlink(), cache.mkdir())),
    ("pipe", pipe_for_cache),
    ("link-to-itself", lambda cache: (cache.unlink(), cache.symlink_to(cache.name))),
    ("no-directory", lambda cache: (shutil.rmtree(cache.parent), cache.parent.write_text("a file"))),
    ("read-only", lambda cache: (cache.chmod(0o400), cache.parent.chmod(0o500))),
]  # fmt: skip


@pytest.mark.parametrize("damage", [case[1] for case in CACHES], ids=[c[0] for c in CACHES])
def test_a_cache_of_no_use(root: Path, damage: Callable[[Path], object]) -> None:
    process("lock", cwd=root)
    expected = (root / "procver.lock").read_bytes()
    damage(root / ".procver/cache.sqlite3")
    for name in ("w", "x"):
        (root / f"sql/{name}.sql").write_text(VIEW.replace("v AS", f"{name} AS"))
        done = process("lock", cwd=root)
        assert done.returncode == 0, done
        assert done.stderr == b""
    assert (root / "procver.lock").read_bytes().startswith(expected)


def test_a_cache_that_another_program_holds(root: Path) -> None:
    import sqlite3

    process("lock", cwd=root)
    with sqlite3.connect(root / ".procver/cache.sqlite3", isolation_level=None) as held:
        held.execute("BEGIN EXCLUSIVE")
        (root / "sql/w.sql").write_text(VIEW.replace("v AS", "w AS"))
        done = process("lock", cwd=root)
    assert (done.returncode, done.stderr) == (0, b"")
