"""Memory stays flat however much is logged and however long shipping is held up."""

from __future__ import annotations

import pytest

from tests.fault.processes import run, sync_all
from weighbridge import Api

ROWS = 1_000_000
PEAK_KIB_MAX = 80 * 1024
GROWTH_KIB_MAX = 4 * 1024
"""From the first tenth to the end; a row has some 40 bytes in the spool, so keeping them would cost 36 MiB."""

LOG = f"""
import weighbridge
from weighbridge.sdk.sender import Lease
run = weighbridge.init(project="p", id="long")
lease = Lease(run._writer.path)
assert lease.acquire()
def peak():  # not ru_maxrss, which counts what the parent had before the exec
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
for index in range({ROWS}):
    run.log({{"value": index, "loss": 0.5}})
    if index == {ROWS // 10}:
        early = peak()
print(early, peak())
lease.release()
"""


@pytest.mark.slow
def test_a_million_rows_behind_a_held_up_shipper_take_no_memory() -> None:
    done = run(LOG)
    assert done.code == 0, done.err
    early, late = map(int, done.out.split())
    assert late <= PEAK_KIB_MAX
    assert late - early <= GROWTH_KIB_MAX
    sync_all()
    stored = Api().run("p/long")
    assert stored.state == "finished"
    assert dict(stored.summary) == {"value": ROWS - 1, "loss": 0.5}
    assert stored._record.row_count == ROWS
