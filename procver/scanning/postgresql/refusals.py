"""What procver does not version, and how that is said."""

from __future__ import annotations

from procver.errors import SourceError
from procver.scanning import unfilled
from procver.scanning.invisible import HINT, complaints
from procver.scanning.postgresql.unit import Unit
from procver.scanning.refusals import MIGRATION, misspelt

_TRIGGERS = (
    "tables call trigger functions, releases do not: leave them to the team's migration tool"
)
_DUMPED = "pg_dump writes this line for psql: delete it"
_CONFIG = (
    "this line heads every pg_dump: delete it, or write SET search_path = ... for names without"
    " a schema"
)
_OFF = frozenset({"off", "false", "no", "0", "'off'", "'false'", "'no'", "'0'"})
_SETTING = "standard_conforming_strings"
_PSQL = "psql reads this, the server does not: remove it, or make the file a template (.sql.j2)"
_SIGNS = {
    **dict.fromkeys("%<&|^~@#`", frozenset[str]()),
    ":": frozenset({"from", "join", "into", "update", "."}),
}
"""Signs of placeholders. Most begin an expression as well, and count only as ``%x%.v``."""
_VERSIONED = ("function", "procedure", "view", "materialized view")
_CREATED = {
    "table": "a table",
    "type": "a type",
    "domain": "a domain",
    "sequence": "a sequence",
    "schema": "a schema",
    "extension": "an extension",
    "aggregate": "an aggregate",
    "operator": "an operator",
    "cast": "a cast",
    "collation": "a collation",
    "role": "a role",
    "user": "a role",
    "policy": "a policy",
    "publication": "a publication",
    "subscription": "a subscription",
    "server": "a foreign server",
    "language": "a language",
    "statistics": "statistics",
    "database": "a database",
    "tablespace": "a tablespace",
    "conversion": "a conversion",
    "transform": "a transform",
    "event": "an event trigger",
    "foreign": "a foreign table",
    "access": "an access method",
    "text": "a text search object",
}
_MODIFIERS = frozenset(
    [
        "or",
        "replace",
        "unlogged",
        "temp",
        "temporary",
        "global",
        "local",
        "constraint",
        "trusted",
        "procedural",
        "default",
        "unique",
    ]
)
_STATEMENTS = {
    "insert": "data (INSERT)",
    "update": "data (UPDATE)",
    "delete": "data (DELETE)",
    "merge": "data (MERGE)",
    "truncate": "data (TRUNCATE)",
    "copy": "data (COPY)",
    "select": "a query (SELECT)",
    "with": "a query (WITH)",
    "values": "a query (VALUES)",
    "table": "a query (TABLE)",
    "do": "a DO block",
    "call": "a CALL",
    "explain": "an EXPLAIN",
    "vacuum": "a VACUUM",
    "lock": "a LOCK",
    "reindex": "a REINDEX",
    "import": "IMPORT FOREIGN SCHEMA",
    "reassign": "REASSIGN OWNED",
    "prepare": "PREPARE",
    "execute": "EXECUTE",
    "notify": "NOTIFY",
}


