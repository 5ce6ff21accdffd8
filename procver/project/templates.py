"""``*.sql.j2``: Jinja2, sandboxed, with the project's variables and ``ref()``.

A version must mean the same in every database and on every machine, so a template sees nothing but
procver.toml's ``[variables]`` and the ``*.j2`` files beside it: no target, no clock, no chance.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from traceback import extract_tb
from typing import TYPE_CHECKING, NoReturn

from procver.errors import ConfigError, SourceError, UsageError
from procver.objects import Name, Span
from procver.project.decoding import decode
from procver.project.files import read_bytes

if TYPE_CHECKING:
    from procver.project.bounded import BoundedEnvironment

SOURCE = ".sql.j2"
LIBRARY = ".j2"

_REF = re.compile("\0([0-9]{1,9})\0")


class Templates:
    """Renders the templates of one project.

    Args:
        directories: the source directories, relative to the project; ``include`` and ``import``
            look there.
        libraries: each ``*.j2`` file that is no source, by its path relative to the project and
            the path to open it by; read at once, so that all renderings see the same.
        variables: what templates see.
        encoding: of files without a byte order mark.
        parse: a logical name's text to its name.
        label: a name to its canonical text.

    Attributes:
        digest: SHA-256, in hex, of all that rendering depends on besides the template itself.
    """

    def __init__(
        self,
        directories: Iterable[str],
        libraries: Iterable[tuple[str, str]],
        variables: Mapping[str, object],
        encoding: str,
        *,
        parse: Callable[[str], Name],
        label: Callable[[Name], str],
    ) -> None:
        self._directories = tuple(map(posixpath.normpath, directories))
        self._variables = dict(variables)
        self._encoding = encoding
        self._parse = parse
        self._label = label
        self._environments: dict[str, BoundedEnvironment] = {}
        digest = sha256(json.dumps(self._variables, default=repr).encode())
        self._libraries: dict[str, bytes] = {}
        for path, real in sorted(libraries):
            data = _read(real)
            self._libraries[path] = data
            for part in (path.encode(errors="surrogateescape"), data):
                digest.update(b"%d:%b" % (len(part), part))
        self.digest = digest.hexdigest()

    def render(self, text: str, path: str) -> tuple[str, tuple[Span, ...]]:
        """Return the rendered text, and where each ``ref()`` stands in it as a logical name.

        The template's own end of line, CRLF or LF, is the result's too.

        Args:
            text: the template.
            path: what to call it in errors.

        Raises:
            SourceError: the template is wrong; with Jinja's message, file and line.
        """
        from jinja2 import TemplateError

        newline = "\r\n" if "\r\n" in text else "\n"
        environment = self._environments.get(newline)
        if environment is None:
            environment = self._environments[newline] = self._environment(newline)
        references: list[Name] = []

        def ref(name: object) -> _Ref:
            if not isinstance(name, str):
                raise UsageError(f"ref() takes a name in quotes, not {type(name).__name__}")
            references.append(self._parse(name))
            return _Ref(len(references) - 1)

        try:
            environment.begin()
            code = environment.compile(text, name=path, filename=path)
            template = environment.template_class.from_code(
                environment, code, {**environment.globals, "ref": ref}
            )
            rendered = template.render(self._variables)
        except SourceError:
            raise
        except UsageError as error:
            _refuse(error, error.message, path, error.hint)
        except TemplateError as error:
            _refuse(error, error.message or type(error).__name__, path, _hint(error))
        except RecursionError as error:
            why = "it is nested too deeply, or calls or includes itself without end"
            _refuse(error, why, path, None)
        except MemoryError as error:
            _refuse(error, "it needs more memory than there is", path, None)
        except Exception as error:  # whatever an expression of the template raises
            _refuse(error, f"{type(error).__name__}: {error}", path, None)
        return self._place(rendered, references, path)

    def _place(
        self, rendered: str, references: list[Name], path: str
    ) -> tuple[str, tuple[Span, ...]]:
        parts: list[str] = []
        spans: list[Span] = []
        at = length = 0
        for match in _REF.finditer(rendered):
            if int(match[1]) >= len(references):
                break
            name = references[int(match[1])]
            label = self._label(name)
            length += match.start() - at
            parts += (rendered[at : match.start()], label)
            spans.append(Span(length, length + len(label), name))
            length += len(label)
            at = match.end()
        text = "".join([*parts, rendered[at:]])
        if "\0" in text:
            raise SourceError(
                "it writes a NUL character, or the result of ref() was changed before it was written",
                file=path,
                hint="write {{ ref('schema.name') }} by itself, without filters",
            )
        return text, tuple(spans)

    def _environment(self, newline: str) -> BoundedEnvironment:
        try:
            from jinja2 import FunctionLoader

            from procver.project.bounded import BoundedEnvironment
        except ImportError as error:
            raise ConfigError(
                "templates (*.sql.j2) need Jinja2, which is not installed",
                hint="install it: pip install jinja2",
            ) from error
        return BoundedEnvironment(
            (_Ref,),
            keep_trailing_newline=True,
            newline_sequence=newline,
            loader=FunctionLoader(self._load),
        )

    def _load(self, name: str) -> tuple[str, str, Callable[[], bool]] | None:
        parts = name.split("/")
        if name.endswith(SOURCE) or not name.endswith(LIBRARY):
            raise SourceError(
                f"cannot include {name!r}: only *.j2 files that are no sources themselves",
                hint="move what is shared to a file like macros.j2",
            )
        if any(part in ("", ".", "..") or part.startswith(".") or "\\" in part for part in parts):
            raise SourceError(
                f"cannot include {name!r}: it is outside the sources",
                hint="name it relative to a directory of sources in procver.toml",
            )
        for directory in self._directories:
            path = name if directory == "." else f"{directory}/{name}"
            if path in self._libraries:
                try:
                    text = decode(self._libraries[path], self._encoding)
                except SourceError as error:
                    error.file = path
                    raise
                return text, path, lambda: True
        return None


class _Ref:
    """What ``ref()`` gives to a template: something to write, and nothing else to do with."""

    __slots__ = ("_at",)

    def __init__(self, at: int) -> None:
        self._at = at

    def __str__(self) -> str:
        return f"\0{self._at}\0"


def _read(path: str) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise SourceError(
            f"cannot be read: {error.strerror or error}",
            file=os.fspath(path),
            hint="make it a file that this user may read",
        ) from error


def _refuse(error: Exception, message: str, path: str, hint: str | None) -> NoReturn:
    file: str = getattr(error, "filename", None) or path
    line: int | None = getattr(error, "lineno", None)
    if line is None:
        # Jinja2 makes tracebacks point into templates; the innermost of them is the place.
        for frame in extract_tb(error.__traceback__):
            if frame.filename == path or frame.filename.endswith(LIBRARY):
                file, line = frame.filename, frame.lineno
    raise SourceError(f"template error: {message}", file=file, line=line, hint=hint) from error


def _hint(error: Exception) -> str | None:
    from jinja2 import TemplateNotFound, UndefinedError

    if isinstance(error, UndefinedError):
        return "templates see [variables] of procver.toml and ref('schema.name')"
    if isinstance(error, TemplateNotFound):
        return "name a *.j2 file relative to a directory of sources in procver.toml"
    return "a file that is no template should be named *.sql, not *.sql.j2"
