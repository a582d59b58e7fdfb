"""The same tasks with trackio, in an interpreter that has it: calls, steps, read, artifacts. Never a dependency.

Its home is put beside ours by TRACKIO_DIR; its prints go to standard error, so that the answer stands alone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.programs.options import answer, options
from benchmarks.samples import percentile


def load() -> Any:
    """The package, told where to keep its data. It has no type information, and need not be installed."""
    os.environ["TRACKIO_DIR"] = os.environ["WEIGHBRIDGE_HOME"]
    return importlib.import_module("trackio")


def start(trackio: Any) -> Any:
    """A run with nothing logged by itself."""
    return trackio.init(project="bench", embed=False, auto_log_gpu=False, auto_log_cpu=False)


def calls(trackio: Any, count: int) -> dict[str, float]:
    """Time of each call of ten floats, and the process's CPU until `finish()` has returned."""
    chance = random.Random(0)
    rows = [{f"metric_{n}": chance.random() for n in range(10)} for _ in range(1_000)]
    start(trackio)
    clock, taken = time.perf_counter_ns, []
    cpu = time.process_time()
    for index in range(count):
        row = rows[index % 1_000]
        at = clock()
        trackio.log(row)
        taken.append(clock() - at)
    trackio.finish()
    cpu = time.process_time() - cpu
    return {
        "p50_us": percentile(taken, 50) / 1e3,
        "p99_us": percentile(taken, 99) / 1e3,
        "cpu_us": cpu / count * 1e6,
    }


def steps(trackio: Any, count: int) -> dict[str, float]:
    chance = random.Random(1)
    start(trackio)
    for step in range(count):
        trackio.log({f"metric_{n}": chance.random() for n in range(5)}, step=step)
    trackio.finish()
    return {"steps": count}


def read() -> dict[str, int]:
    """Read all rows of the run the way its dashboard does, and count those of one metric."""
    storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    (name,) = storage.get_runs("bench")
    return {"points": sum(1 for row in storage.get_logs("bench", name) if "metric_0" in row)}


def artifacts(trackio: Any, source: str, target: str) -> dict[str, float]:
    def log() -> tuple[Any, float]:
        at = time.perf_counter()
        artifact = trackio.Artifact("data", type="dataset")
        artifact.add_dir(source) if Path(source).is_dir() else artifact.add_file(source)
        return trackio.log_artifact(artifact), time.perf_counter() - at

    start(trackio)
    _, log_s = log()
    artifact, again_s = log()
    at = time.perf_counter()
    artifact.download(target)
    taken = {"log_s": log_s, "again_s": again_s, "download_s": time.perf_counter() - at}
    trackio.finish()
    return taken


def main() -> None:
    given = options()
    with contextlib.redirect_stdout(sys.stderr):
        trackio = load()
        if given["task"] == "calls":
            found: dict[str, Any] = calls(trackio, given["calls"])
        elif given["task"] == "steps":
            found = steps(trackio, given["steps"])
        elif given["task"] == "read":
            found = read()
        else:
            found = artifacts(trackio, given["source"], given["target"])
    answer(**found)


if __name__ == "__main__":
    main()
