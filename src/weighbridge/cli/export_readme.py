"""The README.md that lies in every export, so that it explains itself without Weighbridge. Text only."""

from __future__ import annotations

from typing import Final

README: Final = """# {project}

An export of the Weighbridge project `{project}`. Everything here is plain: Parquet, JSON lines, and files.

| path | holds |
|---|---|
| `export.json` | format, project, when, counts; `is_complete` says whether the export ran to its end |
| `runs.jsonl` | one run a line: config, summary, environment, tags, inputs, outputs, its history files |
| `runs.parquet` | the same runs as a table; scalars of config and summary as columns `config.KEY`, `summary.KEY` |
| `history/RUN_ID.parquet` | metrics of a run: `_step`, `_time_us` (UTC), a column a metric |
| `evaluations.jsonl` | one evaluation a line: run, version, verdict, the whole report |
| `collections.jsonl` | one artifact collection a line, with its aliases and every move of them |
| `artifacts/TYPE/NAME/vN/manifest.json` | a version: digest, producer, aliases, each file's digest |
| `artifacts/TYPE/NAME/vN/files/` | its files, checked against those digests (BLAKE3-256) |

Times in JSON are ISO 8601 in UTC. A float that is not finite is written {{"$float": "nan"}}, "inf" or "-inf".
In folder names `%` is written `%25` and a leading dot `%2E`.

    import pyarrow.parquet as parquet
    runs = parquet.read_table("runs.parquet")
"""
