"""`log()` of ten floats: the time of each call, and the CPU of everything the client runs.

Method: a process of its own times every call with `perf_counter_ns` and gives the median, the 99th and the
99.9th percentile. First with nobody shipping (`shipper=off`, 200,000 calls). Then flat out while the shipper
process is at work: the first seconds, before it has begun, are left out, and the share of the spool that was
stored before the loop ended is printed, so that one sees it worked. CPU is user and system time from after
`init` until after `finish` with all rows stored: of this process and, from /proc, of the shipper with its
start, divided by the calls; for 10,000 and for 200,000 calls (which end before a shipper process begins) and
for the long loop. The floor is a plain `write()` of a record of the same size in a loop, timed the same way.
"""

from __future__ import annotations

from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement
from benchmarks.samples import median

TITLE: Final = "log() of 10 floats"
RECORD_BYTES: Final = 220
P50_US, P99_US, CPU_US = 6.0, 30.0, 20.0


def measure(bench: Bench) -> list[Measurement]:
    floor = bench.run(
        "floor_write",
        {
            "path": str(bench.folder / "plain"),
            "size_bytes": RECORD_BYTES,
            "calls": bench.pick(200_000, 5_000),
        },
    )
    alone = _calls(bench, bench.pick(200_000, 5_000), shipper="off")
    home = bench.new_home()
    loop = {"seconds": bench.pick(8, 3), "skip_s": 2.5 if not bench.is_quick else 0.5}
    flat_out = bench.run("log_calls", loop, home=home, WEIGHBRIDGE_SHIPPER="process")
    bench.drop_home(home)
    found = [
        *_percentiles("without shipping", alone, floor),
        *_percentiles("while the shipper ships flat out", flat_out, floor),
    ]
    for calls in (bench.pick(10_000, 2_000), bench.pick(200_000, 8_000)):
        runs = [_calls(bench, calls, shipper="process") for _ in range(bench.pick(3, 1))]
        cpu = [run["own_cpu_us"] + run["shipper_cpu_us"] for run in runs]
        own = median([run["own_cpu_us"] for run in runs])
        found.append(
            Measurement(
                what=f"CPU a call, shipping included, {calls:,} calls",
                value=median(cpu),
                unit="us",
                limit=CPU_US,
                note=f"{own:.1f} us in the logging process; median of {len(runs)}",
            )
        )
    found.append(
        Measurement(
            what=f"CPU a call, shipper process at work, {flat_out['calls']:,} calls",
            value=flat_out["own_cpu_us"] + flat_out["shipper_cpu_us"],
            unit="us",
            limit=CPU_US,
            note=f"{flat_out['own_cpu_us']:.1f} us in the logging process, "
            f"{flat_out['shipper_cpu_us']:.1f} us in the shipper",
        )
    )
    if bench.peer is not None:
        found += _of_peer(bench, bench.pick(10_000, 1_000))
    return found


def _calls(bench: Bench, calls: int, *, shipper: str) -> dict[str, Any]:
    home = bench.new_home()
    found = bench.run("log_calls", {"calls": calls}, home=home, WEIGHBRIDGE_SHIPPER=shipper)
    bench.drop_home(home)
    if not found["is_all_shipped"]:
        raise RuntimeError("not every row was stored at the end; the figures would be too good")
    return found


def _percentiles(when: str, found: dict[str, Any], floor: dict[str, Any]) -> list[Measurement]:
    note = f"{found['timed']:,} calls" + (
        f"; {found['shipped_in_loop']:.0%} stored before the loop ended" if found["shipper_cpu_us"] else ""
    )
    return [
        Measurement(
            what=f"p50 {when}",
            value=found["p50_us"],
            unit="us",
            limit=P50_US,
            floor=floor["p50_us"],
            floor_name="write()",
            note=note,
        ),
        Measurement(
            what=f"p99 {when}",
            value=found["p99_us"],
            unit="us",
            limit=P99_US,
            floor=floor["p99_us"],
            floor_name="write()",
            note=f"p99.9 {found['p999_us']:.0f} us, mean {found['mean_us']:.1f} us",
        ),
    ]


def _of_peer(bench: Bench, calls: int) -> list[Measurement]:
    assert bench.peer is not None
    found = bench.run(
        f"peer_{bench.peer.name}", {"task": "calls", "calls": calls}, home=bench.new_home("peer")
    )
    name = bench.peer.name
    return [
        Measurement(what=f"{name}: p50", value=found["p50_us"], unit="us", note=f"{calls:,} calls"),
        Measurement(what=f"{name}: p99", value=found["p99_us"], unit="us"),
        Measurement(what=f"{name}: CPU a call", value=found["cpu_us"], unit="us"),
    ]
