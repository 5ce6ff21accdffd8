"""What each release promises: sources that spell out their own content, and the answers that follow from them. Pure.

Every object's answer holds a tag, ``summary.4(origin.17)``: its own content and that of all it is built on. So the answer of any
other release's version is another answer, and so is one that mixes the versions of two releases.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Contents = Mapping[str, int]
"""The content of each object that a release has, by name: what its source says."""


class Source(NamedTuple):
    """A managed object.

    Attributes:
        texts: its source; where there are several its content chooses one, so that parameters and columns change too.
            ``{own}`` in it stands for name and content.
        parts: the objects whose tags its own tag holds, in this order.
        optional: whether a release may do without it; nothing else is built on it.
        steady: whether it never changes by itself.
    """

    texts: tuple[str, ...]
    parts: tuple[str, ...] = ()
    optional: bool = False
    steady: bool = False

    def text(self, name: str, content: int) -> str:
        """Return the source of one content."""
        return self.texts[content % len(self.texts)].replace("{own}", f"{name}.{content}")


class Asked(NamedTuple):
    """A call and what it answers. Names in braces become physical ones in ``sql``, and tags in ``rows``."""

    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    parameters: tuple[Any, ...] = ()


class Question(NamedTuple):
    """What the app asks if its release has the object ``name``, by whose content one of ``variants`` is chosen."""

    name: str
    variants: tuple[Asked, ...]


def tag(name: str, contents: Contents, sources: Mapping[str, Source]) -> str:
    """Return what an object says of itself in a release with these contents."""
    own = f"{name}.{contents[name]}"
    parts = sources[name].parts
    return f"{own}({''.join(tag(part, contents, sources) for part in parts)})" if parts else own


def promises(
    contents: Contents, sources: Mapping[str, Source], questions: Sequence[Question]
) -> list[Asked]:
    """Return every call that a release with these contents answers, and how."""
    tags = {name: tag(name, contents, sources) for name in contents}
    found = []
    for name, variants in questions:
        if name in contents:
            asked = variants[contents[name] % len(variants)]
            rows = tuple(
                tuple(v.format_map(tags) if isinstance(v, str) else v for v in row)
                for row in asked.rows
            )
            found.append(asked._replace(rows=rows))
    return found


def named(sql: str) -> set[str]:
    """Return the objects that a call names."""
    return {name for _, name, _, _ in string.Formatter().parse(sql) if name}


class Author:
    """Edits sources from release to release: changes, returns to earlier contents, leaves things out and takes them in again.

    Args:
        sources: all there may be.
        dice: decides.
    """

    def __init__(self, sources: Mapping[str, Source], dice: random.Random) -> None:
        self.contents: dict[str, int] = dict.fromkeys(sources, 0)
        self._sources = sources
        self._dice = dice
        self._newest = dict.fromkeys(sources, 0)
        self.returns = 0

    def edit(self) -> None:
        """Make the next release's contents out of those of the last one."""
        dice = self._dice
        for name, source in self._sources.items():
            if source.optional and dice.random() < 0.08:
                if name in self.contents:
                    del self.contents[name]
                else:
                    self.contents[name] = self._newest[name]
        editable = [name for name in self.contents if not self._sources[name].steady]
        for name in dice.sample(editable, dice.randint(1, 4)):
            before = self.contents[name]
            if self._newest[name] and dice.random() < 0.3:
                earlier = range(max(0, self._newest[name] - 4), self._newest[name] + 1)
                self.contents[name] = dice.choice([n for n in earlier if n != before])
                self.returns += 1
            else:
                self._newest[name] += 1
                self.contents[name] = self._newest[name]

    def files(self) -> Iterator[tuple[str, str | None]]:
        """Yield each object's name and source, None for one that is left out now."""
        for name, source in self._sources.items():
            content = self.contents.get(name)
            yield name, None if content is None else source.text(name, content)
