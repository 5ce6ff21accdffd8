"""The scheduled job's files: they parse, say what they must, and call procver as it may be called."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest

from procver.cli import cli
from procver.scanning.mssql.lexer import is_open, lex
from tests.jobs.block_yaml import load
from tests.workshop import Workshop

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "docker" / "jobs"
SCRIPT = JOBS / "procver-gc.sh"
FILES = sorted(path for path in JOBS.iterdir() if path.is_file())
PAGES = [ROOT / "docs" / name for name in ("operations.md", "monitoring.md", "roles.md")]

_CALL = re.compile(
    r"(?<![\w./-])(?:C:\\procver\\Scripts\\)?procver(?:\.exe)? ((?:gc|verify|status|log|release|restore|why|init|publish)\b[^\n`;|>')&]*)"
)


def calls(path: Path) -> list[list[str]]:
    """Return the arguments of each call of procver in a file, comments and prose left out."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        text = "\n".join(
            "".join(found) for found in re.findall(r"```\w*\n(.*?)```|`([^`\n]*)`", text, re.DOTALL)
        )
    prose = re.compile(r"\s*(#|--|name:|summary:|echo|RAISE|group:)")
    text = "\n".join(line for line in text.splitlines() if not prose.match(line))
    return [shlex.split(match[1].replace("\\", "/")) for match in _CALL.finditer(text)]


CALLS = [(path.name, words) for path in (*FILES, *PAGES) for words in calls(path)]


@pytest.mark.parametrize(
    ("file", "words"), CALLS, ids=[f"{f}-{' '.join(w)[:40]}" for f, w in CALLS]
)
def test_procver_understands_each_call(file: str, words: list[str], tmp_path: Path) -> None:
    place = {"-C": str(tmp_path), "-o": str(tmp_path / "out")}
    words = [place.get(words[at - 1], word) if at else word for at, word in enumerate(words)]
    if "$@" in words:
        words.remove("$@")
    understood(cli, words)


def understood(group: click.Group, words: list[str]) -> None:
    """Fail unless a command takes these arguments; do not run it."""
    command = group.get_command(click.Context(group), words[0])
    assert command is not None, words
    if len(words) == 1 and any(param.required for param in command.params):
        return  # a command that is mentioned, not called
    if isinstance(command, click.Group):
        understood(command, words[1:])
    else:
        command.make_context(words[0], list(words[1:]))


def test_a_wrong_call_would_be_noticed(tmp_path: Path) -> None:
    for words in (["gc", "--aply"], ["gc", "--max", "all"], ["status", "--format", "xml"]):
        with pytest.raises(click.UsageError):
            understood(cli, words)


def test_every_file_is_called_somewhere() -> None:
    page = PAGES[0].read_text("utf-8")
    assert [path.name for path in FILES if f"docker/jobs/{path.name}" not in page] == []
    named = {name for name, _ in CALLS}
    assert {
        "procver-gc.sh",
        "kubernetes-cronjob.yaml",
        "github-actions.yml",
        "sql-agent-job.sql",
    } - named <= {
        "kubernetes-cronjob.yaml"  # its arguments are a list: see below
    }


def options(words: list[str]) -> list[str]:
    """Return what follows the project in a call of the script: options of gc."""
    return words[words.index(next(w for w in words if w.endswith("procver-gc.sh"))) + 2 :]


def test_cron() -> None:
    lines = [
        line
        for line in (JOBS / "procver.cron").read_text("utf-8").splitlines()
        if line and line[0] != "#"
    ]
    *settings, job = lines
    assert all(re.fullmatch(r"[A-Z]+=\S+", line) for line in settings)
    fields = job.split(None, 6)
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in fields[:5])
    assert fields[5] == "procver", "never as root"
    assert "%" not in job, "cron would end the line there"
    assert subprocess.run(["sh", "-n", "-c", fields[6]]).returncode == 0
    understood(cli, ["gc", *options(shlex.split(fields[6]))])


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in (JOBS / name).read_text("utf-8").splitlines():
        if re.fullmatch(r"\[\w+\]", line):
            section = line[1:-1]
        elif line and line[0] != "#":
            key, _, value = line.partition("=")
            found.setdefault(section, {}).setdefault(key, []).append(value)
    return found


def test_systemd_units() -> None:
    service, timer = unit("procver-gc.service"), unit("procver-gc.timer")
    assert service["Service"]["Type"] == ["oneshot"], "then it is never started twice at once"
    assert service["Service"]["User"] != ["root"]
    assert "SuccessExitStatus" not in service["Service"]
    assert timer["Install"]["WantedBy"] == ["timers.target"]
    understood(cli, ["gc", *options(shlex.split(service["Service"]["ExecStart"][0]))])


def test_systemd_reads_its_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for name in ("procver-gc.service", "procver-gc.timer"):
        text = (JOBS / name).read_text("utf-8")
        (tmp_path / name).write_text(
            text.replace("/usr/local/bin/procver-gc.sh", str(SCRIPT)), "utf-8"
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *map(str, tmp_path.iterdir())],
        capture_output=True, text=True,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "procver-gc" in line]
    assert complaints == []
    calendar = unit("procver-gc.timer")["Timer"]["OnCalendar"][0]
    assert (
        subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True).returncode
        == 0
    )


