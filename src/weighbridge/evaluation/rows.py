"""Per-example rows of an evaluation, kept as an artifact of its run so that a later comparison can pair them.

The file is a table of columns and data in W&B's stored form (`*.table.json`), which one reader and one UI
serve.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.sdk.artifact import Artifact

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.run import RunRef
    from weighbridge.sdk.public.reader import Reader
    from weighbridge.sdk.run import Run
    from weighbridge.sdk.transport.base import Transport

ROWS_TYPE = "run_table"
ROWS_FILE = "examples.table.json"

Columns = Mapping[str, Sequence[Any]]


def rows_name(run_id: str) -> str:
    """Name of the artifact that holds a run's per-example rows."""
    return f"run-{run_id}-examples"


def store_rows(run: Run, columns: Columns, *, model: str) -> None:
    """Keep the rows as an artifact of the evaluation run. model: path of the version they score."""
    names = list(columns)
    data = [list(row) for row in zip(*columns.values(), strict=True)]
    artifact = Artifact(rows_name(run.id), type=ROWS_TYPE, metadata={"model": model, "rows": len(data)})
    with artifact.new_file(ROWS_FILE, mode="w", encoding="utf-8") as file:
        json.dump({"columns": names, "data": data}, file, separators=(",", ":"))
    run.log_artifact(artifact)


def find_rows(transport: Transport, run: RunRef) -> VersionRecord | None:
    """The version that holds a run's per-example rows, or None if it kept none."""
    for version in transport.lineage.outputs(run):
        if version.source_collection == rows_name(run.run_id) and not version.is_deleted:
            return version
    return None


def load_rows(reader: Reader, version: VersionRecord) -> dict[str, list[Any]]:
    """Rows as columns. Raises NotFound, DigestMismatch."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-rows-") as folder:
        target = Path(reader.artifact(version).download(root=folder)) / ROWS_FILE
        table = json.loads(target.read_text(encoding="utf-8"))
    return {name: [row[index] for row in table["data"]] for index, name in enumerate(table["columns"])}
