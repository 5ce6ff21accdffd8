"""Managed names inside strings, which nothing can rewrite: dynamic SQL, OBJECT_ID and the like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from procver.objects import Name
from procver.scanning.marks import Findings
from procver.scanning.mssql.keywords import words
from procver.scanning.mssql.lexer import fold, identifier, is_string, string_value
from procver.scanning.mssql.names import ANY, TYPES, label, same, type_path
from procver.scanning.mssql.unit import Unit
from procver.scanning.names import Names

_PART = r'(?:\[[^\[\]]++\]|"[^"]++"|[@#]{0,2}(?!\s)[A-Za-z_\x80-\U0010ffff][\w@$#]*+)'
_ONE_PART = re.compile(_PART)
_CHAIN = re.compile(rf"{_PART}(?:\s*+\.\s*+(?:\.\s*+)?{_PART})*")
_PARTS = re.compile(rf"{_PART}|(?<=\.)\s*+(?=\.)")
_WORDS = re.compile(r"[a-z_\x80-\U0010ffff][\w@$#]*+")
_BRACKETED = re.compile(r"\[([^\[\]\n]+)\]")
_BEFORE_NAME = re.compile(
    r"\b(?:from|join|exec|execute|into|insert|update|apply|merge|delete|proc|procedure|view|function|trigger)"
    r"(?:\s+|(?=\[))",
    re.IGNORECASE,
)
_BEFORE_TYPE = re.compile(r"@[\w@#$]+\s+(?:as\s+)?", re.IGNORECASE)
"""A parameter or a variable, whose type comes next: ``N'@t Things READONLY'``."""
OF_NAMES = words(
    """
    object_id type_id typeproperty col_length has_perms_by_name sp_refreshview sp_refreshsqlmodule sp_recompile
    sp_helptext sp_help sp_helpindex sp_helpstats sp_depends sp_rename sp_spaceused sp_autostats
    sp_columns sp_sproc_columns sp_procoption sp_settriggerorder @objname @viewname @triggername
    """
)
"""What takes the name of an object as a string."""
_PRINTED = frozenset({"print", "raiserror", "throw"})
_SQLCMD = re.compile(r"\$\([A-Za-z_][\w-]*\)")


def read_strings(
    unit: Unit, names: Names, findings: Findings, triggers: Sequence[Name] = ()
) -> dict[str, None]:
    """Note the managed names in the strings of a batch, and those of the object's ``triggers``.

    A name with its schema counts everywhere but in what is printed, one without only where the
    string goes on as SQL (``FROM v``, ``@t Things``) or names objects (``OBJECT_ID('v')``). The
    names of the object and its triggers count as names without: many log them.

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
    own = (names.own_key.leaf, *(trigger.leaf.lower() for trigger in triggers))
    interesting.update(leaf for leaf in own if leaf in words)
    if interesting:
        mentions = _Mentions(unit, names, findings, interesting, triggers)
        for token in strings:
            lowered = token.lower()
            if any(leaf in lowered for leaf in interesting):
                mentions.read(token)
    return words


class _Mentions:
    def __init__(
        self,
        unit: Unit,
        names: Names,
        findings: Findings,
        interesting: set[str],
        triggers: Sequence[Name],
    ) -> None:
        self.unit = unit
        self.names = names
        self.types = names.on(type_path(names))
        self.findings = findings
        self.interesting = interesting
        self.triggers = {trigger.leaf.lower(): trigger for trigger in triggers}
        self.databases = names.index.databases
        self.abroad: dict[str, Name] = {}

    def read(self, token: str) -> None:
        """Note the names in a string."""
        text = string_value(token)
        places = self._places.get(token)
        if not places:
            return
        goes_on = {before.end() for before in _BEFORE_NAME.finditer(text)}
        types = {before.end() for before in _BEFORE_TYPE.finditer(text)}
        for match in _CHAIN.finditer(text):
            name = self._found(match.group(), is_type=match.start() in types)
            if name is None:
                self._note_abroad(places[0])
                continue
            is_own = same(name, self.names.own.name)
            is_plain = is_own or _ONE_PART.fullmatch(match.group()) is not None
            is_plain = is_plain or name in self.triggers.values()
            is_sql = not is_plain or match.start() in goes_on or match.start() in types
            for i in places:
                if is_sql or _names_objects(self.unit.folded, i):
                    self._note(i, name, is_own=is_own)
                    break

    def _found(self, written: str, *, is_type: bool) -> Name | None:
        """Return what a chain of names in a string stands for, if it is an object of this database."""
        interesting = self.interesting
        if "." not in written and written.strip('[]"').lower() not in interesting:
            return None
        parts = [identifier(fold(part)) if part.strip() else "" for part in _PARTS.findall(written)]
        last = len(parts) - 1
        for at in (last, last - 1) if last > 1 else (last,):  # of three, the last may be a column
            database, schema, leaf = ("", "", *parts[: at + 1])[-3:]
            if leaf not in interesting:
                continue
            found = self.types.find(schema or None, leaf, TYPES) if is_type else None
            if found is None and (schema or not is_type):
                found = self.names.find(schema or None, leaf, ANY)
            if found is not None and at > 1 and (at > 2 or database not in self.databases):
                if not same(found.name, self.names.own.name):
                    self.abroad.setdefault(written, found.name)
                return None
            if found is not None:
                return found.name if found.version is None else None
            trigger = self.triggers.get(leaf)
            if trigger is not None and schema in ("", trigger.schema.lower()):
                return trigger
        return None

    def _note_abroad(self, at: int) -> None:
        for written, name in self.abroad.items():
            self.findings.note(
                self.unit,
                at,
                "database-name",
                f"{written} in a string names another database: it is left as it is",
                "if this database is meant, add its name to databases in procver.toml",
                name,
            )
        self.abroad.clear()

    def _note(self, at: int, name: Name, *, is_own: bool) -> None:
        advice = f"use {{{{ ref('{label(name)}') }}}} in a template (.sql.j2)"
        if name in self.triggers.values():
            advice = "write @@PROCID for its id, OBJECT_NAME(@@PROCID) for its name"
        elif not is_own:
            advice = f"write -- procver: requires {label(name)}, or {advice}"
        self.findings.note(
            self.unit,
            at,
            "string-mention",
            f"{label(name)} is named in a string, where it cannot be given its version",
            advice,
            name,
        )

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
