"""What procver does not version on SQL Server, and how that is said."""

from __future__ import annotations

import re

from procver.errors import SourceError
from procver.objects import Kind
from procver.scanning import unfilled
from procver.scanning.invisible import HINT as INVISIBLE
from procver.scanning.invisible import complaints
from procver.scanning.mssql.definition import KINDS, Definition, body_start, is_table_type, options
from procver.scanning.mssql.keywords import words
from procver.scanning.mssql.unit import Unit
from procver.scanning.refusals import MIGRATION, misspelt
from procver.scanning.tokens import positions

_TRIGGERS = (
    "tables call triggers, releases do not: leave it to the team's migration tool; only an INSTEAD"
    " OF trigger of a view belongs here, in the file of that view"
)
_NAMELESS = "write schema.name; what another tool fills in goes into [placeholders] of procver.toml"
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
_NAMED = frozenset({"proc", "procedure", "view", "function"})
_ODBC = frozenset({"fn", "d", "t", "ts", "oj", "guid", "call", "escape", "interval", "*"})
_BEFORE_NAME = words(
    ". from join into update exec execute table procedure proc view function references object type"
)
_SIGNS = dict.fromkeys("%<&|^~!?:`", _BEFORE_NAME)
_LIKE_VARIABLE = re.compile(
    r"(?:(?<=\.)|(?<=from )|(?<=join )|(?<=exec )|(?<=into ))(@\w+@)(?=\w|\.)", re.IGNORECASE
)
"""``@schema@.v`` where no variable may stand."""
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
        if noun in _NAMED:
            return _nameless(unit, lo, i)
        what = _CREATED.get(noun, f"CREATE {noun.upper()}".rstrip())
        hint = (None if noun in _CREATED else misspelt(noun, KINDS)) or hint
        if noun in ("index", "statistics"):
            what = f"CREATE {noun.upper()} on something else than the object"
        elif noun == "synonym":
            hint = "a synonym has one target for all releases: " + MIGRATION
        elif noun == "trigger":
            hint = _TRIGGERS
    elif word == "alter" and noun in _NAMED:
        return _nameless(unit, lo, lo + 1)
    elif word in ("alter", "drop"):
        what = f"{word.upper()} {noun.upper()}".rstrip()
    elif word in ("grant", "revoke", "deny", "add"):
        what = f"{word.upper()} on something else than the object"
    else:
        what = _STATEMENTS.get(word, f"a statement that starts with {unit.written[lo]}")
    return unit.error(lo, f"{what} is not versioned here", hint)


def _nameless(unit: Unit, lo: int, noun: int) -> SourceError:
    """Return the error that no name follows CREATE or ALTER and a kind of object."""
    is_string = unit.written[noun + 1 : noun + 2] != [] and unit.written[noun + 1][0] == '"'
    return unit.error(
        lo,
        f"{unit.folded[lo].upper()} {unit.folded[noun].upper()} has no name that can be read",
        'write schema.name; "x" is a string while QUOTED_IDENTIFIER is OFF'
        if is_string
        else _NAMELESS,
    )


def refuse_nameless(unit: Unit) -> None:
    """Raise for a batch that begins to define something without a name.

    Raises:
        SourceError: no name follows CREATE or ALTER and a kind of object.
    """
    toks = unit.folded
    i = 3 if toks[1:3] == ["or", "alter"] else 1
    if toks[0] in ("create", "alter") and toks[i : i + 1] and toks[i] in _NAMED:
        raise _nameless(unit, 0, i)


def refuse_unreadable(unit: Unit) -> None:
    """Raise for what the server cannot read, and no tool is there to replace.

    Raises:
        SourceError: an invisible character, a placeholder of another tool, a variable or command
            of sqlcmd.
    """
    text = unit.file.text
    names = ("" if raw[0] in "'[\"" or raw[-1] == "'" else raw for raw in unit.written)
    for at, what in complaints(text, names, joiners=False):
        raise unit.error(at, what, INVISIBLE)
    _refuse_sqlcmd(unit)
    if "{" in text or "$" in text:
        _refuse_brackets(unit)
    at = unfilled.sign_for_name(unit.folded, unit.distinct, _SIGNS)
    if at >= 0:
        raise unit.error(at, unfilled.message(text, unit.span(at)[0]), unfilled.HINT)
    found = _LIKE_VARIABLE.search(text, unit.start, unit.end)
    at = unit.token_at(found.start()) if found is not None else -1
    if found is not None and at >= 0 and unit.written[at] == found[1]:
        raise unit.error(at, unfilled.message(text, found.start()), unfilled.HINT)


def _refuse_brackets(unit: Unit) -> None:
    """Raise for ``${x}``, ``{{x}}``, ``{x}`` and ``$x$``.

    Curly brackets are ODBC's escapes and the quantifiers of a graph's paths, ``$x`` is a
    pseudo-column, ``$1`` money.
    """
    toks = unit.folded
    for i, token in enumerate(toks):
        after = toks[i + 1] if i + 1 < len(toks) else ""
        if token == "{":
            is_read = after in _ODBC or after[:1].isdecimal() or after in (",", "?")
        elif token[0] == "$" and (after == "{" if token == "$" else after[:1] == "$"):
            is_read = unit.span(i)[1] != unit.span(i + 1)[0]
        else:
            continue
        if not is_read:
            start = unit.span(i)[0]
            raise unit.error(i, unfilled.message(unit.file.text, start), unfilled.HINT)


def _refuse_sqlcmd(unit: Unit) -> None:
    toks = unit.folded
    if "$(" in unit.distinct:
        at = toks.index("$(")
        name = unit.written[at + 1] if at + 1 < len(toks) else ""
        raise unit.error(at, f"$({name}) is a variable of sqlcmd", unfilled.HINT)
    for i, raw in enumerate(unit.written if "$(" in unit.file.text else ()):
        if raw[0] == "[" and "$(" in raw:
            raise unit.error(i, f"{raw} holds a variable of sqlcmd", unfilled.HINT)
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
