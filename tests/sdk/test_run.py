"""A run as a training script uses it: what is logged comes back through Api, however the run ends."""

from __future__ import annotations

import gc
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import weighbridge
from weighbridge import Api
from weighbridge.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    InvalidName,
    NotInitialised,
    RunFinished,
    RunNotFound,
)
from weighbridge.sdk.run import Run


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WEIGHBRIDGE_QUIET", "true")
    yield
    while (run := weighbridge.run) is not None:
        run.finish()


def history(run: Run) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if not name.startswith("_") or name == "_step"}
        for row in Api().run(run.path).scan_history()
    ]


def test_log_after_finish_is_refused_and_names_the_run() -> None:
    run = weighbridge.init(project="p")
    run.finish()
    with pytest.raises(RunFinished, match=run.id):
        run.log({"loss": 1.0})
    with pytest.raises(RunFinished):
        run.summary["x"] = 1
    with pytest.raises(RunFinished):
        run.config["x"] = 1


def test_module_level_calls_need_a_run() -> None:
    with pytest.raises(NotInitialised, match="init"):
        weighbridge.log({"loss": 1.0})
    with pytest.raises(NotInitialised):
        _ = weighbridge.config
    assert weighbridge.run is None
    weighbridge.finish()


@pytest.mark.parametrize(
    "data", [None, 3, "text", [1], {"": 1.0}, {3: 1.0}, {"a\0b": 1.0}, {"x" * 1_001: 1.0}]
)
def test_what_is_no_row_is_refused_and_training_can_go_on(data: Any) -> None:
    with weighbridge.init(project="p") as run:
        with pytest.raises((InvalidInput, InvalidName)):
            run.log(data)
        run.log({"good": 1.0})
    assert history(run) == [{"_step": 0, "good": 1.0}]


@pytest.mark.parametrize("step", [-1, 2**63, 0.5, "three", math.nan])
def test_an_impossible_step_is_refused(step: Any) -> None:
    with weighbridge.init(project="p") as run, pytest.raises(InvalidInput, match="step"):
        run.log({"loss": 1.0}, step=step)


def test_a_huge_integer_is_refused_with_a_hint() -> None:
    with weighbridge.init(project="p") as run:
        with pytest.raises(InvalidInput, match="64 bits"):
            run.log({"n": 2**70})
        run.log({"n": 2**62})
    assert history(run) == [{"_step": 0, "n": 2**62}]


def test_rows_come_back_with_their_types() -> None:
    with weighbridge.init(project="p") as run:
        run.log({"f": 0.5, "i": 3, "b": True, "s": "text", "nothing": None})
        run.log({"f": math.inf, "i": -7, "b": False, "s": "ünïcode", "list": [1, "two"]})
    rows = history(run)
    assert rows[0] == {"_step": 0, "f": 0.5, "i": 3, "b": True, "s": "text", "nothing": None}
    assert rows[1] == {"_step": 1, "f": math.inf, "i": -7, "b": False, "s": "ünïcode", "list": [1, "two"]}
    assert type(rows[0]["b"]) is bool and type(rows[0]["i"]) is int


def test_nan_is_kept() -> None:
    with weighbridge.init(project="p") as run:
        run.log({"loss": math.nan})
        run.summary["hand"] = math.nan
    assert math.isnan(history(run)[0]["loss"])
    assert math.isnan(Api().run(run.path).summary["loss"])
    assert math.isnan(Api().run(run.path).summary["hand"])


def test_numpy_scalars_and_nested_dicts_are_stored_plain() -> None:
    with weighbridge.init(project="p") as run:
        run.log({"a": numpy.float32(0.5), "b": numpy.int64(4), "val": {"loss": numpy.array(2.0), "acc": 1}})
    assert history(run) == [{"_step": 0, "a": 0.5, "b": 4, "val.loss": 2.0, "val.acc": 1}]


def test_an_array_becomes_a_histogram_in_the_stored_form() -> None:
    with weighbridge.init(project="p") as run:
        run.log({"weights": numpy.arange(100.0)})
    stored = history(run)[0]["weights"]
    assert stored["_type"] == "histogram"
    assert sum(stored["values"]) == 100
    assert len(stored["bins"]) == len(stored["values"]) + 1


def test_steps_follow_the_rules_of_commit() -> None:
    with weighbridge.init(project="p") as run:
        run.log({"a": 1}, commit=False)
        run.log({"b": 2})
        run.log({"a": 3})
        run.log({"a": 4}, step=10)
        run.log({"b": 5}, step=10)
        run.log({"c": 6})
        assert run.step == 11
        run.log({"d": 7}, step=11, commit=True)
        assert run.step == 12
    assert history(run) == [
        {"_step": 0, "a": 1, "b": 2},
        {"_step": 1, "a": 3},
        {"_step": 10, "a": 4, "b": 5, "c": 6},
        {"_step": 11, "d": 7},
    ]


