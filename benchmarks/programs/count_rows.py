"""Ships what a killed process left behind and reads the stored values of `index` of a run. Option: `run_id`."""

from __future__ import annotations

import time

from benchmarks.programs.options import answer, options
from weighbridge import Api
from weighbridge.sdk.adopt import adopt_orphans, statuses
from weighbridge.sdk.client import client_for

WAIT_S = 120.0


def main() -> None:
    given = options()
    client = client_for()
    deadline = time.monotonic() + WAIT_S
    while statuses(client):
        adopt_orphans(client)  # one that the shipper is at work on is left to it
        if time.monotonic() > deadline:
            raise SystemExit("the spool was not shipped in time")
        time.sleep(0.01)
    stored = Api().run(f"bench/{given['run_id']}").series("index").values.tolist()
    answer(stored=len(stored), distinct=len(set(stored)), is_whole=stored == list(range(len(stored))))


if __name__ == "__main__":
    main()
