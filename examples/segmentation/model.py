"""A small U-Net, and its weights as plain arrays, a format that cannot run code when it is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """Two steps down, two steps up, with the skips that make it a U. In: (n, 3, h, w) of 0 to 1."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.enter = block(3, width)
        self.down = block(width, 2 * width)
        self.bottom = block(2 * width, 4 * width)
        self.up = block(4 * width + 2 * width, 2 * width)
        self.leave = block(2 * width + width, width)
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        self.shrink = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, images: Tensor) -> Tensor:
        first = self.enter(images)
        second = self.down(self.shrink(first))
        lowest = self.bottom(self.shrink(second))
        rising = self.up(torch.cat([self.grow(lowest), second], dim=1))
        return self.head(self.leave(torch.cat([self.grow(rising), first], dim=1)))


def block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel_size=3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()
    )


def save(network: nn.Module, path: Path) -> None:
    """Write every weight and running mean under its own name; no pickle."""
    np.savez(path, **{name: value.numpy() for name, value in network.state_dict().items()})


def load(path: Path, *, classes: int, width: int) -> UNet:
    """The network with the weights of a file, ready to predict. A file with objects in it is refused."""
    network = UNet(classes, width)
    with np.load(path, allow_pickle=False) as held:
        network.load_state_dict({name: torch.from_numpy(held[name]) for name in held.files})
    return network.eval()


def as_input(images: np.ndarray) -> Tensor:
    """Images as a network takes them: channels first, 0 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
