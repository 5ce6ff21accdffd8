"""Types of the arguments that a source's overloads take."""

from __future__ import annotations

import re

from procver.scanning.postgresql.definition import read_head, read_routine
from procver.scanning.postgresql.layout import statements
from procver.scanning.postgresql.lexer import fold, tokens

_MODES = {"in", "inout", "variadic", "out"}
_LONG = {
    "double", "character", "char", "bit", "timestamp", "time", "national", "interval", "nchar",
}  # fmt: skip
"""First words of types of several words."""

_SAME = {
    "int": "integer", "int4": "integer", "int2": "smallint", "int8": "bigint", "bool": "boolean",
    "float": "double precision", "float8": "double precision", "float4": "real",
    "decimal": "numeric", "varchar": "character varying", "char": "character",
    "char varying": "character varying", "bpchar": "character", "varbit": "bit varying",
    "timestamptz": "timestamp with time zone", "timetz": "time with time zone",
    "timestamp": "timestamp without time zone", "time": "time without time zone",
}  # fmt: skip


def overloads(text: str) -> list[tuple[str, ...]]:
    """Return the types of the input arguments of each routine that ``text`` defines, as the server writes them."""
    toks = [fold(text[a:b]) for a, b in tokens(text)]
    found: list[tuple[str, ...]] = []
    for lo, hi in statements(toks):
        definition = read_head(toks, lo, hi) if toks[lo] == "create" else None
        if definition is not None and definition.kind.is_routine:
            start, end = read_routine(toks, definition).arguments
            is_procedure = str(definition.kind) == "procedure"
            found.append(tuple(_types(toks[start:end], with_out=is_procedure)))
    return found


def _types(toks: list[str], *, with_out: bool) -> list[str]:
    found: list[str] = []
    for words in _split(toks):
        mode = words.pop(0) if words[0] in _MODES and len(words) > 1 else "in"
        if mode == "out" and not with_out:
            continue
        if mode in ("in", "inout", "variadic", "out") and len(words) > 1 and words[0] in _MODES:
            words.pop(0)
        for default in ("default", "=", ":="):
            if default in words:
                words = words[: words.index(default)]
        named = (
            len(words) > 1
            and words[0] not in _LONG
            and words[1] not in (".", "(", "[", "%", "array")
        )
        found.append(_plain(words[1:] if named else words))
    return found


def _split(toks: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    depth = 0
    for token in toks:
        depth += (token in "([") - (token in ")]")
        if token == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _plain(words: list[str]) -> str:
    """Return a type as format_type writes it, without its schema."""
    text = " ".join(words)
    array = "[]" if re.search(r"\[[\d ]*\]|\barray\b", text) else ""
    text = re.sub(r"\[[\d ]*\]|\barray\b(?: \[[\d ]*\])?|\([^)]*\)", " ", text)
    text = " ".join(text.rpartition(" . ")[2].split())
    return (text.strip('"') if text.startswith('"') else _SAME.get(text, text)) + array
