"""Calls of `log()` that had returned and are lost when the process is killed.

Method: a process logs rows of ten values, flat out or at 200 Hz, and after each call counts it in a mapped
file, which outlives it. It is killed with SIGKILL after a random time (seeded) of 0.2 to 2.5 s, so that some
kills come before the shipper process has begun and some while it ships. Another process then ships what was
left and reads the rows. Lost are calls counted and not stored; a row whose call had not returned yet may be
stored.
"""

from __future__ import annotations

import random
import signal
import struct
import time
from typing import Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement

TITLE: Final = "Lost at SIGKILL"


def measure(bench: Bench) -> list[Measurement]:
    found = []
    for hz, kills in ((0, bench.pick(8, 1)), (200, bench.pick(8, 1))):
        chance = random.Random(hz)
        calls = lost = twice = 0
        for number in range(kills):
            wait_s = 0.3 if bench.is_quick else chance.uniform(0.2, 2.5)
            returned, stored, extra = _kill(bench, f"kill-{hz}-{number}", hz=hz, wait_s=wait_s)
            calls, lost, twice = calls + returned, lost + max(0, returned - stored), twice + extra
        speed = f"{hz} Hz" if hz else "flat out"
        note = f"{kills} kills; {calls:,} calls had returned"
        found += [
            Measurement(what=f"rows lost, {speed}", value=lost, unit="rows", limit=0, note=note),
            Measurement(what=f"rows stored twice, {speed}", value=twice, unit="rows", limit=0),
        ]
    return found


def _kill(bench: Bench, run_id: str, *, hz: int, wait_s: float) -> tuple[int, int, int]:
    """Calls that had returned, rows stored, rows stored more than once."""
    home, counter = bench.new_home(), bench.folder / f"{run_id}.count"
    options = {"counter": str(counter), "hz": hz, "run_id": run_id}
    with bench.start("killed_writer", options, home=home) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the writer ended before it logged")
        time.sleep(wait_s)
        process.send_signal(signal.SIGKILL)
    returned: int = struct.unpack("<q", counter.read_bytes())[0]
    rows = bench.run("count_rows", {"run_id": run_id}, home=home)
    if not rows["is_whole"] and rows["stored"] == rows["distinct"]:
        raise RuntimeError(f"{run_id}: rows are missing in the middle")
    bench.drop_home(home)
    return returned, rows["distinct"], rows["stored"] - rows["distinct"]
