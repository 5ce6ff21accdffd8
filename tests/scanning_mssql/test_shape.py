"""What makes a new version, and what does not."""

from __future__ import annotations

import pytest

from tests.scanning_mssql.shop import analyse, shape

BASE = """CREATE PROCEDURE dbo.x @Id int = 1, @t dbo.Things READONLY
AS
BEGIN
    SET NOCOUNT ON;
    SELECT v.Id, [Name] AS Label, N'it''s' FROM dbo.v WHERE Id = @Id -- why
    EXEC dbo.sp @Id
END"""

SAME = {
    "comments": BASE.replace("-- why", "/* because */").replace("AS\nBEGIN", "AS -- x\nBEGIN"),
    "layout": " ".join(BASE.replace("-- why", "").split()),
    "line ends": BASE.replace("\n", "\r\n"),
    "keywords": BASE.replace("SELECT", "select").replace("BEGIN", "Begin").replace("int", "INT"),
    "alter": BASE.replace("CREATE", "ALTER"),
    "create or alter": BASE.replace("CREATE", "CREATE OR ALTER"),
    "proc": BASE.replace("PROCEDURE", "PROC"),
    "no schema": BASE.replace("dbo.x", "x"),
    "brackets": BASE.replace("dbo.x", "[DBO].[X]").replace("[Name]", "Name"),
    "case of a reference": BASE.replace("v.Id", "V.Id").replace("dbo.sp", "dbo.SP"),
    "settings as usual": "SET ANSI_NULLS ON\nGO\n" + BASE,
    "what is left out": "USE db\nGO\n" + BASE + "\nGO\nPRINT 'done'\nGO\n",
    "revision": BASE + "\n-- procver: revision 2",
    "national prefix": BASE.replace("N'it", "n'it"),
}
OTHER = {
    "literal": BASE.replace("it''s", "its"),
    "national literal": BASE.replace("N'it", "'it"),
    "name of a column": BASE.replace("Label", "LABEL"),
    "parameter": BASE.replace("= 1", "= 2"),
    "operator": BASE.replace("Id = @Id", "Id <> @Id"),
    "hint": BASE.replace("dbo.v WHERE", "dbo.v WITH (NOLOCK) WHERE"),
    "another view": BASE.replace("dbo.v", "dbo.other"),
    "ansi_nulls": "SET ANSI_NULLS OFF\nGO\n" + BASE,
    "quoted_identifier": "SET QUOTED_IDENTIFIER OFF\nGO\n" + BASE,
    "both": "SET QUOTED_IDENTIFIER, ANSI_NULLS OFF\nGO\n" + BASE,
    "grant": BASE + "\nGO\nGRANT EXECUTE ON dbo.x TO a",
    "two grants": BASE + "\nGO\nGRANT EXECUTE ON dbo.x TO a GRANT EXECUTE ON dbo.x TO b",
    "itself": BASE.replace("EXEC dbo.sp", "EXEC dbo.x"),
    "fixed version": BASE.replace("EXEC dbo.sp", "EXEC dbo.sp_1"),
    "option": BASE.replace("READONLY\n", "READONLY WITH RECOMPILE\n"),
}


@pytest.mark.parametrize("what", SAME)
def test_no_change(what: str) -> None:
    assert shape(SAME[what]) == shape(BASE)


def test_changes() -> None:
    shapes = {what: shape(text) for what, text in OTHER.items()}
    assert len({shape(BASE), *shapes.values()}) == len(OTHER) + 1


def test_which_object_is_meant_is_no_matter_of_the_shape() -> None:
    """The fingerprint puts the references' own fingerprints in."""
    one, other = (
        analyse("CREATE PROC dbo.x AS SELECT 1 FROM dbo.v"),
        analyse("CREATE PROC dbo.x AS SELECT 1 FROM dbo.w"),
    )
    assert one.shape == other.shape
    assert one.references != other.references


def test_line_ends_in_strings_are_no_change() -> None:
    text = "CREATE PROC dbo.x AS SELECT 'a\nb'"
    assert shape(text) == shape(text.replace("\n", "\r\n"))
    assert shape(text) != shape(text.replace("\n", " "))


def test_a_property_of_the_object_does_not_depend_on_how_its_name_is_written() -> None:
    view = "CREATE VIEW dbo.x AS SELECT 1 a\nGO\nEXEC sp_addextendedproperty 'a', 'b', 'SCHEMA', 'dbo', 'VIEW', 'x'"
    assert shape(view) == shape(view.replace("'x'", "N'X'"))
    assert shape(view) != shape(view.replace("'b'", "'c'"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BASE, "76f1d69cb14052f7219db4310c0e2139702cdc59d075bd9a5c34ce98036e2abf"),
        (OTHER["both"], "c1ca84da2ef0a3a166049e13ba2530582e5f2cf6f1e648535ecb9c5da71685b9"),
        (
            "CREATE VIEW dbo.x AS SELECT v.a, dbo.fn(1) AS b FROM dbo.v\nGO\nGRANT SELECT ON dbo.x TO a",
            "bb1d01264a3514de11aefeeb088fbb46f00cf9edf891fa59c6eb06af89073921",
        ),
        (
            "CREATE TYPE dbo.x AS TABLE (a int NOT NULL PRIMARY KEY)",
            "0052affcbd2df50c2db27192d6bec5ad52d339beb938cec11c9000ca1be487c7",
        ),
    ],
)
def test_shapes_are_pinned(text: str, expected: str) -> None:
    """A change here re-versions every object of every project: count up the scanner's revision."""
    assert shape(text) == expected
