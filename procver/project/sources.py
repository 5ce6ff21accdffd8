"""The source files of a project, read and analysed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import sha256
from typing import NamedTuple

from procver.errors import SourceError
from procver.objects import (
    AFTER,
    Analysis,
    Header,
    Kind,
    Managed,
    Name,
    Span,
    Statement,
    physical_leaf,
)
from procver.project.cache import Cache, Cached, recipe_sum
from procver.project.config import Config
from procver.project.decoding import decode
from procver.project.failures import Failures
from procver.project.files import read_bytes
from procver.project.placeholders import filler
from procver.project.templates import SOURCE as TEMPLATE
from procver.project.templates import Templates
from procver.project.tree import File, libraries, walk
from procver.scanning import Scanner
from procver.scanning.recipes import fill

__all__ = ["Source", "Sources", "decode", "load"]

KEEP_BYTES = 64 << 20
"""How much of what was read is kept for the rewriting."""


class Source(NamedTuple):
    """One source file.

    Attributes:
        path: relative to the project, with ``/``.
        digest: SHA-256, in hex, of its bytes; for a template of all that it renders from.
        name: the object it defines.
        kind: what that is.
        label: the object's canonical name.
        analysis: what versioning needs to know of it; its ``words`` and ``recipe`` are dropped.
    """

    path: str
    digest: str
    name: Name
    kind: Kind
    label: str
    analysis: Analysis


@dataclass(frozen=True, slots=True)
class Sources:
    """All sources of a project; their texts are read again when asked for.

    Attributes:
        by_name: sources by the object they define, in order of their paths.
        managed: what the scanner needs to know of all of them.
        labels: canonical names.
    """

    by_name: dict[Name, Source]
    managed: Managed
    labels: dict[Name, str]
    _reader: _Reader = field(repr=False)
    _recipes: _Recipes = field(repr=False)

    def text(self, name: Name) -> tuple[str, tuple[Span, ...]]:
        """Return the (rendered) text of a source and the explicit references in it.

        Raises:
            SourceError: the file is gone or has changed since it was read.
        """
        source = self.by_name[name]
        reader = self._reader
        data = reader.kept.get(source.path)
        if data is None:
            file = File(source.path, f"{reader.root}/{source.path}")
            data = reader.read(file)
            if reader.digest(source.path, data) != source.digest:
                raise SourceError(
                    "has changed since it was read", file=source.path, hint="run the command again"
                )
        return reader.text(source.path, data)

    def statements(self, name: Name, numbers: Mapping[Name, int]) -> tuple[Statement, ...]:
        """Return the statements of a source, every reference made physical.

        Args:
            name: the object.
            numbers: the version of the object itself and of each of its references.

        Raises:
            SourceError: the file is gone or has changed since it was read.
        """
        source = self.by_name[name]
        text, spans = self.text(name)
        recipe = self._recipes.of(source)
        if recipe:
            named = (name, *source.analysis.references)
            return fill(recipe, text, [numbers[each] for each in named])
        suffix = self.managed.suffix
        leafs = {each: physical_leaf(each.leaf, numbers[each], suffix) for each in numbers}
        reader = self._reader
        return reader.scanner.rewrite(
            text, reader.config.default_schema, self.managed, leafs, spans
        )

    def may_add(self, name: Name) -> bool:
        """Return whether statements may follow the definition of ``name``; its source is not read."""
        recipe = self._recipes.of(self.by_name[name])
        return not recipe or AFTER in recipe


class _Recipes:
    """How to rewrite sources; those not made just now come from the cache, when first asked for."""

    def __init__(self, cache: Cache | None, context: str) -> None:
        self._cache = cache
        self._context = context
        self._cached: dict[str, tuple[int, str]] | None = None
        self.fresh: dict[str, str] = {}

    def of(self, source: Source) -> str:
        if source.digest in self.fresh:
            return self.fresh[source.digest]
        if self._cached is None:
            self._cached = self._cache.recipes(self._context) if self._cache else {}
        found, recipe = self._cached.get(source.digest, (0, ""))
        if found != recipe_sum(source.digest, source.analysis, recipe):
            recipe = ""
        self.fresh[source.digest] = recipe
        return recipe


def load(
    config: Config,
    scanner: Scanner,
    cache: Cache | None,
    spellings: Callable[[], Iterable[str]] = tuple,
) -> Sources:
    """Read every source of the project and analyse what the cache does not know.

    Args:
        config: the project.
        scanner: of the project's dialect.
        cache: None to scan everything.
        spellings: gives the labels by which the project has known its objects: where case does not count, a
            source that now writes a name in another one still defines the same object. Asked only there.

    Raises:
        ConfigError: a directory of sources does not exist.
        SourceError: there is no source at all, or some cannot be published: all of these are
            listed in one error.
    """
    files = walk(config)
    reader = _Reader(config, scanner)
    context = _context(config, scanner)
    rows = cache.load(context) if cache else {}
    pending: list[_Pending] = []
    with Failures() as failures:
        for file in files:
            try:
                pending.append(_begin(file, reader, scanner, config, rows))
            except SourceError as error:
                failures.add(error, file.path)
            except RecursionError:
                failures.add(_too_deep(), file.path)
    pending = _respelled(pending, scanner, spellings)
    kinds = _distinct(pending, scanner)
    managed = Managed(kinds, config.search_path, config.suffix, config.databases)
    _refuse_lookalikes(pending, managed, scanner)
    used = {item.digest: rows[item.digest] for item in pending if item.digest in rows}
    valid = cache.valid(used, managed) if cache else set()
    fresh: dict[str, Analysis] = {}
    recipes = _Recipes(cache, context)
    by_name: dict[Name, Source] = {}
    labels: dict[Name, str] = {}
    with Failures() as failures:
        for item in pending:
            if item.digest in valid:
                analysis = used[item.digest].analysis
            else:
                try:
                    analysis = _analyse(item, reader, scanner, config, managed)
                except SourceError as error:
                    failures.add(error, item.file.path)
                    continue
                except RecursionError:
                    failures.add(_too_deep(), item.file.path)
                    continue
                fresh[item.digest] = analysis
                recipes.fresh[item.digest] = analysis.recipe
                analysis = analysis._replace(words="", recipe="")
            name, kind = item.header
            if analysis.name != name:  # it was cached when the project spelled it otherwise
                analysis = analysis._replace(name=name)
            label = labels[name] = scanner.label(name)
            by_name[name] = Source(item.file.path, item.digest, name, kind, label, analysis)
    if cache:
        cache.store(context, managed, fresh, [used[digest] for digest in valid])
    return Sources(by_name, managed, labels, reader, recipes)


def _too_deep() -> SourceError:
    return SourceError(
        "is nested too deeply to be read", hint="use fewer parentheses or blocks in each other"
    )


class _Pending(NamedTuple):
    """A file between the two passes: which object it defines is known, and no more."""

    file: File
    digest: str
    header: Header
    text: str | None
    spans: tuple[Span, ...]


class _Reader:
    """Bytes, digest and text of a source, templates included.

    ``kept`` holds what was read first, by path, up to `KEEP_BYTES` of it; the rest is read again when it is needed.
    """

    def __init__(self, config: Config, scanner: Scanner) -> None:
        self.kept: dict[str, bytes] = {}
        self._room = KEEP_BYTES
        self.root = config.root.as_posix()
        self.config = config
        self.scanner = scanner
        self._made: Templates | None = None
        self._filled = filler(config.placeholders)

    @property
    def _templates(self) -> Templates:
        config, scanner = self.config, self.scanner
        if self._made is None:
            self._made = Templates(
                config.sources,
                libraries(config),
                config.variables,
                config.encoding,
                parse=lambda text: scanner.parse(text, config.default_schema),
                label=scanner.label,
            )
        return self._made

    def read(self, file: File) -> bytes:
        try:
            return read_bytes(file.real)
        except OSError as error:
            raise SourceError(
                f"cannot be read: {error.strerror or error}",
                file=file.path,
                hint="make it a file that this user may read",
            ) from error

    def keep(self, file: File, data: bytes) -> None:
        self._room -= len(data)
        if self._room >= 0:
            self.kept[file.path] = data

    def digest(self, path: str, data: bytes) -> str:
        if path.endswith(TEMPLATE):
            return sha256(b"template %b:%b" % (self._templates.digest.encode(), data)).hexdigest()
        return sha256(data).hexdigest()

    def text(self, path: str, data: bytes) -> tuple[str, tuple[Span, ...]]:
        text = self._filled(decode(data, self.config.encoding))
        if path.endswith(TEMPLATE):
            return self._templates.render(text, path)
        return self.scanner.unwrapped(text, self.config.default_schema), ()


def _begin(
    file: File, reader: _Reader, scanner: Scanner, config: Config, rows: Mapping[str, Cached]
) -> _Pending:
    data = reader.read(file)
    reader.keep(file, data)
    digest = reader.digest(file.path, data)
    row = rows.get(digest)
    if row is not None:
        return _Pending(file, digest, row.header, None, ())
    text, spans = reader.text(file.path, data)
    return _Pending(file, digest, scanner.header(text, config.default_schema), text, spans)


def _analyse(
    item: _Pending, reader: _Reader, scanner: Scanner, config: Config, managed: Managed
) -> Analysis:
    text, spans = item.text, item.spans
    if text is None:
        data = reader.read(item.file)
        if reader.digest(item.file.path, data) != item.digest:
            raise SourceError("changed while it was read", hint="run the command again")
        text, spans = reader.text(item.file.path, data)
    for span in spans:
        if span.name not in managed.kinds and not _has(managed, span.name, scanner):
            raise _unknown(span, text, managed, scanner)
    analysis = scanner.analyse(text, config.default_schema, managed, spans)
    if spans:
        # The scanner need not see words inside of strings, where ref() may well stand.
        words = "\n".join([analysis.words, *(span.name.leaf for span in spans)])
        analysis = analysis._replace(words=words)
    return analysis


def _has(managed: Managed, name: Name, scanner: Scanner) -> bool:
    key = scanner.key(name)
    return any(scanner.key(known) == key for known in managed.kinds)


def _unknown(span: Span, text: str, managed: Managed, scanner: Scanner) -> SourceError:
    label = scanner.label(span.name)
    known = {scanner.label(scanner.key(name)): scanner.label(name) for name in managed.kinds}
    like = get_close_matches(scanner.label(scanner.key(span.name)), known, n=3)
    near = [known[each] for each in like]
    return SourceError(
        f"ref() names {label}, which no source defines",
        line=text.count("\n", 0, span.start) + 1,
        hint=f"did you mean {' or '.join(near)}?" if near else "write it as ref('schema.name')",
    )


def _respelled(
    pending: list[_Pending], scanner: Scanner, spellings: Callable[[], Iterable[str]]
) -> list[_Pending]:
    """Return ``pending`` with the names that the project already has, where case does not count."""
    if not scanner.ignores_case:
        return pending
    known: dict[str, str] = {}
    for label in spellings():
        known.setdefault(label.lower(), label)
    found: list[_Pending] = []
    taken: set[str] = set()
    for item in pending:
        label = scanner.label(item.header.name)
        usual = known.get(label.lower(), label)
        if usual != label and usual not in taken:  # a second source of it is shown as it is written
            header = item.header._replace(name=scanner.parse(usual, ""))
            item = item._replace(header=header)
        taken.add(usual)
        found.append(item)
    return found


def _distinct(pending: list[_Pending], scanner: Scanner) -> dict[Name, Kind]:
    kinds: dict[Name, Kind] = {}
    places: dict[Name, str] = {}
    with Failures() as failures:
        for item in pending:
            name, kind = item.header
            if name in kinds and (kind is Kind.TABLE_TYPE) != (kinds[name] is Kind.TABLE_TYPE):
                failures.add(
                    _namesakes(name, kinds[name], places[name], item, scanner), item.file.path
                )
            elif name in kinds and kinds[name] != kind:
                both = f"a {kinds[name].replace('_', ' ')} and a {kind.replace('_', ' ')}"
                error = SourceError(
                    f"{scanner.label(name)} is defined in {places[name]} already, as another kind:"
                    f" {both} cannot share a version",
                    hint="give one of them another name, or leave one out by exclude in procver.toml",
                )
                failures.add(error, item.file.path)
            elif name in kinds:
                error = SourceError(
                    f"{scanner.label(name)} is defined in {places[name]} already",
                    hint="keep one of the two files, or leave one out by exclude in procver.toml"
                    + ("; overloads of a function go into one" if not scanner.ignores_case else ""),
                )
                failures.add(error, item.file.path)
            kinds[name] = kind
            places[name] = item.file.path
    return kinds


def _namesakes(
    name: Name, first: Kind, place: str, item: _Pending, scanner: Scanner
) -> SourceError:
    """Return the error that a table type and another object have one name, as the server allows."""
    kind = item.header.kind
    one, other = (each.value.replace("_", " ") for each in (first, kind))
    table_type = item.file.path if kind is Kind.TABLE_TYPE else place
    return SourceError(
        f"the {other} {scanner.label(name)} has the name of a {one}, defined in {place}: procver"
        " cannot tell a table type and another object of one name apart",
        hint=f"rename one of the two, or leave {table_type} out by exclude in procver.toml",
    )


def _refuse_lookalikes(pending: list[_Pending], managed: Managed, scanner: Scanner) -> None:
    """Refuse ``app.v_1`` beside ``app.v``: nobody could tell which one a mention means."""
    suffix = scanner.key(Name("", managed.suffix)).leaf
    before, _, after = suffix.partition("{version}")
    keyed = ((item, scanner.key(item.header.name)) for item in pending)
    ends = tuple(f"{digit}{after}" for digit in "0123456789")
    suspects = [(item, key) for item, key in keyed if key.leaf.endswith(ends)]
    by_key = {scanner.key(name): name for name in managed.kinds} if suspects else {}
    with Failures() as failures:
        for item, (schema, leaf) in suspects:
            stem = leaf.removesuffix(after)
            base = stem.rstrip("0123456789")
            number = stem[len(base) :]
            if len(number) > 9:  # no version has such a number
                continue
            key = Name(schema, base.removesuffix(before))
            if key not in by_key or physical_leaf(key.leaf, int(number), suffix) != leaf:
                continue
            original = by_key[key]
            error = SourceError(
                f"{scanner.label(item.header.name)} looks like version {number} of "
                f"{scanner.label(original)}, which is a source too",
                hint="rename one of them; or, where nothing was published yet, choose another suffix in procver.toml",
            )
            failures.add(error, item.file.path)


def _context(config: Config, scanner: Scanner) -> str:
    parts = [
        scanner.dialect,
        scanner.revision,
        config.default_schema,
        config.search_path,
        config.suffix,
        config.databases,
        sorted(config.placeholders.items()),
        config.encoding,
    ]
    return sha256(json.dumps(parts).encode()).hexdigest()
