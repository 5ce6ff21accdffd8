"""What a refusal must be: its exit code, its words in both modes, and nothing changed anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg

from tests.workshop import Workshop

_CATALOG = (
    "SELECT 'schema', n.oid, n.nspname, n.nspacl::text, '' FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)'",
    "SELECT 'routine', p.oid, p.proname, p.proacl::text, concat(p.prosrc, pg_get_function_sqlbody(p.oid), p.proowner)"
    " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
    " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')",
    "SELECT 'relation', c.oid, c.relname, c.relacl::text, concat(c.relkind, pg_get_viewdef(c.oid), c.relowner)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind <> 'i'",
)
_TABLES = (
    "project",
    "version",
    "dependency",
    "release",
    "membership",
    "instance",
    "channel",
    "event",
    "collection",
    "upgrade",
)


def catalog(url: str) -> set[tuple[Any, ...]]:
    """Return every object of the database, and every row of the registry if there is one."""
    found: set[tuple[Any, ...]] = set()
    with psycopg.connect(url, autocommit=True) as connection:
        for query in _CATALOG:
            found.update(connection.execute(query.encode()))
        there = connection.execute("SELECT to_regclass('procver.event') IS NOT NULL").fetchone()
        if there == (True,):
            for table in _TABLES:
                rows = connection.execute(
                    f"SELECT row_to_json(t)::text FROM procver.{table} t".encode()
                )
                found.update((table, row) for (row,) in rows)
    return found


def files(root: Path) -> dict[str, bytes]:
    """Return every file of a project but those of git and of procver's own cache."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not {".git", ".procver"} & set(path.relative_to(root).parts)
    }


def refused(
    workshop: Workshop,
    *words: str,
    code: int,
    error: str,
    says: tuple[str, ...] = (),
    hint: tuple[str, ...] = (),
    never: tuple[str, ...] = (),
    look: bool = True,
) -> str:
    """Run a command with and without --json; fail unless both refuse alike and leave all as it was.

    Args:
        workshop: the project.
        words: the command.
        code: its exit code.
        error: the ``code`` in its JSON.
        says: what the message holds.
        hint: what the hint holds.
        never: what must not be printed anywhere.
        look: whether the target can be looked into.

    Returns:
        message and hint, in one line.
    """
    before = files(workshop.root), catalog(workshop.url) if look else None
    text = workshop.run(*words, code=code)
    plain = workshop.run(*words, "--json", code=code)
    assert (files(workshop.root), catalog(workshop.url) if look else None) == before, (
        "it changed something"
    )
    assert text.stdout == "", "nothing but data belongs on stdout"
    assert plain.stderr == "", "with --json, the document on stdout is all there is"
    document = json.loads(plain.stdout)
    assert list(document) == ["error"]
    assert document["error"]["code"] == error, document
    message, advice = document["error"]["message"], document["error"]["hint"]
    assert advice, f"no hint: {message}"
    for word in says:
        assert word in message, (word, message)
        assert word in text.stderr
    for word in hint:
        assert word in advice, (word, advice)
        assert word in text.stderr
    for word in (*never, "Traceback", "None"):
        assert word not in text.output + plain.output
    assert text.stderr.startswith("error: ")
    return f"{message} | {advice}"
