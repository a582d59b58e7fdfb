"""Chunks keep rows without loss, state their limits, and never turn damage into another value."""

from __future__ import annotations

import math
import os
import random
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.domain import chunk as chunk_module
from weighbridge.domain.chunk import MAX_COLUMNS, MAX_ROWS, Chunk, Row, encode_chunk
from weighbridge.errors import (
    DamagedRecord,
    InvalidInput,
    LimitExceeded,
    NotFound,
    SchemaTooNew,
    WeighbridgeError,
)

RowTuple = tuple[int, float, dict[str, object]]

scalars = st.one_of(
    st.floats(width=64),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.none(),
    st.lists(st.integers(-5, 2**66), max_size=3),
    st.just({"_type": "image-file", "path": "media/a.png"}),
    st.just({}),
)
names = st.sampled_from(["loss", "val.loss", "ä/ö", "", "a b", "x"])
rows_strategy = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(10**14), 10**14).map(lambda value: value / 1e6),
        st.dictionaries(names, scalars, max_size=5),
    ),
    min_size=1,
    max_size=40,
)


def decoded(rows: list[RowTuple]) -> list[Row]:
    return list(Chunk(encode_chunk(rows)).rows())


def is_same(read: object, written: object) -> bool:
    """Equal, where NaN equals NaN, -0.0 differs from 0.0, and an int may have become the equal float."""
    if isinstance(read, float) and isinstance(written, (int, float)) and not isinstance(written, bool):
        if math.isnan(read):
            return isinstance(written, float) and math.isnan(written)
        return read == written and math.copysign(1, read) == math.copysign(1, written)
    return type(read) is type(written) and read == written


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one row"):
        encode_chunk([])


def test_one_row_past_the_limit_is_refused_and_the_limit_is_taken() -> None:
    rows: list[RowTuple] = [(step, 0.0, {"a": 1.0}) for step in range(MAX_ROWS + 1)]
    with pytest.raises(LimitExceeded, match="65,537 rows"):
        encode_chunk(rows)
    assert Chunk(encode_chunk(rows[:-1])).row_count == MAX_ROWS


@pytest.mark.parametrize("split", [False, True])
def test_one_column_past_the_limit_is_refused(split: bool) -> None:
    values: dict[str, object] = {f"m{number}": 1.0 for number in range(MAX_COLUMNS + 1)}
    rows: list[RowTuple] = [(0, 0.0, values)]
    if split:
        last = values.popitem()
        rows.append((1, 0.0, dict([last])))
    with pytest.raises(LimitExceeded, match="100,000 columns"):
        encode_chunk(rows)


def test_a_chunk_past_32_mib_is_refused() -> None:
    text = random.Random(7).randbytes(17 * 1024 * 1024).hex()
    with pytest.raises(LimitExceeded, match="bytes is over the limit"):
        encode_chunk([(0, 0.0, {"a": text}), (1, 0.0, {"a": text[::-1]})])


def test_a_column_too_large_for_its_reader_is_refused_however_well_it_compresses() -> None:
    with pytest.raises(LimitExceeded, match="One column"):
        encode_chunk([(0, 0.0, {"a": "x" * (chunk_module.MAX_COLUMN_BYTES + 1)})])


