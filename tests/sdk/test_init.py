"""Bad input through init(), log() and Artifact(): refused clearly before anything is stored; the run goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import weighbridge
from tests.fault.processes import values
from weighbridge import Api
from weighbridge.domain import names
from weighbridge.errors import InvalidInput, InvalidName, InvalidSetting, UsageError, WeighbridgeError
from weighbridge.sdk.adopt import statuses
from weighbridge.sdk.client import client_for
from weighbridge.sdk.run import METRICS_MAX

SURROGATE = "bad \ud800 text"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WEIGHBRIDGE_QUIET", "true")
    monkeypatch.setenv("WEIGHBRIDGE_SHIPPER", "off")
    yield
    while (run := weighbridge.run) is not None:
        run.finish()


@pytest.mark.parametrize(
    "arguments",
    [
        {"project": "../up"},
        {"project": ".."},
        {"project": "a\0b"},
        {"project": "x" * 10_000},
        {"project": SURROGATE},
        {"project": "wandb-registry-model"},
        {"entity": "a/b"},
        {"entity": "-"},
        {"id": "a/b"},
        {"id": ".."},
        {"id": "x" * 10_000},
        {"id": SURROGATE},
        {"id": "a\nb"},
        {"name": "x" * 10_000},
        {"name": SURROGATE},
        {"name": "a\0b"},
        {"notes": "x" * 100_000},
        {"notes": SURROGATE},
        {"group": "x" * 10_000},
        {"group": SURROGATE},
        {"job_type": "a\0b"},
        {"tags": ["x" * 10_000]},
        {"tags": [SURROGATE]},
        {"tags": [str(number) for number in range(300)]},
        {"tags": [3]},
        {"mode": "sometimes"},
        {"resume": "perhaps"},
        {"reinit": "maybe"},
        {"config": object()},
        {"config": 3},
        {"config": [1, 2]},
        {"config": {"a": object()}},
        {"config": {"a": 2**70}},
        {"config": {"a": SURROGATE}},
        {"config": "/no/such/config.json"},
        {"settings": {"no_such_setting": 1}},
        {"no_such_argument": 1},
    ],
)
def test_a_bad_argument_is_refused_and_leaves_nothing(arguments: dict[str, Any]) -> None:
    with pytest.raises((InvalidInput, UsageError)) as caught:
        weighbridge.init(**arguments)
    assert caught.value.message and caught.value.hint
    assert weighbridge.run is None
    assert statuses(client_for()) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(), min_size=1, max_size=12))
def test_a_run_id_is_taken_exactly_where_the_rule_takes_it(text: str) -> None:
    try:
        names.check_run_id(text.strip())
        is_good = True
    except InvalidName:
        is_good = False
    try:
        run = weighbridge.init(project="p", id=text, mode="offline")
    except (InvalidInput, InvalidSetting):
        assert not is_good
        return
    run.finish()
    assert is_good and run.id == text.strip()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(), min_size=1, max_size=12))
def test_an_artifact_name_is_taken_exactly_where_the_rule_takes_it(text: str) -> None:
    try:
        names.check_artifact_name(text)
        is_good = True
    except InvalidName:
        is_good = False
    try:
        weighbridge.Artifact(text, "dataset")
    except WeighbridgeError:
        assert not is_good
        return
    assert is_good


def test_a_config_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{not json")
    with pytest.raises(InvalidInput, match=r"config\.json"):
        weighbridge.init(project="p", config=path)
    path.write_text(json.dumps({"lr": 0.1}))
    with weighbridge.init(project="p", config=path) as run:
        assert run.config["lr"] == 0.1


@pytest.mark.parametrize(
    ("step", "wanted"),
    [(3.0, 3), (numpy.int64(4), 4), (numpy.float32(5), 5), (numpy.array(6), 6), (2**62, 2**62), (True, 1)],
)
def test_whole_steps_of_any_kind_are_taken(step: Any, wanted: int) -> None:
    with weighbridge.init(project="p", id="one") as run:
        run.log({"value": 1}, step=step)
    assert [row["_step"] for row in Api().run("p/one").scan_history()] == [wanted]


@pytest.mark.parametrize(
    "step", [-1, 2**62 + 1, 2**200, -(2**200), 0.5, math.nan, math.inf, "3", [], numpy.array([1, 2])]
)
def test_other_steps_are_refused_and_the_run_goes_on(step: Any) -> None:
    with weighbridge.init(project="p", id="one") as run:
        with pytest.raises(InvalidInput, match="step"):
            run.log({"value": 1}, step=step)
        run.log({"value": 2})
    assert values("p/one") == [2]


@pytest.mark.parametrize(
    "row",
    [
        {SURROGATE: 1},
        {"value": SURROGATE},
        {"value": 2**70},
        {"value": -(2**70)},
        {"value": {"a": SURROGATE}},
        {"value": {"a": {"b": 2**70}}},
        {"value": [2**70]},
        {"value": object()},
        {"": 1},
        {None: 1},
        {"a\0": 1},
        {"x" * 10_000: 1},
        {"value": {"": 1}},
    ],
)
def test_a_bad_row_is_refused_each_time_and_takes_no_step(row: dict[Any, Any]) -> None:
    with weighbridge.init(project="p", id="one") as run:
        for _ in range(2):
            with pytest.raises(InvalidInput):
                run.log(row)
        assert "value" not in run.summary
        run.log({"value": 1})
    assert values("p/one") == [1]
    assert [row["_step"] for row in Api().run("p/one").scan_history()] == [0]


@pytest.mark.parametrize("value", [SURROGATE, 2**70, object(), {"a": SURROGATE}])
def test_a_bad_summary_or_config_value_changes_nothing(value: Any) -> None:
    with weighbridge.init(project="p", id="one") as run:
        for target in (run.summary, run.config):
            with pytest.raises(InvalidInput):
                target["key"] = value
            with pytest.raises(InvalidInput):
                target.update({"key": value, "other": 1})
            assert dict(target) == {}
        run.summary["key"] = run.config["key"] = 1
    stored = Api().run("p/one")
    assert (dict(stored.summary), dict(stored.config)) == ({"key": 1}, {"key": 1})


def test_reserved_names_of_the_format_hold_up_nothing() -> None:
    with weighbridge.init(project="p", id="one") as run:
        run.log({"value": 1, "_step": 7, "_timestamp": 5.0, "_runtime": 1, "_time_us": 3, "_wandb": {}})
        run.log({"_time_us": 3})
        run.log({"value": 2})
    assert values("p/one") == [1, 2]
    assert Api().run("p/one").state == "finished"


def test_odd_metric_names_come_back_as_they_went() -> None:
    odd = [
        "a.b.c",
        "train/loss",
        "a//b",
        " space ",
        "\U0001f600",
        "ü",
        "{json}",
        "x" * 1_000,
        "a\nb",
        "%",
        "_own",
        "$x",
    ]
    with weighbridge.init(project="p", id="one") as run:
        run.log({name: number for number, name in enumerate(odd)})
    (row,) = Api().run("p/one").scan_history()
    assert {name: value for name, value in row.items() if name in odd} == {
        name: n for n, name in enumerate(odd)
    }
    assert dict(Api().run("p/one").summary) == {name: n for n, name in enumerate(odd)}


@pytest.mark.slow
def test_a_hundred_thousand_metrics_are_stored_and_one_more_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with weighbridge.init(project="p", id="one") as run:
        run.log({f"m{number}": number for number in range(METRICS_MAX)})
        run.log({"one more": 1})
        run.log({"m0": 7})
    assert capsys.readouterr().err.count("100,000 different metrics") == 1
    stored = Api().run("p/one")
    assert stored.state == "finished"
    assert len(dict(stored.summary)) == METRICS_MAX
    assert values("p/one", "m0") == [0, 7]
    assert values("p/one", f"m{METRICS_MAX - 1}") == [METRICS_MAX - 1]


def test_a_row_at_the_bound_is_stored_and_one_past_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    bound = 10 << 20
    with weighbridge.init(project="p", id="big") as run:
        run.log({"text": "x" * (bound - 100)})
        run.log({"text": "y" * (bound + 1)})
        run.log({"text": "z"})
        with pytest.raises(InvalidInput, match="at most 10,485,760"):
            run.summary["text"] = "w" * (bound + 1)
    assert "was not recorded" in capsys.readouterr().err
    assert [text[0] for text in values("p/big", "text")] == ["x", "z"]


def test_nan_and_infinities_are_kept_everywhere() -> None:
    odd = {"nan": math.nan, "inf": math.inf, "minus": -math.inf}
    with weighbridge.init(project="p", id="one", config={"odd": odd, **odd}) as run:
        run.log({**odd, "nested": odd, "list": [math.nan, math.inf]})
        run.summary["hand"] = odd
    stored = Api().run("p/one")
    (row,) = stored.scan_history()
    shown = repr(odd)
    assert repr({name: row[name] for name in odd}) == shown
    assert repr({name: row[f"nested.{name}"] for name in odd}) == shown
    assert repr(row["list"]) == "[nan, inf]"
    assert repr({name: stored.config[name] for name in odd}) == shown
    assert repr(dict(stored.config["odd"])) == shown
    assert repr({name: stored.summary["hand"][name] for name in odd}) == shown
