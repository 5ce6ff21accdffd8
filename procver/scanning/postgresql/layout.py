"""A source file as statements: settings, the definition, what belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from procver.errors import SourceError
from procver.objects import Header, Name
from procver.scanning.names import has_control
from procver.scanning.postgresql.definition import (
    Definition,
    is_placeholder,
    read_head,
    read_path,
)
from procver.scanning.postgresql.lexer import UNTERMINATED, fold, identifier, tokens
from procver.scanning.postgresql.names import label, reserved_schema
from procver.scanning.postgresql.refusals import (
    refuse_client_syntax,
    refuse_escapes,
    refused,
)
from procver.scanning.postgresql.unit import Unit
from procver.scanning.refusals import in_reserved_schema, refuse_nul
from procver.scanning.tokens import closing

_HEADER_TOKENS = 16
_TRANSACTION = frozenset({"begin", "commit", "start", "end"})
_FOLLOWING = frozenset(
    ["grant", "revoke", "comment", "security", "alter", "create", "refresh", "cluster", "analyze"]
)
_UNSETTABLE = {
    "role": "say who owns it with ALTER ... OWNER TO after the definition",
    "authorization": "say who owns it with ALTER ... OWNER TO after the definition",
    "transaction": "remove it: procver sends a source in a transaction of its own",
    "constraints": "remove it: it has no effect on a definition",
    "characteristics": "remove it: procver sends a source in a transaction of its own",
}

Range = tuple[int, int]


@dataclass(slots=True)
class Layout:
    """The statements of a source, as token ranges.

    Attributes:
        own: the object that is defined.
        settings: SET statements before the definition.
        definitions: CREATE statements: several for overloads.
        following: what comes after, about the same object.
        drops: DROP statements of the object, which are left out.
        path: schemas of a ``SET search_path`` before the definition, None without one.
    """

    own: Header
    settings: list[Range] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    following: list[Range] = field(default_factory=list)
    drops: list[Range] = field(default_factory=list)
    path: tuple[str, ...] | None = None


def statements(toks: Sequence[str]) -> list[Range]:
    """Return the token ranges between the semicolons that separate statements."""
    if "atomic" in toks or "rule" in toks:
        return _nested_statements(toks)
    found: list[Range] = []
    start, size = 0, len(toks)
    while start < size:
        try:
            end = toks.index(";", start)
        except ValueError:
            end = size
        if end > start:
            found.append((start, end))
        start = end + 1
    return found


def _nested_statements(toks: Sequence[str]) -> list[Range]:
    # As psql does it: BEGIN ATOMIC opens a block, CASE another, END closes one.
    found: list[Range] = []
    start = depth = blocks = 0
    for i, token in enumerate(toks):
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif token == "atomic" and i and toks[i - 1] == "begin":
            blocks = 1
        elif blocks and token in ("case", "end") and toks[i - 1] not in (".", "as"):
            blocks += 1 if token == "case" else -1
        elif token == ";" and depth <= 0 and not blocks:
            if i > start:
                found.append((start, i))
            start = i + 1
    if start < len(toks):
        found.append((start, len(toks)))
    return found


def read_header(text: str, default_schema: str) -> Header:
    """Return which object ``text`` defines, reading little more than its name.

    Raises:
        SourceError: see `read_layout`.
    """
    if "\x00" not in text:
        toks = [fold(text[a:b]) for a, b in islice(tokens(text), _HEADER_TOKENS)]
        path: tuple[str, ...] | None = None
        for lo, hi in statements(toks):
            if toks[lo] == "set":
                path = _search_path(toks, lo, hi) or path
            elif toks[lo] == "create":
                definition = read_head(toks, lo, hi)
                if definition is None or definition.after + 1 >= len(toks):
                    break
                found = _name(toks, definition, path, default_schema)
                is_clear = UNTERMINATED.isdisjoint(toks[: definition.after])
                if found is None or reserved_schema(found.schema):
                    break
                if is_clear and not definition.temporary:
                    return Header(found, definition.kind)
                break
            elif toks[lo] not in _TRANSACTION and toks[lo] != "drop":
                break
    refuse_nul(text, "PostgreSQL")
    return read_layout(Unit(text), default_schema).own


def _name(
    toks: Sequence[str],
    definition: Definition,
    path: tuple[str, ...] | None,
    default_schema: str,
) -> Name | None:
    parts = [identifier(toks[i]) for i in definition.name]
    if len(parts) > 2 or any(has_control(part) for part in parts):
        return None
    if any(toks[i][:3] in ('u&"', 'U&"') for i in definition.name):
        return None
    if len(parts) == 2:
        return Name(parts[0], parts[1])
    return Name(path[0] if path else default_schema, parts[0])


def _search_path(toks: Sequence[str], lo: int, hi: int) -> tuple[str, ...] | None:
    i = lo + 1
    if i < hi and toks[i] in ("local", "session"):
        i += 1
    if i < hi and toks[i] == "search_path":
        return read_path(list(toks), i + 1, hi)[1]
    return None


def read_layout(unit: Unit, default_schema: str) -> Layout:
    """Return the statements of a file.

    Raises:
        SourceError: the file defines nothing, something that is not versioned, or more than one
            object; or holds statements that have no place in a source.
    """
    refuse_client_syntax(unit)
    refuse_escapes(unit)
    toks = unit.folded
    ranges = statements(toks)
    if not ranges:
        raise SourceError(
            "the file holds no statement",
            line=1,
            hint="write CREATE FUNCTION, PROCEDURE, VIEW or MATERIALIZED VIEW in it, or delete it",
        )
    layout: Layout | None = None
    path: tuple[str, ...] | None = None
    settings: list[Range] = []
    drops: list[Range] = []
    following: list[Range] = []
    for lo, hi in ranges:
        word = toks[lo]
        definition = read_head(toks, lo, hi) if word == "create" else None
        if definition is not None:
            header = _header(unit, definition, path, default_schema)
            if layout is None:
                layout = Layout(header, settings, [definition], following, drops, path)
            else:
                _refuse_second(unit, layout, header, definition)
                layout.definitions.append(definition)
        elif word == "set":
            _refuse_setting(unit, lo, hi, is_late=layout is not None)
            settings.append((lo, hi))
            path = _search_path(toks, lo, hi) or path
        elif word == "drop" and _drops_managed_kind(toks, lo):
            drops.append((lo, hi))
        elif layout is not None and word in _FOLLOWING:
            following.append((lo, hi))
        elif word not in _TRANSACTION or "prepared" in toks[lo:hi]:
            raise refused(unit, lo, hi)
    if layout is None:
        lo, hi = (drops or settings or ranges)[0]
        raise unit.error(
            lo,
            "the file defines no function, procedure or view",
            "write CREATE FUNCTION, PROCEDURE, VIEW or MATERIALIZED VIEW in it, or delete it",
        )
    for lo, hi in drops:
        if dropped_name(toks, lo, hi, layout, default_schema) != layout.own.name:
            raise refused(unit, lo, hi)
    return layout


def _header(
    unit: Unit, definition: Definition, path: tuple[str, ...] | None, default_schema: str
) -> Header:
    at = definition.name[0]
    name = _name(unit.folded, definition, path, default_schema)
    if definition.temporary:
        raise unit.error(
            definition.lo,
            "a temporary view is not versioned here: it ends with its session",
            "drop TEMP, or create it where it is used",
        )
    if name is None:
        written = "".join(unit.written[definition.name[0] : definition.name[-1] + 1])
        raise unit.error(
            at,
            f"{written!r} is no name that procver takes: it has more than two parts, control"
            " characters or Unicode escapes",
            "write schema.name",
        )
    if definition.after < len(unit.folded) and unit.folded[definition.after] == ".":
        raise unit.error(at, "the name goes on after its last dot", "write schema.name")
    reason = reserved_schema(name.schema)
    if reason is not None:
        raise unit.error(at, *in_reserved_schema(label(name), name.schema, reason))
    return Header(name, definition.kind)


def _refuse_second(unit: Unit, layout: Layout, header: Header, definition: Definition) -> None:
    first = layout.own
    if header == first and header.kind.is_routine:
        return
    both = f"{first.kind.replace('_', ' ')} {label(first.name)}"
    other = f"{header.kind.replace('_', ' ')} {label(header.name)}"
    if header == first:
        message = f"the file defines {both} twice"
        hint = "keep one of the two definitions"
        if is_placeholder(unit.folded, layout.definitions[0]):
            hint = (
                "delete the first: pg_dump writes such a placeholder, of NULL columns, for a view"
                " in a cycle"
            )
    else:
        message = f"the file defines two objects: {both} and {other}"
        hint = (
            f"give one of them another name: {_both_kinds(first, header)} cannot share a version"
            if header.name == first.name
            else "write each object in a file of its own"
        )
    raise unit.error(definition.lo, message, hint)


def _both_kinds(one: Header, other: Header) -> str:
    kinds = [header.kind.replace("_", " ") for header in (one, other)]
    return f"a {kinds[0]} and a {kinds[1]}"


def _refuse_setting(unit: Unit, lo: int, hi: int, *, is_late: bool) -> None:
    toks = unit.folded
    if is_late:
        raise unit.error(
            lo,
            "SET after the definition has no effect on it",
            "write settings before CREATE, or as a SET clause of the function",
        )
    words = [toks[i] for i in range(lo + 1, min(lo + 3, hi))]
    for word in words:
        if word in _UNSETTABLE:
            raise unit.error(lo, f"SET {word.upper()} has no place in a source", _UNSETTABLE[word])
    if len(words) < 2:
        raise unit.error(lo, "this SET sets nothing", "write SET name = value")


def _drops_managed_kind(toks: Sequence[str], lo: int) -> bool:
    nouns = ("function", "procedure", "routine", "view", "materialized")
    return lo + 1 < len(toks) and toks[lo + 1] in nouns


def dropped_name(
    toks: Sequence[str], lo: int, hi: int, layout: Layout, default_schema: str
) -> Name | None:
    """Return the one name that a DROP statement drops, None if it drops several."""
    i = lo + 2
    if toks[lo + 1] == "materialized":
        i += 1
    if list(toks[i : i + 2]) == ["if", "exists"]:
        i += 2
    parts = [identifier(toks[i])] if i < hi else [""]
    if i + 2 < hi and toks[i + 1] == ".":
        parts.append(identifier(toks[i + 2]))
        i += 2
    i += 1
    if i < hi and toks[i] == "(":
        i = closing(list(toks), i, hi) + 1
    if not all(parts) or (i < hi and toks[i] not in ("cascade", "restrict")):
        return None
    schema = layout.path[0] if layout.path else default_schema
    return Name(schema, parts[0]) if len(parts) == 1 else Name(parts[0], parts[1])
