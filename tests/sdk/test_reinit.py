"""A second init() with a run open: what is ignored is said, and in a notebook the first run ends."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import weighbridge


def test_arguments_the_open_run_does_not_have_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    first = weighbridge.init(project="again", job_type="train", config={"lr": 1})
    capsys.readouterr()
    assert weighbridge.init(project="again", job_type="evaluation", config={"lr": 2}) is first
    said = capsys.readouterr().err
    assert "job_type, config had no effect" in said
    assert "reinit='finish_previous'" in said
    assert first.job_type == "train"
    first.finish()


def test_the_same_arguments_are_no_reason_to_warn(capsys: pytest.CaptureFixture[str]) -> None:
    first = weighbridge.init(project="again", job_type="train", tags=["a"], config={"lr": 1})
    capsys.readouterr()
    assert weighbridge.init(project="again", job_type="train", tags=["a"], config={"lr": 1}) is first
    assert weighbridge.init() is first
    assert capsys.readouterr().err == ""
    first.finish()


def test_in_a_notebook_a_second_init_ends_the_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = ModuleType("IPython")
    monkeypatch.setattr(shell, "get_ipython", object, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    first = weighbridge.init(project="again")
    second = weighbridge.init(project="again")
    assert second is not first
    with pytest.raises(weighbridge.errors.RunFinished):
        first.log({"a": 1})
    assert weighbridge.init(project="again", reinit="return_previous") is second
    second.finish()
