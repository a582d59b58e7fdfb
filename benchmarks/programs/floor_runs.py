"""The floor of a run's life: one sqlite3 transaction that stores a JSON row, as often. Options: `path`, `runs`."""

from __future__ import annotations

import json
import random
import sqlite3
import time

from benchmarks.programs.options import answer, options
from benchmarks.samples import median


def main() -> None:
    given = options()
    base = sqlite3.connect(given["path"])
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, data TEXT NOT NULL)")
    chance = random.Random(3)
    taken = []
    for _ in range(given["runs"]):
        values = {f"value_{n}": chance.random() for n in range(20)}
        at = time.perf_counter()
        base.execute("INSERT INTO runs (data) VALUES (?)", (json.dumps(values),))
        base.commit()
        taken.append((time.perf_counter() - at) * 1e3)
    answer(median_ms=median(taken))


if __name__ == "__main__":
    main()
