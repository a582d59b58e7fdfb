"""Weigh `model-registry/Street Scenes:staging`: fresh IoU on the producer's scenes, held against its claims.

    python examples/segmentation/evaluate.py [path of a model version]

Exit code 0: the claims hold. 1: they do not; the report says what differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from model import load
from scenes import CLASSES
from score import PREFIX, count_pixels, score

import weighbridge


def score_and_show(
    model: Path, datasets: dict[str, Path], config: dict[str, object], run: weighbridge.Run
) -> weighbridge.ScorerResult:
    """The scorer, and what else a reviewer wants to see: a scorer with a parameter `run` may log to it."""
    network = load(model / "weights.npz", classes=len(CLASSES), width=int(str(config["width"])))
    for part, prefix in PREFIX.items():
        counts = count_pixels(network, datasets["street-scenes"], part).sum(axis=0)
        confusion = {
            true: dict(zip(CLASSES, map(int, row), strict=True))
            for true, row in zip(CLASSES, counts, strict=True)
        }
        run.log({f"{prefix}_confusion": confusion}, commit=False)
    return score(model, datasets, config)


def main() -> int:
    report = weighbridge.evaluate(
        sys.argv[1] if len(sys.argv) > 1 else "model-registry/Street Scenes:staging",
        score_and_show,
        names={"final_*": "val_*"},
        checks=["val_miou >= 0.4"],
        # sums in another order, as on another CPU, may turn a pixel; a wrong model turns thousands
        rtol=1e-3,
        safe_files=True,
        tags=["staging"],
    )
    print(report)
    try:
        report.raise_for_verdict()
    except weighbridge.errors.VerdictFailed as error:
        print(error.hint)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
