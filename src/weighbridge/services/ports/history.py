"""The port of history: open chunks, folded segments, the list of metric names. No rules of folding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from weighbridge.services.ports.transaction import Transaction
from weighbridge.wire.history import MetricKey


class NewChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Rows as they came, with the facts its reader needs."""

    row_count: int
    step_min: int
    step_max: int
    data: bytes


class StoredChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk that is not folded yet; rising keys are the order of arrival."""

    chunk_pk: int
    data: bytes


class ChunkTail(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a run is not folded."""

    chunk_count: int
    row_count: int


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

    def add_keys(self, tx: Transaction, run_pk: int, keys: Sequence[MetricKey]) -> None:
        """Count values of metrics in; the kind is widened where it differs (i and f to f, else j)."""
        ...

    def keys(self, tx: Transaction, run_pk: int) -> tuple[MetricKey, ...]:
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

    def all_blocks(self, tx: Transaction, segment_pk: int) -> dict[str, bytes]:
        """Packed block statistics of every metric of a segment."""
        ...

    def replace_chunks(
        self, tx: Transaction, run_pk: int, chunk_pks: Sequence[int], *, segment: NewSegment, at: float
    ) -> bool:
        """Swap chunks for the segment made of them; False, and nothing done, where one is gone already."""
        ...

    def replace_segments(
        self, tx: Transaction, run_pk: int, segment_pks: Sequence[int], *, segment: NewSegment, at: float
    ) -> bool:
        """Swap segments for the one made of them; False, and nothing done, where one is gone already."""
        ...

    def wipe(self, tx: Transaction, run_pk: int) -> None:
        """Remove a run's history. Blobs stay, for others may hold the same."""
        ...
