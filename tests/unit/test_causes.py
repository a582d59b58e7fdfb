"""Which cause comes first: each alone, several together, and the claim itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluation_examples import ENVIRONMENT, SNAPSHOT, drifted
from weighbridge.domain.causes import MAX_CAUSES, InputArtifact, MetricHistory, Snapshot, explain
from weighbridge.domain.environment import Environment, GitState
from weighbridge.domain.evaluation import Cause, CauseKind, Claim
from weighbridge.domain.relevance import config_weight, package_weight, version_step
from weighbridge.domain.reproduction import reproduce_metrics
from weighbridge.domain.run import MetricDefinition


def changed(**fields: Any) -> Snapshot:
    return msgspec.structs.replace(SNAPSHOT, **fields)


def surrounded(**fields: Any) -> Snapshot:
    return changed(environment=msgspec.structs.replace(ENVIRONMENT, **fields))


def first(evaluation: Snapshot, measured: float = 0.80) -> Cause:
    return explain(SNAPSHOT, evaluation, drifted(measured=measured))[0]


def test_equal_runs_without_drift_have_no_cause() -> None:
    assert explain(SNAPSHOT, SNAPSHOT, []) == []


def test_nothing_known_explains_nothing() -> None:
    assert explain(SNAPSHOT, Snapshot(), []) != []  # configuration and datasets are complete by nature
    unknown = Snapshot(config=SNAPSHOT.config, inputs=SNAPSHOT.inputs)
    assert explain(SNAPSHOT, unknown, []) == []


assert ENVIRONMENT.git is not None
GIT: GitState = ENVIRONMENT.git

ALONE: list[tuple[CauseKind, str, Snapshot]] = [
    (CauseKind.DATASET, "digits-split", changed(inputs=(InputArtifact("digits-split", "v2", "ff" * 32),))),
    (CauseKind.DATASET, "digits-split", changed(inputs=())),
    (CauseKind.DATASET, "other", changed(inputs=(InputArtifact("other", "v0", "ee" * 32),))),
    (CauseKind.MODEL, "model", changed(model_digest="00" * 32)),
    (CauseKind.CONFIG, "model.width", changed(config={**SNAPSHOT.config, "model": {"width": 32}})),
    (CauseKind.CONFIG, "notes", changed(config={**SNAPSHOT.config, "notes": "second"})),
    (CauseKind.CONFIG, "threshold", changed(config={"model": {"width": 64}, "notes": "first"})),
    (CauseKind.PACKAGE, "numpy", surrounded(packages={**ENVIRONMENT.packages, "numpy": "2.1.1"})),
    (
        CauseKind.PACKAGE,
        "local-metrics",
        surrounded(packages={**ENVIRONMENT.packages, "local-metrics": "2.0"}),
    ),
    (CauseKind.PACKAGE, "pip", surrounded(packages={**ENVIRONMENT.packages, "pip": "24.0.1"})),
    (CauseKind.SEED, "torch.initial_seed", surrounded(seeds={"torch.initial_seed": "2"})),
    (CauseKind.PYTHON, "Python", surrounded(python_version="3.11.8")),
    (CauseKind.SCORER, "code", surrounded(git=msgspec.structs.replace(GIT, commit="b" * 40))),
    (
        CauseKind.SCORER,
        "code",
        surrounded(git=msgspec.structs.replace(GIT, patch_digest="1f" * 32)),
    ),
]


@pytest.mark.parametrize(("kind", "subject", "evaluation"), ALONE)
@pytest.mark.parametrize("measured", [0.80, 0.9090, 0.91001])
def test_a_difference_in_an_otherwise_equal_pair_is_named_first(
    kind: CauseKind, subject: str, evaluation: Snapshot, measured: float
) -> None:
    cause = first(evaluation, measured)
    assert (cause.kind, cause.subject, cause.rank) == (kind, subject, 1)


def test_an_altered_claim_without_history_is_named_as_the_claim_itself() -> None:
    [cause] = explain(SNAPSHOT, SNAPSHOT, drifted(0.99, 0.91))
    assert cause.kind is CauseKind.CLAIM
    assert "recorded as 0.99, and an equal run measures 0.91" in cause.title


def history(**facts: Any) -> MetricHistory:
    return MetricHistory(**{"last": 0.91, "last_step": 9, "max": 0.93, "max_step": 5, "min": 0.1, **facts})


def test_a_summary_that_contradicts_its_history_comes_before_a_changed_dataset() -> None:
    producer = changed(history={"acc": history()})
    evaluation = changed(inputs=(InputArtifact("digits-split", "v2", "ff" * 32),))
    cause, second = explain(producer, evaluation, drifted(0.99, 0.91))
    assert cause.kind is CauseKind.CLAIM
    assert "was set by hand, the summary says 0.99, history's last acc is 0.91" in cause.title
    assert cause.evidence["fresh_agrees_with_history"] is True
    assert second.kind is CauseKind.DATASET


def test_the_history_of_the_measured_name_is_evidence_too() -> None:
    producer = changed(history={"val_acc": history()})
    results = reproduce_metrics([Claim("final_acc", 0.99)], {"val_acc": 0.91}, names={"final_*": "val_*"})
    assert explain(producer, SNAPSHOT, results)[0].kind is CauseKind.CLAIM


def test_history_of_another_name_that_fits_nothing_stays_below_a_changed_package() -> None:
    producer = changed(history={"val_acc": history()})
    results = reproduce_metrics([Claim("final_acc", 0.99)], {"val_acc": 0.5}, names={"final_*": "val_*"})
    evaluation = surrounded(packages={**ENVIRONMENT.packages, "numpy": "1.26.0"})
    assert explain(producer, evaluation, results)[0].kind is CauseKind.PACKAGE


def test_the_best_of_a_run_claimed_for_its_last_model_is_a_metric_definition() -> None:
    producer = changed(history={"acc": history()}, model_step=9)
    cause = explain(producer, SNAPSHOT, drifted(0.93, 0.91))[0]
    assert cause.kind is CauseKind.METRIC_DEFINITION
    assert "the largest value (step 5)" in cause.title and "step 9" in cause.title


def test_a_claim_from_the_models_own_step_is_beyond_suspicion() -> None:
    producer = changed(history={"acc": history()}, model_step=5)
    evaluation = surrounded(packages={**ENVIRONMENT.packages, "numpy": "2.1.1"})
    assert [cause.kind for cause in explain(producer, evaluation, drifted(0.93, 0.5))] == [CauseKind.PACKAGE]


def test_the_last_value_claimed_for_an_earlier_model_is_a_metric_definition() -> None:
    producer = changed(history={"acc": history(at_model_step=0.93)}, model_step=5)
    cause = explain(producer, SNAPSHOT, drifted(0.91, 0.93))[0]
    assert cause.kind is CauseKind.METRIC_DEFINITION and "last value (step 9)" in cause.title


def test_other_definitions_of_the_metric_are_a_cause() -> None:
    best = MetricDefinition(name="acc", summary=("max",))
    last = MetricDefinition(name="acc", summary=("last",))
    cause = explain(changed(metrics=(best,)), changed(metrics=(last,)), drifted())[0]
    assert cause.kind is CauseKind.METRIC_DEFINITION and "producer keeps max, evaluation last" in cause.title


def everything_changed() -> Snapshot:
    return changed(
        inputs=(InputArtifact("digits-split", "v2", "ff" * 32),),
        model_digest="00" * 32,
        config={**SNAPSHOT.config, "threshold": 0.4},
        environment=Environment(
            python_version="3.12.1",
            python_implementation="CPython",
            os="Darwin",
            machine="arm64",
            git=GitState(commit="b" * 40),
            packages={**ENVIRONMENT.packages, "numpy": "1.26.0"},
            seeds={"torch.initial_seed": "2"},
            precision={"torch.cuda.matmul.allow_tf32": "True"},
            variables=ENVIRONMENT.variables,
        ),
    )


def test_when_everything_differs_data_comes_first_and_the_system_last() -> None:
    kinds = [cause.kind for cause in explain(SNAPSHOT, everything_changed(), drifted(0.91, 0.9075))]
    assert kinds == [
        CauseKind.DATASET,
        CauseKind.MODEL,
        CauseKind.CONFIG,
        CauseKind.SCORER,
        CauseKind.PACKAGE,
        CauseKind.PRECISION,
        CauseKind.SEED,
        CauseKind.PYTHON,
        CauseKind.HARDWARE,
        CauseKind.OS,
    ]


def test_precision_goes_up_for_rounding_sized_drift_and_down_for_large() -> None:
    evaluation = surrounded(
        precision={"torch.cuda.matmul.allow_tf32": "True"},
        packages={**ENVIRONMENT.packages, "numpy": "2.1.1"},
    )
    assert first(evaluation, 0.91001).kind is CauseKind.PRECISION
    assert first(evaluation, 0.80).kind is CauseKind.PACKAGE


def test_a_core_package_and_a_major_version_come_before_others() -> None:
    old = {"numpy": "2.1.0", "torch": "2.4.0", "pytest": "8.0", "odd": "1.0"}
    new = {"numpy": "2.1.1", "torch": "3.0.0", "pytest": "9.0", "odd": "2.0"}
    producer = changed(environment=msgspec.structs.replace(ENVIRONMENT, packages=old))
    causes = explain(producer, surrounded(packages=new), drifted())
    assert [cause.subject for cause in causes] == ["torch", "numpy", "odd", "pytest"]


def test_many_differences_of_a_kind_share_one_cause_and_the_list_is_bounded() -> None:
    old = {f"key{i}": i for i in range(500)}
    new = {f"key{i}": i + 1 for i in range(500)}
    causes = explain(changed(config=old), changed(config=new), drifted())
    assert len(causes) == 21 and causes[-1].title.startswith("480 more config keys differ: key")
    inputs = tuple(InputArtifact(f"d{i}", "v0", f"{i}") for i in range(MAX_CAUSES + 1))
    assert len(explain(SNAPSHOT, changed(inputs=inputs), drifted())) == MAX_CAUSES


def test_the_same_data_under_another_name_is_no_cause() -> None:
    renamed = (InputArtifact("copy", "v7", SNAPSHOT.inputs[0].digest),)
    assert explain(SNAPSHOT, changed(inputs=renamed), []) == []


def test_a_test_set_beside_the_producers_own_data_weighs_less_than_its_absence() -> None:
    extra = InputArtifact("test-set", "v0", "ee" * 32)
    [beside] = explain(SNAPSHOT, changed(inputs=(*SNAPSHOT.inputs, extra)), [])
    [instead] = explain(SNAPSHOT, changed(inputs=(extra,)), [])
    assert beside.score < instead.score


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3)
snapshots = st.builds(
    lambda config, inputs, digest, packages, version: Snapshot(
        config=dict(config),
        inputs=tuple(InputArtifact(*item) for item in inputs),
        model_digest=digest,
        environment=Environment(packages=packages, python_version=version),
    ),
    st.dictionaries(st.sampled_from(["lr", "threshold", "a.b", "name"]), scalars),
    st.lists(
        st.tuples(st.sampled_from("xy"), st.sampled_from(["v0", "v1"]), st.sampled_from("pq")), max_size=3
    ),
    st.sampled_from(["", "m1", "m2"]),
    st.dictionaries(st.sampled_from(["numpy", "pip", "odd"]), st.sampled_from(["1.0", "2.0"])),
    st.sampled_from(["", "3.11.1", "3.12.0"]),
)


@given(snapshots)
def test_law_a_run_never_differs_from_itself(snapshot: Snapshot) -> None:
    assert explain(snapshot, snapshot, []) == []
    kinds = [cause.kind for cause in explain(snapshot, snapshot, drifted())]
    assert kinds == [CauseKind.CLAIM]


@given(snapshots, snapshots)
def test_law_the_order_is_total_and_hangs_on_content_only(one: Snapshot, two: Snapshot) -> None:
    causes = explain(one, two, drifted())
    assert [cause.rank for cause in causes] == list(range(1, len(causes) + 1))
    assert [-cause.score for cause in causes] == sorted(-cause.score for cause in causes)
    turned = msgspec.structs.replace(
        two,
        config=dict(reversed(two.config.items())),
        environment=msgspec.structs.replace(
            two.environment, packages=dict(reversed(two.environment.packages.items()))
        ),
    )
    assert explain(one, turned, drifted()) == causes


def test_weights_of_names() -> None:
    assert config_weight("data.image_size") == 1.0
    assert config_weight("model_name") == 1.0
    assert config_weight("output_dir") == 0.2
    assert config_weight("lr") == 0.6
    assert config_weight("quux") == 0.9
    assert (package_weight("torch"), package_weight("quux"), package_weight("ruff")) == (1.0, 0.5, 0.25)
    steps = [version_step("1.2.3", new) for new in ("2.2.3", "1.3.3", "1.2.4", "1.2.3+cu12", None)]
    assert steps == [1.0, 0.9, 0.8, 0.7, 0.5]
