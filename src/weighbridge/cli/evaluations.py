"""`weighbridge evaluations`: the stored evaluations of a version or a run."""

from __future__ import annotations

from argparse import Namespace
from typing import NamedTuple

from weighbridge.cli.context import Context
from weighbridge.cli.evaluate import print_report
from weighbridge.cli.output import Column
from weighbridge.cli.values import ago
from weighbridge.domain.evaluation import EvaluationReport, Outcome
from weighbridge.domain.exact_json import from_plain, to_plain
from weighbridge.domain.names import is_registry
from weighbridge.errors import EvaluationNotFound
from weighbridge.sdk.times import iso


class Stored(NamedTuple):
    """One stored evaluation."""

    version: str
    run: str
    verdict: str
    scorer: str
    evaluated_at: float
    report: EvaluationReport


def list_evaluations(arguments: Namespace, context: Context) -> int:
    """List the evaluations of a version or of a run, newest first; or print one of the reports."""
    path: str = arguments.path
    if _names_a_run(path):
        run = context.api.run(path)
        found, none = run.evaluations(), f"Run {'/'.join(run.path)} judged no model."
    else:
        artifact = context.api.artifact(path)
        found, none = artifact.evaluations(), f"{artifact.record.path} was never evaluated."
    stored = [
        Stored(
            record.version_path,
            record.run.path,
            record.verdict,
            record.scorer,
            record.evaluated_at,
            from_plain(record.report, EvaluationReport),
        )
        for record in found
    ]
    if arguments.show is not None:
        return _show(arguments.show, stored, context, path)
    context.out.listing(stored, _columns(context.out.now), plain=_plain, path=lambda row: row.run)
    if not stored:
        context.out.say(none)
    return 0


def _names_a_run(path: str) -> bool:
    """Whether a path of three parts is a run's: one without a version, and not in a registry, which holds no runs."""
    parts = path.split("/")
    return ":" not in path and ("runs" in parts[1:-1] or (len(parts) == 3 and not is_registry(parts[1])))


def _show(number: int, stored: list[Stored], context: Context, path: str) -> int:
    if number > len(stored):
        raise EvaluationNotFound(
            f"{path} has {len(stored)} evaluations, not {number}.", hint="Leave --show out to list them."
        )
    chosen = stored[number - 1]
    context.out.record(_plain(chosen), path=chosen.run, text=lambda: print_report(chosen.report, context))
    return 0


def _columns(now: float) -> list[Column[Stored]]:
    return [
        Column("version", lambda row: row.version),
        Column("verdict", lambda row: row.verdict),
        Column("claims", lambda row: _claims(row.report), is_number=True),
        Column("first cause", lambda row: row.report.causes[0].title if row.report.causes else "-"),
        Column("run", lambda row: row.run),
        Column("scorer", lambda row: row.scorer or "-"),
        Column("when", lambda row: ago(row.evaluated_at, now)),
    ]


def _claims(report: EvaluationReport) -> str:
    return f"{report.count(Outcome.REPRODUCED)}/{len(report.metrics)}"


def _plain(row: Stored) -> dict[str, object]:
    return {
        "version": row.version,
        "run": row.run,
        "verdict": row.verdict,
        "scorer": row.scorer,
        "evaluated_at": iso(row.evaluated_at),
        "report": to_plain(row.report),
    }
