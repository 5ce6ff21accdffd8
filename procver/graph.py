"""Strongly connected components of the reference graph, dependencies first."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def components(edges: Mapping[T, Sequence[T]]) -> list[tuple[T, ...]]:
    """Return the strongly connected components of a graph, dependencies first.

    Tarjan's algorithm without recursion, so that a chain of any length fits: O(nodes + edges).

    Args:
        edges: for each node what it refers to; a target that is no key is ignored.

    Returns:
        Components such that each comes after all those it refers to. The order of components and
        of the members in each follows from the order of ``edges`` alone.
    """
    index: dict[T, int] = {}
    low: dict[T, int] = {}
    stack: list[T] = []
    waiting: set[T] = set()
    found: list[tuple[T, ...]] = []
    for root in edges:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        waiting.add(root)
        path: list[tuple[T, Iterator[T]]] = [(root, iter(edges[root]))]
        while path:
            node, targets = path[-1]
            for target in targets:
                if target in index:
                    if target in waiting and index[target] < low[node]:
                        low[node] = index[target]
                elif target in edges:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    waiting.add(target)
                    path.append((target, iter(edges[target])))
                    break
            else:
                path.pop()
                if path and low[node] < low[path[-1][0]]:
                    low[path[-1][0]] = low[node]
                if low[node] == index[node]:
                    at = len(stack) - 1
                    while stack[at] != node:
                        at -= 1
                    members = tuple(stack[at:])
                    del stack[at:]
                    waiting.difference_update(members)
                    found.append(members)
    return found
