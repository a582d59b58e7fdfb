"""Ships one spool to a transport: reads frames, makes batches, and remembers how far it came.

It runs in whoever holds the spool's lease: the shipper process, a thread, `finish()`, `weighbridge sync`.
Batches are named by spool and offset, so one that is sent twice is stored once. Memory is bounded by one
block of the spool.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from weighbridge.domain.run import RunRef, RunState
from weighbridge.errors import (
    InvalidInput,
    LimitExceeded,
    OffsetConflict,
    SchemaTooNew,
    StorageError,
    TransportError,
    WeighbridgeError,
)
from weighbridge.sdk.file_lock import FileLock
from weighbridge.sdk.pending_batch import PendingBatch
from weighbridge.sdk.replay import replay
from weighbridge.sdk.spool import ACKED, FRAME_BYTES, KIND_ARTIFACT, KIND_ITEM, KIND_ROW, LEASE, OWNER
from weighbridge.sdk.spool_reader import HEADER_BYTES, Block, Gap, SpoolReader, segments, start_record
from weighbridge.sdk.transport.base import Transport
from weighbridge.wire.runs import AppendBatch, FinishItem, HistoryItem, Item, StartRun
from weighbridge.wire.spool_items import ArtifactItem

DAMAGED = "damaged"
"""Marks a spool that is kept as evidence, and names the folder below the spools where such ones go."""
GONE = ".gone-"
"""Begins the name of a spool that is stored and being deleted."""
ITEMS_MAX = 1_000

_rows = msgspec.msgpack.Decoder(tuple[int, float, dict[str, Any]])
_starts = msgspec.msgpack.Decoder(StartRun)
_items: msgspec.msgpack.Decoder[Item] = msgspec.msgpack.Decoder(Item)
_artifacts: msgspec.msgpack.Decoder[ArtifactItem] = msgspec.msgpack.Decoder(ArtifactItem)

Say = Callable[[str], None]
T = TypeVar("T")


class Lease(FileLock):
    """The right to ship a spool, held by one process at a time; gone with the process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / LEASE)


