"""Creates and finishes runs one after another, each with 10 params and 10 metrics. Option: `runs`."""

from __future__ import annotations

import random
import time

import weighbridge
from benchmarks.programs.options import answer, options
from benchmarks.samples import median, percentile


def main() -> None:
    given = options()
    chance = random.Random(3)
    taken = []
    for _ in range(given["runs"] + 1):
        config = {f"param_{n}": chance.random() for n in range(10)}
        metrics = {f"metric_{n}": chance.random() for n in range(10)}
        at = time.perf_counter()
        run = weighbridge.init(project="bench", config=config)
        run.log(metrics)
        run.finish()
        taken.append((time.perf_counter() - at) * 1e3)
    count = len(weighbridge.Api().runs("bench"))
    answer(first_ms=taken[0], median_ms=median(taken[1:]), p95_ms=percentile(taken[1:], 95), stored=count)


if __name__ == "__main__":
    main()
