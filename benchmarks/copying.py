"""The floors of artifacts: `cp`, `cp` made durable, and BLAKE3 alone, on the same files and disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.samples import median


class Floors(NamedTuple):
    """Seconds of each. `flush_s` is what `sync -f` took after the copy."""

    copy_s: float
    flush_s: float
    hash_s: float


def settle() -> None:
    """Have the disk finish what was written before, so that one step does not pay for another."""
    os.sync()


def floors_of(bench: Bench, source: Path, *, times: int) -> Floors:
    """Medians of copying a file or folder with `cp -r`, and of hashing it."""
    copies, flushes, hashes = [], [], []
    for number in range(times):
        target = bench.folder / f"copy-{number}"
        settle()
        at = time.perf_counter()
        subprocess.run(["cp", "-r", str(source), str(target)], check=True)
        copies.append(time.perf_counter() - at)
        at = time.perf_counter()
        subprocess.run(["sync", "-f", str(target)], check=True)
        flushes.append(time.perf_counter() - at)
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        hashes.append(bench.run("floor_hash", {"source": str(source)})["hash_s"])
    return Floors(median(copies), median(flushes), median(hashes))
