"""Moves in a plan, as a table: releases before, the contract now, the objects that move."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from procver.contract import Contract, Member
from procver.known import PRESENT, Known, KnownRelease, KnownVersion, Membership
from procver.objects import Kind, Name
from procver.plan import plan

NOW = datetime(2026, 11, 1, tzinfo=UTC)
Versions = dict[str, int]


def member(label: str, number: int, requires: Versions) -> Member:
    name = Name("app", f"{label}_{number}")
    return Member(
        label, Name("app", label), Kind.VIEW, number, f"v1:{label}{number}", "shape", name, str(name),
        tuple(requires.items()), False,
    )  # fmt: skip


def known(exist: dict[tuple[str, int], Versions], releases: list[Versions]) -> Known:
    ids = {key: at for at, key in enumerate(exist, 1)}
    versions = {
        (label, number): KnownVersion(
            label, number, ids[label, number], Kind.VIEW, f"v1:{label}{number}", "shape", "old",
            Name("app", f"{label}_{number}"), f"app.{label}_{number}", PRESENT, None, None, True,
        )
        for label, number in exist
    }  # fmt: skip
    return Known(
        1, 1, len(releases), NOW, versions,
        releases=tuple(
            KnownRelease(f"r{at}", at, at, f"content {at}", NOW, "me", None, None)
            for at in range(1, len(releases) + 1)
        ),
        memberships=tuple(
            Membership(ids[item], at, at + 1 if at < len(releases) else None)
            for at, release in enumerate(releases, 1)
            for item in release.items()
        ),
        requires={ids[key]: tuple(ids[need] for need in needs.items()) for key, needs in exist.items()},
    )  # fmt: skip


V, U = ("v", 1), ("u", 1)
V2, U2 = ("v", 2), ("u", 2)
ALL: dict[tuple[str, int], Versions] = {V: {}, U: {"v": 1}, V2: {}, U2: {"v": 2}}
OLD, WIDE = {"v": 1, "u": 1}, {"v": 2, "u": 2}

TABLE: dict[str, tuple[list[Versions], Versions, Versions, list[tuple[object, ...]], list[str]]] = {
    # releases before; the contract; what u needs; what moves; what changed in comments only
    "the same again": ([OLD], OLD, {"v": 1}, [], ["u", "v"]),
    "back to earlier content": (
        [OLD, WIDE], OLD, {"v": 1}, [("u", 2, 1, "returned"), ("v", 2, 1, "returned")], [],
    ),
    "a pin": ([OLD, WIDE, OLD], {"v": 1, "u": 2}, {"v": 2}, [("u", 1, 2, "pin")], ["v"]),
    "a pin taken away": (
        [WIDE, OLD, {"v": 1, "u": 2}], OLD, {"v": 1}, [("u", 2, 1, "returned")], ["v"],
    ),
    "left and came back": ([OLD, {"v": 1}], OLD, {"v": 1}, [("u", None, 1, "returned")], ["v"]),
    "an unfinished publication": (
        [OLD], WIDE, {"v": 2}, [("u", 1, 2, "unreleased"), ("v", 1, 2, "unreleased")], [],
    ),
    "an unfinished first publication": ([], OLD, {"v": 1}, [], []),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_moved_and_cosmetic(case: str) -> None:
    releases, now, needs, moved, cosmetic = TABLE[case]
    members = {n: member(n, at, needs if n == "u" else {}) for n, at in now.items()}
    found = plan(Contract(members), known(ALL, releases), "next", dict.fromkeys(now, "new"))
    document = found.as_json()
    assert [(m["name"], m["from"], m["to"], m["reason"]) for m in document["moved"]] == moved
    assert document["cosmetic"] == cosmetic
    assert document["create"] == []
