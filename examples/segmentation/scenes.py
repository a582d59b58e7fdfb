"""Street scenes drawn with NumPy: sky, buildings, trees, a road, cars and persons, each pixel with its class.

The same seed gives the same scenes. `python examples/segmentation/scenes.py FOLDER` writes a split.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASSES = ("sky", "building", "tree", "road", "car", "person")
HEIGHT, WIDTH = 48, 64
COLOURS = np.array(
    [[150, 190, 230], [150, 120, 100], [60, 110, 50], [90, 90, 95], [170, 50, 50], [220, 170, 120]], float
)
NOISE = 30.0
"""Standard deviation of what is added to each pixel, of 255."""

Images = NDArray[np.uint8]


def draw(count: int, seed: int) -> tuple[Images, Images]:
    """`count` images (n, height, width, 3) and their masks (n, height, width) of class numbers."""
    random = np.random.default_rng(seed)
    masks = np.stack([_mask(random) for _ in range(count)])
    light = random.uniform(0.65, 1.15, size=(count, 1, 1, 1))
    tint = random.normal(0, 22, size=(count, len(CLASSES), 3))
    colours = COLOURS[masks] + tint[np.arange(count)[:, None, None], masks]
    images = colours * light + random.normal(0, NOISE, size=(*masks.shape, 3))
    return np.clip(images, 0, 255).astype(np.uint8), masks


def _mask(random: np.random.Generator) -> Images:
    """One scene from the back to the front."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    horizon = int(random.integers(18, 27))
    x = 0
    while x < WIDTH:
        width = int(random.integers(6, 16))
        mask[horizon - int(random.integers(0, 15)) : horizon, x : x + width] = 1
        x += width
    for _ in range(random.integers(1, 4)):
        top, left = int(random.integers(8, horizon)), int(random.integers(0, WIDTH))
        _ellipse(mask, 2, top, left, height=int(random.integers(4, 8)), width=4)
    mask[horizon:] = 3
    for _ in range(random.integers(1, 4)):
        top, left = int(random.integers(horizon, HEIGHT - 8)), int(random.integers(0, WIDTH - 10))
        size = 4 + (top - horizon) // 3
        mask[top : top + size, left : left + 2 * size] = 4
    for _ in range(random.integers(0, 4)):
        top, left = int(random.integers(horizon - 3, HEIGHT - 12)), int(random.integers(0, WIDTH - 4))
        mask[top + 2 : top + 11, left : left + 3] = 5
        _ellipse(mask, 5, top + 1, left + 1, height=2, width=2)
    return mask


def _ellipse(mask: Images, kind: int, y: int, x: int, *, height: int, width: int) -> None:
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    mask[((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 <= 1] = kind


def write_split(folder: Path, sizes: dict[str, int], seed: int) -> None:
    """Write one .npz for each part, with `images` and `masks`; parts never share a scene."""
    for number, (part, count) in enumerate(sizes.items()):
        images, masks = draw(count, seed * 1_000 + number)
        np.savez_compressed(folder / f"{part}.npz", images=images, masks=masks)


if __name__ == "__main__":
    write_split(Path(sys.argv[1]), {"train": 240, "validation": 60, "test": 60}, seed=0)
