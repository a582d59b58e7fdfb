"""Folding merges by step, states its limits, and its damage is found on reading."""

from __future__ import annotations

import io
import random

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from tests.unit.history.stores import RowTuple, Segment, chunk_of, history_rows, is_same, merged, rows_of
from weighbridge.errors import DamagedRecord, InvalidInput, LimitExceeded, SchemaTooNew
from weighbridge.storage.history import (
    MAX_SEGMENT_ROWS,
    SegmentIndex,
    SegmentPart,
    fold,
    iter_rows,
    read_column,
)


def test_folding_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no chunks"):
        fold([], io.BytesIO(), identity={})


def test_folding_one_row_too_many_is_refused() -> None:
    full = chunk_of([(step, 0.0, {}) for step in range(65_536)])
    chunks = [full] * (MAX_SEGMENT_ROWS // 65_536)
    with pytest.raises(LimitExceeded, match="1,048,577 rows"):
        fold([*chunks, chunk_of([(0, 0.0, {})])], io.BytesIO(), identity={})
    assert fold(chunks, io.BytesIO(), identity={}).index.row_count == 65_536


@given(history_rows())
@settings(max_examples=80)
def test_pyarrow_and_our_reader_agree_on_a_folded_segment(rows: list[RowTuple]) -> None:
    middle = len(rows) // 2
    segment = Segment([chunk_of(half) for half in (rows[:middle], rows[middle:]) if half])
    table = pq.read_table(io.BytesIO(segment.data), page_checksum_verification=True, use_threads=False)
    model = merged(rows)
    assert table["_step"].to_pylist() == list(model)
    assert table["_time_us"].cast("int64").to_pylist() == [
        round(float(str(row["_timestamp"])) * 1e6) for row in model.values()
    ]
    ours = [row for batch in iter_rows([segment.part]) for row in batch]
    for name in segment.index.columns:
        has_value = [name in row for row in model.values()]
        assert [cell.is_valid for cell in table[name]] == has_value
        if segment.index.columns[name].kind != "j":
            theirs = table[name].to_pylist()
            assert all(
                is_same(got[name], cell) for got, cell in zip(ours, theirs, strict=True) if cell is not None
            )


def test_a_repeated_fold_writes_the_same_bytes() -> None:
    chunks = [chunk_of(rows_of(range(500), a=[float(k) for k in range(500)]))]
    assert Segment(chunks).data == Segment(chunks).data


def segment() -> Segment:
    rng = random.Random(4)
    steps = [step * step for step in range(400)]
    return Segment(
        [
            chunk_of(
                rows_of(
                    steps,
                    a=[rng.random() for _ in steps],
                    s=[f"text {step}" for step in steps],
                    v=[step if step % 8 == 0 else ... for step in steps],
                )
            )
        ]
    )


@pytest.mark.parametrize("name", ["a", "s", "v", "_step", "_timestamp"])
def test_every_flipped_byte_of_a_page_is_found(name: str) -> None:
    stored = segment()
    special = {"_step": stored.index.steps, "_timestamp": stored.index.times}
    (page,) = special[name].pages if name in special else stored.index.columns[name].pages
    for place in range(page.offset, page.offset + page.length, 17):
        damaged = bytearray(stored.data)
        damaged[place] ^= 0x40
        stored_damaged = _Bytes(bytes(damaged))
        part = SegmentPart(stored.index, stored_damaged.read_range, stored.blocks.get)
        with pytest.raises(DamagedRecord, match="checksum"):
            read_column([part], name)


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_range(self, start: int, length: int) -> bytes:
        return self._data[start : start + length]


def test_a_truncated_file_is_found() -> None:
    stored = segment()
    part = SegmentPart(stored.index, lambda start, n: stored.data[start : start + n // 2], stored.blocks.get)
    with pytest.raises(DamagedRecord):
        read_column([part], "a")


def test_an_index_that_cannot_be_read_or_is_newer_is_refused() -> None:
    data = segment().index.to_bytes()
    with pytest.raises(DamagedRecord):
        SegmentIndex.from_bytes(data[:-3])
    with pytest.raises(SchemaTooNew, match="version 2"):
        SegmentIndex.from_bytes(data[:1] + b"\x02" + data[2:])
    assert SegmentIndex.from_bytes(data) == segment().index


def test_size_at_rest_stays_within_its_budget() -> None:
    rng = random.Random(1)
    chunks, time_s = [], 1.7e9
    sizes = []
    for start in range(0, 20_000, 10_000):
        rows: list[RowTuple] = []
        for step in range(start, start + 10_000):
            time_s += 0.001 + rng.random() * 3e-4
            rows.append((step, time_s, {f"m{k}": rng.random() for k in range(5)}))
        chunks.append(chunk_of(rows))
        sizes.append(chunks[-1].size_bytes)
    stored = Segment(chunks)
    assert sum(sizes) <= 4.8e6 / 5
    assert len(stored.data) + sum(map(len, stored.blocks.values())) <= 4.6e6 / 5
