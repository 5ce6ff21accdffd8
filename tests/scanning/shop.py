"""What the scanning tests share: a managed set, and short ways to scan."""

from __future__ import annotations

from procver.objects import Analysis, Header, Kind, Managed, Name, Span, Statement
from procver.scanning.postgresql import PostgresqlScanner

SCANNER = PostgresqlScanner()


def names(kind: Kind, *labels: str) -> dict[Name, Kind]:
    return {SCANNER.parse(label, "app"): kind for label in labels}


KINDS = {
    **names(
        Kind.VIEW, "app.v", "app.w", "app.uv", 'app."V"', 'app."odd ""name"', "other.o", "app.names"
    ),
    **names(Kind.VIEW, "app.status", "app.thing", "WebApi.suppliers"),
    **names(Kind.MATERIALIZED_VIEW, "app.mv"),
    **names(Kind.FUNCTION, "app.fn", "app.add_job", "public.color", "app.g", "app.metaphone"),
    **names(Kind.PROCEDURE, "app.proc"),
}
PATH = ("app", "public")


def managed(path: tuple[str, ...] = PATH, suffix: str = "_{version}") -> Managed:
    return Managed(KINDS, path, suffix)


def header(text: str) -> Header:
    return SCANNER.header(text, "app")


def analyse(text: str, spans: tuple[Span, ...] = ()) -> Analysis:
    return SCANNER.analyse(text, "app", managed(), spans)


def statements(text: str, spans: tuple[Span, ...] = ()) -> tuple[Statement, ...]:
    """Every managed object is meant at version 2, the object of the text at version 3."""
    own = analyse(text, spans).name
    physical = {name: f"{name.leaf}_2" for name in KINDS} | {own: f"{own.leaf}_3"}
    return SCANNER.rewrite(text, "app", managed(), physical, spans)


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


def rules(text: str) -> list[str]:
    return [note.rule for note in analyse(text).notes]


def view_rules(query: str) -> list[str]:
    return rules(f"create view app.x as {query}")
