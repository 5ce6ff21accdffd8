"""Fingerprints: pinned, so that a change is deliberate, and sensitive to what counts."""

import pytest

from procver.fingerprint import fingerprints, seal
from procver.objects import Analysis, Kind, Name


def name(leaf):
    return Name("app", leaf)


def build(*rows, pinned=None):
    """Each row: leaf, shape, references, and further fields of Analysis."""
    analyses = {
        name(leaf): Analysis(
            name(leaf),
            fields.pop("kind", Kind.VIEW),
            shape * 64,
            tuple(map(name, references)),
            **fields,
        )
        for leaf, shape, references, fields in (
            (*row[:3], dict(row[3]) if len(row) > 3 else {}) for row in rows
        )
    }
    labels = {key: f"app.{key.leaf}" for key in analyses}
    found = fingerprints(analyses, labels, pinned or {})
    return {key.leaf: value for key, value in found.items()}


def changed(before, after):
    return {leaf for leaf in before if before[leaf] != after[leaf]}


def test_pinned_literals():
    found = build(
        ("base", "a", []),
        ("reader", "b", ["base"]),
        ("even", "c", ["odd", "base"], {"kind": Kind.FUNCTION}),
        ("odd", "d", ["even"], {"kind": Kind.FUNCTION, "revision": 2}),
    )
    assert found == {
        "base": "v1:8285ec883d796a6956225923e3be8e666b62a208e28fbb061884926d46b362f7",
        "reader": "v1:d57caf2651b592121d3d12b4751e6b332800f5f95395835028e1818175658f4e",
        "even": "v1:c045f68acf0a07d8c04a9625f4cefa1a6080ab43afc2bf61bca01c28f547449b",
        "odd": "v1:b2a2de926b5a1d0af05d7b3a3dd13203ad52a56e2b3de89f23134a205d8d55a7",
    }


def test_a_change_reaches_all_dependents_and_nothing_else():
    def graph(shape):
        return build(
            ("base", shape, []),
            ("middle", "b", ["base"]),
            ("top", "c", ["middle"]),
            ("aside", "d", []),
        )

    assert changed(graph("a"), graph("f")) == {"base", "middle", "top"}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": Kind.MATERIALIZED_VIEW},
        {"revision": 1},
        {"shape": "f" * 64},
        {"references": (name("other"),)},
        {"references": (name("other"), name("base"))},
        {"references": (name("base"), name("other"), name("base"))},
    ],
    ids=str,
)
def test_everything_that_counts_counts(change):
    one = Analysis(name("v"), Kind.VIEW, "a" * 64, (name("base"), name("other")))
    rest = {
        name(leaf): Analysis(name(leaf), Kind.VIEW, shape * 64)
        for leaf, shape in (("base", "b"), ("other", "c"))
    }
    labels = {key: f"app.{key.leaf}" for key in (name("v"), *rest)}
    before = fingerprints({name("v"): one, **rest}, labels, {})
    after = fingerprints({name("v"): one._replace(**change), **rest}, labels, {})
    assert before[name("v")] != after[name("v")]
    assert before[name("base")] == after[name("base")]


def test_notes_words_and_spelling_do_not_count():
    plain = build(("v", "a", []))
    assert plain == build(("v", "a", [], {"words": "a\nb", "recursive": False}))
    renamed = fingerprints(
        {name("v"): Analysis(name("v"), Kind.VIEW, "a" * 64)}, {name("v"): "app.w"}, {}
    )
    assert renamed[name("v")] != plain["v"]


def test_a_cycle_changes_as_one():
    def ring(shape):
        return build(
            ("a", shape, ["b"]), ("b", "b", ["c"]), ("c", "c", ["a"]), ("user", "d", ["c"])
        )

    assert changed(ring("a"), ring("f")) == {"a", "b", "c", "user"}
    assert len(set(ring("a").values())) == 4


def test_a_cycle_does_not_depend_on_the_order_of_files():
    rows = [("a", "a", ["b"]), ("b", "b", ["c", "a"]), ("c", "c", ["a"])]
    assert build(*rows) == build(*rows[1:], rows[0]) == build(*reversed(rows))


def test_a_cycle_that_is_entered_elsewhere_is_another_cycle():
    one = build(("a", "a", ["b"]), ("b", "a", ["a"]), ("c", "a", []))
    other = build(("a", "a", ["b", "c"]), ("b", "a", ["a"]), ("c", "a", []))
    assert changed(one, other) == {"a", "b"}


def test_a_pin_holds_a_reference_still():
    def graph(shape, pins):
        held = "v1:" + "9" * 64
        return build(
            ("base", shape, []),
            ("v", "b", ["base"], {"pins": pins}),
            pinned={(name("base"), 2): held, (name("base"), 3): "v1:" + "8" * 64},
        )

    pin = ((name("base"), 2),)
    assert changed(graph("a", pin), graph("f", pin)) == {"base"}
    assert changed(graph("a", pin), graph("a", ((name("base"), 3),))) == {"v"}


def test_a_pin_to_the_current_content_changes_nothing():
    plain = build(("base", "a", []), ("v", "b", ["base"]))
    pins = ((name("base"), 1),)
    held = build(
        ("base", "a", []),
        ("v", "b", ["base"], {"pins": pins}),
        pinned={(name("base"), 1): plain["base"]},
    )
    assert held == plain


def test_a_pin_breaks_a_cycle():
    pins = ((name("a"), 1),)

    def graph(shape):
        return build(
            ("a", shape, ["b"]),
            ("b", "b", ["a"], {"pins": pins}),
            pinned={(name("a"), 1): "v1:" + "9" * 64},
        )

    assert changed(graph("a"), graph("f")) == {"a"}


def test_a_seal_is_pinned_and_binds_text_role_and_fingerprint():
    definition = [("CREATE VIEW app.v_1 AS SELECT 1", "definition"), ("GRANT x", "after")]
    sealed = seal("v1:" + "0" * 64, definition)
    assert sealed == "75dbaa024de4257987c2e9cd9cd728096c24c04240db495779363a2ca3ced8e9"
    others = [
        seal("v1:" + "1" * 64, definition),
        seal("v1:" + "0" * 64, definition[:1]),
        seal("v1:" + "0" * 64, [(text, "definition") for text, _ in definition]),
        seal("v1:" + "0" * 64, [("CREATE VIEW app.v_1 AS SELECT 2", "definition"), definition[1]]),
    ]
    assert len({sealed, *others}) == 5
