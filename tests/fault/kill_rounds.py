"""Kills a logging process again and again, and checks that each row whose `log()` returned is there, once.

Run as a script: `python kill_rounds.py HOME ROUNDS SEED [shipping]`. The logging process is a fork of this
one, so a round takes milliseconds; after each `log()` it notes the count in shared memory, which outlives
it. With `shipping` the rounds are long enough for the shipper process to be at work when the kill comes.
"""

from __future__ import annotations

import mmap
import os
import random
import select
import signal
import struct
import sys
import time
from typing import NoReturn

import weighbridge
from weighbridge import Api
from weighbridge.sdk.adopt import adopt_orphans, statuses
from weighbridge.sdk.client import client_for


def child(shared: mmap.mmap, ready: int, number: int) -> NoReturn:
    run = weighbridge.init(project="kill", id=f"round-{number}")
    os.write(ready, b"!")
    index = 0
    while True:
        run.log({"value": index, "other": index * 0.5})
        index += 1
        shared[:8] = struct.pack("<q", index)


def one_round(shared: mmap.mmap, number: int, wait_s: float) -> int:
    shared[:8] = struct.pack("<q", 0)
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(receive)
        child(shared, send, number)
    os.close(send)
    os.read(receive, 1)
    select.select([], [], [], wait_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(receive)
    returned: int = struct.unpack("<q", shared[:8])[0]
    return returned


def check(number: int, returned: int) -> None:
    run = Api().run(f"kill/round-{number}")
    values = [row["value"] for row in run.scan_history(keys=["value"])]
    if values != list(range(len(values))):
        raise SystemExit(f"round {number}: rows are missing or stand twice")
    if run._record.row_count != len(values):  # rows of one step merge when read, and would hide a second copy
        raise SystemExit(f"round {number}: {len(values)} rows are read, {run._record.row_count} are stored")
    if not returned <= len(values) <= returned + 1:
        raise SystemExit(f"round {number}: log() returned {returned} times, {len(values)} rows are stored")
    if run.state != "crashed":
        raise SystemExit(f"round {number}: state is {run.state}, not crashed")


def settle() -> None:
    """Ship what the dead left, waiting (bounded) for a shipper that holds a lease just now."""
    client = client_for()
    deadline = time.monotonic() + 60
    while statuses(client):
        adopt_orphans(client)
        if time.monotonic() > deadline:
            raise SystemExit(f"still in the spool: {statuses(client)}")


def main() -> None:
    os.environ["WEIGHBRIDGE_HOME"] = sys.argv[1]
    os.environ["WEIGHBRIDGE_QUIET"] = "true"
    rounds, chance = int(sys.argv[2]), random.Random(int(sys.argv[3]))
    is_shipping = sys.argv[4:] == ["shipping"]
    shared = mmap.mmap(-1, 8)
    total = 0
    for number in range(rounds):
        wait_s = chance.uniform(1.5, 3.0) if is_shipping else chance.uniform(0, 0.03)
        returned = one_round(shared, number, wait_s)
        settle()
        check(number, returned)
        total += returned
    sys.stdout.write(f"{rounds} rounds, {total} rows, none lost, none twice\n")


if __name__ == "__main__":
    main()
