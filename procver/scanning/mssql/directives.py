"""``-- procver: ...`` comments: what a source says to procver beside its SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

from procver.errors import SourceError, UsageError
from procver.objects import Name
from procver.scanning.mssql.lexer import Special, directive_comments
from procver.scanning.mssql.names import Names, label, parse
from procver.scanning.mssql.unit import File

_KNOWN = 'the directives are "requires dbo.v [, dbo.w]", "revision 2" and "pin dbo.v = 2"'
_DIRECTIVE = re.compile(r"--[ \t]*procver:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.DOTALL)
_ITEM = re.compile(r'(?:\[[^\]]*(?:\]\][^\]]*)*\]|"[^"]*(?:""[^"]*)*"|[^,"\[])+|["\[]')
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

    def read(self, file: File, names: Names, default_schema: str) -> None:
        """Add the directives of ``file``.

        Raises:
            SourceError: a directive is unknown, malformed, or names what is not managed.
        """
        for comment in directive_comments(file.text):
            self._read(comment, file.line_at(comment.start), names, default_schema)

    def _read(self, comment: Special, line: int, names: Names, default_schema: str) -> None:
        match = _DIRECTIVE.fullmatch(comment.text)
        said = match[1] if match else ""
        word, _, rest = said.partition(" ")
        word, rest = word.lower(), rest.strip()
        if word == "requires" and rest and not rest.endswith(","):
            for text in _ITEM.findall(rest):
                name = _managed_name(text.strip(), line, default_schema, names)
                if name != names.own.name:
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
            name = _managed_name(pin[1], line, default_schema, names)
            if name == names.own.name:
                raise SourceError(
                    f"{label(name)} cannot pin itself", line=line, hint="remove the pin"
                )
            if self.pins.setdefault(name, int(pin[2])) != int(pin[2]):
                raise SourceError(
                    f"two pins of {label(name)}: {self.pins[name]} and {pin[2]}",
                    line=line,
                    hint="keep one of them",
                )
        else:
            what = "malformed" if word in ("requires", "revision", "pin") else "unknown"
            raise SourceError(f"{what} directive: procver: {said}".rstrip(), line=line, hint=_KNOWN)


def _managed_name(text: str, line: int, default_schema: str, names: Names) -> Name:
    try:
        name = parse(text, default_schema)
    except UsageError as error:
        raise SourceError(error.message, line=line, hint=_KNOWN) from error
    schemas = [name.schema.lower()]
    if parse(text, "\x01").schema == "\x01":
        schemas += names.path
    for schema in schemas:
        known = names.known(schema, name.leaf.lower())
        if known is not None:
            return known
    raise SourceError(
        f"{label(name)} is not managed by procver", line=line, hint=nearest(name, names)
    )


def nearest(name: Name, names: Names) -> str:
    """Return a hint with the managed names that look most like ``name``."""
    same_leaf = [label(found) for found in names.index.leaves.get(name.leaf.lower(), ())]
    near = same_leaf or get_close_matches(label(name), map(label, names.index.managed.kinds), 3)
    if near:
        return "did you mean " + " or ".join(near[:3]) + "?"
    return "there is no source for it: check the spelling, or add one"
