"""Owners that a login cannot give: said before anything is created, with the grant that is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.untouched import refused
from tests.live.conftest import ALONE
from tests.workshop import Workshop


@pytest.fixture
def roles(workshop: Workshop) -> Iterator[tuple[str, str]]:
    """A login that may publish to the project's schema, and a role that owns objects there."""
    tag = workshop.url.partition("test_")[2][:12]
    login, owner = f"publisher_{tag}", f"clinic_{tag}"
    database = workshop.sql("SELECT current_database()")[0][0]
    workshop.sql(
        f"CREATE ROLE {login} LOGIN; CREATE ROLE {owner};"
        f"GRANT CREATE ON DATABASE {database} TO {login};"
        f"GRANT CREATE, USAGE ON SCHEMA app TO {login}, {owner};"
        f"GRANT SELECT ON app.thing TO {login}, {owner}"
    )
    yield login, owner
    workshop.sql(f"DROP OWNED BY {login}, {owner} CASCADE; DROP ROLE {login}, {owner}")


def as_login(workshop: Workshop, login: str) -> str:
    base, _, rest = workshop.url.partition("@")
    return f"{base.partition('//')[0]}//{login}@{rest}"


def test_the_owner_of_a_namesake(workshop: Workshop, roles: tuple[str, str]) -> None:
    login, owner = roles
    workshop.sql(ALONE + f"ALTER FUNCTION app.alone() OWNER TO {owner}")
    workshop.run("lock")
    url = as_login(workshop, login)
    for words in (("plan",), ("publish", "-r", "1")):
        refused(
            workshop, *words, "-t", url, code=3, error="database",
            says=(f"cannot make {owner} the owner of app.alone_1: the login is not a member of role {owner}",),
            hint=(f"GRANT {owner} TO {login}",),
        )  # fmt: skip
    workshop.sql(f"GRANT {owner} TO {login}")
    workshop.run("publish", "-r", "1", "-t", url)
    assert workshop.sql(
        "SELECT pg_get_userbyid(proowner)::text FROM pg_proc WHERE proname = 'alone_1'"
    ) == [(owner,)]


def test_the_owner_of_the_version_before(workshop: Workshop, roles: tuple[str, str]) -> None:
    login, owner = roles
    url = as_login(workshop, login)
    workshop.run("publish", "-r", "1", "-t", url)
    workshop.sql(f"ALTER VIEW app.things_1 OWNER TO {owner}")
    workshop.write(things="CREATE VIEW app.things AS SELECT t.id FROM app.thing t;\n")
    workshop.run("lock")
    refused(
        workshop, "publish", "-r", "2", "-t", url, code=3, error="database",
        says=(f"the owner of app.things_2: the login is not a member of role {owner}",),
    )  # fmt: skip
    workshop.sql(f"GRANT {owner} TO {login}; REVOKE CREATE ON SCHEMA app FROM {owner}")
    refused(
        workshop, "publish", "-r", "2", "-t", url, code=3, error="database",
        says=("that role has no CREATE on schema app",), hint=("GRANT CREATE ON SCHEMA app TO",),
    )  # fmt: skip


def test_a_membership_that_cannot_be_set(workshop: Workshop, roles: tuple[str, str]) -> None:
    if workshop.sql("SELECT current_setting('server_version_num')::int >= 160000") != [(True,)]:
        pytest.skip("the SET option is new in PostgreSQL 16")
    login, owner = roles
    workshop.sql(ALONE + f"ALTER FUNCTION app.alone() OWNER TO {owner}")
    workshop.sql(f"GRANT {owner} TO {login} WITH SET FALSE")
    workshop.run("lock")
    refused(
        workshop, "publish", "-r", "1", "-t", as_login(workshop, login), code=3, error="database",
        says=("no SET option",), hint=(f"GRANT {owner} TO {login} WITH SET TRUE",),
    )  # fmt: skip


def test_an_owner_that_a_source_names(workshop: Workshop, roles: tuple[str, str]) -> None:
    login, owner = roles
    workshop.write(alone=ALONE + f"ALTER FUNCTION app.alone() OWNER TO {owner};\n")
    workshop.run("lock")
    url = as_login(workshop, login)
    refused(
        workshop, "publish", "-r", "1", "-t", url, code=3, error="database",
        says=(f"cannot make {owner} the owner of app.alone_1",),
    )  # fmt: skip
    workshop.write(alone=ALONE + 'ALTER FUNCTION app.alone() OWNER TO "No One";\n')
    workshop.run("lock")
    for words in (("-t", url), ()):
        refused(
            workshop, "publish", "-r", "1", *words, code=3, error="database",
            says=('cannot make "No One" the owner of app.alone_2: there is no role "No One"',),
            hint=('CREATE ROLE "No One"',),
        )  # fmt: skip
    workshop.write(alone=ALONE + "ALTER FUNCTION app.alone() OWNER TO CURRENT_USER;\n")
    workshop.run("publish", "-r", "1", "-t", url)


def test_the_owner_of_a_collected_version(workshop: Workshop, roles: tuple[str, str]) -> None:
    login, owner = roles
    url = as_login(workshop, login)
    workshop.configure(more='[gc]\nkeep_releases = 0\ngrace = "0s"\n')
    workshop.sql(f"GRANT {owner} TO {login}")
    workshop.write(alone=ALONE + f"ALTER FUNCTION app.alone() OWNER TO {owner};\n")
    for words in (
        ("publish", "-r", "1"), ("release", "activate", "1"), ("release", "retire", "1"), ("gc", "--apply"),
        ("gc", "--apply"),
    ):  # fmt: skip
        workshop.run(*words, "-t", url)
    assert workshop.objects() == set()
    workshop.sql(f"REVOKE {owner} FROM {login}")
    refused(
        workshop, "restore", "app.alone_1", "-t", url, code=3, error="database",
        says=(f"cannot make {owner} the owner of app.alone_1",), hint=(f"GRANT {owner} TO {login}",),
    )  # fmt: skip
