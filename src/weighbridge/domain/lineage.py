"""The lineage graph: versions and runs as nodes, logged and used as edges. Pure data and rules."""

from __future__ import annotations

import enum

import msgspec


class NodeKind(enum.StrEnum):
    """What a node stands for."""

    RUN = "run"
    VERSION = "version"


class Direction(enum.StrEnum):
    """Which way to walk: upstream to the inputs, downstream to the consumers."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"


class LineageNode(msgspec.Struct, frozen=True, kw_only=True):
    """A run or a version in the graph.

    `node_id` is `run:<entity>/<project>/<run_id>` or `version:<version_id>`; `name` is what to show;
    `role` is the run's job type or the artifact's type; a deleted run stays as a tombstone.
    """

    node_id: str
    kind: NodeKind
    name: str
    path: str
    role: str = ""
    state: str = ""
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """Registry paths (`entity/project/collection:vN`) that hold the version."""
    verdict: str | None = None
    created_at: float = 0.0
    is_deleted: bool = False


class LineageEdge(msgspec.Struct, frozen=True, kw_only=True):
    """`source` -> `target` in the direction data flows: version -> run (used), run -> version (logged)."""

    source: str
    target: str
    kind: str
    """`used` or `logged`."""


class LineageGraph(msgspec.Struct, frozen=True, kw_only=True):
    """Part of the graph around `root`, at most `limit` nodes; `is_truncated` where more exist."""

    root: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    is_truncated: bool = False
