"""The port of evaluations: judged passes over versions, one per run and version."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from weighbridge.domain.run import RunRef
from weighbridge.services.ports.transaction import Transaction

REPORT_MAX_BYTES = 32 * 1024 * 1024
"""Longest report, encoded."""


class NewEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What makes an evaluation. `report` is text from EvaluationStore.encode."""

    run_pk: int
    version_id: int
    verdict: str
    report: str
    scorer: str
    evaluated_at: float


class StoredEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation as it is kept. `version_path` names the version in its own sequence."""

    evaluation_id: int
    run: RunRef
    version_id: int
    version_path: str
    verdict: str
    report: dict[str, Any]
    scorer: str
    evaluated_at: float


class EvaluationStore(Protocol):
    """Keeps evaluations."""

    def encode(self, report: msgspec.Raw) -> str:
        """A report as the text that is stored. Raises InvalidInput, LimitExceeded past REPORT_MAX_BYTES."""
        ...

    def put(self, tx: Transaction, new: NewEvaluation) -> tuple[int, bool]:
        """Store an evaluation; its id, and whether it replaced an earlier one of the same run and version."""
        ...

    def find(self, tx: Transaction, evaluation_id: int) -> StoredEvaluation | None:
        """An evaluation by id."""
        ...

    def list_for_version(
        self, tx: Transaction, version_id: int, *, limit: int
    ) -> tuple[StoredEvaluation, ...]:
        """Evaluations of a version, newest first."""
        ...

    def list_for_run(self, tx: Transaction, run_pk: int, *, limit: int) -> tuple[StoredEvaluation, ...]:
        """Evaluations that a run made, newest first."""
        ...
