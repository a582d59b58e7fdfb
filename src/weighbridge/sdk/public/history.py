"""Reads a stored run's history: rows, samples, arrays, buckets. NumPy and pandas are imported when needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from weighbridge.domain.run import RunRef
from weighbridge.errors import InvalidInput
from weighbridge.wire.history import ReadBuckets, ReadRows, ReadSeries, SampleRows

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from weighbridge.sdk.transport.base import HistoryTransport

PAGE_ROWS_MAX: Final = 10_000
SAMPLES_MAX: Final = 100_000
ALWAYS: Final = ("_step", "_timestamp", "_runtime")


class SeriesArrays(NamedTuple):
    """Every value of one metric by rising step: `steps` int64, `values` of its kind, `times_s` unix seconds.

    Numbers are float64 or int64, booleans bool; text and JSON values are an array of objects.
    """

    steps: NDArray[numpy.int64]
    values: NDArray[Any]
    times_s: NDArray[numpy.float64]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class BucketArrays:
    """One metric in groups by step; each field has one element a bucket. The statistics leave NaN out."""

    step_start: NDArray[numpy.int64]
    step_end: NDArray[numpy.int64]
    count: NDArray[numpy.int64]
    nan_count: NDArray[numpy.int64]
    min: NDArray[numpy.float64]
    max: NDArray[numpy.float64]
    mean: NDArray[numpy.float64]
    last: NDArray[numpy.float64]


class HistoryReader:
    """The history of one run."""

    def __init__(self, transport: HistoryTransport, run: RunRef) -> None:
        self._transport = transport
        self._run = run

    def sample(self, samples: int, names: Sequence[str] | None, *, x_axis: str) -> list[dict[str, Any]]:
        """At most `samples` rows spread evenly; with `names`, only their rows and columns and the x axis."""
        if not 1 <= samples <= SAMPLES_MAX:
            raise InvalidInput(
                f"samples={samples!r} is not between 1 and {SAMPLES_MAX:,}.",
                hint="Use scan_history() for every row.",
            )
        wanted = _names(names, x_axis)
        page = self._transport.sample(SampleRows(run=self._run, names=wanted, samples=samples))
        return _columns(page.rows, names, x_axis)

    def scan(
        self,
        names: Sequence[str] | None,
        *,
        page_size: int = 1_000,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Every row by step, only those holding all `names`. `max_step` is exclusive, as in W&B."""
        if not 1 <= page_size <= PAGE_ROWS_MAX:
            raise InvalidInput(
                f"page_size={page_size!r} is not between 1 and {PAGE_ROWS_MAX:,}.",
                hint="It only says how many rows are fetched at a time.",
            )
        wanted = _names(names, "_step")
        last = None if max_step is None else max_step - 1
        step: int | None = min_step
        while True:
            page = self._transport.rows(
                ReadRows(
                    run=self._run,
                    names=wanted,
                    step_min=step,
                    step_max=last,
                    limit=page_size,
                    require_all=wanted is not None,
                )
            )
            yield from _columns(page.rows, names, "_step")
            if page.next_step is None:
                return
            step = page.next_step

    def series(self, name: str, *, step_min: int | None = None, step_max: int | None = None) -> SeriesArrays:
        """Every value of one metric as arrays. Raises InvalidInput, naming the nearest metrics."""
        import numpy

        (series,) = self._transport.series(
            ReadSeries(run=self._run, names=(name,), step_min=step_min, step_max=step_max)
        )
        steps = numpy.frombuffer(series.steps, dtype="<i8")
        times_s = numpy.frombuffer(series.times_us, dtype="<i8") / 1e6
        values: NDArray[Any]
        if series.kind in _DTYPES:
            values = numpy.frombuffer(series.values, dtype=_DTYPES[series.kind])
        else:
            items = msgspec.msgpack.decode(series.values)
            values = numpy.empty(len(items), dtype=object)
            values[:] = items
        return SeriesArrays(steps, values, times_s)

    def buckets(
        self, name: str, count: int, *, step_min: int | None = None, step_max: int | None = None
    ) -> BucketArrays:
        """One numeric metric in at most `count` groups by step. Raises InvalidInput."""
        import numpy

        found = self._transport.buckets(
            ReadBuckets(run=self._run, name=name, buckets=count, step_min=step_min, step_max=step_max)
        )
        whole = [numpy.frombuffer(getattr(found, field), dtype="<i8") for field in _WHOLE]
        real = [numpy.frombuffer(getattr(found, field), dtype="<f8") for field in _REAL]
        return BucketArrays(*whole, *real)


_WHOLE: Final = ("step_start", "step_end", "count", "nan_count")
_REAL: Final = ("min", "max", "mean", "last")
_DTYPES: Final = {"f": "<f8", "i": "<i8", "b": "?"}


def _names(names: Sequence[str] | None, x_axis: str) -> tuple[str, ...] | None:
    """The metrics to ask for; `_step` and its like come with every row."""
    if names is None:
        return None
    if isinstance(names, str):
        raise InvalidInput(f"keys={names!r} is text.", hint=f"Pass a list: keys=[{names!r}].")
    return tuple(name for name in dict.fromkeys((*names, x_axis)) if name not in ALWAYS)


def _columns(
    rows: Sequence[dict[str, Any]], names: Sequence[str] | None, x_axis: str
) -> list[dict[str, Any]]:
    """The rows, cut to the keys asked for and the x axis."""
    if names is None:
        return list(rows)
    kept = tuple(dict.fromkeys((*names, x_axis)))
    return [{name: row[name] for name in kept if name in row} for row in rows]
