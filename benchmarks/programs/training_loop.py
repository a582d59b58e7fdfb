"""A training loop of NumPy matrix products that logs, timed whole and by call.

Options: `seconds`; `logs`, calls of `log()` after each product; `skip_s`, seconds left out of the figures, by
which time shipping has begun.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy

import weighbridge
from benchmarks.programs.log_calls import rows_of
from benchmarks.programs.options import answer, options
from benchmarks.samples import percentile
from weighbridge.sdk.spool_reader import end_offset

SIDE = 128


def main() -> None:
    given = options()
    left = numpy.random.default_rng(7).random((SIDE, SIDE))
    rows, calls = rows_of(10), []
    run = weighbridge.init(project="bench")
    clock, log = time.perf_counter_ns, run.log
    products = whole = counted = 0
    start = clock()
    while (began := clock()) - start < given["seconds"] * 1e9:
        left = left @ left
        left /= left.max()
        multiplied = clock() - began
        taken = []
        for index in range(given["logs"]):
            at = clock()
            log(rows[index])
            taken.append(clock() - at)
        if began - start >= given["skip_s"] * 1e9:
            calls += taken
            products += multiplied
            whole += clock() - began
            counted += 1
    home = Path(os.environ["WEIGHBRIDGE_HOME"])
    folders = [path for path in (home / "spool").iterdir() if path.is_dir()]
    acked = folders[0] / "acked"
    shipped = int.from_bytes(acked.read_bytes()[:8], "little") if acked.exists() else 0
    answer(
        product_us=products / counted / 1e3,
        iteration_us=whole / counted / 1e3,
        rows_a_second=counted * given["logs"] / whole * 1e9,
        p50_us=percentile(calls, 50) / 1e3 if calls else 0.0,
        p99_us=percentile(calls, 99) / 1e3 if calls else 0.0,
        p999_us=percentile(calls, 99.9) / 1e3 if calls else 0.0,
        shipped=shipped / max(end_offset(folders[0]), 1),
    )
    os._exit(0)  # what is left in the spool is deleted with the home


if __name__ == "__main__":
    main()
