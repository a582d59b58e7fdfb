"""Parts for tests: rows become chunks or segments in memory; a plain model says what reading must give."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from weighbridge.domain.chunk import Chunk, encode_chunk
from weighbridge.storage.history import Part, SegmentIndex, SegmentPart, fold

RowTuple = tuple[int, float, dict[str, object]]


class Segment:
    """A folded segment in memory that counts what is read from it."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        file = io.BytesIO()
        written = fold(chunks, file, identity={"weighbridge.run": "r"})
        self.data = file.getvalue()
        self.index = SegmentIndex.from_bytes(written.index.to_bytes())
        self.blocks = written.blocks
        self.ranges: list[tuple[int, int]] = []

    def read_range(self, start: int, length: int) -> bytes:
        self.ranges.append((start, length))
        return self.data[start : start + length]

    @property
    def part(self) -> SegmentPart:
        return SegmentPart(self.index, self.read_range, self.blocks.get)


def chunk_of(rows: Sequence[RowTuple]) -> Chunk:
    return Chunk(encode_chunk(rows))


def segment_of(rows: Sequence[RowTuple]) -> SegmentPart:
    return Segment([chunk_of(rows)]).part


def rows_of(steps: Iterable[int], **columns: Sequence[object]) -> list[RowTuple]:
    """Rows at the steps, one second apart; `...` leaves a value out."""
    return [
        (step, 100.0 + step, {name: cells[k] for name, cells in columns.items() if cells[k] is not ...})
        for k, step in enumerate(steps)
    ]


def merged(rows: Iterable[RowTuple]) -> dict[int, dict[str, object]]:
    """What a run's rows mean: by step, the latest value of each name and the latest time."""
    model: dict[int, dict[str, object]] = {}
    for step, time_s, values in rows:
        row = model.setdefault(step, {})
        row.update(values)
        row["_step"], row["_timestamp"] = step, time_s
    return dict(sorted(model.items()))


def is_same(read: object, written: object) -> bool:
    """Equal, where NaN equals NaN and an int may have become the equal float."""
    if isinstance(read, float) and type(written) in (int, float):
        assert isinstance(written, (int, float))
        return read == written or (math.isnan(read) and written != written)
    return type(read) is type(written) and read == written


_values = st.one_of(
    st.floats(width=32),
    st.floats(allow_nan=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.none(),
    st.lists(st.integers(0, 2**65), max_size=2),
)
_floats = st.floats(width=64)


def history_rows(*, only_floats: bool = False) -> st.SearchStrategy[list[RowTuple]]:
    return st.lists(
        st.tuples(
            st.integers(-20, 20) | st.sampled_from([-(2**63), 2**63 - 1]),
            st.integers(0, 10**6).map(lambda value: value / 8),
            st.dictionaries(st.sampled_from("abc"), _floats if only_floats else _values, max_size=3),
        ),
        min_size=1,
        max_size=50,
    )


@st.composite
def histories(draw: st.DrawFn, *, only_floats: bool = False) -> tuple[list[RowTuple], list[Part]]:
    """Rows in order of arrival, and the same rows cut into chunks and segments."""
    rows = draw(history_rows(only_floats=only_floats))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(rows) - 1)), max_size=4)) & set(range(1, len(rows))))
    parts: list[Part] = []
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        piece = rows[start:stop]
        if draw(st.booleans()):
            parts.append(chunk_of(piece))
        else:
            middle = len(piece) // 2
            parts.append(Segment([chunk_of(half) for half in (piece[:middle], piece[middle:]) if half]).part)
    return rows, parts
