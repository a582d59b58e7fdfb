"""Filter and the best 50 by a metric, of 1,000 and of 100,000 runs.

Method: `Api().runs(project, filters, order="-summary_metrics.accuracy")[:50]` with the summary of each read,
in a fresh process, once and then 20 times warm; the median is judged, the first is in the remark. Filters: a
range over config that 60 % of the runs meet, a text that 5 % have, and a tag that 1 % have, because they lead
to different query plans. A run has ten config and ten summary values. The runs are written into the tables
directly; the reading is all public.
"""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.measurement import Measurement
from weighbridge.testing.homes import ENTITY, fill_runs, open_test_home

TITLE: Final = "Filter and best 50 by a metric"
FILTERS: Final[tuple[tuple[str, dict[str, object]], ...]] = (
    ("a range 60 % meet", {"config.lr": {"$lt": 1e-2}, "state": "finished"}),
    ("a text 5 % have", {"config.model": "net-3"}),
    ("a tag 1 % have", {"tags": "rare"}),
)


def measure(bench: Bench) -> list[Measurement]:
    found = []
    for count, limit in ((bench.pick(1_000, 200), 5.0), (bench.pick(100_000, 1_000), 40.0)):
        home = bench.new_home()
        open_test_home(home).close()
        fill_runs(home, "table", count)
        for words, filters in FILTERS:
            options = {"project": "table", "filters": filters, "times": bench.pick(20, 2)}
            read = bench.run("best_runs", options, home=home, WEIGHBRIDGE_ENTITY=ENTITY)
            if read["rows"] != min(50, read["matching"]) or not read["is_sorted"]:
                raise RuntimeError(
                    f"{words}: {read['rows']} of {read['matching']} rows came back, or out of order"
                )
            found.append(
                Measurement(
                    what=f"of {count:,} runs, {words}",
                    value=read["warm_ms"],
                    unit="ms",
                    limit=limit,
                    note=f"{read['matching']:,} match; first in the process {read['first_ms']:.0f} ms",
                )
            )
        bench.drop_home(home)
    return found
