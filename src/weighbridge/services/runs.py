"""Use cases of runs: start, feed, end, read, change, delete. No SQL; run_batches.py applies the batches."""

from __future__ import annotations

from typing import Final

import msgspec

from weighbridge.domain.filters import Filter, parse_filter, parse_order
from weighbridge.domain.names import (
    check_entity,
    check_project,
    check_run_id,
    display_name,
    is_registry,
)
from weighbridge.domain.run import Resume, RunRecord, RunRef, RunState
from weighbridge.domain.summary import flatten
from weighbridge.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    InvalidName,
    LimitExceeded,
    OffsetConflict,
)
from weighbridge.services.access import Action, Actor, check
from weighbridge.services.history import needs_folding
from weighbridge.services.missing import deleted_run, no_project, no_run
from weighbridge.services.ports.addresses import AddressBook
from weighbridge.services.ports.audit import AuditEvent, AuditStore
from weighbridge.services.ports.clock import Clock
from weighbridge.services.ports.history import HistoryStore
from weighbridge.services.ports.runs import (
    DOCUMENTS,
    NewRun,
    RunChanges,
    RunDocuments,
    RunQuery,
    RunStore,
    StoredRun,
    ValueChanges,
)
from weighbridge.services.ports.spools import Spool, SpoolStore
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.unit_of_work import UnitOfWork
from weighbridge.services.run_batches import KEYS_MAX, BatchApplier, check_label, check_tags
from weighbridge.wire.runs import (
    AppendBatch,
    HistoryItem,
    ListRuns,
    RunPage,
    StartedRun,
    StartRun,
    UpdateRun,
)

ALIVE_S: Final = 120.0
"""A writer without a sign of life for longer counts as gone."""
BATCH_ITEMS_MAX: Final = 1_000
BATCH_BYTES_MAX: Final = 40 * 1024 * 1024
PAGE_MAX: Final = 1_000
SPOOL_ID_MAX: Final = 128

_NOTHING: Final[frozenset[str]] = frozenset()


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """How far a spool is stored now, and whether HistoryService.fold is due for the run."""

    next_offset: int
    needs_folding: bool


