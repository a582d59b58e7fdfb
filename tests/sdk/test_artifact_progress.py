"""The progress bar: only for who watches, only where it takes long."""

from __future__ import annotations

import io
import threading

import pytest

from weighbridge.sdk.progress import SHOW_BYTES, TransferProgress
from weighbridge.settings import Settings


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called in the test itself, since pytest puts its own stderr back after fixtures have run."""
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_nothing_is_shown_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert TransferProgress("storing", total_bytes=SHOW_BYTES).callback is None


@pytest.mark.parametrize("setting", ["quiet", "silent"])
def test_quiet_and_silent_show_nothing(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    watched(monkeypatch)
    settings = Settings(**{setting: True})
    assert TransferProgress("storing", total_bytes=SHOW_BYTES, settings=settings).callback is None


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with TransferProgress("storing", total_bytes=SHOW_BYTES - 1) as progress:
        assert progress.callback is not None
        progress.callback(1, 1)
    assert terminal.getvalue() == ""


def test_much_work_shows_a_bar_from_any_thread_and_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with TransferProgress("storing", total_bytes=SHOW_BYTES) as progress:
        callback = progress.callback
        assert callback is not None
        workers = [threading.Thread(target=callback, args=(1, part << 20)) for part in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert "storing" in terminal.getvalue()
    shown = terminal.getvalue()
    callback(2, SHOW_BYTES)  # a late worker
    assert terminal.getvalue() == shown
