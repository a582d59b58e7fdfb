"""Logs until it is killed, and counts in a mapped file, which outlives it, how many calls have returned.

Options: `counter` (the file), `hz` (0: flat out), `run_id`.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

import weighbridge
from benchmarks.programs.options import answer, options


def main() -> None:
    given = options()
    path = Path(given["counter"])
    path.write_bytes(bytes(8))
    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 8)
    run = weighbridge.init(project="bench", id=given["run_id"])
    answer(is_ready=True)
    pause_s = 1 / given["hz"] if given["hz"] else 0.0
    count, due = 0, time.monotonic()
    while True:
        run.log({"index": count, **{f"metric_{n}": count / (n + 1) for n in range(9)}})
        count += 1
        shared[:8] = struct.pack("<q", count)
        if pause_s:
            due += pause_s
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
