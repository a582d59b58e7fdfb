"""Records of a run: what it is called, what it was given, how it ended. Pure data."""

from __future__ import annotations

import enum
from typing import Any

import msgspec


class RunState(enum.StrEnum):
    """Where a run stands. `running` and `pending` are open; the others are ends."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CRASHED = "crashed"
    KILLED = "killed"
    PREEMPTED = "preempted"

    @property
    def is_open(self) -> bool:
        """Whether the run may still send data of its own accord."""
        return self in (RunState.PENDING, RunState.RUNNING)


class Resume(enum.StrEnum):
    """What to do when the run id exists already, W&B's words."""

    ALLOW = "allow"
    MUST = "must"
    NEVER = "never"
    AUTO = "auto"


class RunRef(msgspec.Struct, frozen=True):
    """The address of a run."""

    entity: str
    project: str
    run_id: str

    @property
    def path(self) -> str:
        """`entity/project/run_id`."""
        return f"{self.entity}/{self.project}/{self.run_id}"


class MetricDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `define_metric` said of one metric or glob.

    `summary` holds any of min, max, mean, best, last, first, none, copy; empty means last.
    `goal` (minimize or maximize) says what `best` means and which direction is better.
    """

    name: str
    step_metric: str | None = None
    step_sync: bool = True
    summary: tuple[str, ...] = ()
    goal: str | None = None
    hidden: bool = False

    @property
    def is_glob(self) -> bool:
        """Whether the name is a pattern (`*` at its end)."""
        return self.name.endswith("*")


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything stored of a run but its history.

    Times are unix seconds (float, UTC). `config` and `summary` are nested plain JSON values, where NaN and
    infinities may occur. `environment` is what was captured at init (domain.environment), `{}` if nothing.
    """

    run_id: str
    entity: str
    project: str
    display_name: str
    state: RunState
    job_type: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    metrics: tuple[MetricDefinition, ...] = ()
    user: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    heartbeat_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    row_count: int = 0
    last_step: int | None = None
    is_deleted: bool = False

    @property
    def ref(self) -> RunRef:
        """The run's address."""
        return RunRef(self.entity, self.project, self.run_id)

    @property
    def path(self) -> str:
        """`entity/project/run_id`."""
        return f"{self.entity}/{self.project}/{self.run_id}"
