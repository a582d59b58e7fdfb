"""Exported tables: what pyarrow reads back is what went in; refusals first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from weighbridge.errors import InvalidInput, StorageError
from weighbridge.storage.history.exporting import ParquetTableWriter
from weighbridge.storage.history.segment import MAX_SEGMENT_ROWS

WRITER = ParquetTableWriter()


class Series(NamedTuple):
    steps: NDArray[np.int64]
    values: NDArray[Any]
    times_s: NDArray[np.float64]


def series(values: dict[int, Any], dtype: Any = np.float64) -> Series:
    steps = np.array(sorted(values), dtype=np.int64)
    held = np.empty(len(steps), dtype=dtype)
    held[:] = [values[step] for step in steps.tolist()]
    return Series(steps, held, steps.astype(np.float64) + np.float64(0.5))


def test_a_history_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        WRITER.write_history(tmp_path / "a.parquet", names=[], load=lambda name: series({}), identity={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("columns", [{}, {"a": []}, {"a": [1], "b": [1, 2]}])
def test_records_of_no_or_unequal_length_are_refused(
    tmp_path: Path, columns: dict[str, list[object]]
) -> None:
    with pytest.raises(InvalidInput):
        WRITER.write_records(tmp_path / "a.parquet", columns)
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written"):
        WRITER.write_records(tmp_path / "file" / "a.parquet", {"a": [1]})


def test_a_failing_column_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    WRITER.write_records(path, {"a": [1]})

    def load(name: str) -> Series:
        if name == "bad":
            raise InvalidInput("gone")
        return series({0: 1.0})

    with pytest.raises(InvalidInput, match="gone"):
        WRITER.write_history(path, names=["good", "bad"], load=load, identity={})
    assert parquet.read_table(path).to_pydict() == {"a": [1]}
    assert [each.name for each in tmp_path.iterdir()] == ["a.parquet"]


METRICS = st.dictionaries(
    st.integers(-1_000, 1_000), st.floats(allow_nan=False) | st.integers(-5, 5).map(float), max_size=30
)


@settings(max_examples=40)
@given(METRICS, METRICS)
def test_sparse_metrics_are_joined_by_step(
    tmp_path_factory: pytest.TempPathFactory, first: dict[int, float], second: dict[int, float]
) -> None:
    held = {name: values for name, values in (("first", first), ("second", second)) if values}
    if not held:
        return
    path = tmp_path_factory.mktemp("exported") / "run.parquet"
    WRITER.write_history(path, names=list(held), load=lambda name: series(held[name]), identity={"run": "x"})
    table = parquet.read_table(path)
    steps = sorted({step for values in held.values() for step in values})
    assert table.column("_step").to_pylist() == steps
    for name, values in held.items():
        assert table.column(name).to_pylist() == [values.get(step) for step in steps]
    times = table.column("_time_us").cast("int64").to_pylist()
    assert times == [int((step + 0.5) * 1e6) for step in steps]


def test_every_kind_of_metric(tmp_path: Path) -> None:
    held = {
        "whole": series({0: 2**60, 1: -1}, np.int64),
        "flag": series({0: True, 1: False}, np.bool_),
        "text": series({0: "a", 1: "é"}, object),
        "nested": series({0: {"a": [1]}, 1: "x"}, object),
    }
    path = tmp_path / "run.parquet"
    WRITER.write_history(path, names=list(held), load=held.__getitem__, identity={})
    found = parquet.read_table(path).to_pydict()
    assert found["whole"] == [2**60, -1] and found["flag"] == [True, False] and found["text"] == ["a", "é"]
    assert [json.loads(text) for text in found["nested"]] == [{"a": [1]}, "x"]


def test_one_row_past_the_bound_goes_to_a_second_file(tmp_path: Path) -> None:
    count = MAX_SEGMENT_ROWS + 1
    steps = np.arange(count, dtype=np.int64)
    whole = Series(steps, np.ones(count), steps.astype(np.float64))
    late = Series(steps[-1:], np.zeros(1), steps[-1:].astype(np.float64))
    held = {"all": whole, "late": late}
    paths = WRITER.write_history(
        tmp_path / "run.parquet", names=["all", "late"], load=held.__getitem__, identity={}
    )
    assert [path.name for path in paths] == ["run.parquet", "run.2.parquet"]
    assert [parquet.read_metadata(path).num_rows for path in paths] == [MAX_SEGMENT_ROWS, 1]
    assert parquet.read_table(paths[1]).column("late").to_pylist() == [0.0]


def test_records_keep_kinds_and_gaps(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "id": ["a", "b"],
        "lr": [None, 0.1],
        "both": [1, 0.5],
        "count": [1, None],
        "on": [True, False],
        "mixed": ["x", 1],
        "huge": [2**70, None],
        "none": [None, None],
    }
    path = tmp_path / "runs.parquet"
    WRITER.write_records(path, columns)
    found = parquet.read_table(path).to_pydict()
    assert found == {**columns, "both": [1.0, 0.5], "mixed": ['"x"', "1"], "huge": [str(2**70), None]}
