"""Logs many rows while nobody can ship them, and watches this process's and the shipper's memory.

Options: `rows`. The spool's lease is held by this process, which is what a blocked sender looks like to the
shipper.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import weighbridge
from benchmarks.processes import folder_bytes, peak_rss_bytes, rss_bytes, shippers_of
from benchmarks.programs.options import answer, options
from weighbridge.sdk.sender import Lease

SAMPLES = 50


def main() -> None:
    given = options()
    home = Path(os.environ["WEIGHBRIDGE_HOME"])
    run = weighbridge.init(project="bench", id="long")
    folder = next(path for path in (home / "spool").iterdir() if path.is_dir())
    lease = Lease(folder)
    if not lease.acquire():
        raise SystemExit("the lease could not be taken")
    chance = random.Random(6)
    rows = [{f"metric_{n}": chance.random() for n in range(5)} for _ in range(1_000)]
    every = given["rows"] // SAMPLES
    sampled, began = [], time.perf_counter()
    for number in range(given["rows"]):
        run.log(rows[number % 1_000])
        if number % every == every - 1:
            sampled.append(rss_bytes())
    took_s = time.perf_counter() - began
    shipper = max((peak_rss_bytes(pid) for pid in shippers_of(home)), default=0)
    answer(
        peak_mb=peak_rss_bytes() / 1e6,
        first_mb=sampled[SAMPLES // 10] / 1e6,
        last_mb=sampled[-1] / 1e6,
        shipper_peak_mb=shipper / 1e6,
        spool_mb=folder_bytes(folder) / 1e6,
        took_s=took_s,
    )
    os._exit(0)  # the end of the run is not what is measured; the rows are deleted with the home


if __name__ == "__main__":
    main()
