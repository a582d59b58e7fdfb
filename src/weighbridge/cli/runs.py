"""`weighbridge runs`: the runs of a project as a table of chosen columns."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from weighbridge.cli import plain
from weighbridge.cli.context import Context
from weighbridge.cli.output import Column
from weighbridge.cli.values import ago, cell, duration, nested, visible
from weighbridge.domain.run import RunRecord
from weighbridge.domain.text_filter import read_filter
from weighbridge.errors import UsageError

METRICS_SHOWN: Final = 4
"""Metrics of the summary that are shown where no columns were asked for."""
_PAGE_MAX: Final = 1_000
_METRICS_READ: Final = 50
_USUAL: Final = ("name", "id", "state", "job_type", "created")


def list_runs(arguments: Namespace, context: Context) -> int:
    """List runs that match, in the order asked for."""
    filters = read_filter(arguments.filter)
    wanted = words(arguments.columns)
    for name in wanted:
        column_of(name, now=0.0)  # a wrong name is refused before anything is read
    limit: int = arguments.limit
    runs = context.api.runs(arguments.project, filters, arguments.order, per_page=min(limit + 1, _PAGE_MAX))
    records = [run.record for run in islice(runs, limit + 1)]
    is_cut = len(records) > limit
    records = records[:limit]
    columns = [
        column_of(name, now=context.out.now)
        for name in wanted or [*_USUAL, *(f"summary.{key}" for key in common_metrics(records))]
    ]
    context.out.listing(
        records,
        columns,
        plain=lambda run: plain.without(plain.of_run(run), "environment"),  # only `run show` reads it
        path=lambda run: run.path,
    )
    if is_cut:
        context.out.say(f"{limit:,} of {len(runs):,} runs are shown; --limit shows more.")
    elif not records:
        context.out.say("No run matches." if filters else "The project has no runs.")
    return 0


def words(text: str | None) -> list[str]:
    """Words with commas between; none for None."""
    return [word for part in (text or "").split(",") if (word := part.strip())]


def common_metrics(records: Sequence[RunRecord]) -> list[str]:
    """The numeric summary keys that most of the runs have, in the order they were first met."""
    seen: Counter[str] = Counter()
    for record in records[:_METRICS_READ]:
        seen.update(
            name
            for name, value in record.summary.items()
            if isinstance(value, int | float) and not name.startswith(("_", "system/"))
        )
    chosen = {name for name, _ in seen.most_common(METRICS_SHOWN)}
    return [name for name in seen if name in chosen]


def column_of(name: str, *, now: float) -> Column[RunRecord]:
    """The column of a name. Raises UsageError with the names there are."""
    scope, dot, key = name.partition(".")
    if dot and key and scope in ("config", "summary", "summary_metrics"):
        return _value_column("config" if scope == "config" else "summary", key)
    shown = _COLUMNS.get(name)
    if shown is None:
        raise UsageError(
            f"Runs have no column {visible(name)[:80]!r}.",
            hint=f"Known: {', '.join(_COLUMNS)}, config.KEY, summary.KEY.",
        )
    return Column(name, lambda run: shown(run, now), is_number=name in _NUMBERS)


def _value_column(scope: str, key: str) -> Column[RunRecord]:
    def show(run: RunRecord) -> str:
        values: Mapping[str, object] = run.config if scope == "config" else run.summary
        return cell(nested(values, key))

    return Column(key if scope == "summary" else f"config.{key}", show, is_number=True)


def elapsed_s(run: RunRecord, now: float) -> float:
    """Seconds from start to end, or to now where it still runs."""
    end = run.finished_at or (now if run.state.is_open else run.heartbeat_at) or run.updated_at
    return end - run.created_at


_COLUMNS: Final[dict[str, Callable[[RunRecord, float], str]]] = {
    "name": lambda run, now: run.display_name,
    "id": lambda run, now: run.run_id,
    "path": lambda run, now: run.path,
    "state": lambda run, now: run.state.value,
    "job_type": lambda run, now: run.job_type or "-",
    "group": lambda run, now: run.group or "-",
    "tags": lambda run, now: ", ".join(run.tags) or "-",
    "notes": lambda run, now: run.notes or "-",
    "user": lambda run, now: run.user or "-",
    "created": lambda run, now: ago(run.created_at, now),
    "finished": lambda run, now: ago(run.finished_at, now),
    "duration": lambda run, now: duration(elapsed_s(run, now)),
    "rows": lambda run, now: str(run.row_count),
    "step": lambda run, now: cell(run.last_step),
    "exit_code": lambda run, now: cell(run.exit_code),
}
_NUMBERS: Final = frozenset({"rows", "step", "exit_code"})
