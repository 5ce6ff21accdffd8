"""What the T-SQL scanning tests share: a managed set, and short ways to scan."""

from __future__ import annotations

from procver.objects import Kind, Span
from procver.scanning.mssql import MssqlScanner
from tests.scans import Shop

SCANNER = MssqlScanner()
SHOP = Shop(
    SCANNER,
    "dbo",
    ["dbo"],
    {
        Kind.VIEW: ["dbo.v", "dbo.w", "dbo.vThings", "dbo.[a.b]", "dbo.[odd ]]name]", "dbo.status", "dbo.strip",
                    "dbo.User_DeleteById", "WebApi.Suppliers", "app.elsewhere", "dbo.Output", "dbo.[order]"],
        Kind.FUNCTION: ["dbo.fn", "dbo.tvf", "dbo.Metaphone", "dbo.ExpectException"],
        Kind.PROCEDURE: ["dbo.sp", "dbo.spLog", "dbo.spFoo"],
        Kind.TABLE_TYPE: ["dbo.Things"],
    },
)  # fmt: skip
KINDS = SHOP.kinds
managed, header, analyse, statements = SHOP.managed, SHOP.header, SHOP.analyse, SHOP.statements
rules, shape = SHOP.rules, SHOP.shape


def sent(text: str, spans: tuple[Span, ...] = ()) -> list[str]:
    return [statement.text for statement in statements(text, spans)]


def in_body(body: str, head: str = "CREATE PROCEDURE dbo.x AS ") -> str:
    """Return ``body`` as it comes out of a procedure that is made of it."""
    (text,) = sent(head + body)
    start = head.replace("dbo.x", "dbo.x_3")
    assert text.startswith(start)
    return text.removeprefix(start)


def body_rules(body: str) -> list[str]:
    return rules("CREATE PROCEDURE dbo.x AS " + body)
