"""`weighbridge evaluate`: judge a registered model.

Exit codes of `evaluate`: 0 passed, 1 failed, 2 could not be evaluated. An inconclusive verdict is 2 as well:
it proves nothing for the model and nothing against it, and a pipeline must stop at it either way.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weighbridge.cli.context import Context
from weighbridge.cli.output import Format
from weighbridge.domain.evaluation import EvaluationReport, Tolerance, Verdict
from weighbridge.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_CODES: Final = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.INCONCLUSIVE: 2}
STDOUT: Final = "-"


def evaluate_model(arguments: Namespace, context: Context) -> int:
    """Score the model, print and write the report; the exit code is the verdict."""
    from weighbridge.evaluation.evaluate import evaluate

    _check_files(arguments)
    names = _pairs(arguments.names, "--names", "final_*=val_*")
    per_metric = {
        name: Tolerance(rtol=_number(value, "--per-metric"))
        for name, value in _pairs(arguments.per_metric, "--per-metric", "val_loss=1e-3").items()
    }
    _ = context.api  # ships what killed runs left, so that their claims are seen
    with redirect_stdout(sys.stderr):  # stdout is for the report; what a scorer prints is talk
        report = evaluate(
            arguments.model,
            arguments.scorer,
            against=arguments.against,
            names=names or None,
            rtol=arguments.rtol,
            atol=arguments.atol,
            per_metric=per_metric or None,
            checks=arguments.checks,
            datasets=arguments.datasets or None,
            config=_config(arguments.config) or None,
            claims=arguments.claims,
            safe_files=arguments.is_safe_files,
            project=arguments.project,
            name=arguments.name,
            tags=arguments.tags or None,
            settings=context.settings_for_a_run(),
        )
    write_report(report, arguments, context)
    return EXIT_CODES[report.verdict]


def write_report(report: EvaluationReport, arguments: Namespace, context: Context) -> None:
    """Write the report to every file asked for; to stdout as asked, else as text for people."""
    from weighbridge.evaluation.junit import to_junit
    from weighbridge.evaluation.rendering import to_json, to_markdown

    faces: tuple[tuple[str | None, Callable[[EvaluationReport], str]], ...] = (
        (getattr(arguments, "json", None), to_json),
        (arguments.junit, to_junit),
        (arguments.markdown, to_markdown),
    )
    is_on_stdout = False
    for target, face in faces:
        if target == STDOUT:
            context.out.write(face(report))
            is_on_stdout = True
        elif target is not None:
            _write_file(Path(target), face(report))
    if context.out.format is Format.QUIET:
        if not is_on_stdout:
            context.out.write(f"{report.evaluation or report.model}\n")
    elif not is_on_stdout:
        print_report(report, context)


def print_report(report: EvaluationReport, context: Context) -> None:
    """Print a report for people."""
    from weighbridge.evaluation.rendering import to_rich, to_text

    context.out.draw(lambda: to_rich(report), plain=to_text(report).rstrip("\n"))


def _check_files(arguments: Namespace) -> None:
    """Refuse two reports on stdout, and a folder that is not there, before anything is scored."""
    targets = [
        target
        for target in (getattr(arguments, "json", None), arguments.junit, arguments.markdown)
        if target is not None
    ]
    if targets.count(STDOUT) > 1:
        raise UsageError("Two reports would be mixed on stdout.", hint="Name a file for one of them.")
    for target in targets:
        if target != STDOUT and not Path(target).absolute().parent.is_dir():
            raise UsageError(f"The folder of {target} does not exist.", hint="Make it first.")


def _write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    import os

    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="The report is stored with the version; see weighbridge evaluations.",
        ) from error


def _pairs(texts: list[str], option: str, example: str) -> dict[str, str]:
    """`a=b` texts as a mapping. Raises UsageError."""
    pairs: dict[str, str] = {}
    for text in texts:
        left, equals, right = text.rpartition("=") if option == "--per-metric" else text.partition("=")
        if not equals or not left or not right:
            raise UsageError(f"{option} {text[:80]!r} is no pair.", hint=f"Write {option} '{example}'.")
        pairs[left] = right
    return pairs


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{option} got {text[:40]!r}, not a number.", hint="Write 1e-3.") from error


def _config(texts: list[str]) -> dict[str, object]:
    """`key=value` texts; a value is JSON where it can be read so, else text."""
    import json

    found: dict[str, object] = {}
    for key, text in _pairs(texts, "--config", "batch_size=64").items():
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found
