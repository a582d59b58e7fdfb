"""A home with runs for service tests: short ways to start, feed and read them through the local transport."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from weighbridge.domain.chunk import encode_chunk
from weighbridge.domain.run import Resume, RunRecord, RunRef, RunState
from weighbridge.testing.clock import FakeClock
from weighbridge.testing.homes import ENTITY, open_test_transport
from weighbridge.wire.runs import (
    AppendBatch,
    ConfigItem,
    FinishItem,
    HistoryItem,
    Item,
    ListRuns,
    StartedRun,
    StartRun,
)

START = 1_700_000_000.0
PROJECT = "digits"


def ref(run_id: str = "r1") -> RunRef:
    return RunRef(ENTITY, PROJECT, run_id)


def history(*rows: tuple[int, dict[str, Any]]) -> HistoryItem:
    """Rows at second `step` after START."""
    return HistoryItem(encode_chunk([(step, START + step, dict(values)) for step, values in rows]))


def steps(first: int, count: int, **values: float) -> HistoryItem:
    """Rows with `loss` falling from 1 and the given constants."""
    rows = [(step, {"loss": 1 / (1 + step), **values}) for step in range(first, first + count)]
    return history(*rows)


def finish(state: RunState = RunState.FINISHED, exit_code: int = 0) -> FinishItem:
    return FinishItem(state, exit_code, START + 60)


class World:
    """A transport over a new home, the clock it runs by, and how far each spool was sent."""

    def __init__(self, home: Path) -> None:
        self.clock = FakeClock(START)
        self.transport = open_test_transport(home, clock=self.clock)
        self.runs = self.transport.runs
        self.history = self.transport.history
        self._offsets: dict[str, int] = {}

    def start(
        self, run_id: str = "r1", *, spool: str | None = None, resume: Resume | None = None, **fields: Any
    ) -> StartedRun:
        request = StartRun(run=ref(run_id), spool_id=spool or f"spool-{run_id}", resume=resume, **fields)
        return self.runs.start(request)

    def send(self, *items: Item, run_id: str = "r1", spool: str | None = None) -> int:
        """Append the items as the spool's next 100 bytes; the end they were stored to."""
        spool_id = spool or f"spool-{run_id}"
        offset = self._offsets.get(spool_id, 0)
        batch = AppendBatch(
            run=ref(run_id), spool_id=spool_id, offset=offset, end_offset=offset + 100, items=items
        )
        self._offsets[spool_id] = self.runs.append(batch).next_offset
        return self._offsets[spool_id]

    def get(self, run_id: str = "r1") -> RunRecord:
        return self.runs.get(ref(run_id))

    def made(self, run_id: str, *, summary: dict[str, Any] | None = None, **fields: Any) -> None:
        """A finished run with this summary."""
        self.start(run_id, **fields)
        self.send(history((0, summary or {"loss": 0.5})), finish(), run_id=run_id)

    def ids(
        self, filters: dict[str, Any] | None = None, order: str = "+created_at", limit: int = 50
    ) -> list[str]:
        page = self.runs.list_runs(
            ListRuns(entity=ENTITY, project=PROJECT, filters=filters or {}, order=order, limit=limit)
        )
        return [run.run_id for run in page.runs]

    def close(self) -> None:
        self.transport.close()


def same(left: object, right: object) -> bool:
    """Equality in which NaN equals NaN, however deep."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return left == right


CONFIG = ConfigItem({"lr": 0.1})
