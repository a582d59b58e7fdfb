"""`weighbridge run show|history|delete`: one run."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from weighbridge.cli import plain
from weighbridge.cli.context import Context
from weighbridge.cli.output import Column, Output, to_json
from weighbridge.cli.runs import elapsed_s, words
from weighbridge.cli.values import ago, cell, duration, moment
from weighbridge.domain.environment import Environment, environment_from_plain
from weighbridge.domain.summary import flatten
from weighbridge.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.domain.run import RunRecord
    from weighbridge.sdk.public.run import Run

ROWS_SHOWN: Final = 200
"""Config and summary values that `run show` lists; JSON has all of them."""
_FIRST: Final = ("_step", "_timestamp", "_runtime")
_HIDDEN: Final = ("_wandb",)


def show_run(arguments: Namespace, context: Context) -> int:
    """Show state, config, summary, environment, inputs, outputs and evaluations of a run."""
    run = context.api.run(arguments.path).load()
    inputs = [artifact.record for artifact in run.used_artifacts()]
    outputs = [artifact.record for artifact in run.logged_artifacts()]
    evaluations = run.evaluations()
    record = run.record
    whole = {
        **plain.of_run(record),
        "inputs": [plain.of_version(version) for version in inputs],
        "outputs": [plain.of_version(version) for version in outputs],
        "evaluations": [plain.without(plain.of_struct(found), "report") for found in evaluations],
    }

    def text() -> None:
        out = context.out
        out.heading(f"{record.display_name}  {record.path}")
        out.facts(_state_facts(record, out.now))
        out.facts(_values(record.config), title="Config")
        out.facts(_values(record.summary), title="Summary")
        out.facts(_environment_facts(record.environment), title="Environment")
        _versions(out, inputs, "Inputs")
        _versions(out, outputs, "Outputs")
        out.facts(
            [(found.version_path, f"{found.verdict}, {moment(found.evaluated_at)}") for found in evaluations],
            title="Evaluations",
        )

    context.out.record(whole, path=record.path, text=text)
    return 0


def show_history(arguments: Namespace, context: Context) -> int:
    """Show a run's metrics by step: a sample as a table, every row as CSV or JSON."""
    if arguments.is_csv and getattr(arguments, "is_json", False):
        raise UsageError("--csv and --json exclude each other.", hint="Choose one.")
    run = context.api.run(arguments.path)
    keys = words(arguments.keys) or None
    known = {key.name for key in run.metric_keys()}
    for key in keys or ():
        if key not in known:
            run.series(key)  # raises with the nearest names
    names = list(keys) if keys else sorted(known)
    if arguments.is_csv:
        return _write_csv(run, keys, names, context.out)
    if context.out.is_table:
        rows: Iterable[Mapping[str, object]] = run.history(arguments.samples, keys, pandas=False)
        if run.row_count > arguments.samples:
            context.out.say(
                f"{arguments.samples:,} of {run.row_count:,} rows are shown; --csv and --json write all."
            )
    else:
        rows = run.scan_history(keys)
    columns = [_metric_column(name) for name in ("_step", *names)]
    context.out.listing(rows, columns, plain=lambda row: row, path=lambda row: str(row.get("_step")))
    return 0


def delete_run(arguments: Namespace, context: Context) -> int:
    """Delete a run's data once --yes confirms it."""
    run = context.api.run(arguments.path)
    context.require_yes(arguments.is_confirmed, f"Deleting run {run.ref.path} ({run.row_count:,} rows)")
    run.delete()
    context.out.record(
        {"path": run.ref.path, "deleted": True},
        path=run.ref.path,
        text=lambda: context.out.write(f"Deleted {run.ref.path}. Its name stays in lineage.\n"),
    )
    return 0


def _metric_column(name: str) -> Column[Mapping[str, object]]:
    return Column(name, lambda row: cell(row.get(name)), is_number=True)


def _write_csv(run: Run, keys: list[str] | None, names: list[str], out: Output) -> int:
    """Write RFC 4180 CSV with a heading; nested values as JSON. Columns: step, times, then metrics."""
    heading = [*_FIRST, *(name for name in names if name not in _FIRST)]
    out.write(_csv_line(heading))
    for row in run.scan_history(keys, page_size=10_000):
        out.write(_csv_line([_csv_cell(row.get(name)) for name in heading]))
        if out.is_abandoned:
            break
    return 0


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return to_json(value) if isinstance(value, dict | list | tuple) else str(value)


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _state_facts(record: RunRecord, now: float) -> list[tuple[str, str]]:
    state = record.state.value + ("" if record.exit_code is None else f" (exit code {record.exit_code})")
    rows = [
        ("state", "deleted" if record.is_deleted else state),
        ("job type", record.job_type),
        ("group", record.group),
        ("tags", ", ".join(record.tags)),
        ("user", record.user),
        ("created", f"{moment(record.created_at)} UTC, {ago(record.created_at, now)}"),
        ("duration", duration(elapsed_s(record, now))),
        ("history", f"{record.row_count:,} rows, last step {cell(record.last_step)}"),
        ("notes", record.notes),
    ]
    return [(name, value) for name, value in rows if value]


def _values(values: Mapping[str, object]) -> list[tuple[str, str]]:
    rows = [(name, cell(value)) for name, value in flatten(dict(values)) if name.split(".")[0] not in _HIDDEN]
    more = [("...", f"and {len(rows) - ROWS_SHOWN:,} more; --json has all")] if len(rows) > ROWS_SHOWN else []
    return rows[:ROWS_SHOWN] + more


def _environment_facts(captured: Mapping[str, object]) -> list[tuple[str, str]]:
    try:
        found = environment_from_plain(captured)
    except InvalidInput as error:
        return [("not readable", error.message)]
    rows = [
        ("python", f"{found.python_version} {found.python_implementation}".strip()),
        ("machine", ", ".join(part for part in (found.hostname, found.os, found.machine) if part)),
        ("cpu", f"{found.cpu_model} ({found.cpu_count} cores)" if found.cpu_model else ""),
        ("gpus", ", ".join(found.gpus)),
        ("command", " ".join(found.command)),
        ("git", _git(found)),
        ("packages", f"{len(found.packages):,}" if found.packages else ""),
        ("not captured", "; ".join(found.notes)),
    ]
    return [(name, value) for name, value in rows if value]


def _git(found: Environment) -> str:
    if found.git is None or not found.git.commit:
        return ""
    dirty = " with uncommitted changes" if found.git.is_dirty else ""
    branch = f" on {found.git.branch}" if found.git.branch else ""
    return f"{found.git.commit[:12]}{branch}{dirty}"


def _versions(out: Output, versions: list[VersionRecord], title: str) -> None:
    columns: list[Column[VersionRecord]] = [
        Column("version", lambda version: version.path),
        Column("type", lambda version: version.type),
        Column("aliases", lambda version: ", ".join(version.aliases) or "-"),
        Column("verdict", lambda version: version.verdict or "-"),
    ]
    out.table(columns, versions, title=title)
