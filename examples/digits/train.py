"""Train a classifier of handwritten digits, and put it into the registry as `staging`.

A script as you may have it for W&B: only the import differs.

    python examples/digits/train.py [--epochs 40] [--hidden 32] [--seed 0]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from score import measure, probabilities, read_split, read_weights
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import weighbridge as wandb

PROJECT = "digits"


def log_split(folder: Path) -> None:
    """Cut scikit-learn's 1,797 digits into three parts and log them as one version of a dataset."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(2024).permutation(len(labels))
    parts = {"train": order[:1000], "validation": order[1000:1400], "test": order[1400:]}
    arrays = {}
    for part, rows in parts.items():
        arrays[f"{part}_images"] = images[rows]
        arrays[f"{part}_labels"] = labels[rows].astype(np.int64)
    np.savez_compressed(folder / "digits.npz", **arrays)

    with wandb.init(project=PROJECT, job_type="prepare-data") as run:
        sizes = {part: len(rows) for part, rows in parts.items()}
        dataset = wandb.Artifact("digits-split", type="dataset", metadata=sizes)
        dataset.add_file(folder / "digits.npz")
        run.log_artifact(dataset)


def train(folder: Path, config: dict[str, Any]) -> None:
    """Train on the split, log each epoch, and register the weights with what is claimed for them."""
    with wandb.init(project=PROJECT, job_type="train", config=config) as run:
        data = Path(run.use_artifact("digits-split:latest").download(folder / "split"))
        images, labels = read_split(data, "train")
        network = MLPClassifier(
            hidden_layer_sizes=(config["hidden"],),
            learning_rate_init=config["learning_rate"],
            batch_size=config["batch_size"],
            random_state=config["seed"],
        )
        for epoch in range(config["epochs"]):
            network.partial_fit(images / config["pixel_max"], labels, classes=range(10))
            save(network, folder / "weights.npz")
            read = probabilities(read_weights(folder), read_split(data, "validation")[0], config)
            measured, _ = measure(read, read_split(data, "validation")[1], "val")
            run.log({"epoch": epoch, "train_loss": float(network.loss_), **measured})

        # what this run claims for its model; an evaluation weighs it
        run.summary["final_accuracy"] = measured["val_accuracy"]
        run.summary["final_loss"] = measured["val_loss"]

        model = wandb.Artifact("digits-model", type="model", metadata={"layers": [64, config["hidden"], 10]})
        model.add_file(folder / "weights.npz")
        run.log_artifact(model)
        run.link_artifact(model, "model-registry/Digits", aliases=["staging"])
        print(f"{run.name} claims an accuracy of {measured['val_accuracy']:.4f}")
        print("It is model-registry/Digits:staging now. Weigh it: python examples/digits/evaluate.py")


def save(network: MLPClassifier, path: Path) -> None:
    """Write the weights as plain arrays, a format that cannot run code when it is read."""
    arrays = {}
    for number, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        arrays[f"weights_{number}"], arrays[f"bias_{number}"] = weights, bias
    np.savez(path, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a classifier of handwritten digits.")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = {**vars(arguments), "learning_rate": 0.003, "batch_size": 100, "pixel_max": 16.0}
    with tempfile.TemporaryDirectory() as folder:
        log_split(Path(folder))
        train(Path(folder), config)


if __name__ == "__main__":
    main()