def test_kubernetes() -> None:
    job: Any = load((JOBS / "kubernetes-cronjob.yaml").read_text("utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    assert set(job["spec"]) == {
        "schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit", "jobTemplate",
    }  # fmt: skip
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert re.fullmatch(r"(\d+|\*)( (\d+|\*)){4}", job["spec"]["schedule"])
    inner = job["spec"]["jobTemplate"]["spec"]
    pod = inner["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "a podFailurePolicy asks for it"
    assert pod["securityContext"]["runAsNonRoot"] is True
    containers = [*pod["initContainers"], *pod["containers"]]
    rules = {
        rule["onExitCodes"]["containerName"]: rule["onExitCodes"]["values"]
        for rule in inner["podFailurePolicy"]["rules"]
    }
    assert rules == {container["name"]: [1, 2, 4] for container in containers}
    for container in containers:
        understood(cli, container["args"])
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
    assert containers[0]["args"][:2] == ["gc", "--apply"]


def test_github_actions() -> None:
    flow: Any = load((JOBS / "github-actions.yml").read_text("utf-8"))
    assert flow["concurrency"]["cancel-in-progress"] is False
    assert flow["permissions"] == {"contents": "read"}
    assert re.fullmatch(r"(\d+|\*)( (\d+|\*)){4}", flow["on"]["schedule"][0]["cron"])
    for job in flow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            if "run" in step:
                assert subprocess.run(["bash", "-n", "-c", step["run"]]).returncode == 0


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 1), (2, 2), (4, 4)])
def test_what_the_workflow_does_with_a_status(status: int, expected: int, tmp_path: Path) -> None:
    flow: Any = load((JOBS / "github-actions.yml").read_text("utf-8"))
    run = next(step["run"] for step in flow["jobs"]["gc"]["steps"] if step.get("name") == "collect")
    said = run.replace("procver gc", f"sh -c 'exit {status}' gc").replace("sleep 60", "echo again")
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", said], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (expected, "")


def test_the_workflow_tries_again_when_the_database_is_away() -> None:
    flow: Any = load((JOBS / "github-actions.yml").read_text("utf-8"))
    run = next(step["run"] for step in flow["jobs"]["gc"]["steps"] if step.get("name") == "collect")
    said = run.replace("procver gc", "sh -c 'exit 3' gc").replace("sleep 60", "echo again")
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", said], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (3, "again\n" * 3)


def test_the_yaml_reader_refuses_what_it_does_not_know() -> None:
    assert load("a:\n  - b: 1\n    c: [x, 2]\n  - d\ne: |\n  f\n   g\n") == {
        "a": [{"b": 1, "c": ["x", 2]}, "d"], "e": "f\n g\n",
    }  # fmt: skip
    for wrong in (
        "a: 1\na: 2\n",
        "a:\n\tb: 1\n",
        "a: 'x'\n",
        "a: &x 1\n",
        "a: b: c\n",
        "a: 1\n  b: 2\n",
        "a: >\n  b\n",
    ):
        with pytest.raises(AssertionError):
            load(wrong)


def test_sql_agent_job() -> None:
    text = (JOBS / "sql-agent-job.sql").read_text("utf-8")
    tokens = lex(text)
    assert len(tokens) > 100
    assert not any(map(is_open, tokens)), "an open string, comment or bracket"
    said = re.sub(r"--.*", "", text)
    steps = re.findall(r"sp_add_jobstep\n(.*?);", said, re.DOTALL)
    assert len(steps) == 2
    for step in steps:
        assert "@cmdexec_success_code = 0" in step
        assert re.search(r"@on_fail_action = 2\b", step)
    names = set(re.findall(r"@job_name = N'([^']*)'", said))
    assert names == {"procver, shop"}


WATCH = re.search(r"\$job\$\n(.*?)\$job\$", (JOBS / "pg_cron.sql").read_text("utf-8"), re.DOTALL)


def watch(shop: Workshop) -> str | None:
    """Run what pg_cron would run; return what it complains of."""
    assert WATCH is not None
    try:
        shop.sql(WATCH[1])
    except psycopg.errors.RaiseException as error:
        return error.diag.message_primary
    return None


def test_the_watchman_in_the_database(tmp_path: Path, url: str) -> None:
    shop = Workshop(tmp_path / "project", url, more="[gc]\nkeep_releases = 0\n")
    shop.sql("CREATE SCHEMA app")
    shop.write(alone="CREATE FUNCTION app.alone() RETURNS int LANGUAGE sql AS 'SELECT 1';\n")
    shop.publish("1")
    shop.run("release", "activate", "1")
    assert watch(shop) == "procver gc --apply has not finished for two days: shop"
    shop.remove("alone")
    shop.write(other="CREATE FUNCTION app.other() RETURNS int LANGUAGE sql AS 'SELECT 1';\n")
    shop.publish("2")
    shop.run("release", "activate", "2")
    shop.run("release", "retire", "1")
    shop.run("gc", "--apply")
    assert watch(shop) is None
    shop.sql(
        "UPDATE procver.version SET condemned_at = now() - interval '31 days' WHERE state = 'condemned'"
    )
    assert watch(shop) == "condemned for a month and still there: app.alone_1"
    shop.sql("UPDATE procver.collection SET at = now() - interval '3 days'")
    assert watch(shop) == "procver gc --apply has not finished for two days: shop"
