"""evaluate() from the registry to the stored verdict: refusals first, then what it proves and what it refutes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import weighbridge
from tests.evaluation.registered import (
    LABELS,
    MODEL,
    NAMES,
    PROJECT,
    accuracy_of,
    log_dataset,
    register,
    score,
)
from weighbridge import Api, Artifact, EvaluationReport, evaluate
from weighbridge.domain.evaluation import CauseKind, Outcome, Verdict
from weighbridge.domain.exact_json import from_plain
from weighbridge.errors import (
    CollectionNotFound,
    InvalidInput,
    InvalidScorer,
    NotFound,
    UsageError,
    VerdictFailed,
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_QUIET", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def staged() -> str:
    log_dataset(LABELS)
    return register()


STAGING = f"{MODEL}:staging"


def test_an_unknown_model_names_the_nearest(staged: str) -> None:
    with pytest.raises(CollectionNotFound, match="Half Right"):
        evaluate("model-registry/Half Rigt:staging", score)


def test_an_unknown_alias_names_the_ones_there_are(staged: str) -> None:
    with pytest.raises(NotFound, match="staging"):
        evaluate(f"{MODEL}:stagging", score)


@pytest.mark.parametrize(
    ("scorer", "problem"),
    [
        ("nothing.py:score", "does not exist"),
        ("score.py", "does not name a file and a function"),
        (lambda model, datasets, config: None, "returned NoneType"),
        (lambda model, datasets, config: {}, "returned no metrics"),
        (lambda model, datasets, config: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_bad_scorer_is_named_and_judges_nothing(staged: str, scorer: Any, problem: str) -> None:
    with pytest.raises(InvalidScorer, match=problem):
        evaluate(STAGING, scorer)
    runs = [run for run in Api().runs(PROJECT) if run.job_type == "evaluation"]
    assert all(run.state == "failed" for run in runs)
    assert Api().artifact(STAGING).evaluations() == ()


def test_a_scorer_file_is_found_and_its_folder_importable(staged: str, tmp_path: Path) -> None:
    (tmp_path / "beside_the_scorer.py").write_text("VALUE = 0.25\n")
    (tmp_path / "my_score.py").write_text(
        "import beside_the_scorer\n\ndef score(model, datasets, config):\n"
        "    return {'val_accuracy': beside_the_scorer.VALUE}\n"
    )
    report = evaluate(STAGING, f"{tmp_path}/my_score.py:score", names=NAMES)
    assert report.metrics[0].measured == 0.25
    with pytest.raises(InvalidScorer, match="no function 'scor'"):
        evaluate(STAGING, f"{tmp_path}/my_score.py:scor")


@pytest.mark.parametrize("text", ["val_accuracy >>= 1", "", "val_accuracy >= nan"])
def test_an_unreadable_check_costs_no_scoring(staged: str, text: str) -> None:
    with pytest.raises(InvalidInput):
        evaluate(STAGING, score, checks=[text])
    assert not [run for run in Api().runs(PROJECT) if run.job_type == "evaluation"]


def test_an_honest_claim_is_reproduced_and_stored(staged: str) -> None:
    report = evaluate(STAGING, score, names=NAMES, checks=["val_accuracy > 10%"], safe_files=True)
    assert report.verdict is Verdict.PASSED
    assert [check.outcome for check in report.checks] == [Verdict.PASSED] * 3
    assert report.producer == staged
    assert [(data.name, data.version, data.pinned) for data in report.datasets] == [("labels", "v0", True)]
    report.raise_for_verdict()
    stored = Api().artifact(STAGING)
    assert stored.verdict == "passed"
    assert from_plain(stored.evaluations()[0].report, EvaluationReport) == report
    assert report.evaluation is not None
    run = Api().run(report.evaluation)
    assert (run.job_type, run.state) == ("evaluation", "finished")
    assert run.config == {"threshold": 0.5, "bias": 0}
    assert run.summary["val_accuracy"] == accuracy_of(0.5, LABELS)
    assert run.summary["evaluation"]["verdict"] == "passed"
    assert {artifact.source_name for artifact in run.used_artifacts()} == {"labels:v0", "half-right:v0"}


def test_an_inflated_claim_fails_and_is_itself_the_cause(staged: str) -> None:
    register(claim=0.99)
    report = evaluate(STAGING, score, names=NAMES)
    assert report.verdict is Verdict.FAILED
    assert report.metrics[0].outcome is Outcome.DRIFTED
    assert report.causes[0].kind is CauseKind.CLAIM
    with pytest.raises(VerdictFailed, match="final_accuracy"):
        report.raise_for_verdict()
    assert Api().artifact(STAGING).verdict == "failed"


def test_another_dataset_version_is_allowed_loud_and_the_first_cause(
    staged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log_dataset([index < 10 for index in range(40)])
    report = evaluate(STAGING, score, names=NAMES, datasets=["labels:latest"])
    assert [(data.version, data.pinned) for data in report.datasets] == [("v1", False)]
    assert "the producer used v0" in capsys.readouterr().err
    assert report.verdict is Verdict.FAILED
    assert (report.causes[0].kind, report.causes[0].subject) == (CauseKind.DATASET, "labels")


def test_equal_numbers_on_other_data_prove_nothing(staged: str) -> None:
    log_dataset([not label for label in LABELS])  # half right here as well
    report = evaluate(STAGING, score, names=NAMES, datasets={"labels": "v1"})
    assert [result.outcome for result in report.metrics] == [Outcome.REPRODUCED]
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "labels v1 instead of v0" in report.checks[0].message


def test_the_dataset_stays_pinned_when_latest_moves_on(staged: str) -> None:
    log_dataset([True] * 40)
    assert evaluate(STAGING, score, names=NAMES).verdict is Verdict.PASSED


def test_a_changed_config_key_is_the_first_cause(staged: str) -> None:
    report = evaluate(STAGING, score, names=NAMES, config={"bias": 0.25})
    assert report.verdict is Verdict.FAILED
    assert (report.causes[0].kind, report.causes[0].subject) == (CauseKind.CONFIG, "bias")
    assert any("by request" in note for note in report.notes)


def test_other_metric_names_are_inconclusive_with_a_suggestion(staged: str) -> None:
    report = evaluate(STAGING, score)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "final_" in report.checks[0].message and "val_" in report.checks[0].message
    assert {claim.name for claim in report.unchecked} == {"final_accuracy", "val_loss"}


def test_a_tolerance_lets_a_small_drift_pass(staged: str) -> None:
    value = accuracy_of(0.5, LABELS)
    register(claim=value * 1.001)
    assert evaluate(STAGING, score, names=NAMES).verdict is Verdict.FAILED
    assert evaluate(STAGING, score, names=NAMES, rtol=0.01).verdict is Verdict.PASSED
    per_metric = {"final_*": {"rtol": 0.01}}
    assert evaluate(STAGING, score, names=NAMES, per_metric=per_metric).verdict is Verdict.PASSED


def test_a_failed_threshold_fails(staged: str) -> None:
    report = evaluate(STAGING, score, names=NAMES, checks=["val_accuracy >= 0.95", "nowhere < 1"])
    assert [check.outcome for check in report.checks] == [
        Verdict.PASSED,
        Verdict.FAILED,
        Verdict.INCONCLUSIVE,
    ]
    assert report.verdict is Verdict.FAILED


def test_nan_reproduces_nan(staged: str) -> None:
    register(claim=math.nan)

    def nan(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> dict[str, float]:
        return {"val_accuracy": math.nan}

    report = evaluate(STAGING, nan, names=NAMES)
    assert report.verdict is Verdict.PASSED
    assert Api().artifact(STAGING).evaluations()[0].verdict == "passed"


def test_a_model_without_a_producer_can_only_be_checked() -> None:
    log_dataset(LABELS)
    run = weighbridge.init(project=PROJECT)
    artifact = Artifact("orphan", type="model")
    with artifact.new_file("model.json") as file:
        file.write('{"threshold": 0.5}')
    run.use_artifact(artifact)  # an input that was never logged by a run
    run.finish()
    report = evaluate(f"{PROJECT}/orphan:latest", score, datasets=["labels:v0"], checks=["val_accuracy > 0"])
    assert report.producer is None
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "No run made this version" in report.checks[0].message
    assert report.checks[1].outcome is Verdict.PASSED


def test_a_deleted_producer_leaves_a_tombstone_and_a_clear_verdict(staged: str) -> None:
    Api().run(staged).delete()
    report = evaluate(STAGING, score, names=NAMES, datasets=["labels:v0"])
    assert report.producer == staged
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("deleted" in note for note in report.notes)


def test_the_holder_of_an_alias_is_compared_by_paired_bootstrap(staged: str) -> None:
    register(threshold=0.75, aliases=("production",))
    worse = evaluate(STAGING, score, names=NAMES, against="production")
    assert worse.comparison is not None
    delta = worse.comparison.deltas[0]
    assert (delta.name, delta.baseline, delta.candidate) == (
        "val_accuracy",
        accuracy_of(0.75, LABELS),
        accuracy_of(0.5, LABELS),
    )
    interval = worse.comparison.intervals[0]
    assert interval.n == len(LABELS) and interval.low < delta.delta < interval.high
    assert worse.comparison.paired_examples == len(LABELS)
    assert "scored in this evaluation" in worse.comparison.notes[0]
    better = evaluate(f"{MODEL}:production", score, names=NAMES, against="staging")
    assert better.comparison is not None
    assert "measured by run" in better.comparison.notes[0]
    assert better.comparison.deltas[0].delta == pytest.approx(-delta.delta)
    assert better.comparison.intervals[0].n == len(LABELS)
    assert better.verdict is Verdict.PASSED


def test_a_baseline_measured_with_another_config_is_scored_anew(staged: str) -> None:
    register(threshold=0.75, aliases=("production",))
    evaluate(f"{MODEL}:production", score, names=NAMES, config={"bias": -0.5})
    comparison = evaluate(STAGING, score, names=NAMES, against="production").comparison
    assert comparison is not None
    assert comparison.deltas[0].baseline == accuracy_of(0.75, LABELS)
    assert "scored in this evaluation" in comparison.notes[0]


def test_a_baseline_whose_evaluation_run_was_deleted_is_scored_anew(staged: str) -> None:
    register(threshold=0.75, aliases=("production",))
    earlier = evaluate(f"{MODEL}:production", score, names=NAMES)
    assert earlier.evaluation is not None
    Api().run(earlier.evaluation).delete()
    comparison = evaluate(STAGING, score, names=NAMES, against="production").comparison
    assert comparison is not None
    assert "scored in this evaluation" in comparison.notes[0]


def test_a_version_is_not_compared_with_itself(staged: str) -> None:
    with pytest.raises(InvalidInput, match="with itself"):
        evaluate(STAGING, score, against="staging")


def test_the_scorer_may_have_the_run(staged: str) -> None:
    def scorer(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any], run: Any) -> Any:
        run.summary["from_scorer"] = 1
        return score(model, datasets, config)

    report = evaluate(STAGING, scorer, names=NAMES)
    assert report.evaluation is not None
    assert Api().run(report.evaluation).summary["from_scorer"] == 1


def test_the_claim_is_read_at_the_step_of_a_model_that_is_not_the_last() -> None:
    log_dataset(LABELS)
    with weighbridge.init(project=PROJECT, config={"threshold": 0.5, "bias": 0}) as run:
        run.use_artifact("labels:v0")
        for epoch, threshold in enumerate((0.9, 0.5, 0.1)):
            run.log({"val_accuracy": accuracy_of(threshold, LABELS), "threshold": threshold})
            if epoch == 1:
                model = Artifact("best", type="model")
                with model.new_file("model.json") as file:
                    file.write('{"threshold": 0.5}')
                run.log_artifact(model)
    report = evaluate(f"{PROJECT}/best:latest", score)
    result = next(metric for metric in report.metrics if metric.claimed_name == "val_accuracy")
    assert (result.source, result.step, result.claimed) == ("history", 1, accuracy_of(0.5, LABELS))
    assert report.verdict is Verdict.PASSED
    assert evaluate(f"{PROJECT}/best:latest", score, claims="summary").verdict is Verdict.FAILED


def test_reproduce_by_hand_stores_the_verdict(staged: str) -> None:
    with weighbridge.init(project=PROJECT, job_type="evaluation") as run:
        artifact = run.use_artifact(STAGING, type="model")
        producer = artifact.logged_by()
        assert producer is not None
        run.config.update(producer.config)
        report = run.reproduce(artifact, {"val_accuracy": accuracy_of(0.5, LABELS)}, names=NAMES)
        assert report.verdict is Verdict.PASSED
        again = run.reproduce(producer, {"val_accuracy": 0.0}, names=NAMES)
        assert again.verdict is Verdict.FAILED
        assert again.model_digest == artifact.digest
    assert Api().artifact(STAGING).verdict == "failed"


def test_a_report_shows_itself_as_table_and_markdown(staged: str) -> None:
    report = evaluate(STAGING, score, names=NAMES)
    assert "final_accuracy -> val_accuracy" in report.to_text()
    assert "| final\\_accuracy" in report.to_markdown() or "| final_accuracy" in report.to_markdown()
    assert report.to_markdown().startswith("**")
    assert len(str(report).splitlines()) == 1
    assert EvaluationReport.from_json(report.to_json()) == report


def test_a_scorer_that_finishes_the_run_is_named(staged: str) -> None:
    def finishing(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> Any:
        weighbridge.finish()
        return {"val_accuracy": 1.0}

    with pytest.raises(InvalidScorer, match="finished the evaluation run"):
        evaluate(STAGING, finishing, names=NAMES)


def test_reproduce_needs_a_store() -> None:
    with weighbridge.init(project=PROJECT, mode="offline") as run, pytest.raises(UsageError, match="offline"):
        run.reproduce("a/b/c", {})
