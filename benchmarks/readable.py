"""100,000 steps of five metrics until another process has read them; the size they take.

Method: from the start of a writing process (interpreter and imports included) to the end of a reading
process, which is started when the writer's `finish()` has returned and reads all values of one metric through
the public API. The floor is a plain sqlite3 script in two processes likewise: a JSON row a step, WAL, 1,000
steps a transaction, read by a scan. Both make the same random numbers. Medians of 3 in turn. Size at rest:
disk blocks of the home (and, apart, of chunks and segments alone) when nothing is left in the spool; the
database is counted after a checkpoint.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement
from benchmarks.processes import folder_bytes
from benchmarks.samples import median

TITLE: Final = "100,000 steps x 5 metrics until another process reads them"
RATIO_MAX: Final = 2.0
SIZE_MAX_MB: Final = 5.0


def measure(bench: Bench) -> list[Measurement]:
    steps = bench.pick(100_000, 3_000)
    ours: list[float] = []
    floor: list[float] = []
    for number in range(bench.pick(3, 1)):
        path = bench.folder / f"plain-{number}.db"
        floor.append(_both(bench, steps, plain=path))
        home = bench.new_home()
        ours.append(_both(bench, steps, home=home))
    history, whole = _sizes(home)
    floor_mb = path.stat().st_size / 1e6
    found = [
        Measurement(
            what="start of the writer to the last value read",
            value=median(ours),
            unit="s",
            limit=RATIO_MAX,
            is_limit_ratio=True,
            floor=median(floor),
            floor_name="plain sqlite3",
            note=f"{steps:,} steps; median of {len(ours)}",
        ),
        Measurement(
            what="size at rest, whole home",
            value=whole / 1e6,
            unit="MB",
            limit=SIZE_MAX_MB,
            floor=floor_mb,
            floor_name="plain sqlite3",
        ),
        Measurement(what="size at rest, history alone", value=history / 1e6, unit="MB"),
    ]
    if bench.peer is not None:
        found += _of_peer(bench, steps)
    return found


def _both(bench: Bench, steps: int, *, home: Path | None = None, plain: Path | None = None) -> float:
    """Seconds from starting the writer to the reader's end."""
    began = time.perf_counter()
    with bench.start(
        "floor_steps" if plain else "steps_writer", {"path": str(plain), "steps": steps}, home=home
    ) as writer:
        assert writer.stdout is not None
        if not writer.stdout.readline():
            raise RuntimeError("the writer failed")
        read: dict[str, Any] = bench.run(
            "floor_steps" if plain else "steps_reader", {"path": str(plain)} if plain else {}, home=home
        )
        took_s = time.perf_counter() - began
    if read["points"] != steps:
        raise RuntimeError(f"{read['points']:,} of {steps:,} points were readable")
    return took_s


def _sizes(home: Path) -> tuple[int, int]:
    """Bytes of chunks and segments, and of the whole home at rest."""
    with sqlite3.connect(home / "weighbridge.db") as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        chunks = base.execute("SELECT coalesce(sum(length(data)), 0) FROM history_chunks").fetchone()[0]
        segments = base.execute(
            "SELECT coalesce(sum(length(directory)), 0) FROM history_segments"
        ).fetchone()[0]
        blocks = base.execute("SELECT coalesce(sum(length(blocks)), 0) FROM history_blocks").fetchone()[0]
    base.close()
    return chunks + segments + blocks + folder_bytes(home / "blobs"), folder_bytes(home)


def _of_peer(bench: Bench, steps: int) -> list[Measurement]:
    assert bench.peer is not None
    home = bench.new_home("peer")
    began = time.perf_counter()
    program = f"peer_{bench.peer.name}"
    bench.run(program, {"task": "steps", "steps": steps}, home=home)
    read = bench.run(program, {"task": "read"}, home=home)
    took_s = time.perf_counter() - began
    return [
        Measurement(
            what=f"{bench.peer.name}: the same",
            value=took_s,
            unit="s",
            note=f"{read['points']:,} points readable",
        ),
        Measurement(what=f"{bench.peer.name}: size", value=folder_bytes(home) / 1e6, unit="MB"),
    ]
