"""Placeholders of other tools and characters that nobody sees: named where they stand, never passed on."""

from __future__ import annotations

import pytest

from procver.errors import SourceError
from tests.scanning_mssql.shop import analyse, header, sent

PROC = "CREATE PROCEDURE dbo.x AS SELECT 1"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("SELECT * FROM ${schema}.v", "${schema}"),
        ("SELECT * FROM $schema$.v", "$schema$"),
        ("SELECT * FROM {{DatabaseName}}.dbo.v", "{{DatabaseName}}"),
        ("SELECT * FROM {{ schema }}.v", "{{ schema }}"),
        ("{% if x %} SELECT 1 {% endif %}", "{% if x %}"),
        ("SELECT * FROM {databaseOwner}[v]", "{databaseOwner}"),
        ("EXEC {databaseOwner}{objectQualifier}sp", "{databaseOwner}"),
        ("SELECT * FROM %schema%.v", "%schema%"),
        ("SELECT * FROM <schema, sysname, dbo>.v", "<schema, sysname, dbo>"),
        ("SELECT * FROM dbo.${name}", "${name}"),
        ("SELECT * FROM dbo.$name$", "$name$"),
        ("SELECT * FROM dbo.{name}", "{name}"),
        ("SELECT * FROM @schema@.v", "@schema@"),
        ("SELECT * FROM :schema.v", ":schema"),
        ("SELECT ${columns} FROM dbo.v", "${columns}"),
        ("SELECT a %schema%.b FROM dbo.v", "%schema%"),
        ("EXEC ~proc~ 1", "~proc~"),
    ],
)
def test_a_placeholder_is_refused_with_its_line(written: str, shown: str) -> None:
    with pytest.raises(SourceError) as caught:
        analyse(f"CREATE PROCEDURE dbo.x AS\n{written}")
    assert caught.value.message.startswith(f"{shown} is a placeholder")
    assert caught.value.line == 2
    assert "[placeholders]" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "\nCREATE PROCEDURE ${schema}.x AS RETURN 1",
        "\nALTER PROCEDURE {databaseOwner}[x] AS RETURN 1",
        "\nALTER VIEW ${schema}.x AS SELECT 1 AS a",
        "\nCREATE OR ALTER FUNCTION {{schema}}.x () RETURNS int AS BEGIN RETURN 1 END",
        "\nALTER PROC $schema$.x AS RETURN 1",
        "\nCREATE VIEW <schema, sysname, dbo>.x AS SELECT 1 AS a",
        "\nALTER FUNCTION",
        "PRINT 'x'\nALTER VIEW %schema%.x AS SELECT 1 AS a",
    ],
)
def test_a_definition_without_a_name_that_can_be_read(text: str) -> None:
    for read in (header, analyse):
        with pytest.raises(SourceError) as caught:
            read(text)
        assert caught.value.line == 2
        assert "[placeholders]" in (caught.value.hint or "")
        is_head = text.startswith("\n")
        assert not is_head or "has no name that can be read" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        "SELECT $IDENTITY, $ROWGUID FROM dbo.t",
        "MERGE dbo.t USING dbo.u ON 1 = 1 WHEN MATCHED THEN DELETE OUTPUT $action, inserted.a;",
        "SELECT $PARTITION.pf(1), db.$PARTITION.pf(2)",
        "SELECT $node_id, $edge_id, $from_id, $to_id FROM dbo.e",
        "SELECT $1.50, -$2, $ , $.5, $1,$2",
        "SELECT { fn NOW() }, {d '2026-01-01'}, {ts '2026-01-01 00:00:00'}, {t '10:00:00'}",
        "SELECT {fn CONCAT({fn UCASE('a')}, 'b')}, {guid '6F9619FF-8B86-D011-B42D-00C04FC964FF'}",
        "SELECT * FROM {oj dbo.t LEFT OUTER JOIN dbo.u ON 1 = 1}",
        "SELECT 1 FROM n a, n b FOR PATH, e FOR PATH WHERE MATCH(SHORTEST_PATH(a(-(e)->b){1,3}))",
        "SELECT JSON_VALUE(@j, '$.a'), JSON_QUERY(@j, N'$.b'), '${x}', '{{x}}', '%x%', [{Prefix}x]",
        "SELECT 10 % 3, a%b%2, a %b% c, a<b, a&b&1, ~a, a^b^c, %%physloc%% FROM dbo.t",
        "SELECT 1 WHERE a IS DISTINCT FROM ~b",
        "label: GOTO label",
        "SELECT geography::Parse('POINT(1 1)'), a <b, c> 1 FROM dbo.t",
        "SELECT 'a' -- ${x} {{x}}\n/* $x$ {x} */",
        "SELECT @x.value('(/a)[1]', 'int'), #t.a FROM #t",
    ],
)  # fmt: skip
def test_what_is_t_sql_is_no_placeholder(body: str) -> None:
    assert sent(f"CREATE PROCEDURE dbo.x AS {body}") == [f"CREATE PROCEDURE dbo.x_3 AS {body}"]


INVISIBLE = {
    "\ufeff": "U+FEFF (byte order mark)",
    "\u200b": "U+200B (zero width space)",
    "\u200c": "U+200C (zero width non-joiner)",
    "\u200d": "U+200D (zero width joiner)",
    "\u2060": "U+2060 (word joiner)",
    "\u00ad": "U+00AD (soft hyphen)",
    "\u180e": "U+180E (mongolian vowel separator)",
    "\u202e": "U+202E (right-to-left override)",
    "\u200e": "U+200E (left-to-right mark)",
    "\u2066": "U+2066 (left-to-right isolate)",
}


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda each: f"U+{ord(each):04X}")
def test_an_invisible_character_is_named(character: str) -> None:
    for text, line, where in (
        (f"SET ANSI_NULLS ON\nGO\n{character}{PROC}", 3, "before CREATE"),
        (f"CREATE PROCEDURE dbo.x AS\nEXEC{character} dbo.sp", 2, "after EXEC"),
        (f"CREATE PROCEDURE dbo.x AS\nSELECT 1 FROM dbo.vTh{character}ings", 2, "inside vThings"),
        (f"{PROC}\n{character}GO\nGRANT EXECUTE ON dbo.x TO a", 2, "before GO"),
        (f"{PROC}\nGO\nGRANT EXECUTE ON dbo.x{character} TO a", 3, "after x"),
        (f"{PROC}\n{character}\n", 2, "alone on this line"),
    ):
        with pytest.raises(SourceError) as caught:
            analyse(text)
        named = f"an invisible character, {INVISIBLE[character]}, stands {where}"
        assert caught.value.message == named
        assert caught.value.line == line
        assert caught.value.hint


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda each: f"U+{ord(each):04X}")
def test_in_strings_comments_and_quoted_names_it_is_text(character: str) -> None:
    text = f"CREATE PROCEDURE dbo.x AS /* {character} */ SELECT '{character}', N'{character}', [{character}] -- {character}"
    assert sent(text) == [text.replace("dbo.x", "dbo.x_3")]


def test_visible_letters_and_blanks_of_all_scripts_are_none_of_these() -> None:
    text = "CREATE PROCEDURE dbo.x AS SELECT Größe, 名前, имя\u00a0FROM\u3000dbo.t"
    assert sent(text) == [text.replace("dbo.x", "dbo.x_3")]
