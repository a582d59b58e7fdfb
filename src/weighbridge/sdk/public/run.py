"""A stored run, as `Api` and lineage give it: read, relabel, follow its artifacts. It never feeds a run."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from weighbridge.domain.lineage import Direction
from weighbridge.errors import InvalidInput, RunNotFound, UsageError
from weighbridge.sdk.public.history import BucketArrays, HistoryReader, SeriesArrays
from weighbridge.sdk.public.lineage import Lineage, parse_direction
from weighbridge.sdk.public.summary import Summary
from weighbridge.sdk.times import iso
from weighbridge.sdk.values import plain
from weighbridge.wire.runs import UpdateRun

if TYPE_CHECKING:
    from weighbridge.domain.run import RunRecord, RunRef
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.public.reader import Reader
    from weighbridge.wire.evaluations import EvaluationRecord
    from weighbridge.wire.history import MetricKey

POLL_FIRST_S: Final = 0.05
POLL_MAX_S: Final = 5.0


class RunLabels:
    """What a stored run is called and how it stands. Setting a label keeps it here until `update()`."""

    def __init__(self, reader: Reader, record: RunRecord, *, is_full: bool) -> None:
        self._reader = reader
        self._take(record, is_full=is_full)

    def _take(self, record: RunRecord, *, is_full: bool) -> None:
        """Show what a record says, forgetting edits that were not saved."""
        self._record = record
        self._is_full = is_full
        self.display_name = record.display_name
        self.job_type = record.job_type
        self.group = record.group
        self.notes = record.notes
        self.tags: list[str] = list(record.tags)
        """Edit the list, then `update()`."""
        self._config: dict[str, Any] | None = None
        self._summary: Summary | None = None

    @property
    def id(self) -> str:
        """The run id, which never changes."""
        return self._record.run_id

    @property
    def name(self) -> str:
        """The display name, as in W&B's public API."""
        return self.display_name

    @name.setter
    def name(self, value: str) -> None:
        self.display_name = value

    @property
    def entity(self) -> str:
        """Owner of the project."""
        return self._record.entity

    @property
    def project(self) -> str:
        """The project's name."""
        return self._record.project

    @property
    def ref(self) -> RunRef:
        """The run's address."""
        return self._record.ref

    @property
    def path(self) -> list[str]:
        """`[entity, project, run_id]`, as in W&B."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """The page's address without a host: `/entity/project/runs/run_id`."""
        return f"/{self.entity}/{self.project}/runs/{self.id}"

    @property
    def record(self) -> RunRecord:
        """Everything stored, as last read."""
        return self._record

    @property
    def state(self) -> str:
        """running, finished, failed, crashed, killed, pending or preempted, as last read."""
        return self._record.state.value

    @property
    def exit_code(self) -> int | None:
        """The process's exit code, None while unknown."""
        return self._record.exit_code

    @property
    def user(self) -> str:
        """Who started the run."""
        return self._record.user

    @property
    def created_at(self) -> str | None:
        """ISO 8601, UTC."""
        return iso(self._record.created_at)

    @property
    def heartbeat_at(self) -> str | None:
        """ISO 8601, UTC; None if the run never sent one."""
        return iso(self._record.heartbeat_at)

    @property
    def finished_at(self) -> str | None:
        """ISO 8601, UTC; None while open."""
        return iso(self._record.finished_at)

    @property
    def last_step(self) -> int | None:
        """The highest step logged, None where nothing was."""
        return self._record.last_step

    @property
    def row_count(self) -> int:
        """Rows of history."""
        return self._record.row_count

    @property
    def is_deleted(self) -> bool:
        """Whether only a tombstone is left: name and labels, but no config, summary or history."""
        return self._record.is_deleted


