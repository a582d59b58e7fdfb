"""Ships one spool to a transport: reads frames, makes batches, and remembers how far it came.

It runs in whoever holds the spool's lease: the shipper process, a thread, `finish()`, `weighbridge sync`.
Batches are named by spool and offset, so one that is sent twice is stored once. Memory is bounded by one
block of the spool.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from weighbridge.domain.chunk import encode_chunk
from weighbridge.domain.run import RunState
from weighbridge.errors import OffsetConflict, WeighbridgeError
from weighbridge.sdk.replay import replay
from weighbridge.sdk.spool import ACKED, FRAME_BYTES, KIND_ARTIFACT, KIND_ITEM, KIND_ROW, LEASE, OWNER
from weighbridge.sdk.spool_reader import Block, Gap, SpoolReader, segments, start_record
from weighbridge.sdk.transport.base import Transport
from weighbridge.wire.runs import AppendBatch, FinishItem, HistoryItem, Item, StartRun, SummaryItem
from weighbridge.wire.spool_items import ArtifactItem

DAMAGED = "damaged"
ITEMS_MAX = 1_000

_rows = msgspec.msgpack.Decoder(tuple[int, float, dict[str, Any]])
_starts = msgspec.msgpack.Decoder(StartRun)
_items: msgspec.msgpack.Decoder[Item] = msgspec.msgpack.Decoder(Item)
_artifacts: msgspec.msgpack.Decoder[ArtifactItem] = msgspec.msgpack.Decoder(ArtifactItem)

Say = Callable[[str], None]


class Lease:
    """The right to ship a spool, held by one process at a time; gone with the process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEASE
        self._fd = -1

    def acquire(self) -> bool:
        """Take the lease if nobody holds it; False if somebody does or the spool is gone."""
        try:
            fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.fstat(fd).st_ino == self._path.stat().st_ino
        except OSError:
            is_there = False
        if not is_there:  # held by somebody, or the spool was shipped and removed meanwhile
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Give the lease up."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def has_owner(folder: Path) -> bool:
    """Whether the process that writes the spool is alive (asked through its lock, so a reused pid can't
    fool us).
    """
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


class Sender:
    """Ships one spool. Use it only while holding the spool's Lease."""

    def __init__(self, folder: Path, transport: Transport, *, say: Say, is_started: bool = False) -> None:
        """Read whose spool it is. is_started: the run is known to the other side already.

        Raises DamagedRecord if the spool does not say.
        """
        self.folder = folder
        self.spool_id = folder.name
        self.is_finished = False
        """Whether the run's own word that it ended has been shipped."""
        self._request = _starts.decode(start_record(folder))
        self.run = self._request.run
        self._transport = transport
        self._say = say
        self._is_started = is_started
        self._reader = SpoolReader(folder)

    def reload(self) -> None:
        """Take up where the last holder of the lease left off; makes the run known if it is not."""
        self._reader.offset = self._acked()
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

    def remove(self) -> None:
        """Delete the spool once all is shipped; one with damage is kept aside as evidence."""
        if (self.folder / DAMAGED).exists():
            target = self.folder.parent / "damaged" / self.spool_id
            target.parent.mkdir(exist_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rename(target)
            return
        # Out of sight first: whoever looks for a lease now finds no folder, and makes no file in it.
        gone = self.folder.with_name(f".gone-{self.spool_id}")
        with contextlib.suppress(OSError):
            self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _ship(self, block: Block) -> None:
        """Send the frames of a block as one batch, or several where an artifact stands between them."""
        pending = _Pending()
        position = offset = block.start
        for kind, payload in block.frames:
            position += FRAME_BYTES + len(payload)
            if kind == KIND_ROW:
                pending.add_row(_rows.decode(payload))
            elif kind == KIND_ITEM:
                pending.add_item(_items.decode(payload))
            elif kind == KIND_ARTIFACT:
                offset = self._send(pending, offset, position)
                replay(_artifacts.decode(payload), self.run, self._transport)
            if len(pending.items) >= ITEMS_MAX - 2:
                offset = self._send(pending, offset, position)
        self._send(pending, offset, position)

    def _send(self, pending: _Pending, offset: int, end: int) -> int:
        items = pending.take()
        batch = AppendBatch(
            run=self.run, spool_id=self.spool_id, offset=offset, end_offset=end, items=tuple(items)
        )
        self._transport.runs.append(batch)
        self.is_finished = self.is_finished or any(isinstance(item, FinishItem) for item in items)
        return end

    def _report_gap(self, gap: Gap) -> None:
        """Say that bytes were lost, and pass over them on the other side too."""
        (self.folder / DAMAGED).touch()
        self._say(
            f"spool {self.spool_id}: {gap.end - gap.start:,} bytes at offset {gap.start:,} are torn or "
            "damaged and were passed over; every whole row before and after them is kept."
        )
        self._send(_Pending(), gap.start, gap.end)

    def _acked(self) -> int:
        try:
            data = (self.folder / ACKED).read_bytes()
        except OSError:
            return 0
        return int.from_bytes(data[:8], "little") if len(data) == 8 else 0

    def _ack(self, offset: int) -> None:
        """Note how far we came and delete segments that lie wholly before it. A lost note costs one refused
        batch.
        """
        with contextlib.suppress(OSError):
            fd = os.open(self.folder / ACKED, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, offset.to_bytes(8, "little"), 0)
            finally:
                os.close(fd)
        parts = segments(self.folder)
        for (_, path), (following, _) in zip(parts, parts[1:], strict=False):
            if following <= offset:
                path.unlink(missing_ok=True)


class _Pending:
    """The items of a batch under way: rows gathered into one chunk, summary settings folded together.

    A summary value set by hand and then logged again in the same batch is dropped, since the later row
    overrides it; so a script that sets the summary at every step still makes one chunk a batch.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._rows: list[tuple[int, float, dict[str, Any]]] = []
        self._set: dict[str, Any] = {}
        self._removed: set[str] = set()

    def add_row(self, row: tuple[int, float, dict[str, Any]]) -> None:
        self._rows.append(row)
        if self._set or self._removed:
            for name in row[2].keys() & (self._set.keys() | self._removed):
                self._set.pop(name, None)
                self._removed.discard(name)

    def add_item(self, item: Item) -> None:
        if isinstance(item, SummaryItem):
            for name in item.removed:
                self._set.pop(name, None)
                self._removed.add(name)
            self._set.update(item.values)
            self._removed -= item.values.keys()
            return
        self._flush()
        self.items.append(item)

    def _flush(self) -> None:
        if self._rows:
            self.items.append(HistoryItem(encode_chunk(self._rows)))
            self._rows = []
        if self._set or self._removed:
            self.items.append(SummaryItem(self._set, tuple(sorted(self._removed))))
            self._set, self._removed = {}, set()

    def take(self) -> list[Item]:
        self._flush()
        taken, self.items = self.items, []
        return taken
