"""One artifact of one file of 1 GiB: log it, log it again unchanged, download it verified.

Method: random bytes, written and flushed before, so they are in the page cache; every step begins after a
`sync`. Times are wall-clock around the public calls, from making the draft until `wait()` returns. The first
log also flushes the stored bytes to the disk, which `cp` does not; what a flush of the copy takes is in the
remark. "Again" is the median of three further runs of the same process, and once from a fresh process, which
must load what it needs. The floor is `cp` plus BLAKE3 alone on one core, each by itself, medians of 3 in the
same run; download is held to the same.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.copying import middle_of, one_round, settle
from benchmarks.measurement import Measurement
from benchmarks.samples import median

TITLE: Final = "Artifact of 1 GiB"
RATIO_MAX: Final = 1.3
AGAIN_MAX_MS: Final = 20.0
FLOOR_NAME: Final = "cp + BLAKE3"


def measure(bench: Bench) -> list[Measurement]:
    source = bench.folder / "weights.bin"
    _make(source, bench.pick(1 << 30, 8 << 20))
    times = bench.pick(3, 1)
    rounds = []
    logs, again, downloads, fresh = [], [], [], []
    for _ in range(times):
        home, target = bench.new_home(), bench.folder / "download"
        settle()
        found = bench.run("artifacts", {"source": str(source), "target": str(target)}, home=home)
        more = bench.run("artifacts", {"source": str(source), "is_again_only": True}, home=home)
        if found["size_bytes"] != source.stat().st_size or more["version"] != found["version"]:
            raise RuntimeError("the artifact was not stored whole, or the same content made another version")
        logs.append(found["log_s"])
        again.append(found["again_s"] * 1e3)
        fresh.append(more["again_s"] * 1e3)
        downloads.append(found["download_s"])
        rounds.append(one_round(bench, source))  # beside what was stored, so that both need as much memory
        (target / source.name).unlink()
        bench.drop_home(home)
    floors = middle_of(rounds)
    floor_s = floors.copy_s + floors.hash_s
    parts = (
        f"cp {floors.copy_s:.2f} s, BLAKE3 {floors.hash_s:.2f} s; flushing the copy {floors.flush_s:.2f} s"
    )
    return [
        _against(floor_s, "log", logs, note=parts),
        Measurement(what="log again, unchanged", value=median(again), unit="ms", limit=AGAIN_MAX_MS),
        Measurement(what="log again, fresh process", value=median(fresh), unit="ms"),
        _against(floor_s, "verified download", downloads, note=f"median of {times}"),
    ]


def _against(floor_s: float, what: str, samples: list[float], *, note: str) -> Measurement:
    return Measurement(
        what=what,
        value=median(samples),
        unit="s",
        limit=RATIO_MAX,
        is_limit_ratio=True,
        floor=floor_s,
        floor_name=FLOOR_NAME,
        note=note,
    )


def _make(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        for _ in range(size_bytes >> 20):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
