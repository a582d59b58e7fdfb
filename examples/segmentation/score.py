"""Scores a segmentation model: IoU of each class, their mean, and one row for every image.

weighbridge evaluate "model-registry/Street Scenes:staging" --scorer examples/segmentation/score.py:score
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model import UNet, as_input, load
from numpy.typing import NDArray
from scenes import CLASSES

import weighbridge

Counts = NDArray[np.int64]
PREFIX = {"validation": "val", "test": "test"}


def count_pixels(network: UNet, folder: Path, part: str) -> Counts:
    """For every image, how many pixels of each true class were given each class: (images, true, given)."""
    with np.load(folder / f"{part}.npz", allow_pickle=False) as held:
        images, masks = held["images"], held["masks"]
    network.eval()
    kinds = len(CLASSES)
    counts = np.zeros((len(masks), kinds, kinds), np.int64)
    with torch.inference_mode():
        for start in range(0, len(images), 20):
            given = network(as_input(images[start : start + 20])).argmax(dim=1).numpy()
            for place, found in enumerate(given, start):
                pairs = masks[place].astype(np.int64) * kinds + found
                counts[place] = np.bincount(pairs.ravel(), minlength=kinds**2).reshape(kinds, kinds)
    return counts


def iou(counts: Counts) -> NDArray[np.float64]:
    """Intersection over union of each class, from counts (..., true, given); NaN where a class is nowhere."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    union = counts.sum(axis=-1) + counts.sum(axis=-2) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


def metrics_of(counts: Counts, prefix: str) -> dict[str, Any]:
    """Pixel accuracy, mean IoU and the IoU of each class over all images of a part."""
    total = counts.sum(axis=0)
    by_class = iou(total)
    return {
        f"{prefix}_miou": float(np.nanmean(by_class)),
        f"{prefix}_accuracy": float(np.trace(total) / total.sum()),
        f"{prefix}_iou": dict(zip(CLASSES, by_class.tolist(), strict=True)),
    }


def rows_of(counts: Counts, part: str) -> list[dict[str, Any]]:
    """One row for every image: its own mean IoU and accuracy, under the names of the metrics."""
    prefix = PREFIX[part]
    return [
        {
            "example_id": f"{part}/{place}",
            f"{prefix}_miou": float(np.nanmean(iou(image))),
            f"{prefix}_accuracy": float(np.trace(image) / image.sum()),
        }
        for place, image in enumerate(counts)
    ]


def score(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> weighbridge.ScorerResult:
    """Metrics of the validation and the test scenes, with a row for every image."""
    network = load(model / "weights.npz", classes=len(CLASSES), width=config["width"])
    metrics: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for part, prefix in PREFIX.items():
        counts = count_pixels(network, datasets["street-scenes"], part)
        metrics |= metrics_of(counts, prefix)
        rows += rows_of(counts, part)
    return weighbridge.ScorerResult(metrics, rows)
