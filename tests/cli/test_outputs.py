"""Commands never write over a device or the project's own files, or through a link out of it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from procver.cli import cli
from procver.project.files import write_atomic
from tests.cli.untouched import files

CONFIG = '[project]\nname = "shop"\ndialect = "postgresql"\nsources = ["sql"]\n{}'
VIEW = "CREATE VIEW v AS SELECT 1 AS n;\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "sql").mkdir(parents=True)
    (root / "sql/v.sql").write_text(VIEW)
    (root / "procver.toml").write_text(CONFIG.format(""))
    assert run(root, "lock").exit_code == 0
    return root


def run(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "-C", str(root)])


def process(root: Path, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "procver", *words, "-C", str(root)],
        capture_output=True, text=True, check=False, timeout=60, **options,  # type: ignore[call-overload, no-any-return]
    )  # fmt: skip


OWN = [
    "procver.toml", "procver.lock", "sql/v.sql", "sql/new.sql", "sql/new.sql.j2", "sql/macros.j2", ".procver/cache.sqlite3",
    ".procver/x", "sql/../procver.lock", "./procver.toml", ".git/config", "link-to-lock",
]  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_the_projects_own_files_are_refused(root: Path, name: str) -> None:
    (root / "link-to-lock").symlink_to("procver.lock")
    before = files(root)
    outputs = (
        ("map", "-r", "1", "-o", str(root / name)),
        ("init", "--roles", "-o", str(root / name)),
    )
    for words in outputs:
        done = run(root, *words)
        assert done.exit_code == 2, done.output
        assert files(root) == before
    (root / "procver.toml").write_text(CONFIG.format(f'map = "{name}"\n'))
    before = files(root)
    done = run(root, "publish", "-r", "1", "-t", "postgresql://127.0.0.1:1/shop")
    assert done.exit_code == 2, "it is refused before the target is even looked for"
    assert "[project] map: cannot write" in done.stderr
    assert "hint" in done.stderr
    assert files(root) == before


def test_a_map_is_neither_a_device_nor_a_link_out_of_the_project(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "map.json").write_text("theirs")
    (root / "file.json").symlink_to(outside / "map.json")
    (root / "new.json").symlink_to(outside / "new.json")
    (root / "build").symlink_to(outside)
    (root / "loop.json").symlink_to("loop.json")
    os.mkfifo(root / "pipe.json")
    for name in ("file.json", "new.json", "build/map.json", "loop.json", "pipe.json", "sql", "."):
        (root / "procver.toml").write_text(CONFIG.format(f'map = "{name}"\n'))
        done = run(root, "publish", "-r", "1", "-t", "postgresql://127.0.0.1:1/shop")
        assert (done.exit_code, "[project] map" in done.stderr) == (2, True), (name, done.output)
    assert (outside / "map.json").read_text() == "theirs"
    assert not (outside / "new.json").exists()
    assert stat.S_ISFIFO((root / "pipe.json").lstat().st_mode)


def test_a_lock_that_is_a_link_out_of_the_project(root: Path) -> None:
    outside = root.parent / "theirs.lock"
    text = (root / "procver.lock").read_text()
    outside.write_text(text)
    (root / "procver.lock").unlink()
    (root / "procver.lock").symlink_to(outside)
    (root / "sql/w.sql").write_text(VIEW.replace("v AS", "w AS"))
    done = run(root, "lock")
    assert done.exit_code == 2
    assert "a link that leads out of the project" in done.stderr
    assert outside.read_text() == text


def test_init_follows_no_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "project", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "sql").symlink_to(outside)
    done = run(root, "init")
    assert done.exit_code == 2
    assert list(outside.iterdir()) == []
    assert not (root / "procver.toml").exists()
    (root / "sql").unlink()
    (root / "procver.toml").symlink_to(outside / "procver.toml")
    assert run(root, "init").exit_code == 2
    assert list(outside.iterdir()) == []


def test_a_device_is_written_to_and_stays_one(root: Path) -> None:
    device = root / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        device = Path("/dev/null")
    done = run(root, "map", "-r", "1", "-o", str(device))
    assert done.exit_code == 0, done.output
    assert stat.S_ISCHR(device.lstat().st_mode)
    full = process(root, "map", "-r", "1", "-o", "/dev/full")
    assert (full.returncode, "No space left" in full.stderr) == (2, True)


def test_a_pipe_gets_the_mapping(root: Path) -> None:
    pipe = root / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert run(root, "map", "-r", "1", "-o", str(pipe)).exit_code == 0
    reader.join(30)
    assert json.loads(read[0])["release"] == "1"
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "-"])
def test_stdout_by_its_names(root: Path, name: str) -> None:
    with (root / "out").open("w+") as out:
        out.write("before\n")
        out.flush()
        done = subprocess.run(
            [sys.executable, "-m", "procver", "map", "-r", "1", "-o", name, "-C", str(root)],
            stdout=out, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    first, rest = (root / "out").read_text().split("\n", 1)
    assert first == "before"
    assert json.loads(rest)["release"] == "1"


@pytest.mark.parametrize("sort", [stat.S_IFSOCK, stat.S_IFBLK])
def test_what_cannot_be_written_to(root: Path, sort: int) -> None:
    place = root / "odd"
    try:
        os.mknod(place, sort | 0o600, os.makedev(7, 200))
    except PermissionError:
        pytest.skip("only root may make a device")
    done = run(root, "map", "-r", "1", "-o", str(place))
    assert done.exit_code == 2
    assert "not a regular file" in done.stderr
    assert stat.S_IFMT(place.lstat().st_mode) == sort


def test_a_killed_write_leaves_nothing_that_git_sees_and_the_next_removes_it(root: Path) -> None:
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "-A"], check=True)
    (root / "sql/w.sql").write_text(VIEW.replace("v AS", "w AS"))
    subprocess.run(["git", "-C", str(root), "add", "-A"], check=True)
    program = (
        "import os, sys\n"
        "sys.addaudithook(lambda event, args: event == 'os.rename' and os.kill(os.getpid(), 9))\n"
        "sys.argv = ['procver', 'lock', '-C', sys.argv[1]]\n"
        "from procver.cli import main\nmain()\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(root)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (root / ".procver").glob(".*.tmp")], "it was killed in the middle"
    shown = subprocess.run(
        ["git", "-C", str(root), "status", "--porcelain"], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "??" not in shown.stdout
    assert run(root, "lock").exit_code == 0
    assert list(root.rglob(".*.tmp")) == []
    assert "public.w view 1" in (root / "procver.lock").read_text()


def test_the_temporary_file_of_a_write_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    """A write that waits, here for its rename, is not taken for one that was killed."""
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "def wait(event, args):\n"
        "    if event == 'os.rename':\n"
        "        print('waiting', flush=True); sys.stdin.readline()\n"
        "sys.addaudithook(wait)\n"
        "from procver.project.files import write_atomic\n"
        "write_atomic(Path(sys.argv[1]), 'first')\n"
    )
    path = tmp_path / "file"
    slow = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert slow.stdout is not None
    assert slow.stdin is not None
    assert slow.stdout.readline() == "waiting\n"
    write_atomic(path, "second")
    slow.stdin.write("\n")
    slow.stdin.close()
    assert slow.wait(30) == 0
    slow.stdout.close()
    assert path.read_text() == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
