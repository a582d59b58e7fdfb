"""Reading one metric back: all points of 100,000; 1,000 buckets of them; 1,000 buckets of 10,000,000.

Method: each read runs in a fresh process through `Api().run(...).series()` and `.buckets()`, once and then 20
times warm; the median of the warm ones is judged and the first, which also loads NumPy, is in the remark. A
chart page asks again and again, so warm is what a user sees. Every process checks that the points are all
there. Peak memory is the whole process's. Runs are filled by the wire with random floats: five metrics a row,
or one for the long run. Files are in the page cache. The floor is reading the same words from a plain file
with NumPy.
"""

from __future__ import annotations

from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement

TITLE: Final = "Reading one metric"
PEAK_MAX_MB: Final = 250.0


def measure(bench: Bench) -> list[Measurement]:
    home = bench.new_home()
    few, many = bench.pick(100_000, 5_000), bench.pick(10_000_000, 100_000)
    bench.run("fill_history", {"run_id": "few", "rows": few, "metrics": 5}, home=home)
    bench.run("fill_history", {"run_id": "many", "rows": many, "metrics": 1}, home=home)
    times = bench.pick(20, 3)
    floor = bench.run("floor_read", {"path": str(bench.folder / "plain"), "points": few, "times": times})

    def read(run_id: str, what: str, points: int) -> dict[str, Any]:
        found = bench.run("read_metric", {"run_id": run_id, "what": what, "times": times}, home=home)
        if found["points"] != points:
            raise RuntimeError(f"{run_id}: {found['points']:,} of {points:,} points came back")
        return found

    series, buckets, long = (
        read("few", "series", few),
        read("few", "buckets", few),
        read("many", "buckets", many),
    )
    return [
        _time(f"{few:,} points", series, 20, floor=floor["warm_ms"]),
        _time(f"1,000 buckets of {few:,}", buckets, 8, floor=floor["warm_ms"]),
        _time(f"1,000 buckets of {many:,}", long, 150),
        Measurement(
            what=f"peak memory, buckets of {many:,}", value=long["peak_mb"], unit="MB", limit=PEAK_MAX_MB
        ),
        Measurement(what="open the home and the run, fresh process", value=series["open_ms"], unit="ms"),
    ]


def _time(what: str, found: dict[str, Any], limit: float, *, floor: float | None = None) -> Measurement:
    return Measurement(
        what=what,
        value=found["warm_ms"],
        unit="ms",
        limit=limit,
        floor=floor,
        floor_name="numpy.fromfile" if floor else "",
        note=f"first in the process {found['first_ms']:.0f} ms",
    )
