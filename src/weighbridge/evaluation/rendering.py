"""An evaluation report for people: a terminal table, Markdown, plain text, JSON.

One job: show what the report holds, the verdict first and what went wrong before what went well. It decides
nothing and writes to no stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.comparison import Comparison, Direction, Interval, MetricDelta, interval_for
from weighbridge.domain.evaluation import (
    EvaluationReport,
    MetricResult,
    Outcome,
    Verdict,
    format_value,
    headline,
    one_line,
    worst_first,
)

if TYPE_CHECKING:
    from rich.console import Group

MAX_REPRODUCED = 20
"""Reproduced metrics beyond these are counted, not listed."""

MAX_CAUSES_SHOWN = 10
"""Causes that are written out."""

MAX_ROWS = 200
"""Rows of any other table that are listed; the rest are counted. JSON holds everything."""


class Table(msgspec.Struct, frozen=True):
    """One table of a report as text; `rest` says what was left out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rest: str = ""


class Listing(msgspec.Struct, frozen=True):
    """Numbered items, each a sentence and the lines under it: for text too long for a table's cell."""

    title: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    rest: str = ""


def parts_of(report: EvaluationReport) -> list[Table | Listing]:
    """What there is to show, in reading order; parts without rows are left out."""
    parts = [
        _metrics("Not reproduced", worst_first(report.metrics), limit=MAX_ROWS),
        _causes(report),
        _checks(report),
        *(_comparison(report.comparison) if report.comparison else ()),
        _datasets(report),
        _metrics(
            "Reproduced", [r for r in report.metrics if r.outcome is Outcome.REPRODUCED], limit=MAX_REPRODUCED
        ),
        _unchecked(report),
    ]
    return [part for part in parts if part.rows]


def to_text(report: EvaluationReport) -> str:
    """The report as plain text with aligned columns, for files and pipes."""
    parts = [headline(report), one_line(_origin(report))]
    for part in parts_of(report):
        lines = _listed(part) if isinstance(part, Listing) else _tabled(part)
        parts.append("\n".join([one_line(part.title), *lines] + ([f"  {part.rest}"] if part.rest else [])))
    parts += [f"Note: {one_line(note)}" for note in report.notes]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_markdown(report: EvaluationReport) -> str:
    """The report as GitHub-flavoured Markdown; every value is escaped, so none can add markup or a row."""
    parts = [f"**{_escape(headline(report))}**", _escape(_origin(report))]
    for part in parts_of(report):
        if isinstance(part, Listing):
            lines = [
                "\n".join([f"{place}. {_escape(text)}", *(f"   - {_escape(line)}" for line in under)])
                for place, (text, under) in enumerate(part.rows, 1)
            ]
        else:
            rule = _row(["---"] * len(part.columns), escape=False)
            lines = [_row(part.columns), rule, *map(_row, part.rows)]
        parts.append(f"### {_escape(part.title)}\n\n" + "\n".join(lines))
        if part.rest:
            parts.append(_escape(part.rest))
    parts += [f"Note: {_escape(note)}" for note in report.notes]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_json(report: EvaluationReport) -> str:
    """The report as indented JSON, all of it; `EvaluationReport.from_json` reads it back."""
    return report.to_json(indent=2) + "\n"


def to_rich(report: EvaluationReport) -> Group:
    """The report for a rich console, in colour."""
    from rich import box
    from rich.console import Group, RenderableType
    from rich.table import Table as RichTable
    from rich.text import Text

    style = {Verdict.PASSED: "bold green", Verdict.FAILED: "bold red", Verdict.INCONCLUSIVE: "bold yellow"}
    parts: list[RenderableType] = [Text(headline(report), style=style[report.verdict])]
    if origin := _origin(report):
        parts.append(Text(one_line(origin), style="dim"))
    for part in parts_of(report):
        if isinstance(part, Listing):
            parts.append(
                Text("\n".join([part.title, *_listed(part)] + ([f"  {part.rest}"] if part.rest else [])))
            )
            continue
        drawn = RichTable(
            title=Text(one_line(part.title)), caption=part.rest or None, title_justify="left", box=box.SIMPLE
        )
        for column in part.columns:
            drawn.add_column(column, overflow="fold")
        for row in part.rows:
            drawn.add_row(*(Text(one_line(cell)) for cell in row))  # Text: a metric's name is never markup
        parts.append(drawn)
    parts += [Text(f"Note: {one_line(note)}") for note in report.notes]
    return Group(*parts)


def render(report: EvaluationReport, *, is_terminal: bool, width: int = 100) -> str:
    """The report as one string: coloured tables of the given width for a terminal, plain text otherwise."""
    if not is_terminal:
        return to_text(report)
    import io

    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, force_terminal=True, width=width).print(to_rich(report))
    return stream.getvalue()


def _origin(report: EvaluationReport) -> str:
    parts = [f"producer {report.producer or 'not known'}"]
    if report.evaluation:
        parts.append(f"evaluation {report.evaluation}")
    if report.scorer:
        parts.append(f"scorer {report.scorer.file}:{report.scorer.function} ({_short(report.scorer.digest)})")
    parts.append(f"model digest {_short(report.model_digest)}")
    return ", ".join(parts)


