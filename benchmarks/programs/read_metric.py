"""Times reads of one metric through the public API, the first in this process and later ones.

Options: `run_id`; `what`, series or buckets; `times`.
"""

from __future__ import annotations

import time

from benchmarks.processes import peak_rss_bytes
from benchmarks.programs.options import answer, options
from benchmarks.samples import median
from weighbridge import Api


def main() -> None:
    given = options()
    began = time.perf_counter()
    run = Api().run(f"bench/{given['run_id']}")
    open_s = time.perf_counter() - began
    taken = []
    count = 0
    for _ in range(given["times"] + 1):
        at = time.perf_counter()
        if given["what"] == "series":
            count = len(run.series("metric_0").values)
        else:
            count = int(run.buckets("metric_0", 1_000).count.sum())
        taken.append((time.perf_counter() - at) * 1e3)
    answer(
        open_ms=open_s * 1e3,
        first_ms=taken[0],
        warm_ms=median(taken[1:]),
        points=count,
        peak_mb=peak_rss_bytes() / 1e6,
    )


if __name__ == "__main__":
    main()
