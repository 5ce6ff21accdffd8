"""What an alias hides, and what only looks like one: rows 3 and 33 of the table, over every sort of item of FROM."""

from __future__ import annotations

import pytest

from tests.scanning_mssql.shop import in_body

AS_IT_IS = None

# Each of these calls something v, inside a query over the view v: what v means there is decided by the alias.
ALIASES = [
    ("dbo.w AS v", "dbo.w_2 AS v"),
    ("dbo.w v", "dbo.w_2 v"),
    ("dbo.w (NOLOCK) v", "dbo.w_2 (NOLOCK) v"),
    ("dbo.w WITH (NOLOCK) v", "dbo.w_2 WITH (NOLOCK) v"),
    ("dbo.w WITH (NOLOCK) AS v", "dbo.w_2 WITH (NOLOCK) AS v"),
    ("dbo.w AS v WITH (NOLOCK, INDEX (ix))", "dbo.w_2 AS v WITH (NOLOCK, INDEX (ix))"),
    ("dbo.w AS v TABLESAMPLE (10 PERCENT)", "dbo.w_2 AS v TABLESAMPLE (10 PERCENT)"),
    ("dbo.tvf(1) AS v", "dbo.tvf_2(1) AS v"),
    ("sys.dm_exec_sql_text(@handle) v", AS_IT_IS),
    ("t CROSS APPLY STRING_SPLIT(t.list, ',') AS v", AS_IT_IS),
    ("OPENJSON(@json) WITH (a int '$.a') AS v", AS_IT_IS),
    ("OPENXML(@h, '/r', 2) WITH (a int) v", AS_IT_IS),
    ("OPENQUERY(linked, 'SELECT 1 AS a') AS v", AS_IT_IS),
    ("OPENROWSET(BULK 'c:\\a.csv', FORMATFILE = 'c:\\a.fmt') AS v", AS_IT_IS),
    ("@rows AS v", AS_IT_IS),
    ("@rows v", AS_IT_IS),
    ("@xml.nodes('/r') AS v (a)", AS_IT_IS),
    ("t CROSS APPLY t.doc.nodes('/r') v(a)", AS_IT_IS),
    ("(SELECT 1 AS a) AS v", AS_IT_IS),
    ("(SELECT 1 AS a UNION ALL SELECT 2) v", AS_IT_IS),
    ("((SELECT 1 AS a) UNION (SELECT 2)) AS v", AS_IT_IS),
    ("(WITH q AS (SELECT 1 AS a) SELECT a FROM q) AS v", AS_IT_IS),
    ("(VALUES (1), (2)) AS v (a)", AS_IT_IS),
    ("(INSERT t (a) OUTPUT inserted.a VALUES (1)) AS v", AS_IT_IS),
    ("(UPDATE t SET a = 1 OUTPUT deleted.a) AS v", AS_IT_IS),
    ("(DELETE t OUTPUT deleted.a) AS v", AS_IT_IS),
    ("(MERGE t USING s ON t.a = s.a WHEN MATCHED THEN DELETE OUTPUT deleted.a) AS v (a)", AS_IT_IS),
    ("(t AS v JOIN u ON u.a = v.a)", AS_IT_IS),
    ("t PIVOT (MAX(b) FOR c IN ([a])) AS v", AS_IT_IS),
    ("dbo.w FOR SYSTEM_TIME ALL AS v", "dbo.w_2 FOR SYSTEM_TIME ALL AS v"),
    ("dbo.w FOR SYSTEM_TIME AS OF '2026-01-01' AS v", "dbo.w_2 FOR SYSTEM_TIME AS OF '2026-01-01' AS v"),
    ("dbo.w FOR SYSTEM_TIME FROM @a TO @b v", "dbo.w_2 FOR SYSTEM_TIME FROM @a TO @b v"),
    ("dbo.w FOR SYSTEM_TIME BETWEEN @a AND @b AS v", "dbo.w_2 FOR SYSTEM_TIME BETWEEN @a AND @b AS v"),
    ("dbo.w FOR SYSTEM_TIME CONTAINED IN (@a, @b) v", "dbo.w_2 FOR SYSTEM_TIME CONTAINED IN (@a, @b) v"),
    ("t, u AS v", AS_IT_IS),
    ("t LEFT OUTER JOIN u v ON 1 = 1", AS_IT_IS),
]  # fmt: skip


@pytest.mark.parametrize(("item", "expected"), ALIASES, ids=[c[0] for c in ALIASES])
def test_an_alias_hides_a_view_of_the_query_around(item: str, expected: str | None) -> None:
    query = "SELECT v.b, (SELECT MAX(v.a) FROM {} WHERE v.a > 0) FROM dbo.v WHERE v.c = 1"
    outer = query.replace("SELECT v.b", "SELECT v_2.b").replace(
        "dbo.v WHERE v.c", "dbo.v_2 WHERE v_2.c"
    )
    assert in_body(query.format(item)) == outer.format(item if expected is None else expected)


# What follows a view without an alias, and is none.
NO_ALIASES = [
    ("\ndone: PRINT 'x'", ""),
    (" WITH (NOLOCK)\ndone: PRINT 'x'", ""),
    (" WINDOW win AS (ORDER BY v.b)", " WINDOW win AS (ORDER BY v_2.b)"),
    (
        " WITH (NOLOCK) WINDOW win AS (ORDER BY v.b)",
        " WITH (NOLOCK) WINDOW win AS (ORDER BY v_2.b)",
    ),
    (" TABLESAMPLE (10 PERCENT)", ""),
    (" (NOLOCK)", ""),
    (" (NOLOCK), t AS q", ""),
    (" FOR SYSTEM_TIME ALL", ""),
    (" FOR SYSTEM_TIME AS OF @d", ""),
    (" CROSS APPLY t.doc.nodes('/a') AS n(c)", ""),
    (" FOR BROWSE", ""),
    (" OPTION (RECOMPILE)", ""),
    (" EXEC dbo.sp", " EXEC dbo.sp_2"),
    (" SET @x = 1", ""),
    (" PRINT 'x'", ""),
    (" IF @x = 1 RETURN", ""),
]


@pytest.mark.parametrize(("after", "expected"), NO_ALIASES, ids=[c[0].strip() for c in NO_ALIASES])
def test_what_is_no_alias_hides_nothing(after: str, expected: str) -> None:
    assert in_body("SELECT v.a FROM dbo.v" + after) == "SELECT v_2.a FROM dbo.v_2" + (
        expected or after
    )
