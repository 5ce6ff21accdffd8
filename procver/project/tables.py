"""A table of a TOML file, read key by key: wrong types and unknown keys named with their line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from procver.errors import ConfigError

_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BLANKS = dict.fromkeys(map(ord, "\t\r\n"), " ")
_MOST = 10**9


class Table:
    """One table and which of its keys were asked for.

    Args:
        values: the parsed table.
        path: the file, for errors.
        text: its content, to find lines in.
        name: the table's name, ``""`` for the whole document.
    """

    def __init__(self, values: dict[str, Any], path: Path, text: str, name: str) -> None:
        self._values = values
        self._path = path
        self._text = text
        self._name = name
        self._asked: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def table(self, key: str, *, required: bool = False) -> Table:
        """Return the table ``key``, an empty one when it is not there."""
        name = f"{self._name}.{key}" if self._name else key
        if required and key not in self._values:
            raise ConfigError(f"{self._path}: there is no [{name}]", hint=f"add [{name}] to it")
        return Table(self._get(key, dict, "a table", {}), self._path, self._text, name)

    def string(
        self, key: str, default: str = "", *, required: bool = False, lines: bool = False
    ) -> str:
        """Return a string; never an empty one when the file gives the key.

        Args:
            key: its key.
            default: what it is when the file does not give the key.
            required: whether the file must give it.
            lines: whether it may have several lines.
        """
        if required and key not in self._values:
            raise ConfigError(
                f"{self._path}: [{self._name}] lacks {key}", hint=f'add {key} = "..." to it'
            )
        value: str = self._get(key, str, "a string", default)
        if key in self._values and not value.strip():
            raise self.error(key, "is empty", hint="give it a value, or leave the line out")
        if _CONTROL.search(value.translate(_BLANKS) if lines else value):
            raise self.error(
                key, "must be text without control characters", hint="write it anew, on one line"
            )
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """Return a string that must be there and be one of ``allowed``."""
        value = self.string(key, required=True)
        if value not in allowed:
            near = get_close_matches(value, allowed, n=1, cutoff=0.4) or list(allowed)
            hint = "write " + " or ".join(f'"{word}"' for word in near)
            raise self.error(key, f"{value!r} is not one of {', '.join(allowed)}", hint=hint)
        return value

    def strings(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of strings, none of them empty."""
        values = self._get(key, list, "a list of strings", None)
        if values is None:
            return default
        if not all(isinstance(value, str) and value.strip() for value in values):
            raise self.error(
                key, "must be a list of strings, none empty", hint=f'write {key} = ["..."]'
            )
        if any(map(_CONTROL.search, values)):
            raise self.error(
                key, "must be strings without control characters", hint="write them anew"
            )
        return tuple(values)

    def count(self, key: str, default: int) -> int:
        """Return a whole number from 0."""
        value: int = self._get(key, int, "a whole number", default)
        if isinstance(value, bool) or not 0 <= value <= _MOST:
            raise self.error(
                key, f"must be a whole number from 0 to {_MOST}", hint=f"write {key} = {default}"
            )
        return value

    def flag(self, key: str) -> bool:
        """Return a truth value, false when it is not there."""
        return bool(self._get(key, bool, "true or false", False))

    def is_table(self, key: str) -> bool:
        """Return whether ``key`` is given as a table."""
        return isinstance(self._values.get(key), dict)

    def all(self) -> dict[str, Any]:
        """Return everything in the table."""
        self._asked += self._values
        return dict(self._values)

    def end(self, allowed: Sequence[str] = (), word: str = "key") -> None:
        """Refuse what nobody asked for.

        Args:
            allowed: the only keys there may be, in lower case; what was asked for when empty.
            word: what to call a key.

        Raises:
            ConfigError: there is an unknown key.
        """
        known = allowed or self._asked
        for key, value in self._values.items():
            if (key.lower() if allowed else key) in known:
                continue
            where = f"[{self._name}] " if self._name else ""
            what = "table" if not self._name and isinstance(value, dict) else word
            near = get_close_matches(key, known, n=2)
            hint = "did you mean " + " or ".join(near) + "?" if near else None
            raise ConfigError(
                f"{self._place(key)}: {where}unknown {what} {key!r}",
                hint=hint or f"known here: {', '.join(dict.fromkeys(known))}",
            )

    def error(self, key: str, message: str, *, hint: str | None = None) -> ConfigError:
        """Return the error that says what is wrong with ``key``."""
        name = f"[{self._name}] {key}" if self._name else key
        return ConfigError(f"{self._place(key)}: {name} {message}", hint=hint)

    def _get(self, key: str, kind: type, what: str, default: Any) -> Any:
        self._asked.append(key)
        value = self._values.get(key, default)
        if key in self._values and not isinstance(value, kind):
            raise self.error(key, f"must be {what}", hint=_EXAMPLES.get(what, "").format(key=key))
        return value

    def _place(self, key: str) -> str:
        line = self.line(key)
        return str(self._path) if line is None else f"{self._path}:{line}"

    def line(self, key: str) -> int | None:
        """Return the line on which ``key`` is given; tomllib does not tell, so look for it."""
        given = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""")
        here = ""
        for line, row in enumerate(self._text.splitlines(), 1):
            if match := _HEADER.fullmatch(row):
                here = match[1].strip().replace('"', "").replace("'", "")
                if here == (f"{self._name}.{key}" if self._name else key):
                    return line
            elif here == self._name and given.match(row):
                return line
        return None


_EXAMPLES = {
    "a table": "write [{key}] on a line of its own, and its keys below",
    "a string": 'write {key} = "..." with quotes around the value',
    "a list of strings": 'write {key} = ["..."] with brackets around the values',
    "true or false": "write {key} = true, without quotes",
    "a whole number": "write {key} = 2, without quotes",
}
