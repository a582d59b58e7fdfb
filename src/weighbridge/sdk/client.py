"""What the runs and readers of one process share: settings, the transport, the digest cache.

One Client per home and process; a forked child opens its own, because database connections must not cross a
fork. It must not hold run state.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.sdk.notices import warn_once
from weighbridge.settings import Settings, resolve

if TYPE_CHECKING:
    from weighbridge.sdk.digest_cache import DigestCache
    from weighbridge.sdk.transport.base import Identity, Transport

_clients: dict[tuple[int, Path], Client] = {}
_lock = threading.Lock()


class Client:
    """Lazily opened parts; every property opens once, thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.RLock()
        self._transport: Transport | None = None
        self._digests: DigestCache | None = None

    @property
    def home(self) -> Path:
        """The home folder, absolute."""
        return self.settings.home

    @property
    def spool_dir(self) -> Path:
        """Where spools of runs lie until they are shipped."""
        return self.home / "spool"

    @property
    def transport(self) -> Transport:
        """The other side; opening it may create the home. Raises StorageError, SchemaTooNew."""
        with self._lock:
            if self._transport is None:
                from weighbridge.sdk.transport.local import open_local

                if self.settings.url is not None:
                    warn_once(
                        f"url {self.home}",
                        "the setting url names a server, which this version cannot talk to yet; "
                        f"everything is kept in {self.home}.",
                    )
                self._transport = open_local(self.settings)
            return self._transport

    @property
    def identity(self) -> Identity:
        """Who we are to the other side, and what short paths default to."""
        return self.transport.identity

    @property
    def digests(self) -> DigestCache:
        """Digests of files seen before."""
        with self._lock:
            if self._digests is None:
                from weighbridge.sdk.digest_cache import DigestCache

                self._digests = DigestCache(self.home / "cache" / "digests.sqlite")
            return self._digests

    def close(self) -> None:
        """Close what was opened; the next use opens again."""
        with self._lock:
            if self._transport is not None:
                self._transport.close()
                self._transport = None
            if self._digests is not None:
                self._digests.close()
                self._digests = None


def client_for(settings: Settings | None = None) -> Client:
    """The process's Client for the home that the settings name."""
    chosen = settings if settings is not None else resolve()
    key = (os.getpid(), chosen.home)
    with _lock:
        client = _clients.get(key)
        if client is None:
            client = _clients[key] = Client(chosen)
        return client


def _forget_after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _clients.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
