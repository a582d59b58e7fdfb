"""`evaluate` and `evaluations`: what cannot be evaluated is 2, a broken claim is 1, a kept one is 0."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Cli
from weighbridge.domain.evaluation import EvaluationReport, Verdict

STAGING = "model-registry/Digits:staging"
PRODUCTION = "model-registry/Digits:production"
NAMES = ("--names", "final_*=val_*")


@pytest.mark.parametrize(
    ("words", "said_on_stderr"),
    [
        (("--names", "final_acc"), "'final_acc' is no pair"),
        (("--per-metric", "final_acc=much"), "much"),
        (("--rtol", "-1"), "rtol"),
        (("--check", "val_acc ~ 3"), "val_acc ~ 3"),
        (("--config", "lr"), "pair"),
        (("--json", "-", "--junit", "-"), "stdout"),
        (("--json", "nowhere/out.json"), "nowhere"),
        (("--dataset", "split:v9"), "split"),
        (("--against", "champion"), "champion"),
    ],
)
def test_wrong_arguments_could_not_be_evaluated(
    cli: Cli, home: Path, scorer: str, words: tuple[str, ...], said_on_stderr: str
) -> None:
    said = cli("evaluate", PRODUCTION, "--scorer", scorer, *words)
    assert (said.code, said.out) == (2, "")
    assert said_on_stderr.lower() in said.err.lower()


@pytest.mark.parametrize(
    ("model", "function"),
    [
        ("model-registry/Digits:nobody", "score"),
        ("model-registry/Nothing:staging", "score"),
        (PRODUCTION, "missing"),
        (PRODUCTION, "broken"),
    ],
)
def test_no_model_or_scorer_could_not_be_evaluated(
    cli: Cli, home: Path, scorer: str, model: str, function: str
) -> None:
    said = cli("evaluate", model, "--scorer", scorer.replace(":score", f":{function}"))
    assert said.code == 2
    assert said.err.startswith("error: ")


def test_damaged_bytes_could_not_be_evaluated(cli: Cli, home: Path, scorer: str) -> None:
    found = json.loads(cli("artifact", "show", PRODUCTION, "--json").out)
    digest = found["files"][0]["digest"]
    (blob,) = [path for path in (home / "blobs").rglob("*") if path.is_file() and path.name in digest]
    blob.unlink()
    said = cli("evaluate", PRODUCTION, "--scorer", scorer, *NAMES)
    assert said.code == 2 and digest in said.err


def test_nothing_to_hold_against_is_inconclusive(cli: Cli, home: Path, scorer: str) -> None:
    said = cli("evaluate", PRODUCTION, "--scorer", scorer)
    assert said.code == 2 and "inconclusive" in said.out


def test_a_claim_that_does_not_hold_fails(cli: Cli, home: Path, scorer: str) -> None:
    said = cli("evaluate", STAGING, "--scorer", scorer, *NAMES)
    assert said.code == 1
    assert "Not reproduced" in said.out and "claimed 0.95, measured 0.7" in said.out


def test_a_claim_that_holds_passes(cli: Cli, home: Path, scorer: str) -> None:
    said = cli("evaluate", PRODUCTION, "--scorer", scorer, *NAMES, "--check", "val_acc >= 0.8")
    assert said.code == 0
    assert "passed, 1 of 1 claims reproduced" in said.out
    verdicts = json.loads(cli("registry", "show", "model-registry/Digits", "--json").out)
    assert [version["verdict"] for version in verdicts] == [None, "passed"]
    assert cli("lineage", PRODUCTION).out.splitlines()[-1].endswith("passed")


def test_a_threshold_and_a_regression_fail_a_true_claim(cli: Cli, home: Path, scorer: str) -> None:
    words = ("evaluate", PRODUCTION, "--scorer", scorer, *NAMES)
    assert cli(*words, "--check", "val_acc >= 0.95").code == 1
    tolerant = ("--per-metric", "final_acc=0.5")
    said = cli("evaluate", STAGING, "--scorer", scorer, *NAMES, *tolerant, "--against", "production")
    assert said.code == 1 and "no_regression" in said.out


def test_the_report_goes_to_every_file_asked_for(cli: Cli, home: Path, scorer: str, tmp_path: Path) -> None:
    faces = {face: tmp_path / f"out.{face}" for face in ("json", "junit", "markdown")}
    words = [word for face, path in faces.items() for word in (f"--{face}", path)]
    said = cli("evaluate", STAGING, "--scorer", scorer, *NAMES, *words)
    assert said.code == 1 and "Not reproduced" in said.out
    report = EvaluationReport.from_json(faces["json"].read_text())
    assert report.verdict is Verdict.FAILED
    assert ElementTree.parse(faces["junit"]).getroot().tag == "testsuites"
    assert faces["markdown"].read_text().startswith("**")
    assert not list(tmp_path.glob("*.partial"))


def test_json_alone_goes_to_stdout_and_quiet_names_the_run(cli: Cli, home: Path, scorer: str) -> None:
    said = cli("evaluate", PRODUCTION, "--scorer", scorer, *NAMES, "--json")
    assert EvaluationReport.from_json(said.out).verdict is Verdict.PASSED
    quiet = cli("evaluate", PRODUCTION, "--scorer", scorer, *NAMES, "-q")
    assert quiet.out.startswith("team/digits/") and quiet.out.count("\n") == 1


def test_stored_evaluations_are_listed_and_shown(cli: Cli, home: Path, scorer: str) -> None:
    assert "never evaluated" in cli("evaluations", STAGING).err
    cli("evaluate", STAGING, "--scorer", scorer, *NAMES)
    run = cli(
        "evaluate", STAGING, "--scorer", scorer, "--names", "final_acc=val_acc", "--rtol", "1", "-q"
    ).out
    listed = json.loads(cli("evaluations", STAGING, "--json").out)
    assert [found["verdict"] for found in listed] == ["passed", "failed"]
    assert cli("evaluations", run.strip(), "-q").out == run
    assert "claimed 0.95, measured 0.7" in cli("evaluations", STAGING, "--show", "2").out
    past = cli("evaluations", STAGING, "--show", "3")
    assert past.code == 2 and "2 evaluations" in past.err
