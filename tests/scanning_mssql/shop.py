"""What the T-SQL scanning tests share: a managed set, and short ways to scan."""

from __future__ import annotations

from procver.objects import Analysis, Header, Kind, Managed, Name, Span, Statement
from procver.scanning.mssql import MssqlScanner

SCANNER = MssqlScanner()


def names(kind: Kind, *labels: str) -> dict[Name, Kind]:
    return {SCANNER.parse(label, "dbo"): kind for label in labels}


KINDS = {
    **names(Kind.VIEW, "dbo.v", "dbo.w", "dbo.vThings", "dbo.[a.b]", "dbo.[odd ]]name]"),
    **names(Kind.VIEW, "dbo.status", "dbo.strip", "dbo.User_DeleteById", "WebApi.Suppliers"),
    **names(Kind.VIEW, "app.elsewhere", "dbo.Output", "dbo.[order]"),
    **names(Kind.FUNCTION, "dbo.fn", "dbo.tvf", "dbo.Metaphone", "dbo.ExpectException"),
    **names(Kind.PROCEDURE, "dbo.sp", "dbo.spLog", "dbo.spFoo"),
    **names(Kind.TABLE_TYPE, "dbo.Things"),
}


def managed(path: tuple[str, ...] = ("dbo",), suffix: str = "_{version}") -> Managed:
    return Managed(KINDS, path, suffix)


def header(text: str) -> Header:
    return SCANNER.header(text, "dbo")


def analyse(text: str, spans: tuple[Span, ...] = ()) -> Analysis:
    return SCANNER.analyse(text, "dbo", managed(), spans)


def statements(text: str, spans: tuple[Span, ...] = ()) -> tuple[Statement, ...]:
    """Every managed object is meant at version 2, the object of the text at version 3."""
    own = analyse(text, spans).name
    physical = {name: f"{name.leaf}_2" for name in KINDS} | {own: f"{own.leaf}_3"}
    return SCANNER.rewrite(text, "dbo", managed(), physical, spans)


def sent(text: str, spans: tuple[Span, ...] = ()) -> list[str]:
    return [statement.text for statement in statements(text, spans)]


def in_body(body: str, head: str = "CREATE PROCEDURE dbo.x AS ") -> str:
    """Return ``body`` as it comes out of a procedure that is made of it."""
    (text,) = sent(head + body)
    start = head.replace("dbo.x", "dbo.x_3")
    assert text.startswith(start)
    return text.removeprefix(start)


def rules(text: str) -> list[str]:
    return [note.rule for note in analyse(text).notes]


def body_rules(body: str) -> list[str]:
    return rules("CREATE PROCEDURE dbo.x AS " + body)


def shape(text: str) -> str:
    return analyse(text).shape
