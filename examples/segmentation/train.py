"""Train a small U-Net on street scenes and put it into the registry as `staging`.

python examples/segmentation/train.py [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model import UNet, as_input, save
from scenes import CLASSES, write_split
from score import count_pixels, metrics_of
from torch import nn

import weighbridge

PROJECT = "street-scenes"


def log_scenes(folder: Path, config: dict[str, Any]) -> None:
    """Draw the scenes and log them, images and masks, as one version of a dataset."""
    sizes = {"train": config["scenes"], "validation": config["scenes"] // 4, "test": config["scenes"] // 4}
    write_split(folder, sizes, seed=config["seed"])
    with weighbridge.init(project=PROJECT, job_type="prepare-data") as run:
        dataset = weighbridge.Artifact(
            "street-scenes", type="dataset", metadata={"classes": CLASSES, **sizes}
        )
        dataset.add_dir(folder)
        run.log_artifact(dataset)


def train(folder: Path, config: dict[str, Any]) -> None:
    """Train, log each epoch, and register the weights with what is claimed for them."""
    torch.manual_seed(config["seed"])
    torch.use_deterministic_algorithms(True)
    with weighbridge.init(project=PROJECT, job_type="train", config=config) as run:
        run.define_metric("val_miou", summary="max,last")
        data = Path(run.use_artifact("street-scenes:latest").download(folder / "data"))
        with np.load(data / "train.npz", allow_pickle=False) as held:
            images, masks = as_input(held["images"]), torch.from_numpy(held["masks"]).long()

        network = UNet(len(CLASSES), config["width"])
        optimiser = torch.optim.Adam(network.parameters(), lr=config["learning_rate"])
        # cars and persons are small: without weights they would hardly count
        share = torch.bincount(masks.flatten(), minlength=len(CLASSES)) / masks.numel()
        loss_of = nn.CrossEntropyLoss(weight=1 / torch.sqrt(share + 1e-3))
        for epoch in range(config["epochs"]):
            network.train()
            losses = []
            for batch in torch.randperm(len(images)).split(config["batch_size"]):
                loss = loss_of(network(images[batch]), masks[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
            measured = metrics_of(count_pixels(network, data, "validation"), "val")
            run.log({"epoch": epoch, "train_loss": float(np.mean(losses)), **measured})

        run.summary["final_miou"] = measured["val_miou"]
        run.summary["final_accuracy"] = measured["val_accuracy"]
        save(network, folder / "weights.npz")
        model = weighbridge.Artifact("street-unet", type="model", metadata={"width": config["width"]})
        model.add_file(folder / "weights.npz")
        run.log_artifact(model)
        run.link_artifact(model, "model-registry/Street Scenes", aliases=["staging"])
        print(f"{run.name} claims a mean IoU of {measured['val_miou']:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small U-Net on street scenes.")
    parser.add_argument("--quick", action="store_true", help="few scenes and epochs, for a first look")
    parser.add_argument("--epochs", type=int, help="instead of 10, or of 6 with --quick")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    scenes, epochs = (60, 6) if arguments.quick else (240, 10)
    epochs = arguments.epochs or epochs
    config = {
        "scenes": scenes,
        "epochs": epochs,
        "seed": arguments.seed,
        "width": 8 if arguments.quick else 12,
        "batch_size": 10,
        "learning_rate": 0.01,
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "scenes").mkdir()
        log_scenes(Path(folder) / "scenes", config)
        train(Path(folder), config)


if __name__ == "__main__":
    main()
