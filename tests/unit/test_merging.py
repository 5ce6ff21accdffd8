"""Several locks made into one: what every number means afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procver.errors import LockError
from procver.lock import HEADER, Entry, Lock
from procver.objects import Kind
from procver.project.merging import merged, read_conflict, settle


def entry(number, content, name="app.v", physical=None):
    return Entry(name, Kind.VIEW, number, f"v1:{content:064x}", physical)


sides = st.dictionaries(st.integers(1, 5), st.integers(0, 5), max_size=4)


@given(st.lists(sides, min_size=1, max_size=4), st.integers(0, 6))
def test_no_number_changes_and_nothing_is_lost(drawn, wanted):
    entries = [entry(n, c) for side in drawn for n, c in side.items()]
    whole = merged(entries)
    highest = max((e.number for e in entries), default=0)
    for number in {e.number for e in entries}:
        first = next(e for e in entries if e.number == number)
        assert whole.fingerprint("app.v", number) == first.fingerprint
    assert {e.fingerprint for e in whole} == {e.fingerprint for e in entries}
    new = {e.number for e in whole} - {e.number for e in entries}
    assert all(number > highest for number in new)
    extended, added = whole.extended([("app.v", Kind.VIEW, f"v1:{wanted:064x}")])
    assert all(e.number > highest for e in added)
    assert Lock.parse(extended.render()) == extended
    kept = [entry(n, c) for n, c in drawn[-1].items()]
    settled = settle(whole, kept)
    assert {e.fingerprint for e in kept} <= {e.fingerprint for e in settled.lock}
    assert set(settled.lock) <= set(whole)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("<<<<<<< HEAD\n2 b\n=======\n2 c\n>>>>>>> x\n", ("2b", "2c", "")),
        ("<<<<<<< a\n2 b\n||||||| base\n1 a\n=======\n2 c\n>>>>>>> x\n", ("2b", "2c", "1a")),
        ("1 a\n<<<<<<< a\n=======\n2 c\n>>>>>>> x\n3 d\n", ("1a3d", "2c", "")),
        (
            "<<<<<<< a\n2 b\n||||||| x\n<<<<<<<<< y\n3 a\n=========\n4 d\n>>>>>>>>> z\n=======\n2 c\n>>>>>>> x\n",
            ("2b", "2c", "3a4d"),
        ),
    ],
)
def test_markers(text, numbers):
    rows = [
        f"app.v view {row[0]} v1:{row[2] * 64}" if row[:1].isdigit() else row
        for row in text.split("\n")
    ]
    found = read_conflict("\n".join([HEADER, *rows]), "L")
    shown = ("".join(f"{e.number}{e.fingerprint[-1]}" for e in side) for side in found[:3])
    assert tuple(shown) == numbers
    assert found.marked


@pytest.mark.parametrize(
    "row",
    [
        f"public.find function 3 v1:{'a' * 64} as public.find_v3",
        f'app."V x" view 12 v1:{"b" * 64} as "My schema"."the ""old"" one as v3"',
        f"dbo.[a b] procedure 1 v1:{'c' * 64} as dbo.[x ]] as y]",
    ],
)
def test_physical_names_are_kept_to_the_byte(row):
    lock = Lock.parse(f"# procver.lock 2\n{row}\n")
    assert lock.render() == f"# procver.lock 2\n{HEADER}\n{row}\n"
    assert merged([*lock, *lock]) == lock


@pytest.mark.parametrize("more", [" as", " as ", ' as "open', " as a b", " was a.b"])
def test_a_physical_name_that_is_none(more):
    with pytest.raises(LockError, match=r"^L:1: "):
        Lock.parse(f"app.v view 1 v1:{'a' * 64}{more}\n", path="L")


def test_a_newer_format_is_refused():
    for version in ("3", "17", "9" * 5000):
        with pytest.raises(LockError, match="newer procver") as caught:
            Lock.parse(f"# procver.lock {version}\n")
        assert "upgrade" in caught.value.hint


def test_numbers_that_run_out():
    lock = Lock([entry(999_999_999, 1)])
    with pytest.raises(LockError, match="no number is left"):
        lock.extended([("app.v", Kind.VIEW, "v1:" + "b" * 64)])
