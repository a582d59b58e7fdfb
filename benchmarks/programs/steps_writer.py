"""Logs steps of five metrics, ends the run, and says so at once. Option: `steps`."""

from __future__ import annotations

import random
import time

import weighbridge
from benchmarks.programs.options import answer, options

METRICS = 5


def main() -> None:
    given = options()
    chance = random.Random(1)
    began = time.perf_counter()
    run = weighbridge.init(project="bench", id="steps")
    at_loop = time.perf_counter()
    for step in range(given["steps"]):
        run.log({f"metric_{n}": chance.random() for n in range(METRICS)}, step=step)
    at_finish = time.perf_counter()
    run.finish()
    ended = time.perf_counter()
    answer(init_s=at_loop - began, loop_s=at_finish - at_loop, finish_s=ended - at_finish)


if __name__ == "__main__":
    main()
