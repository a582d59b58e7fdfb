"""What shipping costs a training loop: by a process, by a thread, or not at all.

Method: a loop of a 128 x 128 NumPy product (one BLAS thread) and 40 calls of `log()` of ten floats, which
together log about as fast as rows can be shipped at all. Ships are 0.01 s apart, so that a thread, which
ships one block at a time, keeps up as a process does. Three rounds of each mode in turn, medians; the first
seconds, before shipping has begun, are left out. The slowdown is the time of an iteration, and of its product
alone, against a loop with nobody shipping. This is the measurement behind the decision that a process ships
(docs/design/0002-spool.md).
"""

from __future__ import annotations

from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement
from benchmarks.samples import median

TITLE: Final = "A training loop while shipping"
MODES: Final = ("off", "process", "thread")


def measure(bench: Bench) -> list[Measurement]:
    options = {"seconds": bench.pick(7, 2), "skip_s": bench.pick(3, 1), "logs": 40}
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    for _ in range(bench.pick(3, 1)):
        for mode in MODES:
            home = bench.new_home()
            surroundings = {"WEIGHBRIDGE_SHIPPER": mode, "WEIGHBRIDGE_SHIP_INTERVAL_S": "0.01"}
            found[mode].append(bench.run("training_loop", options, home=home, **surroundings))
            bench.drop_home(home)

    def middle(mode: str, key: str) -> float:
        return median([each[key] for each in found[mode]])

    measurements = []
    for mode in MODES:
        measurements += [
            Measurement(
                what=f"{mode}: an iteration",
                value=middle(mode, "iteration_us"),
                unit="us",
                floor=middle("off", "iteration_us"),
                floor_name="nobody shipping",
                note=f"{middle(mode, 'rows_a_second'):,.0f} rows a second; "
                f"{middle(mode, 'shipped'):.0%} stored before the loop ended",
            ),
            Measurement(
                what=f"{mode}: its product",
                value=middle(mode, "product_us"),
                unit="us",
                floor=middle("off", "product_us"),
                floor_name="nobody shipping",
            ),
            Measurement(what=f"{mode}: log() p50", value=middle(mode, "p50_us"), unit="us"),
            Measurement(what=f"{mode}: log() p99", value=middle(mode, "p99_us"), unit="us"),
            Measurement(what=f"{mode}: log() p99.9", value=middle(mode, "p999_us"), unit="us"),
        ]
    return measurements
