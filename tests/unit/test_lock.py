"""The lock file: numbers, format, and what is said about a broken one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procver.errors import LockError
from procver.lock import HEADER, Entry, Lock
from procver.objects import Kind


def fp(digit):
    return "v1:" + digit * 64


def line(name="app.v", kind="view", number=1, fingerprint="v1:" + "a" * 64):
    return f"{name} {kind} {number} {fingerprint}"


def text(*lines):
    return "\n".join((HEADER, *lines, ""))


def test_format_is_pinned():
    lock, added = Lock().extended(
        [
            ("app.v", Kind.VIEW, fp("a")),
            ('app."V x"', Kind.MATERIALIZED_VIEW, fp("b")),
            ("app.f", Kind.FUNCTION, fp("a")),
        ]
    )
    assert lock.render() == (
        '# procver.lock: written by "procver lock"; commit it, do not edit it.\n'
        f'app."V x" materialized_view 1 {fp("b")}\n'
        f"app.f function 1 {fp('a')}\n"
        f"app.v view 1 {fp('a')}\n"
    )
    assert added == lock.entries


def test_sorted_by_number_not_by_digit():
    lock = Lock(Entry("app.v", Kind.VIEW, n, f"v1:{n:064x}") for n in (10, 2, 1))
    assert [entry.number for entry in lock] == [1, 2, 10]
    assert lock.latest("app.v").number == 10


def test_a_content_that_returns_gets_its_number_back():
    lock = Lock()
    numbers = []
    for digit in "abacb":
        lock, _ = lock.extended([("app.v", Kind.VIEW, fp(digit))])
        numbers.append(lock.number("app.v", fp(digit)))
    assert numbers == [1, 2, 1, 3, 2]
    assert [lock.fingerprint("app.v", n) for n in (1, 2, 3, 4)] == [fp("a"), fp("b"), fp("c"), None]


def test_nothing_new_is_the_same_lock():
    lock, _ = Lock().extended([("app.v", Kind.VIEW, fp("a"))])
    assert lock.extended([("app.v", Kind.VIEW, fp("a"))]) == (lock, ())


def test_a_number_is_never_filled_in():
    lock = Lock([Entry("app.v", Kind.VIEW, 3, fp("a"))])
    extended, added = lock.extended([("app.v", Kind.VIEW, fp("b"))])
    assert added == (Entry("app.v", Kind.VIEW, 4, fp("b")),)
    assert extended.entries == (*lock.entries, *added)


def test_another_kind_takes_the_next_number():
    lock, _ = Lock().extended([("app.v", Kind.VIEW, fp("a"))])
    lock, added = lock.extended([("app.v", Kind.FUNCTION, fp("b"))])
    assert added[0].number == 2
    assert (lock.kind("app.v", 1), lock.kind("app.v", 2)) == (Kind.VIEW, Kind.FUNCTION)
    assert lock.kind("app.v", 3) is None
    assert lock.latest("app.w") is None
    assert [entry.number for entry in lock.versions("app.v")] == [1, 2]


names = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), include_characters='" .#'), min_size=1
).map(lambda leaf: 'app."' + leaf.replace('"', '""') + '"')
rows = st.tuples(names, st.sampled_from(Kind), st.integers(0, 2**256 - 1).map("v1:{:064x}".format))


@given(st.lists(rows, max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_what_is_rendered_is_read_back(wanted, newline):
    lock, _ = Lock().extended(wanted)
    assert Lock.parse(lock.render().replace("\n", newline)) == lock


def test_merged_lines_come_in_any_order():
    lines = [line("app.b"), line("app.a", number=2, fingerprint=fp("b")), line("app.a")]
    assert Lock.parse(text(*lines)).render() == text(*reversed(lines))


def test_byte_order_mark_comments_and_blank_lines():
    assert len(Lock.parse("\ufeff" + text("", "# merged", line()))) == 1
    assert Lock.parse("") == Lock()


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (["<<<<<<< HEAD", line()], "L:2: unresolved git conflict", "--base"),
        ([line(), "=======", line("app.w")], "L:3: unresolved git conflict", "--base"),
        ([line(), ">>>>>>> feature"], "L:3: unresolved git conflict", "--base"),
        (["||||||| 1234567"], "L:2: unresolved git conflict", "--base"),
        (["app.v view 1"], "L:2: not of the form", "git checkout"),
        ([f" view 1 {fp('a')}"], "L:2: not of the form", "git checkout"),
        ([line(kind="trigger")], "L:2: 'trigger' is no kind", "git checkout"),
        ([line(number=0)], "L:2: '0' is no version number", "git checkout"),
        ([line(number=-1)], "L:2: '-1' is no version number", "git checkout"),
        ([line(number="01")], "L:2: '01' is no version number", "git checkout"),
        ([line(number="x")], "L:2: 'x' is no version number", "git checkout"),
        ([line(number="1_0")], "L:2: '1_0' is no version number", "git checkout"),
        ([line(number="\u0661")], "L:2: '\u0661' is no version number", "git checkout"),
        ([line(number=10**9)], "L:2: '1000000000' is no version number", "git checkout"),
        ([line(fingerprint="v1:" + "A" * 64)], "L:2: 'v1:AAAA", "git checkout"),
        ([line(fingerprint="v1:" + "a" * 63)], "is no fingerprint", "git checkout"),
        ([line(fingerprint="v2:" + "a" * 64)], "v2 is of a newer procver", "upgrade"),
        ([line(), line()], "L:3: app.v 1 is there twice", "delete one"),
        ([line(), line(kind="function")], "as view and as function", "git checkout"),
        ([line(), line(fingerprint=fp("b"))], "two branches took the same number", "--base"),
    ],
)
def test_a_broken_file_is_refused_with_place_and_way_out(lines, message, hint):
    with pytest.raises(LockError) as caught:
        Lock.parse(text(*lines), path="L")
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2
