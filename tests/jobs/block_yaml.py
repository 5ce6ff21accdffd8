"""The part of YAML that our own files use, read strictly: what a full reader would take otherwise is refused.

Block mappings and sequences, one-line flow ones, quoted and plain scalars, ``|`` literals and comments. All plain scalars are
text but null, true, false and integers.
"""

from __future__ import annotations

import json
import re
from typing import Any

_KEY = re.compile(r"([A-Za-z_][\w./-]*):(?: +(.*))?")
_PLAIN = re.compile(r"[A-Za-z0-9_./$*=-](?:[^#:]|:(?! |$)|(?<! )#)*")


def load(text: str) -> Any:
    """Return what a file means; fail where it goes beyond this part of YAML."""
    assert "\t" not in text
    assert "\r" not in text
    lines = text.split("\n")
    found, at = _node(lines, _next(lines, 0), 0)
    assert at == len(lines), lines[at]
    return found


def _next(lines: list[str], at: int) -> int:
    while at < len(lines) and not re.sub(r"#.*", "", lines[at]).strip():
        at += 1
    return at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _node(lines: list[str], at: int, indent: int) -> tuple[Any, int]:
    assert _indent(lines[at]) == indent, lines[at]
    return (_sequence if lines[at].lstrip().startswith("- ") else _mapping)(lines, at, indent)


def _sequence(lines: list[str], at: int, indent: int) -> tuple[list[Any], int]:
    found = []
    while at < len(lines) and _indent(lines[at]) == indent and lines[at].lstrip().startswith("- "):
        rest = lines[at][indent + 2 :]
        if _KEY.fullmatch(rest):
            lines[at] = " " * (indent + 2) + rest
            item, at = _node(lines, at, indent + 2)
        else:
            item, at = _scalar(rest), _next(lines, at + 1)
        found.append(item)
    return found, at


def _mapping(lines: list[str], at: int, indent: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while at < len(lines) and _indent(lines[at]) == indent:
        match = _KEY.fullmatch(lines[at].strip())
        assert match, lines[at]
        key, rest = match.groups()
        assert key not in found, f"{key} twice"
        if rest == "|":
            at += 1
            block = []
            while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) > indent):
                block.append(lines[at])
                at += 1
            inner = _indent(block[0])
            found[key] = "\n".join(line[inner:] for line in block).rstrip("\n") + "\n"
            at = _next(lines, at)
        elif rest:
            found[key], at = _scalar(rest), _next(lines, at + 1)
        else:
            at = _next(lines, at + 1)
            deeper = _indent(lines[at]) if at < len(lines) else 0
            same = deeper == indent and lines[at].lstrip().startswith("- ")
            found[key] = None
            if deeper > indent or same:
                found[key], at = _node(lines, at, deeper)
    return found, at


def _scalar(text: str) -> Any:
    text = text.strip()
    if text.startswith('"'):
        return json.loads(text)
    if text.startswith("[") or text.startswith("{"):
        assert text[-1] == {"[": "]", "{": "}"}[text[0]], text
        parts = [
            part.strip() for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", text[1:-1])
        ]
        if text[0] == "[":
            return [_scalar(part) for part in parts]
        return {key: _scalar(value) for key, value in (part.split(": ") for part in parts)}
    assert _PLAIN.fullmatch(text), text
    plain: dict[str, Any] = {"null": None, "true": True, "false": False}
    return plain[text] if text in plain else int(text) if text.isdigit() else text
