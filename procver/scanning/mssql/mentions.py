"""Managed names inside strings, which nothing can rewrite: dynamic SQL, OBJECT_ID and the like."""

from __future__ import annotations

import re
from functools import cached_property

from procver.objects import Name
from procver.scanning.marks import Findings
from procver.scanning.mssql.keywords import words
from procver.scanning.mssql.lexer import fold, identifier, is_string, string_value
from procver.scanning.mssql.names import ANY, label, same
from procver.scanning.mssql.unit import Unit
from procver.scanning.names import Found, Names

_PART = r'(?:\[[^\[\]]++\]|"[^"]++"|(?!\s)[A-Za-z_\x80-\U0010ffff][\w@$#]*+)'
_ONE_PART = re.compile(_PART)
_CHAIN = re.compile(rf"{_PART}(?:\s*+\.\s*+{_PART})*")
_WORDS = re.compile(r"[a-z_\x80-\U0010ffff][\w@$#]*+")
_BRACKETED = re.compile(r"\[([^\[\]\n]+)\]")
_BEFORE_NAME = re.compile(
    r"\b(?:from|join|exec|execute|into|insert|update|apply|merge|delete|proc|procedure|view|function)"
    r"(?:\s+|(?=\[))",
    re.IGNORECASE,
)
OF_NAMES = words(
    """
    object_id type_id typeproperty col_length has_perms_by_name sp_refreshview sp_refreshsqlmodule sp_recompile
    sp_helptext sp_help sp_helpindex sp_helpstats sp_depends sp_rename sp_spaceused sp_autostats
    sp_columns sp_sproc_columns sp_procoption sp_settriggerorder @objname @viewname
    """
)
"""What takes the name of an object as a string."""
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
        mentions = _Mentions(unit, names, findings, interesting)
        for token in strings:
            lowered = token.lower()
            if any(leaf in lowered for leaf in interesting):
                mentions.read(token)
    return words


class _Mentions:
    def __init__(self, unit: Unit, names: Names, findings: Findings, interesting: set[str]) -> None:
        self.unit = unit
        self.names = names
        self.findings = findings
        self.interesting = interesting

    def read(self, token: str) -> None:
        """Note the names in a string."""
        text = string_value(token)
        places = self._places.get(token, ())
        goes_on = {before.end() for before in _BEFORE_NAME.finditer(text)} if places else ()
        for match in _CHAIN.finditer(text) if places else ():
            found = self._found(match.group())
            if found is None or found.version is not None:
                continue
            name = found.name
            is_own = same(name, self.names.own.name)
            is_plain = is_own or _ONE_PART.fullmatch(match.group()) is not None
            is_sql = not is_plain or match.start() in goes_on
            for i in places:
                if is_sql or _names_objects(self.unit.folded, i):
                    _note(self.unit, self.findings, i, name, is_own=is_own)
                    break

    def _found(self, written: str) -> Found | None:
        """Return what a chain of names in a string stands for."""
        interesting = self.interesting
        if "." not in written and written.strip('[]"').lower() not in interesting:
            return None
        parts = [identifier(fold(part)) for part in _ONE_PART.findall(written)][-3:]
        if parts[-1] not in interesting and len(parts) == 3:
            del parts[-1]  # a column
        if parts[-1] not in interesting:
            return None
        return self.names.find(parts[-2] if len(parts) > 1 else None, parts[-1], ANY)

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        """Where each string stands, other than in what is printed or is a name as a whole."""
        found: dict[str, list[int]] = {}
        is_printed = False
        for i, token in enumerate(self.unit.folded):
            if token in _PRINTED:
                is_printed = True
            elif is_string(token):
                if not is_printed and i not in self.unit.marks:
                    found.setdefault(token, []).append(i)
            elif token not in ("+", ",", "(") and token[0] not in "@0123456789":
                is_printed = False
        return found


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
        return toks[i - 2] in OF_NAMES
    return toks[i - 1] in OF_NAMES


def _note_placeholders(unit: Unit, findings: Findings, strings: list[str]) -> None:
    for token in strings:
        match = _SQLCMD.search(token)
        if match is not None:
            findings.note(
                unit,
                unit.folded.index(token),
                "sqlcmd-variable",
                f"{match.group()} in a string is sent as it is: only sqlcmd would replace it",
                "if it is meant as a variable, say in [placeholders] of procver.toml what it stands for",
            )
