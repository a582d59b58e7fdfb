"""The floor of `log()`: one plain `write()` of a record of equal size to a file opened for appending."""

from __future__ import annotations

import os
import time
from array import array

from benchmarks.programs.options import answer, options
from benchmarks.samples import percentile


def main() -> None:
    given = options()
    record = os.urandom(given["size_bytes"])
    fd = os.open(given["path"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    clock, write, taken = time.perf_counter_ns, os.write, array("q")
    for _ in range(given["calls"]):
        at = clock()
        write(fd, record)
        taken.append(clock() - at)
    os.close(fd)
    answer(p50_us=percentile(taken, 50) / 1e3, p99_us=percentile(taken, 99) / 1e3)


if __name__ == "__main__":
    main()
