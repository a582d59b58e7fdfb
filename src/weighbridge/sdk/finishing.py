"""The end of a run: its own process ships what is left, within a time limit, and says how it went.

A short run therefore never needs the shipper process. What cannot be shipped in time stays in the spool,
for the shipper, the next process that opens the home, or `weighbridge sync`.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.errors import WeighbridgeError
from weighbridge.sdk.notices import notice, warn
from weighbridge.sdk.sender import Lease, Sender
from weighbridge.sdk.spool import FINISHING
from weighbridge.sdk.spool_reader import end_offset

if TYPE_CHECKING:
    from weighbridge.sdk.client import Client
    from weighbridge.sdk.run import Run
    from weighbridge.sdk.spool import SpoolWriter

LEASE_LOOK_S = 0.002
RETRY_S = 0.1


def ship_rest(
    client: Client, folder: Path, *, timeout_s: float, is_final: bool, blocks_max: int | None = None
) -> bool:
    """Ship what a spool still holds; True once nothing is left, and then an `is_final` spool is deleted.

    Waits for whoever holds the lease, and tries again after errors that may pass, until `timeout_s` has
    gone by. Raises the last error of the transport, or nothing.
    """
    deadline = time.monotonic() + timeout_s
    lease = Lease(folder)
    while not lease.acquire():
        if time.monotonic() >= deadline:
            return False
        time.sleep(LEASE_LOOK_S)  # the holder gives it up after each block
    try:
        sender = Sender(folder, client.transport, say=warn, is_started=False)
        sender.reload()
        blocks = 0
        while blocks_max is None or blocks < blocks_max:
            try:
                if not sender.ship_block(is_final=is_final):
                    break
                blocks += 1
            except WeighbridgeError as error:
                if not error.retryable or time.monotonic() + RETRY_S >= deadline:
                    raise
                time.sleep(RETRY_S)
            if time.monotonic() >= deadline and blocks_max is None:
                return False
        else:
            return False
        if is_final:
            sender.remove()
        return True
    finally:
        lease.release()


def finish_run(run: Run, *, quiet: bool, has_forked: bool) -> None:
    """Close a run's spool and ship the rest of it."""
    from weighbridge.sdk.monitor import monitor_for

    writer, client = run._writer, run._client
    if writer is None:
        return
    if not _write_backlog(writer, run):
        warn(
            f"run {run.path}: {writer.problem} "
            f"{writer.backlog_bytes:,} bytes of it could not be written and are lost."
        )
    if writer.dropped_rows:
        warn(f"run {run.path}: {writer.dropped_rows:,} rows were lost while the disk took nothing.")
    if run.offline:
        writer.sync()
        writer.release()
        if not quiet:
            notice(f"run {run.name} is kept in {writer.path}; send it with: weighbridge sync")
        return
    with contextlib.suppress(OSError):
        (writer.path / FINISHING).touch()
    writer.close()
    error: WeighbridgeError | None = None
    shipped = False
    try:
        if writer.path.exists():
            shipped = ship_rest(client, writer.path, timeout_s=run.settings.finish_timeout_s, is_final=True)
    except WeighbridgeError as caught:
        error = caught
    writer.release()
    monitor_for(run.settings).forget(run)
    if has_forked and shipped:
        _adopt_children(client)
    if not shipped:
        _say_what_is_left(run, writer.path, error)
    elif not quiet:
        notice(f"run {run.name} ({run.path}) {'finished' if not run.exit_code else 'ended with an error'}.")


def _write_backlog(writer: SpoolWriter, run: Run) -> bool:
    """Write what waits in memory, for which there will be no later chance; waits for the disk a while."""
    timeout_s = run.settings.finish_timeout_s
    deadline = time.monotonic() + timeout_s
    if writer.flush_backlog():
        return True
    warn(
        f"run {run.path}: {writer.problem} {writer.backlog_bytes:,} bytes of it wait in memory; "
        f"finish() tries to write them for {timeout_s:g} s."
    )
    while time.monotonic() + RETRY_S < deadline:
        time.sleep(RETRY_S)
        if writer.flush_backlog():
            return True
    return False


def _adopt_children(client: Client) -> None:
    """Ship what forked or spawned processes of this run left behind when they ended."""
    from weighbridge.sdk.adopt import adopt_orphans

    adopt_orphans(client)


def _say_what_is_left(run: Run, folder: Path, error: WeighbridgeError | None) -> None:
    with contextlib.suppress(OSError):
        (folder / FINISHING).unlink(missing_ok=True)
    size = end_offset(folder) if folder.exists() else 0
    why = f"{error}" if error is not None else f"not done within {run.settings.finish_timeout_s:g} s."
    warn(
        f"run {run.path}: {size:,} bytes are kept in {folder} and were not stored yet: {why} "
        "They are sent by the next process that uses this home, or by: weighbridge sync"
    )
