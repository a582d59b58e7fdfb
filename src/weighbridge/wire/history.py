"""Requests and answers about history. Arrays travel as little-endian bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from weighbridge.domain.run import RunRef


class MetricKey(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a run. `kind` is f (float), i (int), b (bool), s (text), j (JSON)."""

    name: str
    kind: str
    count: int
    last_step: int


class ReadSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Every value of some metrics between two steps (both inclusive; None is open). At most 1,000 names."""

    run: RunRef
    names: tuple[str, ...]
    step_min: int | None = None
    step_max: int | None = None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """All values of one metric by rising step, one a step.

    `steps` int64, `times_us` int64 (unix microseconds); `values` float64, int64, or one byte a bool by
    `kind`; for s and j the MessagePack list of values.
    """

    name: str
    kind: str
    steps: bytes
    times_us: bytes
    values: bytes


class ReadBuckets(msgspec.Struct, frozen=True, kw_only=True):
    """A numeric metric in at most `buckets` (1 to 10,000) groups by step."""

    run: RunRef
    name: str
    buckets: int = 1_000
    step_min: int | None = None
    step_max: int | None = None


class BucketSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Per bucket the steps it truly spans and counts (int64), and float64 statistics without NaN."""

    name: str
    step_start: bytes
    step_end: bytes
    count: bytes
    nan_count: bytes
    min: bytes
    max: bytes
    mean: bytes
    last: bytes


class ReadRows(msgspec.Struct, frozen=True, kw_only=True):
    """Merged rows by step; `names` None is all, `require_all` keeps rows that hold each; `limit` to 10,000."""

    run: RunRef
    names: tuple[str, ...] | None = None
    step_min: int | None = None
    step_max: int | None = None
    limit: int = 1_000
    require_all: bool = False


class RowPage(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with `_step`, `_timestamp`, `_runtime` and metrics; `next_step` continues, None at the end."""

    rows: tuple[dict[str, Any], ...]
    next_step: int | None


class SampleRows(msgspec.Struct, frozen=True, kw_only=True):
    """At most `samples` (1 to 100,000) rows spread evenly, only those holding all `names`."""

    run: RunRef
    names: tuple[str, ...] | None = None
    samples: int = 500
    step_min: int | None = None
    step_max: int | None = None