def has_owner(folder: Path) -> bool:
    """Whether the process that writes the spool lives; its lock tells, so a reused pid fools nobody."""
    try:
        fd = os.open(folder / OWNER, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def run_of(folder: Path) -> RunRef:
    """The run that a spool belongs to. Raises DamagedRecord, SchemaTooNew."""
    return _decoded(_starts, start_record(folder), folder=folder).run


class Sender:
    """Ships one spool. Use it only while holding the spool's Lease."""

    def __init__(self, folder: Path, transport: Transport, *, say: Say, is_started: bool = False) -> None:
        """Read whose spool it is. is_started: the run is known to the other side already.

        Raises DamagedRecord if the spool does not say, SchemaTooNew if a newer version says it.
        """
        self.folder = folder
        self.spool_id = folder.name
        self.is_finished = False
        """Whether the run's own word that it ended has been shipped."""
        self._request = _decoded(_starts, start_record(folder), folder=folder)
        self.run = self._request.run
        self._transport = transport
        self._say = say
        self._is_started = is_started
        self._reader = SpoolReader(folder)

    def reload(self) -> None:
        """Take up where the last holder of the lease left off; makes the run known if it is not."""
        # Never back: what we shipped ourselves is stored, also where the note of it could not be written.
        self._reader.offset = max(self._reader.offset, self._acked())
        if not self._is_started:
            self._reader.offset = self._transport.runs.start(self._request).next_offset
            self._is_started = True

    @property
    def offset(self) -> int:
        """Everything before it is stored on the other side."""
        return self._reader.offset

    def ship_block(self, *, is_final: bool) -> bool:
        """Ship the next block; False where nothing was left to ship. Raises what the transport raises.

        is_final: the writer has closed the spool or is gone.
        """
        before = self._reader.offset
        block = self._reader.read(is_final=is_final)
        if block is None:
            return False
        try:
            if isinstance(block, Gap):
                self._report_gap(block)
            else:
                self._ship(block)
        except OffsetConflict as conflict:
            self._reader.offset = before
            expected = conflict.details.get("expected")
            if not isinstance(expected, int) or expected == before:
                raise
            self._reader.offset = expected
            return True
        except WeighbridgeError:
            self._reader.offset = before
            raise
        self._ack(self._reader.offset)
        return True

    def ship_all(self, *, is_final: bool) -> None:
        """Ship until nothing is left."""
        while self.ship_block(is_final=is_final):
            pass

    def close_orphan(self) -> None:
        """End the run of a writer that died without a word."""
        if not self.is_finished and not self._request.is_attached:
            self._transport.runs.close(self.run, self.spool_id, RunState.CRASHED)

    def set_aside(self, error: WeighbridgeError) -> None:
        """Keep the whole spool as evidence where nobody looks for work: its run takes nothing any more."""
        self._pass_over("what was logged", error)
        self.remove()

    def remove(self) -> None:
        """Delete the spool once all is shipped; one with damage is kept aside as evidence."""
        if (self.folder / DAMAGED).exists():
            target = self.folder.parent / DAMAGED / self.spool_id
        else:
            target = self.folder.with_name(f"{GONE}{self.spool_id}")
        try:
            target.parent.mkdir(exist_ok=True)
            # In one step, so that nobody who looks for work finds half a spool.
            self.folder.rename(target)
        except OSError as error:
            raise StorageError(
                f"The spool {self.folder} is stored, but cannot be removed: {error.strerror or error}.",
                hint="Check the folder's owner and mode; it is tried again by whoever uses this home next.",
            ) from error
        if target.name.startswith(GONE):
            shutil.rmtree(target, ignore_errors=True)

    def _ship(self, block: Block) -> None:
        """Send the frames of a block as one batch, or several where an artifact stands between them."""
        pending = PendingBatch(self._pass_over)
        position = offset = block.start
        for kind, payload in block.frames:
            begin, position = position, position + FRAME_BYTES + len(payload)
            if kind == KIND_ROW:
                pending.add_row(_decoded(_rows, payload, folder=self.folder))
            elif kind == KIND_ITEM:
                pending.add_item(_decoded(_items, payload, folder=self.folder))
            elif kind == KIND_ARTIFACT:
                # What stands before it first, then the artifact, and only then the word that it is stored.
                if begin > offset:
                    offset = self._send(pending, offset, begin)
                self._replay(_decoded(_artifacts, payload, folder=self.folder))
                offset = self._send(pending, offset, position)
            else:
                raise _too_new(self.folder, f"a frame of kind {kind}")
            if len(pending.items) >= ITEMS_MAX - 2:
                offset = self._send(pending, offset, position)
        if position > offset:
            self._send(pending, offset, position)

    def _replay(self, item: ArtifactItem) -> None:
        """Carry out an artifact record. One that is refused for good is said, kept and passed over."""
        try:
            replay(item, self.run, self._transport)
        except (StorageError, TransportError):
            raise
        except WeighbridgeError as error:
            if error.retryable:
                raise
            self._pass_over(type(item).__name__.removesuffix("Item"), error)

    def _mark_damaged(self) -> None:
        """Have the spool kept aside in the end. Raises StorageError, since evidence must not be lost."""
        try:
            (self.folder / DAMAGED).touch()
        except OSError as error:
            raise StorageError(
                f"The spool {self.folder} cannot be written: {error.strerror or error}.",
                hint="Check the folder's owner and mode, or free some space.",
            ) from error

    def _send(self, pending: PendingBatch, offset: int, end: int) -> int:
        """Store what is pending as the bytes [offset, end); the offset after it.

        Of a batch that is refused for good, rows and the run's end are tried alone, then the end alone: one
        bad item must hold up neither the others nor what comes after them.
        """
        items = tuple(pending.take())
        for kept in (items, _only(items, HistoryItem, FinishItem), _only(items, FinishItem)):
            try:
                self._append(kept, offset, end)
            except (InvalidInput, LimitExceeded) as error:
                self._pass_over(f"{len(kept):,} items", error)
            else:
                self.is_finished = self.is_finished or bool(_only(kept, FinishItem))
                return end
        self._append((), offset, end)
        return end

    def _append(self, items: tuple[Item, ...], offset: int, end: int) -> None:
        batch = AppendBatch(run=self.run, spool_id=self.spool_id, offset=offset, end_offset=end, items=items)
        self._transport.runs.append(batch)

    def _pass_over(self, what: str, error: WeighbridgeError) -> None:
        """Say that something was refused for good; the spool is kept as evidence."""
        self._mark_damaged()
        self._say(
            f"spool {self.spool_id}: {what} of run {self.run.path} refused and passed over: {error} "
            f"The spool is kept in {self.folder.parent / DAMAGED}."
        )

    def _report_gap(self, gap: Gap) -> None:
        """Say that bytes were lost, and pass over them on the other side too."""
        self._mark_damaged()
        self._say(
            f"spool {self.spool_id}: {gap.end - gap.start:,} bytes at offset {gap.start:,} are torn or "
            "damaged and were passed over; every whole row before and after them is kept."
        )
        self._append((), gap.start, gap.end)

    def _acked(self) -> int:
        try:
            data = (self.folder / ACKED).read_bytes()
        except OSError:
            return 0
        return int.from_bytes(data[:8], "little") if len(data) == 8 else 0

    def _ack(self, offset: int) -> None:
        """Note how far we came, then delete segments read to their end.

        A lost note costs one refused batch, and keeps the segments.
        """
        try:
            fd = os.open(self.folder / ACKED, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, offset.to_bytes(8, "little"), 0)
            finally:
                os.close(fd)
            parts = segments(self.folder)
            for (start, path), (following, _) in zip(parts, parts[1:], strict=False):
                if following <= offset and start + path.stat().st_size - HEADER_BYTES <= offset:
                    path.unlink(missing_ok=True)
        except OSError:
            return  # a full disk, say; the next block tries again


def _only(items: tuple[Item, ...], *kinds: type[Item]) -> tuple[Item, ...]:
    return tuple(item for item in items if isinstance(item, kinds))


def _decoded(decoder: msgspec.msgpack.Decoder[T], payload: bytes | memoryview, *, folder: Path) -> T:
    """A record whose checksum held: what is unreadable about it comes from a newer version."""
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _too_new(folder, f"a record that cannot be read ({error})") from error


def _too_new(folder: Path, what: str) -> SchemaTooNew:
    return SchemaTooNew(
        f"Spool {folder.name} holds {what}; it is of a newer version of Weighbridge.",
        hint="Upgrade weighbridge, then run: weighbridge sync. The spool is kept as it is.",
        details={"path": str(folder)},
    )
