"""Every benchmark runs in its quick form and finds sane numbers. How fast anything is, is not asserted here."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import msgspec
import pytest

from benchmarks.__main__ import NAMES, main, run_one
from benchmarks.bench import Bench
from benchmarks.measurement import Measurement, Outcome, shown
from benchmarks.processes import shippers_of
from benchmarks.report import keep, limit_of, text_of, write_page
from benchmarks.samples import median, percentile

# What is nothing or less by nature: rows lost, growth of memory.
MAY_BE_NOTHING = ("rows lost", "rows stored twice", "growth")


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["import_cosy"])
    assert refused.value.code == 2
    assert "import_cosy" in capsys.readouterr().err


def test_a_peer_needs_its_interpreter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["import_cost", "--peer", "trackio"])
    assert "--peer-python" in capsys.readouterr().err


def test_a_program_that_fails_stops_the_benchmark(tmp_path: Path) -> None:
    with Bench(folder=tmp_path) as bench, pytest.raises(RuntimeError, match="floor_write"):
        bench.run("floor_write", {"size_bytes": 1})


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_finds_sane_numbers(name: str, tmp_path: Path) -> None:
    outcome = run_one(name, is_quick=True, folder=tmp_path)
    assert outcome.is_quick
    assert len({each.what for each in outcome.measurements}) == len(outcome.measurements) > 1
    for each in outcome.measurements:
        assert each.unit
        if not each.what.startswith(MAY_BE_NOTHING):
            assert 0 < each.value < 1e9, each.what
        assert (each.floor is None) == (each.floor_name == ""), each.what
    assert len({each.value for each in outcome.measurements if each.value}) != 1
    assert list(tmp_path.iterdir()) == [], "scratch files are left"


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_states_its_method(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert "\n\nMethod: " in (inspect.getdoc(module) or "")


def test_timings_of_two_quick_runs_differ(tmp_path: Path) -> None:
    first, second = (run_one("import_cost", is_quick=True, folder=tmp_path) for _ in range(2))
    assert [each.value for each in first.measurements] != [each.value for each in second.measurements]


def test_no_shipper_is_found_for_a_home_nobody_uses(tmp_path: Path) -> None:
    assert shippers_of(tmp_path) == []


@pytest.mark.parametrize(
    ("value", "limit", "floor", "is_limit_ratio", "is_met"),
    [
        (10.0, None, None, False, None),
        (10.0, 10.0, None, False, True),
        (10.1, 10.0, None, False, False),
        (10.0, 2.0, 5.0, True, True),
        (10.1, 2.0, 5.0, True, False),
        (10.0, 2.0, None, True, None),
        (0.0, 0.0, None, False, True),
    ],
)
def test_a_limit_is_kept_up_to_itself(
    value: float, limit: float | None, floor: float | None, is_limit_ratio: bool, is_met: bool | None
) -> None:
    measured = Measurement(
        what="x", value=value, unit="s", limit=limit, floor=floor, is_limit_ratio=is_limit_ratio
    )
    assert measured.is_met is is_met


def test_percentiles_are_samples() -> None:
    samples = [float(n) for n in range(1, 101)]
    assert (percentile(samples, 50), percentile(samples, 99), percentile(samples, 100)) == (50, 99, 100)
    assert percentile([3.0], 1) == 3.0
    assert median([3.0, 1.0, 2.0]) == 2.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (27, "27"), (0.01234, "0.0123"), (1.5, "1.50"), (99.4, "99.4"), (1234.5, "1,234")],
)
def test_numbers_are_shown_with_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


def outcome_of(name: str, value: float) -> Outcome:
    measured = Measurement(
        what="time", value=value, unit="s", limit=1.3, is_limit_ratio=True, floor=2.0, floor_name="cp"
    )
    return Outcome(
        name=name,
        title=name.title(),
        measurements=(measured,),
        date="2026-01-01 00:00 UTC",
        commit="abc",
        load_before=3.0,
        took_s=1.0,
    )


def test_the_page_holds_the_newest_of_each_benchmark_in_order(tmp_path: Path) -> None:
    path, page = tmp_path / "results.json", tmp_path / "benchmarks.md"
    keep(outcome_of("log_call", 1.0), path=path)
    keep(outcome_of("import_cost", 2.0), path=path)
    kept = keep(outcome_of("log_call", 4.0), path=path)
    assert msgspec.json.decode(path.read_bytes(), type=list[Outcome]) == kept
    assert [(each.name, each.measurements[0].value) for each in kept] == [
        ("log_call", 4.0),
        ("import_cost", 2.0),
    ]
    write_page(kept, path=page)
    text = page.read_text()
    assert text.index("## Import_Cost") < text.index("## Log_Call")
    assert "| Log_Call: time | <= 1.30 x cp | 4 s | **no** | 2 x cp |" in text
    assert "upper bounds" in text


def test_a_missed_limit_is_said_in_the_terminal() -> None:
    outcome = outcome_of("log_call", 4.0)
    assert limit_of(outcome.measurements[0]) == "<= 1.30 x cp"
    assert "MISS time" in text_of(outcome)
