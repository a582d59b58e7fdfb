"""Short and long paths on the command line mean what a reader takes them for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.mark.parametrize("path", ["model-registry/Digits", "team/model-registry/Digits"])
def test_an_unevaluated_version_is_named_in_full(cli: Cli, home: Path, path: str) -> None:
    said = cli("evaluations", path)
    assert (said.code, said.err.strip()) == (0, "team/model-registry/Digits:v1 was never evaluated.")


def test_a_run_that_judged_nothing_is_not_called_unevaluated(cli: Cli, home: Path) -> None:
    assert cli("evaluations", "team/digits/train1").err.strip() == "Run team/digits/train1 judged no model."


def test_a_bare_name_is_looked_up_in_the_model_registry(cli: Cli, home: Path) -> None:
    assert (
        cli("registry", "show", "Digits", "--quiet").out
        == cli("registry", "show", "model-registry/Digits", "--quiet").out
    )
    said = cli("registry", "show", "Digit")
    assert said.code == 2
    assert "Did you mean 'Digits'?" in said.err


def test_projects_of_the_same_entity_are_not_near_for_that(cli: Cli, home: Path) -> None:
    said = cli("runs", "uncategorized")
    assert "weighbridge projects" in said.err
    assert "Did you mean 'team/digits'?" in cli("runs", "digit").err


def test_a_scorer_that_exits_with_zero_has_not_passed(cli: Cli, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "exits.py"
    path.write_text("import sys\n\ndef score(model, datasets, config):\n    sys.exit(0)\n")
    said = cli("evaluate", "model-registry/Digits:production", "--scorer", f"{path}:score")
    assert said.code == 2
    assert "SystemExit" in said.err


def test_what_a_scorer_prints_does_not_get_into_the_report(cli: Cli, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "talks.py"
    path.write_text(
        "print('loading')\n\ndef score(model, datasets, config):\n    print('half way')\n    return {'a': 1}\n"
    )
    said = cli("evaluate", "model-registry/Digits:production", "--scorer", f"{path}:score", "--json", "-")
    assert json.loads(said.out)["verdict"] == "inconclusive"
    assert "loading" in said.err and "half way" in said.err
