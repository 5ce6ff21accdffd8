"""What makes a new version, and what does not."""

from __future__ import annotations

import pytest

from procver.objects import Name
from tests.scanning.shop import analyse, shape

VIEW = "create view app.x as select v.a, app.fn(v.b) as \"C\" from app.v where v.c = 'x'"
BODY = "begin if a = 'x' then perform app.fn(1); end if; return 2; end"
FUNCTION = "create function app.x(a text) returns int language plpgsql as $$" + BODY + "$$"


@pytest.mark.parametrize(
    "other",
    [
        VIEW.replace(" ", "\n\t "),
        VIEW.replace(" ", "\r\n"),
        VIEW.replace(" ", " /* a /* nested; */ 'comment */ "),
        "-- it's a comment\n" + VIEW + "; -- end",
        VIEW.replace("create", "CREATE OR REPLACE").replace("select", "SELECT"),
        VIEW.replace("app.v", "APP.V").replace("v.a", "V.A"),
        VIEW.replace("v.a", '"v"."a"'),
        "begin; drop view if exists app.x; " + VIEW + "; commit;",
    ],
)
def test_layout_keeps_the_shape_of_a_view(other: str) -> None:
    assert other != VIEW
    assert shape(other) == shape(VIEW)


@pytest.mark.parametrize(
    "other",
    [
        FUNCTION.replace("$$", "$body$"),
        FUNCTION.replace("'", "''").replace("$$", "'"),
        FUNCTION.replace("'", r"\'").replace("$$", "'").replace("as '", "as E'"),
        FUNCTION.replace("begin ", "BEGIN\r\n -- then\r\n ").replace("perform", "Perform"),
    ],
)
def test_layout_keeps_the_shape_of_a_body(other: str) -> None:
    assert other != FUNCTION
    assert shape(other) == shape(FUNCTION)


@pytest.mark.parametrize(
    "other",
    [
        VIEW.replace("'x'", "'X'"),
        VIEW.replace("'x'", "'x '"),
        VIEW.replace('"C"', "C"),
        VIEW.replace("select", "select /*+ SeqScan(v) */"),
        VIEW.replace("app.v ", "app.w "),
        VIEW.replace("app.fn", "app.g").replace("app.v ", "app.names as v "),
        VIEW.replace("= ", "=- "),
        VIEW + "; grant select on app.x to a",
        "set enable_seqscan = off; " + VIEW,
        FUNCTION,
    ],
)
def test_meaning_changes_the_shape(other: str) -> None:
    assert shape(other) != shape(VIEW)


def test_hints_of_bodies_count() -> None:
    hinted = FUNCTION.replace("perform", "perform /*+ a */")
    assert shape(hinted) not in (shape(FUNCTION), shape(hinted.replace("+ a", "+ b")))
    assert shape(hinted) == shape(hinted.replace("perform ", "perform\n"))


def test_bodies_that_are_not_read_count_as_they_are() -> None:
    text = "create function app.x() returns int language plpython3u as $$\n  return 1\n$$"
    assert shape(text) != shape(text.replace("  return", " return"))
    assert shape(text) == shape(text.replace("$$", "'")) == shape(text.replace("\n", "\r\n"))


def test_references_count_by_their_place_not_their_name() -> None:
    one, other = analyse(VIEW), analyse(VIEW.replace("app.v ", "app.w ").replace("v.", "w."))
    assert one.shape == other.shape
    assert one.references == (Name("app", "v"), Name("app", "fn"))
    assert other.references == (Name("app", "w"), Name("app", "fn"))


def test_tokens_cannot_run_together() -> None:
    assert shape("create view app.x as select 'a' b") != shape("create view app.x as select 'a b'")
    assert shape("create view app.x as select a, b from t") != shape(
        "create view app.x as select ab from t"
    )


def test_shapes_are_pinned() -> None:
    """A change here makes new versions of everything: bump `PostgresqlScanner.revision`."""
    assert shape(VIEW) == ("70d7cae899b4c4a7b74e480450bc35439f62b30038e1c16d8bf2e72007cf62e4")
    assert shape(FUNCTION) == ("d5d0cc4ec461807cfbced337f60ec2fdd82a8d13d87e01a9d206c1910774c6b4")
    assert shape("set search_path = app; " + VIEW + "; grant select on app.x to a") == (
        "4f3d08f97fea97a39a52ca1f14f12e9de0b0f4ec02a1f0bde371124a62e1329b"
    )


def test_words_are_the_identifiers() -> None:
    text = "create function app.x(a int) returns int language sql as $$select \"V w\", b.fn_12, 'app.q'::text$$"
    words = analyse(text).words.split("\n")
    assert {"app", "x", "a", "V w", "b", "fn_12", "q"} <= set(words)
    assert "select" not in words
    assert len(words) == len(set(words))
