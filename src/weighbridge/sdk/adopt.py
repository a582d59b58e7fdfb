"""Finds spools that lie in a home and ships them: those of dead processes by themselves, offline ones by
`sync`.

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

from weighbridge.errors import WeighbridgeError
from weighbridge.sdk.client import Client
from weighbridge.sdk.notices import notice
from weighbridge.sdk.sender import Lease, Sender, has_owner
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
            if entry.is_dir() and not entry.name.startswith(".") and entry.name != "damaged":
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
        lease = Lease(folder)
        if not lease.acquire():
            continue
        try:
            yield ship_orphan(client, folder, progress)
        finally:
            lease.release()
    _clear_unborn(client.spool_dir)


def ship_orphan(client: Client, folder: Path, progress: Callable[[int, int], None] | None = None) -> Synced:
    """Ship a dead writer's spool whole, end its run, delete it. The caller holds the lease."""
    run_path: str | None = None
    start = 0
    try:
        sender = Sender(folder, client.transport, say=notice)
        run_path = sender.run.path
        sender.reload()
        start, end = sender.offset, end_offset(folder)
        while sender.ship_block(is_final=True):
            if progress is not None:
                progress(sender.offset - start, end - start)
        sender.close_orphan()
        sender.remove()
    except WeighbridgeError as error:
        notice(f"spool {folder.name} could not be shipped and is kept: {error}")
        return Synced(spool_id=folder.name, run_path=run_path, shipped_bytes=0, error=str(error))
    return Synced(spool_id=folder.name, run_path=run_path, shipped_bytes=sender.offset - start)


def _clear_unborn(spool_dir: Path) -> None:
    """Delete what writers that died before their spool was visible left, and removers that died half-way."""
    import shutil

    try:
        entries = list(os.scandir(spool_dir))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith((".new-", ".gone-")) and time.time() - entry.stat().st_mtime > STALE_NEW_S:
            shutil.rmtree(entry.path, ignore_errors=True)
