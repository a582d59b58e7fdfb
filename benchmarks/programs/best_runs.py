"""Times a page of 50 runs by a filter, best first, through the public API.

Options: `project`, `filters`, `times`.
"""

from __future__ import annotations

import time

from benchmarks.programs.options import answer, options
from benchmarks.samples import median
from weighbridge import Api


def main() -> None:
    given = options()
    api = Api()
    taken = []
    best: list[float] = []
    for _ in range(given["times"] + 1):
        at = time.perf_counter()
        page = api.runs(given["project"], given["filters"], order="-summary_metrics.accuracy", per_page=50)[
            :50
        ]
        best = [run.summary["accuracy"] for run in page]
        taken.append((time.perf_counter() - at) * 1e3)
    answer(
        first_ms=taken[0],
        warm_ms=median(taken[1:]),
        rows=len(best),
        is_sorted=best == sorted(best, reverse=True),
        matching=len(api.runs(given["project"], given["filters"])),
    )


if __name__ == "__main__":
    main()
