"""Recording and reading evaluations, refusals first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from tests.service.artifact_world import ANN, BEN, ENTITY, PROJECT, World
from weighbridge.domain.run import RunRef
from weighbridge.errors import (
    ArtifactNotFound,
    EvaluationNotFound,
    InvalidInput,
    LimitExceeded,
    RunNotFound,
)
from weighbridge.services.ports.evaluations import REPORT_MAX_BYTES
from weighbridge.wire.artifacts import DeleteVersion
from weighbridge.wire.evaluations import RecordEvaluation


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "metadata.sqlite")
    yield made
    made.close()


def request(run: RunRef, version_id: int, *, verdict: str = "passed", at: float = 0.0) -> RecordEvaluation:
    return RecordEvaluation(
        run=run, version_id=version_id, verdict=verdict, report=msgspec.Raw(b"{}"), evaluated_at=at
    )


def raw(report: Mapping[str, object]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(report))


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"a": NaN}', b"3", b'{"a": "\xff"}'])
def test_record_refuses_what_is_no_json_object(world: World, text: bytes) -> None:
    run, version = world.run("score"), world.log("Digits", "a")
    asked = msgspec.structs.replace(request(run, version.version_id), report=msgspec.Raw(text))
    with pytest.raises(InvalidInput, match="no JSON object"):
        world.evaluations.record(ANN, asked)


def test_record_refuses_unknown_things_and_verdicts(world: World) -> None:
    run, version = world.run("score"), world.log("Digits", "a")
    with pytest.raises(RunNotFound):
        world.evaluations.record(ANN, request(RunRef(ENTITY, PROJECT, "none"), version.version_id))
    with pytest.raises(ArtifactNotFound):
        world.evaluations.record(ANN, request(run, 99))
    with pytest.raises(InvalidInput, match="'fine' is no verdict") as caught:
        world.evaluations.record(ANN, request(run, version.version_id, verdict="fine"))
    assert "inconclusive" in caught.value.hint
    with pytest.raises(InvalidInput):
        world.evaluations.record(
            ANN, msgspec.structs.replace(request(run, version.version_id), scorer="x" * 4_097)
        )
    with pytest.raises(EvaluationNotFound):
        world.evaluations.get(ANN, 1)


def test_record_refuses_a_report_past_its_bound(world: World) -> None:
    run, version = world.run("score"), world.log("Digits", "a")
    fits = "x" * (REPORT_MAX_BYTES - len('{"a":""}'))
    asked = request(run, version.version_id)
    with pytest.raises(LimitExceeded, match="33,554,433 bytes"):
        world.evaluations.record(ANN, msgspec.structs.replace(asked, report=raw({"a": fits + "x"})))
    assert world.evaluations.list_for_run(ANN, run) == ()
    world.evaluations.record(ANN, msgspec.structs.replace(asked, report=raw({"a": fits})))


def test_a_report_comes_back_with_its_nan_and_infinities(world: World) -> None:
    run, version = world.run("score"), world.log("Digits", "a")
    report = {"a": {"$float": "nan"}, "b": [{"$float": "-inf"}, None, "NaN", 1e300]}
    asked = msgspec.structs.replace(request(run, version.version_id), report=raw(report), scorer="score:main")
    made = world.evaluations.record(ANN, asked)
    found = world.evaluations.get(ANN, made.evaluation_id)
    assert found.report == report
    assert (found.scorer, found.version_path, found.run) == ("score:main", "ann/digits/Digits:v0", run)
    assert found.evaluated_at == world.clock.at


def test_recording_again_replaces_and_is_audited(world: World) -> None:
    run, version = world.run("score"), world.log("Digits", "a")
    first = world.evaluations.record(ANN, request(run, version.version_id, verdict="failed"))
    again = world.evaluations.record(BEN, request(run, version.version_id))
    assert again.evaluation_id == first.evaluation_id
    assert [each.verdict for each in world.evaluations.list_for_version(ANN, version.version_id)] == [
        "passed"
    ]
    events = [event for event in world.audit_events("ann/digits/Digits:v0") if "evaluation" in event.action]
    assert [(event.actor, event.details["replaced"]) for event in events] == [("ben", True), ("ann", False)]


def test_lists_are_newest_first_and_the_newest_verdict_is_the_versions(world: World) -> None:
    version = world.log("Digits", "a")
    for run_id, verdict, at in (
        ("one", "passed", 50.0),
        ("late", "failed", 30.0),
        ("two", "inconclusive", 40.0),
    ):
        world.evaluations.record(ANN, request(world.run(run_id), version.version_id, verdict=verdict, at=at))
    listed = world.evaluations.list_for_version(ANN, version.version_id)
    assert [each.run.run_id for each in listed] == ["one", "two", "late"]
    assert world.find("Digits", "latest").verdict == "passed"
    assert world.link(version, "Shelf").verdict == "passed"


def test_evaluations_outlive_the_version_and_the_run(world: World) -> None:
    run, version = world.run("score"), world.log("Digits", "a")
    world.evaluations.record(ANN, request(run, version.version_id))
    world.artifacts.delete(ANN, DeleteVersion(version_id=version.version_id))
    world.delete_run(run)
    assert len(world.evaluations.list_for_version(ANN, version.version_id)) == 1
    assert len(world.evaluations.list_for_run(ANN, run)) == 1
