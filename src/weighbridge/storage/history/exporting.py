"""Writes exported tables as Parquet: a run's metrics by step, and records such as runs. It reads no store."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from weighbridge.domain.chunk import Kind
from weighbridge.errors import InvalidInput, StorageError, StorageFull
from weighbridge.services.ports.exports import ExportedSeries
from weighbridge.storage.history.columns import ColumnValues, Ints, Values, empty_values, object_array
from weighbridge.storage.history.parquet import ParquetWriter
from weighbridge.storage.history.segment import MAX_SEGMENT_ROWS, SegmentRows, write_segment

_PAGE_ROWS = 65_536


class ParquetTableWriter:
    """A TableWriter over the writer of history segments."""

    def write_history(
        self,
        path: Path,
        *,
        names: Sequence[str],
        load: Callable[[str], ExportedSeries],
        identity: Mapping[str, str],
    ) -> list[Path]:
        """Write a run's metrics; see the port."""
        steps, times_us = _all_steps(names, load)
        if not len(steps):
            raise InvalidInput("A history without rows was to be exported.", hint="Leave such runs out.")
        written = []
        for number, start in enumerate(range(0, len(steps), MAX_SEGMENT_ROWS), 1):
            part = slice(start, start + MAX_SEGMENT_ROWS)
            target = path if number == 1 else path.with_name(f"{path.stem}.{number}{path.suffix}")
            rows = SegmentRows(steps[part], times_us[part], names, partial(_loaded, load, steps[part]))
            with _replacing(target) as file:
                write_segment(rows, file, identity=identity)
            written.append(target)
        return written

    def write_records(self, path: Path, columns: Mapping[str, Sequence[object]]) -> None:
        """Write columns of equal length; see the port."""
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise InvalidInput(
                "A table needs columns of one length and at least one row.", hint="Leave empty tables out."
            )
        with _replacing(path) as file:
            writer = ParquetWriter(file, row_count=lengths.pop(), page_rows=_PAGE_ROWS)
            for name, values in columns.items():
                writer.write_column(name, _record_column(values))
            writer.finish({"weighbridge.format": "export-1"})


def _all_steps(names: Sequence[str], load: Callable[[str], ExportedSeries]) -> tuple[Ints, Ints]:
    """Every step that any metric has, and the latest time written at it."""
    steps = np.empty(0, dtype=np.int64)
    times_us = np.empty(0, dtype=np.int64)
    for name in names:
        column = load(name)
        new = np.asarray(column.steps, dtype=np.int64)
        # seconds came from whole microseconds below 2**53, so rounding gives the very ones back
        at = np.rint(np.asarray(column.times_s, dtype=np.float64) * 1e6).astype(np.int64)
        if len(new) == len(steps) and bool((new == steps).all()):
            times_us = np.maximum(times_us, at)
            continue
        merged = np.union1d(steps, new)
        latest = np.full(len(merged), np.iinfo(np.int64).min)
        latest[np.searchsorted(merged, steps)] = times_us
        places = np.searchsorted(merged, new)
        latest[places] = np.maximum(latest[places], at)
        steps, times_us = merged, latest
    return steps, times_us


def _loaded(load: Callable[[str], ExportedSeries], steps: Ints, name: str) -> ColumnValues:
    return _column(load(name), steps)


def _column(column: ExportedSeries, steps: Ints) -> ColumnValues:
    """The part of a metric that lies at these steps, with the rows it stands in."""
    own = np.asarray(column.steps, dtype=np.int64)
    values: Values = np.asarray(column.values)
    kind = _kind(values)
    first, last = np.searchsorted(own, [steps[0], steps[-1] + 1])
    own, values = own[first:last], values[first:last]
    rows = None if len(own) == len(steps) else np.searchsorted(steps, own).astype(np.int64)
    return ColumnValues(kind, rows, values)


def _record_column(values: Sequence[object]) -> ColumnValues:
    held = [(row, value) for row, value in enumerate(values) if value is not None]
    rows = None if len(held) == len(values) else np.array([row for row, _ in held], dtype=np.int64)
    kinds = {_kind_of(value) for _, value in held}
    if not kinds:
        return ColumnValues("s", rows, empty_values("s"))
    kind: Kind = kinds.pop() if len(kinds) == 1 else "f" if kinds == {"f", "i"} else "j"
    listed = [value for _, value in held]
    if kind == "f":
        return ColumnValues(kind, rows, np.array(listed, dtype=np.float64))
    if kind == "i":
        return ColumnValues(kind, rows, np.array(listed, dtype=np.int64))
    if kind == "b":
        return ColumnValues(kind, rows, np.array(listed, dtype=np.bool_))
    return ColumnValues(kind, rows, object_array(listed))


def _kind_of(value: object) -> Kind:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int):
        return "i" if -(2**63) <= value < 2**63 else "j"
    if isinstance(value, float):
        return "f"
    return "s" if isinstance(value, str) else "j"


def _kind(values: Values) -> Kind:
    kinds: dict[str, Kind] = {"f": "f", "i": "i", "b": "b"}
    if values.dtype.kind in kinds:
        return kinds[values.dtype.kind]
    return "s" if all(isinstance(value, str) for value in values.tolist()) else "j"


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends without an error."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        kind = StorageFull if error.errno == errno.ENOSPC else StorageError
        raise kind(
            f"{path} cannot be written: {error.strerror or error}.", hint="Check the disk and the folder."
        ) from error
    finally:
        with suppress(OSError):  # it is no file, or its folder is none: the error above says more
            draft.unlink()
