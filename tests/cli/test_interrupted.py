"""A full disk and Ctrl-C in the middle of it: the old state or the new one, and the same command again completes."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time

from tests.cli.untouched import files
from tests.live.conftest import ALONE
from tests.workshop import Workshop

OTHER = ALONE.replace("42", "43")


def _tiny_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))


def _starved(workshop: Workshop, *words: str) -> tuple[int, str]:
    # Python itself would leave half-written bytecode behind: hence -B.
    done = subprocess.run(
        [sys.executable, "-B", "-m", "procver", *words, "--json", "-C", str(workshop.root)],
        capture_output=True, text=True, preexec_fn=_tiny_files, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    document = json.loads(done.stdout)
    return done.returncode, f"{document['error']['message']} | {document['error']['hint']}"


def test_a_disk_that_is_full_while_the_lock_is_written(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.write(alone=OTHER)
    before = files(workshop.root), workshop.look()
    for words in (("lock",), ("publish", "-r", "2")):
        code, said = _starved(workshop, *words)
        assert code == 2
        assert "procver.lock" in said
        assert "the file there is unchanged" in said
        assert "make room" in said
        assert (files(workshop.root), workshop.look()) == before
    workshop.publish("2")
    assert workshop.sql("SELECT app.alone_2()") == [(43,)]


def test_a_disk_that_is_full_while_the_mapping_is_written(workshop: Workshop) -> None:
    workshop.publish("1")
    workshop.write(alone=OTHER)
    workshop.run("lock")
    before = files(workshop.root)
    for words in (
        ("publish", "-r", "2"),
        ("map", "-r", "2", "-o", str(workshop.root / "procver.map.json")),
    ):
        code, said = _starved(workshop, *words)
        assert code == 2
        assert "procver.map.json" in said
        assert "the file there is unchanged" in said
        assert "make room" in said
        assert files(workshop.root) == before
    assert workshop.resolver().release == "1"
    again = workshop.publish("2")
    assert again["create"] == []
    assert workshop.resolver()["app.alone"] == "app.alone_2"


SLOW = """\
CREATE MATERIALIZED VIEW app.slow AS
SELECT pg_sleep(s.seconds) IS NULL AS waited FROM app.speed s;
"""


def test_ctrl_c_in_the_middle_of_a_publish(workshop: Workshop) -> None:
    workshop.publish("1")
    mapping = (workshop.root / "procver.map.json").read_bytes()
    workshop.sql("CREATE TABLE app.speed AS SELECT 60 AS seconds")
    workshop.write(alone=OTHER, slow=SLOW)
    workshop.run("lock")
    before = files(workshop.root), workshop.look()
    for extra in ((), ("--json",)):
        process = workshop.start("publish", "--release", "2", *extra)
        _until_asleep(workshop)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - started < 10
        assert process.returncode == 130, (out, err)
        said = (
            json.loads(out)["error"]
            if extra
            else {"message": err, "hint": err, "code": "interrupted"}
        )
        assert said["code"] == "interrupted"
        assert "interrupted" in said["message"]
        assert "the same command again" in said["hint"]
        assert "Traceback" not in err
        _until_gone(workshop)
        assert (files(workshop.root), workshop.look()) == before
    workshop.sql("UPDATE app.speed SET seconds = 0")
    done = workshop.publish("2")
    assert {c["physical"] for c in done["create"]} == {"app.alone_2", "app.slow_1"}
    assert workshop.sql("SELECT app.alone_2()") == [(43,)]
    assert (workshop.root / "procver.map.json").read_bytes() != mapping
    assert workshop.json("verify")["findings"] == []


def _until_asleep(workshop: Workshop) -> None:
    sleeping = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'procver' AND wait_event = 'PgSleep'"
        " AND datname = current_database()"
    )
    end = time.monotonic() + 30
    while not workshop.sql(sleeping):
        assert time.monotonic() < end, "the publication never began"
        time.sleep(0.05)


def _until_gone(workshop: Workshop) -> None:
    """Wait until the server has noticed that its client is gone, and has rolled back."""
    others = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'procver' AND datname = current_database()"
    end = time.monotonic() + 20
    while workshop.sql(others):
        assert time.monotonic() < end, "the server goes on without its client"
        time.sleep(0.05)
