"""Placeholders of other tools that nothing has filled in: no dialect can read them."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Final

from procver.scanning.tokens import positions

HINT: Final = (
    "say in [placeholders] of procver.toml what it stands for, or make the file a template"
    " (.sql.j2)"
)
_CLOSING = {"<": ">"}
_WHOLE = (
    r"\$\{[^{}\n]*\}|\$\([^()\n]*\)|\$\w+\$|\{\{[^{}\n]*\}\}|\{%[^{}\n]*%\}|\{[^{}\n]*\}|<[^<>\n]*>"
    r"|&&?\w+\.?|([%&|^~!@#?:`]+)\w+\1|:'[^']*'"
    r'|:"[^"]*"'
)
_WORD = r"\S\w*"


def placeholder(text: str, start: int) -> str:
    """Return the placeholder that starts at an offset of ``text``, or what looks like one."""
    rest = text[start:]
    found = re.match(_WHOLE, rest) or re.match(_WORD, rest)
    return found.group() if found else rest[:1]


def message(text: str, start: int) -> str:
    """Return the message that the placeholder at an offset of ``text`` is left."""
    return f"{placeholder(text, start)} is a placeholder of another tool, and nothing fills it in"


def sign_for_name(
    toks: Sequence[str], distinct: Mapping[str, None], signs: Mapping[str, Container[str]]
) -> int:
    """Return the first sign that stands where a name must, -1 if none does.

    ``%x%.v`` and ``<x>.v`` are nothing else; of other forms the token before decides.

    Args:
        toks: the folded tokens.
        distinct: the same, each once.
        signs: each sign with the tokens that only a name may follow.
    """
    for i in positions(toks, signs.keys() & distinct.keys(), 1, len(toks) - 1):
        sign = toks[i]
        around = toks[i + 2 : i + 4]
        if list(around) == [_CLOSING.get(sign, sign), "."] and toks[i + 1][0].isalpha():
            return i
        is_distinct = toks[i - 1] == "from" and "distinct" in toks[i - 3 : i]
        if toks[i - 1] in signs[sign] and not is_distinct and toks[i + 1] != sign:
            return i
    return -1
