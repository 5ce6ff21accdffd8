"""Each sort of expression in each place for one, over each sort of item of FROM."""

from __future__ import annotations

import pytest

from tests.scanning_mssql.shop import in_body

PLACES = """\
SELECT <e> FROM <v>
SELECT x = <e>, 1 FROM <v>
SELECT <e> AS v, <e> v FROM <v>
SELECT DISTINCT <e> FROM <v>
SELECT TOP (10) PERCENT WITH TIES <e> FROM <v> ORDER BY <e> DESC
SELECT @x = <e>, @y += <e> FROM <v>
SELECT a FROM <v> WHERE <e> = 1 AND NOT <e> <> 2 OR <e> IS NULL
SELECT a FROM <v> WHERE <e> IN (<e>, 1) AND <e> NOT IN (SELECT <e>)
SELECT a FROM <v> WHERE <e> BETWEEN <e> AND <e>
SELECT a FROM <v> WHERE <e> LIKE <e> ESCAPE '!'
SELECT a FROM <v> WHERE <e> > ALL (SELECT <e> FROM t) AND <e> = ANY (SELECT b FROM t)
SELECT a FROM <v> WHERE <e> IS DISTINCT FROM <e> AND a = 1
SELECT a FROM <v> WHERE EXISTS (SELECT 1 FROM t WHERE t.a = <e>)
SELECT a FROM <v> GROUP BY <e>, ROLLUP (<e>), GROUPING SETS ((<e>), ()) HAVING MAX(<e>) > <e>
SELECT a FROM <v> ORDER BY <e> COLLATE Latin1_General_CI_AS ASC, CASE WHEN <e> = 1 THEN <e> ELSE <e> END
SELECT a FROM <v> ORDER BY a OFFSET <e> ROWS FETCH NEXT <e> ROWS ONLY
SELECT SUM(<e>) OVER (PARTITION BY <e> ORDER BY <e> ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM <v>
SELECT STRING_AGG(<e>, ',') WITHIN GROUP (ORDER BY <e>) FROM <v>
SELECT CASE <e> WHEN <e> THEN <e> ELSE <e> END, IIF(<e> = 1, <e>, <e>), COALESCE(<e>, NULLIF(<e>, 1)), CHOOSE(<e>, <e>) FROM <v>
SELECT CAST(<e> AS varchar(10)), CONVERT(int, <e>), TRY_CAST(<e> AS date), PARSE(<e> AS int) FROM <v>
SELECT <e> + <e> - <e> * <e> / <e> % <e> & <e> | <e> ^ <e>, -<e>, ~<e>, <e> + 'x' FROM <v>
SELECT DATEADD(day, <e>, <e>), DATEDIFF(hour, <e>, <e>), LEFT(<e>, <e>), TRIM(<e>), TRIM('x' FROM <e>), <e> AT TIME ZONE 'UTC' FROM <v>
SELECT COUNT(*), COUNT(DISTINCT <e>), MAX(ALL <e>) FROM <v>
SELECT q.a FROM <v> CROSS APPLY (SELECT <e> AS a) AS q
SELECT q.a FROM <v> CROSS APPLY (VALUES (<e>), (<e>)) AS q (a)
SELECT q.a FROM <v> OUTER APPLY dbo.other(<e>, <e>) AS q
SELECT q.a FROM <v> CROSS APPLY OPENJSON(<e>, '$.a') WITH (a int) AS q
SELECT q.value FROM <v> CROSS APPLY STRING_SPLIT(<e>, ',') AS q
SELECT a FROM <v> JOIN t ON t.a = <e> AND <e> = 1 LEFT JOIN u ON u.a = <e>
SELECT a FROM t INNER JOIN <v> ON t.a = <e> WHERE <e> = 1
SELECT a FROM t, <v> WHERE <e> = t.a
SELECT a FROM (<v> JOIN t ON t.a = <e>) WHERE <e> = 1
SELECT a FROM <v> WHERE ((<e> = 1))
SELECT (SELECT MAX(t.a) FROM t WHERE t.b = <e>) FROM <v>
SELECT <e> FROM <v> UNION ALL SELECT 1 FROM t
SELECT 1 FROM t UNION ALL SELECT <e> FROM <v>
INSERT t (a, v) SELECT <e>, 1 FROM <v>
INSERT INTO t SELECT <e> FROM <v> WHERE <e> = 1
UPDATE t SET a = <e>, v = <e> FROM t JOIN <v> ON t.a = <e> WHERE <e> = 1
UPDATE t SET a = <e> OUTPUT <e> INTO @o FROM <v>
DELETE t FROM t JOIN <v> ON t.a = <e>
MERGE t USING <v> ON t.a = <e> WHEN MATCHED AND <e> = 1 THEN UPDATE SET a = <e>, b = <e> WHEN NOT MATCHED BY TARGET THEN INSERT (a, v) VALUES (<e>, <e>) WHEN NOT MATCHED BY SOURCE AND t.a = 1 THEN DELETE OUTPUT $action, <e>;
SET @x = (SELECT MAX(<e>) FROM <v>)
DECLARE @x int = (SELECT MAX(<e>) FROM <v>), @y int = 1
IF (SELECT MAX(<e>) FROM <v>) > 1 PRINT 'x'
IF EXISTS (SELECT 1 FROM <v> WHERE <e> = 1) AND @x = 1 PRINT 'x'
WHILE EXISTS (SELECT <e> FROM <v>) BREAK
RETURN (SELECT MAX(<e>) FROM <v>)
DECLARE c CURSOR FOR SELECT <e> FROM <v> WHERE <e> = 1 ORDER BY <e>
WITH c AS (SELECT <e> AS a FROM <v> WHERE <e> = 1) SELECT a FROM c
WITH c (a) AS (SELECT <e> FROM <v> UNION ALL SELECT c.a + 1 FROM c) SELECT a FROM c
SELECT <e> AS a INTO #t FROM <v>
SELECT <e> AS [@a], (<e>) AS [b/c] FROM <v> WHERE <e> = 1 FOR XML PATH ('r'), TYPE
SELECT a FROM <v> PIVOT (MAX(b) FOR c IN ([x], [y])) AS p
SELECT (SELECT <e> FOR XML PATH (''), TYPE).value('.', 'nvarchar(max)') FROM <v>
SELECT SUM(b) OVER w FROM <v> WINDOW w AS (PARTITION BY <e> ORDER BY <e>)
SELECT a FROM <v> WHERE CONTAINS((v_col), 'x') AND FREETEXT(*, 'y') AND <e> = 1
SELECT {d '2026-01-01'}, {fn UCASE(<e>)} FROM <v>
""".splitlines()

