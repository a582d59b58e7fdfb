"""Where a benchmark runs: scratch folders, homes of its own, and child processes. It judges nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from benchmarks.processes import stop_shippers

ROOT: Final = Path(__file__).resolve().parents[1]
PROGRAM_TIMEOUT_S: Final = 1_800.0


class Peer(NamedTuple):
    """Another tracker to measure beside ours, by the interpreter it is installed for."""

    name: str
    python: Path


class Bench:
    """One benchmark's workplace. Everything below it is deleted at the end, shippers stopped first."""

    def __init__(
        self, *, is_quick: bool = False, peer: Peer | None = None, folder: Path | None = None
    ) -> None:
        self.is_quick = is_quick
        self.peer = peer
        self._parent = folder
        self._homes: list[Path] = []
        self.folder = Path()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="weighbridge-bench-", dir=self._parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for home in self._homes:
            stop_shippers(home)
        shutil.rmtree(self.folder, ignore_errors=True)

    def pick(self, whole: int, quick: int) -> int:
        """How many: `whole`, or `quick` in a quick run."""
        return quick if self.is_quick else whole

    def new_home(self, name: str = "home") -> Path:
        """An empty home that nobody else uses."""
        home = self.folder / f"{name}-{len(self._homes)}"
        self._homes.append(home)
        return home

    def drop_home(self, home: Path) -> None:
        """Delete a home early, to give its space back."""
        stop_shippers(home)
        shutil.rmtree(home, ignore_errors=True)

    def environment(self, home: Path | None = None, **more: str) -> dict[str, str]:
        """The environment of a child: nobody's settings but the benchmark's own."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("WEIGHBRIDGE_", "WANDB_"))
        }
        kept |= {
            "HOME": str(self.folder),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "WEIGHBRIDGE_HOME": str(home or self.folder / "unused"),
            "WEIGHBRIDGE_ENTITY": "bench",
            "WEIGHBRIDGE_QUIET": "true",
            "OPENBLAS_NUM_THREADS": "1",
        }
        return kept | more

    def start(
        self, program: str, options: Mapping[str, Any], *, home: Path | None = None, **more: str
    ) -> subprocess.Popen[str]:
        """Start `benchmarks.programs.<program>`; it prints lines of JSON."""
        python = str(self.peer.python) if program.startswith("peer_") and self.peer else sys.executable
        return subprocess.Popen(
            [python, "-m", f"benchmarks.programs.{program}", json.dumps(options)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(home, **more),
        )

    def run(
        self, program: str, options: Mapping[str, Any], *, home: Path | None = None, **more: str
    ) -> dict[str, Any]:
        """Run a program to its end; the object of its last line, with `process_s` added."""
        started = time.perf_counter()
        process = self.start(program, options, home=home, **more)
        output, _ = process.communicate(timeout=PROGRAM_TIMEOUT_S)
        took_s = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(f"benchmark program {program} ended with {process.returncode}")
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        return found | {"process_s": took_s}