class RunsService:
    """What may be done with runs. Every method checks access first and is one transaction."""

    def __init__(
        self,
        uow: UnitOfWork,
        *,
        runs: RunStore,
        spools: SpoolStore,
        history: HistoryStore,
        addresses: AddressBook,
        audit: AuditStore,
        clock: Clock,
    ) -> None:
        self._uow = uow
        self._runs = runs
        self._spools = spools
        self._history = history
        self._addresses = addresses
        self._audit = audit
        self._clock = clock

    # -------------------------------------------------------------------------------------------- writing

    def start(self, actor: Actor, request: StartRun) -> StartedRun:
        """Create a run, or continue it as `resume` says; again with the same spool it changes nothing.

        Raises RunNotFound (must, or attached, and missing), AlreadyExists (never, and there), Conflict (the
        run was deleted, or the spool is another run's), InvalidName, InvalidInput, LimitExceeded.
        """
        ref = request.run
        check(actor, Action.WRITE, entity=ref.entity, project=ref.project)
        _check_start(request)
        now = self._clock.now()
        with self._uow.write() as tx:
            found = self._runs.find(tx, ref, include=_NOTHING)
            spool = self._spools.find(tx, request.spool_id)
            if spool is None:
                if found is None:
                    run_pk = self._create(tx, actor, request, now=now)
                else:
                    run_pk = self._continue(tx, actor, request, found, now=now)
                self._spools.create(tx, run_pk, request.spool_id, is_attached=request.is_attached, at=now)
                return self._started(tx, ref, is_resumed=found is not None, spool_id=request.spool_id)
            self._check_owner(spool, found, ref)
            return self._started(
                tx,
                ref,
                is_resumed=self._spools.has_earlier(tx, spool),
                spool_id=request.spool_id,
                spool=spool,
            )

    def append(self, actor: Actor, batch: AppendBatch) -> Stored:
        """Store one batch in one transaction; a batch that is stored already is a no-op.

        Raises OffsetConflict (details: expected, got) where it does not begin at the end of what is stored,
        RunNotFound, LimitExceeded, DamagedRecord.
        """
        ref = batch.run
        check(actor, Action.WRITE, entity=ref.entity, project=ref.project)
        _check_batch(batch)
        with self._uow.write() as tx:
            run = self._live(tx, ref, include=_NOTHING)
            spool = self._spools.find(tx, batch.spool_id)
            if spool is None or spool.run_pk != run.run_pk:
                raise OffsetConflict(
                    f"The run {ref.path!r} has no spool {batch.spool_id[:80]!r}.",
                    hint="Start the run with this spool first.",
                    details={"expected": None, "got": batch.offset, "spool_id": batch.spool_id[:80]},
                )
            if batch.end_offset <= spool.next_offset:
                return Stored(next_offset=spool.next_offset, needs_folding=False)
            if batch.offset != spool.next_offset:
                raise OffsetConflict(
                    f"A batch of run {ref.path!r} begins at byte {batch.offset:,} of its spool; "
                    f"stored are {spool.next_offset:,}.",
                    hint="Send what follows the stored bytes.",
                    details={"expected": spool.next_offset, "got": batch.offset},
                )
            return self._apply(tx, run, batch, spool=spool)

    def heartbeat(self, actor: Actor, run: RunRef, spool_id: str) -> None:
        """Note that the writer lives."""
        check(actor, Action.WRITE, entity=run.entity, project=run.project)
        now = self._clock.now()
        with self._uow.write() as tx:
            found = self._live(tx, run, include=_NOTHING)
            spool = self._spools.find(tx, spool_id)
            if spool is not None and spool.run_pk == found.run_pk:
                self._spools.update(
                    tx,
                    spool.spool_pk,
                    next_offset=spool.next_offset,
                    is_open=spool.is_open,
                    heartbeat_at=now,
                )
            self._runs.update(tx, found.run_pk, RunChanges(heartbeat_at=now))

    def close(self, actor: Actor, run: RunRef, *, spool_id: str, state: RunState) -> None:
        """Close the spool of a process that is gone; end the run unless it ended or another writer lives.

        The run ends when it was last heard of. An attached process never ends its run.
        """
        check(actor, Action.WRITE, entity=run.entity, project=run.project)
        if state.is_open:
            raise InvalidInput(f"{state.value!r} is no end of a run.", hint="Pass crashed, failed or killed.")
        now = self._clock.now()
        with self._uow.write() as tx:
            found = self._live(tx, run, include=_NOTHING)
            spool = self._spools.find(tx, spool_id)
            if spool is not None and spool.run_pk == found.run_pk and spool.is_open:
                self._spools.update(
                    tx,
                    spool.spool_pk,
                    next_offset=spool.next_offset,
                    is_open=False,
                    heartbeat_at=spool.heartbeat_at,
                )
            if (spool is not None and spool.is_attached) or not found.record.state.is_open:
                return
            if self._spools.has_other_open(tx, found.run_pk, spool_id, since=now - ALIVE_S):
                return
            ended_at = found.record.heartbeat_at or now
            changes = RunChanges(state=state, finished_at=ended_at, updated_at=now)
            self._runs.update(tx, found.run_pk, changes)

    def update(self, actor: Actor, request: UpdateRun) -> RunRecord:
        """Change labels, config and summary from outside; the run as it now stands."""
        ref = request.run
        check(actor, Action.WRITE, entity=ref.entity, project=ref.project)
        now = self._clock.now()
        with self._uow.write() as tx:
            run = self._live(tx, ref, include=_NOTHING)
            applier = BatchApplier(tx, run, runs=self._runs, history=self._history)
            applier.set_labels(
                display_name=request.display_name,
                job_type=request.job_type,
                group=request.group,
                notes=request.notes,
            )
            if request.tags is not None:
                self._runs.set_tags(tx, run.run_pk, check_tags(request.tags))
            if request.config is not None:
                applier.set_config(request.config)
            if request.summary is not None or request.summary_removed:
                applier.set_summary(request.summary or {}, request.summary_removed)
            applier.save(at=now, is_alive=False)
            changed = [name for name in _UPDATABLE if getattr(request, name) not in (None, ())]
            self._record(tx, actor, "run.updated", ref, at=now, details={"changed": changed})
            return self._live(tx, ref, include=DOCUMENTS).record

    def delete(self, actor: Actor, run: RunRef) -> None:
        """Remove a run's data; its row stays as a tombstone, so that lineage stays whole. Repeatable."""
        check(actor, Action.DELETE, entity=run.entity, project=run.project)
        now = self._clock.now()
        with self._uow.write() as tx:
            found = self._runs.find(tx, run, include=_NOTHING)
            if found is None:
                raise no_run(tx, self._addresses, run)
            if found.record.is_deleted:
                return
            self._runs.wipe(tx, found.run_pk)
            self._history.wipe(tx, found.run_pk)
            self._runs.update(tx, found.run_pk, RunChanges(is_deleted=True, updated_at=now))
            self._record(tx, actor, "run.deleted", run, at=now, details={})

    # -------------------------------------------------------------------------------------------- reading

    def get(self, actor: Actor, run: RunRef) -> RunRecord:
        """A run with all its documents. Raises RunNotFound, ProjectNotFound."""
        check(actor, Action.READ, entity=run.entity, project=run.project)
        with self._uow.read() as tx:
            return self._live(tx, run, include=DOCUMENTS).record

    def list_runs(self, actor: Actor, request: ListRuns) -> RunPage:
        """A page of runs. Raises ProjectNotFound, InvalidFilter, InvalidInput."""
        check(actor, Action.READ, entity=request.entity, project=request.project)
        filters, order = parse_filter(request.filters), parse_order(request.order)
        if not 1 <= request.limit <= PAGE_MAX:
            raise InvalidInput(
                f"A page of {request.limit} runs is not allowed.", hint=f"Ask for 1 to {PAGE_MAX:,}."
            )
        include = frozenset(request.include)
        if not include <= DOCUMENTS:
            raise InvalidInput(
                f"Runs have no field {min(include - DOCUMENTS)!r} to include.",
                hint=f"Known: {', '.join(sorted(DOCUMENTS))}.",
            )
        with self._uow.read() as tx:
            query = RunQuery(
                project_pk=self._project(tx, request.entity, request.project),
                filters=filters,
                order=order,
                cursor=request.cursor,
                limit=request.limit,
                include=include,
            )
            page = self._runs.page(tx, query)
        return RunPage(runs=page.runs, next_cursor=page.next_cursor)

    def count(self, actor: Actor, entity: str, project: str, *, filters: dict[str, object]) -> int:
        """How many runs match. Raises ProjectNotFound, InvalidFilter."""
        check(actor, Action.READ, entity=entity, project=project)
        wanted: Filter | None = parse_filter(filters)
        with self._uow.read() as tx:
            return self._runs.count(tx, self._project(tx, entity, project), wanted)

    # ------------------------------------------------------------------------------------------- in steps

    def _project(self, tx: Transaction, entity: str, project: str) -> int:
        found = self._addresses.find_project(tx, entity, project)
        if found is None:
            raise no_project(tx, self._addresses, entity=entity, project=project)
        return found

    def _live(self, tx: Transaction, ref: RunRef, *, include: frozenset[str]) -> StoredRun:
        found = self._runs.find(tx, ref, include=include)
        if found is None:
            raise no_run(tx, self._addresses, ref)
        if found.record.is_deleted:
            raise deleted_run(ref)
        return found

    def _create(self, tx: Transaction, actor: Actor, request: StartRun, *, now: float) -> int:
        ref = request.run
        if request.is_attached:
            raise no_run(tx, self._addresses, ref, hint="A process can only attach to a run that exists.")
        if request.resume is Resume.MUST:
            raise no_run(tx, self._addresses, ref, hint="Pass resume='allow' to create it.")
        project_pk = self._addresses.ensure_project(tx, ref.entity, ref.project, at=now)
        number = self._runs.next_number(tx, project_pk)
        new = NewRun(
            project_pk=project_pk,
            run_id=ref.run_id,
            number=number,
            display_name=request.display_name or display_name(request.name_seed, number),
            state=RunState.RUNNING,
            job_type=request.job_type or "",
            group=request.group or "",
            notes=request.notes or "",
            user=actor.user,
            created_at=request.started_at or now,
            at=now,
        )
        run_pk = self._runs.create(tx, new)
        documents = RunDocuments(config=dict(request.config), environment=dict(request.environment))
        self._runs.create_documents(tx, run_pk, documents)
        values = ValueChanges(scope="c", values=dict(flatten(request.config)))
        self._runs.index_values(tx, run_pk, project_pk, changes=values)
        if request.tags:
            self._runs.set_tags(tx, run_pk, check_tags(request.tags))
        self._record(tx, actor, "run.created", ref, at=now, details={"job_type": new.job_type})
        return run_pk

    def _continue(
        self, tx: Transaction, actor: Actor, request: StartRun, found: StoredRun, *, now: float
    ) -> int:
        ref = request.run
        if found.record.is_deleted:
            raise Conflict(
                f"The id of run {ref.path!r} belonged to a run that was deleted.",
                hint="Choose another id; ids are never used twice.",
                details={"run": ref.path},
            )
        if request.is_attached:
            return found.run_pk
        if request.resume is Resume.NEVER:
            raise AlreadyExists(
                f"The run {ref.path!r} exists already.",
                hint="Pass resume='allow' to continue it, or choose another id.",
                details={"run": ref.path},
            )
        applier = BatchApplier(tx, found, runs=self._runs, history=self._history)
        applier.set_state(RunState.RUNNING)
        applier.set_labels(
            display_name=request.display_name,
            job_type=request.job_type,
            group=request.group,
            notes=request.notes,
        )
        if request.tags is not None:
            self._runs.set_tags(tx, found.run_pk, check_tags(request.tags))
        if request.config:
            applier.set_config(request.config)
        if request.environment:
            applier.set_environment(request.environment)
        applier.save(at=now)
        self._record(tx, actor, "run.resumed", ref, at=now, details={})
        return found.run_pk

    def _started(
        self, tx: Transaction, ref: RunRef, *, is_resumed: bool, spool_id: str, spool: Spool | None = None
    ) -> StartedRun:
        run = self._live(tx, ref, include=DOCUMENTS)
        last_step = run.record.last_step
        since = self._clock.now() - ALIVE_S
        return StartedRun(
            run=run.record,
            is_resumed=is_resumed,
            next_step=0 if last_step is None else last_step + 1,
            next_offset=0 if spool is None else spool.next_offset,
            has_live_writer=is_resumed and self._spools.has_other_open(tx, run.run_pk, spool_id, since=since),
        )

    def _apply(self, tx: Transaction, run: StoredRun, batch: AppendBatch, *, spool: Spool) -> Stored:
        now = self._clock.now()
        applier = BatchApplier(tx, run, runs=self._runs, history=self._history)
        for item in batch.items:
            applier.apply(item)
        is_finished = applier.finish is not None
        if spool.is_attached:
            applier.finish = None
        applier.save(at=now)
        self._spools.update(
            tx,
            spool.spool_pk,
            next_offset=batch.end_offset,
            is_open=spool.is_open and not is_finished,
            heartbeat_at=now,
        )
        has_history = any(isinstance(item, HistoryItem) for item in batch.items)
        return Stored(
            next_offset=batch.end_offset,
            needs_folding=(has_history or is_finished)
            and needs_folding(self._history.tail(tx, run.run_pk), is_finished=is_finished),
        )

    @staticmethod
    def _check_owner(spool: Spool, found: StoredRun | None, ref: RunRef) -> None:
        if found is None or found.run_pk != spool.run_pk:
            raise Conflict(
                f"The spool {spool.spool_id!r} belongs to another run than {ref.path!r}.",
                hint="Start each run with a spool of its own.",
                details={"spool_id": spool.spool_id, "run": ref.path},
            )

    def _record(
        self,
        tx: Transaction,
        actor: Actor,
        action: str,
        ref: RunRef,
        *,
        at: float,
        details: dict[str, object],
    ) -> None:
        event = AuditEvent(at=at, actor=actor.user, action=action, subject=ref.path, details=details)
        self._audit.add(tx, event)


