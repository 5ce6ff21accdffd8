"""From a reading to what versioning needs to know of it: the same in every dialect."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from procver.objects import Analysis, Name, Note, Span
from procver.scanning import recipes
from procver.scanning.directives import Directives
from procver.scanning.marks import Finding, Findings
from procver.scanning.names import Names
from procver.scanning.stretches import Stretch

# No token is longer than one character and starts with \x01, so none looks like a mark.
OWN, OPEN, CLOSE, END = "\x01own", "\x01(", "\x01)", "\x01;"
"""What stands in a shape for the object itself, around a body, and after a statement."""


@dataclass(slots=True, kw_only=True)
class Reading:
    """A source with every decision taken.

    Attributes:
        names: what a name stands for.
        findings: notes, fixed versions, recursion.
        directives: what its ``-- procver:`` comments say.
        words: every identifier in it.
        spans: the explicit references of a template.
        skipped: what is not sent.
    """

    names: Names
    findings: Findings
    directives: Directives = field(default_factory=Directives)
    words: dict[str, None] = field(default_factory=dict)
    spans: Sequence[Span] = ()
    skipped: Sequence[Finding] = ()

    def notes(self) -> tuple[Note, ...]:
        """Return what was left undecided, in the order of lines."""
        if not self.findings.notes and not self.skipped:
            return ()
        covered = {self.names.exact(span.name) for span in self.spans}
        covered |= self.directives.requires.keys()
        return self.findings.as_notes(covered, self.skipped)


class Shape:
    """The shape of a source, what of it a version number stands for: its significant tokens.

    Attributes:
        references: the managed objects referred to, in order of first appearance.
        out: the tokens, references replaced by their index.
    """

    def __init__(self) -> None:
        self.references: dict[Name, int] = {}
        self.out: list[str] = []

    def reference(self, name: Name) -> str:
        """Return what stands for a reference to ``name``."""
        return f"\x01{self.references.setdefault(name, len(self.references))}"

    def digest(self) -> str:
        """Return the SHA-256 of all that was gathered, in hex.

        Line ends inside literals count as line feeds, as which they are sent: a checkout on
        another system makes no new version.
        """
        text = "\x00".join(self.out)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def analysis(
    reading: Reading,
    shape: Shape,
    text: str,
    rewrite: Callable[[Mapping[Name, str]], Sequence[Stretch]],
    reserved: frozenset[str],
    early: Container[Name] = (),
) -> Analysis:
    """Return all that versioning needs to know of a source.

    Args:
        reading: the source, read.
        shape: its shape.
        text: its text.
        rewrite: rewrites it, given the leaf for each name.
        reserved: words that cannot be names.
        early: what a routine's creation looks up.
    """
    names, directives = reading.names, reading.directives
    own = names.own
    references = dict.fromkeys(shape.references)
    explicit = (names.exact(span.name) for span in reading.spans)
    references.update(dict.fromkeys((*explicit, *directives.requires)))
    references.pop(own.name, None)
    words = reading.words
    for word in words.keys() & reserved:
        del words[word]
    return Analysis(
        name=own.name,
        kind=own.kind,
        shape=shape.digest(),
        references=tuple(references),
        recursive=reading.findings.recursive,
        fixed=tuple(sorted(reading.findings.fixed)),
        pins=tuple(directives.pins.items()),
        revision=directives.revision,
        notes=reading.notes(),
        words="\n".join(words),
        recipe=recipes.make(text, (own.name, *references), names.index.managed.suffix, rewrite),
        early=tuple([name for name in references if name in early]) if own.kind.is_routine else (),
    )
