"""A report as people and CI servers see it."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.unit.evaluation_examples import SNAPSHOT, report_of
from weighbridge.domain.causes import InputArtifact
from weighbridge.domain.evaluation import Claim, EvaluationReport, Verdict
from weighbridge.domain.reproduction import reproduce_metrics
from weighbridge.evaluation.junit import to_junit
from weighbridge.evaluation.rendering import MAX_REPRODUCED, render, to_json, to_markdown, to_text

GOLDEN = Path(__file__).parent / "golden"


def failed() -> EvaluationReport:
    other = msgspec.structs.replace(SNAPSHOT, inputs=(InputArtifact("digits-split", "v2", "ff" * 32),))
    return report_of({"val_accuracy": 0.85, "val_loss": math.nan}, other)


def passed() -> EvaluationReport:
    return report_of({"val_accuracy": 0.91, "val_loss": 0.3})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("failed.txt", to_text(failed())),
        ("failed.md", to_markdown(failed())),
        ("failed.xml", to_junit(failed())),
        ("failed.json", to_json(failed())),
        ("passed.txt", to_text(passed())),
    ],
)
def test_golden(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_the_verdict_comes_first_then_drift_causes_checks_comparison_data() -> None:
    text = to_text(failed())
    titles = ["Not reproduced", "Causes", "Checks", "Compared with", "Datasets", "Claims not checked"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places) and text.index("failed") < places[0]


def hostile() -> EvaluationReport:
    name = "a|b\n# <b>[x](y)\x1b[31m\x00"
    results = reproduce_metrics([Claim(name, "`c`")], {name: "d|e"})
    return msgspec.structs.replace(passed(), metrics=tuple(results), notes=(name,))


def test_names_cannot_add_markup_rows_or_terminal_codes() -> None:
    markdown = to_markdown(hostile())
    assert "<b>" not in markdown and "\n# " not in markdown and "a|b" not in markdown
    [row] = [line for line in markdown.splitlines() if line.startswith("| a")]
    assert row.replace("\\|", "").count("|") == 8
    for text in (to_text(hostile()), render(hostile(), is_terminal=True)):
        assert "\x1b[31m\x00" not in text and "\x00" not in text


def test_names_that_xml_cannot_hold_are_replaced() -> None:
    root = ElementTree.fromstring(to_junit(hostile()))
    assert [case.get("name") for case in root.iter("testcase")][-1] == "a|b\n# <b>[x](y)\ufffd[31m\ufffd"


def test_junit_counts_failures_and_errors() -> None:
    suites = {
        suite.get("name"): suite for suite in ElementTree.fromstring(to_junit(failed())).iter("testsuite")
    }
    assert (suites["claims"].get("tests"), suites["claims"].get("failures")) == ("2", "2")
    empty = msgspec.structs.replace(passed(), checks=(), metrics=(), verdict=Verdict.INCONCLUSIVE)
    [error] = ElementTree.fromstring(to_junit(empty)).iter("error")
    assert "nothing was checked" in (error.text or "")


def test_reproduced_metrics_past_the_bound_are_counted() -> None:
    claims = [Claim(f"m{i}", 1.0) for i in range(MAX_REPRODUCED + 1)]
    results = reproduce_metrics(claims, {claim.name: 1.0 for claim in claims})
    text = to_text(msgspec.structs.replace(passed(), metrics=tuple(results)))
    assert "and 1 more" in text and f"m{MAX_REPRODUCED} " not in text


def test_a_terminal_gets_colour_and_a_pipe_does_not() -> None:
    assert "\x1b[" in render(failed(), is_terminal=True)
    assert render(failed(), is_terminal=False) == to_text(failed())


def test_json_reads_back_to_the_same_report() -> None:
    assert EvaluationReport.from_json(to_json(failed())).to_json() == failed().to_json()