def test_steps_may_come_in_any_order_and_merge() -> None:
    with weighbridge.init(project="p") as run:
        for step in (5, 1, 3, 1, 5):
            run.log({f"at{step}": step, "last": step}, step=step)
        run.log({"late": 1}, step=3)
    assert history(run) == [
        {"_step": 1, "at1": 1, "last": 1},
        {"_step": 3, "at3": 3, "last": 3, "late": 1},
        {"_step": 5, "at5": 5, "last": 5},
    ]


def test_the_summary_is_the_last_value_unless_set_or_defined() -> None:
    with weighbridge.init(project="p") as run:
        run.define_metric("acc", summary="max,min,mean,last")
        run.define_metric("val/*", summary="best", goal="minimize")
        for value in (0.2, 0.9, 0.4):
            run.log({"loss": value, "acc": value, "val/loss": value})
        run.summary["final"] = 7
        run.summary["nested"] = {"a": {"b": 1}}
        run.summary["nested"]["a"]["c"] = 2
        run.summary.update({"more": "x"})
        mine = run.summary.as_dict()
    stored = Api().run(run.path).summary
    assert mine["loss"] == 0.4
    assert mine["acc"] == {"max": 0.9, "min": 0.2, "mean": pytest.approx(0.5), "last": 0.4}
    assert mine["val/loss"] == {"best": 0.2}
    assert mine["nested"] == {"a": {"b": 1, "c": 2}}
    assert {key: stored[key] for key in mine} == mine


def test_a_summary_value_set_by_hand_stands_until_it_is_logged_again() -> None:
    with weighbridge.init(project="p") as run:
        run.log({"acc": 0.1})
        run.summary["acc"] = 0.99
        assert run.summary["acc"] == 0.99
    assert Api().run(run.path).summary["acc"] == 0.99
    with weighbridge.init(project="p") as run:
        run.summary["acc"] = 0.99
        run.log({"acc": 0.1})
        del run.summary["acc"]
        run.summary["kept"] = 1
    assert dict(Api().run(run.path).summary) == {"kept": 1}


def test_config_takes_dicts_namespaces_and_keeps_its_values() -> None:
    import argparse

    with weighbridge.init(project="p", config=argparse.Namespace(lr=0.1, path=Path("a/b"))) as run:
        run.config.update({"layers": [1, 2], "opt": {"name": "sgd"}})
        run.config.epochs = 3
        with pytest.raises(InvalidInput, match="allow_val_change"):
            run.config.lr = 0.2
        run.config.update({"lr": 0.2}, allow_val_change=True)
        with pytest.raises(InvalidInput, match="config.thing"):
            run.config["thing"] = object()
        assert weighbridge.config["epochs"] == 3
    assert dict(Api().run(run.path).config) == {
        "lr": 0.2,
        "path": "a/b",
        "layers": [1, 2],
        "opt": {"name": "sgd"},
        "epochs": 3,
    }


def test_labels_are_stored_and_names_are_made_up() -> None:
    with weighbridge.init(project="p", job_type="train", group="g", tags=["one"], notes="n") as run:
        run.tags += ("two",)
        run.notes = "changed"
        made_up = run.name
    stored = Api().run(run.path)
    assert made_up.count("-") == 2 and made_up.endswith("-1")
    assert stored.name == made_up
    assert (stored.job_type, stored.group, tuple(stored.tags)) == ("train", "g", ("one", "two"))
    assert stored.notes == "changed"
    with weighbridge.init(project="p") as second:
        assert second.name.endswith("-2")


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (None, "finished", 0),
        (ValueError("boom"), "failed", 1),
        (KeyboardInterrupt(), "killed", 130),
        (SystemExit(3), "failed", 3),
        (SystemExit(0), "finished", 0),
    ],
)
def test_the_end_is_told_truly(error: BaseException | None, state: str, code: int) -> None:
    run = weighbridge.init(project="p")
    try:
        with run:
            run.log({"x": 1})
            if error is not None:
                raise error
    except BaseException as caught:  # noqa: BLE001 - exactly what the with statement must let through
        assert caught is error
    stored = Api().run(run.path)
    assert (stored.state, run.exit_code) == (state, code)


def test_resume_goes_on_where_the_run_stopped() -> None:
    with weighbridge.init(project="p", id="one", config={"lr": 0.1}) as run:
        run.log({"loss": 3.0})
        run.log({"loss": 2.0})
    with weighbridge.init(project="p", id="one", resume="must") as again:
        assert again.resumed
        assert again.config["lr"] == 0.1
        assert again.summary["loss"] == 2.0
        again.log({"loss": 1.0})
    assert history(again) == [{"_step": 0, "loss": 3.0}, {"_step": 1, "loss": 2.0}, {"_step": 2, "loss": 1.0}]


