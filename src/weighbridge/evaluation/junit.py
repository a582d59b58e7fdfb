"""An evaluation report as JUnit XML, which every CI server shows as tests.

One job: one test case per check and per claim. A failed one is a failure; an inconclusive one is an error,
since a skipped test would let a pipeline pass. Format: the XML of Apache Ant's JUnit task, as CI servers
read it.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from weighbridge.domain.evaluation import (
    EvaluationReport,
    MetricResult,
    Outcome,
    Verdict,
    headline,
    sentence_of,
)

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0, section 2.2, does not allow, even escaped."""


def to_junit(report: EvaluationReport) -> str:
    """The report as one XML document with the suites `checks` and `claims`."""
    root = ElementTree.Element("testsuites", {"name": _clean(f"weighbridge {report.model}")})
    checks = _suite(root, "checks", report)
    for check in report.checks:
        case = _case(checks, f"{report.model}.{check.kind}", check.name)
        if check.outcome is not Verdict.PASSED:
            _problem(case, check.outcome, str(check.kind), check.message)
    claims = _suite(root, "claims", report)
    for result in report.metrics:
        case = _case(claims, f"{report.model}.claims", result.claimed_name)
        if result.outcome is not Outcome.REPRODUCED:
            _problem(case, _verdict(result), str(result.outcome), sentence_of(result))
    for suite in (checks, claims):
        for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            suite.set(attribute, str(sum(1 for _ in suite.iter(tag))))
    if not report.checks:
        case = _case(checks, report.model, "verdict")
        _problem(case, Verdict.INCONCLUSIVE, "verdict", headline(report))
        checks.set("tests", "1")
        checks.set("errors", "1")
    output = ElementTree.SubElement(checks, "system-out")
    output.text = _clean("\n".join([headline(report), *(f"{c.rank}. {c.title}" for c in report.causes)]))
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(root: ElementTree.Element, name: str, report: EvaluationReport) -> ElementTree.Element:
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, "skipped": "0"})
    if report.started_at is not None and report.finished_at is not None:
        suite.set("time", f"{max(0.0, report.finished_at - report.started_at):.3f}")
    return suite


def _case(suite: ElementTree.Element, class_name: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", {"classname": _clean(class_name), "name": _clean(name)})


def _problem(case: ElementTree.Element, outcome: Verdict, kind: str, message: str) -> None:
    tag = "failure" if outcome is Verdict.FAILED else "error"
    problem = ElementTree.SubElement(case, tag, {"type": kind, "message": _clean(message)})
    problem.text = _clean(message)


def _verdict(result: MetricResult) -> Verdict:
    return Verdict.FAILED if result.outcome is Outcome.DRIFTED else Verdict.INCONCLUSIVE


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