@pytest.mark.parametrize("name", ["_step", "_time_us", "_timestamp"])
def test_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        encode_chunk([(0, 0.0, {"a": 1.0}), (1, 0.0, {name: 1.0})])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0, 0.0, {3: 1.0}), "not a string"),
        ((1.5, 0.0, {}), "not an integer"),
        ((True, 0.0, {}), "not an integer"),
        ((2**63, 0.0, {}), "64-bit"),
        ((0, math.nan, {}), "not a finite"),
        ((0, math.inf, {}), "not a finite"),
        ((0, 1e300, {}), "out of range"),
        ((0, 0.0, {"a": object()}), "cannot be stored"),
        ((0, 0.0, {"a": "\ud800"}), "not valid Unicode"),
        ((0, 0.0, {"a": 10**5000}), "cannot be stored"),
    ],
)
def test_rows_that_can_never_be_right_are_refused(row: RowTuple, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        encode_chunk([row])


@given(rows_strategy)
def test_rows_come_back_as_they_went_in(rows: list[RowTuple]) -> None:
    back = decoded(rows)
    assert [(row.step, row.time_s) for row in back] == [(step, time_s) for step, time_s, _ in rows]
    for row, (_, _, values) in zip(back, rows, strict=True):
        assert row.values.keys() == values.keys()
        for name, value in values.items():
            assert is_same(row.values[name], value), (name, row.values[name], value)


@given(st.lists(st.floats(width=64), min_size=130, max_size=300), st.sampled_from([1, 2**40, -7]))
@settings(max_examples=40)
def test_long_columns_keep_every_bit(values: list[float], stride: int) -> None:
    rows: list[RowTuple] = [(k * stride, k / 8, {"f": v, "i": k * k}) for k, v in enumerate(values)]
    chunk = Chunk(encode_chunk(rows))
    assert bytes(chunk.read("f").values) == b"".join(map(_packed, values))  # type: ignore[arg-type]  # an array
    assert list(chunk.read("i").values) == [k * k for k in range(len(values))]
    assert chunk.step_progression() == (0, stride)
    assert list(chunk.steps()) == [k * stride for k in range(len(values))]


def _packed(value: float) -> bytes:
    return struct.pack("<d", value)


@pytest.mark.parametrize("count", [127, 128, 129, 1000])
def test_float32_values_take_less_than_half_and_come_back(count: int) -> None:
    rng = random.Random(1)
    values = [struct.unpack("<f", struct.pack("<f", rng.random()))[0] for _ in range(count)]
    data = encode_chunk([(step, step * 1.0, {"a": value}) for step, value in enumerate(values)])
    assert list(Chunk(data).read("a").values) == values
    if count == 1000:
        assert len(data) < 8 * count / 2


def test_nested_dicts_become_dotted_names_but_media_and_empty_dicts_stay_whole() -> None:
    media = {"_type": "image-file", "size": {"w": 1}}
    values: dict[str, object] = {"a": {"b": {"c": 1.0, "d": media}, "e": {}}, "f": media, "g": {3: 2.0}}
    (row,) = decoded([(0, 0.0, values)])
    assert row.values == {"a.b.c": 1.0, "a.b.d": media, "a.e": {}, "f": media, "g.3": 2.0}


def test_of_two_values_with_one_name_in_a_row_the_later_stays() -> None:
    (row,) = decoded([(0, 0.0, {"a.b": 1.0, "a": {"b": 2.0}})])
    assert row.values == {"a.b": 2.0}


def test_dicts_nested_past_the_bound_stay_one_value_and_endless_ones_are_refused() -> None:
    value: dict[str, object] = {"x": 1.0}
    for _ in range(chunk_module.MAX_DEPTH + 4):
        value = {"d": value}
    (row,) = decoded([(0, 0.0, value)])
    (kept,) = row.values.values()
    assert isinstance(kept, dict)
    endless: dict[str, object] = {}
    endless["self"] = endless
    with pytest.raises(InvalidInput):
        encode_chunk([(0, 0.0, {"a": endless})])


class Shouted(str):
    def __str__(self) -> str:
        return self.upper()


def test_kinds_and_promotions_are_as_documented() -> None:
    columns: dict[str, tuple[list[object], str]] = {
        "f": ([1.0, math.inf], "f"),
        "i": ([1, -(2**63)], "i"),
        "b": ([True, False], "b"),
        "s": (["a", Shouted("red")], "s"),
        "mixed": ([1, 2.5], "f"),
        "mixed_inexact": ([2**53 + 1, 2.5], "j"),
        "mixed_huge": ([10**400, 2.5], "j"),
        "bool_int": ([True, 1], "j"),
        "none": ([None, 1.0], "j"),
        "big": ([2**63, 1], "j"),
        "list": ([[1, 2], [3]], "j"),
    }
    rows: list[RowTuple] = [(k, 0.0, {name: v[0][k] for name, v in columns.items()}) for k in range(2)]
    chunk = Chunk(encode_chunk(rows))
    assert {name: chunk.column_info(name).kind for name in chunk.names} == {
        n: v[1] for n, v in columns.items()
    }
    assert chunk.read("s").values == ["a", "red"]
    assert chunk.read("big").values == [2**63, 1]
    assert chunk.read("mixed_huge").values == [10**400, 2.5]
    assert [type(value) for value in chunk.read("bool_int").values] == [bool, int]


def test_the_directory_summarises_numeric_columns() -> None:
    values = [2.0, math.nan, -1.0, math.nan]
    rows: list[RowTuple] = [(k, 0.0, {"a": v, "n": math.nan, "i": 2**62}) for k, v in enumerate(values)]
    chunk = Chunk(encode_chunk(rows))
    info = chunk.column_info("a")
    assert (info.count, info.min, info.max, info.sum, info.nan_count) == (4, -1.0, 2.0, 1.0, 2)
    assert isinstance(info.last, float) and math.isnan(info.last)
    empty = chunk.column_info("n")
    assert (empty.min, empty.max, empty.sum, empty.nan_count) == (None, None, 0.0, 4)
    assert chunk.column_info("i").sum == 2.0**64


def test_sparse_columns_carry_their_rows() -> None:
    rows: list[RowTuple] = [(k, 0.0, {"a": 1.0, "b": k} if k in (1, 5, 6) else {"a": 1.0}) for k in range(8)]
    data = Chunk(encode_chunk(rows)).read("b")
    assert data.index is not None and list(data.index) == [1, 5, 6]
    assert list(data.values) == [1, 5, 6]


def test_an_unknown_column_is_not_found() -> None:
    chunk = Chunk(encode_chunk([(0, 0.0, {"a": 1.0})]))
    assert "b" not in chunk and chunk.find_column_info("b") is None
    with pytest.raises(NotFound, match="'b'"):
        chunk.read("b")


def test_a_newer_version_is_refused() -> None:
    data = bytearray(encode_chunk([(0, 0.0, {"a": 1.0})]))
    data[4:6] = (2).to_bytes(2, "little")
    with pytest.raises(SchemaTooNew, match="version 2"):
        Chunk(bytes(data))


def example_chunk() -> bytes:
    rng = random.Random(3)
    rows: list[RowTuple] = []
    for step in range(200):
        values: dict[str, object] = {
            "f": rng.random(),
            "i": step // 3,
            "s": f"epoch {step}",
            "b": step % 2 == 0,
        }
        if step % 7 == 0:
            values["j"] = [step, None]
        rows.append((step, step + rng.random(), values))
    return encode_chunk(rows)


EXAMPLE = example_chunk()


def test_every_truncation_is_found() -> None:
    for size in range(0, len(EXAMPLE), 11):
        with pytest.raises(DamagedRecord):
            Chunk(EXAMPLE[:size])


@given(st.integers(0, len(EXAMPLE) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_no_flipped_byte_becomes_another_value(position: int, mask: int) -> None:
    data = bytearray(EXAMPLE)
    data[position] ^= mask
    try:
        rows = list(Chunk(bytes(data)).rows())
    except (DamagedRecord, SchemaTooNew):
        return
    assert rows == list(Chunk(EXAMPLE).rows())


def test_damage_names_the_column() -> None:
    info = Chunk(EXAMPLE).column_info("s")
    start = len(EXAMPLE) - sum_of_body(EXAMPLE) + info.values.offset
    data = EXAMPLE[:start] + bytes([EXAMPLE[start] ^ 1]) + EXAMPLE[start + 1 :]
    assert len(Chunk(data).read("f").values) == 200
    with pytest.raises(DamagedRecord, match="the column 's' fails its checksum"):
        Chunk(data).read("s")
    with pytest.raises(DamagedRecord, match="'s'"):
        Chunk(data).verify()
    Chunk(EXAMPLE).verify()


def sum_of_body(data: bytes) -> int:
    return int.from_bytes(data[12:16], "little")


@given(st.integers(20, len(EXAMPLE) - sum_of_body(EXAMPLE) - 1), st.integers(0, 255))
@settings(max_examples=300)
def test_a_forged_directory_with_a_right_checksum_is_refused_or_read_never_worse(
    place: int, byte: int
) -> None:
    data = bytearray(EXAMPLE)
    data[place] = byte
    end = len(data) - sum_of_body(EXAMPLE)
    data[16:20] = zlib.crc32(bytes(data[20:end]), zlib.crc32(bytes(data[:16]))).to_bytes(4, "little")
    try:
        chunk = Chunk(bytes(data))
        chunk.verify()
        assert len(list(chunk.rows())) == chunk.row_count
    except WeighbridgeError:
        pass


def test_the_module_loads_no_numpy() -> None:
    code = "import sys, weighbridge.domain.chunk; print('numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.strip() == "False"
