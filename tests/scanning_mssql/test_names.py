"""Names are written, read and compared as SQL Server does it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procver.errors import SourceError, UsageError
from procver.objects import Name
from procver.scanning import scanner_for
from procver.scanning.mssql import MssqlScanner

SCANNER = MssqlScanner()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("spFindAllThings", Name("dbo", "spFindAllThings")),
        ("Sales.vOrders", Name("Sales", "vOrders")),
        ("[dbo].[a.b]", Name("dbo", "a.b")),
        ("dbo.[x]]y]", Name("dbo", "x]y")),
        ('"a b"."c""d"', Name("a b", 'c"d')),
        (" dbo . v ", Name("dbo", "v")),
        ("[order]", Name("dbo", "order")),
        ("Größe.名前", Name("Größe", "名前")),
        ("dbo.[it's]", Name("dbo", "it's")),
    ],
)
def test_parse(text: str, name: Name) -> None:
    assert SCANNER.parse(text, "dbo") == name
    assert SCANNER.parse(SCANNER.label(name), "nowhere") == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.b.c",
        "dbo.",
        ".v",
        "a b",
        "'v'",
        "@v",
        "dbo.[]",
        "1",
        "a..b",
        "[a",
        "a\0b",
        "[a\nb]",
        "dbo-v",
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        SCANNER.parse(text, "dbo")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "label", "quoted"),
    [
        (Name("dbo", "spFindAllThings"), "dbo.spFindAllThings", "dbo.spFindAllThings"),
        (Name("dbo", "a.b"), "dbo.[a.b]", "dbo.[a.b]"),
        (Name("dbo", "x]y"), "dbo.[x]]y]", "dbo.[x]]y]"),
        (Name("Order", "View"), "[Order].[View]", "[Order].[View]"),
        (Name("dbo", "Größe"), "dbo.Größe", "dbo.[Größe]"),
        (Name("dbo", "#t"), "dbo.[#t]", "dbo.[#t]"),
        (Name("dbo", "@t"), "dbo.[@t]", "dbo.[@t]"),
        (Name("dbo", "1a"), "dbo.[1a]", "dbo.[1a]"),
        (Name("dbo", "a$b#c@d_1"), "dbo.a$b#c@d_1", "dbo.a$b#c@d_1"),
        (Name("dbo", "n"), "dbo.n", "dbo.n"),
    ],
)
def test_label_and_quote(name: Name, label: str, quoted: str) -> None:
    assert SCANNER.label(name) == label
    assert SCANNER.quote(name) == quoted


parts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(parts, parts)
def test_every_name_comes_back(schema: str, leaf: str) -> None:
    name = Name(schema, leaf)
    assert SCANNER.parse(SCANNER.label(name), "x") == name
    assert SCANNER.parse(SCANNER.quote(name), "x") == name


def test_names_have_128_characters_as_utf_16_counts_them() -> None:
    assert SCANNER.too_long("é" * 128) is None
    assert "129" in (SCANNER.too_long("x" * 129) or "")
    assert SCANNER.too_long("\U0001f600" * 64) is None
    assert "130" in (SCANNER.too_long("\U0001f600" * 65) or "")


def test_the_dialect_finds_its_scanner() -> None:
    assert isinstance(scanner_for("mssql"), MssqlScanner)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("CREATE VEIW dbo.v AS SELECT 1 AS n", "did you mean CREATE VIEW?"),
        ("CREATE PROCEDRE dbo.p AS SELECT 1", "did you mean CREATE PROCEDURE?"),
        ("CREATE LOGIN x WITH PASSWORD = 'x'", "migration tool"),
        ("CREATE PROCEDURE AS SELECT 1", "write schema.name"),
        ("CREATE VIEW select AS SELECT 1 AS n", "write schema.name"),
    ],
)
def test_a_word_in_the_wrong_place(text: str, hint: str) -> None:
    with pytest.raises(SourceError) as refused:
        SCANNER.header(text, "dbo")
    assert hint in str(refused.value.hint)


def test_a_keyword_in_brackets_is_a_name() -> None:
    found = SCANNER.header("CREATE VIEW [select] AS SELECT 1 AS n", "dbo")
    assert found.name == Name("dbo", "select")
