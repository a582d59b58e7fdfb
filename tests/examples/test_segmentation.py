"""examples/segmentation, small: a PyTorch model whose IoU is claimed and measured again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import weighbridge
from tests.arch.rules import ROOT

SECONDS_MAX = 240
STAGING = "model-registry/Street Scenes:staging"
CLASSES = ("sky", "building", "tree", "road", "car", "person")

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the test's home, in the repository's folder."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )


def test_the_scenes_are_drawn_alike_from_one_seed_and_hold_every_class() -> None:
    code = (
        "import sys; sys.path.insert(0, 'examples/segmentation')\n"
        "import numpy as np, scenes\n"
        "(a, b), (c, d), (e, _) = scenes.draw(20, 1), scenes.draw(20, 1), scenes.draw(20, 2)\n"
        "assert (a == c).all() and (b == d).all() and (a != e).any()\n"
        "assert a.shape == (20, 48, 64, 3) and b.shape == (20, 48, 64)\n"
        "assert set(np.unique(b)) == set(range(len(scenes.CLASSES)))\n"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


def test_a_small_model_is_trained_registered_and_weighed() -> None:
    trained = run("examples/segmentation/train.py", "--quick")
    assert trained.returncode == 0, trained.stderr
    assert "claims a mean IoU of 0." in trained.stdout
    judged = run("examples/segmentation/evaluate.py")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "passed, 2 of 2 claims reproduced" in judged.stdout

    api = weighbridge.Api()
    evaluation = api.runs("street-scenes", {"job_type": "evaluation"})[0]
    for name in CLASSES:
        assert 0 <= float(evaluation.summary[f"val_iou.{name}"]) <= 1
    pixels = [int(evaluation.summary[f"test_confusion.{a}.{b}"]) for a in CLASSES for b in CLASSES]
    assert sum(pixels) == 15 * 48 * 64
    rows = [item for item in evaluation.logged_artifacts() if item.type == "run_table"]
    assert [item.metadata["rows"] for item in rows] == [30]
    roles = {node.role for node in api.artifact(STAGING).lineage().nodes}
    assert {"dataset", "train", "model", "evaluation"} <= roles


def test_a_worse_model_is_caught_image_by_image() -> None:
    assert run("examples/segmentation/train.py", "--quick").returncode == 0
    api = weighbridge.Api()
    good = api.artifact(STAGING)
    good.aliases.append("production")
    good.save()
    assert run("examples/segmentation/train.py", "--quick", "--epochs", "1").returncode == 0
    words = ("--scorer", "examples/segmentation/score.py:score", "--names", "final_*=val_*", "--rtol", "1e-3")
    judged = run("-m", "weighbridge", "evaluate", STAGING, *words, "--against", "production")
    assert judged.returncode == 1, judged.stderr
    assert "worse" in judged.stdout and "n=15" in judged.stdout
