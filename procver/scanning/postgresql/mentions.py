"""Managed names inside strings, which nothing can rewrite: dynamic SQL and the like."""

from __future__ import annotations

import re
from collections.abc import Container

from procver.objects import Name
from procver.scanning.marks import Findings
from procver.scanning.names import Names
from procver.scanning.postgresql.dynamic import Dynamic
from procver.scanning.postgresql.lexer import fold, identifier
from procver.scanning.postgresql.names import RELATIONS, ROUTINES, label
from procver.scanning.postgresql.unit import Unit, read_literal
from procver.scanning.tokens import positions

_ANY = ROUTINES | RELATIONS
_PART = r'(?:"[^"]+"|[A-Za-z_\x80-\U0010ffff][\w$]*)'
_PARTS = re.compile(_PART)
_BLANKS = r"[ \t\n\r\f\v]*+"
_CHAIN = re.compile(rf"{_PART}(?:{_BLANKS}\.{_BLANKS}{_PART})*")
# How a string starts that holds SQL, or a piece of it.
_SQL = re.compile(
    r"""[\s(]*+ (?: select | with | insert \s+ into | update | delete \s+ from | merge \s+ into
    | call | perform | truncate | create | alter | drop | refresh \s+ materialized | copy
    | lock \s+ table | grant | revoke | explain | declare | begin | values \s* \( | from
    | (?: (?: left | right | full | inner | cross | natural ) \s+ (?: outer \s+ )? )? join
    | union | except | intersect | where | and | or ) \b""",
    re.IGNORECASE | re.VERBOSE,
)
_BEFORE_RELATION = re.compile(
    r"""\b (?: (?: from | join | into | using | only | lateral | table | view ) [\s(]+
    | from \s [\w\s.",]* , \s* ) \Z""",
    re.IGNORECASE | re.VERBOSE,
)
_UPDATE = re.compile(r"\bupdate\s+\Z", re.IGNORECASE)
_SET = re.compile(r"\s+(?:as\s+)?(?:\w+\s+)?set\b", re.IGNORECASE)
_ON = re.compile(r"\bon\s+\Z", re.IGNORECASE)
_ABOUT = re.compile(r"\s*(?:create|grant|revoke|drop|alter)\b", re.IGNORECASE)
_CALL = re.compile(r"\s*\(")
_LOOK_BACK = 200


def read_strings(
    unit: Unit,
    names: Names,
    findings: Findings,
    lo: int,
    hi: int,
    *,
    is_raw: bool = False,
    hidden: Container[str] = (),
) -> dict[str, None]:
    """Note the managed names in the strings of [lo, hi).

    A name with its schema counts everywhere. One without counts where a string becomes SQL, or
    the name of an object (`Dynamic`), and where the string reads like SQL. What RAISE prints does
    not count.

    Args:
        unit: the text.
        names: what is managed.
        findings: where the notes go.
        lo: first token.
        hi: token after the last.
        is_raw: the string is the body of a routine in a language that is not read.
        hidden: names of the body's temporary relations.

    Returns:
        every identifier in the strings.
    """
    words: dict[str, None] = {}
    dynamic: Dynamic | None = None
    for token in unit.strings():
        at = positions(unit.folded, (token,), lo, hi)
        if not at:
            continue
        text = _content(token)
        for match in _CHAIN.finditer(text):
            parts = [identifier(fold(part)) for part in _PARTS.findall(match.group())]
            words.update(dict.fromkeys(parts))
            schema = parts[0] if len(parts) > 1 else None
            found = names.find(schema, parts[1] if len(parts) > 1 else parts[0], _ANY)
            if found is None or ("string-mention", found.name) in findings.notes:
                continue
            if schema is None and parts[0] in hidden:
                continue
            dynamic = dynamic or Dynamic(unit.folded)
            for i in at:
                if i in dynamic.printed:
                    continue
                if schema is not None or (
                    not is_raw
                    and (dynamic.is_dynamic(i) or _is_used(text, match, names, found.name))
                ):
                    _note(unit, findings, i, found.name, is_raw=is_raw)
                    break
    words.pop("", None)
    return words


def read_hints(unit: Unit, names: Names, findings: Findings) -> None:
    """Note the managed names in optimizer hints whose version the text around them reads.

    Hints name relations by alias or name, so one of ``IndexScan(v)`` finds nothing in a query
    that reads ``v_2``.
    """
    read = {mark.name for mark in unit.marks.values()}
    for at, hint in unit.hints.items():
        for chain in _CHAIN.findall(hint):
            parts = [identifier(fold(part)) for part in _PARTS.findall(chain)]
            found = names.find(parts[-2] if len(parts) > 1 else None, parts[-1], RELATIONS)
            if found is not None and found.name in read:
                findings.note(
                    unit,
                    at,
                    "hint-name",
                    f"{label(found.name)} is named in an optimizer hint, which is left as it is:"
                    " its version has another name",
                    f"give it an alias where it is read, as in {label(found.name)} AS x, and name"
                    " the alias in the hint",
                    found.name,
                )


def _content(token: str) -> str:
    """Return what a string holds; as it is written where that makes no difference to names."""
    if token[0] == "$" or (token[0] in "eE" and "\\" in token):
        content = read_literal(token)
        return content[0] if content else token
    return token[1:] if token[0] == "'" else token


def _is_used(text: str, match: re.Match[str], names: Names, name: Name) -> bool:
    """Return whether a text reads like SQL, and a name in it stands where one of its kind would."""
    if _SQL.match(text) is None:
        return False
    start, end = match.span()
    if names.kind(name) in ROUTINES:
        return _CALL.match(text, end) is not None
    before = text[max(0, start - _LOOK_BACK) : start]
    if _UPDATE.search(before) is not None:
        return _SET.match(text, end) is not None
    if _ON.search(before) is not None:
        return _ABOUT.match(text) is not None
    return before.endswith("::") or _BEFORE_RELATION.search(before) is not None


def _note(unit: Unit, findings: Findings, at: int, name: Name, *, is_raw: bool) -> None:
    place = "in a body that procver does not read" if is_raw else "in a string"
    findings.note(
        unit,
        at,
        "string-mention",
        f"{label(name)} is named {place}, where it cannot be given its version",
        f"write -- procver: requires {label(name)}, or use {{{{ ref('{label(name)}') }}}} in a"
        " template",
        name,
    )
