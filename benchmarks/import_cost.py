"""`import weighbridge`: time over a bare interpreter, modules loaded, memory.

Method: the whole process `python -I -c "import weighbridge"` and the bare `python -I -c pass` are run in
turn, 15 times each after one of either to fill caches; the medians are subtracted. Files are in the page
cache and compiled. Modules and peak memory are asked of further processes, for asking costs time. What a
first `init` costs beyond the import is printed too, without a limit. The floor is the bare interpreter.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement
from benchmarks.samples import median

TITLE: Final = "import weighbridge"
IMPORT: Final = "import weighbridge"
_PEAK: Final = "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))"
_COUNT: Final = "import sys; before = set(sys.modules); {}; print(len(set(sys.modules) - before))"


def measure(bench: Bench) -> list[Measurement]:
    runs = bench.pick(15, 3)
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(runs + 1):
        bare.append(_process_s(bench, "pass"))
        ours.append(_process_s(bench, IMPORT))
    bare_ms, our_ms = median(bare[1:]) * 1e3, median(ours[1:]) * 1e3
    modules = int(_output(bench, _COUNT.format(IMPORT)))
    peaks = [int(_output(bench, f"{IMPORT}; {_PEAK}")) / 1e3 for _ in range(bench.pick(5, 1))]
    bare_peak = int(_output(bench, _PEAK)) / 1e3
    home = bench.new_home()
    first = [_process_s(bench, f"{IMPORT}; weighbridge.init().finish()", home=str(home)) for _ in range(3)]
    return [
        Measurement(
            what="time over a bare interpreter",
            value=our_ms - bare_ms,
            unit="ms",
            limit=60,
            floor=bare_ms,
            floor_name="bare interpreter",
            note=f"whole process {our_ms:.1f} ms; median of {runs}",
        ),
        Measurement(what="modules loaded", value=modules, unit="modules", limit=120),
        Measurement(
            what="peak memory",
            value=median(peaks),
            unit="MB",
            limit=40,
            floor=bare_peak,
            floor_name="bare interpreter",
        ),
        Measurement(
            what="import, init and finish of a first run",
            value=median(first) * 1e3,
            unit="ms",
            note="whole process; the first of three also makes the home",
        ),
    ]


def _command(code: str) -> list[str]:
    paths = "import sys; sys.path[:0] = sys.argv[1:]; "
    return [sys.executable, "-I", "-c", paths + code]


def _process_s(bench: Bench, code: str, *, home: str = "") -> float:
    environment = bench.environment()
    if home:
        environment["WEIGHBRIDGE_HOME"] = home
    command = [*_command(code), *environment["PYTHONPATH"].split(":")]
    began = time.perf_counter()
    subprocess.run(command, check=True, env=environment, cwd=bench.folder)
    return time.perf_counter() - began


def _output(bench: Bench, code: str) -> str:
    environment = bench.environment()
    command = [*_command(code), *environment["PYTHONPATH"].split(":")]
    done = subprocess.run(
        command, check=True, env=environment, cwd=bench.folder, capture_output=True, text=True
    )
    return done.stdout
