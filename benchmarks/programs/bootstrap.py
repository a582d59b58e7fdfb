"""Times a paired bootstrap of the mean. Options: `rows`, `resamples`, `is_correctness` (0/1 values), `times`."""

from __future__ import annotations

import time

import numpy

from benchmarks.programs.options import answer, options
from benchmarks.samples import median
from weighbridge.evaluation.statistics import paired_bootstrap


def main() -> None:
    given = options()
    chance = numpy.random.default_rng(5)
    a = chance.random(given["rows"])
    b = a + chance.normal(0.001, 0.1, given["rows"])
    if given["is_correctness"]:
        a, b = (a < 0.9).astype(float), (b < 0.91).astype(float)
    taken = []
    for _ in range(given["times"]):
        at = time.perf_counter()
        found = paired_bootstrap(a, b, resamples=given["resamples"], seed=0)
        taken.append(time.perf_counter() - at)
    at = time.perf_counter()
    drawn = chance.integers(0, given["rows"], given["rows"])
    float((b - a)[drawn].mean())
    answer(
        took_s=median(taken),
        one_resample_s=time.perf_counter() - at,
        low=found.low,
        delta=found.delta,
        high=found.high,
    )


if __name__ == "__main__":
    main()
