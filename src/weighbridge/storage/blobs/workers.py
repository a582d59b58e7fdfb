"""Hands the files of one call to a few threads and stops all of them at the first error. It does no work itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from weighbridge.services.ports.blobs import Progress
from weighbridge.storage.blobs.copying import Clone, Pipeline

WORKERS_MAX: Final = 2
"""Workers of one call. Each may own one hashing thread and 2 MiB of buffers: 4 threads and 6 MiB at most."""


class Workers:
    """Runs `work(index, pipeline)` once for every index below `count`, in order of index but side by side.

    A run ends early, at a file boundary, when the files done in it pass a bound, so that the caller can
    publish them; `is_done` tells whether anything is left for another run.
    """

    def __init__(
        self, count: int, *, clone: Clone, progress: Progress | None, threads_max: int = WORKERS_MAX
    ) -> None:
        self._count = count
        self._clone = clone
        self._progress = progress
        self._lock = threading.Lock()
        self._next = 0
        self._stopped = False
        self._threads_max = threads_max
        self._files_done = 0
        self._bytes_done = 0

    @property
    def is_done(self) -> bool:
        """Whether every index has been handed out."""
        return self._next >= self._count

    def run(self, work: Callable[[int, Pipeline], None], *, files_max: int, bytes_max: int) -> None:
        """Work until everything, or about `files_max` files or `bytes_max` bytes, is done; raise the first error."""
        files_end, bytes_end = self._files_done + files_max, self._bytes_done + bytes_max

        def worker() -> None:
            with Pipeline(clone=self._clone) as pipeline:
                while (index := self._take(files_end, bytes_end)) is not None:
                    try:
                        work(index, pipeline)
                    except BaseException:
                        self._stopped = True
                        raise
                    self._advance(1, 0)

        threads = min(self._threads_max, self._count - self._next)
        if threads == 1:
            worker()
            return
        with ThreadPoolExecutor(threads, thread_name_prefix="weighbridge-blobs") as pool:
            futures = [pool.submit(worker) for _ in range(threads)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._stopped = True
                raise

    def advance(self, size_bytes: int) -> None:
        """Count bytes as done and report them."""
        self._advance(0, size_bytes)

    def _take(self, files_end: int, bytes_end: int) -> int | None:
        with self._lock:
            if self._stopped or self._next >= self._count:
                return None
            if self._files_done >= files_end or self._bytes_done >= bytes_end:
                return None
            self._next += 1
            return self._next - 1

    def _advance(self, files: int, size_bytes: int) -> None:
        with self._lock:
            self._files_done += files
            self._bytes_done += size_bytes
            done = self._files_done, self._bytes_done
        if self._progress is not None:
            self._progress(*done)
