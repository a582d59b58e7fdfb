"""The floor of reading a metric: the same number of float64 and int64 words from a file, as NumPy arrays.

Options: `path`, `points`, `times`.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy

from benchmarks.programs.options import answer, options
from benchmarks.samples import median


def main() -> None:
    given = options()
    path, points = Path(given["path"]), given["points"]
    numpy.random.default_rng(0).random(2 * points).tofile(path)
    taken = []
    for _ in range(given["times"]):
        at = time.perf_counter()
        numpy.fromfile(path, dtype="<f8").sum()
        taken.append((time.perf_counter() - at) * 1e3)
    answer(warm_ms=median(taken))


if __name__ == "__main__":
    main()
