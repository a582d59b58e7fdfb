"""Requests and answers about runs. Additive changes only: a new field has a default."""

from __future__ import annotations

from typing import Any

import msgspec

from weighbridge.domain.run import MetricDefinition, Resume, RunRecord, RunRef, RunState


class StartRun(msgspec.Struct, frozen=True, kw_only=True):
    """Create a run, or continue it. The same `spool_id` sent again changes nothing.

    None means: let the store decide (display name), or leave what is there (on a continued run).
    """

    run: RunRef
    spool_id: str
    resume: Resume | None = None
    display_name: str | None = None
    name_seed: int = 0
    """Chooses the generated display name, so that a replay chooses the same."""
    job_type: str | None = None
    group: str | None = None
    tags: tuple[str, ...] | None = None
    notes: str | None = None
    config: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    started_at: float = 0.0
    is_attached: bool = False
    """A further process of a run that exists: it never creates, resumes or ends it."""


class StartedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run as it now stands."""

    run: RunRecord
    is_resumed: bool
    """Whether the run existed before this spool."""
    next_step: int
    """First step after everything stored; 0 for a new run."""
    next_offset: int
    """Bytes of this spool that are stored already."""
    has_live_writer: bool = False
    """Whether another spool of the run is open (heartbeat within the last two minutes)."""


class HistoryItem(msgspec.Struct, frozen=True, tag="history"):
    """Rows of history as one encoded chunk (domain.chunk)."""

    chunk: bytes


class ConfigItem(msgspec.Struct, frozen=True, tag="config"):
    """Top-level config keys with their new values."""

    values: dict[str, Any]


class SummaryItem(msgspec.Struct, frozen=True, tag="summary"):
    """Summary keys set by hand; nested dicts replace what stood under the key."""

    values: dict[str, Any]
    removed: tuple[str, ...] = ()


class DefineItem(msgspec.Struct, frozen=True, tag="define"):
    """A metric definition; the newest of a name wins."""

    metric: MetricDefinition


class AttributesItem(msgspec.Struct, frozen=True, tag="attributes"):
    """Changes of a run's labels; None leaves as is."""

    display_name: str | None = None
    job_type: str | None = None
    group: str | None = None
    tags: tuple[str, ...] | None = None
    notes: str | None = None
    environment: dict[str, Any] | None = None


class FinishItem(msgspec.Struct, frozen=True, tag="finish"):
    """The run's own word that it ended."""

    state: RunState
    exit_code: int | None
    at: float


Item = HistoryItem | ConfigItem | SummaryItem | DefineItem | AttributesItem | FinishItem


class AppendBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes [offset, end_offset) of a spool say. Stored once: a replay is a no-op.

    At most 1,000 items and 40 MiB. The items are applied in order, in one transaction.
    """

    run: RunRef
    spool_id: str
    offset: int
    end_offset: int
    items: tuple[Item, ...]


class Appended(msgspec.Struct, frozen=True):
    """How far the spool is stored now."""

    next_offset: int


class ListRuns(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a project's runs.

    `filters` is the Mongo-like language of docs/reference/filters.md; `order` is `[+-]field`, default
    `+created_at`; runs without the ordered value come last. `limit` is 1 to 1,000. `include` names the
    heavy fields wanted, of config, summary, environment, metrics.
    """

    entity: str
    project: str
    filters: dict[str, Any] = {}
    order: str = "+created_at"
    cursor: str | None = None
    limit: int = 50
    include: tuple[str, ...] = ("config", "summary", "metrics")


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs in order, and the cursor of the next page or None."""

    runs: tuple[RunRecord, ...]
    next_cursor: str | None


class UpdateRun(msgspec.Struct, frozen=True, kw_only=True):
    """Change a run from outside; None leaves as is. `config` and `summary` hold keys to set."""

    run: RunRef
    display_name: str | None = None
    job_type: str | None = None
    group: str | None = None
    tags: tuple[str, ...] | None = None
    notes: str | None = None
    config: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    summary_removed: tuple[str, ...] = ()
