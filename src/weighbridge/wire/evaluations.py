"""Requests and answers about evaluations and lineage."""

from __future__ import annotations

from typing import Any

import msgspec

from weighbridge.domain.lineage import Direction
from weighbridge.domain.run import RunRef


class RecordEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Store a judged pass over a version, with its run. Run and version once more replace the report."""

    run: RunRef
    version_id: int
    verdict: str
    report: msgspec.Raw
    """domain.evaluation's report as a JSON object, in the form of domain.exact_json; at most 32 MiB."""
    scorer: str = ""
    evaluated_at: float = 0.0


class EvaluationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stored evaluation. `report` is left empty in the answer to `record`, whose caller has it."""

    evaluation_id: int
    run: RunRef
    version_id: int
    version_path: str
    verdict: str
    report: dict[str, Any]
    scorer: str
    evaluated_at: float


class ReadLineage(msgspec.Struct, frozen=True, kw_only=True):
    """The graph around a run or a version (one is given). `depth` 1 to 50, `limit` 1 to 5,000 nodes."""

    run: RunRef | None = None
    version_id: int | None = None
    direction: Direction = Direction.BOTH
    depth: int = 10
    limit: int = 2_000
