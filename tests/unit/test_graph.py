"""Components: right, in order, and of any depth."""

from hypothesis import given
from hypothesis import strategies as st

from procver.graph import components

graphs = st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 11), max_size=5), max_size=10)


def reachable(edges, start):
    found, todo = set(), [start]
    while todo:
        for target in edges.get(todo.pop(), ()):
            if target in edges and target not in found:
                found.add(target)
                todo.append(target)
    return found


@given(graphs)
def test_members_reach_each_other_and_dependencies_come_first(edges):
    result = components(edges)
    place = {node: at for at, members in enumerate(result) for node in members}
    assert sorted(node for members in result for node in members) == sorted(edges)
    reach = {node: reachable(edges, node) for node in edges}
    for one in edges:
        for other in edges:
            mutual = one == other or (other in reach[one] and one in reach[other])
            assert (place[one] == place[other]) == mutual
            if other in reach[one]:
                assert place[other] <= place[one]


def test_order_is_that_of_the_mapping():
    edges = {"c": [], "b": ["a"], "a": ["b", "c"], "d": ["missing"]}
    assert components(edges) == [("c",), ("b", "a"), ("d",)]


def test_a_chain_deeper_than_the_stack():
    depth = 100_000
    edges = {n: [n + 1] for n in range(depth)}
    assert components(edges) == [(n,) for n in reversed(range(depth))]


def test_a_cycle_longer_than_the_stack():
    size = 100_000
    assert len(components({n: [(n + 1) % size] for n in range(size)})) == 1
