"""Memory of a process that logs for a day: 10,000,000 rows while the sender is blocked.

Method: a process opens a run, holds the lease of its spool, so that the shipper it starts can ship nothing,
and logs rows of five metrics as fast as it can. Peak memory is VmHWM of the whole process; growth is resident
memory after the last row less that after the first tenth. The shipper's peak is in the remark. The floor is a
bare interpreter.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement

TITLE: Final = "Logging for a day, sender blocked"
GROWTH_MAX_MB: Final = 2.0
_PEAK: Final = "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))"


def measure(bench: Bench) -> list[Measurement]:
    rows = bench.pick(10_000_000, 300_000)
    found = bench.run("long_run", {"rows": rows}, home=bench.new_home(), WEIGHBRIDGE_SHIPPER="process")
    bare = subprocess.run([sys.executable, "-c", _PEAK], check=True, capture_output=True, text=True)
    return [
        Measurement(
            what=f"peak memory, {rows:,} rows",
            value=found["peak_mb"],
            unit="MB",
            limit=80,
            floor=int(bare.stdout) * 1024 / 1e6,
            floor_name="bare interpreter",
            note=f"{found['spool_mb']:.0f} MB of spool in {found['took_s']:.0f} s; "
            f"shipper {found['shipper_peak_mb']:.0f} MB",
        ),
        Measurement(
            what="growth after the first tenth",
            value=found["last_mb"] - found["first_mb"],
            unit="MB",
            limit=GROWTH_MAX_MB,
        ),
    ]
