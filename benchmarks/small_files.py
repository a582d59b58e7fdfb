"""One artifact of 5,000 files of 10 KiB: log it, log it again unchanged, download it verified.

Method: random bytes in 50 folders, written and flushed before, so they are in the page cache; every step
begins after a `sync`. Times are wall-clock around the public calls, medians of 3 rounds, each with a new
home, the floors and, where asked for, the peer in turn. Nothing is deleted between rounds, because ext4 is
slow to make files right after thousands were deleted. The first log also flushes the stored files to the
disk, which `cp -r` does not. "Again" is the median of three further runs of the same process. The floors are
`cp -r` and BLAKE3 alone in the same run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.copying import Floors, middle_of, one_round, settle
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
    floors: list[Floors] = []
    ours: list[dict[str, float]] = []
    peers: list[dict[str, float]] = []
    for number in range(bench.pick(3, 1)):
        target = bench.folder / f"download-{number}"
        options = {"source": str(source), "target": str(target)}
        settle()
        ours.append(bench.run("artifacts", options, home=bench.new_home()))
        if sum(len(names) for _, _, names in os.walk(target)) != files:
            raise RuntimeError("not every file was downloaded")
        floors.append(one_round(bench, source))
        if bench.peer is not None:
            settle()
            options |= {"task": "artifacts", "target": str(bench.folder / f"peer-download-{number}")}
            peers.append(bench.run(f"peer_{bench.peer.name}", options, home=bench.new_home("peer")))
    return _judged(bench, ours, peers, floors=middle_of(floors))


def _judged(
    bench: Bench, ours: list[dict[str, float]], peers: list[dict[str, float]], *, floors: Floors
) -> list[Measurement]:
    found = []
    for key, words in WORDS.items():
        value = median([each[f"{key}_s"] for each in ours])
        theirs = median([each[f"{key}_s"] for each in peers]) if peers else 0.0
        is_again = key == "again"
        found.append(
            Measurement(
                what=words,
                value=value,
                unit="s",
                # the limit is a time, or half of the peer's in the same run where that is longer
                limit=max(LIMITS_S[key], PEER_RATIO * theirs),
                floor=floors.hash_s if is_again else floors.copy_s + floors.hash_s,
                floor_name="BLAKE3" if is_again else FLOOR_NAME,
                note=f"cp -r {floors.copy_s:.2f} s, flushing it {floors.flush_s:.2f} s"
                if key == "log"
                else "",
            )
        )
        if bench.peer is not None:
            found.append(Measurement(what=f"{bench.peer.name}: {words}", value=theirs, unit="s"))
    return found


def _remarks(key: str, floors: Floors, theirs: float) -> Iterator[str]:
    if key == "log":
        yield f"cp -r {floors.copy_s:.2f} s, flushing it {floors.flush_s:.2f} s"
    if PEER_RATIO * theirs > LIMITS_S[key]:
        yield f"the limit is half of the peer's time, for {LIMITS_S[key]} s assume a quiet machine"


def _make(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / f"{number % 50:02}" / f"image-{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(10 << 10))
    os.sync()
