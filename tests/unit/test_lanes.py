"""Steps are divided among lanes so that nothing is created before what it needs, and nothing is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procver import lanes
from procver.contract import Member
from procver.dialects import Call
from procver.known import KnownVersion
from procver.objects import Kind, Name
from procver.plan import NEW, RESTORED, Create
from procver.registry import writing
from procver.registry.writing import NewVersion
from tests.workshop import in_lanes


def step(label: str, *needs: str) -> Create:
    name = Name("app", label)
    requires = tuple((need, 1) for need in needs)
    member = Member(
        label, name, Kind.VIEW, 1, "v1:0", "0", Name("app", f"{label}_1"), f"app.{label}_1", requires, False
    )  # fmt: skip
    return Create(label, 1, "view", member.quoted, NEW, (), member)


@st.composite
def plans(draw: st.DrawFn) -> list[Create]:
    """Steps of which each needs some of those before it."""
    found: list[Create] = []
    for index in range(draw(st.integers(1, 40))):
        below = [each.label for each in found]
        needs = draw(st.lists(st.sampled_from(below), max_size=4, unique=True)) if below else []
        found.append(step(f"o{index}", *needs))
    return found


@given(plans(), st.integers(0, 50))
def test_what_a_step_needs_comes_before_it(steps: list[Create], rest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        in_lanes(patch, rest)
        found = lanes.divide(steps)
    assert found is not None
    assert len(found.rest) <= rest
    in_waves = [each.label for wave in found.waves for lane in wave for each in lane]
    assert sorted(in_waves + [each.label for each in found.rest]) == sorted(
        each.label for each in steps
    )
    committed: set[str] = set()
    for wave in found.waves:
        assert len(wave) == lanes.LANES
        assert any(wave)
        for number, lane in enumerate(wave):
            own: set[str] = set()
            for each in lane:
                assert lanes.lane_of(each.label) == number
                assert each.member is not None
                assert {label for label, _ in each.member.requires} <= committed | own
                own.add(each.label)
        committed.update(each.label for lane in wave for each in lane)
    for each in found.rest:
        assert each.member is not None
        assert {label for label, _ in each.member.requires} <= committed
        committed.add(each.label)


def test_as_much_as_possible_is_left_for_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [step("a"), step("b"), step("c"), step("d", "b"), step("e", "d"), step("f", "e")]
    depths = {"a": 1, "b": 1, "c": 1}
    in_lanes(monkeypatch)
    divided = lanes.divide(steps)
    assert divided is not None
    deep = [each.label for wave in divided.waves[1:] for lane in wave for each in lane]
    assert sorted([*depths, *deep]) == list("abcdef")
    in_lanes(monkeypatch, rest=3)
    assert lanes.divide(steps) == (divided.waves[:1], tuple(s for s in steps if s.label in deep))


def test_the_lane_of_an_object_never_changes() -> None:
    """Two versions of procver that publish the same project must agree."""
    labels = ["app.things", "app.find_things", "app.spFindAllThings", "dbo.Größe", "a", "b"]
    assert [lanes.lane_of(label) for label in labels] == [0, 1, 0, 1, 1, 1]


def test_few_versions_are_not_worth_a_second_connection() -> None:
    steps = [step(f"o{index}") for index in range(lanes.FROM)]
    assert lanes.divide(steps) is not None
    assert lanes.divide(steps[1:]) is None


def test_nor_is_a_long_chain() -> None:
    steps = [step("o0")]
    while len(steps) < lanes.FROM:
        steps.append(step(f"o{len(steps)}", steps[-1].label))
    assert lanes.divide(steps) is None


def test_a_cycle_is_created_in_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    in_lanes(monkeypatch)
    assert lanes.divide([step("a", "b"), step("b", "a")]) is None


def test_what_comes_from_the_registry_is_created_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    in_lanes(monkeypatch)
    known = KnownVersion(
        "a", 1, 7, Kind.VIEW, "v1:0", "0", "0", Name("app", "a_1"), "app.a_1", "dropped", None, None, False
    )  # fmt: skip
    back = step("a")._replace(reason=RESTORED, known=known)
    assert lanes.divide([back, step("b")]) is None
    assert lanes.divide([step("b")]) is not None


def test_another_pin_of_an_object_that_is_there_already_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_lanes(monkeypatch)
    first = step("b")
    second = step("a")
    assert second.member is not None
    second = second._replace(member=second.member._replace(requires=(("b", 9),)))
    found = lanes.divide([first, second])
    assert found is not None
    assert len(found.waves) == 1


@pytest.mark.parametrize("lightly", [False, True])
def test_only_the_last_commit_waits_for_the_disk(
    monkeypatch: pytest.MonkeyPatch, lightly: bool
) -> None:
    """In lanes none does: the release's own commit, which follows, carries all."""
    monkeypatch.setattr(writing, "BATCH_OBJECTS", 1)
    versions = [
        NewVersion(
            label, "view", 1, "v1:0", "0", "0", "x.sql", Name("app", f"{label}_1"), f"app.{label}_1",
            (("CREATE VIEW x AS SELECT 1", "definition"),), (),
        )
        for label in "abc"
    ]  # fmt: skip
    units = writing.creation(1, iter(versions), [], lightly=lightly)
    light = [Call("commit_lightly", {}) in list(unit.steps) for unit in units]
    assert light == [True, True, lightly]
