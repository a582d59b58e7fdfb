"""The lineage graph as people walk and print it. It asks no store: the graph is what was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from weighbridge.domain.lineage import Direction, LineageEdge, LineageGraph, LineageNode, NodeKind
from weighbridge.errors import InvalidInput


def parse_direction(direction: Direction | str) -> Direction:
    """`upstream`, `downstream` or `both`. Raises InvalidInput."""
    try:
        return Direction(direction)
    except ValueError as error:
        raise InvalidInput(
            f"Lineage direction {str(direction)[:40]!r} is unknown.", hint="Use upstream, downstream or both."
        ) from error


class Lineage:
    """Part of a lineage graph around one run or version. Printing it gives a tree."""

    def __init__(self, graph: LineageGraph) -> None:
        self.graph = graph

    @property
    def nodes(self) -> tuple[LineageNode, ...]:
        """Every run and version, in the store's order."""
        return self.graph.nodes

    @property
    def edges(self) -> tuple[LineageEdge, ...]:
        """`used` (version -> run) and `logged` (run -> version)."""
        return self.graph.edges

    @property
    def is_truncated(self) -> bool:
        """Whether more nodes exist than were read."""
        return self.graph.is_truncated

    @property
    def root(self) -> LineageNode:
        """What was asked for."""
        return self._by_id[self.graph.root]

    @property
    def runs(self) -> tuple[LineageNode, ...]:
        """The nodes that are runs."""
        return tuple(node for node in self.nodes if node.kind is NodeKind.RUN)

    @property
    def versions(self) -> tuple[LineageNode, ...]:
        """The nodes that are versions."""
        return tuple(node for node in self.nodes if node.kind is NodeKind.VERSION)

    def upstream_of(self, node: LineageNode) -> tuple[LineageNode, ...]:
        """What data flowed directly into a node."""
        return self._neighbours(node, self._sources)

    def downstream_of(self, node: LineageNode) -> tuple[LineageNode, ...]:
        """Where data flowed directly from a node."""
        return self._neighbours(node, self._targets)

    def __iter__(self) -> Iterator[LineageNode]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        lines = [_label(self.root)]
        for title, neighbours in (("from", self._sources), ("to", self._targets)):
            lines.extend(self._branch(self.root.node_id, title, neighbours, seen={self.root.node_id}))
        if self.is_truncated:
            lines.append("... more nodes exist; ask for a smaller depth or one direction")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Lineage of {self.root.name}: {len(self.nodes)} nodes, {len(self.edges)} edges>"

    @cached_property
    def _by_id(self) -> dict[str, LineageNode]:
        return {node.node_id: node for node in self.nodes}

    @cached_property
    def _sources(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge.source)
        return found

    @cached_property
    def _targets(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge.target)
        return found

    def _neighbours(self, node: LineageNode, ids: Mapping[str, list[str]]) -> tuple[LineageNode, ...]:
        return tuple(self._by_id[node_id] for node_id in ids.get(node.node_id, ()) if node_id in self._by_id)

    def _branch(
        self, node_id: str, title: str, neighbours: Mapping[str, list[str]], *, seen: set[str]
    ) -> list[str]:
        """Lines of everything reached one way, each node once; a stack, since a graph may be 50 deep."""
        lines: list[str] = []
        stack = [(child, 1) for child in reversed(neighbours.get(node_id, []))]
        while stack:
            current, depth = stack.pop()
            node = self._by_id.get(current)
            if node is None:
                continue
            again = " (see above)" if current in seen else ""
            lines.append(f"{'  ' * depth}{title} {_label(node)}{again}")
            if not again:
                seen.add(current)
                stack.extend((child, depth + 1) for child in reversed(neighbours.get(current, [])))
        return lines


def _label(node: LineageNode) -> str:
    words = [node.role or node.kind.value, node.name]
    if node.aliases:
        words.append(f"[{', '.join(node.aliases)}]")
    if node.verdict:
        words.append(f"({node.verdict})")
    if node.is_deleted:
        words.append("(deleted)")
    return " ".join(words)
