"""Scores a digits model: builds it again from weights and config, and measures it on a split.

`train.py` measures its claims with `measure()`, and an evaluation measures them again with it, so that a
difference cannot come from two ways of counting. Used by hand from `evaluate.py`, or in one call:

    weighbridge evaluate "model-registry/Digits:staging" --scorer examples/digits/score.py:score
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import weighbridge

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

PREFIX = {"validation": "val", "test": "test"}


def read_split(folder: Path, part: str) -> tuple[Floats, Labels]:
    """Images (n, 64) of 0 to 16 and labels (n,) of one part: train, validation or test."""
    with np.load(folder / "digits.npz", allow_pickle=False) as arrays:
        return arrays[f"{part}_images"], arrays[f"{part}_labels"]


def read_weights(folder: Path) -> list[tuple[Floats, Floats]]:
    """One (weights, bias) pair a layer. Plain arrays: reading them can run no code."""
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        return [(arrays[f"weights_{n}"], arrays[f"bias_{n}"]) for n in range(len(arrays.files) // 2)]


def probabilities(layers: list[tuple[Floats, Floats]], images: Floats, config: Mapping[str, Any]) -> Floats:
    """What the network says: one row of ten probabilities an image."""
    hidden = images / config["pixel_max"]
    for number, (weights, bias) in enumerate(layers):
        hidden = hidden @ weights + bias
        if number < len(layers) - 1:
            hidden = np.maximum(hidden, 0)
    hidden = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    return cast(Floats, hidden / hidden.sum(axis=1, keepdims=True))


def measure(read: Floats, labels: Labels, prefix: str) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Metrics over all examples, and each metric's value for every example: the same names for both."""
    losses = -np.log(np.clip(read[np.arange(len(labels)), labels], 1e-12, 1))
    hits = (read.argmax(axis=1) == labels).astype(float)
    examples = {f"{prefix}_accuracy": hits.tolist(), f"{prefix}_loss": losses.tolist()}
    return {name: float(np.mean(values)) for name, values in examples.items()}, examples


def score(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> weighbridge.ScorerResult:
    """Validation and test metrics of a model, with one row for every image so that models can be paired."""
    layers = read_weights(model)
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for part, prefix in PREFIX.items():
        images, labels = read_split(datasets["digits-split"], part)
        measured, examples = measure(probabilities(layers, images, config), labels, prefix)
        metrics |= measured
        for place, values in enumerate(zip(*examples.values(), strict=True)):
            rows.append({"example_id": f"{part}/{place}", **dict(zip(examples, values, strict=True))})
    return weighbridge.ScorerResult(metrics, rows)
