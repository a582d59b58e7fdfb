"""Logs a file or folder, logs it again unchanged in another run, and downloads it.

Options: `source`; `target` (for the download); `is_again_only` to log it once and stop.
"""

from __future__ import annotations

import os
import time

import weighbridge
from benchmarks.programs.options import answer, options


def log(run: weighbridge.Run, source: str) -> tuple[weighbridge.Artifact, float]:
    """The stored version, and the seconds from making the draft until it is stored."""
    at = time.perf_counter()
    artifact = weighbridge.Artifact("data", type="dataset")
    artifact.add_dir(source) if os.path.isdir(source) else artifact.add_file(source)
    run.log_artifact(artifact).wait()
    return artifact, time.perf_counter() - at


def main() -> None:
    given = options()
    with weighbridge.init(project="bench", job_type="first") as run:
        artifact, log_s = log(run, given["source"])
    if given.get("is_again_only"):
        answer(again_s=log_s, version=artifact.version)
        return
    again = []
    for _ in range(3):
        with weighbridge.init(project="bench", job_type="again") as run:
            artifact, again_s = log(run, given["source"])
            again.append(again_s)
    at = time.perf_counter()
    artifact.download(given["target"])
    answer(
        log_s=log_s,
        again_s=sorted(again)[1],
        download_s=time.perf_counter() - at,
        version=artifact.version,
        size_bytes=artifact.size,
    )


if __name__ == "__main__":
    main()
