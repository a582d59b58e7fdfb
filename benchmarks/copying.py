"""The floors of artifacts: `cp`, `cp` made durable, and BLAKE3 alone, on the same files and disk."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.samples import median

_numbers = count()


class Floors(NamedTuple):
    """Seconds of each. `flush_s` is what `sync -f` took after the copy."""

    copy_s: float
    flush_s: float
    hash_s: float


def settle() -> None:
    """Have the disk finish what was written before, so that one step does not pay for another."""
    os.sync()


def one_round(bench: Bench, source: Path) -> Floors:
    """Copy a file or folder with `cp -r`, flush the copy, and hash the source.

    A copied folder is left there: ext4 is slow to make files right after thousands were deleted.
    """
    target = bench.folder / f"copy-{next(_numbers)}"
    settle()
    at = time.perf_counter()
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)
    copy_s = time.perf_counter() - at
    at = time.perf_counter()
    subprocess.run(["sync", "-f", str(target)], check=True)
    flush_s = time.perf_counter() - at
    if target.is_file():
        target.unlink()
    return Floors(copy_s, flush_s, bench.run("floor_hash", {"source": str(source)})["hash_s"])


def middle_of(rounds: Sequence[Floors]) -> Floors:
    """The medians, each by itself."""
    return Floors(*(median(samples) for samples in zip(*rounds, strict=True)))
