"""The roles' script on SQL Server: each login does its part and nothing else. Babelfish has no such rights, but reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from procver.cli import cli
from procver.dialects.mssql import pyodbc
from procver.roles import script
from tests.behaviour.worlds import NOW, MssqlWorld
from tests.mssql.conftest import Place

PASSWORD = "Procver-Roles-1"
ROLES = ("publisher", "collector", "app")
BATCH = re.compile(r"(?m)^GO[ \t]*$")
GRANTS = '\n[grants]\n"app.*" = { execute = ["procver_app"], select = ["procver_app"] }\n'
ALONE = "CREATE PROCEDURE app.spAlone AS SELECT 42 AS n\n"


def is_babelfish(place: Place) -> bool:
    return bool(place.sql("SELECT CAST(SERVERPROPERTY('Babelfish') AS int)")[0][0])


def test_babelfish_reads_every_batch(empty: Place) -> None:
    if not is_babelfish(empty):
        pytest.skip("it is no Babelfish")
    empty.sql("CREATE SCHEMA app")
    said = []
    for batch in BATCH.split(script("mssql", "shop", ["app"], "procver")):
        try:
            empty.sql(batch)
        except pyodbc.Error as error:
            said.append(str(error))
    assert [text for text in said if "syntax error" in text] == []
    assert any("not currently supported in Babelfish" in text for text in said), (
        "it knows these rights now: run the test below on it"
    )


class Firm:
    """A project on a database of its own, with a login for each role."""

    def __init__(self, root: Path, place: Place) -> None:
        self.root, self.place = root, place
        self.name = place.sql("SELECT DB_NAME()")[0][0]
        MssqlWorld(root, place, more=NOW + GRANTS)
        self.write(ALONE)
        place.sql("CREATE SCHEMA app")
        place.sql("CREATE TABLE dbo.Thing (id int NOT NULL)")
        place.sql("CREATE PROCEDURE dbo.spForeign AS SELECT 1 AS n")

    def write(self, text: str) -> None:
        (self.root / "sql" / "spAlone.sql").write_text(text, "utf-8")

    def grant(self) -> None:
        self.place.script(script("mssql", "shop", ["app"], "procver"))

    def hire(self) -> None:
        for role in ROLES:
            login = self.login(role)
            self.place.sql(f"CREATE LOGIN {login} WITH PASSWORD = '{PASSWORD}', CHECK_POLICY = OFF")
            self.place.sql(f"CREATE USER {login} FOR LOGIN {login}")
            self.place.sql(f"ALTER ROLE procver_{role} ADD MEMBER {login}")

    def dismiss(self) -> None:
        for role in ROLES:
            self.place.sql(
                f"IF SUSER_ID('{self.login(role)}') IS NOT NULL DROP LOGIN {self.login(role)}"
            )

    def login(self, role: str) -> str:
        return f"{self.name}_{role}"

    def url(self, role: str) -> str:
        if self.place.url.startswith("mssql://"):
            return re.sub(
                r"^mssql://[^@/]*@", f"mssql://{self.login(role)}:{PASSWORD}@", self.place.url
            )
        text = re.sub(r"(?i)\b(UID|PWD|Trusted_Connection)=[^;]*;?", "", self.place.url)
        return f"{text.rstrip(';')};UID={self.login(role)};PWD={PASSWORD};"

    def run(self, role: str, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, [*words, "-C", str(self.root), "-t", self.url(role)])
        assert done.exit_code == code, (role, words, done.output, done.exception)
        return done.output

    def says(self, role: str, batch: str) -> None:
        connection = Place(self.url(role))
        try:
            connection.sql(batch)
        finally:
            connection.close()


@pytest.fixture
def firm(tmp_path: Path, empty: Place) -> Iterator[Firm]:
    if is_babelfish(empty):
        pytest.skip("Babelfish has no rights on databases and schemas")
    made = Firm(tmp_path / "project", empty)
    made.grant()
    made.hire()
    yield made
    made.dismiss()


def test_each_role_does_its_part_and_nothing_else(firm: Firm) -> None:
    firm.run("publisher", "publish", "-r", "1")
    firm.grant()  # the registry is there now
    firm.run("publisher", "release", "activate", "1")
    firm.write(ALONE.replace("42", "43"))
    firm.run("publisher", "publish", "-r", "2")
    firm.run("publisher", "release", "activate", "2")
    firm.run("publisher", "release", "retire", "1")
    firm.run("publisher", "publish", "-r", "trial")
    for words in (("gc",), ("status",), ("log",), ("verify",), ("release", "list"), ("plan",)):
        firm.run("collector", *words)
        firm.run("app", *words, code=3)
    for words in (
        ("publish", "-r", "9"),
        ("release", "retire", "2"),
        ("release", "discard", "trial"),
    ):
        assert "procver init --roles" in firm.run("collector", *words, code=3)
        firm.run("app", *words, code=3)
    assert "condemned" in firm.run("collector", "gc", "--apply")
    assert "dropped" in firm.run("collector", "gc", "--apply")
    assert firm.place.objects() == {"app.spalone_2", "dbo.spforeign"}
    firm.run("publisher", "release", "activate", "1", "--restore")

    firm.says("app", "EXEC app.spAlone_2")
    firm.says("app", "SELECT COUNT(*) FROM procver.mapping")
    refused = {
        "app": (
            "SELECT * FROM dbo.Thing", "SELECT * FROM procver.version", "DROP PROCEDURE app.spAlone_2",
            "EXEC procver.hold 1, 1, 0", "CREATE PROCEDURE app.spMine AS SELECT 1 AS n",
        ),
        "collector": (
            "SELECT * FROM dbo.Thing", "EXEC app.spAlone_2", "CREATE PROCEDURE app.spMine AS SELECT 1 AS n",
            "DROP PROCEDURE dbo.spForeign", "DELETE FROM procver.event", "UPDATE procver.version SET leaf = N'x'",
            "UPDATE procver.release SET retired_at = NULL", "DELETE FROM procver.version",
        ),
        "publisher": (
            "SELECT * FROM dbo.Thing", "DROP TABLE dbo.Thing", "DROP PROCEDURE dbo.spForeign",
            "CREATE PROCEDURE dbo.spMine AS SELECT 1 AS n", "CREATE ROLE other", "EXEC(N'CREATE SCHEMA other')",
        ),
    }  # fmt: skip
    for role, batches in refused.items():
        for batch in batches:
            with pytest.raises(pyodbc.Error):
                firm.says(role, batch)
