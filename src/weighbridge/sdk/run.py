"""`Run`: one execution as a training script sees it. It writes the spool; what ships it is not its business.

Every call that records something returns only after the operating system has it, and no failure to record
ever raises out of a training loop: it is said once, kept, and summed up at the end. Misuse (a wrong type, a
finished run) does raise.
"""

from __future__ import annotations

import operator
import os
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec

from weighbridge.domain.names import check_metric_name
from weighbridge.domain.run import MetricDefinition, RunState
from weighbridge.domain.summary import KINDS, SummaryFold
from weighbridge.errors import InvalidInput, RunFinished
from weighbridge.sdk.config import Config
from weighbridge.sdk.exit_hooks import KILLED_BY_INTERRUPT
from weighbridge.sdk.finishing import ship_rest
from weighbridge.sdk.notices import warn, warn_once
from weighbridge.sdk.run_artifacts import RunArtifacts
from weighbridge.sdk.run_labels import RunLabels
from weighbridge.sdk.spool import KIND_ARTIFACT, KIND_ITEM, KIND_ROW, SpoolWriter, new_spool_id
from weighbridge.sdk.summary import Summary
from weighbridge.sdk.values import PLAIN, metric_row
from weighbridge.wire.runs import (
    AttributesItem,
    ConfigItem,
    DefineItem,
    FinishItem,
    Item,
    StartRun,
    SummaryItem,
)
from weighbridge.wire.spool_items import ArtifactItem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from weighbridge.domain.reproduction import Overrides
    from weighbridge.evaluation.report import EvaluationReport
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.client import Client
    from weighbridge.sdk.public.run import Run as PublicRun

STEP_MAX: Final = 2**62
ROW_MAX_BYTES: Final = 10 << 20
METRICS_MAX: Final = 100_000
"""Most metrics of one run, which the store holds to as well."""
NAME_SETS_MAX: Final = 4_096
RESERVED: Final = frozenset({"_step", "_timestamp", "_time_us", "_runtime", "_wandb"})

_encoder = msgspec.msgpack.Encoder()
_encode = _encoder.encode
_open_runs: dict[Run, None] = {}
"""Held until they finish: a script may call `init()` and keep no name for the run."""
_has_forked = False


def open_runs() -> list[Run]:
    """The process's runs that are not finished, oldest first."""
    return [run for run in list(_open_runs) if not run.is_finished]


