"""T-SQL at random, in which names of one sort stand where another sort may: aliases, columns, tables and CTEs called as views are."""

from __future__ import annotations

import random
from collections.abc import Iterator

NAMES = ("v", "w", "fn", "tvf", "sp")
COLUMNS = ("a", "b", *NAMES)
"""Every relation has these columns, so that any combination can be resolved."""

TABLES = tuple(
    f"CREATE TABLE {table} ({', '.join(f'{column} int' for column in COLUMNS)})"
    for table in ("dbo.t", "dbo.u", "app.w")
)
OTHERS = ("CREATE SCHEMA app", *TABLES)
SOURCES = {
    "v": f"CREATE VIEW dbo.v AS SELECT {', '.join(COLUMNS)} FROM dbo.t",
    "w": "CREATE VIEW dbo.w AS SELECT v.*, dbo.fn(v.v) AS x FROM dbo.v",
    "app_v": f"CREATE VIEW app.v AS SELECT {', '.join(COLUMNS)} FROM app.w",
    "fn": "CREATE FUNCTION dbo.fn (@x int) RETURNS int AS BEGIN RETURN @x + 1 END",
    "tvf": f"CREATE FUNCTION dbo.tvf (@x int) RETURNS TABLE AS RETURN SELECT {', '.join(COLUMNS)} FROM dbo.u WHERE a > @x",
    "sp": "CREATE PROCEDURE dbo.sp @a int = 1, @b int = 2 OUTPUT AS SELECT v FROM dbo.v AS v",
    "rows": f"CREATE TYPE dbo.rows AS TABLE ({', '.join(f'{column} int' for column in COLUMNS)})",
}


