"""``-- procver: ...`` comments: what a source says to procver beside its SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from procver.errors import SourceError, UsageError
from procver.objects import Name
from procver.scanning.lexing import DIRECTIVE
from procver.scanning.names import Names, Spelling

_DIRECTIVE = re.compile(rf"{DIRECTIVE}(.*)", re.DOTALL)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_WORDS = ("requires", "revision", "pin")


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
        self, comment: str, line: int, names: Names, default_schema: str, path: Sequence[str]
    ) -> None:
        """Add one directive; other comments say nothing.

        Args:
            comment: the comment, whole.
            line: where it stands.
            names: what a name stands for.
            default_schema: the schema of names without one,
            path: and where such a name is looked up after that.

        Raises:
            SourceError: the directive is unknown, malformed, or names what is not managed.
        """
        match = _DIRECTIVE.fullmatch(comment)
        if match is None:
            return
        spelling = names.index.spelling

        def managed(text: str) -> Name:
            return _managed(text, line, names, default_schema, path)

        said = match[1].strip(" \t")
        word, _, rest = said.partition(" ")
        word, rest = word.lower(), rest.strip()
        if word == "requires" and rest and not rest.endswith(","):
            for text in spelling.item.findall(rest):
                name = managed(text.strip())
                if name != names.own.name:
                    self.requires[name] = None
        elif word == "revision" and rest.isascii() and rest.isdecimal() and len(rest) < 10:
            self._revise(int(rest), line)
        elif word == "pin" and (pin := _pinned(rest)) is not None:
            name = managed(pin[0])
            if name == names.own.name:
                raise SourceError(
                    f"{spelling.label(name)} cannot pin itself", line=line, hint="remove the pin"
                )
            self._pin(name, pin[1], line, spelling)
        else:
            what = "malformed" if word in _WORDS else "unknown"
            raise SourceError(
                f"{what} directive: procver: {said}".rstrip(), line=line, hint=_known(spelling)
            )

    def _revise(self, revision: int, line: int) -> None:
        if self.revision not in (0, revision):
            raise SourceError(
                f"two revisions in one file: {self.revision} and {revision}",
                line=line,
                hint="keep one of them",
            )
        self.revision = revision

    def _pin(self, name: Name, version: int, line: int, spelling: Spelling) -> None:
        if self.pins.setdefault(name, version) != version:
            raise SourceError(
                f"two pins of {spelling.label(name)}: {self.pins[name]} and {version}",
                line=line,
                hint="keep one of them",
            )


def _pinned(text: str) -> tuple[str, int] | None:
    """Return the name and the version in ``app.v = 2``, None if ``text`` is not of that form."""
    name, _, version = text.rpartition("=")
    if not name.strip() or _NUMBER.fullmatch(version.strip()) is None:
        return None
    return name.strip(), int(version)


def _known(spelling: Spelling) -> str:
    schema = spelling.example
    return (
        f'the directives are "requires {schema}.v [, {schema}.w]", "revision 2" and'
        f' "pin {schema}.v = 2"'
    )


def _managed(text: str, line: int, names: Names, default_schema: str, path: Sequence[str]) -> Name:
    spelling = names.index.spelling
    try:
        name = spelling.parse(text, default_schema)
    except UsageError as error:
        raise SourceError(error.message, line=line, hint=_known(spelling)) from error
    key = spelling.key(name)
    has_schema = spelling.parse(text, "\x01").schema != "\x01"
    for schema in (key.schema, *(() if has_schema else path)):
        known = names.known(schema, key.leaf)
        if known is not None:
            return known
    raise names.unmanaged(name, line)
