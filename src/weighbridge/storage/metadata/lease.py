"""One host at a time on a home that hosts share: a lease file beside the database.

File locks are not to be trusted on network file systems, so a host owns the home while its lease file is
younger than 120 s. Ages are differences of modification times that the file server itself wrote, so clocks of
hosts need not agree. Processes of one host share its lease: between them file locks work.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from weighbridge.errors import StorageBusy
from weighbridge.storage.metadata.dialect import translate

LEASE_S: Final = 120.0
RENEW_S: Final = 30.0
_LEASE_MAX_BYTES: Final = 4_096


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease. A host that was started again is another holder."""

    hostname: str
    boot_id: str
    pid: int

    def is_same_host(self, other: Holder) -> bool:
        """Whether both speak for one boot of one host."""
        return (self.hostname, self.boot_id) == (other.hostname, other.boot_id)


def this_holder() -> Holder:
    """The holder this process would be."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot_id = ""
    return Holder(socket.gethostname(), boot_id, os.getpid())


class HostLease:
    """The lease of one home. `hold()` before each transaction; cheap while the lease is fresh."""

    def __init__(self, path: Path, *, holder: Holder | None = None) -> None:
        self._path = path
        self._holder = holder
        self._held_until = 0.0
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Return once this host holds the lease; StorageBusy, naming the host, while another does."""
        if time.monotonic() < self._held_until:
            return
        with self._lock:
            try:
                self._acquire()
            except OSError as error:
                raise translate(error, name=str(self._path)) from error
            self._held_until = time.monotonic() + RENEW_S

    def release(self) -> None:
        """Forget the lease; the file stays, since other processes of this host may rely on it."""
        self._held_until = 0.0

    def _acquire(self) -> None:
        own = self._holder or this_holder()
        mine = self._path.with_name(f"{self._path.name}.{own.hostname}.{os.getpid()}.{threading.get_ident()}")
        mine.write_bytes(msgspec.json.encode(own))
        try:
            found = self._read(self._path)
            if found is not None and found.is_same_host(own):
                mine.replace(self._path)
                return
            if self._path.exists():
                self._retire(mine, found)
            try:
                os.link(mine, self._path)
            except FileExistsError:
                found = self._read(self._path)
                if found is None or not found.is_same_host(own):
                    raise self._busy(found) from None
        finally:
            mine.unlink(missing_ok=True)

    def _retire(self, mine: Path, found: Holder | None) -> None:
        """Move an expired lease out of the way; StorageBusy if it is not, or no longer, expired."""
        age_s = mine.stat().st_mtime - self._path.stat().st_mtime
        if age_s < LEASE_S:
            raise self._busy(found)
        old = mine.with_name(mine.name + ".old")
        try:
            self._path.rename(old)
        except FileNotFoundError:
            return
        try:
            # Another host may have taken over between the look and the rename: then give it back.
            if mine.stat().st_mtime - old.stat().st_mtime < LEASE_S:
                os.link(old, self._path)
                raise self._busy(self._read(old))
        finally:
            old.unlink(missing_ok=True)

    @staticmethod
    def _read(path: Path) -> Holder | None:
        try:
            with path.open("rb") as file:
                return msgspec.json.decode(file.read(_LEASE_MAX_BYTES), type=Holder)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _busy(self, found: Holder | None) -> StorageBusy:
        host = found.hostname if found is not None else "another host"
        return StorageBusy(
            f"The home {self._path.parent} is in use by host {host!r}; one host at a time may open it "
            "on a network file system.",
            hint=f"Runs keep spooling and are stored later; stop the other host, or wait {LEASE_S:.0f} s.",
            details={"host": host, "home": str(self._path.parent)},
        )
