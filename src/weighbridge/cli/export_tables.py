"""The Parquet tables of an export: runs with their scalars as columns, and each run's metrics by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from weighbridge.domain.summary import flatten

if TYPE_CHECKING:
    from weighbridge.domain.run import RunRecord
    from weighbridge.sdk.public.history import SeriesArrays
    from weighbridge.sdk.public.run import Run

COLUMNS_MAX: Final = 2_000
"""Most config and summary keys that become columns of runs.parquet; runs.jsonl has all of them."""

_FIELDS: Final = (
    "run_id",
    "entity",
    "project",
    "display_name",
    "state",
    "job_type",
    "group",
    "notes",
    "user",
    "created_at",
    "updated_at",
    "finished_at",
    "exit_code",
    "row_count",
    "last_step",
)


class HistoryWriter(Protocol):
    """What `bootstrap.open_table_writer` gives, as far as histories go."""

    def write_history(
        self,
        path: Path,
        *,
        names: Sequence[str],
        load: Callable[[str], SeriesArrays],
        identity: Mapping[str, str],
    ) -> list[Path]: ...


class RunTable:
    """Columns that grow as runs are added; a run without a value has None."""

    def __init__(self) -> None:
        self._count = 0
        self._columns: dict[str, list[object]] = {}

    def add(self, record: RunRecord) -> None:
        """Add a run."""
        for name in _FIELDS:
            value = getattr(record, name)
            self._put(name, str(value) if name == "state" else value)
        self._put("tags", ",".join(record.tags))
        for scope, values in (("config", record.config), ("summary", record.summary)):
            for name, value in flatten(values):
                if value is None or isinstance(value, bool | int | float | str):
                    self._put(f"{scope}.{name}", value)
        self._count += 1

    def columns(self) -> dict[str, Sequence[object]]:
        """The columns, all of one length."""
        for values in self._columns.values():
            values.extend([None] * (self._count - len(values)))
        return dict(self._columns)

    def _put(self, name: str, value: object) -> None:
        if name not in self._columns:
            if len(self._columns) >= COLUMNS_MAX + len(_FIELDS):
                return
            self._columns[name] = []
        values = self._columns[name]
        values.extend([None] * (self._count - len(values)))
        values.append(value)


def write_history(writer: HistoryWriter, run: Run, path: Path) -> list[Path]:
    """Write a run's metrics by step as Parquet; no file for a run without any."""
    names = [key.name for key in run.metric_keys()]
    if not names:
        return []
    identity = {"weighbridge.run": run.ref.path}
    return writer.write_history(path, names=names, load=run.series, identity=identity)
