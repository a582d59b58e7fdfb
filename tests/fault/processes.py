"""What the fault tests share: scripts in processes of their own, waiting with a deadline, reading back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weighbridge import Api
from weighbridge.domain.summary import SummaryFold
from weighbridge.sdk.adopt import Synced, iter_adopted, statuses
from weighbridge.sdk.client import client_for

SOURCES = Path(__file__).parents[2] / "src"
DEADLINE_S = 60.0


def start(
    code: str, *arguments: str, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """A Python process that runs `code` with pipes for its input and output, in the test's own home."""
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCES), **(env or {})}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
        **options,
    )


class Ended:
    """What a process left: its exit code and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process."""
    with process:
        out, err = process.communicate(timeout=DEADLINE_S)
    return Ended(process.returncode, out, err)


def run(code: str, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> Ended:
    """Run a script to its end."""
    return ended(start(code, *arguments, env=env, **options))


def heard(process: subprocess.Popen[str], word: str) -> None:
    """Wait until a process says a line."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line != word:
        process.kill()
        raise AssertionError(f"wanted {word!r}, heard {line!r}: {ended(process).err}")


def until(condition: Callable[[], object], what: str, *, within_s: float = DEADLINE_S) -> None:
    """Poll a condition until it holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.01)


def sync(*, offline: bool = True) -> list[Synced]:
    """What `weighbridge sync` does."""
    return list(iter_adopted(client_for(), include_offline=offline))


def sync_all() -> None:
    """Sync until nothing is left, for a shipper may hold a lease just now."""

    def is_done() -> bool:
        sync()
        return not statuses(client_for())

    until(is_done, "the spool is empty")


def values(path: str, name: str = "value") -> list[Any]:
    """The stored values of a metric, in order."""
    return [row[name] for row in Api().run(path).scan_history(keys=[name])]


def folded(path: str) -> dict[str, Any]:
    """The summary that the stored rows add up to."""
    stored = Api().run(path)
    fold = SummaryFold()
    for row in stored.scan_history():
        fold.add_row({name: value for name, value in row.items() if not name.startswith("_")})
    return fold.values


def shipper_pids(home: Path) -> list[int]:
    """The processes that ship for a home."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            is_gone = b"State:\tZ" in (entry / "status").read_bytes()
        except OSError:
            continue
        if os.fsencode(home) in words and any(b"sdk.shipper" in word for word in words) and not is_gone:
            found.append(int(entry.name))
    return found


@contextmanager
def small_disk(point: Path, size: str) -> Iterator[Path]:
    """A file system of a given size; the test is skipped where none may be mounted."""
    import pytest

    point.mkdir(parents=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


def fill(disk: Path) -> Path:
    """Take all the space that is left; the file to delete to get it back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler
