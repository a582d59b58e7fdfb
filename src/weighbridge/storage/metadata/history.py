"""History in SQL: chunks as they came, the directories of segments, the metric names. It decodes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    bindparam,
    cast,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    text,
)

from weighbridge.services.ports.history import (
    ChunkTail,
    NewChunk,
    NewSegment,
    StoredChunk,
    StoredKey,
    StoredSegment,
)
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.dialect import give_back_space
from weighbridge.storage.metadata.tables import (
    history_blocks,
    history_chunks,
    history_keys,
    history_segments,
)

_INSERT_CHUNK: Final = insert(history_chunks)
_INSERT_SEGMENT: Final = insert(history_segments).returning(history_segments.c.segment_pk)
_INSERT_BLOCKS: Final = insert(history_blocks)
# The CASE is a rule of the domain, kept here because to read, widen and write back a name would cost three
# times as much; services.run_batches.widened says the same and a contract test holds the two together.
_ADD_KEY: Final = text(
    """
    INSERT INTO history_keys (run_pk, name, kind, value_count, last_step)
    VALUES (:run_pk, :name, :kind, :value_count, :last_step)
    ON CONFLICT (run_pk, name) DO UPDATE SET
        kind = CASE
            WHEN history_keys.kind = excluded.kind THEN excluded.kind
            WHEN history_keys.kind IN ('i', 'f') AND excluded.kind IN ('i', 'f') THEN 'f'
            ELSE 'j'
        END,
        value_count = history_keys.value_count + excluded.value_count,
        last_step = CASE
            WHEN history_keys.last_step > excluded.last_step THEN history_keys.last_step
            ELSE excluded.last_step
        END
    """
)
_KEYS: Final = (
    select(history_keys).where(history_keys.c.run_pk == bindparam("run_pk")).order_by(history_keys.c.name)
)
_TAIL: Final = select(
    func.count().label("chunk_count"),
    func.coalesce(func.sum(history_chunks.c.row_count), 0).label("row_count"),
    func.coalesce(func.sum(func.length(history_chunks.c.data)), 0).label("size_bytes"),
).where(history_chunks.c.run_pk == bindparam("run_pk"))


def _reaching(table: Table) -> tuple[ColumnElement[bool], ...]:
    """Rows of a run that reach into the steps; a null bound is open."""
    low, high = cast(bindparam("step_min"), BigInteger), cast(bindparam("step_max"), BigInteger)
    return (
        table.c.run_pk == bindparam("run_pk"),
        or_(low.is_(null()), table.c.step_max >= low),
        or_(high.is_(null()), table.c.step_min <= high),
    )


_CHUNKS: Final = (
    select(history_chunks.c.chunk_pk, history_chunks.c.row_count, history_chunks.c.data)
    .where(*_reaching(history_chunks))
    .order_by(history_chunks.c.chunk_pk)
)
_SEGMENTS: Final = (
    select(history_segments).where(*_reaching(history_segments)).order_by(history_segments.c.segment_pk)
)
_BLOCKS: Final = select(history_blocks.c.segment_pk, history_blocks.c.blocks).where(
    history_blocks.c.segment_pk.in_(bindparam("segment_pks", expanding=True)),
    history_blocks.c.name == bindparam("name"),
)
_DROP_CHUNKS: Final = delete(history_chunks).where(
    history_chunks.c.run_pk == bindparam("pk"),
    history_chunks.c.chunk_pk.in_(bindparam("chunk_pks", expanding=True)),
)
_DROP_SEGMENTS: Final = delete(history_segments).where(
    history_segments.c.run_pk == bindparam("pk"),
    history_segments.c.segment_pk.in_(bindparam("segment_pks", expanding=True)),
)
_DROP_BLOCKS: Final = delete(history_blocks).where(
    history_blocks.c.segment_pk.in_(bindparam("segment_pks", expanding=True))
)
_CHUNK_MARKS: Final = select(history_chunks.c.chunk_pk, history_chunks.c.row_count).where(
    history_chunks.c.run_pk == bindparam("pk"),
    history_chunks.c.chunk_pk.in_(bindparam("chunk_pks", expanding=True)),
)
_SEGMENT_MARKS: Final = select(history_segments.c.segment_pk, history_segments.c.digest).where(
    history_segments.c.run_pk == bindparam("pk"),
    history_segments.c.segment_pk.in_(bindparam("segment_pks", expanding=True)),
)
_RUN_SEGMENTS: Final = select(history_segments.c.segment_pk).where(
    history_segments.c.run_pk == bindparam("pk")
)
# Blocks name their segment, so they go first: a foreign key is not relied on to remove data.
_WIPES: Final = (
    delete(history_blocks).where(history_blocks.c.segment_pk.in_(_RUN_SEGMENTS)),
    delete(history_segments).where(history_segments.c.run_pk == bindparam("pk")),
    delete(history_chunks).where(history_chunks.c.run_pk == bindparam("pk")),
    delete(history_keys).where(history_keys.c.run_pk == bindparam("pk")),
)


class SqlHistoryStore:
    """HistoryStore over the `history_*` tables."""

    def add_chunk(self, tx: Transaction, run_pk: int, chunk: NewChunk) -> None:
        """Append rows."""
        connection(tx).execute(
            _INSERT_CHUNK,
            {
                "run_pk": run_pk,
                "row_count": chunk.row_count,
                "step_min": chunk.step_min,
                "step_max": chunk.step_max,
                "data": chunk.data,
            },
        )

    def add_keys(self, tx: Transaction, run_pk: int, keys: Sequence[StoredKey]) -> None:
        """Count values of metrics in."""
        rows: list[dict[str, Any]] = [
            {
                "run_pk": run_pk,
                "name": key.name,
                "kind": key.kind,
                "value_count": key.count,
                "last_step": key.last_step,
            }
            for key in keys
        ]
        if rows:
            connection(tx).execute(_ADD_KEY, rows)

    def keys(self, tx: Transaction, run_pk: int) -> tuple[StoredKey, ...]:
        """Metrics by name."""
        return tuple(
            StoredKey(name=row.name, kind=row.kind, count=row.value_count, last_step=row.last_step)
            for row in connection(tx).execute(_KEYS, {"run_pk": run_pk})
        )

    def tail(self, tx: Transaction, run_pk: int) -> ChunkTail:
        """How much is not folded."""
        row = connection(tx).execute(_TAIL, {"run_pk": run_pk}).one()
        return ChunkTail(chunk_count=row.chunk_count, row_count=row.row_count, size_bytes=row.size_bytes)

    def chunks(
        self, tx: Transaction, run_pk: int, *, step_min: int | None = None, step_max: int | None = None
    ) -> tuple[StoredChunk, ...]:
        """Chunks that reach into the steps, in order of arrival."""
        bounds = {"run_pk": run_pk, "step_min": step_min, "step_max": step_max}
        return tuple(
            StoredChunk(chunk_pk=row.chunk_pk, row_count=row.row_count, data=row.data)
            for row in connection(tx).execute(_CHUNKS, bounds)
        )

    def segments(
        self, tx: Transaction, run_pk: int, *, step_min: int | None = None, step_max: int | None = None
    ) -> tuple[StoredSegment, ...]:
        """Segments that reach into the steps, in order of arrival."""
        bounds = {"run_pk": run_pk, "step_min": step_min, "step_max": step_max}
        return tuple(
            StoredSegment(
                segment_pk=row.segment_pk,
                digest=row.digest,
                row_count=row.row_count,
                step_min=row.step_min,
                step_max=row.step_max,
                directory=row.directory,
            )
            for row in connection(tx).execute(_SEGMENTS, bounds)
        )

    def blocks(self, tx: Transaction, segment_pks: Sequence[int], name: str) -> dict[int, bytes]:
        """Packed block statistics of one metric by segment."""
        found = connection(tx).execute(_BLOCKS, {"segment_pks": list(segment_pks), "name": name})
        return {row.segment_pk: row.blocks for row in found}

    def join_chunks(
        self, tx: Transaction, run_pk: int, chunks: Sequence[StoredChunk], *, joined: NewChunk
    ) -> bool:
        """Swap chunks for the one made of them, in their place in the order of arrival."""
        if not self._drop_chunks(tx, run_pk, chunks):
            return False
        row = {"run_pk": run_pk, "chunk_pk": chunks[-1].chunk_pk, **msgspec.structs.asdict(joined)}
        connection(tx).execute(_INSERT_CHUNK, row)
        return True

    def fold_chunks(
        self, tx: Transaction, run_pk: int, chunks: Sequence[StoredChunk], *, segment: NewSegment, at: float
    ) -> bool:
        """Swap the oldest chunks for the segment made of them; False where one is gone already."""
        if not self._drop_chunks(tx, run_pk, chunks):
            return False
        self._add_segment(tx, run_pk, segment, at=at)
        give_back_space(connection(tx))
        return True

    def merge_segments(
        self,
        tx: Transaction,
        run_pk: int,
        segments: Sequence[StoredSegment],
        *,
        segment: NewSegment,
        at: float,
    ) -> bool:
        """Swap neighbouring segments for the one made of them, in their place; False where one is gone."""
        sql = connection(tx)
        which = {"pk": run_pk, "segment_pks": [each.segment_pk for each in segments]}
        found = {(row.segment_pk, row.digest) for row in sql.execute(_SEGMENT_MARKS, which)}
        if found != {(each.segment_pk, each.digest) for each in segments}:
            return False
        sql.execute(_DROP_BLOCKS, {"segment_pks": which["segment_pks"]})
        sql.execute(_DROP_SEGMENTS, which)
        self._add_segment(tx, run_pk, segment, at=at, segment_pk=segments[-1].segment_pk)
        return True

    @staticmethod
    def _drop_chunks(tx: Transaction, run_pk: int, chunks: Sequence[StoredChunk]) -> bool:
        sql, which = connection(tx), {"pk": run_pk, "chunk_pks": [each.chunk_pk for each in chunks]}
        found = {(row.chunk_pk, row.row_count) for row in sql.execute(_CHUNK_MARKS, which)}
        if found != {(each.chunk_pk, each.row_count) for each in chunks}:
            return False
        sql.execute(_DROP_CHUNKS, which)
        return True

    def wipe(self, tx: Transaction, run_pk: int) -> None:
        """Remove a run's history. Blobs stay, for others may hold the same."""
        for statement in _WIPES:
            connection(tx).execute(statement, {"pk": run_pk})
        give_back_space(connection(tx))

    @staticmethod
    def _add_segment(
        tx: Transaction, run_pk: int, segment: NewSegment, *, at: float, segment_pk: int | None = None
    ) -> None:
        sql = connection(tx)
        row: dict[str, Any] = {
            "run_pk": run_pk,
            "digest": segment.digest,
            "row_count": segment.row_count,
            "step_min": segment.step_min,
            "step_max": segment.step_max,
            "directory": segment.directory,
            "created_at": at,
        }
        if segment_pk is not None:
            row["segment_pk"] = segment_pk
        segment_pk = sql.execute(_INSERT_SEGMENT, row).scalar_one()
        rows = [
            {"segment_pk": segment_pk, "name": name, "blocks": blocks}
            for name, blocks in segment.blocks.items()
        ]
        if rows:
            sql.execute(_INSERT_BLOCKS, rows)
