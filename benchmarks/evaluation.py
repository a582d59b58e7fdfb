"""`reproduce` over 10,000 metrics, and a paired bootstrap of 10,000 resamples of 100,000 rows.

Method: `run.reproduce()` whole, with the producer's claims read from the store and the verdict stored with
run and version; median of 5 evaluation runs after one that loads what it needs. The rule alone
(`reproduce_metrics`) is shown beside it, with a bare loop over the same numbers as the floor of both. The
bootstrap is `paired_bootstrap` of the mean with its BCa interval and p-value, median of 3, on floats (the
slow case) and on 0/1 correctness. Its floor is drawing the same resamples one by one with NumPy, estimated
from one of them.
"""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement

TITLE: Final = "Evaluation"


def measure(bench: Bench) -> list[Measurement]:
    metrics = bench.pick(10_000, 500)
    found = bench.run(
        "reproduce_many", {"metrics": metrics, "times": bench.pick(5, 1)}, home=bench.new_home()
    )
    if found["reproduced"] != metrics:
        raise RuntimeError(f"{found['reproduced']:,} of {metrics:,} metrics were reproduced")
    measurements = [
        Measurement(
            what=f"run.reproduce() over {metrics:,} metrics",
            value=found["whole_ms"],
            unit="ms",
            limit=50,
            floor=found["floor_ms"],
            floor_name="bare loop",
            note=f"first in the process {found['first_ms']:.0f} ms",
        ),
        Measurement(
            what="of that, the rule alone",
            value=found["rule_ms"],
            unit="ms",
            floor=found["floor_ms"],
            floor_name="bare loop",
        ),
    ]
    rows, resamples = bench.pick(100_000, 2_000), bench.pick(10_000, 200)
    for words, is_correctness in (("floats", False), ("0/1 correctness", True)):
        options = {"rows": rows, "resamples": resamples, "times": bench.pick(3, 1)}
        taken = bench.run("bootstrap", options | {"is_correctness": is_correctness})
        if not taken["low"] < taken["delta"] < taken["high"]:
            raise RuntimeError("the interval does not hold its estimate")
        measurements.append(
            Measurement(
                what=f"paired bootstrap, {resamples:,} x {rows:,} {words}",
                value=taken["took_s"],
                unit="s",
                limit=2,
                floor=taken["one_resample_s"] * resamples,
                floor_name="NumPy one by one",
            )
        )
    return measurements
