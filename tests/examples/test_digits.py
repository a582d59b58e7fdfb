"""examples/digits as a newcomer runs it: in an empty home, from the repository's folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import weighbridge
from tests.arch.rules import ROOT

SECONDS_MAX = 120
STAGING = "model-registry/Digits:staging"


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


@pytest.fixture
def trained() -> None:
    """A home in which the example's model is registered."""
    done = run("examples/digits/train.py", "--epochs", "12", "--hidden", "16")
    assert done.returncode == 0, done.stderr
    assert "claims an accuracy of 0." in done.stdout


def test_evaluating_before_training_says_what_is_missing() -> None:
    done = run("examples/digits/evaluate.py")
    assert done.returncode != 0
    assert "model-registry" in done.stderr


@pytest.mark.usefixtures("trained")
def test_an_altered_claim_fails_the_evaluation_with_the_claim_as_its_cause() -> None:
    producer = weighbridge.Api().artifact(STAGING).logged_by()
    assert producer is not None
    producer.summary.update({"final_accuracy": 0.999})
    done = run("examples/digits/evaluate.py")
    assert done.returncode == 1
    assert "1 of 2 claims reproduced; worst: final_accuracy" in done.stdout
    assert "final_accuracy" in done.stdout.partition("Likeliest cause")[2]


@pytest.mark.usefixtures("trained")
def test_the_claims_of_the_training_run_are_reproduced() -> None:
    done = run("examples/digits/evaluate.py")
    assert done.returncode == 0, done.stderr
    assert "passed, 2 of 2 claims reproduced" in done.stdout
    evaluation = weighbridge.Api().runs("digits", {"job_type": "evaluation"})[0]
    assert evaluation.state == "finished"
    assert evaluation.summary["evaluation"]["verdict"] == "passed"
    assert evaluation.config["hidden"] == 16
    confusion = [
        int(evaluation.summary[f"test_confusion.{true}.{read}"]) for true in range(10) for read in range(10)
    ]
    assert sum(confusion) == 397
    assert 0 <= float(evaluation.summary["test_recall.8"]) <= 1


@pytest.mark.usefixtures("trained")
def test_the_lineage_shows_dataset_training_run_model_and_evaluations() -> None:
    assert run("examples/digits/evaluate.py").returncode == 0
    words = ("--scorer", "examples/digits/score.py:score", "--names", "final_*=val_*", "--safe-files")
    judged = run("-m", "weighbridge", "evaluate", STAGING, *words)
    assert judged.returncode == 0, judged.stderr
    shown = run("-m", "weighbridge", "lineage", STAGING)
    assert shown.returncode == 0, shown.stderr
    for part in ("digits-split:v0", "train", "digits-model:v0", "staging", "prepare-data"):
        assert part in shown.stdout, part
    assert shown.stdout.count("evaluation ") == 2


@pytest.mark.usefixtures("trained")
def test_training_again_makes_a_new_version_on_the_same_data() -> None:
    assert run("examples/digits/train.py", "--epochs", "3", "--seed", "1").returncode == 0
    api = weighbridge.Api()
    assert api.artifact(STAGING).version == "v1"
    assert len(list(api.artifacts("dataset", "digits/digits-split"))) == 1
    assert not [path for path in ROOT.glob("artifacts/digits*")]


def test_the_weights_are_plain_arrays(tmp_path: Path) -> None:
    assert run("examples/digits/train.py", "--epochs", "2").returncode == 0
    from weighbridge.evaluation.safety import check_files

    folder = weighbridge.Api().artifact(STAGING).download(tmp_path)
    assert check_files(Path(folder)).outcome == "passed"
