"""The differences between two runs that can change a score, kind by kind, each with a weight of 0 to 1.

One job: find and word them. `causes` turns weights into ranks. A value that only one side recorded is no
difference, except where recording is complete by nature (configuration keys, packages, variables).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from weighbridge.domain import relevance
from weighbridge.domain.environment import PLACEMENT_VARIABLES, Environment, GitState
from weighbridge.domain.evaluation import CauseKind, MetricResult, format_value
from weighbridge.domain.run import MetricDefinition
from weighbridge.domain.snapshot import InputArtifact, Snapshot
from weighbridge.domain.summary import flatten

MAX_PER_KIND = 20
"""How many configuration keys and how many packages get a cause of their own; the rest share one."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A cause before it is ranked: as `evaluation.Cause`, with a weight in place of rank and score."""

    kind: CauseKind
    subject: str
    weight: float
    title: str
    producer: str | None
    evaluation: str | None
    why: str
    next_step: str
    evidence: dict[str, object] = {}


def find_differences(
    producer: Snapshot, evaluation: Snapshot, results: Sequence[MetricResult]
) -> list[Difference]:
    """Every difference between the two runs but those of the claims themselves; none for equal runs."""
    here, there = producer.environment, evaluation.environment
    return [
        *_datasets(producer.inputs, evaluation.inputs),
        *_model(producer, evaluation),
        *_config(producer.config, evaluation.config),
        *_definitions(producer.metrics, evaluation.metrics, results),
        *_code(here, there),
        *_packages(here.packages, there.packages),
        *_precision(here, there),
        *_seeds(here, there),
        *_python(here, there),
        *_machine(here, there),
    ]


def _datasets(producer: Sequence[InputArtifact], evaluation: Sequence[InputArtifact]) -> Iterator[Difference]:
    trained = [item for item in producer if item.type != "model"]
    scored = [item for item in evaluation if item.type != "model"]
    known = {item.digest for item in trained}
    is_any_shared = any(item.digest in known for item in scored)
    next_step = "Score on the version the producer used."
    for item in scored:
        if item.digest in known:
            continue
        same = [other for other in trained if other.name == item.name]
        if same:
            title = f"producer used {_versions(same)}, evaluation used {_versions([item])}"
            weight, old = 1.0, _versions(same)
            why = "The two scores are of different examples."
        elif trained:
            weight, old = (0.4 if is_any_shared else 0.9), _versions(trained, with_name=True)
            title = f"evaluation used {_versions([item])}, producer never used it but {old}"
            why = "The scores may be of different examples."
        else:
            weight, old = 0.3, None
            title = f"evaluation used {_versions([item])}, producer recorded no dataset at all"
            why = "Without a recorded dataset nothing says that both scored the same examples."
            next_step = "Let the producer declare its data with use_artifact()."
        yield Difference(
            kind=CauseKind.DATASET,
            subject=item.name,
            weight=weight,
            title=f"dataset {item.name}: {title}",
            producer=old,
            evaluation=_versions([item]),
            why=why,
            next_step=next_step,
        )
    if trained and not scored:
        old = _versions(trained, with_name=True)
        yield Difference(
            kind=CauseKind.DATASET,
            subject=trained[0].name,
            weight=0.5,
            title=f"dataset {trained[0].name}: producer used {old}, evaluation none",
            producer=old,
            evaluation=None,
            why="Nothing says that the evaluation scored the producer's examples.",
            next_step="Score on the dataset version the producer used.",
        )


def _model(producer: Snapshot, evaluation: Snapshot) -> Iterator[Difference]:
    if producer.model_digest and evaluation.model_digest and producer.model_digest != evaluation.model_digest:
        old, new = _short(producer.model_digest), _short(evaluation.model_digest)
        yield Difference(
            kind=CauseKind.MODEL,
            subject="model",
            weight=1.0,
            title=f"model: producer logged digest {old}, evaluation loaded digest {new}",
            producer=producer.model_digest,
            evaluation=evaluation.model_digest,
            why="The weights that were scored are not the ones the claim was made for.",
            next_step="Evaluate the version the producer logged.",
        )


def _config(producer: dict[str, object], evaluation: dict[str, object]) -> Iterator[Difference]:
    old, new = dict(flatten(producer)), dict(flatten(evaluation))
    found = []
    for key in {**old, **new}:
        if key.startswith("_") or (key in old and key in new and _same(old[key], new[key])):
            continue
        weight = relevance.config_weight(key) * (
            1.0 if key in old and key in new else 0.9 if key in old else 0.5
        )
        before = _shown(old[key]) if key in old else None
        after = _shown(new[key]) if key in new else None
        absent = "had no such key"
        found.append(
            Difference(
                kind=CauseKind.CONFIG,
                subject=key,
                weight=weight,
                title=f"config {key}: producer {before or absent}, evaluation {after or absent}",
                producer=before,
                evaluation=after,
                why=relevance.config_reason(key),
                next_step=f"Evaluate with the producer's value of {key}.",
            )
        )
    yield from _bounded(found, "config keys", "Evaluate with the producer's configuration.")


