"""Atomic writes: the old file or the new one, under real limits and real permissions."""

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import procver
from procver.errors import UsageError
from procver.project.files import write_atomic

ROOT = str(Path(procver.__file__).parents[1])


def names(directory):
    return [entry.name for entry in directory.iterdir()]


def run(code, *arguments):
    """Run code in a process of its own: limits and signals are for a whole process."""
    source = f"import sys; sys.path.insert(0, {ROOT!r})\n" + textwrap.dedent(code)
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_new_and_replaced(tmp_path):
    path = tmp_path / "procver.lock"
    write_atomic(path, "é\r\n")
    assert path.read_bytes() == b"\xc3\xa9\r\n"
    write_atomic(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    assert names(tmp_path) == ["procver.lock"]


def test_modes_are_kept_and_new_ones_follow_the_umask(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("1")
    old.chmod(0o640)
    previous = os.umask(0o027)
    try:
        write_atomic(old, "2")
        write_atomic(new, "2")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert old.read_text() == "2"


def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("1")
    link.symlink_to(target)
    write_atomic(link, "2")
    assert link.is_symlink()
    assert target.read_text() == "2"


@pytest.mark.parametrize("existing", [True, False])
def test_disk_full(tmp_path, existing):
    """A limit on file size fails in the middle of the write, as a full disk does."""
    path = tmp_path / "procver.lock"
    if existing:
        path.write_text("old")
    done = run(
        """
        import resource
        from pathlib import Path
        from procver.errors import UsageError
        from procver.project.files import write_atomic
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_atomic(Path(sys.argv[1]), "x" * 1_000_000)
        except UsageError as error:
            print(error, "|", error.hint)
        """,
        path,
    )
    state = "the file there is unchanged" if existing else "nothing was written"
    assert done.stdout.startswith(f"cannot write {path}: File too large; {state} | make room")
    assert sorted(names(tmp_path)) == (["procver.lock"] if existing else [])
    if existing:
        assert path.read_text() == "old"


def test_killed_or_interrupted_at_any_step_leaves_old_or_new(tmp_path):
    """Stop before each system call in turn: Ctrl-C cleans up, and a kill costs a stray file."""
    code = """
        import os, signal
        from pathlib import Path
        from procver.project.files import write_atomic
        path, step, number = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
        seen = 0
        def audit(event, arguments):
            global seen
            if event in ("open", "os.rename", "os.chmod") and str(path.parent) in str(arguments):
                seen += 1
                if seen == step:
                    os.kill(os.getpid(), number)
        sys.addaudithook(audit)
        write_atomic(path, "new" * 10_000)
        print("done")
        """
    path = tmp_path / "procver.lock"
    for number in (2, 9):
        seen = set()
        for step in range(1, 9):
            path.write_text("old")
            done = run(code, path, step, number)
            content = path.read_text()
            seen.add(content[:3])
            assert content in ("old", "new" * 10_000)
            if number == 2:
                assert names(tmp_path) == ["procver.lock"]
            if "done" in done.stdout:
                break
        else:
            pytest.fail("never came to its end")
        assert seen == {"old", "new"}
        assert step > 2


def test_refusals_say_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="No such file or directory; nothing was") as caught:
        write_atomic(tmp_path / "missing" / "file", "1")
    assert "create the directory" in caught.value.hint
    (tmp_path / "directory").mkdir()
    with pytest.raises(UsageError, match="Is a directory") as caught:
        write_atomic(tmp_path / "directory", "1")
    assert names(tmp_path) == ["directory"]


def test_no_permission(tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    done = run(
        """
        import os
        from pathlib import Path
        from procver.errors import UsageError
        from procver.project.files import write_atomic
        if os.geteuid() == 0:
            os.setuid(65534)
        else:
            Path(sys.argv[1]).parent.chmod(0o555)
        try:
            write_atomic(Path(sys.argv[1]), "1")
        except UsageError as error:
            print(error, "|", error.hint)
        """,
        tmp_path / "file",
    )
    tmp_path.chmod(0o755)
    assert "Permission denied; nothing was written | make" in done.stdout, done.stderr
