"""What evaluate() does about scorers that end the program, a baseline that is not there, and datasets used twice."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import weighbridge
from tests.evaluation.registered import LABELS, MODEL, NAMES, PROJECT, log_dataset, register, score
from weighbridge import Api, Artifact, ScorerResult, evaluate
from weighbridge.domain.evaluation import Verdict
from weighbridge.errors import AliasNotFound, InvalidInput, InvalidScorer, WeighbridgeError

STAGING = f"{MODEL}:staging"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_QUIET", "true")
    monkeypatch.chdir(tmp_path)


def evaluations() -> list[str]:
    return [run.state for run in Api().runs(PROJECT) if run.job_type == "evaluation"]


def exits(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> None:
    sys.exit(0)


def test_a_scorer_that_exits_is_refused_and_does_not_pass() -> None:
    log_dataset(LABELS)
    register()
    with pytest.raises(
        InvalidScorer, match=r"raised SystemExit: 0 \(line \d+ of test_evaluate_inputs.py, in exits\)"
    ):
        evaluate(STAGING, exits)
    assert evaluations() == ["failed"]


def test_a_scorer_file_that_exits_when_imported_is_refused(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys\n\ndef score(m, d, c):\n    return {'a': 1}\n\nsys.exit(0)\n"
    )
    with pytest.raises(InvalidScorer, match=r"cannot be imported: SystemExit: 0 \(line 6 of program.py"):
        evaluate(STAGING, "program.py:score")


def test_a_baseline_that_is_not_there_costs_no_scoring() -> None:
    log_dataset(LABELS)
    register()
    with pytest.raises(AliasNotFound, match="champion"):
        evaluate(STAGING, score, against="champion")
    with pytest.raises(InvalidInput, match="cannot be compared with itself"):
        evaluate(STAGING, score, against="latest")
    assert evaluations() == []


def test_each_of_two_versions_of_one_dataset_reaches_the_scorer(capsys: pytest.CaptureFixture[str]) -> None:
    log_dataset(LABELS)
    log_dataset(LABELS[:8])
    with weighbridge.init(project=PROJECT) as run:
        for version in ("v0", "v1"):
            run.use_artifact(f"labels:{version}")
        model = Artifact("twice", type="model")
        with model.new_file("model.json") as file:
            json.dump({}, file)
        run.log_artifact(model)
        run.summary["n"] = len(LABELS) + 8

    def counted(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> dict[str, int]:
        found = {
            name: len(json.loads((folder / "labels.json").read_text())) for name, folder in datasets.items()
        }
        assert found == {"labels": 8, "labels:v0": len(LABELS)}
        return {"n": sum(found.values())}

    report = evaluate(f"{PROJECT}/twice:latest", counted)
    assert report.verdict is Verdict.PASSED
    assert {(data.name, data.version, data.pinned) for data in report.datasets} == {
        ("labels", "v1", True),
        ("labels:v0", "v0", True),
    }
    assert "several versions of dataset labels" in capsys.readouterr().err


def test_other_metric_names_are_told() -> None:
    log_dataset(LABELS)
    register()
    report = evaluate(STAGING, lambda model, datasets, config: {"zebra": 1.0})
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "The scorer measured 'zebra'." in report.checks[0].message


@pytest.mark.parametrize(
    "wrong",
    [
        {"scorer": 5},
        {"names": ["final_*"]},
        {"datasets": 5},
        {"rtol": "much"},
        {"checks": "val_accuracy >>= 1"},
    ],
)
def test_an_argument_of_a_wrong_type_is_refused_in_words(wrong: dict[str, Any]) -> None:
    log_dataset(LABELS)
    register()
    with pytest.raises(WeighbridgeError) as refused:
        evaluate(STAGING, **{"scorer": score, **wrong})
    assert refused.value.hint
    assert Api().artifact(STAGING).evaluations() == ()


def test_a_single_check_may_be_text() -> None:
    log_dataset(LABELS)
    register()
    report = evaluate(STAGING, score, checks="val_accuracy >= 0.1")
    assert [check.name for check in report.checks if check.kind == "threshold"] == ["val_accuracy >= 0.1"]


def test_an_alias_that_moves_meanwhile_is_told_and_does_not_move_the_verdict() -> None:
    log_dataset(LABELS)
    register()
    register(threshold=0.75, aliases=("next",))

    def moving(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> ScorerResult:
        newer = Api().artifact(f"{MODEL}:next")
        newer.aliases.append("staging")
        newer.save()
        return score(model, datasets, config)

    report = evaluate(STAGING, moving, names=NAMES)
    assert report.model.endswith("Half Right:v0")
    assert report.verdict is Verdict.PASSED
    assert [note for note in report.notes if "Half Right:staging names v1 now" in note]
    assert (Api().artifact(f"{MODEL}:v0").verdict, Api().artifact(STAGING).verdict) == ("passed", None)
