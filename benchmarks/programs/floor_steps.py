"""The same steps as a plain sqlite3 script would keep them: one JSON row a step, 1,000 steps a transaction, WAL.

Options: `path`; `steps` to write, or none to read every value of one metric.
"""

from __future__ import annotations

import json
import random
import sqlite3

from benchmarks.programs.options import answer, options

METRICS = 5
COMMIT_EVERY = 1_000


def write(path: str, steps: int) -> None:
    chance = random.Random(1)
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("CREATE TABLE history (step INTEGER PRIMARY KEY, data TEXT NOT NULL)")
    base.commit()
    for step in range(steps):
        row = {f"metric_{n}": chance.random() for n in range(METRICS)}
        base.execute("INSERT INTO history VALUES (?, ?)", (step, json.dumps(row)))
        if step % COMMIT_EVERY == COMMIT_EVERY - 1:
            base.commit()
    base.commit()
    base.close()


def main() -> None:
    given = options()
    if "steps" in given:
        write(given["path"], given["steps"])
        answer(is_done=True)
        return
    base = sqlite3.connect(given["path"])
    values = [
        json.loads(data)["metric_0"] for (data,) in base.execute("SELECT data FROM history ORDER BY step")
    ]
    answer(points=len(values), total=sum(values))


if __name__ == "__main__":
    main()