def test_resume_must_and_never_refuse() -> None:
    weighbridge.init(project="p", id="there").finish()
    with pytest.raises(RunNotFound, match="missing"):
        weighbridge.init(project="p", id="missing", resume="must")
    with pytest.raises(AlreadyExists, match="there"):
        weighbridge.init(project="p", id="there", resume="never")


def test_the_same_id_without_resume_continues_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with weighbridge.init(project="p", id="twice") as run:
        run.log({"x": 1})
    with weighbridge.init(project="p", id="twice") as run:
        run.log({"x": 2})
    assert "twice" in capsys.readouterr().err
    assert history(run) == [{"_step": 0, "x": 1}, {"_step": 1, "x": 2}]


def test_two_writers_of_one_run_are_warned_and_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    first = weighbridge.init(project="p", id="both")
    second = weighbridge.init(project="p", id="both", resume="allow", reinit="create_new")
    first.log({"a": 1}, step=0)
    second.log({"b": 2}, step=0)
    second.finish()
    first.finish()
    assert "another process" in capsys.readouterr().err
    assert history(first) == [{"_step": 0, "a": 1, "b": 2}]


def test_a_deleted_run_id_is_refused() -> None:
    weighbridge.init(project="p", id="gone").finish()
    Api().run("p/gone").delete()
    with pytest.raises(Conflict, match="gone"):
        weighbridge.init(project="p", id="gone")


def test_several_runs_in_one_process() -> None:
    first = weighbridge.init(project="p")
    assert weighbridge.init(project="p") is first
    second = weighbridge.init(project="p", reinit="create_new")
    first.log({"x": 1})
    second.log({"x": 2})
    weighbridge.log({"y": 3})
    second.finish()
    assert weighbridge.run is first
    third = weighbridge.init(project="p", reinit="finish_previous")
    assert first.is_finished
    third.finish()
    assert history(first) == [{"_step": 0, "x": 1}]
    assert history(second) == [{"_step": 0, "x": 2}, {"_step": 1, "y": 3}]


def test_threads_log_without_losing_a_row() -> None:
    with weighbridge.init(project="p") as run:

        def work(k: int) -> None:
            for i in range(500):
                run.log({f"t{k}": i})

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = history(run)
    assert len(rows) == 2_000
    for k in range(4):
        assert [row[f"t{k}"] for row in rows if f"t{k}" in row] == list(range(500))


def test_a_run_that_nobody_holds_stays_open() -> None:
    path = weighbridge.init(project="p").path
    gc.collect()
    weighbridge.log({"x": 1})
    weighbridge.finish()
    assert [row["x"] for row in Api().run(path).scan_history()] == [1]


def test_a_forked_child_logs_at_module_level_to_its_parents_run() -> None:
    run = weighbridge.init(project="p")
    weighbridge.log({"parent": 1}, step=0)
    pid = os.fork()
    if pid == 0:
        weighbridge.log({"child": 2}, step=0)
        weighbridge.finish()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    run.finish()
    assert history(run) == [{"_step": 0, "parent": 1, "child": 2}]
    assert Api().run(run.path).state == "finished"


def test_a_name_of_wandb_that_is_not_here_points_to_the_guide() -> None:
    with pytest.raises(AttributeError, match="moving-from-wandb"):
        _ = weighbridge.Table
    assert not hasattr(weighbridge, "Image")


def test_disabled_records_nothing(fresh_surroundings: Path) -> None:
    with weighbridge.init(project="p", mode="disabled", config={"a": 1}) as run:
        run.log({"loss": 1.0})
        run.summary["x"] = 2
        assert run.summary["loss"] == 1.0
        assert run.config.a == 1
    assert not fresh_surroundings.exists()


def test_names_that_cannot_be_are_refused() -> None:
    for arguments in (
        {"project": "a/b"},
        {"project": "model-registry"},
        {"id": "a b"},
        {"entity": "../x"},
        {"tags": ["bad\ntag"]},
    ):
        with pytest.raises(InvalidInput):
            weighbridge.init(**arguments)


def test_a_tiny_row_and_a_row_too_large(capsys: pytest.CaptureFixture[str]) -> None:
    with weighbridge.init(project="p") as run:
        run.log({})
        run.log({"text": "x" * (11 << 20)})
        run.log({"after": 1})
    assert "was not recorded" in capsys.readouterr().err
    assert history(run)[-1] == {"_step": 2, "after": 1}


def test_defining_a_metric_again_keeps_what_is_not_given() -> None:
    with weighbridge.init(project="p") as run:
        run.define_metric("val/*", step_metric="epoch", hidden=True, summary="max", goal="maximize")
        again = run.define_metric("val/*", goal="minimize")
        assert (again.step_metric, again.hidden) == ("epoch", True)
        assert (again.summary, again.goal) == (("max",), "minimize")
        assert run.define_metric("val/*", summary="copy").summary == ()
        afresh = run.define_metric("val/*", overwrite=True)
    assert (afresh.step_metric, afresh.hidden, afresh.summary, afresh.goal) == (None, False, (), None)
