"""The ports of history: what is kept of it, and the arithmetic over what was kept. No rules of folding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from weighbridge.domain.run import RunRef
from weighbridge.services.ports.transaction import Transaction


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a run. `kind` is f (float), i (int), b (bool), s (text), j (JSON)."""

    name: str
    kind: str
    count: int
    last_step: int


class NewChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Rows as they came, with the facts its reader needs."""

    row_count: int
    step_min: int
    step_max: int
    data: bytes


class StoredChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk that is not folded yet; rising keys are the order of arrival."""

    chunk_pk: int
    row_count: int
    data: bytes


class ChunkTail(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a run is not folded."""

    chunk_count: int
    row_count: int
    size_bytes: int


class NewSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet blob, its directory, and packed block statistics by metric."""

    digest: str
    row_count: int
    step_min: int
    step_max: int
    directory: bytes
    blocks: Mapping[str, bytes]


class StoredSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A folded segment; rising keys are the order of arrival."""

    segment_pk: int
    digest: str
    row_count: int
    step_min: int
    step_max: int
    directory: bytes


class HistoryStore(Protocol):
    """Keeps the history of runs."""

    def add_chunk(self, tx: Transaction, run_pk: int, chunk: NewChunk) -> None:
        """Append rows."""
        ...

    def add_keys(self, tx: Transaction, run_pk: int, keys: Sequence[StoredKey]) -> None:
        """Count values of metrics in; the kind is widened where it differs (i and f to f, else j)."""
        ...

    def keys(self, tx: Transaction, run_pk: int) -> tuple[StoredKey, ...]:
        """Metrics by name."""
        ...

    def tail(self, tx: Transaction, run_pk: int) -> ChunkTail:
        """How much is not folded."""
        ...

    def chunks(
        self, tx: Transaction, run_pk: int, *, step_min: int | None = None, step_max: int | None = None
    ) -> tuple[StoredChunk, ...]:
        """Chunks that reach into the steps, in order of arrival."""
        ...

    def segments(
        self, tx: Transaction, run_pk: int, *, step_min: int | None = None, step_max: int | None = None
    ) -> tuple[StoredSegment, ...]:
        """Segments that reach into the steps, in order of arrival."""
        ...

    def blocks(self, tx: Transaction, segment_pks: Sequence[int], name: str) -> dict[int, bytes]:
        """Packed block statistics of one metric by segment."""
        ...

    def join_chunks(
        self, tx: Transaction, run_pk: int, chunks: Sequence[StoredChunk], *, joined: NewChunk
    ) -> bool:
        """Swap chunks for the one made of them, in their place in the order of arrival.

        False, and nothing done, where one of them is gone already.
        """
        ...

    def fold_chunks(
        self, tx: Transaction, run_pk: int, chunks: Sequence[StoredChunk], *, segment: NewSegment, at: float
    ) -> bool:
        """Swap the oldest chunks for the segment made of them; False where one is gone already."""
        ...

    def merge_segments(
        self,
        tx: Transaction,
        run_pk: int,
        segments: Sequence[StoredSegment],
        *,
        segment: NewSegment,
        at: float,
    ) -> bool:
        """Swap neighbouring segments for the one made of them, in their place; False where one is gone."""
        ...

    def wipe(self, tx: Transaction, run_pk: int) -> None:
        """Remove a run's history. Blobs stay, for others may hold the same."""
        ...


class HistoryParts(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot of a run's history: segments, then the chunks that came after them.

    `blocks`: packed statistics of the metric in question by segment, where it was asked for.
    """

    segments: tuple[StoredSegment, ...]
    chunks: tuple[StoredChunk, ...]
    blocks: Mapping[int, bytes] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which metrics and steps to read. No names: all. Bounds are inclusive; None is open."""

    names: tuple[str, ...] | None
    step_min: int | None = None
    step_max: int | None = None


class SeriesArrays(msgspec.Struct, frozen=True, kw_only=True):
    """One metric by rising step; little-endian bytes as in wire.history.Series."""

    name: str
    kind: str
    steps: bytes
    times_us: bytes
    values: bytes


class BucketArrays(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics by bucket; little-endian bytes as in wire.history.BucketSeries."""

    step_start: bytes
    step_end: bytes
    count: bytes
    nan_count: bytes
    min: bytes
    max: bytes
    mean: bytes
    last: bytes


class HistoryRows(msgspec.Struct, frozen=True, kw_only=True):
    """Merged rows with `_step` and `_timestamp`; where to go on, or None at the end."""

    rows: list[dict[str, Any]]
    next_step: int | None


class HistoryEngine(Protocol):
    """Arithmetic over chunks and segments. It reads and writes blobs, and no table."""

    def fold(self, chunks: Sequence[StoredChunk], *, run: RunRef) -> NewSegment:
        """Put chunks, in order of arrival, into one segment among the blobs."""
        ...

    def merge(self, segments: Sequence[StoredSegment], *, run: RunRef) -> NewSegment:
        """Put neighbouring segments, in order of arrival, into one segment among the blobs."""
        ...

    def series(self, parts: HistoryParts, span: Span) -> tuple[SeriesArrays, ...]:
        """Every value of the named metrics; those the run does not have are left out."""
        ...

    def buckets(self, parts: HistoryParts, span: Span, *, buckets: int) -> BucketArrays:
        """One numeric metric in at most `buckets` groups by step."""
        ...

    def rows(self, parts: HistoryParts, span: Span, *, limit: int, require_all: bool) -> HistoryRows:
        """The first `limit` rows that have one (or all) of the names."""
        ...

    def sample(self, parts: HistoryParts, span: Span, *, samples: int) -> list[dict[str, Any]]:
        """At most `samples` of the rows that have all the names, evenly spread, first and last among them."""
        ...