def _definitions(
    producer: Sequence[MetricDefinition],
    evaluation: Sequence[MetricDefinition],
    results: Sequence[MetricResult],
) -> Iterator[Difference]:
    old = {definition.name: definition for definition in producer}
    new = {definition.name: definition for definition in evaluation}
    pairs = {(result.claimed_name, result.measured_name) for result in results}
    for claimed, measured in sorted(pairs or {(name, name) for name in old}):
        before = _rule(old[claimed]) if claimed in old else None
        after = _rule(new[measured]) if measured in new else None
        if before and after and before != after:
            yield Difference(
                kind=CauseKind.METRIC_DEFINITION,
                subject=claimed,
                weight=1.0,
                title=f"metric {claimed}: producer keeps {before}, evaluation {after}",
                producer=before,
                evaluation=after,
                why="The two summaries are not the same statistic.",
                next_step="Define the metric alike in both runs.",
            )


def _code(producer: Environment, evaluation: Environment) -> Iterator[Difference]:
    is_scorer_known = bool(producer.scorer_digest and evaluation.scorer_digest)
    is_scorer_same = is_scorer_known and producer.scorer_digest == evaluation.scorer_digest
    if is_scorer_known and not is_scorer_same:
        old, new = _short(producer.scorer_digest), _short(evaluation.scorer_digest)
        yield Difference(
            kind=CauseKind.SCORER,
            subject="scorer",
            weight=1.0,
            title=f"scorer: the producer's has digest {old}, the evaluation's {new}",
            producer=producer.scorer_digest,
            evaluation=evaluation.scorer_digest,
            why="The metric was computed by different code.",
            next_step="Score with the producer's scorer.",
        )
    if producer.git is not None and evaluation.git is not None:
        yield from _git(producer.git, evaluation.git, factor=0.3 if is_scorer_same else 1.0)


def _git(producer: GitState, evaluation: GitState, *, factor: float) -> Iterator[Difference]:
    if producer.remote and evaluation.remote and producer.remote != evaluation.remote:
        weight, old, new = 0.3, producer.remote, evaluation.remote
        title = f"code: producer ran from {old}, evaluation from {new}"
        next_step = "Score with the producer's repository."
    elif producer.commit and evaluation.commit and producer.commit != evaluation.commit:
        weight, old, new = 0.9, producer.commit, evaluation.commit
        title = f"code: producer ran commit {_short(old)}, evaluation {_short(new)}"
        next_step = f"See what changed: git diff {_short(old, '')} {_short(new, '')}"
    elif producer.commit and producer.patch_digest != evaluation.patch_digest:
        weight = 0.95
        old, new = _changes(producer), _changes(evaluation)
        title = f"code: at commit {_short(producer.commit)} producer had {old}, evaluation {new}"
        next_step = "Compare the uncommitted changes kept with both runs; commit before you run."
    else:
        return
    yield Difference(
        kind=CauseKind.SCORER,
        subject="code",
        weight=weight * factor,
        title=title,
        producer=old,
        evaluation=new,
        why="Code that prepares data or computes the metric may differ.",
        next_step=next_step,
    )


def _packages(producer: dict[str, str], evaluation: dict[str, str]) -> Iterator[Difference]:
    if not producer or not evaluation:
        return
    found = []
    for name in {**producer, **evaluation}:
        old, new = producer.get(name), evaluation.get(name)
        if old == new:
            continue
        found.append(
            Difference(
                kind=CauseKind.PACKAGE,
                subject=name,
                weight=relevance.package_weight(name) * relevance.version_step(old, new),
                title=f"package {name}: producer had {old or 'none'}, evaluation {new or 'none'}",
                producer=old,
                evaluation=new,
                why=relevance.package_reason(name),
                next_step=f"Install {name}=={old} and evaluate again."
                if old
                else f"Evaluate without {name}.",
            )
        )
    yield from _bounded(found, "packages", "Install the producer's versions and evaluate again.")


def _precision(producer: Environment, evaluation: Environment) -> Iterator[Difference]:
    next_step = "Set it as the producer had it and evaluate again."
    for key in sorted(producer.precision.keys() & evaluation.precision.keys()):
        old, new = producer.precision[key], evaluation.precision[key]
        if old != new:
            yield _setting(CauseKind.PRECISION, key, (old, new), why=_LAST_DIGITS, next_step=next_step)
    if not (producer.python_version and evaluation.python_version):
        return
    for key in sorted(producer.variables.keys() | evaluation.variables.keys()):
        before, after = producer.variables.get(key), evaluation.variables.get(key)
        if before != after and key not in PLACEMENT_VARIABLES and key != "PYTHONHASHSEED":
            pair = (before, after)
            yield _setting(CauseKind.PRECISION, key, pair, why=_LAST_DIGITS, next_step=next_step, weight=0.8)


_LAST_DIGITS = "It changes the order or the precision of sums, and so the last digits."


