"""`weighbridge lineage`: what a version or a run came from and led to, as a tree in the terminal.

A lineage is a graph; a node that is reached twice is drawn once, and referred to after that.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from weighbridge.cli import plain
from weighbridge.cli.context import Context
from weighbridge.cli.output import STYLES, Format
from weighbridge.cli.values import visible
from weighbridge.domain.lineage import LineageGraph, LineageNode, NodeKind
from weighbridge.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

DEPTH_MAX: Final = 50
JUDGED_MAX: Final = 100
"""Versions whose evaluations are looked up for the verdicts of their runs."""
SYMBOLS: Final = {NodeKind.RUN: "▶", NodeKind.VERSION: "◆"}
COLORS: Final = {NodeKind.RUN: "cyan", NodeKind.VERSION: "magenta"}

_LAST, _MORE, _UNDER_LAST, _UNDER_MORE = "└─ ", "├─ ", "   ", "│  "


class Line(NamedTuple):
    """One line of the tree: what stands before the node, the node, and whether it was drawn above."""

    indent: str
    node: LineageNode
    is_repeated: bool = False


def show_lineage(arguments: Namespace, context: Context) -> int:
    """Draw the graph around a run or a version, upstream above downstream."""
    if arguments.depth > DEPTH_MAX:
        raise UsageError(f"--depth {arguments.depth} is over {DEPTH_MAX}.", hint=f"Use 1 to {DEPTH_MAX}.")
    found = context.api.lineage(arguments.path, depth=arguments.depth, direction=arguments.direction).graph
    graph = _with_verdicts(found, context)
    out = context.out
    root = next(node for node in graph.nodes if node.node_id == graph.root)

    def text() -> None:
        lines = list(tree_lines(graph, arguments.direction))
        words = [_as_text(line) for line in lines]
        out.draw(lambda: _colored(lines), plain="\n".join(words))

    if out.format is Format.QUIET:
        for node in graph.nodes:
            out.write(f"{visible(node.path)}\n")
    else:
        out.record(plain.of_graph(graph), path=root.path, text=text)
    if graph.is_truncated:
        out.say("More nodes exist; ask for a smaller --depth or one --direction.")
    return 0


def _with_verdicts(graph: LineageGraph, context: Context) -> LineageGraph:
    """The graph with the verdict of each evaluation run, which the store keeps with the version it judged."""
    verdicts: dict[str, str] = {}
    judged = [node for node in graph.nodes if node.kind is NodeKind.VERSION and node.verdict]
    for node in judged[:JUDGED_MAX]:
        if not node.is_deleted:
            evaluations = context.api.artifact(node.path).evaluations()
            verdicts.update({each.run.path: each.verdict for each in reversed(evaluations)})
    nodes = tuple(
        replace(node, verdict=verdicts[node.path])
        if node.kind is NodeKind.RUN and node.path in verdicts
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def tree_lines(graph: LineageGraph, direction: str) -> Iterator[Line | str]:
    """The lines of the tree: nodes, and headings as text. Every node is drawn once, then referred to."""
    nodes = {node.node_id: node for node in graph.nodes}
    sources: dict[str, list[str]] = {}
    targets: dict[str, list[str]] = {}
    for edge in graph.edges:
        sources.setdefault(edge.target, []).append(edge.source)
        targets.setdefault(edge.source, []).append(edge.target)
    yield Line("", nodes[graph.root])
    drawn = {graph.root}
    for way, title, neighbours in (("upstream", "came from", sources), ("downstream", "led to", targets)):
        if direction not in ("both", way):
            continue
        if any(node_id in nodes for node_id in neighbours.get(graph.root, ())):
            yield title
            yield from _branch(graph.root, nodes, neighbours, drawn)
        elif direction == way:
            yield f"{title}: nothing"


def _branch(
    root: str, nodes: Mapping[str, LineageNode], neighbours: Mapping[str, list[str]], drawn: set[str]
) -> Iterator[Line]:
    """Everything reached one way, depth first, with a stack of its own, since a graph may be 50 deep."""
    stack = _children(root, nodes, neighbours, "")
    while stack:
        node_id, indent, is_last = stack.pop()
        is_repeated = node_id in drawn
        yield Line(indent + (_LAST if is_last else _MORE), nodes[node_id], is_repeated)
        if not is_repeated:
            drawn.add(node_id)
            under = indent + (_UNDER_LAST if is_last else _UNDER_MORE)
            stack.extend(_children(node_id, nodes, neighbours, under))


def _children(
    parent: str, nodes: Mapping[str, LineageNode], neighbours: Mapping[str, list[str]], indent: str
) -> list[tuple[str, str, bool]]:
    """The neighbours of a node to put on the stack, oldest to be drawn first."""
    known = [node_id for node_id in dict.fromkeys(neighbours.get(parent, ())) if node_id in nodes]
    known.sort(key=lambda node_id: (nodes[node_id].created_at, node_id))
    return [(node_id, indent, number == len(known) - 1) for number, node_id in enumerate(known)][::-1]


def _parts(line: Line) -> tuple[str, str, str, str]:
    """Symbol, role, name, and what else is known of a node."""
    node = line.node
    role = node.role or node.kind.value
    if line.is_repeated:
        return SYMBOLS[node.kind], visible(role), visible(node.name), "(drawn above)"
    more = []
    if node.aliases:
        more.append(f"[{', '.join(node.aliases)}]")
    more.extend(f"= {link}" for link in node.links)
    if node.is_deleted:
        more.append("(deleted)")
    elif node.kind is NodeKind.RUN and node.state not in ("", "finished"):
        more.append(f"({node.state})")
    return SYMBOLS[node.kind], visible(role), visible(node.name), visible("  ".join(more))


def _as_text(line: Line | str) -> str:
    if isinstance(line, str):
        return line
    symbol, role, name, more = _parts(line)
    verdict = line.node.verdict if line.node.verdict and not line.is_repeated else ""
    return line.indent + "  ".join(part for part in (f"{symbol} {role}", name, more, verdict) if part)


def _colored(lines: list[Line | str]) -> Text:
    from rich.text import Text

    drawn = Text()
    for number, line in enumerate(lines):
        if number:
            drawn.append("\n")
        if isinstance(line, str):
            drawn.append(line, style="bold")
            continue
        symbol, role, name, more = _parts(line)
        color = COLORS[line.node.kind]
        drawn.append(line.indent, style="dim")
        drawn.append(f"{symbol} {role}", style=color)
        drawn.append(f"  {name}", style="dim" if line.is_repeated else "bold")
        if more:
            drawn.append(f"  {more}", style="dim" if line.is_repeated else "")
        if line.node.verdict and not line.is_repeated:
            drawn.append(f"  {line.node.verdict}", style=STYLES.get(line.node.verdict, ""))
    return drawn
