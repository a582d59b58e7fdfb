"""Times `run.reproduce()` over many metrics, and the rule alone. Options: `metrics`, `times`."""

from __future__ import annotations

import random
import time

import weighbridge
from benchmarks.programs.options import answer, options
from benchmarks.samples import median
from weighbridge.domain.evaluation import Outcome
from weighbridge.domain.reproduction import claims_of_summary, reproduce_metrics


def main() -> None:
    given = options()
    chance = random.Random(4)
    claimed = {f"metric_{n}": chance.random() for n in range(given["metrics"])}
    fresh = {name: value * (1 + 1e-9) for name, value in claimed.items()}
    with weighbridge.init(project="bench", job_type="train") as run:
        run.summary.update(claimed)
        artifact = weighbridge.Artifact("model", type="model")
        with artifact.new_file("weights.bin", "wb") as file:
            file.write(bytes(1_000))
        run.log_artifact(artifact).wait()
    rule, floor = [], []
    claims = claims_of_summary(claimed)
    for _ in range(given["times"]):
        at = time.perf_counter()
        reproduce_metrics(claims, fresh)
        rule.append((time.perf_counter() - at) * 1e3)
        at = time.perf_counter()
        sum(abs(fresh[name] - value) <= 1e-9 + 1e-6 * abs(value) for name, value in claimed.items())
        floor.append((time.perf_counter() - at) * 1e3)
    whole = []
    reproduced = 0
    for _ in range(given["times"] + 1):
        with weighbridge.init(project="bench", job_type="evaluation") as run:
            model = run.use_artifact("model:latest")
            at = time.perf_counter()
            report = run.reproduce(model, fresh)
            whole.append((time.perf_counter() - at) * 1e3)
            reproduced = report.count(Outcome.REPRODUCED)
    answer(
        rule_ms=median(rule),
        whole_ms=median(whole[1:]),
        first_ms=whole[0],
        floor_ms=median(floor),
        reproduced=reproduced,
    )


if __name__ == "__main__":
    main()
