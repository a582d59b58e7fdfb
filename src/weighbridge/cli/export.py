"""`weighbridge export`: a project as Parquet, JSON lines and files, in the layout of docs/reference/export-layout.md.

Every file is written whole or not at all, and every artifact byte is checked against its digest. Exporting
again into the same folder takes up where it was cut off, and overwrites what changed.
"""

from __future__ import annotations

import json
import os
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from weighbridge import __version__
from weighbridge.cli import plain
from weighbridge.cli.context import Context
from weighbridge.cli.export_readme import README
from weighbridge.cli.export_tables import RunTable, write_history
from weighbridge.cli.output import to_json
from weighbridge.cli.values import count_of, size
from weighbridge.errors import InvalidInput, StorageError, UsageError
from weighbridge.sdk.times import iso

if TYPE_CHECKING:
    from weighbridge.domain.run import RunRecord
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.public.run import Run

FORMAT: Final = 1
MARKER: Final = "export.json"
PAGE: Final = 200


class Counts:
    """What was written."""

    def __init__(self) -> None:
        self.runs = self.rows = self.evaluations = self.collections = self.versions = self.size_bytes = 0

    def as_plain(self) -> dict[str, object]:
        """The counts by name."""
        return dict(vars(self))


def export_project(arguments: Namespace, context: Context) -> int:
    """Write a project, or a registry, into a folder; the folder goes to stdout."""
    project = context.api.project(arguments.project)
    path = f"{project.entity}/{project.record.name}"
    folder = Path(arguments.to)
    _prepare(folder, path)
    counts = Counts()
    context.out.say(f"Exporting {path} to {folder}")
    _write_text(folder / "README.md", README.format(project=path))
    _mark(folder, path, counts, is_complete=False)
    _export_runs(context, path, folder, counts)
    _export_artifacts(context, path, folder, counts, has_files=arguments.has_files)
    _mark(folder, path, counts, is_complete=True)
    context.out.progress("")
    context.out.say(
        f"{count_of(counts.runs, 'run')} with {count_of(counts.rows, 'row')}, "
        f"{count_of(counts.versions, 'version')} ({size(counts.size_bytes)}), "
        f"{count_of(counts.evaluations, 'evaluation')}."
    )
    context.out.record(
        {"project": path, "folder": str(folder), **counts.as_plain()},
        path=str(folder),
        text=lambda: context.out.write(f"{folder}\n"),
    )
    return 0


def _prepare(folder: Path, project: str) -> None:
    """Make the folder, or take up an earlier export of this project. Raises UsageError for anything else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
        text = None if is_empty else (folder / MARKER).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder} holds something else than an export.", hint="Name a new or an empty folder."
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    if text is None:
        return
    try:
        found = json.loads(text)
        held, format_number = found["project"], found["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{folder / MARKER} cannot be read: {error}.", hint="Name a new or an empty folder."
        ) from error
    if held != project or format_number != FORMAT:
        raise UsageError(
            f"{folder} holds an export of {held} in format {format_number}, not of {project} in {FORMAT}.",
            hint="Name another folder.",
        )


def _mark(folder: Path, project: str, counts: Counts, *, is_complete: bool) -> None:
    """Say what the folder holds, and whether all of it."""
    marker = {
        "format": FORMAT,
        "project": project,
        "is_complete": is_complete,
        "exported_at": iso(time.time()),
        "weighbridge": __version__,
        "counts": counts.as_plain(),
    }
    _write_text(folder / MARKER, to_json(marker, indent=2) + "\n")


def _export_runs(context: Context, path: str, folder: Path, counts: Counts) -> None:
    from weighbridge.bootstrap import open_table_writer

    writer = open_table_writer()
    table = RunTable()
    with _lines(folder / "runs.jsonl") as runs, _lines(folder / "evaluations.jsonl") as evaluations:
        for run in context.api.runs(path, order="+created_at", per_page=PAGE, lazy=False):
            counts.runs += 1
            context.out.progress(f"run {counts.runs:,}: {run.name}")
            files = write_history(writer, run, folder / "history" / f"{run.id}.parquet")
            counts.rows += run.row_count
            runs.write(
                to_json(_run_line(run, [file.relative_to(folder).as_posix() for file in files])) + "\n"
            )
            for found in run.evaluations():
                counts.evaluations += 1
                line = {**plain.of_struct(found), "run": found.run.path}
                evaluations.write(to_json(line) + "\n")
            table.add(run.record)
    if counts.runs:
        writer.write_records(folder / "runs.parquet", table.columns())
    else:
        (folder / "runs.parquet").unlink(missing_ok=True)


def _run_line(run: Run, files: list[str]) -> dict[str, object]:
    record: RunRecord = run.record
    return {
        **plain.of_run(record),
        "inputs": [version.record.source_path for version in run.used_artifacts()],
        "outputs": [version.record.source_path for version in run.logged_artifacts()],
        "history": files,
    }


def _export_artifacts(context: Context, path: str, folder: Path, counts: Counts, *, has_files: bool) -> None:
    with _lines(folder / "collections.jsonl") as collections:
        for collection in context.api.artifact_collections(path, per_page=PAGE):
            counts.collections += 1
            moves = [plain.of_event(event) for event in collection.alias_history()]
            line = {**plain.of_collection(collection.record), "alias_history": moves}
            collections.write(to_json(line) + "\n")
            base = folder / "artifacts" / safe_name(collection.type) / safe_name(collection.name)
            for artifact in collection.versions(per_page=PAGE):
                counts.versions += 1
                counts.size_bytes += artifact.size
                context.out.progress(f"{artifact.name}: {size(artifact.size)}")
                _export_version(artifact, base / artifact.version, has_files=has_files)


def _export_version(artifact: Artifact, folder: Path, *, has_files: bool) -> None:
    """Files first, then the manifest: a manifest says that its files are there and right."""
    if has_files:
        artifact.download(root=folder / "files")
    entries = [
        {"path": entry.path, "digest": entry.digest, "size_bytes": entry.size_bytes, "ref": entry.ref}
        for entry in artifact.manifest.entries
    ]
    manifest = {**plain.of_version(artifact.record), "has_files": has_files, "entries": entries}
    _write_text(folder / "manifest.json", to_json(manifest, indent=2) + "\n")


def safe_name(name: str) -> str:
    """A name as a folder: `%` is written `%25`, and a leading dot `%2E`, so that `..` leads nowhere."""
    escaped = name.replace("%", "%25")
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped


@contextmanager
def _lines(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of `path` when the block ends without an error."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):  # the error above says more
            draft.unlink()


def _write_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    with _lines(path) as file:
        file.write(text)


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be written: {error.strerror or error}.",
        hint="Check the disk and the folder, then run it again.",
    )
