"""The report a user gets in hand: the domain's record with the ways to show it. It adds no field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.domain import evaluation as domain
from weighbridge.evaluation.rendering import to_markdown, to_rich, to_text

if TYPE_CHECKING:
    from rich.console import Group


class EvaluationReport(domain.EvaluationReport, frozen=True, kw_only=True):
    """What one evaluation found about one model version.

    `print(report)` gives its headline and what drifted; `to_text()` the whole as tables, `to_markdown()` the same
    for a pull request, `to_json()` for machines; a rich console and a notebook show it in full.
    """

    def to_text(self) -> str:
        """The whole report as plain text with aligned columns."""
        return to_text(self)

    def to_markdown(self) -> str:
        """The whole report as GitHub-flavoured Markdown; every value is escaped."""
        return to_markdown(self)

    def __rich__(self) -> Group:
        return to_rich(self)

    def _repr_markdown_(self) -> str:
        return to_markdown(self)
