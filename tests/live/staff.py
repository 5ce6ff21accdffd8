"""A project whose roles are made by the script of `procver init --roles`, with a login for each."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.live.conftest import ALONE, COUNT, FIND, TABLES, THINGS
from tests.workshop import Workshop

OTHER = ALONE.replace("42", "43")
MORE = """\
[gc]
keep_releases = 0
grace = "0s"

[grants]
"app.*" = {{ execute = ["{prefix}_app"], select = ["{prefix}_app"] }}
"""


class Staff:
    """A project with its three roles, and a login for each.

    Args:
        shop: the project; its target is that of a superuser.
        prefix: what the roles' names begin with.
    """

    LOGINS = ("publisher", "collector", "app")

    def __init__(self, shop: Workshop, prefix: str) -> None:
        self.shop, self.prefix = shop, prefix

    def script(self) -> str:
        """Return the script for the roles."""
        found: str = self.shop.json("init", "--roles", "--prefix", self.prefix, "-o", "-")["script"]
        return found

    def hire(self) -> None:
        """Run the script, and make the logins as its last lines say."""
        self.shop.sql(self.script())
        database = self.shop.sql("SELECT current_database()")[0][0]
        for role in self.LOGINS:
            self.shop.sql(f"CREATE ROLE {self.login(role)} LOGIN IN ROLE {self.prefix}_{role}")
        deploy = self.login("publisher")
        self.shop.sql(
            f"ALTER ROLE {deploy} IN DATABASE {database} SET role = '{self.prefix}_publisher'"
        )
        self.shop.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA app TO {self.prefix}_publisher")

    def dismiss(self) -> None:
        """Drop roles and logins, and all that they own."""
        for role in (
            *(self.login(r) for r in self.LOGINS),
            *(f"{self.prefix}_{r}" for r in self.LOGINS),
        ):
            self.shop.sql(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")

    def login(self, role: str) -> str:
        return f"{self.prefix}_{role}_login"

    def url(self, role: str) -> str:
        scheme, _, rest = self.shop.url.partition("//")
        return f"{scheme}//{self.login(role)}@{rest.partition('@')[2]}"

    def run(self, role: str, *words: str, code: int = 0) -> str:
        return self.shop.run(*words, "--target", self.url(role), code=code).output

    def prepare(self) -> None:
        """Publish two releases as the publisher; retire the first, so that gc has one version to condemn."""
        self.run("publisher", "publish", "-r", "1")
        self.shop.sql(self.script())  # the registry is there now
        self.run("publisher", "release", "activate", "1")
        self.shop.write(alone=OTHER)
        self.run("publisher", "publish", "-r", "2")
        self.run("publisher", "release", "activate", "2")
        self.run("publisher", "release", "retire", "1")


def staffed(root: Path, url: str) -> Staff:
    prefix = f"t{uuid.uuid4().hex[:10]}"
    shop = Workshop(root, url, more=MORE.format(prefix=prefix))
    shop.sql(TABLES)
    shop.sql("CREATE FUNCTION app.foreign_one() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    shop.write(things=THINGS, find_things=FIND, count_things=COUNT, alone=ALONE)
    return Staff(shop, prefix)
