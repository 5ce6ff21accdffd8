"""How long do others take for the same functions? Wall seconds beside procver's, in one run on one server.

    python -m bench.peers [--objects 1000] [--rounds 3] [--dbmate PATH] [--alembic-python PATH] [--autogenerate N]

Every tool gets new databases on one embedded server, copied from one template that holds the tables and views which the
functions read, and the same text (`CREATE OR REPLACE FUNCTION`, about 2.5 kB each). In each of the rounds, in rotated
order, a tool deploys three times: all functions; then with one of them changed; then with nothing changed. Timed are
whole processes, start to exit. What a person writes by hand (files, migrations, plan lines) is there before the clock
starts. After each deployment the changed function is called, and its answer must be the expected one.

procver                 `procver lock`, then `procver publish`, each time; in the first run nothing is cached. The row
                        below is the part of publish, which finds what lock has cached.
psql, everything        `psql -1 -f` of one script with all functions, each time: psql has no memory.
psql, by hand           `psql -1 -f` of the changed file alone, by someone who knows which it is: the floor of any tool.
dbmate                  one migration per function, `dbmate migrate`; then one more migration with the whole new text. No dump
                        of the schema, as in production. Give the native binary: npm's `.bin/dbmate` starts Node first.
sqitch                  one change per function with deploy, revert and verify scripts, `sqitch deploy` (which does not verify);
                        `sqitch tag` and `sqitch rework` before the second run are not timed. Its client is the same
                        psql as above, called directly: Debian's wrapper would add a Perl start to every change.
alembic + alembic_utils functions as `PGFunction` entities, read from their files and registered in env.py; `alembic
                        upgrade head` of one revision with a `create_entity` each, then of one with `replace_entity`.
                        Not timed: `alembic revision --autogenerate`, which usually writes such a revision. It tries each
                        entity and reads back all others each time: quadratic, out of the question for 1,000;
                        `--autogenerate N` times it for one changed function among N.

What the comparison leaves out: peers replace the function in place, for old and new releases alike; procver puts a
version beside the old one and writes the mapping of a release. The changed function is one that no other calls:
procver would version its callers anew, too. Peers are not dependencies; where one is not installed, the table says so.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import ClassVar, NamedTuple

import psycopg

import procver
from bench import corpus
from bench.measure import run
from procver.dialects import embedded

RUNS = ("first deployment", "one function changed", "nothing changed")
Sources = dict[str, str]
Found = dict[tuple[str, str], float | None]  # wall seconds by row and run


class Database(NamedTuple):
    """A database on the embedded server, which listens on a Unix socket in ``host``."""

    base: str
    host: str
    name: str

    @property
    def url(self) -> str:
        return self.base.replace("/postgres?", f"/{self.name}?", 1)


class Tools(NamedTuple):
    """Where the peers are; None where one was not found."""

    psql: str
    dbmate: str | None
    sqitch: str | None
    alembic: str | None


class Change(NamedTuple):
    """One function before and after, and what ``call`` answers then."""

    leaf: str
    before: str
    after: str
    number: int

    @classmethod
    def among(cls, sources: Sources) -> Change:
        called = set(re.findall(r"bench\.(report_\d+x)\(minimum - 1\)", "".join(sources.values())))
        leaf = next(leaf for leaf in reversed(sources) if leaf not in called)
        before, number = sources[leaf], int(leaf[len("report_") : -1])
        declared = f"amount bigint := {number};"
        assert declared in before
        return cls(leaf, before, before.replace(declared, f"{declared[:-1]} + 1000000;"), number)


class Peer:
    """One tool on one database. A deployment returns wall seconds by row of the table."""

    name: ClassVar[str]
    install: ClassVar[str]

    def __init__(
        self, tools: Tools, place: Path, database: Database, sources: Sources, change: Change
    ) -> None:
        self.tools, self.place, self.database = tools, place, database
        self.sources, self.change = sources, change
        place.mkdir()

    @classmethod
    def version(cls, tools: Tools) -> str | None:
        """Return the installed version, or None."""
        raise NotImplementedError

    def write(self) -> None:
        """Write what a person writes before the first deployment."""

    def edit(self) -> None:
        """Write what a person writes to change one function."""

    def deploy(self, run_name: str) -> dict[str, float | None]:
        """Bring the database up to date; None where the tool has nothing that does this run."""
        raise NotImplementedError

    def physical(self) -> str:
        """Return what the changed function is called in the database."""
        return f"bench.{self.change.leaf}"

    def time(self, *words: str, **env: str) -> float:
        return run(*words, cwd=self.place, env=env).wall


class Procver(Peer):
    name, install = "procver", ""

    @classmethod
    def version(cls, tools: Tools) -> str | None:
        return procver.__version__

    def write(self) -> None:
        (self.place / "procver.toml").write_text(
            '[project]\nname = "bench"\ndialect = "postgresql"\nsources = ["sql"]\n'
            f'default_schema = "bench"\n[targets]\nlocal = "{self.database.url}"\n'
        )
        _write_sources(self.place / "sql", self.sources)

    def edit(self) -> None:
        (self.place / "sql" / f"{self.change.leaf}.sql").write_text(self.change.after)

    def deploy(self, run_name: str) -> dict[str, float | None]:
        command = (sys.executable, "-m", "procver")
        lock = self.time(*command, "lock")
        release = str(1 + RUNS.index(run_name))
        publish = self.time(*command, "publish", "-q", "--release", release)
        return {self.name: lock + publish, f"{self.name}, publish alone": publish}

    def physical(self) -> str:
        return procver.Resolver.load(self.place / "procver.map.json")[f"bench.{self.change.leaf}"]


class PsqlEverything(Peer):
    name, install = "psql -1 -f, everything", ""

    @classmethod
    def version(cls, tools: Tools) -> str | None:
        return _first_line(tools.psql, "--version")

    def write(self) -> None:
        (self.place / "all.sql").write_text("".join(self.sources.values()))

    def edit(self) -> None:
        everything = {**self.sources, self.change.leaf: self.change.after}
        (self.place / "all.sql").write_text("".join(everything.values()))

    def deploy(self, run_name: str) -> dict[str, float | None]:
        return {self.name: self.psql("all.sql")}

    def psql(self, script: str) -> float:
        options = ("-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", script)
        return self.time(self.tools.psql, *options, self.database.url)


class PsqlByHand(PsqlEverything):
    name = "psql -1 -f, that file by hand"

    def edit(self) -> None:
        (self.place / "one.sql").write_text(self.change.after)

    def deploy(self, run_name: str) -> dict[str, float | None]:
        if run_name == RUNS[0]:
            self.psql("all.sql")  # shown in the row above
        return {self.name: self.psql("one.sql") if run_name == RUNS[1] else None}


class Dbmate(Peer):
    name = "dbmate"
    install = "npm install --prefix DIR dbmate, and --dbmate DIR/node_modules/@dbmate/*/bin/dbmate"

    @classmethod
    def version(cls, tools: Tools) -> str | None:
        return _first_line(tools.dbmate, "--version") if tools.dbmate else None

    def write(self) -> None:
        (self.place / "db" / "migrations").mkdir(parents=True)
        for number, (leaf, text) in enumerate(self.sources.items()):
            self.migration(number, f"create_{leaf}", text, f"DROP FUNCTION bench.{leaf}(int);\n")

    def edit(self) -> None:
        what = f"change_{self.change.leaf}"
        self.migration(len(self.sources), what, self.change.after, self.change.before)

    def migration(self, number: int, what: str, up: str, down: str) -> None:
        path = self.place / "db" / "migrations" / f"{20260101000000 + number}_{what}.sql"
        path.write_text(f"-- migrate:up\n{up}\n-- migrate:down\n{down}")

    def deploy(self, run_name: str) -> dict[str, float | None]:
        assert self.tools.dbmate
        at = self.database
        url = f"postgres://postgres@/{at.name}?socket={at.host}&sslmode=disable"
        return {self.name: self.time(self.tools.dbmate, "-u", url, "--no-dump-schema", "migrate")}


class Sqitch(Peer):
    name = "sqitch"
    install = "apt-get install sqitch libdbd-pg-perl"
    who: ClassVar = {"SQITCH_FULLNAME": "Bench", "SQITCH_EMAIL": "bench@example.org"}

    @classmethod
    def version(cls, tools: Tools) -> str | None:
        # Without its driver sqitch starts, and fails on the first PostgreSQL target.
        driver = _first_line("perl", "-MDBD::Pg", "-e", "print $DBD::Pg::VERSION")
        found = _first_line(tools.sqitch, "--version") if tools.sqitch and driver else None
        return f"{found}, DBD::Pg {driver}" if found else None

    def write(self) -> None:
        self.sqitch("init", "bench", "--engine", "pg", "--client", self.tools.psql)
        plan = (self.place / "sqitch.plan").read_text()
        for leaf, text in self.sources.items():
            self.script("deploy", leaf, text)
            self.script("revert", leaf, f"DROP FUNCTION bench.{leaf}(int);\n")
            self.script("verify", leaf, f"SELECT 'bench.{leaf}(int)'::regprocedure;\n")
            plan += f"{leaf} 2026-01-01T00:00:00Z Bench <bench@example.org> # Add {leaf}\n"
        (self.place / "sqitch.plan").write_text(plan)

    def edit(self) -> None:
        self.sqitch("tag", "v1", "-n", "first release")
        self.sqitch("rework", self.change.leaf, "-n", "change it")
        self.script("deploy", self.change.leaf, self.change.after)

    def script(self, folder: str, leaf: str, text: str) -> None:
        path = self.place / folder / f"{leaf}.sql"
        path.write_text(f"-- {folder.title()} bench:{leaf}\n\nBEGIN;\n\n{text}\nCOMMIT;\n")

    def deploy(self, run_name: str) -> dict[str, float | None]:
        return {self.name: self.sqitch("deploy", f"db:pg://postgres@/{self.database.name}")}

    def sqitch(self, *words: str) -> float:
        assert self.tools.sqitch
        return self.time(self.tools.sqitch, *words, **self.who, PGHOST=self.database.host)


class Alembic(Peer):
    name = "alembic + alembic_utils"
    install = (
        "python -m venv DIR && DIR/bin/pip install alembic alembic_utils 'psycopg[binary]',"
        " and --alembic-python DIR/bin/python"
    )
    environment: ClassVar = """\
