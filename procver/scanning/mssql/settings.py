"""SET before a definition: the two options a module keeps, and those that do not matter to it.

The manual's "SET QUOTED_IDENTIFIER" and "SET ANSI_NULLS": both are stored when a module is
created. Other options are those of the session that runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from procver.scanning.mssql.keywords import words

KEPT = ("ansi_nulls", "quoted_identifier")
_USUAL = {
    "ansi_padding": "on",
    "ansi_warnings": "on",
    "ansi_null_dflt_on": "on",
    "ansi_null_dflt_off": "off",
    "ansi_defaults": "on",
    "arithabort": "on",
    "arithignore": "off",
    "concat_null_yields_null": "on",
    "numeric_roundabort": "off",
    "noexec": "off",
    "parseonly": "off",
    "fmtonly": "off",
    "implicit_transactions": "off",
    "cursor_close_on_commit": "off",
}
"""What drivers set, or the server does: said again it changes nothing."""
_RUNTIME = words(
    """
    nocount xact_abort lock_timeout deadlock_priority transaction textsize rowcount datefirst
    dateformat language statistics showplan_all showplan_text showplan_xml context_info
    query_governor_cost_limit
    """
)


class Effect(Enum):
    """What a SET statement means for a definition."""

    KEPT = "kept"
    NONE = "none"
    RUNTIME = "runtime"
    REFUSED = "refused"


def read_set(toks: Sequence[str], lo: int, hi: int) -> tuple[Effect, dict[str, str]]:
    """Return what SET at tokens [lo, hi) means, and the kept options it sets to on or off."""
    names = [toks[lo + 1]] if lo + 1 < hi else []
    i = lo + 2
    while i + 1 < hi and toks[i] == ",":
        names.append(toks[i + 1])
        i += 2
    value = toks[i] if i < hi else ""
    if not names:
        return Effect.REFUSED, {}
    if names == ["statistics"] and "off" in toks[lo:hi]:  # SET STATISTICS TIME, IO OFF
        return Effect.NONE, {}
    effects = {_effect(name, value) for name in names}
    kept = {name: value for name in names if name in KEPT}
    if names == ["ansi_defaults"] and value == "on":
        return Effect.KEPT, dict.fromkeys(KEPT, "on")
    for effect in (Effect.REFUSED, Effect.KEPT, Effect.RUNTIME):
        if effect in effects:
            return effect, kept
    return Effect.NONE, {}


def _effect(name: str, value: str) -> Effect:
    if name in KEPT:
        return Effect.KEPT if value in ("on", "off") else Effect.REFUSED
    if name in _RUNTIME:
        return Effect.RUNTIME
    return Effect.NONE if _USUAL.get(name) == value else Effect.REFUSED