def _metrics(title: str, results: Sequence[MetricResult], *, limit: int) -> Table:
    rows = [
        (
            result.claimed_name
            if result.claimed_name == result.measured_name
            else f"{result.claimed_name} -> {result.measured_name}",
            format_value(result.claimed),
            format_value(result.measured),
            format_value(result.difference),
            "-" if result.relative_difference is None else f"{result.relative_difference:.3g}",
            _allowed(result),
            str(result.outcome).replace("_", " ") + (f" ({result.note})" if result.note else ""),
        )
        for result in results
    ]
    columns = ("metric", "claimed", "measured", "difference", "relative", "allowed", "outcome")
    return _bounded(title, columns, rows, limit)


def _allowed(result: MetricResult) -> str:
    claimed = result.claimed
    if isinstance(claimed, bool) or not isinstance(claimed, (int, float)):
        return "equal"
    return f"{result.tolerance.atol:.3g} + {result.tolerance.rtol:.3g} rel"


def _causes(report: EvaluationReport) -> Listing:
    rows = [
        (
            cause.title,
            (
                f"producer: {cause.producer or '-'}; evaluation: {cause.evaluation or '-'}",
                f"{cause.why} {cause.next_step}",
            ),
        )
        for cause in report.causes[:MAX_CAUSES_SHOWN]
    ]
    left_out = len(report.causes) - len(rows)
    return Listing("Causes, likeliest first", tuple(rows), f"and {left_out} more" if left_out else "")


def _checks(report: EvaluationReport) -> Table:
    order = {Verdict.FAILED: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASSED: 2}
    checks = sorted(report.checks, key=lambda check: order[check.outcome])
    rows = [(str(check.outcome), str(check.kind), check.name, check.message) for check in checks]
    return _bounded("Checks", ("outcome", "check", "name", "finding"), rows, MAX_ROWS)


def _comparison(comparison: Comparison) -> list[Table]:
    holder = f" ({comparison.alias})" if comparison.alias else ""
    rows = [_delta(delta, interval_for(delta.name, comparison.intervals)) for delta in comparison.deltas]
    columns = ("metric", "baseline", "candidate", "delta", "interval", "p", "finding")
    known = {delta.name for delta in comparison.deltas}
    rows += [
        (f"{i.metric} (per example)", "-", "-", format_value(i.delta), _interval(i), f"{i.p_value:.2g}", "")
        for i in comparison.intervals
        if i.metric not in known
    ]
    tables = [_bounded(f"Compared with {comparison.baseline}{holder}", columns, rows, MAX_ROWS)]
    notes = list(comparison.notes)
    if comparison.only_baseline or comparison.only_candidate:
        notes.append(
            f"{comparison.paired_examples} examples paired; {comparison.only_baseline} only in the baseline, "
            f"{comparison.only_candidate} only in the candidate"
        )
    tables.append(Table("Notes on the comparison", ("note",), tuple((note,) for note in notes)))
    return tables


def _delta(delta: MetricDelta, interval: Interval | None) -> tuple[str, ...]:
    if delta.better is Direction.UNKNOWN:
        finding = "direction not known"
    elif delta.delta == 0:
        finding = "equal"
    else:
        finding = "worse" if delta.worsening > 0 else "better" if delta.worsening < 0 else "not comparable"
    return (
        delta.name,
        format_value(delta.baseline),
        format_value(delta.candidate),
        format_value(delta.delta),
        _interval(interval) if interval else "-",
        f"{interval.p_value:.2g}" if interval else "-",
        finding,
    )


def _interval(interval: Interval) -> str:
    return f"{interval.low:.4g} to {interval.high:.4g} ({interval.confidence:.0%}, n={interval.n})"


def _datasets(report: EvaluationReport) -> Table:
    rows = [
        (
            item.name,
            item.version,
            _short(item.digest),
            "as the producer's" if item.pinned else "NOT THE PRODUCER'S",
            item.note,
        )
        for item in report.datasets
    ]
    return _bounded("Datasets", ("dataset", "version", "digest", "pinned", "note"), rows, MAX_ROWS)


def _unchecked(report: EvaluationReport) -> Table:
    rows = [(claim.name, format_value(claim.value), claim.reason) for claim in report.unchecked]
    return _bounded("Claims not checked", ("claim", "recorded", "why not"), rows, MAX_REPRODUCED)


def _bounded(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], limit: int) -> Table:
    left_out = len(rows) - limit
    return Table(title, columns, tuple(rows[:limit]), f"and {left_out} more" if left_out > 0 else "")


def _tabled(table: Table) -> list[str]:
    rows = _one_line(table.rows)
    widths = [max(map(len, column)) for column in zip(table.columns, *rows, strict=True)]
    return [_aligned(row, widths) for row in (table.columns, *rows)]


def _listed(listing: Listing) -> list[str]:
    lines = []
    for place, (text, under) in enumerate(listing.rows, 1):
        lines += [f"  {place}. {one_line(text)}", *(f"     {one_line(line)}" for line in under)]
    return lines


def _one_line(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(one_line(cell) for cell in row) for row in rows]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"  {'  '.join(cells)}".rstrip()


def _row(cells: Sequence[str], *, escape: bool = True) -> str:
    return "| " + " | ".join(_escape(cell) if escape else cell for cell in cells) + " |"


def _escape(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|!~&$@" else letter for letter in one_line(text))


def _short(digest: str) -> str:
    return digest if len(digest) <= 12 else digest[:12] + "…"
