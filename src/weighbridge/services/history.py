"""Use cases of history: reading it, and folding its chunks into segments. No SQL and no arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from weighbridge.domain.chunk import Chunk, encode_chunk
from weighbridge.domain.run import RunRef
from weighbridge.errors import InvalidInput
from weighbridge.services.access import Action, Actor, check
from weighbridge.services.missing import deleted_run, did_you_mean, nearest, no_run
from weighbridge.services.ports.addresses import AddressBook
from weighbridge.services.ports.clock import Clock
from weighbridge.services.ports.history import (
    ChunkTail,
    HistoryEngine,
    HistoryParts,
    HistoryStore,
    NewChunk,
    Span,
    StoredChunk,
    StoredSegment,
)
from weighbridge.services.ports.runs import RunStore
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.unit_of_work import UnitOfWork
from weighbridge.wire.history import (
    BucketSeries,
    MetricKey,
    ReadBuckets,
    ReadRows,
    ReadSeries,
    RowPage,
    SampleRows,
    Series,
)

NAMES_MAX: Final = 1_000
BUCKETS_MAX: Final = 10_000
ROWS_MAX: Final = 10_000
SAMPLES_MAX: Final = 100_000

SMALL_ROWS: Final = 16_384
"""A tail of fewer rows stays in the database; its chunks are only joined. Folding loads NumPy (about 0.1 s), which
a short script that does without it would pay at `finish()`, and such chunks are read as fast as a segment."""
TAIL_CHUNKS_MAX: Final = 64
TAIL_ROWS_MAX: Final = 262_144
TAIL_BYTES_MAX: Final = 64 * 1024 * 1024
SEGMENT_ROWS_MAX: Final = 1_048_576
MERGE_COUNT: Final = 4
"""So many neighbouring segments of like size become one."""
_ROUNDS_MAX: Final = 10_000


def needs_folding(tail: ChunkTail, *, is_finished: bool) -> bool:
    """Whether a run's tail is worth folding now: it grew past a bound, or the run ended and is not small."""
    return (
        tail.chunk_count > TAIL_CHUNKS_MAX
        or tail.row_count > TAIL_ROWS_MAX
        or tail.size_bytes > TAIL_BYTES_MAX
        or (is_finished and tail.row_count >= SMALL_ROWS)
    )


