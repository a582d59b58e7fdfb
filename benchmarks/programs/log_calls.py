"""Times each call of `log()` with ten floats, and the CPU of all that the client runs until all is stored.

Options: `calls`, or `seconds` and `skip_s` (calls before `skip_s` are left out of the percentiles, because the
shipper has not begun by then).
"""

from __future__ import annotations

import os
import random
import time
from array import array
from pathlib import Path

import weighbridge
from benchmarks.processes import cpu_s, shippers_of
from benchmarks.programs.options import answer, options
from benchmarks.samples import percentile
from weighbridge.sdk.spool_reader import end_offset

ROWS = 1_000
BLOCK = 1_000
CALLS_MAX = 20_000_000


def rows_of(width: int) -> list[dict[str, float]]:
    """Rows of random floats, as a training script would log."""
    chance = random.Random(0)
    return [{f"metric_{n}": chance.random() for n in range(width)} for _ in range(ROWS)]


def timed(
    run: weighbridge.Run, *, calls: int, seconds: float | None, skip_s: float
) -> tuple[array[int], float]:
    """The nanoseconds of each call after `skip_s`, and how many calls there were in all."""
    rows, durations, log = rows_of(10), array("q"), run.log
    clock = time.perf_counter_ns
    began = clock()
    done = 0
    while done < calls and (seconds is None or clock() - began < seconds * 1e9):
        taken = [0] * BLOCK
        for index in range(BLOCK):
            row = rows[index]
            at = clock()
            log(row)
            taken[index] = clock() - at
        done += BLOCK
        if clock() - began >= skip_s * 1e9:
            durations.extend(taken)
    return durations, done


def main() -> None:
    given = options()
    home = Path(os.environ["WEIGHBRIDGE_HOME"])
    run = weighbridge.init(project="bench", id="calls")
    seconds = given.get("seconds")
    cpu_began, began = time.process_time(), time.perf_counter()
    durations, done = timed(
        run, calls=given.get("calls", CALLS_MAX), seconds=seconds, skip_s=given.get("skip_s", 0.0)
    )
    loop_s = time.perf_counter() - began
    folder = next(path for path in (home / "spool").iterdir() if path.is_dir())
    acked = folder / "acked"
    shipped = int.from_bytes(acked.read_bytes()[:8], "little") if acked.exists() else 0
    written = end_offset(folder)
    shippers = shippers_of(home)
    run.finish()
    wall_s = time.perf_counter() - began
    own_cpu_s = time.process_time() - cpu_began
    shipper_cpu_s = sum(cpu_s(pid) for pid in set(shippers) | set(shippers_of(home)))
    answer(
        calls=done,
        timed=len(durations),
        p50_us=percentile(durations, 50) / 1e3,
        p99_us=percentile(durations, 99) / 1e3,
        p999_us=percentile(durations, 99.9) / 1e3,
        mean_us=sum(durations) / len(durations) / 1e3,
        loop_s=loop_s,
        wall_s=wall_s,
        own_cpu_us=own_cpu_s / done * 1e6,
        shipper_cpu_us=shipper_cpu_s / done * 1e6,
        shipped_in_loop=shipped / max(written, 1),
        is_all_shipped=not folder.exists(),
    )


if __name__ == "__main__":
    main()
