"""What the scanning tests share: a managed set, and short ways to scan."""

from __future__ import annotations

from procver.objects import Kind, Span
from procver.scanning.postgresql import PostgresqlScanner
from tests.scans import Shop

SCANNER = PostgresqlScanner()
PATH = ("app", "public")
SHOP = Shop(
    SCANNER,
    "app",
    PATH,
    {
        Kind.VIEW: ["app.v", "app.w", "app.uv", 'app."V"', 'app."odd ""name"', "other.o", "app.names",
                    "app.status", "app.thing", "WebApi.suppliers"],
        Kind.MATERIALIZED_VIEW: ["app.mv"],
        Kind.FUNCTION: ["app.fn", "app.add_job", "public.color", "app.g", "app.metaphone"],
        Kind.PROCEDURE: ["app.proc"],
    },
)  # fmt: skip
KINDS = SHOP.kinds
managed, header, analyse, statements = SHOP.managed, SHOP.header, SHOP.analyse, SHOP.statements
rules, shape = SHOP.rules, SHOP.shape


def rewritten(text: str, spans: tuple[Span, ...] = ()) -> str:
    return "; ".join(statement.text for statement in statements(text, spans))


def in_view(query: str) -> str:
    """Return ``query`` as it comes out of a view that is made of it."""
    start = "create view app.x_3 as "
    text = rewritten(f"create view app.x as {query}")
    assert text.startswith(start)
    return text.removeprefix(start)


def in_body(body: str, *, parameters: str = "") -> str:
    """Return a PL/pgSQL body as it comes out of a function."""
    start = f"create function app.x_3({parameters}) returns void language plpgsql as $$"
    text = rewritten(start.replace("x_3", "x") + body + "$$")
    assert text.startswith(start)
    return text.removeprefix(start).removesuffix("$$")


def view_rules(query: str) -> list[str]:
    return rules(f"create view app.x as {query}")
