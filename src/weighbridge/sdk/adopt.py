"""Ships spools that lie in a home: those of dead processes by themselves, offline ones by `sync`.

One mechanism for crash recovery, offline runs and late shipping. It never touches a spool whose writer is
alive.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from weighbridge.domain.run import RunRef
from weighbridge.errors import Conflict, WeighbridgeError
from weighbridge.sdk.client import Client
from weighbridge.sdk.notices import notice
from weighbridge.sdk.sender import DAMAGED, GONE, Lease, Sender, has_owner, run_of
from weighbridge.sdk.spool import OFFLINE, OWNER
from weighbridge.sdk.spool_reader import end_offset

STALE_NEW_S = 3_600.0


class SpoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `weighbridge sync` and `doctor` say of one spool."""

    spool_id: str
    path: str
    size_bytes: int
    is_offline: bool
    is_live: bool


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """One spool that was shipped, or why not."""

    spool_id: str
    run_path: str | None
    shipped_bytes: int
    error: str | None = None


def spool_folders(spool_dir: Path) -> list[Path]:
    """Folders of spools, oldest first; names being made (`.new-*`) are left out."""
    found = []
    try:
        entries = list(os.scandir(spool_dir))
    except OSError:
        return []
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):  # shipped and removed by somebody else just now
            if entry.is_dir() and not entry.name.startswith(".") and entry.name != DAMAGED:
                found.append((entry.stat().st_mtime, Path(entry.path)))
    return [path for _, path in sorted(found)]


def statuses(client: Client) -> list[SpoolStatus]:
    """Every spool that is still in the home."""
    return [
        SpoolStatus(
            spool_id=folder.name,
            path=str(folder),
            size_bytes=end_offset(folder),
            is_offline=(folder / OFFLINE).exists(),
            is_live=has_owner(folder),
        )
        for folder in spool_folders(client.spool_dir)
    ]


def adopt_orphans(client: Client, *, include_offline: bool = False) -> list[Synced]:
    """Ship every spool whose writer is gone; return what was done. Cheap when there is none.

    A spool that cannot be shipped stays and is reported; it never stops the others.
    """
    return list(iter_adopted(client, include_offline=include_offline))


def adopt_run(client: Client, run: RunRef) -> None:
    """Ship what dead processes left of one run, so that it can be continued after its last row."""
    for folder in spool_folders(client.spool_dir):
        if (folder / OFFLINE).exists() or not (folder / OWNER).exists() or has_owner(folder):
            continue
        with contextlib.suppress(WeighbridgeError):  # one that can't be read is said by whoever ships it
            if run_of(folder) == run:
                _adopt(client, folder, None)


def iter_adopted(
    client: Client,
    *,
    include_offline: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Synced]:
    """As `adopt_orphans`, one by one; `progress` gets (bytes shipped, bytes in all) of the present spool."""
    for folder in spool_folders(client.spool_dir):
        if (folder / OFFLINE).exists() and not include_offline:
            continue
        if not (folder / OWNER).exists() or has_owner(folder):
            continue
        synced = _adopt(client, folder, progress)
        if synced is not None:
            yield synced
    _clear_leftovers(client.spool_dir)


def _adopt(client: Client, folder: Path, progress: Callable[[int, int], None] | None) -> Synced | None:
    """Ship one spool, unless somebody else is at it."""
    lease = Lease(folder)
    if not lease.acquire():
        return None
    try:
        return ship_orphan(client, folder, progress)
    finally:
        lease.release()


def ship_orphan(
    client: Client,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    says_failure: bool = True,
) -> Synced:
    """Ship a dead writer's spool whole, end its run, delete it. The caller holds the lease."""
    run_path: str | None = None
    start = 0
    try:
        sender = Sender(folder, client.transport, say=notice)
        run_path = sender.run.path
        try:
            sender.reload()
        except Conflict as error:  # the run was deleted meanwhile
            sender.set_aside(error)
            return Synced(spool_id=folder.name, run_path=run_path, shipped_bytes=0, error=str(error))
        start, end = sender.offset, end_offset(folder)
        while sender.ship_block(is_final=True):
            if progress is not None:
                progress(sender.offset - start, end - start)
        sender.close_orphan()
        sender.remove()
    except WeighbridgeError as error:
        if says_failure:
            notice(f"spool {folder.name} could not be shipped and is kept: {error}")
        return Synced(spool_id=folder.name, run_path=run_path, shipped_bytes=0, error=str(error))
    return Synced(spool_id=folder.name, run_path=run_path, shipped_bytes=sender.offset - start)


def _clear_leftovers(spool_dir: Path) -> None:
    """Delete what dead processes left: spools that never became visible, and stored ones half deleted."""
    import shutil

    try:
        entries = list(os.scandir(spool_dir))
    except OSError:
        return
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):
            is_unborn = entry.name.startswith(".new-") and time.time() - entry.stat().st_mtime > STALE_NEW_S
            if is_unborn or entry.name.startswith(GONE):
                shutil.rmtree(entry.path, ignore_errors=True)
