"""Fills a run with rows of `metrics` metrics by the wire, many a batch, so that millions take seconds.

Options: `run_id`, `rows`, `metrics`. It does what a shipper does, without a spool.
"""

from __future__ import annotations

import random
import time

from benchmarks.programs.options import answer, options
from weighbridge.domain.chunk import encode_chunk
from weighbridge.domain.run import RunRef, RunState
from weighbridge.sdk.client import client_for
from weighbridge.wire.runs import AppendBatch, FinishItem, HistoryItem, StartRun

BATCH_ROWS = 50_000


def main() -> None:
    given = options()
    transport = client_for().transport
    run, spool_id = RunRef("bench", "bench", given["run_id"]), f"fill-{given['run_id']}"
    transport.runs.start(StartRun(run=run, spool_id=spool_id, started_at=1.0))
    random_float = random.Random(2).random
    names = [f"metric_{n}" for n in range(given["metrics"])]
    for first in range(0, given["rows"], BATCH_ROWS):
        last = min(first + BATCH_ROWS, given["rows"])
        rows: list[tuple[int, float, dict[str, object]]] = [
            (step, step * 0.01, {name: random_float() for name in names}) for step in range(first, last)
        ]
        item = HistoryItem(encode_chunk(rows))
        transport.runs.append(
            AppendBatch(run=run, spool_id=spool_id, offset=first, end_offset=last, items=(item,))
        )
    end = FinishItem(RunState.FINISHED, 0, time.time())
    transport.runs.append(
        AppendBatch(
            run=run, spool_id=spool_id, offset=given["rows"], end_offset=given["rows"] + 1, items=(end,)
        )
    )
    answer(rows=given["rows"])


if __name__ == "__main__":
    main()
