"""Managed names inside strings, which nothing can rewrite: dynamic SQL, OBJECT_ID and the like."""

from __future__ import annotations

import re

from procver.objects import Name
from procver.scanning.marks import Findings
from procver.scanning.mssql.keywords import words
from procver.scanning.mssql.lexer import fold, identifier, is_string, string_value
from procver.scanning.mssql.names import ANY, label, same
from procver.scanning.mssql.unit import Unit
from procver.scanning.names import Names
from procver.scanning.tokens import positions

_PART = r'(?:\[[^\[\]]+\]|"[^"]+"|[A-Za-z_\x80-\U0010ffff][\w@$#]*)'
_ONE_PART = re.compile(_PART)
_CHAIN = re.compile(rf"{_PART}(?:\s*\.\s*{_PART})*")
_WORDS = re.compile(r"[a-z_\x80-\U0010ffff][\w@$#]*+")
_BRACKETED = re.compile(r"\[([^\[\]\n]+)\]")
_BEFORE_NAME = re.compile(
    r"\b(?:from|join|exec|execute|into|update|apply|merge|delete|proc|procedure|view|function)\s+$",
    re.IGNORECASE,
)
_OF_NAMES = words(
    """
    object_id object_definition object_schema_name type_id objectproperty objectpropertyex
    sp_refreshview sp_refreshsqlmodule sp_recompile sp_helptext sp_help sp_depends @objname
    """
)
_PRINTED = frozenset({"print", "raiserror", "throw"})
_SQLCMD = re.compile(r"\$\([A-Za-z_][\w-]*\)")


def read_strings(unit: Unit, names: Names, findings: Findings) -> dict[str, None]:
    """Note the managed names in the strings of a batch.

    A name with its schema counts everywhere but in what is printed, one without only where the
    string goes on as SQL (``FROM v``) or names objects (``OBJECT_ID('v')``). The object's own name
    counts as one without: many log it.

    Returns:
        every identifier in the strings, folded.
    """
    strings = unit.strings()
    if not strings:
        return {}
    joined = "\n".join(strings).lower()
    words = dict.fromkeys(_WORDS.findall(joined))
    if "[" in joined:
        words.update(dict.fromkeys(_BRACKETED.findall(joined)))
    if "$(" in joined:
        _note_placeholders(unit, findings, strings)
    interesting = words.keys() & names.index.leaves.keys()
    if names.own_key.leaf in words:
        interesting.add(names.own_key.leaf)
    if interesting:
        for token in strings:
            lowered = token.lower()
            if any(leaf in lowered for leaf in interesting):
                _read_one(unit, names, findings, token, interesting)
    return words


def _read_one(
    unit: Unit, names: Names, findings: Findings, token: str, interesting: set[str]
) -> None:
    text = string_value(token)
    at: list[int] | None = None
    for match in _CHAIN.finditer(text):
        written = match.group()
        if "." not in written and written.strip('[]"').lower() not in interesting:
            continue
        parts = [identifier(fold(part)) for part in _ONE_PART.findall(written)]
        parts = parts[-3:]
        if parts[-1] not in interesting and len(parts) == 3:
            del parts[-1]  # a column
        if parts[-1] not in interesting:
            continue
        schema = parts[-2] if len(parts) > 1 else None
        found = names.find(schema, parts[-1], ANY)
        if found is None or found.version is not None:
            continue
        if at is None:
            at = positions(unit.folded, (token,), 0, len(unit.folded))
        is_own = same(found.name, names.own.name)
        is_plain = schema is None or is_own
        goes_on = is_plain and _BEFORE_NAME.search(text, 0, match.start()) is not None
        for i in at:
            if _is_printed(unit.folded, i) or i in unit.marks:
                continue
            if not is_plain or goes_on or _names_objects(unit.folded, i):
                _note(unit, findings, i, found.name, is_own=is_own)


def _note(unit: Unit, findings: Findings, at: int, name: Name, *, is_own: bool) -> None:
    advice = f"use {{{{ ref('{label(name)}') }}}} in a template (.sql.j2)"
    if not is_own:
        advice = f"write -- procver: requires {label(name)}, or {advice}"
    findings.note(
        unit,
        at,
        "string-mention",
        f"{label(name)} is named in a string, where it cannot be given its version",
        advice,
        name,
    )


def _names_objects(toks: list[str], i: int) -> bool:
    if toks[i - 1] == "(" or toks[i - 1] == "=":
        return toks[i - 2] in _OF_NAMES
    return toks[i - 1] in _OF_NAMES


def _is_printed(toks: list[str], i: int) -> bool:
    i -= 1
    if i >= 0 and toks[i] == "(":
        i -= 1
    while i >= 0 and (
        toks[i] in ("+", ",", "(") or is_string(toks[i]) or toks[i][0] in "@0123456789"
    ):
        i -= 1
    return i >= 0 and toks[i] in _PRINTED


def _note_placeholders(unit: Unit, findings: Findings, strings: list[str]) -> None:
    for token in strings:
        match = _SQLCMD.search(token)
        if match is not None:
            findings.note(
                unit,
                unit.folded.index(token),
                "sqlcmd-variable",
                f"{match.group()} in a string is sent as it is: only sqlcmd would replace it",
                "make the file a template (.sql.j2), if it is meant as a variable",
            )
