"""What the tests of both scanners share: a managed set with short ways to scan, and what holds of every rewriting."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from procver.errors import SourceError
from procver.objects import Analysis, Header, Kind, Managed, Name, Span, Statement, physical_leaf
from procver.scanning import Scanner, recipes


class Shop:
    """A managed set in one dialect.

    Args:
        scanner: the scanner of the dialect.
        schema: the default schema.
        path: the search path.
        labels: the managed names of each kind.
    """

    def __init__(
        self,
        scanner: Scanner,
        schema: str,
        path: Sequence[str],
        labels: Mapping[Kind, Sequence[str]],
    ) -> None:
        self.scanner = scanner
        self.schema = schema
        self.path = tuple(path)
        self.kinds = {
            scanner.parse(label, schema): kind for kind, each in labels.items() for label in each
        }

    def managed(self, path: Sequence[str] | None = None, suffix: str = "_{version}") -> Managed:
        return Managed(self.kinds, self.path if path is None else path, suffix)

    def header(self, text: str) -> Header:
        return self.scanner.header(text, self.schema)

    def analyse(self, text: str, spans: Sequence[Span] = ()) -> Analysis:
        return self.scanner.analyse(text, self.schema, self.managed(), spans)

    def shape(self, text: str) -> str:
        return self.analyse(text).shape

    def rules(self, text: str) -> list[str]:
        return [note.rule for note in self.analyse(text).notes]

    def statements(self, text: str, spans: Sequence[Span] = ()) -> tuple[Statement, ...]:
        """Every managed object is meant at version 2, the object of the text at version 3."""
        own = self.analyse(text, spans).name
        physical = {name: f"{name.leaf}_2" for name in self.kinds} | {own: f"{own.leaf}_3"}
        return self.scanner.rewrite(text, self.schema, self.managed(), physical, spans)

    def spans(self, text: str, *labels: str) -> tuple[Span, ...]:
        """Return explicit references where ``labels`` stand in ``text``, one after the other."""
        found, at = [], 0
        for label in labels:
            at = text.index(label, at)
            found.append(Span(at, at + len(label), self.scanner.parse(label, self.schema)))
            at += len(label)
        return tuple(found)

    def whole_or_refused(self, text: str) -> None:
        """Whatever is written, it is refused with a line and a hint, or nothing of it is lost."""
        found: tuple[Statement, ...] = ()
        problem: SourceError | None = None
        try:
            found = self.statements(text)
        except SourceError as error:
            problem = error
        assert found or (problem and problem.line and problem.hint)
        for statement in found:
            can_be_undone(text, statement)

    def recipe_is_the_rewriting(
        self, text: str, first: int, managed: Managed | None = None
    ) -> Analysis:
        """Filled in with numbers from ``first`` on, the recipe of ``text`` makes what `rewrite` makes."""
        managed = managed or self.managed()
        analysis = self.scanner.analyse(text, self.schema, managed)
        names = (analysis.name, *analysis.references)
        numbers = range(first, first + len(names))
        leafs: dict[Name, str] = {
            name: physical_leaf(name.leaf, number)
            for name, number in zip(names, numbers, strict=True)
        }
        expected = self.scanner.rewrite(text, self.schema, managed, leafs)
        assert analysis.recipe
        assert recipes.fill(analysis.recipe, text, numbers) == expected
        return analysis

    def is_read_in_linear_time(self, template: str, unit: str, label: str = "") -> None:
        """Four times the units take about four times as long to read, not sixteen times.

        With a label, each unit holds it as an explicit reference. What is too quick to be measured says enough.
        """
        count = 10_000 // len(unit)
        for _ in range(3):  # a busy machine may slow down any one of them
            short, long = (self._seconds(template, unit, n, label) for n in (count, 4 * count))
            if long < 0.1 or long < 9 * short:
                return
        raise AssertionError(
            f"{short:.2f} s for {count} times {unit!r}, {long:.2f} s for four times that"
        )

    def _seconds(self, template: str, unit: str, count: int, label: str) -> float:
        text = template.replace("...", unit * count)
        spans = self.spans(text, *[label] * count) if label else ()
        gc.disable()  # what other tests left behind is no concern of these
        start = time.process_time()
        try:
            with suppress(SourceError):
                self.statements(self.scanner.unwrapped(text, self.schema), spans)
        finally:
            gc.enable()
        return time.process_time() - start


def can_be_undone(text: str, statement: Statement) -> None:
    """Undo the edits, and find each kept character where `locate` says it came from."""
    at, position = statement.start, 0
    for edit in statement.edits:
        assert edit.start >= at
        kept = text[at : edit.start]
        assert statement.text.startswith(kept + edit.text, position)
        for offset in range(len(kept)):
            assert statement.locate(position + offset) == at + offset
        for offset in range(len(edit.text)):
            assert statement.locate(position + len(kept) + offset) == edit.start
        position += len(kept) + len(edit.text)
        at = edit.end
    rest = statement.text[position:]
    assert text.startswith(rest, at)
    for offset in range(len(rest)):
        assert statement.locate(position + offset) == at + offset
