"""Sources that spell out their own meaning: what an object answers tells its content and that of all it refers to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from procver.objects import Kind

VARIANTS = 3

# Each object: its kind, what it may refer to, how it is called.
SHAPES: dict[str, tuple[Kind, tuple[str, ...], str]] = {
    "base": (Kind.VIEW, (), "(SELECT tag FROM {})"),
    "mid": (Kind.VIEW, ("base",), "(SELECT tag FROM {})"),
    "mat": (Kind.MATERIALIZED_VIEW, ("base", "mid"), "(SELECT tag FROM {})"),
    "leaf": (Kind.FUNCTION, ("base", "mid", "mat"), "{}()"),
    "top": (Kind.FUNCTION, ("leaf", "mid"), "{}()"),
    "does": (Kind.PROCEDURE, ("leaf", "mid"), "CALL {}('')"),
    "even": (Kind.FUNCTION, ("odd",), "{}(2)"),
    "odd": (Kind.FUNCTION, ("even",), "{}(2)"),
}
TEXTS = {
    Kind.VIEW: "CREATE VIEW app.{name} AS SELECT {value} AS tag;\n",
    Kind.MATERIALIZED_VIEW: "CREATE MATERIALIZED VIEW app.{name} AS SELECT {value} AS tag;\n"
    "CREATE UNIQUE INDEX ON app.{name} (tag);\n",
    Kind.FUNCTION: "CREATE FUNCTION app.{name}() RETURNS text LANGUAGE {language} AS $$\n{body}\n$$;\n"
    "REVOKE EXECUTE ON FUNCTION app.{name} FROM PUBLIC;\n",
    Kind.PROCEDURE: "CREATE PROCEDURE app.{name}(INOUT said text) LANGUAGE plpgsql AS $$\n"
    "BEGIN said := {value}; END\n$$;\n",
}
CYCLE = """\
CREATE FUNCTION app.{name}(n int) RETURNS text LANGUAGE sql AS $$
    SELECT '{tag}' || CASE WHEN n > 0 THEN app.{other}(n - 1) ELSE '' END
$$;
"""


@dataclass(frozen=True)
class Edit:
    """What a source says: which of its variants, and what it refers to, ``pin`` holding `base` at a number."""

    variant: int
    references: tuple[str, ...] = ()
    pin: int | None = None


Sources = dict[str, Edit]


def everything() -> Sources:
    return {name: Edit(0, references) for name, (_, references, _) in SHAPES.items()}


def text(name: str, edit: Edit) -> str:
    kind, _, _ = SHAPES[name]
    tag = f"{name}{edit.variant}"
    if name in ("even", "odd"):
        return CYCLE.format(name=name, tag=tag, other=edit.references[0])
    parts = [SHAPES[r][2].format(f"app.{r}") for r in edit.references]
    value = " || ".join([f"'{tag}('::text", *parts, "')'"])
    pin = f"-- procver: pin app.base = {edit.pin}\n" if edit.pin else ""
    language, body = (
        ("plpgsql", f"BEGIN RETURN {value}; END") if name == "top" else ("sql", f"SELECT {value}")
    )
    return pin + TEXTS[kind].format(name=name, value=value, language=language, body=body)


def answer(name: str, sources: Sources, pinned: Callable[[int], str]) -> str:
    """What an object must answer when it was published from these sources."""
    edit = sources[name]
    tag = f"{name}{edit.variant}"
    if name in ("even", "odd"):
        other = edit.references[0]
        return tag + f"{other}{sources[other].variant}" + tag
    inner = (
        pinned(edit.pin) if edit.pin and r == "base" else answer(r, sources, pinned)
        for r in edit.references
    )
    return f"{tag}({''.join(inner)})"


def edit(data: st.DataObject, sources: Sources) -> Sources:
    """Change a source, add it again, go back to an earlier content, delete it, or hold a reference at a version."""
    name = data.draw(st.sampled_from(sorted(SHAPES)))
    what = data.draw(st.sampled_from(("change", "change", "change", "remove", "pin")))
    if what == "remove":
        gone = {"even", "odd"} if name in ("even", "odd") else {name}
        kept = {n: e for n, e in sources.items() if n not in gone}
        cut = {n: tuple(r for r in e.references if r not in gone) for n, e in kept.items()}
        return {n: Edit(e.variant, cut[n], e.pin) for n, e in kept.items()} or sources
    if what == "pin" and "base" in sources and "leaf" in sources:
        leaf = sources["leaf"]
        references = tuple(sorted({*leaf.references, "base"}))
        return sources | {"leaf": Edit(leaf.variant, references, data.draw(st.integers(1, 3)))}
    variant = data.draw(st.integers(0, VARIANTS - 1))
    if name in ("even", "odd"):
        pair = {n: sources.get(n, Edit(0, SHAPES[n][1])) for n in ("even", "odd")}
        return sources | pair | {name: Edit(variant, SHAPES[name][1])}
    possible = [r for r in SHAPES[name][1] if r in sources]
    left_out = data.draw(st.sampled_from((None, *possible)))
    return sources | {name: Edit(variant, tuple(r for r in possible if r != left_out))}
