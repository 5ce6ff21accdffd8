"""What procver does not version on SQL Server, and how that is said."""

from __future__ import annotations

from procver.errors import SourceError
from procver.objects import Kind
from procver.scanning.mssql.definition import KINDS, Definition, body_start, is_table_type, options
from procver.scanning.mssql.unit import Unit
from procver.scanning.refusals import MIGRATION, misspelt
from procver.scanning.tokens import positions

_TRIGGERS = (
    "tables call triggers, releases do not: leave it to the team's migration tool; only an INSTEAD"
    " OF trigger of a view belongs here, in the file of that view"
)
_PLACEHOLDER = "say in [placeholders] of procver.toml what it stands for, or make the file a template (.sql.j2)"
_CREATED = {
    "table": "a table",
    "type": "an alias type",
    "schema": "a schema",
    "database": "a database",
    "sequence": "a sequence",
    "synonym": "a synonym",
    "trigger": "a trigger",
    "assembly": "an assembly",
    "aggregate": "a CLR aggregate",
    "role": "a role",
    "user": "a user",
    "login": "a login",
    "certificate": "a certificate",
    "queue": "a queue",
    "service": "a service",
    "default": "a default",
    "rule": "a rule",
    "fulltext": "a full-text index",
    "external": "an external object",
    "security": "a security policy",
    "partition": "partitioning",
    "event": "an event notification",
    "xml": "an XML object",
}
_STATEMENTS = {
    "insert": "data (INSERT)",
    "update": "data (UPDATE)",
    "delete": "data (DELETE)",
    "merge": "data (MERGE)",
    "truncate": "data (TRUNCATE)",
    "bulk": "data (BULK INSERT)",
    "select": "a query (SELECT)",
    "with": "a query (WITH)",
    "exec": "a call (EXEC)",
    "execute": "a call (EXECUTE)",
    "while": "a loop (WHILE)",
    "if": "a condition (IF) around something else than the object",
    "dbcc": "a DBCC command",
    "declare": "a variable (DECLARE)",
}
_SQLCMD = frozenset(
    ["setvar", "r", "on", "connect", "out", "error", "perftrace", "listvar", "quit", "exit", "xml"]
)
_SPECIAL_OPTIONS = frozenset({"encryption", "native_compilation"})


def refused(unit: Unit, lo: int, hi: int) -> SourceError:
    """Return why the statement at tokens [lo, hi) has no place in a source."""
    toks = unit.folded
    word = toks[lo]
    hint = MIGRATION
    noun = toks[lo + 1] if lo + 1 < hi else ""
    if word == "create":
        i = lo + 1
        while i < hi and toks[i] in ("or", "alter", "unique", "clustered", "nonclustered"):
            i += 1
        noun = toks[i] if i < hi else ""
        if noun in KINDS and noun not in _CREATED:
            return unit.error(
                lo,
                f"CREATE {noun.upper()} has no name that can be read",
                'write schema.name; "x" is a string while QUOTED_IDENTIFIER is OFF',
            )
        what = _CREATED.get(noun, f"CREATE {noun.upper()}".rstrip())
        hint = (None if noun in _CREATED else misspelt(noun, KINDS)) or hint
        if noun in ("index", "statistics"):
            what = f"CREATE {noun.upper()} on something else than the object"
        elif noun == "synonym":
            hint = "a synonym has one target for all releases: " + MIGRATION
        elif noun == "trigger":
            hint = _TRIGGERS
    elif word in ("alter", "drop"):
        what = f"{word.upper()} {noun.upper()}".rstrip()
    elif word in ("grant", "revoke", "deny", "add"):
        what = f"{word.upper()} on something else than the object"
    else:
        what = _STATEMENTS.get(word, f"a statement that starts with {unit.written[lo]}")
    return unit.error(lo, f"{what} is not versioned here", hint)


def refuse_client_syntax(unit: Unit) -> None:
    """Raise for what sqlcmd reads and the server does not.

    Raises:
        SourceError: a sqlcmd variable or command.
    """
    toks = unit.folded
    if "$(" in unit.distinct:
        at = toks.index("$(")
        name = unit.written[at + 1] if at + 1 < len(toks) else ""
        raise unit.error(at, f"$({name}) is a variable of sqlcmd", _PLACEHOLDER)
    for i, raw in enumerate(unit.written if "$(" in unit.file.text else ()):
        if raw[0] == "[" and "$(" in raw:
            raise unit.error(i, f"{raw} holds a variable of sqlcmd", _PLACEHOLDER)
    for at in positions(toks, (":",), 0, len(toks)) if ":" in unit.distinct else ():
        if at + 1 < len(toks) and toks[at + 1] in _SQLCMD:
            raise unit.error(
                at,
                f":{unit.written[at + 1]} is a command of sqlcmd",
                "the server does not read it: remove it, or make the file a template (.sql.j2)",
            )


def refuse_definition(unit: Unit, definition: Definition) -> None:
    """Raise for a definition of a sort that is not supported.

    Raises:
        SourceError: encrypted, natively compiled, CLR, numbered, temporary, no table type.
    """
    toks = unit.folded
    after = toks[definition.after] if definition.after < definition.hi else ""
    last = definition.name[-1]
    if toks[last].startswith("#") or toks[last].startswith("[#"):
        raise unit.error(
            last,
            f"{unit.written[last]} is a temporary procedure, which ends with its session",
            "create it where it is used",
        )
    if definition.kind is Kind.TABLE_TYPE:
        _refuse_type(unit, definition)
        return
    if definition.kind is Kind.PROCEDURE and after == ";":
        number = unit.written[definition.after + 1 : definition.after + 2]
        if number and number[0].isdecimal():
            raise unit.error(
                definition.after,
                f"the procedure has a group number (;{number[0]}), which SQL Server deprecates",
                "give each procedure of the group a name, and a file, of its own",
            )
    is_special = not _SPECIAL_OPTIONS.isdisjoint(unit.distinct)
    for i in options(toks, definition) if is_special else ():
        if toks[i] == "encryption":
            raise unit.error(
                i,
                "an encrypted module cannot be compared nor restored",
                "remove WITH ENCRYPTION, or leave the object to the team's migration tool",
            )
        if toks[i] == "native_compilation":
            raise unit.error(
                i,
                "a natively compiled module is not supported: its DDL cannot be part of a"
                " transaction",
                MIGRATION,
            )
    start = body_start(toks, definition) if "external" in unit.distinct else len(toks)
    if toks[start : start + 2] == ["external", "name"]:
        raise unit.error(
            start,
            "a CLR module (EXTERNAL NAME) is code of an assembly, which procver does not version",
            "leave it to the team's migration tool, together with its assembly",
        )


def _refuse_type(unit: Unit, definition: Definition) -> None:
    toks = unit.folded
    if not is_table_type(toks, definition):
        what = "a CLR type" if "external" in toks[definition.after :][:1] else "an alias type"
        raise unit.error(
            definition.lo,
            f"{what} is not versioned here: columns hold on to it",
            MIGRATION,
        )
    if "memory_optimized" in toks[definition.after : definition.hi]:
        raise unit.error(
            toks.index("memory_optimized", definition.after),
            "a memory-optimized table type is not supported: its DDL cannot be part of a"
            " transaction",
            MIGRATION,
        )