class Run(RunLabels, RunArtifacts):
    """One execution: `log` rows, set `config` and `summary`, use and log artifacts, `finish`.

    Made by `weighbridge.init()`. Safe to use from several threads; a forked or spawned process that gets
    hold of it goes on logging to the same run by a spool of its own.
    """

    def __init__(
        self, client: Client, start: StartRun, *, mode: str, display_name: str, next_step: int
    ) -> None:
        self._client = client
        self._start = start
        self._mode = mode
        self._lock = threading.RLock()
        self._display_name = display_name
        self._step = next_step
        self._logged_step: int | None = next_step - 1 if next_step else None
        self._known_names: set[tuple[str, ...]] = set()
        self._fold = SummaryFold()
        self._is_plain = True
        self._is_ready = True
        self._is_forked = False
        self._is_finished = False
        self.was_resumed = False
        self.exit_code: int | None = None
        self.config = Config(start.config, self._config_changed, is_lenient=in_notebook())
        self.summary = Summary(self._fold, self._summary_changed)
        self._writer: SpoolWriter | None = None
        if mode != "disabled":
            self._writer = SpoolWriter(
                client.spool_dir, start.spool_id, _encode(start), is_offline=mode == "offline"
            )
            self._check_disk()
        _open_runs[self] = None

    # ------------------------------------------------------------------ recording

    def log(
        self,
        data: Mapping[str, Any],
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        """Record a row of metrics. On return the row survives `kill -9` of this process.

        Args:
            data: Metric names to values; nested dicts are stored under dotted names.
            step: Where the row belongs; default: the present step. Any order; rows of one step merge.
            commit: Whether the present step is complete with this row. Default: yes without `step`, no
                with it, so that `log(a, step=5); log(b, step=5)` fill one row.
            sync: Accepted for W&B's sake; every row is synchronous here.

        Raises:
            RunFinished: after `finish()`.
            InvalidInput: `data` is no dict, or a name, value or step cannot be stored.
        """
        with self._lock:
            if not self._is_ready:
                self._make_ready("log")
            at = time.time()
            if (
                type(data) is dict
                and PLAIN.issuperset(map(type, data.values()))
                and tuple(data) in self._known_names
            ):
                row = data
                flat = True
            else:
                row, at, flat = self._checked(data, at)
            if len(self._fold.values) + len(row) > METRICS_MAX and not self._has_room_for(row):
                return
            if step is None:
                at_step = self._step
                next_step = at_step if commit is False else at_step + 1
            else:
                at_step, next_step = self._place(step, commit)
            try:
                payload = _encode((at_step, at, row))
            except (OverflowError, UnicodeEncodeError) as error:
                raise InvalidInput(
                    f"A value of {sorted(row)[:5]} cannot be stored: {error}.",
                    hint="Integers must fit 64 bits (else pass float(x)), and text must be valid Unicode.",
                ) from error
            self._step = next_step
            self._logged_step = at_step
            writer = self._writer
            if writer is not None and not self._append_row(writer, payload):
                return
            if flat and self._is_plain:
                self._fold.values.update(row)
            else:
                self._fold.add_row(row)

    def _has_room_for(self, row: dict[str, Any]) -> bool:
        """Whether the run may have the row's metrics; if not, that is said once."""
        if len(self._fold.values.keys() | row.keys()) <= METRICS_MAX:
            return True
        warn_once(
            f"metrics {self.id}",
            f"a row of run {self.path} was not recorded; a run may have {METRICS_MAX:,} different metrics. "
            "Log fewer names, or a table as an artifact.",
        )
        return False

    def _append_row(self, writer: SpoolWriter, payload: bytes) -> bool:
        if len(payload) > ROW_MAX_BYTES:
            warn_once(
                f"row size {self.id}",
                f"a row of {len(payload):,} bytes was not recorded; a row may have {ROW_MAX_BYTES:,}. "
                "Log large data as an artifact.",
            )
            return False
        if not writer.append(KIND_ROW, payload):
            self._check_disk()
        return True

    def _checked(self, data: object, at: float) -> tuple[dict[str, Any], float, bool]:
        """`data` as a plain row, its time, and whether it is flat; remembers its names as good."""
        row = metric_row(data)
        if not RESERVED.isdisjoint(row):
            at = _own_time(row.get("_timestamp"), at)
            row = {name: value for name, value in row.items() if name not in RESERVED}
            return row, at, not any(isinstance(value, dict) for value in row.values())
        if len(self._known_names) < NAME_SETS_MAX:
            self._known_names.add(tuple(row))
        return row, at, not any(isinstance(value, dict) for value in row.values())

    def _place(self, step: int, commit: bool | None) -> tuple[int, int]:
        """The step a row goes to, and the present step after it, as W&B moves it."""
        at_step = _whole_step(step)
        if at_step < self._step:
            return at_step, self._step  # late: a checkpoint evaluated afterwards, say
        return at_step, at_step + 1 if commit else at_step

    def define_metric(
        self,
        name: str,
        step_metric: str | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> MetricDefinition:
        """Say how a metric is drawn and summed up, from the next row on; return the definition.

        Args:
            name: The metric, or `prefix*` for all that begin so.
            step_metric: The metric that is its x axis; the step by default.
            step_sync: Kept for readers; a row without the x axis is stored as it is.
            hidden: Kept for readers: leave it out of charts.
            summary: Any of min, max, mean, best, last, first, none, copy, with commas between.
            goal: minimize or maximize; says what `best` is, and which way a comparison is better.
            overwrite: Forget what was defined before; else what is not given here stays.

        Raises InvalidInput, RunFinished.
        """
        kinds = tuple(dict.fromkeys(part.strip() for part in (summary or "").split(",") if part.strip()))
        if unknown := set(kinds) - KINDS:
            raise InvalidInput(
                f"define_metric({name!r}): summary {sorted(unknown)} is unknown.",
                hint=f"Use {', '.join(sorted(KINDS))}.",
            )
        if goal not in (None, "minimize", "maximize"):
            raise InvalidInput(f"define_metric({name!r}): goal {goal!r}.", hint="Use minimize or maximize.")
        if "*" in check_metric_name(name)[:-1]:
            raise InvalidInput(
                f"define_metric({name!r}): '*' may stand at the end only.", hint="Write 'val/*'."
            )
        before = None if overwrite else self._fold.definitions.get(name)
        given = {
            "step_metric": step_metric,
            "step_sync": step_sync,
            "summary": tuple(kind for kind in kinds if kind != "copy") if kinds else None,
            "goal": goal,
            "hidden": hidden,
        }
        metric = msgspec.structs.replace(
            before or MetricDefinition(name=name),
            **{what: value for what, value in given.items() if value is not None},
        )
        with self._lock:
            self._item(DefineItem(metric))
            self._fold.define(metric)
            self._is_plain = self._fold.is_plain
        return metric

    def _config_changed(self, values: dict[str, Any]) -> None:
        self._item(ConfigItem(values))

    def _summary_changed(self, values: dict[str, Any], removed: tuple[str, ...]) -> None:
        self._item(SummaryItem(values, removed))

    def _item(self, item: Item) -> None:
        """Append an item to the spool. Raises RunFinished."""
        with self._lock:
            if not self._is_ready:
                self._make_ready("change")
            self._append_item(KIND_ITEM, item)

    def _record(self, item: ArtifactItem) -> None:
        """Append an artifact record to the spool: the durable intent, shipped or replayed later."""
        with self._lock:
            if not self._is_ready:
                self._make_ready("change")
            self._append_item(KIND_ARTIFACT, item)

    def _append_item(self, kind: int, item: Item | ArtifactItem) -> None:
        """Append a record that is no row. Raises InvalidInput where the format cannot hold it."""
        try:
            payload = _encode(item)
        except (OverflowError, UnicodeEncodeError) as error:
            raise InvalidInput(
                f"A value of run {self.path} cannot be stored: {error}.",
                hint="Integers must fit 64 bits (else pass float(x)), and text must be valid Unicode.",
            ) from error
        if len(payload) > ROW_MAX_BYTES:
            raise InvalidInput(
                f"A change of run {self.path} has {len(payload):,} bytes; at most {ROW_MAX_BYTES:,} are stored.",
                hint="Log large data as an artifact.",
            )
        if self._writer is not None and not self._writer.append(kind, payload):
            self._check_disk()

    def _check_open(self, action: str) -> None:
        """Raise RunFinished if the run has ended."""
        if not self._is_ready:
            with self._lock:
                self._make_ready(action)

    def _make_ready(self, action: str) -> None:
        """Go on after a fork with a spool of this process, or refuse because the run has ended."""
        if self._is_finished:
            raise RunFinished(
                f"Run {self.path} has finished; {action} came too late.",
                hint="Begin a new run, or continue this one with init(id=..., resume='must').",
            )
        if self._is_forked:
            self._attach()

    def _attach(self) -> None:
        """Open a spool of our own for a run that another process began."""
        from weighbridge.sdk.client import client_for

        self._client = client_for(self._client.settings)
        self._start = msgspec.structs.replace(self._start, spool_id=new_spool_id(), is_attached=True)
        self._writer = SpoolWriter(
            self._client.spool_dir, self._start.spool_id, _encode(self._start), is_offline=self.offline
        )
        self._is_forked = False
        self._is_ready = True
        _open_runs[self] = None
        self._watch()

    # ------------------------------------------------------------------ disk and shipping

    def _watch(self) -> None:
        """Have the monitor look after shipping while the run lives."""
        if self.is_online and self.settings.shipper != "off":
            from weighbridge.sdk.monitor import monitor_for

            monitor_for(self.settings).watch(self)

    def _check_disk(self) -> None:
        """Tell the user once that the disk takes nothing."""
        writer = self._writer
        if writer is not None and writer.problem is not None:
            warn_once(f"disk {self.id}", f"{writer.problem} The run goes on and writes as soon as it can.")

    def retry_backlog(self) -> None:
        """Write what waited in memory because the disk was full; called by the monitor."""
        with self._lock:
            writer = self._writer
            if (
                writer is not None
                and writer.backlog_bytes
                and not self._is_finished
                and writer.flush_backlog()
            ):
                lost = f"{writer.dropped_rows:,} rows were" if writer.dropped_rows else "nothing was"
                warn(f"run {self.id}: the disk takes data again; {lost} lost.")

    def ship_slice(self) -> None:
        """Ship some of the spool from this process, where no shipper process can be started."""
        if self._writer is not None:
            ship_rest(self._client, self._writer.path, timeout_s=0.0, is_final=False, blocks_max=1)

    # ------------------------------------------------------------------ the end

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: ship what is left, for at most `finish_timeout_s`. A second call does nothing.

        Args:
            exit_code: 0 or None for success; 130 marks the run as killed, anything else as failed.
            quiet: Say nothing at the end.
        """
        with self._lock:
            if self._is_finished:
                return
            if self._is_forked:  # a child that never logged: the run is its parent's to end
                self._is_finished = True
                _open_runs.pop(self, None)
                return
            if lost := self._settle_artifacts():
                warn(
                    f"run {self.path}: the disk took neither {', '.join(lost)} nor a note of it; log it again."
                )
            code = exit_code or 0
            if not self._start.is_attached:
                state = {0: RunState.FINISHED, KILLED_BY_INTERRUPT: RunState.KILLED}.get(
                    code, RunState.FAILED
                )
                self._recapture()
                self._item(FinishItem(state, code, time.time()))
            self.exit_code = code
            self._is_finished = True
            self._is_ready = False
        _open_runs.pop(self, None)
        from weighbridge.sdk.finishing import finish_run

        finish_run(self, quiet=bool(quiet), has_forked=_has_forked)

    def _recapture(self) -> None:
        """Store the environment again where it changed since init (modules imported and seeds set later)."""
        if self._mode == "disabled":
            return
        from weighbridge.sdk.environment_capture import recaptured

        environment = recaptured(self._start.environment)
        if environment is not None:
            self._item(AttributesItem(environment=environment))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        elif issubclass(kind, KeyboardInterrupt):
            self.finish(exit_code=KILLED_BY_INTERRUPT)
        elif issubclass(kind, SystemExit):
            code = getattr(error, "code", 1)
            self.finish(exit_code=code if isinstance(code, int) else int(code is not None))
        else:
            self.finish(exit_code=1)

    # ------------------------------------------------------------------ evaluation

    def reproduce(
        self,
        producer: Artifact | PublicRun | str,
        fresh: Mapping[str, Any] | None = None,
        *,
        names: Mapping[str, str] | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        per_metric: Overrides | None = None,
        claims: Literal["auto", "summary", "history"] = "auto",
    ) -> EvaluationReport:
        """Check that a model's claimed metrics are the ones measured now; keep the verdict with run and model.

        Args:
            producer: The model artifact (best), the run that made it, or the path of either.
            fresh: Metrics measured now; None takes this run's summary.
            names: Claimed names to measured ones, such as {"final_*": "val_*"}. None pairs equal names.
            rtol, atol: Allowed relative and absolute difference, 1e-6 and 1e-9 by default.
            per_metric: Tolerances by name or glob, such as {"final_loss": {"rtol": 1e-3}}.
            claims: Where claims are read: auto, summary or history.

        Returns the report; see `raise_for_verdict()` on it. Raises ProducerNotFound (no run made the version),
        InvalidInput (a mapping or tolerance), UsageError (an offline or disabled run).
        """
        # Here the SDK looks up: a method users expect on the run, whose work stands on the SDK.
        from weighbridge.evaluation.reproduce import reproduce

        return reproduce(
            self, producer, fresh, names=names, rtol=rtol, atol=atol, per_metric=per_metric, claims=claims
        )

    def __reduce__(self) -> tuple[object, ...]:
        global _has_forked
        _has_forked = True
        return (attach_run, (self.settings.home, self._start, (self._mode, self._display_name, self._step)))


def attach_run(home: Path, start: StartRun, state: tuple[str, str, int]) -> Run:
    """A run that another process began, writable here; what unpickling a Run calls.

    state: mode, display name, next step.
    """
    mode, display_name, step = state
    from weighbridge.sdk.client import client_for
    from weighbridge.settings import resolve

    attached = msgspec.structs.replace(start, spool_id=new_spool_id(), is_attached=True)
    run = Run(client_for(resolve(home=home)), attached, mode=mode, display_name=display_name, next_step=step)
    run._watch()
    return run


def _whole_step(step: object) -> int:
    try:
        whole = operator.index(step)  # type: ignore[arg-type]  # anything else is refused below
    except TypeError:
        number = step if getattr(step, "size", 1) != 1 else getattr(step, "item", lambda: step)()
        if (
            not isinstance(number, int | float)
            or number != number
            or number != int(min(max(number, -1), STEP_MAX))
        ):
            raise InvalidInput(
                f"step {step!r} is no whole number.",
                hint="Pass an int; log other x values as a metric of their own.",
            ) from None
        whole = int(number)
    if not 0 <= whole <= STEP_MAX:
        raise InvalidInput(f"step {whole} is out of range.", hint=f"Steps run from 0 to {STEP_MAX}.")
    return whole


def _own_time(value: object, otherwise: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e11:
        return float(value)
    return otherwise


def in_notebook() -> bool:
    """Whether IPython runs this process, where a cell is run again and again."""
    import sys

    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell, "get_ipython", lambda: None)() is not None


def _after_fork_in_child() -> None:
    for run in list(_open_runs):
        run._lock = threading.RLock()
        if run._writer is not None:
            run._writer.abandon()
            run._is_ready = False
            run._is_forked = True


def _after_fork_in_parent() -> None:
    global _has_forked
    _has_forked = True


os.register_at_fork(after_in_child=_after_fork_in_child, after_in_parent=_after_fork_in_parent)