_UPDATABLE: Final = (
    "display_name",
    "job_type",
    "group",
    "tags",
    "notes",
    "config",
    "summary",
    "summary_removed",
)


def _check_start(request: StartRun) -> None:
    """Refuse what can never be stored, before any transaction."""
    check_entity(request.run.entity)
    check_project(request.run.project)
    check_run_id(request.run.run_id)
    if is_registry(request.run.project):
        raise InvalidName(
            f"Project {request.run.project!r} is a registry; runs cannot be in it.",
            hint="Choose a project, and link versions into the registry.",
            details={"project": request.run.project},
        )
    if not request.spool_id or len(request.spool_id) > SPOOL_ID_MAX:
        raise InvalidInput("A spool id is empty or too long.", hint=f"Use 1 to {SPOOL_ID_MAX} characters.")
    check_label("display name", request.display_name)
    check_label("job type", request.job_type)
    check_label("group", request.group)
    check_label("notes", request.notes)
    if len(request.config) > KEYS_MAX:
        raise LimitExceeded(
            f"The config of run {request.run.path!r} has {len(request.config):,} keys; at most {KEYS_MAX:,}.",
            hint="Keep large tables in an artifact.",
        )


def _check_batch(batch: AppendBatch) -> None:
    size_bytes = sum(len(item.chunk) for item in batch.items if isinstance(item, HistoryItem))
    if len(batch.items) > BATCH_ITEMS_MAX or size_bytes > BATCH_BYTES_MAX:
        raise LimitExceeded(
            f"A batch of {len(batch.items):,} items and {size_bytes:,} bytes is too large.",
            hint=f"Send at most {BATCH_ITEMS_MAX:,} items and {BATCH_BYTES_MAX:,} bytes.",
            details={"items": len(batch.items), "size_bytes": size_bytes},
        )
    if not 0 <= batch.offset < batch.end_offset:
        raise InvalidInput(
            f"A batch from byte {batch.offset} to {batch.end_offset} says nothing.",
            hint="Offsets begin at 0 and end after they begin.",
        )
