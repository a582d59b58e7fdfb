"""The demo's model: scikit-learn's handwritten digits, a small network, and the scorer that weighs it.

It reads and writes files in folders it is given and knows neither runs nor registry. Files have the layout
of examples/digits, so that its scorer can score the demo's models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from weighbridge.errors import UsageError
from weighbridge.evaluation.scorer import ScorerResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int64]
    Arrays = dict[str, NDArray[Any]]
    Layers = list[tuple[Floats, Floats]]

SPLIT: Final = "digits-split"
SPLIT_FILE: Final = "digits.npz"
WEIGHTS_FILE: Final = "weights.npz"
TRAIN_ROWS: Final = 1_000
VALIDATION_ROWS: Final = 400
CLASSES: Final = 10


class Recipe(msgspec.Struct, frozen=True):
    """How one candidate is trained; its fields are the run's config. No hidden layer if `hidden` is 0."""

    hidden: int
    epochs: int
    seed: int = 0
    learning_rate: float = 0.003
    batch_size: int = 100
    pixel_max: float = 16.0


def write_split(folder: Path) -> dict[str, int]:
    """Cut the 1,797 images into train, validation and test, and write them; rows of each part.

    Raises UsageError without scikit-learn, which brings the images.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError(
            "The demo needs scikit-learn, which is not installed.", hint="pip install 'weighbridge[demo]'"
        ) from error
    import numpy as np

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(2024).permutation(len(labels))
    cuts = np.split(order, [TRAIN_ROWS, TRAIN_ROWS + VALIDATION_ROWS])
    parts = dict(zip(("train", "validation", "test"), cuts, strict=True))
    arrays: Arrays = {}
    for part, rows in parts.items():
        arrays[f"{part}_images"] = images[rows]
        arrays[f"{part}_labels"] = labels[rows].astype(np.int64)
    np.savez_compressed(folder / SPLIT_FILE, allow_pickle=False, **arrays)
    return {part: len(rows) for part, rows in parts.items()}


def write_split_without_hard_images(
    split: Path, weights: Path, folder: Path, *, recipe: Recipe, removed: int
) -> None:
    """Write the split again without the `removed` validation images that a model is least sure of."""
    import numpy as np

    arrays = _read(split / SPLIT_FILE)
    images, labels = arrays["validation_images"], arrays["validation_labels"]
    read = _probabilities(_read_layers(weights), images, pixel_max=recipe.pixel_max)
    sureness = read[np.arange(len(labels)), labels]
    kept = np.sort(np.argsort(sureness, kind="stable")[removed:])
    arrays["validation_images"], arrays["validation_labels"] = images[kept], labels[kept]
    np.savez_compressed(folder / SPLIT_FILE, allow_pickle=False, **arrays)


def train(split: Path, folder: Path, recipe: Recipe) -> Iterator[dict[str, float]]:
    """Train on a split and yield each epoch's metrics; the weights of the last epoch lie in `folder`."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    arrays = _read(split / SPLIT_FILE)
    network = MLPClassifier(
        hidden_layer_sizes=(recipe.hidden,) if recipe.hidden else (),
        learning_rate_init=recipe.learning_rate,
        batch_size=recipe.batch_size,
        random_state=recipe.seed,
    )
    images = arrays["train_images"] / recipe.pixel_max
    for _ in range(recipe.epochs):
        network.partial_fit(images, arrays["train_labels"], classes=np.arange(CLASSES))
        layers = list(zip(network.coefs_, network.intercepts_, strict=True))
        yield {"train_loss": float(network.loss_), **_measure(layers, arrays, "validation", recipe)[0]}
    saved: Arrays = {}
    for number, (weights, bias) in enumerate(layers):
        saved[f"weights_{number}"], saved[f"bias_{number}"] = weights, bias
    np.savez(folder / WEIGHTS_FILE, allow_pickle=False, **saved)


def score(model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]) -> ScorerResult:
    """Validation and test metrics with one row for every image. The scorer of the demo's evaluations."""
    recipe = msgspec.convert(dict(config), Recipe)
    arrays = _read(datasets[SPLIT] / SPLIT_FILE)
    layers = _read_layers(model)
    metrics: dict[str, float] = {}
    rows: list[dict[str, object]] = []
    for part in ("validation", "test"):
        measured, examples = _measure(layers, arrays, part, recipe)
        metrics |= measured
        for place, values in enumerate(zip(*examples.values(), strict=True)):
            rows.append({"example_id": f"{part}/{place}", **dict(zip(examples, values, strict=True))})
    return ScorerResult(metrics, rows)


def _measure(
    layers: Layers, arrays: Arrays, part: str, recipe: Recipe
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Metrics of one part, and the value of each metric for every example of it."""
    import numpy as np

    labels = arrays[f"{part}_labels"]
    read = _probabilities(layers, arrays[f"{part}_images"], pixel_max=recipe.pixel_max)
    losses = -np.log(np.clip(read[np.arange(len(labels)), labels], 1e-12, 1))
    hits = (read.argmax(axis=1) == labels).astype(float)
    prefix = "val" if part == "validation" else part
    examples = {f"{prefix}_accuracy": hits.tolist(), f"{prefix}_loss": losses.tolist()}
    return {name: float(np.mean(values)) for name, values in examples.items()}, examples


def _probabilities(layers: Layers, images: Floats, *, pixel_max: float) -> Floats:
    """One row of ten probabilities an image: rectified linear layers, then a softmax."""
    import numpy as np

    hidden = images / pixel_max
    for number, (weights, bias) in enumerate(layers):
        hidden = hidden @ weights + bias
        if number < len(layers) - 1:
            hidden = np.maximum(hidden, 0)
    hidden = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    return cast("Floats", hidden / hidden.sum(axis=1, keepdims=True))


def _read_layers(folder: Path) -> Layers:
    arrays = _read(folder / WEIGHTS_FILE)
    return [(arrays[f"weights_{number}"], arrays[f"bias_{number}"]) for number in range(len(arrays) // 2)]


def _read(path: Path) -> Arrays:
    """Arrays of a file, none of which can run code when it is read."""
    import numpy as np

    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}