import os
from alembic import context
from alembic_utils.pg_function import PGFunction
from alembic_utils.replaceable_entity import register_entities
from sqlalchemy import MetaData, create_engine
from entities import ENTITIES

register_entities(ENTITIES, entity_types=[PGFunction])
with create_engine(os.environ["BENCH_URL"]).connect() as connection:
    functions = lambda item, name, type_, reflected, compare_to: type_ == "function"
    context.configure(connection=connection, target_metadata=MetaData(), include_object=functions)
    with context.begin_transaction():
        context.run_migrations()
"""
    entities: ClassVar = """\
from pathlib import Path
from alembic_utils.pg_function import PGFunction

FILES = sorted((Path(__file__).parent / "sql").rglob("*.sql"))
ENTITIES = [PGFunction.from_sql(file.read_text()) for file in FILES]
"""
    template: ClassVar = """\
from alembic import op
from alembic_utils.pg_function import PGFunction
from sqlalchemy import text as sql_text

revision, down_revision = ${repr(up_revision)}, ${repr(down_revision)}

def upgrade():
    ${upgrades}

def downgrade():
    ${downgrades}
"""

    @classmethod
    def version(cls, tools: Tools) -> str | None:
        script = (
            "import alembic, alembic_utils.pg_function, psycopg, importlib.metadata as m;"
            "print(', '.join(f'{n} {m.version(n)}' for n in"
            " ('alembic', 'alembic_utils', 'SQLAlchemy', 'psycopg')))"
        )
        return _first_line(tools.alembic, "-c", script) if tools.alembic else None

    def write(self) -> None:
        (self.place / "migrations" / "versions").mkdir(parents=True)
        (self.place / "alembic.ini").write_text(
            "[alembic]\nscript_location = migrations\nprepend_sys_path = .\n"
        )
        (self.place / "migrations" / "env.py").write_text(self.environment)
        (self.place / "migrations" / "script.py.mako").write_text(self.template)
        (self.place / "entities.py").write_text(self.entities)
        _write_sources(self.place / "sql", self.sources)
        made = [_entity(leaf, leaf, text) for leaf, text in self.sources.items()]
        ups = "".join(f"    op.create_entity({leaf})\n" for leaf in self.sources)
        downs = "".join(f"    op.drop_entity({leaf})\n" for leaf in self.sources)
        self.revision("first", None, made, ups, downs)

    def edit(self) -> None:
        leaf = self.change.leaf
        (self.place / "sql" / f"{leaf}.sql").write_text(self.change.after)
        new, old = self.change.after, self.change.before
        made = [_entity(leaf, leaf, new), _entity(f"old_{leaf}", leaf, old)]
        up, down = f"    op.replace_entity({leaf})\n", f"    op.replace_entity(old_{leaf})\n"
        self.revision("second", "first", made, up, down)

    def revision(self, name: str, below: str | None, made: list[str], ups: str, downs: str) -> None:
        (self.place / "migrations" / "versions" / f"{name}.py").write_text(
            "from alembic import op\nfrom alembic_utils.pg_function import PGFunction\n\n"
            f"revision, down_revision = {name!r}, {below!r}\n\n"
            f"{''.join(made)}\ndef upgrade():\n{ups}\ndef downgrade():\n{downs}"
        )

    def deploy(self, run_name: str) -> dict[str, float | None]:
        return {self.name: self.alembic("upgrade", "head")}

    def alembic(self, *words: str) -> float:
        assert self.tools.alembic
        at = self.database
        url = f"postgresql+psycopg://postgres@/{at.name}?host={at.host}"
        return self.time(self.tools.alembic, "-m", "alembic", *words, BENCH_URL=url)


def _entity(variable: str, leaf: str, text: str) -> str:
    """Return the Python text of an entity, in the form that autogenerate gives it."""
    definition = text[text.index("RETURNS") :].rstrip().rstrip(";")
    return (
        f'{variable} = PGFunction(\n    schema="bench",\n    signature="{leaf}(minimum int)",\n'
        f"    definition={definition!r}\n)\n"
    )


PEERS: tuple[type[Peer], ...] = (Procver, PsqlEverything, PsqlByHand, Dbmate, Sqitch, Alembic)


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--objects", type=int, default=1000, help="functions (default 1000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dbmate", default=shutil.which("dbmate"), metavar="PATH")
    parser.add_argument("--alembic-python", default=sys.executable, metavar="PATH")
    parser.add_argument("--autogenerate", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="procver-peers-"))
    place.chmod(0o755)
    base = embedded.start(place, "postgres")
    psql = str(Path(embedded._library().__file__).parent / "pginstall" / "bin" / "psql")
    tools = Tools(psql, arguments.dbmate, shutil.which("sqitch"), arguments.alembic_python)
    try:
        sources, views = _corpus(arguments.objects)
        template = _database(base, None)
        _execute(template.url, corpus.tables() + views)
        versions = {peer: peer.version(tools) for peer in PEERS}
        present = [peer for peer, version in versions.items() if version]
        count = range(arguments.rounds)
        rounds = [_round(place / str(n), template, tools, present, sources, n) for n in count]
        _print(rounds, versions, arguments.objects)
        if arguments.autogenerate and versions[Alembic]:
            few = dict(list(sources.items())[: arguments.autogenerate])
            _print_autogenerate(place / "autogenerate", template, tools, few)
    finally:
        embedded.stop(place, "postgres")
        shutil.rmtree(place, ignore_errors=True)


def _corpus(count: int) -> tuple[Sources, str]:
    """Return ``count`` functions by leaf, and the views that they read as one script."""
    sources: Sources = {}
    views: list[str] = []
    for kind, leaf, text in corpus.objects(2 * count + 10):  # three of five are functions
        if kind == "view":
            views.append(text)
        elif len(sources) < count:
            sources[leaf] = text.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
    return sources, "".join(views)


def _round(
    place: Path, template: Database, tools: Tools, peers: list[type[Peer]], sources: Sources, n: int
) -> Found:
    place.mkdir()
    change = Change.among(sources)
    found: Found = {}
    # Rotated, so that no tool always runs behind the same one.
    for peer_type in peers[n % len(peers) :] + peers[: n % len(peers)]:
        database = _database(template.base, template.name)
        peer = peer_type(tools, place / peer_type.__name__, database, sources, change)
        peer.write()
        answers = []
        for run_name in RUNS:
            if run_name == RUNS[1]:
                peer.edit()
            _execute(template.base, "CHECKPOINT")
            for row, seconds in peer.deploy(run_name).items():
                found[row, run_name] = seconds
            answers.append(_execute(database.url, f"SELECT {peer.physical()}(0)"))
        if not answers[0] + 1_000_000 == answers[1] == answers[2]:
            raise SystemExit(f"{peer.name} deployed something else: its function said {answers}")
        print(f"round {n + 1}: {peer.name} done", file=sys.stderr)
        _execute(template.base, f"DROP DATABASE {database.name} WITH (FORCE)")
    return found


def _print(rounds: list[Found], versions: dict[type[Peer], str | None], count: int) -> None:
    print(f"{count} functions, {len(rounds)} rounds; median wall seconds")
    print("x: against procver in the same round, median (range)\n")
    print("| tool |" + "".join(f" {name} | x |" for name in RUNS))
    print("|---|" + "---:|---:|" * len(RUNS))
    rows = {row for row, _ in rounds[0]}
    names = [peer.name for peer in PEERS]
    for row in sorted(rows, key=lambda row: (names.index(row.partition(", publish")[0]), row)):
        cells = ""
        for name in RUNS:
            times = [seconds for found in rounds if (seconds := found[row, name]) is not None]
            # Each against procver's time in its own round: a busy machine slows both.
            bases = [found[Procver.name, name] or 0.0 for found in rounds]
            if not times:
                cells += " - | - |"
                continue
            ratios = [a / b for a, b in zip(times, bases, strict=True)]
            shown = f"{statistics.median(ratios):.2g} ({min(ratios):.2g}-{max(ratios):.2g})"
            cells += f" {statistics.median(times):.2f} | {shown} |"
        print(f"| {row} |{cells}")
    print()
    for peer, version in versions.items():
        print(f"- {peer.name}: {version or f'not installed, or does not start: {peer.install}'}")


def _print_autogenerate(place: Path, template: Database, tools: Tools, sources: Sources) -> None:
    database = _database(template.base, template.name)
    peer = Alembic(tools, place, database, sources, Change.among(sources))
    peer.write()
    peer.deploy(RUNS[0])
    (place / "sql" / f"{peer.change.leaf}.sql").write_text(peer.change.after)
    seconds = peer.alembic("revision", "--autogenerate", "-m", "change")
    made = next(p for p in (place / "migrations" / "versions").glob("*.py") if p.stem != "first")
    if made.read_text().count("op.replace_entity") != 2 or "1000000" not in made.read_text():
        raise SystemExit(f"autogenerate found something else:\n{made.read_text()[:3000]}")
    print(f"\nalembic revision --autogenerate, one changed of {len(sources)}: {seconds:.1f} s")


def _database(base: str, template: str | None) -> Database:
    name = f"peers_{uuid.uuid4().hex[:8]}"
    _execute(base, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    host = psycopg.conninfo.conninfo_to_dict(base)["host"]
    return Database(base, str(host), name)


def _execute(url: str, statement: str) -> int:
    """Run SQL and return the first value of its last result, or 0."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return int(row[0]) if row else 0


def _write_sources(folder: Path, sources: Sources) -> None:
    folder.mkdir()
    for leaf, text in sources.items():
        (folder / f"{leaf}.sql").write_text(text)


def _first_line(*words: str) -> str | None:
    """Return the first line that a command prints, or None where it is missing or fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip().splitlines()[0]


if __name__ == "__main__":
    main()
