"""Whatever alone was altered between training and evaluation is named first, from processes of their own.

A claim, a dataset, a config key, an installed package: each through `weighbridge evaluate`, as a user has it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pytest

import weighbridge
from tests.arch.rules import ROOT
from weighbridge import Artifact, EvaluationReport
from weighbridge.domain.evaluation import CauseKind, Verdict

SECONDS_MAX: Final = 120
STAGING: Final = "model-registry/Digits:staging"
PASSED, FAILED = 0, 1

# What the scorer measures hangs on this package, as it may on any that prepares images.
SCORER: Final = """
import sys
sys.path.insert(0, {examples!r})
import imagescale
import score as digits

def score(model, datasets, config):
    return digits.score(model, datasets, {{**config, "pixel_max": config["pixel_max"] * imagescale.FACTOR}})
"""


def install(folder: Path, version: str, factor: float) -> Path:
    """A folder for PYTHONPATH in which the distribution `imagescale` is installed in this version."""
    info = folder / f"imagescale-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: imagescale\nVersion: {version}\n")
    (folder / "imagescale.py").write_text(f"FACTOR = {factor}\n")
    return folder


def run(packages: Path, *words: str, home: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in the repository's folder, with one more folder of installed packages."""
    # the module's own fixture comes before the one that clears foreign settings
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("WEIGHBRIDGE_", "WANDB_"))
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={
            **clean,
            "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(packages))),
            "WEIGHBRIDGE_HOME": home or os.environ["WEIGHBRIDGE_HOME"],
            "WEIGHBRIDGE_QUIET": "true",
        },
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home in which a model is registered, the packages it was trained with, and newer ones."""
    folder = tmp_path_factory.mktemp("trained")
    packages = install(folder / "packages", "1.0", 1.0)
    install(folder / "newer", "2.0", 0.4)
    (folder / "scorer.py").write_text(SCORER.format(examples=str(ROOT / "examples" / "digits")))
    words = ("examples/digits/train.py", "--epochs", "20", "--hidden", "16")
    done = run(packages, *words, home=str(folder / "home"))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(autouse=True)
def own_copy(trained: Path) -> None:
    """The home of this test: a copy, so that what one test alters no other sees."""
    shutil.copytree(trained / "home", os.environ["WEIGHBRIDGE_HOME"])


def judge(trained: Path, *words: str, exit_code: int, packages: str = "packages") -> EvaluationReport:
    """The report of `weighbridge evaluate` on the staged model."""
    file = Path(os.environ["WEIGHBRIDGE_HOME"]) / "report.json"
    scorer = ("--scorer", f"{trained / 'scorer.py'}:score", "--names", "final_*=val_*", "--json", str(file))
    done = run(trained / packages, "-m", "weighbridge", "evaluate", STAGING, *scorer, *words)
    assert done.returncode == exit_code, done.stdout + done.stderr
    report = EvaluationReport.from_json(file.read_bytes())
    assert report.verdict is {PASSED: Verdict.PASSED, FAILED: Verdict.FAILED}[exit_code]
    return report


def log_split(trained: Path, change: Mapping[str, int]) -> None:
    """The next version of the split, with only so many rows of some parts."""
    split = weighbridge.Api().artifact("digits/digits-split")
    target = Path(os.environ["WEIGHBRIDGE_HOME"]) / "split"
    with np.load(Path(split.download(target / "old")) / "digits.npz", allow_pickle=False) as held:
        arrays = {
            name: held[name][: change.get(name.partition("_")[0])]  # no number: all rows
            for name in held.files
        }
    np.savez(target / "digits.npz", allow_pickle=False, **arrays)
    with weighbridge.init(project="digits", job_type="prepare-data") as run:
        changed = Artifact("digits-split", type="dataset")
        changed.add_file(target / "digits.npz")
        run.log_artifact(changed)


def test_nothing_altered_is_reproduced_and_has_no_cause(trained: Path) -> None:
    report = judge(trained, exit_code=PASSED)
    assert report.causes == ()
    assert {result.outcome for result in report.metrics} == {"reproduced"}


def test_an_altered_claim_is_the_first_cause(trained: Path) -> None:
    producer = weighbridge.Api().artifact(STAGING).logged_by()
    assert producer is not None
    producer.summary.update({"final_accuracy": 0.9999})
    report = judge(trained, exit_code=FAILED)
    assert report.causes[0].kind is CauseKind.CLAIM
    assert "final_accuracy" in report.causes[0].title
    assert [r.claimed_name for r in report.metrics if r.outcome == "drifted"] == ["final_accuracy"]


def test_an_altered_dataset_is_the_first_cause(trained: Path) -> None:
    log_split(trained, {"validation": 250})
    report = judge(trained, "--dataset", "digits-split:v1", exit_code=FAILED)
    assert report.causes[0].kind is CauseKind.DATASET
    assert "digits-split" in report.causes[0].title
    assert [(data.version, data.pinned) for data in report.datasets] == [("v1", False)]


def test_an_altered_config_key_is_the_first_cause(trained: Path) -> None:
    report = judge(trained, "--config", "pixel_max=6.5", exit_code=FAILED)
    assert report.causes[0].kind is CauseKind.CONFIG
    assert report.causes[0].subject == "pixel_max"
    assert (report.causes[0].producer, report.causes[0].evaluation) == ("16", "6.5")


def test_an_altered_package_version_is_the_first_cause(trained: Path) -> None:
    report = judge(trained, exit_code=FAILED, packages="newer")
    assert report.causes[0].kind is CauseKind.PACKAGE
    assert report.causes[0].subject == "imagescale"
    assert (report.causes[0].producer, report.causes[0].evaluation) == ("1.0", "2.0")


def test_all_of_them_altered_come_in_the_order_of_their_weight(trained: Path) -> None:
    log_split(trained, {"validation": 250})
    words = ("--dataset", "digits-split:v1", "--config", "pixel_max=6.5")
    report = judge(trained, *words, exit_code=FAILED, packages="newer")
    assert [cause.kind for cause in report.causes[:3]] == [
        CauseKind.DATASET,
        CauseKind.CONFIG,
        CauseKind.PACKAGE,
    ]


def test_a_dataset_whose_latest_moved_on_stays_pinned(trained: Path) -> None:
    log_split(trained, {"validation": 250})
    report = judge(trained, exit_code=PASSED)
    assert [(data.version, data.pinned) for data in report.datasets] == [("v0", True)]
