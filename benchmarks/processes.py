"""What the kernel says of processes: CPU time, memory, and who ships a home. Linux only; standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
SHIPPER = b"weighbridge.sdk.shipper"


def cpu_s(pid: int) -> float:
    """User and system time of a living process in seconds, to 10 ms; 0.0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process now; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def peak_rss_bytes(pid: int | str = "self") -> int:
    """Highest resident memory since the program began; unlike ru_maxrss it counts nothing before exec."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def shippers_of(home: Path) -> list[int]:
    """Process ids of the shippers that this user's runs started for a home."""
    found = []
    wanted = os.fsencode(home)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if wanted in arguments and any(SHIPPER in argument for argument in arguments):
                found.append(int(entry.name))
    return found


def stop_shippers(home: Path, *, timeout_s: float = 10.0) -> None:
    """End the shippers of a home, so that it can be deleted."""
    deadline = time.monotonic() + timeout_s
    while pids := shippers_of(home):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.02)


def folder_bytes(folder: Path) -> int:
    """Disk blocks taken by everything below a folder, as `du` counts."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
    return total
