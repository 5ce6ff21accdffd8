"""An app server of the shop: calls the release that it was built against, again and again.

usage: app.py RELEASE [ROUNDS]; without ROUNDS until it is stopped.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

import pyodbc

from procver import Resolver


def main(release: str, rounds: int | None) -> None:
    """Call two procedures every two seconds and print what they answer."""
    procs = Resolver.load(f"release-{release}.json")
    find, report = procs["shop.spFindAllThings"], procs["shop.spDailyReport"]
    with pyodbc.connect(os.environ["SHOP_WEB_DATABASE_URL"], autocommit=True) as connection:
        procs.verify(connection)
        for done in itertools.count(1):
            things = connection.execute(f"EXEC {find} ?", 20).fetchall()
            available = connection.execute(f"EXEC {report}").fetchone().Available
            print(
                f"{find}: {len(things)} things of which there are 20;"
                f" {report}: {available} pieces available"
            )
            # The health check looks for it.
            Path("/tmp/healthy").touch()
            if done == rounds:
                break
            time.sleep(2)
    print(f"release {release} is taken out of service")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
