"""The port of runs: their labels, documents, indexed values and tags. No rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from weighbridge.domain.filters import Filter, Order
from weighbridge.domain.run import MetricDefinition, RunRecord, RunRef, RunState
from weighbridge.domain.summary import Accumulator
from weighbridge.services.ports.transaction import Transaction

DOCUMENTS: Final = frozenset({"config", "summary", "environment", "metrics"})
"""The heavy fields of a RunRecord, loaded only where asked for."""


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its keys. A deleted one comes with `record.is_deleted` and no documents."""

    run_pk: int
    project_pk: int
    record: RunRecord


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a run. Documents and tags are written apart."""

    project_pk: int
    run_id: str
    number: int
    display_name: str
    state: RunState
    job_type: str
    group: str
    notes: str
    user: str
    created_at: float
    at: float


class RunChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Columns to set; UNSET leaves as is."""

    display_name: str | msgspec.UnsetType = msgspec.UNSET
    state: RunState | msgspec.UnsetType = msgspec.UNSET
    job_type: str | msgspec.UnsetType = msgspec.UNSET
    group: str | msgspec.UnsetType = msgspec.UNSET
    notes: str | msgspec.UnsetType = msgspec.UNSET
    updated_at: float | msgspec.UnsetType = msgspec.UNSET
    heartbeat_at: float | msgspec.UnsetType = msgspec.UNSET
    finished_at: float | None | msgspec.UnsetType = msgspec.UNSET
    exit_code: int | None | msgspec.UnsetType = msgspec.UNSET
    row_count: int | msgspec.UnsetType = msgspec.UNSET
    last_step: int | None | msgspec.UnsetType = msgspec.UNSET
    is_deleted: bool | msgspec.UnsetType = msgspec.UNSET


class RunDocuments(msgspec.Struct, kw_only=True):
    """The nested values of a run, and the running totals behind its summary."""

    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    metrics: tuple[MetricDefinition, ...] = ()
    totals: dict[str, Accumulator] = {}


class ValueChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Indexed leaves to set and to remove, by dotted name. `scope` is c (config) or s (summary)."""

    scope: str
    values: Mapping[str, object]
    removed: frozenset[str] = frozenset()


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a project's live runs. `cursor` is what the store gave with the page before."""

    project_pk: int
    filters: Filter | None
    order: Order
    cursor: str | None
    limit: int
    include: frozenset[str]


class StoredPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs in order, and the cursor of the next page or None."""

    runs: tuple[RunRecord, ...]
    next_cursor: str | None


class RunStore(Protocol):
    """Keeps runs."""

    def next_number(self, tx: Transaction, project_pk: int) -> int:
        """The number of the project's next run; given once."""
        ...

    def find(self, tx: Transaction, run: RunRef, *, include: frozenset[str]) -> StoredRun | None:
        """A run by address, tombstones included."""
        ...

    def create(self, tx: Transaction, new: NewRun) -> int:
        """Make a run; its key."""
        ...

    def update(self, tx: Transaction, run_pk: int, changes: RunChanges) -> None:
        """Set columns."""
        ...

    def documents(self, tx: Transaction, run_pk: int) -> RunDocuments:
        """Every document of a run."""
        ...

    def create_documents(self, tx: Transaction, run_pk: int, documents: RunDocuments) -> None:
        """Store the documents of a new run."""
        ...

    def update_documents(
        self, tx: Transaction, run_pk: int, documents: RunDocuments, *, names: frozenset[str]
    ) -> None:
        """Store the named documents again."""
        ...

    def index_values(self, tx: Transaction, run_pk: int, project_pk: int, *, changes: ValueChanges) -> None:
        """Keep the table of filterable values in step with a document."""
        ...

    def set_tags(self, tx: Transaction, run_pk: int, tags: tuple[str, ...]) -> None:
        """Replace the tags."""
        ...

    def page(self, tx: Transaction, query: RunQuery) -> StoredPage:
        """A page of live runs. Raises InvalidFilter for a cursor of another query."""
        ...

    def count(self, tx: Transaction, project_pk: int, filters: Filter | None) -> int:
        """How many live runs match."""
        ...

    def wipe(self, tx: Transaction, run_pk: int) -> None:
        """Remove documents, indexed values and tags."""
        ...