class Run(RunLabels):
    """A stored run. `load()` reads it again; nothing here changes behind your back."""

    @property
    def rawconfig(self) -> dict[str, Any]:
        """The whole configuration, with keys that begin with `_`. Change it, then `update()`."""
        if self._config is None:
            self._config = copy.deepcopy(self._record.config)
        return self._config

    @property
    def config(self) -> dict[str, Any]:
        """The configuration without keys that begin with `_`. Change it by items of `rawconfig`, then `update()`."""
        return {name: value for name, value in self.rawconfig.items() if not name.startswith("_")}

    @property
    def summary(self) -> Summary:
        """The summary; item access, `.get()`, and `.update()` which writes."""
        if self._summary is None:
            self._summary = Summary(copy.deepcopy(self._record.summary), self._write_summary)
        return self._summary

    @property
    def environment(self) -> dict[str, Any]:
        """What was captured at `init`: Python, packages, git, hardware; `{}` if nothing."""
        if not self._is_full:
            self._merge(self._reader.transport.runs.get(self.ref))
        return self._record.environment

    @property
    def metadata(self) -> dict[str, Any]:
        """W&B's name for `environment`."""
        return self.environment

    def load(self, force: bool = True) -> Run:
        """Read the run again, dropping unsaved edits; returns itself. Raises RunNotFound."""
        if force or not self._is_full:
            self._take(self._reader.transport.runs.get(self.ref), is_full=True)
        return self

    def refresh(self) -> Run:
        """Another name of `load()`."""
        return self.load()

    def update(self, config: Mapping[str, Any] | None = None) -> None:
        """Write edited labels, config and summary to the store; keys of `config` are set as well."""
        if config:
            self.rawconfig.update({name: plain(value, f"config.{name}") for name, value in config.items()})
        old = self._record
        changed: dict[str, Any] = {
            name: value
            for name in ("display_name", "job_type", "group", "notes")
            if (value := getattr(self, name)) != getattr(old, name)
        }
        if tuple(self.tags) != old.tags:
            changed["tags"] = tuple(self.tags)
        if self._config is not None:
            values = {
                name: v for name, v in self._config.items() if _differs(v, old.config.get(name, _NOTHING))
            }
            gone = [name for name in old.config if name not in self._config]
            if gone:
                raise UsageError(
                    f"Config keys cannot be removed from a stored run: {', '.join(gone[:5])}.",
                    hint="Set them to None instead.",
                )
            if values:
                changed["config"] = plain(values, "config")
        if self._summary is not None:
            self._summary.save()
        if changed:
            self._merge(self._reader.transport.runs.update(UpdateRun(run=self.ref, **changed)))

    def save(self) -> None:
        """Another name of `update()`."""
        self.update()

    def delete(self, delete_artifacts: bool = False) -> None:
        """Delete the run's data, with `delete_artifacts` what it logged too. A tombstone keeps lineage whole."""
        if delete_artifacts:
            for artifact in self.logged_artifacts():
                if artifact.state != "DELETED":
                    artifact.delete(delete_aliases=True)
        self._reader.transport.runs.delete(self.ref)

    def history(
        self,
        samples: int = 500,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        *,
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """At most `samples` rows spread evenly: a DataFrame if pandas is installed and wanted, else a list.

        With `keys`, only rows that hold all of them. `stream="system"` has no rows: nothing records it.
        """
        if stream not in ("default", "system"):
            raise InvalidInput(f"History stream {stream[:40]!r} is unknown.", hint="Use default or system.")
        rows = self._history.sample(samples, keys, x_axis=x_axis) if stream == "default" else []
        frame = _frame_class() if pandas else None
        return rows if frame is None else frame(rows)

    def scan_history(
        self,
        keys: Sequence[str] | None = None,
        page_size: int = 1_000,
        min_step: int | None = None,
        *,
        max_step: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Every row by step; with `keys`, only rows that hold all of them. `max_step` is exclusive."""
        return self._history.scan(keys, page_size=page_size, min_step=min_step, max_step=max_step)

    def metric_keys(self) -> tuple[MetricKey, ...]:
        """The metrics in the history, with kind, count and last step."""
        return self._reader.transport.history.keys(self.ref)

    def series(self, name: str, *, step_min: int | None = None, step_max: int | None = None) -> SeriesArrays:
        """Every value of one metric as NumPy arrays (steps, values, times_s), by rising step.

        Raises InvalidInput, naming the nearest metrics.
        """
        return self._history.series(name, step_min=step_min, step_max=step_max)

    def buckets(
        self, name: str, n: int = 1_000, *, step_min: int | None = None, step_max: int | None = None
    ) -> BucketArrays:
        """A numeric metric in at most `n` (1 to 10,000) groups by step; `min` and `max` show every spike."""
        return self._history.buckets(name, n, step_min=step_min, step_max=step_max)

    def logged_artifacts(self) -> list[Artifact]:
        """The versions this run made."""
        return [self._reader.artifact(record) for record in self._reader.transport.lineage.outputs(self.ref)]

    def used_artifacts(self) -> list[Artifact]:
        """The versions this run consumed."""
        return [self._reader.artifact(record) for record in self._reader.transport.lineage.inputs(self.ref)]

    def use_artifact(self, artifact: Artifact, use_as: str | None = None) -> Artifact:
        """Record, after the fact, that this run consumed a version; returns it."""
        artifact.record_use(self.ref, used_as=use_as or "")
        return artifact

    def log_artifact(
        self,
        artifact: Artifact,
        aliases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Artifact:
        """Record, after the fact, that this run made a version, a draft or a stored one; return it."""
        from weighbridge.sdk.artifact_logging import store_version

        record = store_version(artifact, self.ref, self._reader.client, aliases=aliases, tags=tags)
        artifact.settle(record, self._reader)
        return artifact

    def lineage(self, depth: int = 10, direction: Direction | str = Direction.BOTH) -> Lineage:
        """The graph around this run, `depth` (1 to 50) edges far."""
        return self._reader.lineage(run=self.ref, depth=depth, direction=parse_direction(direction))

    def evaluations(self) -> tuple[EvaluationRecord, ...]:
        """The evaluations this run carried out, newest first."""
        return self._reader.transport.evaluations.list_for_run(self.ref)

    def wait_until_finished(self, timeout_s: float = 3_600.0) -> Run:
        """Return once the run has ended; reads its state every 0.05 s at first, every 5 s later on.

        Raises UsageError when `timeout_s` passes, RunNotFound if the run is deleted meanwhile.
        """
        deadline = time.monotonic() + timeout_s
        pause_s = POLL_FIRST_S
        while self.load()._record.state.is_open:
            if self.is_deleted:
                raise RunNotFound(
                    f"Run {self.ref.path} was deleted.", hint="Stop waiting: nothing will finish it."
                )
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise UsageError(
                    f"Run {self.ref.path} is still {self.state} after {timeout_s:g} s.",
                    hint="Wait longer with timeout_s=..., or look whether its process is alive.",
                )
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 2, POLL_MAX_S)
        return self

    def __repr__(self) -> str:
        return f"<Run {self.ref.path} ({self.state})>"

    @property
    def _history(self) -> HistoryReader:
        return HistoryReader(self._reader.transport.history, self.ref)

    def _write_summary(self, values: dict[str, Any], removed: tuple[str, ...]) -> None:
        request = UpdateRun(run=self.ref, summary=values or None, summary_removed=removed)
        self._record = self._reader.transport.runs.update(request)

    def _merge(self, record: RunRecord) -> None:
        """Take a newer record, but keep what was edited here and not yet saved."""
        summary, config = self._summary, self._config
        labels = {
            name: getattr(self, name) for name in ("display_name", "job_type", "group", "notes", "tags")
        }
        self._take(record, is_full=True)
        self._summary, self._config = summary, config
        vars(self).update(labels)


_NOTHING: Final = object()


def _differs(new: object, old: object) -> bool:
    """Whether two values differ; NaN equals NaN, and True is not 1."""
    return new is not old and repr(new) != repr(old)


def _frame_class() -> Any:
    """pandas.DataFrame, or None where pandas is not installed."""
    try:
        from pandas import DataFrame
    except ImportError:
        return None
    return DataFrame
