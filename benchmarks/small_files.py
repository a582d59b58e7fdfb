"""One artifact of 5,000 files of 10 KiB: log it, log it again unchanged, download it verified.

Method: random bytes in 50 folders, written and flushed before, so they are in the page cache; every step
begins after a `sync`. Times are wall-clock around the public calls, medians of 3 homes. The first log also
flushes the stored files to the disk, which `cp -r` does not. "Again" is the median of three further runs of
the same process. The floors are `cp -r` and BLAKE3 alone in the same run.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.copying import floors_of, settle
from benchmarks.measurement import Measurement
from benchmarks.samples import median

TITLE: Final = "Artifact of 5,000 files of 10 KiB"
FLOOR_NAME: Final = "cp -r + BLAKE3"
LIMITS_S: Final = {"log": 0.6, "again": 0.15, "download": 0.5}
WORDS: Final = {"log": "log", "again": "log again, unchanged", "download": "verified download"}
PEER_RATIO: Final = 0.5


def measure(bench: Bench) -> list[Measurement]:
    source = bench.folder / "images"
    files = bench.pick(5_000, 200)
    _make(source, files)
    times = bench.pick(3, 1)
    floors = floors_of(bench, source, times=times)
    peer = _of_peer(bench, source, times) if bench.peer is not None else {}
    taken: dict[str, list[float]] = {"log": [], "again": [], "download": []}
    for _ in range(times):
        home, target = bench.new_home(), bench.folder / "download"
        settle()
        found = bench.run("artifacts", {"source": str(source), "target": str(target)}, home=home)
        if sum(len(names) for _, _, names in os.walk(target)) != files:
            raise RuntimeError("not every file was downloaded")
        for key, samples in taken.items():
            samples.append(found[f"{key}_s"])
        shutil.rmtree(target)
        bench.drop_home(home)
    floor_s = floors.copy_s + floors.hash_s
    measurements = []
    for key, samples in taken.items():
        # the "or": half of the peer's time in the same run, where that is the longer
        limit = max(LIMITS_S[key], PEER_RATIO * peer[key]) if peer else LIMITS_S[key]
        measurements.append(
            Measurement(
                what=WORDS[key],
                value=median(samples),
                unit="s",
                limit=limit,
                floor=floor_s if key != "again" else floors.hash_s,
                floor_name=FLOOR_NAME if key != "again" else "BLAKE3",
                note=f"cp -r {floors.copy_s:.2f} s, BLAKE3 {floors.hash_s:.2f} s" if key == "log" else "",
            )
        )
    measurements += [
        Measurement(what=f"{bench.peer.name}: {WORDS[key]}", value=value, unit="s")
        for key, value in peer.items()
        if bench.peer is not None
    ]
    return measurements


def _of_peer(bench: Bench, source: Path, times: int) -> dict[str, float]:
    assert bench.peer is not None
    taken: dict[str, list[float]] = {"log": [], "again": [], "download": []}
    for number in range(times):
        target = bench.folder / f"peer-download-{number}"
        settle()
        options = {"task": "artifacts", "source": str(source), "target": str(target)}
        found = bench.run(f"peer_{bench.peer.name}", options, home=bench.new_home("peer"))
        for key, samples in taken.items():
            samples.append(found[f"{key}_s"])
    return {key: median(samples) for key, samples in taken.items()}


def _make(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / f"{number % 50:02}" / f"image-{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(10 << 10))
    os.sync()