EXPRESSIONS = [
    ("v.a", "v_2.a"),
    ("[v].[a]", "[v_2].[a]"),
    ("dbo.v.a", "dbo.v_2.a"),
    ("x.v", "x.v"),
    ("fn", "fn"),
    ("dbo.tvf", "dbo.tvf"),
    ("ISNULL(v.[a], 0)", "ISNULL(v_2.[a], 0)"),
    ("dbo.fn(v.a)", "dbo.fn_2(v_2.a)"),
    ("dbo.fn(dbo.fn(1), DEFAULT)", "dbo.fn_2(dbo.fn_2(1), DEFAULT)"),
    ("(SELECT MAX(w.a) FROM w WHERE w.b = v.b)", "(SELECT MAX(w_2.a) FROM w_2 WHERE w_2.b = v_2.b)"),
    ("(SELECT v.a FROM x AS v)", "(SELECT v.a FROM x AS v)"),
    ("CASE WHEN v.a = 1 THEN dbo.fn(v.b) ELSE v.c END", "CASE WHEN v_2.a = 1 THEN dbo.fn_2(v_2.b) ELSE v_2.c END"),
    ("v.doc.value('(/a)[1]', 'int')", "v_2.doc.value('(/a)[1]', 'int')"),
    ("dbo.v.doc.value('(/a)[1]', 'int')", "dbo.v_2.doc.value('(/a)[1]', 'int')"),
    ("@x.value('.', 'int')", "@x.value('.', 'int')"),
]  # fmt: skip

VIEWS = [
    ("dbo.v", "dbo.v_2"),
    ("v", "v_2"),
    ("[dbo].[v] WITH (NOLOCK)", "[dbo].[v_2] WITH (NOLOCK)"),
]
OTHERS = [
    ("x AS v", "x AS v"),
    ("dbo.v AS v", "dbo.v_2 AS v"),
    ("(SELECT * FROM dbo.v) AS v", "(SELECT * FROM dbo.v_2) AS v"),
]
"""Items that are called v, and are no view of that name."""


@pytest.mark.parametrize("place", PLACES)
def test_each_expression_means_what_it_means_anywhere(place: str) -> None:
    for expression, rewritten in EXPRESSIONS:
        for item, expected in VIEWS + OTHERS:
            if (item, expected) in OTHERS:
                if expression.startswith("dbo.v."):
                    continue
                rewritten = rewritten.replace("v_2", "v")
            text = place.replace("<e>", expression).replace("<v>", item)
            assert in_body(text) == place.replace("<e>", rewritten).replace("<v>", expected)
