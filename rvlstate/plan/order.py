"""Order: edges between steps, and the sequence they are carried out in. The door to nx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rvlstate.errors import DependencyCycleError

Edge = tuple[str, str]
"""(before, after)."""


def refuse_cycles(dependencies: Mapping[str, Iterable[str]]) -> None:
    """Raise DependencyCycleError if names depend on each other in a circle; `dependencies`: name -> what it needs."""
    pairs = [(needed, name) for name, needs in sorted(dependencies.items()) for needed in sorted(needs)]
    if not pairs:
        return
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph(pairs)
    if nx.is_directed_acyclic_graph(graph):
        return
    backwards = [source for source, _ in nx.find_cycle(graph)]
    # Edges lead from what is needed to what needs it; people read "products -> categories" as "needs".
    cycle = backwards[::-1]
    start = cycle.index(min(cycle))
    turned = [*cycle[start:], *cycle[:start]]
    raise DependencyCycleError((*turned, turned[0]))


def sequence(steps: Iterable[str], edges: Iterable[Edge], rank: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """The steps in an order that respects the edges; ties go by rank, so the same input gives the same order."""
    names, pairs = sorted(steps, key=lambda step: rank[step]), list(edges)
    if not pairs:
        return tuple(names)
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(pairs)
    try:
        ordered = nx.lexicographical_topological_sort(graph, key=lambda step: rank[step])
        return tuple(ordered)
    except nx.NetworkXUnfeasible:
        cycle = tuple(source for source, _ in nx.find_cycle(graph))
        raise DependencyCycleError((*cycle, cycle[0])) from None
