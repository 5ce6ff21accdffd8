"""What goes where: data on stdout, the rest on stderr; colours, quiet, progress; words of the command line itself."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from procver.cli import cli
from tests.live.conftest import ALONE
from tests.workshop import Workshop

NOW = '[gc]\nkeep_releases = 0\ngrace = "0s"\n'
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
REMARKED = "CREATE FUNCTION app.dyn() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT 1 FROM app.things'; RETURN 1; END $$;\n"

COMMANDS = [
    ("lock",), ("lock", "--check"), ("plan",), ("plan", "-r", "1"), ("publish", "-r", "1"),
    ("publish", "-r", "1", "--dry-run"), ("publish", "-r", "1", "--locked"), ("release", "activate", "1"),
    ("release", "list"), ("release", "show", "1"),
    ("release", "diff", "1", "1"), ("why", "app.things_1"), ("restore", "app.things_1"), ("verify",), ("gc",),
    ("gc", "--apply"), ("release", "retire", "1"),
    ("map", "-r", "1", "-o", "m.json"), ("release", "discard", "--leftovers"),
]  # fmt: skip


def test_only_data_on_stdout(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop.root)
    workshop.configure(more=NOW)
    workshop.write(dyn=REMARKED)
    remarks = 0
    for words in COMMANDS:
        text = workshop.run(*words)
        assert not CONTROL.search(text.stdout), words
        assert text.stdout.endswith("\n")
        remarks += bool(text.stderr)
        as_json = workshop.run(*words, "--json")
        assert as_json.stderr == "", words
        assert isinstance(json.loads(as_json.stdout), dict), words
        quiet = workshop.run(*words, "--quiet")
        assert quiet.stderr == "", words
        if words[0] in ("plan", "why", "gc", "verify"):
            assert quiet.stdout == text.stdout, "quiet is about remarks, not about the result"
    assert remarks, "the remark on dynamic SQL was expected"


def test_a_mapping_on_stdout_is_nothing_else(workshop: Workshop) -> None:
    workshop.write(dyn=REMARKED)
    workshop.run("lock")
    for form in ("json", "python"):
        done = workshop.run("map", "-r", "1", "--format", form)
        assert done.stderr == ""
        if form == "json":
            assert json.loads(done.stdout)["release"] == "1"
        else:
            compile(done.stdout, "mapping", "exec")
        assert workshop.run("map", "-r", "1", "--format", form, "--quiet").stdout == done.stdout
        assert workshop.run("map", "-r", "1", "--format", form, "-o", "-").stdout == done.stdout


def test_a_dash_is_stdout_and_no_file(workshop: Workshop) -> None:
    workshop.publish("1")
    assert workshop.run("status", "-o", "-").stdout.startswith("project ")
    assert "procver_" in workshop.run("status", "--format", "prometheus", "-o", "-").stdout
    assert json.loads(workshop.run("map", "-r", "1", "-o", "-", "--json").stdout)["release"] == "1"
    assert not (workshop.root / "-").exists()
    assert not Path("-").exists()


def on_a_terminal(workshop: Workshop, *words: str, **environ: str) -> tuple[str, str]:
    """Run a command whose stdout is a file and whose stderr is a terminal; return what each got."""
    master, slave = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    with (workshop.root / "stdout").open("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "procver", *words, "-C", str(workshop.root)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=slave, env={**clean, "TERM": "xterm", **environ},
        )  # fmt: skip
        os.close(slave)
        seen = b""
        while True:
            ready, _, _ = select.select([master], [], [], 60)
            assert ready, "nothing happened for a minute"
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux: the other end was closed
                break
            if not data:
                break
            seen += data
        os.close(master)
        process.wait(60)
        out.seek(0)
        return out.read(), seen.decode()


def test_progress_is_shown_on_a_terminal_only(workshop: Workshop) -> None:
    out, err = on_a_terminal(workshop, "publish", "-r", "1")
    assert "publishing 1" in err
    assert "\x1b[" in err
    assert "\x1b" not in out, "stdout is no terminal"
    assert "release 1: 4 to create" in out
    workshop.write(alone=ALONE.replace("42", "43"))
    out, err = on_a_terminal(workshop, "publish", "-r", "2", "--quiet")
    assert err == ""
    workshop.write(alone=ALONE.replace("42", "44"))
    out, err = on_a_terminal(workshop, "publish", "-r", "3", "--json")
    assert err == ""
    assert json.loads(out)["create"][0]["physical"] == "app.alone_3"


def test_colours_of_errors(workshop: Workshop) -> None:
    colour = re.compile(r"\x1b\[3[0-9]m")
    _, err = on_a_terminal(workshop, "release", "show", "nix")
    assert colour.search(err)
    _, err = on_a_terminal(workshop, "release", "show", "nix", NO_COLOR="1")
    assert not colour.search(err)
    assert "error: " in err
    assert " hint: " in err
    _, err = on_a_terminal(workshop, "publish", "-r", "1", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", err), "the progress bar heeds NO_COLOR too"


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False), ({"FORCE_COLOR": ""}, False)],
    ids=["pipe", "forced", "both", "empty"],
)  # fmt: skip
def test_colours_through_a_pipe(
    workshop: Workshop, environ: dict[str, str], coloured: bool
) -> None:
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    others = (("release", "show", "nix"), ("plan", "--json")) if coloured else ()
    for words in (("plan",), *others):
        done = subprocess.run(
            [sys.executable, "-m", "procver", *words, "-C", str(workshop.root)],
            capture_output=True, text=True, check=False, env={**clean, **environ},
        )  # fmt: skip
        expected = coloured and "--json" not in words
        assert ("\x1b[" in done.stdout + done.stderr) is expected, words


def test_a_narrow_locale_does_not_stop_a_unicode_name(workshop: Workshop) -> None:
    workshop.write(jp='CREATE VIEW app."日本" AS SELECT 1 AS n;\n')
    environ = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "latin-1",
    }
    for words in (("lock",), ("plan",), ("map", "-r", "1"), ("lock", "--check", "--json")):
        done = subprocess.run(
            [sys.executable, "-m", "procver", *words, "-C", str(workshop.root)],
            capture_output=True, check=False, env=environ,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
        if words[0] == "map":
            assert 'app."日本"' in json.loads(done.stdout.decode())["objects"]


def test_a_reader_that_goes_away(workshop: Workshop) -> None:
    workshop.publish("1")
    for words in (("release", "show", "1"), ("map", "-r", "1")):
        process = workshop.start(*words)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        assert process.wait(30) == 141, "1 would mean findings"


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield (*path, name)
        if isinstance(found, click.Group):
            yield from leaves(found, (*path, name))


def test_every_command_and_option_has_help() -> None:
    paths = list(leaves(cli))
    assert len(paths) > 15
    for path in ((), *paths):
        for flag in ("--help", "-h"):
            done = CliRunner().invoke(cli, [*path, flag])
            assert done.exit_code == 0
            assert done.stdout.startswith("Usage: ")
            assert done.stderr == ""
        command: click.Command = cli
        for name in path:
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), name)
            assert found is not None
            command = found
        assert command.help, path
        assert len(command.get_short_help_str(200)) < 120
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, (path, option.name)


USAGE = [
    (("--nonsense",), "--nonsense", "--help"),
    (("nonsense",), "nonsense", "--help"),
    (("publish",), "--release", "publish --help"),
    (("map", "-r", "1", "--format", "cobol"), "cobol", "map --help"),
    (("release",), "command", "release --help"),
    (("release", "explode"), "explode", "release --help"),
    (("release", "show"), "NAME", "release show --help"),
    (("why",), "NAME_N", "why --help"),
    (("why", "a", "b"), "b", "why --help"),
    (("gc", "--aply"), "--apply", "gc --help"),
    (("plan", "-C", "/no/such/place"), "/no/such/place", "plan --help"),
    (("completion", "tcsh"), "tcsh", "completion --help"),
]


@pytest.mark.parametrize(
    ("words", "says", "hint"), USAGE, ids=[" ".join(case[0]) for case in USAGE]
)
def test_a_command_that_cannot_be_read(words: tuple[str, ...], says: str, hint: str) -> None:
    text = CliRunner().invoke(cli, words)
    assert text.exit_code == 2
    assert text.stdout == ""
    assert says.lower() in text.stderr.lower()
    as_json = CliRunner().invoke(cli, [*words, "--json"])
    assert as_json.exit_code == 2
    error = json.loads(as_json.stdout)["error"]
    assert error["code"] == "usage"
    assert hint in error["hint"]
    assert as_json.stderr == ""


def test_nothing_at_all_shows_the_help() -> None:
    done = CliRunner().invoke(cli, [])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Usage: " in done.stderr
    assert "publish" in done.stderr


def test_a_fault_of_our_own_is_said_to_be_one(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("procver.project.workspace.load_config", broken)
    text = workshop.run("plan", code=70)
    assert text.stdout == ""
    assert "ZeroDivisionError: by zero" in text.stderr
    assert "please report" in text.stderr
    as_json = workshop.run("plan", "--json", code=70)
    assert json.loads(as_json.stdout)["error"]["code"] == "fault"


def test_the_version_is_told() -> None:
    from procver import __version__

    assert CliRunner().invoke(cli, ["--version"]).stdout == f"procver, version {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, tmp_path: Path) -> None:
    script = CliRunner().invoke(cli, ["completion", shell])
    assert script.exit_code == 0
    assert "_PROCVER_COMPLETE" in script.stdout
    assert CliRunner().invoke(cli, ["completion", shell, "--quiet"]).exit_code in (0, 2)
    program = shutil.which(shell)
    if program is not None:
        path = tmp_path / "completion"
        path.write_text(script.stdout)
        subprocess.run([program, "-n", str(path)], check=True)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("procver re", {"release", "restore"}),
        ("procver release a", {"activate"}),
        ("procver map --format ", {"json", "python"}),
        ("procver gc --a", {"--apply"}),
        ("procver completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_what_completion_offers(line: str, offered: set[str]) -> None:
    words = line.split(" ")
    environ = {
        "_PROCVER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), **os.environ,
    }  # fmt: skip
    program = "import sys; sys.argv[0] = 'procver'; from procver.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=False
    )
    assert done.stderr == ""
    assert offered <= {row.partition(",")[2] for row in done.stdout.splitlines()}
