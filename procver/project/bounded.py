"""A Jinja2 environment whose templates end, need little memory, and print the same everywhere.

Jinja2's sandbox keeps templates from the machine but lets them run for ever: loops in loops, macros that
call themselves twice, a string that doubles. So each loop, call and filter is a step, and steps, sizes and
time are limited. What is printed must be text, numbers, dates, or lists and tables of these: anything else,
such as a function, would be written with its address in memory.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from datetime import time as day_time
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, TemplateRuntimeError, Undefined, nodes
from jinja2.environment import TemplateModule
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

STEPS = 300_000
"""Loop rounds, calls and filters of one rendering."""

OUTPUT = 16 << 20
"""Characters of one rendering."""

LONGEST = 1 << 20
"""Characters of a string that an operator, a method or a filter makes."""

ITEMS = 100_000
"""Items of a list made so; as many as the sandbox allows to a range."""

BITS = 4096
"""Of an integer that a product or a power makes."""

SECONDS = 10.0
"""One rendering takes a thousandth of this. Only what makes single steps slow meets it before `STEPS`."""

_FREE = {
    "attr", "batch", "count", "d", "default", "dictsort", "first", "groupby", "items", "join", "last",
    "length", "list", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr",
    "slice", "sort", "sum", "unique",
}  # fmt: skip
"""Filters that go through a value instead of writing it."""

_WIDTHS = {"batch", "center", "expandtabs", "indent", "ljust", "rjust", "slice", "tojson", "zfill"}
"""Filters and methods that take a width or a count."""

_CLOCK = {"astimezone", "fromtimestamp", "now", "timestamp", "today", "utcnow"}
"""Methods of dates that differ from one machine or moment to another."""

_WRITES = {"format", "format_map"}
"""Methods of strings that write their arguments."""

_WIDE = re.compile(r"[0-9]{6}|\*|:[^{}]*\{")
"""In a format: a width or precision that is large, or comes from elsewhere."""


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The environment of a project's templates.

    Args:
        plain: types besides text, numbers and dates that may be printed.
        options: as for Jinja2's environment.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, plain: tuple[type, ...], **options: Any) -> None:
        super().__init__(undefined=StrictUndefined, finalize=self._printed, **options)
        self._plain: tuple[type, ...] = (
            str, int, float, type(None), date, day_time, Undefined, *plain,
        )  # fmt: skip
        self._steps = 0
        self._end = 0.0
        # Chance has no place in a version.
        del self.globals["lipsum"]
        del self.filters["random"]
        self.filters.update({k: self._limited(k, f) for k, f in self.filters.items()})

    def begin(self) -> None:
        """Begin a rendering: nothing is used up yet."""
        self._steps = 0
        self._end = time.monotonic() + SECONDS

    def tick(self, steps: int = 1) -> bool:
        """Count steps; return True."""
        self._steps += steps
        if self._steps > STEPS or time.monotonic() > self._end:
            raise TemplateRuntimeError(
                f"it takes more than {STEPS:,} steps or {SECONDS:g} seconds: loops in loops, or macros"
                " that call themselves"
            )
        return True

    def concat(self, pieces: Iterable[str]) -> str:
        """Return the pieces of a template, macro or block as one string."""
        found: list[str] = []
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > OUTPUT:
                raise TemplateRuntimeError(f"it writes more than {OUTPUT >> 20} million characters")
            found.append(piece)
        return "".join(found)

    def joined(self, *values: Any) -> str:
        """Return what the operator ``~`` makes of values."""
        texts = [str(self._checked(value)) for value in values]
        self._fits(sum(map(len, texts)), LONGEST)
        return "".join(texts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result of an operator, if it is of a reasonable size."""
        self.tick()
        if operator == "%" and isinstance(left, str):
            self._format(left, right if isinstance(right, tuple) else (right,))
        elif operator == "%":
            self._fits(int(isinstance(left, bytes)), 0)
        elif operator == "**":
            if isinstance(left, int) and isinstance(right, int):
                self._fits(left.bit_length() * abs(right), BITS)
        elif isinstance(left, int) and isinstance(right, int):
            self._fits(left.bit_length() + right.bit_length(), BITS)
        elif operator == "+":
            if _sized(left) and _sized(right):
                self._fits(len(left) + len(right), _most(left))
        elif _sized(left) and isinstance(right, int):
            self._fits(len(left) * right, _most(left))
        elif _sized(right) and isinstance(left, int):
            self._fits(len(right) * left, _most(right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls."""
        __self.tick()
        method = getattr(__obj, "__wrapped__", __obj)  # the sandbox wraps str.format
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, (str, bytes)):
            __self._method(owner, name, args, kwargs)
        elif isinstance(owner, int):
            __self._wide(owner, args)
        elif name in _CLOCK and (isinstance(owner, (date, day_time)) or owner in (date, datetime)):
            raise TemplateRuntimeError(f"{name}() depends on the clock or the time zone")
        result = super().call(__context, __obj, *args, **kwargs)
        return __self._weighed(result)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        return _Counted().visit(tree)  # type: ignore[no-any-return]

    def _method(
        self, text: str | bytes, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Refuse a method of a string whose result would be too large, or would not be plain."""
        values = (*args, *kwargs.values())
        self.tick(len(text) >> 6)
        if name in _WIDTHS:
            self._wide(text, values)
        elif isinstance(text, bytes) or name == "translate":
            longest = max((len(str(each)) for each in _leaves(list(values))), default=1)
            self._fits(len(text) * longest, LONGEST)
        elif name == "join" and args:
            self._joins(text, args[0])
        elif name in _WRITES:
            self._format(text, values)
        elif name == "replace" and len(args) > 1:
            self._replaced(text, args[0], args[1])

    def _format(self, text: str, values: Iterable[Any]) -> None:
        values = [self._checked(value) for value in values]
        if _WIDE.search(text):
            wide = any(isinstance(value, int) and abs(value) > 99_999 for value in values)
            self._fits(int(wide or re.search("[0-9]{6}", text) is not None), 0)

    def _joins(self, text: str, values: Any) -> list[Any]:
        """Return the items that are to be joined, in a list."""
        items = list(islice(values, ITEMS + 1))
        self._fits(len(items), ITEMS)
        texts = [str(self._checked(item)) for item in items]
        self._fits(sum(map(len, texts)) + len(text) * len(texts), OUTPUT)
        return items

    def _wide(self, text: Any, values: Iterable[Any]) -> None:
        rows = text.count("\n") + text.count("\t") + 1 if isinstance(text, str) else 1
        for value in values:
            if isinstance(value, int):
                self._fits(rows * value, _most(text))

    def _replaced(self, text: str, old: Any, new: Any) -> None:
        old, new = str(self._checked(old)), str(self._checked(new))
        self._fits(len(text) + text.count(old) * len(new), LONGEST)

    def _limited(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter that counts as a step and whose result is of a reasonable size."""
        first = int(getattr(function, "jinja_pass_arg", None) is not None)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self.tick()
            value, *rest = args[first:] or (None,)
            values = (*rest, *kwargs.values())
            if _sized(value):
                self.tick(len(value) >> 6)
            if name == "join":
                text = str(values[0]) if values else ""
                items = value if isinstance(value, str) else self._joins(text, value)
                args = (*args[:first], items, *rest)
            elif name not in _FREE:
                self._checked(value)
            for each in values:
                self._checked(each)
            if name in _WIDTHS:
                self._wide(value, values)
            elif name == "replace" and len(rest) > 1:
                self._replaced(str(value), rest[0], rest[1])
            elif name == "format" and isinstance(value, str):
                self._format(value, values)
            elif name == "sum" and any(map(_sized, values)):
                raise TemplateRuntimeError("sum adds numbers; join texts with join or ~")
            return self._weighed(function(*args, **kwargs))

        return run

    def _weighed(self, value: Any) -> Any:
        """Return a result, counting a large one as several steps."""
        if _sized(value):
            self._fits(len(value), OUTPUT if isinstance(value, (str, bytes)) else ITEMS)
            self.tick(len(value) >> 6)
        return value

    def _fits(self, size: int, limit: int) -> None:
        if size > limit:
            raise TemplateRuntimeError("it makes a text, list or number that is too large")

    def _printed(self, value: Any) -> Any:
        return value if isinstance(value, TemplateModule) else self._checked(value)

    def _checked(self, value: Any) -> Any:
        """Return a value that is to be written, if it is written alike everywhere."""
        for each in _leaves(value):
            if not isinstance(each, self._plain):
                what = getattr(type(each), "__name__", "object")
                raise TemplateRuntimeError(
                    f"it writes a {what}, which is not the same everywhere: call it, or add |list"
                )
        return value


class _Counted(NodeTransformer):
    """Has each loop round and each inclusion counted, and ``~`` done by `BoundedEnvironment.joined`."""

    def visit_Template(self, node: nodes.Template) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_tick(1), lineno=1))
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_tick(node.lineno), lineno=node.lineno))
        if node.test is not None:
            node.test = nodes.And(_tick(node.lineno), node.test, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _own("joined", node.nodes, node.lineno)


def _tick(line: int) -> nodes.Call:
    return _own("tick", [], line)


def _own(name: str, values: list[nodes.Expr], line: int) -> nodes.Call:
    """Return the call of a method of the environment."""
    method = nodes.EnvironmentAttribute(name, lineno=line)
    return nodes.Call(method, values, [], None, None, lineno=line)


def _sized(value: Any) -> bool:
    return isinstance(value, (str, bytes, list, tuple, dict, range))


def _most(value: Any) -> int:
    return LONGEST if isinstance(value, (str, bytes)) else ITEMS


def _leaves(value: Any) -> Iterator[Any]:
    """Yield what lists and tables hold, or the value itself."""
    pending = [value]
    count = 0
    while pending:
        each = pending.pop()
        count += 1
        if count > 10 * ITEMS:
            raise TemplateRuntimeError("it writes a list that is too long")
        if isinstance(each, dict):
            pending += [*each, *each.values()]
        elif isinstance(each, (list, tuple)):
            pending += each
        else:
            yield each
