"""A progress bar on stderr for transfers that take long. It must cost nothing where nobody watches."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from weighbridge.services.ports.blobs import Progress
    from weighbridge.settings import Settings

SHOW_AFTER_S: Final = 2.0
SHOW_BYTES: Final = 256 << 20


class TransferProgress:
    """Shows a bar once the work has taken two seconds, or at once where it is more than 256 MiB.

    `callback` is None where no bar may be shown: not a terminal, `quiet`, `silent`.
    """

    def __init__(self, title: str, *, total_bytes: int, settings: Settings | None = None) -> None:
        self._title = title
        self._total_bytes = total_bytes
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        is_quiet = settings is not None and (settings.quiet or settings.silent)
        is_watched = sys.stderr is not None and sys.stderr.isatty() and not is_quiet
        self.callback: Progress | None = self._advance if is_watched and total_bytes else None

    def __enter__(self) -> TransferProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None
            self.callback = None

    def _advance(self, files_done: int, bytes_done: int) -> None:
        with self._lock:
            if self.callback is None:  # a late thread, after the end
                return
            is_long = time.monotonic() - self._started >= SHOW_AFTER_S or self._total_bytes >= SHOW_BYTES
            if self._bar is None and is_long:
                self._open()
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=bytes_done)

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as NewBar
        from rich.progress import TransferSpeedColumn as Speed

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            Speed(),
            TimeRemainingColumn(),
        )
        self._bar = NewBar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._title, total=self._total_bytes)
        self._bar.start()
