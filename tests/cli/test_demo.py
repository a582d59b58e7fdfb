"""The demo is a test of the whole story: every verdict must come out as it is told, once and again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.arch.rules import ROOT

SECONDS_MAX = 120


def weighbridge(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a newcomer does, with the test's home."""
    return subprocess.run(
        [sys.executable, "-m", "weighbridge", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )


@pytest.fixture
def told() -> dict[str, Any]:
    """What one telling says to a machine."""
    done = weighbridge("demo", "--json")
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_the_demo_says_what_it_needs_when_scikit_learn_is_missing(tmp_path: Path) -> None:
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").write_text("raise ImportError('not here')\n")
    done = weighbridge("demo", PYTHONPATH=os.pathsep.join((str(tmp_path), str(ROOT / "src"))))
    assert done.returncode == 2
    assert "scikit-learn" in done.stderr and "weighbridge[demo]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_false_claim_is_refused_with_the_dataset_as_the_first_cause(told: Mapping[str, Any]) -> None:
    second = told["second"]
    assert second["verdict"] == "failed"
    assert second["claimed"]["final_accuracy"] > second["measured"]["val_accuracy"] + 0.02
    assert second["causes"][0].startswith("dataset digits-split")


def test_the_honest_candidates_pass_and_the_better_one_ends_in_production(told: Mapping[str, Any]) -> None:
    assert told["surprises"] == []
    assert told["first"]["verdict"] == told["third"]["verdict"] == "passed"
    assert told["third"]["claimed"]["final_accuracy"] == told["third"]["measured"]["val_accuracy"]
    compared = {item["metric"]: item for item in told["third"]["compared"]}
    assert compared["val_accuracy"]["low"] > 0
    assert compared["val_accuracy"]["p_value"] < 0.05
    assert told["production"] == told["third"]["model"]


def test_a_second_telling_makes_no_new_versions(told: Mapping[str, Any]) -> None:
    again = weighbridge("demo", "--json")
    assert again.returncode == 0, again.stderr
    facts = json.loads(again.stdout)
    assert told["runs_before"] == 0
    assert facts["runs_before"] == 8
    assert [facts[key] for key in ("split", "production")] == [told[key] for key in ("split", "production")]


def test_the_story_is_told_step_by_step_in_a_home_of_its_own(tmp_path: Path) -> None:
    done = weighbridge("demo", "--home", str(tmp_path / "own"))
    assert done.returncode == 0, done.stderr
    at = [done.stdout.index(f"\n{number}. ") for number in range(1, 10)]
    assert at == sorted(at)
    for part in (
        "Not reproduced",
        "Causes, likeliest first\n  1. dataset digits-split",
        "Compared with",
        "digits-split:v0",
        "digits-model:v2",
        "Every step came out as told.",
    ):
        assert part in done.stdout, part
    assert "evaluating on v0, but the producer used v1" in done.stderr
    assert "\x1b[" not in done.stdout
    assert (tmp_path / "own" / "weighbridge.db").is_file()
    assert not Path(os.environ["WEIGHBRIDGE_HOME"]).exists()
    runs = weighbridge("runs", "weighbridge-demo", "--home", str(tmp_path / "own"), "--quiet")
    assert len(runs.stdout.splitlines()) == 8


def test_the_commands_it_ends_with_work_as_they_are_printed(tmp_path: Path) -> None:
    own = tmp_path / "a home"
    done = weighbridge("demo", "--home", str(own), "--entity", "ada")
    assert done.returncode == 0, done.stderr
    printed = done.stdout.partition("Look around in what was recorded:\n")[2]
    look, _, _ = printed.partition("Then as scripts")
    assert f"export WEIGHBRIDGE_HOME='{own}'" in look and "export WEIGHBRIDGE_ENTITY=ada" in look
    assert len(look.splitlines()) == 6
    shown = subprocess.run(
        ["bash", "-euc", look],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert shown.returncode == 0, shown.stderr
    assert "beyond chance" in shown.stdout and "ada/model-registry/Digits:v2" in shown.stdout


def test_quiet_prints_the_version_in_production_only() -> None:
    done = weighbridge("demo", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [done.stdout.strip()]
    assert done.stdout.strip().endswith("/model-registry/Digits:v2")
