"""Stored things as plain values for `--json`: times as ISO 8601 text, enums as words. One function a thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from weighbridge.sdk.times import iso

if TYPE_CHECKING:
    from weighbridge.domain.artifact import AliasEvent, CollectionRecord, VersionRecord
    from weighbridge.domain.lineage import LineageGraph
    from weighbridge.domain.registry import ProjectRecord
    from weighbridge.domain.run import RunRecord

Plain = dict[str, object]


def of_struct(record: msgspec.Struct) -> Plain:
    """Every field; fields that end in `_at` or are `at` as text."""
    fields: Plain = msgspec.to_builtins(record)
    return {
        name: iso(value) if _is_time(name) and isinstance(value, float) else value
        for name, value in fields.items()
    }


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith("_at")


def of_run(record: RunRecord) -> Plain:
    """A run with its path."""
    return {"path": record.path, **of_struct(record)}


def of_project(record: ProjectRecord) -> Plain:
    """A project or registry with its path."""
    return {"path": record.path, **of_struct(record)}


def of_collection(record: CollectionRecord) -> Plain:
    """A collection with its path."""
    return {"path": f"{record.entity}/{record.project}/{record.name}", **of_struct(record)}


def of_version(record: VersionRecord) -> Plain:
    """A version with its path, and the path of the sequence it was logged into."""
    return {
        "path": record.path,
        "source_path": record.source_path,
        **of_struct(record),
        "producer": None if record.producer is None else record.producer.path,
    }


def of_event(event: AliasEvent) -> Plain:
    """A move of an alias."""
    return {**of_struct(event), "run": None if event.run is None else event.run.path}


def of_graph(graph: LineageGraph) -> Plain:
    """A lineage graph: nodes by id, edges in the direction data flows."""
    return {
        **of_struct(graph),
        "nodes": [of_struct(node) for node in graph.nodes],
        "edges": [of_struct(edge) for edge in graph.edges],
    }


def without(values: Mapping[str, object], *names: str) -> Plain:
    """The values but for some."""
    return {name: value for name, value in values.items() if name not in names}