def refused(unit: Unit, lo: int, hi: int) -> SourceError:
    """Return why the statement at tokens [lo, hi) has no place in a source."""
    toks = unit.folded
    word = toks[lo]
    hint = MIGRATION
    if word == "\\":
        name = unit.written[lo + 1] if lo + 1 < len(toks) else ""
        is_dumped = name in ("restrict", "unrestrict", "connect")
        return unit.error(lo, f"\\{name} is a command of psql", _DUMPED if is_dumped else _PSQL)
    if word == "create":
        i = lo + 1
        while i < hi and toks[i] in _MODIFIERS:
            i += 1
        noun = toks[i] if i < hi else ""
        what = _CREATED.get(noun, f"CREATE {noun.upper()}".rstrip())
        hint = (None if noun in _CREATED else misspelt(noun, _VERSIONED)) or hint
        if noun in ("trigger", "rule", "index"):
            what = f"{'an' if noun == 'index' else 'a'} {noun} on something else than the object"
    elif word in ("alter", "drop"):
        noun = toks[lo + 1].upper() if lo + 1 < hi else ""
        what = f"{word.upper()} {noun}".rstrip()
    elif word in ("rollback", "abort", "savepoint", "release", "prepare"):
        what, hint = word.upper(), "remove it: procver sends a source in a transaction of its own"
    elif word in ("reset", "discard"):
        what, hint = word.upper(), "remove it: procver's settings end with its transaction"
    elif word in ("grant", "revoke", "comment", "security"):
        what = f"{word.upper()} on something else than the object"
    else:
        if word == "select" and "set_config" in toks[lo:hi]:
            hint = _CONFIG
        what = _STATEMENTS.get(word, f"a statement that starts with {unit.written[lo]}")
    return unit.error(lo, f"{what} is not versioned here", hint)


def refused_trigger_function(unit: Unit, at: int) -> SourceError:
    """Return why a trigger function has no place in the sources."""
    return unit.error(at, "a trigger function is not versioned here", _TRIGGERS)


def refuse_escapes(unit: Unit) -> None:
    """Raise where a text has backslashes in plain strings mean something.

    Raises:
        SourceError: it sets standard_conforming_strings to off.
    """
    toks = unit.folded
    if _SETTING not in unit.distinct and f"'{_SETTING}'" not in unit.distinct:
        return
    for i, token in enumerate(toks[:-2]):
        if token == _SETTING:
            is_set = toks[i - 1] in ("set", "local", "session") and toks[i + 1] in ("=", "to")
        else:
            is_set = token == f"'{_SETTING}'" and toks[i + 1] == ","
        if is_set and toks[i + 2] in _OFF:
            raise unit.error(
                i,
                "standard_conforming_strings = off is not supported: procver and the server would"
                " read the strings of this source differently",
                "remove it, and write strings with backslash escapes as E'...'",
            )


def refuse_unreadable(unit: Unit) -> None:
    """Raise for what the server cannot read, in a file or in the body of a routine.

    Raises:
        SourceError: a placeholder of another tool, or an invisible character.
    """
    at = unfilled.sign_for_name(unit.folded, unit.distinct, _SIGNS)
    if at >= 0:
        raise unit.error(at, unfilled.message(unit.text, unit.span(at)[0]), unfilled.HINT)
    names = ("" if raw[0] in "'\"$" or raw[-1] in "'\"" else raw for raw in unit.written)
    for at, what in complaints(unit.text, names, joiners=True):
        raise unit.error(at, what, HINT)


def refuse_client_syntax(unit: Unit) -> None:
    """Raise for what only psql or the extension machinery reads.

    Raises:
        SourceError: a psql variable or command, ``@extschema@``, or a NUL.
    """
    toks = unit.folded
    if "\\" in unit.distinct:
        at = toks.index("\\")
        raise refused(unit, at, len(toks))
    if "extschema" in unit.distinct:
        at = toks.index("extschema")
        if at and toks[at - 1].endswith("@"):
            raise unit.error(
                at,
                "@extschema@ is a placeholder that only CREATE EXTENSION fills in",
                "write the schema, or say in [placeholders] of procver.toml what it stands for",
            )
    refuse_unreadable(unit)
    if ":" in unit.distinct:
        _refuse_psql_variable(unit)


def _refuse_psql_variable(unit: Unit) -> None:
    toks, spans = unit.folded, unit.spans()
    depth = 0
    for i, token in enumerate(toks[:-1]):
        if token in ("[", "]"):
            depth += 1 if token == "[" else -1
        if token != ":" or depth or spans[i][1] != spans[i + 1][0]:
            continue
        following = unit.written[i + 1]
        if following[0].isalpha() or following[0] in "_'\"":
            raise unit.error(i, f":{following} is a variable of psql", _PSQL)