class HistoryService:
    """What may be done with a run's history. `engine` is opened at the first read that needs it."""

    def __init__(
        self,
        uow: UnitOfWork,
        *,
        runs: RunStore,
        history: HistoryStore,
        addresses: AddressBook,
        engine: Callable[[], HistoryEngine],
        clock: Clock,
    ) -> None:
        self._uow = uow
        self._runs = runs
        self._history = history
        self._addresses = addresses
        self._engine = engine
        self._clock = clock

    # -------------------------------------------------------------------------------------------- reading

    def keys(self, actor: Actor, run: RunRef) -> tuple[MetricKey, ...]:
        """The metrics of a run by name."""
        check(actor, Action.READ, entity=run.entity, project=run.project)
        with self._uow.read() as tx:
            found = self._history.keys(tx, self._key_of(tx, run))
        return tuple(
            MetricKey(name=key.name, kind=key.kind, count=key.count, last_step=key.last_step) for key in found
        )

    def series(self, actor: Actor, request: ReadSeries) -> tuple[Series, ...]:
        """Every value of some metrics; a metric without a value between the steps comes back empty.

        Raises RunNotFound, InvalidInput (too many names, or one the run never logged; names the nearest).
        """
        check(actor, Action.READ, entity=request.run.entity, project=request.run.project)
        if not 1 <= len(request.names) <= NAMES_MAX:
            raise InvalidInput(
                f"{len(request.names):,} metrics were asked for.", hint=f"Ask for 1 to {NAMES_MAX:,} names."
            )
        span = Span(names=request.names, step_min=request.step_min, step_max=request.step_max)
        with self._uow.read() as tx:
            run_pk = self._key_of(tx, request.run)
            kinds = self._check_names(tx, run_pk, request.run, request.names)
            parts = self._parts(tx, run_pk, span)
        found = {each.name: each for each in self._engine().series(parts, span)}
        return tuple(
            Series(name=name, kind=each.kind, steps=each.steps, times_us=each.times_us, values=each.values)
            if (each := found.get(name)) is not None
            else Series(
                name=name,
                kind=kinds[name],
                steps=b"",
                times_us=b"",
                values=_EMPTY_VALUES.get(kinds[name], b""),
            )
            for name in request.names
        )

    def buckets(self, actor: Actor, request: ReadBuckets) -> BucketSeries:
        """A numeric metric thinned for a chart, every spike kept. Raises RunNotFound, InvalidInput."""
        check(actor, Action.READ, entity=request.run.entity, project=request.run.project)
        if not 1 <= request.buckets <= BUCKETS_MAX:
            raise InvalidInput(
                f"{request.buckets:,} buckets were asked for.", hint=f"Ask for 1 to {BUCKETS_MAX:,}."
            )
        span = Span(names=(request.name,), step_min=request.step_min, step_max=request.step_max)
        with self._uow.read() as tx:
            run_pk = self._key_of(tx, request.run)
            self._check_names(tx, run_pk, request.run, (request.name,))
            parts = self._parts(tx, run_pk, span, blocks_of=request.name)
        found = self._engine().buckets(parts, span, buckets=request.buckets)
        return BucketSeries(
            name=request.name,
            step_start=found.step_start,
            step_end=found.step_end,
            count=found.count,
            nan_count=found.nan_count,
            min=found.min,
            max=found.max,
            mean=found.mean,
            last=found.last,
        )

    def rows(self, actor: Actor, request: ReadRows) -> RowPage:
        """A page of merged rows by step. Raises RunNotFound, InvalidInput."""
        check(actor, Action.READ, entity=request.run.entity, project=request.run.project)
        if not 1 <= request.limit <= ROWS_MAX:
            raise InvalidInput(
                f"{request.limit:,} rows were asked for.", hint=f"Ask for 1 to {ROWS_MAX:,} at a time."
            )
        span = _span(request)
        with self._uow.read() as tx:
            run_pk = self._key_of(tx, request.run)
            parts = self._parts(tx, run_pk, span)
            created_at = self._created_at(tx, request.run)
        found = self._engine().rows(parts, span, limit=request.limit, require_all=request.require_all)
        return RowPage(rows=_with_runtime(found.rows, created_at), next_step=found.next_step)

    def sample(self, actor: Actor, request: SampleRows) -> RowPage:
        """Rows spread evenly over those that hold all the names. Raises RunNotFound, InvalidInput."""
        check(actor, Action.READ, entity=request.run.entity, project=request.run.project)
        if not 1 <= request.samples <= SAMPLES_MAX:
            raise InvalidInput(
                f"{request.samples:,} samples were asked for.", hint=f"Ask for 1 to {SAMPLES_MAX:,}."
            )
        span = _span(request)
        with self._uow.read() as tx:
            parts = self._parts(tx, self._key_of(tx, request.run), span)
            created_at = self._created_at(tx, request.run)
        found = self._engine().sample(parts, span, samples=request.samples)
        return RowPage(rows=_with_runtime(found, created_at), next_step=None)

    # -------------------------------------------------------------------------------------------- folding

    def fold(self, actor: Actor, run: RunRef) -> None:
        """Fold the run's tail into segments and merge small segments; readers see the same rows throughout.

        Blobs are written before the transaction that swaps them in. Where another process folded meanwhile,
        its work stands and this one's is dropped. A run that is gone is left alone.
        """
        check(actor, Action.WRITE, entity=run.entity, project=run.project)
        for _ in range(_ROUNDS_MAX):
            with self._uow.read() as tx:
                found = self._addresses.find_run(tx, run)
                if found is None or found.is_deleted:
                    return
                chunks = self._history.chunks(tx, found.run_pk)
            if not self._fold_some(found.run_pk, run, chunks):
                break
        self._merge(run)

    def _fold_some(self, run_pk: int, run: RunRef, chunks: tuple[StoredChunk, ...]) -> bool:
        """Fold or join the oldest chunks; whether there may be more to do."""
        row_count = sum(chunk.row_count for chunk in chunks)
        if row_count < SMALL_ROWS:
            if len(chunks) > 1:
                joined = _joined(chunks)
                with self._uow.write() as tx:
                    self._history.join_chunks(tx, run_pk, chunks, joined=joined)
            return False
        oldest = _prefix(chunks)
        segment = self._engine().fold(oldest, run=run)
        with self._uow.write() as tx:
            done = self._history.fold_chunks(tx, run_pk, oldest, segment=segment, at=self._clock.now())
        return done and len(oldest) < len(chunks)

    def _merge(self, run: RunRef) -> None:
        for _ in range(_ROUNDS_MAX):
            with self._uow.read() as tx:
                found = self._addresses.find_run(tx, run)
                if found is None or found.is_deleted:
                    return
                segments = self._history.segments(tx, found.run_pk)
            chosen = mergeable(segments)
            if not chosen:
                return
            segment = self._engine().merge(chosen, run=run)
            with self._uow.write() as tx:
                self._history.merge_segments(tx, found.run_pk, chosen, segment=segment, at=self._clock.now())

    # ------------------------------------------------------------------------------------------- in steps

    def _key_of(self, tx: Transaction, run: RunRef) -> int:
        found = self._addresses.find_run(tx, run)
        if found is None:
            raise no_run(tx, self._addresses, run)
        if found.is_deleted:
            raise deleted_run(run)
        return found.run_pk

    def _created_at(self, tx: Transaction, run: RunRef) -> float:
        found = self._runs.find(tx, run, include=frozenset())
        return 0.0 if found is None else found.record.created_at

    def _check_names(self, tx: Transaction, run_pk: int, run: RunRef, names: Sequence[str]) -> dict[str, str]:
        """The kinds of the run's metrics, once each name is known to be one."""
        kinds = {key.name: key.kind for key in self._history.keys(tx, run_pk)}
        kinds.update({"_step": "i", "_timestamp": "f"})
        for name in names:
            if name not in kinds:
                near = nearest(name, list(kinds)[:10_000])
                raise InvalidInput(
                    f"Run {run.path!r} has no metric {name[:80]!r}.",
                    hint=did_you_mean(near) or "See which it has with history.keys.",
                    details={"run": run.path, "name": name[:80], "nearest": near},
                )
        return kinds

    def _parts(
        self, tx: Transaction, run_pk: int, span: Span, *, blocks_of: str | None = None
    ) -> HistoryParts:
        segments = self._history.segments(tx, run_pk, step_min=span.step_min, step_max=span.step_max)
        blocks: dict[int, bytes] = {}
        if blocks_of is not None and segments:
            blocks = self._history.blocks(tx, [segment.segment_pk for segment in segments], blocks_of)
        return HistoryParts(
            segments=segments,
            chunks=self._history.chunks(tx, run_pk, step_min=span.step_min, step_max=span.step_max),
            blocks=blocks,
        )


