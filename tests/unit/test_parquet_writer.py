"""What we write is Parquet: pyarrow, an independent reader, sees the same values, kinds, nulls and names."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.domain.chunk import Kind
from weighbridge.errors import InvalidInput, LimitExceeded
from weighbridge.storage.history import MAX_SEGMENT_ROWS, ColumnValues, SegmentRows, write_segment
from weighbridge.storage.history.columns import array_of, empty_values, object_array
from weighbridge.storage.history.parquet import ROW_GROUP_ROWS

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values_of: dict[Kind, st.SearchStrategy[object]] = {
    "f": st.floats(width=64),
    "i": st.integers(-(2**63), 2**63 - 1),
    "b": st.booleans(),
    "s": text,
    "j": st.one_of(st.none(), st.integers(), st.lists(st.integers(), max_size=2), st.just({"_type": "é"})),
}


def column(kind: Kind, cells: list[object]) -> ColumnValues:
    """The column of the cells, `...` standing for a row without a value."""
    rows = np.array([row for row, cell in enumerate(cells) if cell is not ...], dtype=np.int64)
    found = [cell for cell in cells if cell is not ...]
    dtype = {"f": np.float64, "i": np.int64, "b": np.bool_}.get(kind)
    values = object_array(found) if dtype is None else np.array(found, dtype=dtype)
    return ColumnValues(kind, None if len(rows) == len(cells) else rows, values)


def written(
    columns: Mapping[str, ColumnValues], *, row_count: int, identity: Mapping[str, str] | None = None
) -> bytes:
    steps = np.arange(row_count, dtype=np.int64) * 3 - 5
    rows = SegmentRows(steps, steps * 1_000_000, list(columns), columns.__getitem__)
    file = io.BytesIO()
    index = write_segment(rows, file, identity=identity or {}).index
    assert index.size_bytes == len(file.getvalue())
    return file.getvalue()


def table(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data), page_checksum_verification=True, use_threads=False)


def cells_of(data: bytes, name: str) -> list[object]:
    read = table(data)[name].combine_chunks()
    if isinstance(read, pa.ExtensionArray):
        read = read.storage
    cells: list[object] = read.to_pylist()
    return cells


def test_a_segment_without_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one row"):
        written({}, row_count=0)


def test_one_row_past_the_limit_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="1,048,577 rows"):
        written({}, row_count=MAX_SEGMENT_ROWS + 1)


def test_steps_that_do_not_rise_are_refused() -> None:
    steps = np.array([1, 1], dtype=np.int64)
    rows = SegmentRows(steps, steps, [], dict[str, ColumnValues]().__getitem__)
    with pytest.raises(InvalidInput, match="must rise"):
        write_segment(rows, io.BytesIO(), identity={})


@pytest.mark.parametrize("names", [["_step"], ["_time_us"], ["a", "a"]])
def test_reserved_and_repeated_names_are_refused(names: list[str]) -> None:
    steps = np.array([1], dtype=np.int64)
    rows = SegmentRows(steps, steps, names, dict[str, ColumnValues]().__getitem__)
    with pytest.raises(InvalidInput, match="reserved or occurs twice"):
        write_segment(rows, io.BytesIO(), identity={})


def test_pyarrow_sees_the_schema_and_the_run() -> None:
    kinds: list[Kind] = ["f", "i", "b", "s", "j"]
    columns: dict[str, ColumnValues] = {kind: column(kind, [...]) for kind in kinds}
    data = written(columns, row_count=1, identity={"weighbridge.run": "ä/run"})
    schema = table(data).schema
    assert schema.field("_step").type == pa.int64() and not schema.field("_step").nullable
    assert schema.field("_time_us").type == pa.timestamp("us", tz="UTC")
    assert [schema.field(kind).type for kind in kinds[:4]] == [
        pa.float64(),
        pa.int64(),
        pa.bool_(),
        pa.string(),
    ]
    assert "json" in str(schema.field("j").type)
    assert schema.metadata[b"weighbridge.run"] == "ä/run".encode()
    assert pq.ParquetFile(io.BytesIO(data)).metadata.created_by.startswith("weighbridge")


@given(st.data(), st.sampled_from(["f", "i", "b", "s", "j"]), st.booleans())
@settings(max_examples=120)
def test_pyarrow_reads_every_value_and_every_gap(data: st.DataObject, kind: Kind, is_dense: bool) -> None:
    cell = values_of[kind] if is_dense else st.one_of(st.just(...), values_of[kind])
    cells = data.draw(st.lists(cell, min_size=1, max_size=60))
    name = data.draw(text.filter(lambda name: not name.startswith("_")))
    file = written({name: column(kind, cells)}, row_count=len(cells))
    read = cells_of(file, name)
    assert table(file)["_step"].to_pylist() == [3 * row - 5 for row in range(len(cells))]
    for got, cell_value in zip(read, cells, strict=True):
        if cell_value is ...:
            assert got is None
        elif kind == "j":
            assert isinstance(got, str) and json.loads(got) == cell_value
        elif isinstance(cell_value, float):
            assert isinstance(got, float)
            is_nan = math.isnan(got) and math.isnan(cell_value)
            assert is_nan or np.float64(got).tobytes() == np.float64(cell_value).tobytes()
        else:
            assert type(got) is type(cell_value) and got == cell_value


@pytest.mark.parametrize("name", ["val.loss", "ü.x", "a b", "", "日本", "a.b.c", "`quoted`", "x" * 3000])
def test_names_survive_as_they_are(name: str) -> None:
    data = written({name: column("f", [1.0, ...]), "other": column("i", [..., 2])}, row_count=2)
    assert table(data).column_names == ["_step", "_time_us", name, "other"]
    assert cells_of(data, name) == [1.0, None]


def test_json_keeps_nan_and_infinity_as_bare_tokens() -> None:
    data = written({"j": column("j", [[math.nan, math.inf], {"b": b"\x00"}])}, row_count=2)
    assert cells_of(data, "j") == ["[NaN,Infinity]", '{"b":"AA=="}']


@pytest.mark.parametrize("kind", ["f", "i", "b", "s", "j"])
def test_a_column_without_values_is_all_null(kind: Kind) -> None:
    empty = ColumnValues(kind, np.empty(0, np.int64), empty_values(kind))
    assert cells_of(written({"a": empty}, row_count=9), "a") == [None] * 9


def test_a_file_without_metrics_holds_steps_and_times() -> None:
    data = written({}, row_count=3)
    assert table(data).column_names == ["_step", "_time_us"]
    assert table(data).num_rows == 3


def test_thousands_of_columns_are_read() -> None:
    columns = {f"metric/{k}": column("f", [float(k), ...]) for k in range(3000)}
    read = table(written(columns, row_count=2))
    assert read.num_columns == 3002
    assert all(read[f"metric/{k}"].to_pylist() == [float(k), None] for k in range(0, 3000, 97))


def test_several_row_groups_and_pages_are_read_and_sorted_by_step() -> None:
    count = ROW_GROUP_ROWS + 70_000
    rng = np.random.default_rng(1)
    sparse_rows = np.flatnonzero(rng.random(count) < 0.3)
    columns = {
        "dense": ColumnValues("f", None, rng.random(count)),
        "sparse": ColumnValues("f", sparse_rows, rng.random(len(sparse_rows))),
        "flags": ColumnValues("b", None, rng.random(count) < 0.5),
        "late": ColumnValues("i", np.array([count - 1]), array_of("i", np.array([7]))),
    }
    data = written(columns, row_count=count)
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [
        ROW_GROUP_ROWS,
        70_000,
    ]
    assert metadata.row_group(0).sorting_columns[0].column_index == 0
    read = table(data)
    assert np.array_equal(read["dense"].to_numpy(), columns["dense"].values)
    got = read["sparse"].to_numpy()
    assert np.array_equal(np.flatnonzero(~np.isnan(got)), sparse_rows)
    assert np.array_equal(got[sparse_rows], columns["sparse"].values)
    assert np.array_equal(read["flags"].to_numpy(), columns["flags"].values)
    assert read["late"].null_count == count - 1 and read["late"].to_pylist()[-1] == 7


@pytest.mark.parametrize(
    ("values", "bounds"),
    [([3.0, -1.0, 2.0], (-1.0, 3.0)), ([1.0, math.nan], None), ([-math.inf, 0.0], (-math.inf, 0.0))],
)
def test_footer_statistics_are_bounds_and_leave_out_columns_with_nan(
    values: list[object], bounds: tuple[float, float] | None
) -> None:
    data = written({"a": column("f", [*values, ...])}, row_count=len(values) + 1)
    statistics = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(2).statistics
    assert statistics.null_count == 1
    assert ((statistics.min, statistics.max) if statistics.has_min_max else None) == bounds


def test_a_filter_pushed_down_to_the_statistics_finds_negative_zero() -> None:
    data = written({"a": column("f", [0.0, -0.0])}, row_count=2)
    found = pq.read_table(io.BytesIO(data), filters=[("a", "==", 0.0)], use_threads=False)
    assert found.num_rows == 2


def test_gzip_is_used_only_where_it_saves_a_tenth() -> None:
    rng = np.random.default_rng(2)
    columns = {
        "random": ColumnValues("f", None, rng.random(20_000)),
        "float32": ColumnValues("f", None, rng.random(20_000).astype(np.float32).astype(np.float64)),
    }
    group = pq.ParquetFile(io.BytesIO(written(columns, row_count=20_000))).metadata.row_group(0)
    assert [group.column(k).compression for k in (2, 3)] == ["UNCOMPRESSED", "GZIP"]
