"""A registered model to judge: a producer run, its dataset version, a model that is a number, and scorers for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import weighbridge
from weighbridge import Artifact, ScorerResult

MODEL = "model-registry/Half Right"
PROJECT = "halves"
LABELS = [index % 4 == 0 for index in range(40)]


def log_dataset(labels: list[bool]) -> None:
    """A new version of the dataset `labels`."""
    with weighbridge.init(project=PROJECT, job_type="split") as run:
        dataset = Artifact("labels", type="dataset")
        with dataset.new_file("labels.json") as file:
            json.dump(labels, file)
        run.log_artifact(dataset)


def register(
    *,
    threshold: float = 0.5,
    claim: float | None = None,
    aliases: tuple[str, ...] = ("staging",),
    dataset: str | None = "labels:latest",
    config: Mapping[str, Any] | None = None,
) -> str:
    """Train a model whose accuracy on a dataset is known, claim it (or something else), link it; the run's path."""
    with weighbridge.init(
        project=PROJECT, job_type="train", config={"threshold": threshold, "bias": 0, **(config or {})}
    ) as run:
        labels = LABELS
        if dataset is not None:
            labels = read_labels(Path(run.use_artifact(dataset).download()))
        accuracy = accuracy_of(threshold, labels)
        for epoch in range(3):
            run.log({"val_loss": 1.0 / (epoch + 1)})
        run.summary["final_accuracy"] = accuracy if claim is None else claim
        model = Artifact("half-right", type="model")
        with model.new_file("model.json") as file:
            json.dump({"threshold": threshold, "trained_by": run.id}, file)  # no two runs make the same bytes
        run.log_artifact(model)
        run.link_artifact(model, MODEL, aliases=list(aliases))
    return run.path


def read_labels(folder: Path) -> list[bool]:
    """The labels in a dataset folder."""
    labels: list[bool] = json.loads((folder / "labels.json").read_text())
    return labels


def accuracy_of(threshold: float, labels: list[bool]) -> float:
    """The share of positions where `position / count >= threshold` equals the label."""
    return sum(hits(threshold, labels)) / len(labels)


def hits(threshold: float, labels: list[bool]) -> list[bool]:
    """Per example, whether the model is right."""
    return [(index / len(labels) >= threshold) == label for index, label in enumerate(labels)]


def score(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> ScorerResult:
    """The scorer: accuracy, and one row for each example."""
    threshold = json.loads((model / "model.json").read_text())["threshold"] + config.get("bias", 0)
    labels = read_labels(datasets["labels"])
    right = hits(threshold, labels)
    return ScorerResult({"val_accuracy": sum(right) / len(right)}, [{"correct": float(hit)} for hit in right])


NAMES = {"final_*": "val_*"}
