"""The port of what writes exported tables: columns in, one file out. No rules of what is exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol


class ExportedSeries(Protocol):
    """One metric by rising step: arrays of int64 steps, of values of one kind, of float64 unix seconds."""

    @property
    def steps(self) -> object: ...
    @property
    def values(self) -> object: ...
    @property
    def times_s(self) -> object: ...


class TableWriter(Protocol):
    """Writes Parquet files whole or not at all; a file that is there is replaced."""

    def write_history(
        self,
        path: Path,
        *,
        names: Sequence[str],
        load: Callable[[str], ExportedSeries],
        identity: Mapping[str, str],
    ) -> list[Path]:
        """Write a run's metrics, a column each beside `_step` and `_time_us`; the files made.

        One column is in memory at a time. More than 1,048,576 rows go to further files `NAME.2.parquet`, ...
        Raises InvalidInput without any row, StorageError, StorageFull.
        """
        ...

    def write_records(self, path: Path, columns: Mapping[str, Sequence[object]]) -> None:
        """Write columns of equal length; each holds floats, ints, booleans or text, None where a row has none.

        A column that mixes kinds is written as JSON text. Raises InvalidInput without any row, StorageError.
        """
        ...
