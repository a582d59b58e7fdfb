"""Weigh `model-registry/Digits:staging`: is it as good as the run that made it says?

The steps by hand, one after the other. `weighbridge evaluate` does the same in one call.

    python examples/digits/evaluate.py [path of a model version]

Exit code 0: the claims hold. 1: they do not; the report says what differs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from score import measure, probabilities, read_split, read_weights

import weighbridge


def evaluate(model_path: str, folder: Path) -> weighbridge.EvaluationReport:
    """Steps 3 to 8 of a review: an evaluation run of its own, the pinned data, fresh numbers, the verdict."""
    with weighbridge.init(project="digits", job_type="evaluation", tags=["digits"]) as run:
        # The version that holds the alias now; that this run used it becomes part of its lineage.
        model = run.use_artifact(model_path, type="model")

        # The run that made it, its config, and the very dataset version it used (not `latest`).
        producer = model.logged_by()
        if producer is None:
            sys.exit(f"{model_path} was made by no run, so nothing was claimed for it.")
        run.config.update(producer.config)
        used = next(item for item in producer.used_artifacts() if item.type == "dataset")
        dataset = run.use_artifact(used)

        # Build the model again and score it.
        layers = read_weights(Path(model.download(folder / "model")))
        data = Path(dataset.download(folder / "split"))
        fresh: dict[str, float] = {}
        for part, prefix in (("validation", "val"), ("test", "test")):
            images, labels = read_split(data, part)
            read = probabilities(layers, images, run.config)
            fresh |= measure(read, labels, prefix)[0]
        run.log(fresh)
        run.log(by_class(read, labels))

        # Hold the claims against the fresh numbers, in the program and not by eye.
        return run.reproduce(model, fresh, names={"final_*": "val_*"})


def by_class(read: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Counts of the confusion matrix (true digit, then read digit) and the recall of each digit."""
    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (labels, read.argmax(axis=1)), 1)
    return {
        "test_confusion": {
            str(true): {str(n): int(c) for n, c in enumerate(confusion[true])} for true in range(10)
        },
        "test_recall": {
            str(true): float(confusion[true, true] / confusion[true].sum()) for true in range(10)
        },
    }


def main() -> int:
    model_path = sys.argv[1] if len(sys.argv) > 1 else "model-registry/Digits:staging"
    with tempfile.TemporaryDirectory() as folder:
        report = evaluate(model_path, Path(folder))
    print(report)
    try:
        report.raise_for_verdict()
    except weighbridge.errors.VerdictFailed as error:
        print(error.hint)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