_EMPTY_VALUES: Final = {"s": b"\x90", "j": b"\x90"}  # MessagePack of an empty list


def _span(request: ReadRows | SampleRows) -> Span:
    names = request.names
    if names is not None and not 1 <= len(names) <= NAMES_MAX:
        raise InvalidInput(
            f"{len(names):,} metrics were asked for.", hint=f"Ask for 1 to {NAMES_MAX:,}, or None for all."
        )
    return Span(names=names, step_min=request.step_min, step_max=request.step_max)


def _with_runtime(rows: list[dict[str, object]], created_at: float) -> tuple[dict[str, object], ...]:
    """The rows with `_runtime`, seconds since the run was created."""
    for row in rows:
        timestamp = row["_timestamp"]
        if isinstance(timestamp, float):
            row["_runtime"] = timestamp - created_at
    return tuple(rows)


def _prefix(chunks: tuple[StoredChunk, ...]) -> tuple[StoredChunk, ...]:
    """The oldest chunks that fit into one fold: at least one, within SEGMENT_ROWS_MAX and TAIL_BYTES_MAX."""
    row_count = size_bytes = 0
    for number, chunk in enumerate(chunks):
        row_count += chunk.row_count
        size_bytes += len(chunk.data)
        if number and (row_count > SEGMENT_ROWS_MAX or size_bytes > TAIL_BYTES_MAX):
            return chunks[:number]
    return chunks


def _joined(chunks: tuple[StoredChunk, ...]) -> NewChunk:
    """One chunk with the rows of several, in order of arrival."""
    data = encode_chunk([row for chunk in chunks for row in Chunk(chunk.data).rows()])
    made = Chunk(data)
    return NewChunk(row_count=made.row_count, step_min=made.step_min, step_max=made.step_max, data=data)


def _level(row_count: int) -> int:
    """The size class of a segment: the power of MERGE_COUNT below its row count."""
    level = 0
    while row_count >= MERGE_COUNT:
        row_count //= MERGE_COUNT
        level += 1
    return level


def mergeable(segments: Sequence[StoredSegment]) -> tuple[StoredSegment, ...]:
    """The newest segments, in order of arrival, that should become one; none where it is not worth it.

    Segments of one size class merge when there are MERGE_COUNT of them, so a row is written again about once a
    class; and so do fewer that fill more than half a segment but would overflow with one more.
    """
    best: tuple[StoredSegment, ...] = ()
    row_count, level = 0, 0
    for number in range(len(segments) - 1, -1, -1):
        row_count += segments[number].row_count
        level = max(level, _level(segments[number].row_count))
        if row_count > SEGMENT_ROWS_MAX:
            newest = tuple(segments[number + 1 :])
            filled = row_count - segments[number].row_count
            return newest if len(newest) > 1 and filled > SEGMENT_ROWS_MAX // 2 else best
        chosen = tuple(segments[number:])
        if sum(1 for each in chosen if _level(each.row_count) == level) >= MERGE_COUNT:
            best = chosen
    return best
