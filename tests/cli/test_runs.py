"""`runs`, `run` and `projects` on a real home: refusals first."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize(
    ("words", "said_on_stderr"),
    [
        (("runs", "digitz"), "team/digits"),
        (("runs", "a/b/c"), "entity/project"),
        (("runs", "--filter", "stat = finished"), "^"),
        (("runs", "--filter", '{"state": '), "JSON"),
        (("runs", "--order", "-sumary.final_acc"), "sumary"),
        (("runs", "--columns", "id,colour"), "'colour'"),
        (("run", "show", "digits/train9"), "train1"),
        (("run", "history", "train1", "--keys", "los"), "loss"),
        (("run", "history", "train1", "--csv", "--json"), "exclude"),
        (("run", "delete", "train9", "--yes"), "train1"),
        (("run", "delete", "train1"), "--yes"),
    ],
)
def test_what_cannot_be_done_says_why_on_stderr_only(
    cli: Cli, words: tuple[str, ...], said_on_stderr: str
) -> None:
    said = cli(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ") and "hint: " in said.err
    assert said_on_stderr in said.err


def test_a_run_that_was_not_confirmed_is_still_there(cli: Cli) -> None:
    cli("run", "delete", "train1")
    assert cli("run", "show", "train1", "-q").out == "team/digits/train1\n"


def test_runs_as_a_table_newest_first(cli: Cli) -> None:
    said = cli("runs", "digits", "--columns", "name,id,state,job_type,config.lr,summary.final_acc")
    assert said.code == 0
    assert said.out == (
        "name        id       state     job_type  config.lr  final_acc\n"
        "training-2  train2   finished  train             2       0.95\n"
        "training-1  train1   finished  train             1        0.9\n"
        "preparing   prepare  finished  prepare           -          -\n"
    )


def test_usual_columns_bring_the_common_metrics(cli: Cli) -> None:
    heading = cli("runs").out.splitlines()[0].split()
    assert heading == ["name", "id", "state", "job_type", "created", "loss", "epoch", "final_acc"]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--filter", "summary.final_acc > 0.92"), ["train2"]),
        (("--filter", '{"summary_metrics.final_acc": {"$gt": 0.92}}'), ["train2"]),
        (("--filter", "job_type = train and not config.lr in (2)"), ["train1"]),
        (("--filter", "display_name ~ '^prep'"), ["prepare"]),
        (("--filter", "state = running"), []),
        (("--order", "+created_at"), ["prepare", "train1", "train2"]),
        (("--order", "-summary_metrics.final_acc"), ["train2", "train1", "prepare"]),
        (("--order", "+summary.final_acc"), ["train1", "train2", "prepare"]),
        (("--limit", "1"), ["train2"]),
    ],
)
def test_runs_are_chosen_and_ordered(cli: Cli, words: tuple[str, ...], ids: list[str]) -> None:
    said = cli("runs", "digits", "--quiet", *words)
    assert said.code == 0
    assert said.out.splitlines() == [f"team/digits/{run_id}" for run_id in ids]
    assert [run["run_id"] for run in json.loads(cli("runs", "digits", "--json", *words).out)] == ids


def test_a_cut_list_says_so_on_stderr(cli: Cli) -> None:
    said = cli("runs", "--limit", "2")
    assert "2 of 3 runs" in said.err
    assert "2 of 3 runs" not in cli("runs", "--limit", "2", "-q").err
    assert cli("runs", "--limit", "3").err == ""


def test_json_has_whole_values_and_absolute_times(cli: Cli) -> None:
    run = json.loads(cli("run", "show", "train2", "--json").out)
    assert run["summary"]["final_acc"] == 0.95 and run["config"] == {"lr": 2}
    assert run["created_at"].endswith("Z") and run["state"] == "finished"
    assert [version["path"] for version in run["inputs"]] == ["team/digits/split:v0"]
    assert [version["path"] for version in run["outputs"]] == ["team/digits/net:v1"]
    assert run["environment"]["python_version"]


def test_run_show_tells_it_to_people(cli: Cli) -> None:
    out = cli("run", "show", "train2").out
    for words in ("training-2  team/digits/train2", "finished (exit code 0)", "30 rows, last step 29"):
        assert words in out
    for title in ("Config", "Summary", "Environment", "Inputs", "Outputs"):
        assert f"\n{title}\n" in out
    assert "team/digits/split:v0" in out


def test_history_as_csv_has_every_row(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("run", "history", "train1", "--csv").out)))
    assert list(rows[0]) == ["_step", "_timestamp", "_runtime", "epoch", "loss"]
    assert [int(row["_step"]) for row in rows] == list(range(30))
    assert float(rows[2]["loss"]) == 1 / 3


def test_history_as_json_and_table(cli: Cli) -> None:
    rows = json.loads(cli("run", "history", "train1", "--keys", "loss", "--json").out)
    assert len(rows) == 30 and rows[1]["loss"] == 0.5
    said = cli("run", "history", "train1", "--samples", "5")
    assert said.out.splitlines()[0].split() == ["_step", "epoch", "loss"]
    assert len(said.out.splitlines()) == 6
    assert "5 of 30 rows" in said.err


def test_a_deleted_run_is_gone_and_lineage_keeps_its_name(cli: Cli) -> None:
    assert cli("run", "delete", "train1", "--yes").code == 0
    assert "train1" not in cli("runs", "-q").out
    assert "training-1" in cli("lineage", "model-registry/Digits:production").out


def test_projects_of_an_entity(cli: Cli) -> None:
    (project,) = json.loads(cli("projects", "--json").out)
    assert (project["path"], project["run_count"], project["collection_count"]) == ("team/digits", 3, 2)
    assert cli("projects", "-q").out == "team/digits\n"
    said = cli("projects", "nobody")
    assert said.code == 0 and said.out == "" and "no project" in said.err


def test_another_home_holds_other_things(cli: Cli, tmp_path: Path) -> None:
    assert cli("projects", "--home", tmp_path / "empty", "-q").out == ""