def _seeds(producer: Environment, evaluation: Environment) -> Iterator[Difference]:
    for key in sorted(producer.seeds.keys() & evaluation.seeds.keys()):
        old, new = producer.seeds[key], evaluation.seeds[key]
        if old != new:
            yield _setting(
                CauseKind.SEED,
                key,
                (old, new),
                why="Sampling, shuffling or dropout while scoring takes other paths.",
                next_step="Set the producer's seed, or make scoring free of chance.",
            )


def _python(producer: Environment, evaluation: Environment) -> Iterator[Difference]:
    old = f"{producer.python_implementation} {producer.python_version}".strip()
    new = f"{evaluation.python_implementation} {evaluation.python_version}".strip()
    if producer.python_version and evaluation.python_version and old != new:
        is_patch = (
            producer.python_implementation == evaluation.python_implementation
            and producer.python_version.split(".")[:2] == evaluation.python_version.split(".")[:2]
        )
        yield _setting(
            CauseKind.PYTHON,
            "Python",
            (old, new),
            why="Another interpreter most often brings other builds of every package.",
            next_step="Evaluate with the producer's Python.",
            weight=0.7 if is_patch else 1.0,
        )


def _machine(producer: Environment, evaluation: Environment) -> Iterator[Difference]:
    why = "Other processors add in another order and choose other kernels."
    next_step = "Evaluate on like hardware, or widen the tolerance if the difference is of rounding size."
    facts = (
        (CauseKind.HARDWARE, "architecture", producer.machine, evaluation.machine, 1.0),
        (CauseKind.HARDWARE, "CPU", producer.cpu_model, evaluation.cpu_model, 0.8),
        (CauseKind.HARDWARE, "GPU driver", producer.gpu_driver, evaluation.gpu_driver, 0.6),
        (CauseKind.HARDWARE, "CPU count", _count(producer), _count(evaluation), 0.3),
        (CauseKind.OS, "operating system", producer.os, evaluation.os, 1.0),
        (CauseKind.OS, "system release", producer.os_release, evaluation.os_release, 0.5),
    )
    for kind, name, old, new, weight in facts:
        if old and new and old != new:
            yield _setting(kind, name, (old, new), why=why, next_step=next_step, weight=weight)
    if producer.python_version and evaluation.python_version and producer.gpus != evaluation.gpus:
        pair = (", ".join(producer.gpus) or None, ", ".join(evaluation.gpus) or None)
        yield _setting(CauseKind.HARDWARE, "GPU", pair, why=why, next_step=next_step)


def _setting(
    kind: CauseKind,
    subject: str,
    pair: tuple[str | None, str | None],
    *,
    why: str,
    next_step: str,
    weight: float = 1.0,
) -> Difference:
    old, new = pair
    label = {CauseKind.PRECISION: "setting ", CauseKind.SEED: "seed "}.get(kind, "")
    return Difference(
        kind=kind,
        subject=subject,
        weight=weight,
        title=f"{label}{subject}: producer {old or 'none'}, evaluation {new or 'none'}",
        producer=old,
        evaluation=new,
        why=why,
        next_step=next_step,
    )


def _bounded(found: list[Difference], noun: str, next_step: str) -> Iterator[Difference]:
    found.sort(key=lambda difference: (-difference.weight, difference.subject))
    yield from found[:MAX_PER_KIND]
    if rest := found[MAX_PER_KIND:]:
        names = ", ".join(difference.subject for difference in rest[:10]) + (
            ", ..." if len(rest) > 10 else ""
        )
        yield Difference(
            kind=rest[0].kind,
            subject=f"other {noun}",
            weight=rest[0].weight,
            title=f"{len(rest)} more {noun} differ: {names}",
            producer=None,
            evaluation=None,
            why=rest[0].why,
            next_step=next_step,
        )


def _same(old: object, new: object) -> bool:
    """Equal as JSON values: 1 equals 1.0 but not true, NaN equals NaN, order counts in lists only."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, float) and isinstance(new, float) and math.isnan(old):
        return math.isnan(new)
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    return old == new


def _shown(value: object) -> str:
    text = format_value(value) if value is not None else "null"
    return text if len(text) <= 200 else text[:199] + "…"


def _versions(items: Iterable[InputArtifact], *, with_name: bool = False) -> str:
    listed = [
        f"{item.name + ' ' if with_name else ''}{item.version} (digest {_short(item.digest)})"
        for item in items
    ]
    return " and ".join(listed[:5])


def _short(digest: str, mark: str = "…") -> str:
    return digest if len(digest) <= 8 else digest[:8] + mark


def _changes(git: GitState) -> str:
    return f"uncommitted changes {_short(git.patch_digest)}" if git.patch_digest else "no uncommitted changes"


def _count(environment: Environment) -> str:
    return str(environment.cpu_count or "")


def _rule(definition: MetricDefinition) -> str:
    kinds = "+".join(sorted(definition.summary)) or "last"
    goal = f" (goal {definition.goal})" if definition.goal else ""
    step = f" over {definition.step_metric}" if definition.step_metric else ""
    return f"{kinds}{goal}{step}"