class Program:
    """One procedure at random.

    Args:
        dice: decides.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.one = dice.choice
        self.common: list[str] = []
        self.fresh = 0

    def text(self, leaf: str) -> str:
        """Return its definition."""
        body = "\n".join(f"    {self.statement()};" for _ in range(self.dice.randint(1, 4)))
        return (
            f"CREATE PROCEDURE dbo.{leaf} @a int, @given dbo.rows READONLY AS\nBEGIN\n{body}\nEND\n"
        )

    def spelled(self, name: str) -> str:
        """Write a name in one of the ways that mean the same."""
        return self.one((name, name, f"[{name}]", f'"{name}"', name.upper()))

    def relation(self, depth: int) -> tuple[str, str]:
        """Return an item of FROM and what it is called by."""
        kind = self.dice.random()
        alias = self.one((*NAMES, "x", f"y{self.fresh}"))
        self.fresh += 1
        joined = self.one((f" AS {self.spelled(alias)}", f" {self.spelled(alias)}"))
        if depth > 0 and kind < 0.15:
            return f"({self.query(depth - 1)}){joined}", alias
        if kind < 0.25:
            return f"dbo.{self.spelled('tvf')}({self.dice.randint(1, 9)}){joined}", alias
        if kind < 0.3:
            return f"@given{joined}", alias
        if self.common and kind < 0.45:
            return f"{self.spelled(self.one(self.common))}{joined}", alias
        schema, leaf = self.one((("dbo", "v"), ("dbo", "v"), ("dbo", "w"), ("app", "v"), ("app", "w"), ("dbo", "t"), ("", "v"), ("", "u")))  # fmt: skip
        if not schema and leaf in self.common:
            schema = "dbo"
        hint = self.one(("", "", " WITH (NOLOCK)"))
        written = f"{schema}.{self.spelled(leaf)}" if schema else self.spelled(leaf)
        if self.dice.random() < 0.5:
            return f"{written}{joined}{hint}", alias
        return f"{written}{hint}", leaf

    def source(self, depth: int) -> tuple[str, list[str]]:
        """Return what stands behind FROM, and the names by which columns can be reached."""
        first, called = self.relation(depth)
        text, names = first, [called]
        # What ON can see ends at a comma.
        ways = self.one(((", ",), (" JOIN ", " LEFT JOIN ", " CROSS JOIN ", " CROSS APPLY ")))
        for _ in range(self.one((0, 0, 1, 1, 2))):
            for _ in range(20):
                item, called = self.relation(depth)
                if called not in names:
                    break
            else:
                break
            how = self.one(ways)
            text += f"{how}{item}"
            names.append(called)
            if how in (" JOIN ", " LEFT JOIN "):
                text += f" ON {self.column(names)} = {self.column(names)}"
        return text, names

    def column(self, names: list[str]) -> str:
        """Return a column with its qualifier."""
        return f"{self.spelled(self.one(names))}.{self.spelled(self.one(COLUMNS))}"

    def value(self, names: list[str], depth: int) -> str:
        """Return an expression."""
        choice = self.dice.randint(0, 9)
        if choice < 4 or depth <= 0:
            return self.column(names)
        if choice == 4:
            return f"dbo.{self.spelled('fn')}({self.value(names, depth - 1)})"
        if choice == 5:
            return f"(SELECT MAX({self.column(names)}) FROM {self.source(0)[0]})"
        if choice == 6:
            return (
                f"CASE WHEN {self.condition(names, depth - 1)} THEN {self.column(names)} ELSE 1 END"
            )
        if choice == 7:
            return f"SUM({self.column(names)}) OVER (PARTITION BY {self.column(names)} ORDER BY {self.column(names)})"
        return self.one(("1", "@a", "LEN('dbo.v')", f"COALESCE({self.column(names)}, 2)"))

    def condition(self, names: list[str], depth: int) -> str:
        """Return a predicate."""
        choice = self.dice.randint(0, 4)
        if choice == 0 and depth > 0:
            inner, called = self.source(depth - 1)
            return (
                f"EXISTS (SELECT 1 FROM {inner} WHERE {self.column(called)} = {self.column(names)})"
            )
        if choice == 1 and depth > 0:
            return f"{self.column(names)} IN (SELECT {self.spelled('v')} FROM dbo.v)"
        return f"{self.column(names)} > {self.one(('1', '@a', self.column(names)))}"

    def query(self, depth: int) -> str:
        """Return a SELECT with all the columns that every relation has."""
        text, names = self.source(depth)
        columns = ", ".join(
            f"{self.value(names, depth)}{self.one((' AS ', ' '))}{self.spelled(column)}"
            if self.dice.random() < 0.8
            else f"{self.spelled(column)} = {self.value(names, depth)}"
            for column in COLUMNS
        )
        found = f"SELECT {columns} FROM {text}"
        if self.dice.random() < 0.5:
            found += f" WHERE {self.condition(names, depth)}"
        if depth > 0 and self.dice.random() < 0.2:
            found += f" UNION ALL {self.query(0)}"
        return found

    def statement(self) -> str:
        """Return a statement, with CTEs before it where it may have some."""
        self.common = []
        before = []
        for _ in range(self.one((0, 0, 0, 1, 2))):
            name = self.one([n for n in NAMES if n not in self.common])
            query = self.query(1)
            self.common.append(name)
            before.append(f"{self.spelled(name)} ({', '.join(COLUMNS)}) AS ({query})")
        found = self.one(
            (self.select, self.select, self.insert, self.update, self.delete, self.merge)
        )()
        if before:
            return f";WITH {', '.join(before)} {found}"
        return self.one((found, found, found, self.call(), self.declared()))

    def select(self) -> str:
        return self.query(2) + self.one(("", "", " OPTION (RECOMPILE)"))

    def insert(self) -> str:
        target = self.one(("dbo.t", "dbo.v", "[v]", "app.v"))
        if self.common:
            target = self.one(("dbo.t", "dbo.v", "app.v"))
        return f"INSERT INTO {target} ({', '.join(COLUMNS)}) {self.query(1)}"

    def update(self) -> str:
        text, names = self.source(1)
        first = names[0]
        if text.startswith(("(", "@")) or "tvf" in text.lower().split("(")[0] or self.common:
            return f"UPDATE dbo.v SET {self.spelled('v')} = {self.dice.randint(1, 9)}, fn = v.a WHERE v.b = 1 AND dbo.v.a = 2"
        return f"UPDATE {self.spelled(first)} SET {self.spelled('w')} = {self.value(names, 1)} FROM {text}"

    def delete(self) -> str:
        text, names = self.source(1)
        if text.startswith(("(", "@")) or "tvf" in text.lower().split("(")[0] or self.common:
            return (
                "DELETE FROM dbo.v WHERE v.a = 1 AND EXISTS (SELECT 1 FROM dbo.w v WHERE v.a = 2)"
            )
        return f"DELETE {self.spelled(names[0])} FROM {text} WHERE {self.condition(names, 1)}"

    def merge(self) -> str:
        target, used = self.dice.sample((*NAMES, "x", "y"), 2)
        return (
            f"MERGE INTO dbo.v AS {self.spelled(target)} USING (SELECT a, b, v FROM dbo.w) AS {self.spelled(used)}"
            f" ON {target}.a = {used}.a WHEN MATCHED THEN UPDATE SET {self.spelled('v')} = {used}.v"
            f" WHEN NOT MATCHED THEN INSERT (a, v) VALUES ({used}.a, dbo.fn({used}.v))"
        )

    def call(self) -> str:
        return self.one((
            "EXEC dbo.sp v, @b = w", "EXECUTE [dbo].[sp] @a = @a", "EXEC dbo.sp", "INSERT INTO dbo.t (a) EXEC dbo.sp @a",
            "BEGIN TRANSACTION v; COMMIT TRANSACTION v", "DECLARE @r int; EXEC @r = dbo.sp 1", "EXEC('SELECT * FROM dbo.v')",
            "PRINT OBJECT_ID(N'dbo.v')", "GOTO v; v: SELECT 1 AS fn",
        ))  # fmt: skip

    def declared(self) -> str:
        cursor = f"c{self.dice.randint(1, 1_000_000)}"
        return self.one((
            f"DECLARE @{cursor} dbo.rows; INSERT @{cursor} (v) SELECT v.v FROM v",
            f"DECLARE {cursor} CURSOR FOR SELECT v FROM dbo.v AS w; DEALLOCATE {cursor}",
            f"DECLARE @{cursor} TABLE (v int); SELECT x.v FROM @{cursor} AS x JOIN v ON v.v = x.v",
            f"SELECT v AS w INTO #{cursor} FROM dbo.v; SELECT v.w FROM #{cursor} AS v",
            "IF EXISTS (SELECT 1 FROM v WHERE v.a = 1) SET @a = dbo.fn(@a)",
            "SELECT x.v FROM dbo.v PIVOT (MAX(a) FOR b IN ([1], [2])) AS x",
        ))  # fmt: skip


def programs(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Yield the leafs and texts of procedures at random."""
    dice = random.Random(seed)
    for number in range(count):
        yield f"p{number}", Program(dice).text(f"p{number}")
