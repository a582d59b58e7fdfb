"""The process that ships spools while their runs go on: one for each home, whoever starts it.

`main([home, ship_interval_s, network_home])`. It takes the home's shipper lock or leaves at once, ships
every spool it finds in turn (one block each, so that no run waits for another), sends heartbeats for the
living, ends the runs of the dead, and leaves when no living spool is left for a while. A process of its own
keeps the interpreter lock of the training process free (docs/design/0002-spool.md has the measurement) and
outlives a killed trainer.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from weighbridge.errors import WeighbridgeError
from weighbridge.sdk.adopt import ship_orphan, spool_folders
from weighbridge.sdk.client import Client
from weighbridge.sdk.file_lock import FileLock
from weighbridge.sdk.notices import warn
from weighbridge.sdk.sender import Lease, Sender, has_owner
from weighbridge.sdk.spool import FINISHING, OFFLINE, OWNER, SHIPPER_LOG
from weighbridge.settings import resolve

LOCK = ".shipper.lock"
LINGER_S = 3.0
HEARTBEAT_S = 30.0
BACKOFF_MAX_S = 60.0
BLOCKS_A_TURN = 4
LOG_BYTES_MAX = 1 << 20
"""Size at which the log is emptied; it holds the newest messages."""


class _Spool:
    """What the shipper remembers of one spool between turns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sender: Sender | None = None
        self.failures = 0
        self.not_before = 0.0
        self.beat_at = 0.0

    def failed(self, error: WeighbridgeError) -> None:
        """Wait longer after each failure; one that can't pass by waiting is looked at once a minute."""
        self.failures += 1
        wait = (
            BACKOFF_MAX_S if not error.retryable else min(BACKOFF_MAX_S, 0.2 * 2.0 ** min(self.failures, 9))
        )
        self.not_before = time.monotonic() + wait * random.uniform(0.5, 1.0)
        if self.failures in (1, 10, 100):
            warn(f"spool {self.folder.name}: {error} (tried {self.failures} times, will go on)")


class Shipper:
    """Ships all spools of a home until nobody needs it."""

    def __init__(self, client: Client, *, interval_s: float) -> None:
        self._client = client
        self._interval_s = interval_s
        self._spools: dict[Path, _Spool] = {}

    def run(self) -> None:
        """Loop until no living spool has been seen for `LINGER_S`."""
        last_needed = time.monotonic()
        while True:
            busy = False
            folders = spool_folders(self._client.spool_dir)
            for folder in folders:
                spool = self._spools.setdefault(folder, _Spool(folder))
                needed, moved = self._turn(spool)
                busy = busy or moved
                if needed:
                    last_needed = time.monotonic()
            for gone in self._spools.keys() - set(folders):
                del self._spools[gone]
            if not busy:
                _bound_log(self._client.spool_dir / SHIPPER_LOG)
                if time.monotonic() - last_needed > LINGER_S:
                    return
                time.sleep(self._interval_s)

    def _turn(self, spool: _Spool) -> tuple[bool, bool]:
        """Give one spool its turn; (whether somebody needs us for it, whether data moved)."""
        folder = spool.folder
        if (folder / OFFLINE).exists() or not (folder / OWNER).exists():
            return False, False
        is_live = has_owner(folder)
        if time.monotonic() < spool.not_before:
            return is_live, False
        if is_live and (folder / FINISHING).exists():
            return True, False  # the run itself ships the rest
        lease = Lease(folder)
        if not lease.acquire():
            return is_live, False
        try:
            moved = self._ship(spool) if is_live else self._ship_orphan(spool)
        except WeighbridgeError as error:
            spool.failed(error)
            return is_live, False
        finally:
            lease.release()
        return is_live, moved

    def _ship(self, spool: _Spool) -> bool:
        if spool.sender is None:
            spool.sender = Sender(spool.folder, self._client.transport, say=warn)
        sender = spool.sender
        sender.reload()
        moved = False
        for _ in range(BLOCKS_A_TURN):
            if not sender.ship_block(is_final=False):
                break
            moved = True
        now = time.monotonic()
        if now - spool.beat_at >= HEARTBEAT_S:
            self._client.transport.runs.heartbeat(sender.run, sender.spool_id)
            spool.beat_at = now
        spool.failures = 0
        return moved

    def _ship_orphan(self, spool: _Spool) -> bool:
        synced = ship_orphan(self._client, spool.folder, says_failure=spool.failures == 0)
        if synced.error is not None:
            spool.failures += 1
            spool.not_before = time.monotonic() + BACKOFF_MAX_S
        return synced.error is None


def _bound_log(path: Path) -> None:
    """Empty the log once it is large. Whoever writes it appends, and so goes on at its beginning."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_BYTES_MAX:
            os.truncate(path, 0)


def take_lock(spool_dir: Path) -> FileLock | None:
    """The home's shipper lock, or None if a shipper is at work. Raises OSError."""
    spool_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(spool_dir / LOCK)
    return lock if lock.acquire() else None


def main(arguments: Sequence[str]) -> int:
    """Run a shipper for a home (path, ship interval, file system); 0 also where one is at work."""
    home, interval_s, network_home = arguments
    settings = resolve(home=Path(home), ship_interval_s=interval_s, network_home=network_home, shipper="off")
    # Ctrl-C in the terminal goes to the whole group; what the trainer leaves behind must still be shipped.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")  # the trainer's folder may be unmounted or deleted
    with contextlib.suppress(OSError):
        os.nice(5)
    client = Client(settings)
    lock = take_lock(client.spool_dir)
    if lock is None:
        return 0
    try:
        Shipper(client, interval_s=settings.ship_interval_s).run()
    except Exception as error:
        # The last resort: it is said in the log, and the spools stay for the next shipper.
        warn(f"the shipper stopped: {type(error).__name__}: {error}")
        raise
    finally:
        client.close()
        lock.release()
    return 0
