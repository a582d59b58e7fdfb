"""Creating and finishing a run with 10 params and 10 metrics.

Method: in one process 201 times `init(config=...)`, one `log`, `finish()`, by which all is stored; the first,
which opens the home, is in the remark, the median of the other 200 is judged. The floor is a sqlite3
transaction with the same twenty numbers as JSON, which a run needs at least twice: to be seen while it lives,
and at its end.
"""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement

TITLE: Final = "Create and finish a run with 10 params, 10 metrics"


def measure(bench: Bench) -> list[Measurement]:
    runs = bench.pick(200, 10)
    found = bench.run("many_runs", {"runs": runs}, home=bench.new_home())
    floor = bench.run("floor_runs", {"path": str(bench.folder / "plain.db"), "runs": runs})
    if found["stored"] != runs + 1:
        raise RuntimeError(f"{found['stored']} of {runs + 1} runs are stored")
    return [
        Measurement(
            what="one run",
            value=found["median_ms"],
            unit="ms",
            limit=15,
            floor=floor["median_ms"],
            floor_name="sqlite3 transaction",
            note=f"median of {runs}; first {found['first_ms']:.0f} ms",
        ),
        Measurement(what="the 95th percentile", value=found["p95_ms"], unit="ms"),
    ]
