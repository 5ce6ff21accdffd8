"""A server that is down, asks for a password, may only be read, or lets a role do little."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from procver.dialects import embedded
from tests.cli.untouched import refused
from tests.servers import Server
from tests.workshop import Workshop

SECRET = "sesame/Q@7x:9#z"
"""A password with everything in it that a URL must escape."""

FRAGMENTS = ("sesame", "Q@7x", "7x:9", "9#z")


@pytest.fixture(scope="module")
def strict() -> Iterator[str]:
    """The URL of a server that asks for a password, without user and password; as {login}."""
    place = Path(tempfile.mkdtemp(prefix="procver-strict-"))
    place.chmod(0o755)
    data = place / "data"
    url = embedded.start(place, str(data))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE porter LOGIN PASSWORD '{SECRET}'")
        connection.execute("CREATE ROLE guest LOGIN")
        hba = data / "pg_hba.conf"
        lines = "local all porter scram-sha-256\nlocal all guest reject\n"
        hba.write_text(lines + hba.read_text())
        connection.execute("SELECT pg_reload_conf()")
    yield url.replace("//postgres:@", "//{login}@", 1)
    embedded.stop(place, str(data))
    shutil.rmtree(place, ignore_errors=True)


def at(workshop: Workshop, url: str) -> tuple[str, ...]:
    return ("plan", "--target", url)


def test_the_right_password_opens(workshop: Workshop, strict: str) -> None:
    workshop.url = strict.format(login=f"porter:{quote(SECRET, safe='')}")
    assert workshop.sql("SELECT current_user::text") == [("porter",)]
    workshop.configure()
    refused(
        workshop, "plan", code=3, error="database", says=("schema app does not exist",), never=FRAGMENTS
    )  # fmt: skip


@pytest.mark.parametrize(
    ("login", "says", "hint"),
    [
        ("porter:wrong-sesame-Q%407x", 'password authentication failed for user "porter"', "check user and password"),
        ("porter:", "password", "check user and password"),
        ("guest", "pg_hba.conf", "pg_hba.conf"),
        ("nobody_at_all", 'role "nobody_at_all" does not exist', "create the role"),
    ],
    ids=["wrong", "none", "rejected", "unknown"],
)  # fmt: skip
def test_a_login_that_fails(
    workshop: Workshop, strict: str, login: str, says: str, hint: str
) -> None:
    for words in (("plan",), ("publish", "-r", "1"), ("gc", "--apply"), ("release", "list")):
        refused(
            workshop, *words, "--target", strict.format(login=login), code=3, error="database",
            says=(says, "user " + login.partition(":")[0]), hint=(hint,), never=FRAGMENTS,
        )  # fmt: skip


@pytest.mark.parametrize(
    "target",
    [
        f"postgresql://porter:{SECRET}@127.0.0.1:1/shop",
        f"postgresql://porter:{quote(SECRET, safe='')}@127.0.0.1:1/shop",
        f"postgresql://porter@127.0.0.1:1/shop?password={quote(SECRET, safe='')}",
        f"postgresql://porter:{SECRET}%zz@127.0.0.1:1/shop",
        f"postgresql://porter:{quote(SECRET, safe='')}@127.0.0.1:99999/shop",
        f"postgresql://porter:{quote(SECRET, safe='')}@nohost.invalid/shop",
        f"postgresql://porter:{quote(SECRET, safe='')}@127.0.0.1:1/shop?nonsense=1",
        f"postgresql://porter:{quote(SECRET, safe='')}@127.0.0.1:port/shop",
        "postgresql://porter:sesame@Q@7x@127.0.0.1:1/shop",
        "postgresql://porter:sesame/Q@127.0.0.1:1/7x:9",
        "postgresql://porter:sesame?Q@7x@127.0.0.1:1/shop",
        f"Driver={{ODBC Driver 18 for SQL Server}};Server=h;PWD={SECRET};",
        f"mysql://porter:{SECRET}@h/shop",
        f"host=h dbname=shop password={SECRET};",
    ],
)
def test_a_password_is_never_printed(workshop: Workshop, target: str) -> None:
    for words in (("plan",), ("publish", "-r", "1")):
        for result in (
            workshop.run(*words, "--target", target, code=_code(target)),
            workshop.run(*words, "--target", target, "--json", code=_code(target)),
        ):
            for secret in FRAGMENTS:
                assert secret not in result.output
            assert "hint" in result.output


def _code(url: str) -> int:
    unreadable = "%zz" in url or "nonsense" in url or not url.startswith("postgresql:")
    return 2 if unreadable else 3


def test_a_password_in_the_environment_is_never_printed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, strict: str
) -> None:
    monkeypatch.setenv("SHOP_URL", "postgresql://porter:sesame@127.0.0.1:1/shop")
    monkeypatch.setenv("PGPASSWORD", "Q@7x")
    workshop.url = "${SHOP_URL}"
    workshop.configure()
    refused(
        workshop,
        "plan",
        code=3,
        error="database",
        says=("Connection refused",),
        never=FRAGMENTS,
        look=False,
    )
    refused(
        workshop, "plan", "-t", strict.format(login="porter"), code=3, error="database",
        says=("password authentication failed",), never=FRAGMENTS, look=False,
    )  # fmt: skip
    monkeypatch.delenv("SHOP_URL")
    refused(
        workshop, "plan", code=2, error="config", says=("'SHOP_URL', which is not set",),
        hint=("export SHOP_URL",), look=False,
    )  # fmt: skip


TARGETS = [
    ("prod", 2, "config", "no target 'prod'", "known targets: local"),
    ("postgresql://h:1:2/db", 3, "database", "cannot be reached", "check that the server runs"),
    (
        "postgresql://127.0.0.1:1/shop",
        3,
        "database",
        "Connection refused",
        "check that the server runs",
    ),
    ("postgresql:///shop?host=/nowhere", 3, "database", "/nowhere", "check that the server runs"),
    ("oracle://h/shop", 2, "config", "begins with 'oracle'", "postgresql://"),
    ("embedded:/proc/nowhere/data", 2, "config", "/proc/nowhere", "embedded:/path"),
]


@pytest.mark.parametrize(
    ("target", "code", "error", "says", "hint"), TARGETS, ids=[case[0] for case in TARGETS]
)
def test_a_target_that_leads_nowhere(
    workshop: Workshop, target: str, code: int, error: str, says: str, hint: str
) -> None:
    for words in (("plan",), ("publish", "-r", "1"), ("verify",)):
        refused(
            workshop, *words, "-t", target, code=code, error=error, says=(says,), hint=(hint,)
        )  # fmt: skip


def test_a_database_that_does_not_exist(workshop: Workshop, server: Server) -> None:
    refused(
        workshop, "publish", "-r", "1", "-t", server.url("no_such_shop"), code=3, error="database",
        says=('database "no_such_shop" does not exist',), hint=("create the database first",),
    )  # fmt: skip


def test_several_targets_and_none_named_local(workshop: Workshop) -> None:
    text = (workshop.root / "procver.toml").read_text()
    (workshop.root / "procver.toml").write_text(
        text.replace("local =", 'test = "postgresql://secret-a"\nprod =', 1)
    )
    refused(
        workshop, "plan", code=2, error="config", says=("several targets",),
        hint=("test, prod",), never=("secret-a",),
    )  # fmt: skip


def read_only(workshop: Workshop) -> None:
    name = workshop.sql("SELECT current_database()")[0][0]
    workshop.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")


def test_a_database_that_may_only_be_read(workshop: Workshop) -> None:
    about = {
        "code": 3,
        "error": "database",
        "says": ("read-only",),
        "hint": ("publish to the primary",),
    }
    read_only(workshop)
    refused(workshop, "publish", "-r", "1", **about)  # type: ignore[arg-type]
    assert len(workshop.json("plan")["create"]) == 4


def test_a_published_database_that_may_only_be_read(workshop: Workshop) -> None:
    about = {"code": 3, "error": "database", "says": ("read-only",), "hint": ("primary",)}
    workshop.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\n')
    workshop.publish("1")
    workshop.run("release", "activate", "1")
    workshop.run("release", "retire", "1")
    workshop.publish("trial")
    read_only(workshop)
    writing = (
        ("publish", "-r", "2"), ("gc", "--apply"), ("release", "activate", "1"), ("release", "discard", "trial"),
    )  # fmt: skip
    reading = (
        ("plan",), ("gc",), ("release", "list"), ("release", "show", "1"), ("verify",), ("why", "app.things_1"),
        ("publish", "-r", "1"),
    )  # fmt: skip
    for command in writing:
        refused(workshop, *command, **about)  # type: ignore[arg-type]
    for words in reading:
        workshop.run(*words)


GRANTS: list[tuple[str, str, bool, str, str]] = [
    ("nothing", "", False, "permission denied for database", "CREATE"),
    ("no-create-in-schema", "GRANT CREATE ON DATABASE {database} TO {role}; GRANT USAGE ON SCHEMA app TO {role}",
     False, "permission denied for schema app", "CREATE"),
    ("no-registry", "GRANT CREATE ON SCHEMA app TO {role}; GRANT USAGE ON SCHEMA app TO {role}", True,
     "permission denied for schema procver", "procver"),
    ("no-registry-tables", "GRANT CREATE, USAGE ON SCHEMA app TO {role}; GRANT USAGE ON SCHEMA procver TO {role}",
     True, "permission denied for table", "procver"),
]  # fmt: skip


@pytest.fixture
def lowly(server: Server, workshop: Workshop) -> Iterator[Callable[[str], str]]:
    """Makes a role with a few rights on the project's database, and returns its URL."""
    role = "lowly_" + workshop.url.partition("test_")[2][:12]
    database = workshop.sql("SELECT current_database()")[0][0]

    def make(grants: str) -> str:
        workshop.sql(f"CREATE ROLE {role} LOGIN")
        workshop.sql(grants.format(role=role, database=database) or "SELECT 1")
        base, _, rest = workshop.url.partition("@")
        return f"{base.partition('//')[0]}//{role}@{rest}"

    yield make
    workshop.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("grants", "published", "says", "hint"),
    [case[1:] for case in GRANTS],
    ids=[c[0] for c in GRANTS],
)
def test_a_role_that_may_not(
    workshop: Workshop,
    lowly: Callable[[str], str],
    grants: str,
    published: bool,
    says: str,
    hint: str,
) -> None:
    if published:
        workshop.publish("1")
        workshop.write(
            alone="CREATE FUNCTION app.alone() RETURNS int LANGUAGE sql AS 'SELECT 43';\n"
        )
    url = lowly(grants)
    workshop.run("lock")
    workshop.json("publish", "-r", "2", "-t", url, code=3)
    refused(
        workshop, "publish", "-r", "2", "-t", url, code=3,
        error="ddl" if "schema app" in says else "database", says=(says,), hint=(hint,),
    )  # fmt: skip
    assert workshop.objects() == ({"app.things_1", "app.find_things_1", "app.count_things_1", "app.alone_1"}
                                  if published else set())  # fmt: skip
