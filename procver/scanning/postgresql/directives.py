"""``-- procver: ...`` comments: what a source says to procver beside its SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

from procver.errors import SourceError, UsageError
from procver.objects import Managed, Name
from procver.scanning.postgresql.lexer import Special
from procver.scanning.postgresql.names import label, parse
from procver.scanning.postgresql.unit import Unit

_KNOWN = 'the directives are "requires app.v [, app.w]", "revision 2" and "pin app.v = 2"'
_DIRECTIVE = re.compile(r"--[ \t]*procver:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.DOTALL)
_ITEM = re.compile(r'(?:"[^"]*(?:""[^"]*)*"|[^,"])+|"')
_PIN = re.compile(r"(.+?)\s*=\s*([1-9][0-9]{0,8})")


@dataclass(slots=True)
class Directives:
    """What the directives of a source say.

    Attributes:
        requires: names it depends on, in order.
        pins: names held at a version.
        revision: 0 without one.
    """

    requires: dict[Name, None] = field(default_factory=dict)
    pins: dict[Name, int] = field(default_factory=dict)
    revision: int = 0

    def read(
        self, unit: Unit, comments: list[Special], own: Name, default_schema: str, managed: Managed
    ) -> None:
        """Add the directives among ``comments`` of ``unit``.

        Raises:
            SourceError: a directive is unknown, malformed, or names what is not managed.
        """
        for comment in comments:
            match = _DIRECTIVE.fullmatch(comment.text)
            if match is None:
                continue
            line = unit.line_at(comment.start)
            word, _, rest = match[1].partition(" ")
            rest = rest.strip()
            if word == "requires" and rest and not rest.endswith(","):
                for text in _ITEM.findall(rest):
                    name = _managed_name(text.strip(), line, default_schema, managed, own)
                    if name != own:
                        self.requires[name] = None
            elif word == "revision" and rest.isascii() and rest.isdecimal() and len(rest) < 10:
                if self.revision not in (0, int(rest)):
                    raise SourceError(
                        f"two revisions in one file: {self.revision} and {int(rest)}",
                        line=line,
                        hint="keep one of them",
                    )
                self.revision = int(rest)
            elif word == "pin" and (pin := _PIN.fullmatch(rest)):
                name = _managed_name(pin[1], line, default_schema, managed, own)
                if name == own:
                    raise SourceError(
                        f"{label(own)} cannot pin itself", line=line, hint="remove the pin"
                    )
                if self.pins.setdefault(name, int(pin[2])) != int(pin[2]):
                    raise SourceError(
                        f"two pins of {label(name)}: {self.pins[name]} and {pin[2]}",
                        line=line,
                        hint="keep one of them",
                    )
            else:
                known = word in ("requires", "revision", "pin")
                what = "malformed" if known else "unknown"
                raise SourceError(
                    f"{what} directive: procver: {match[1]}".rstrip(), line=line, hint=_KNOWN
                )


def _managed_name(text: str, line: int, default_schema: str, managed: Managed, own: Name) -> Name:
    try:
        name = parse(text, default_schema)
    except UsageError as error:
        raise SourceError(error.message, line=line, hint=_KNOWN) from error
    if name in managed.kinds or name == own:
        return name
    if "." not in text:
        for schema in managed.search_path:
            if Name(schema, name.leaf) in managed.kinds:
                return Name(schema, name.leaf)
    raise SourceError(
        f"{label(name)} is not managed by procver", line=line, hint=nearest(name, managed)
    )


def nearest(name: Name, managed: Managed) -> str:
    """Return a hint with the managed names that look most like ``name``."""
    same_leaf = [label(found) for found in managed.by_leaf.get(name.leaf, ())]
    near = same_leaf or get_close_matches(label(name), map(label, managed.kinds), 3)
    if near:
        return "did you mean " + " or ".join(near[:3]) + "?"
    return "there is no source for it: check the spelling, or add one"
