"""How much a configuration key or a package is likely to matter to a score.

One job: word lists and weights of 0 to 1, by judgement; docs/design/0005-evaluation.md argues them. They
order causes of one kind and never hide one.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

SCORING_WORDS = frozenset(
    "threshold iou metric average averaging topk top eval evaluation val valid validation test split fold "
    "subset image img size resize crop input channels normalize normalise mean std preprocess "
    "preprocessing transform transforms augment augmentation tokenizer length vocab batch arch "
    "architecture model backbone encoder head classes class labels label ignore dtype precision amp half "
    "seed ema checkpoint temperature beam prompt data dataset features columns target weights".split()
)
TRAINING_WORDS = frozenset(
    "lr rate epochs epoch optimizer optim momentum decay warmup scheduler patience steps clip grad "
    "gradient accumulation freeze mixup shuffle".split()
)
COSMETIC_WORDS = frozenset(
    "name notes note tags tag description output out dir directory folder path file log logs logging "
    "logger verbose verbosity workers project entity group user host port print progress save debug "
    "comment author wandb weighbridge tracking url title".split()
)

CORE_PACKAGES = frozenset(
    "numpy scipy scikit-learn torch torchvision torchaudio torchmetrics tensorflow keras jax jaxlib flax "
    "optax xgboost lightgbm catboost transformers tokenizers datasets evaluate pandas polars pyarrow "
    "pillow opencv-python opencv-python-headless timm albumentations onnx onnxruntime onnxruntime-gpu "
    "safetensors accelerate diffusers sentencepiece nltk spacy sacrebleu rouge-score pycocotools "
    "segmentation-models-pytorch monai librosa soundfile numba statsmodels einops peft vllm bitsandbytes "
    "triton scikit-image imbalanced-learn lightning pytorch-lightning ultralytics detectron2 paddlepaddle "
    "mxnet cupy".split()
)
TOOL_PACKAGES = frozenset(
    "pip setuptools wheel build hatchling ruff black isort flake8 mypy pyright pylint pytest pytest-xdist "
    "hypothesis coverage tox nox pre-commit ipython ipykernel jupyter jupyterlab notebook sphinx mkdocs "
    "twine virtualenv rich tqdm click typer".split()
)


def config_weight(key: str) -> float:
    """1 for a key that speaks of data, model or metric; 0.9 unknown; 0.6 training only; 0.2 cosmetic."""
    words = {word.lower() for word in _WORD.findall(key)}
    is_scoring = bool(words & SCORING_WORDS)
    if words & (COSMETIC_WORDS - {"name", "tag"} if is_scoring else COSMETIC_WORDS):
        return 0.2
    if is_scoring:
        return 1.0
    return 0.6 if words & TRAINING_WORDS else 0.9


def config_reason(key: str) -> str:
    """Why a difference of this key may matter, for people."""
    weight = config_weight(key)
    if weight == 0.2:
        return "By its name it does not touch the score."
    if weight == 0.6:
        return "By its name it shapes training; it changes a score only where scoring reads it too."
    return "The model or the scorer may be built with it."


def package_weight(name: str) -> float:
    """1 for packages that compute, load data or score; 0.5 unknown; 0.25 tools that take no part."""
    if name in CORE_PACKAGES or name.startswith(("nvidia-", "cuda-", "jax-cuda", "tensorflow-")):
        return 1.0
    return 0.25 if name in TOOL_PACKAGES else 0.5


def package_reason(name: str) -> str:
    """Why a difference of this package may matter, for people."""
    weight = package_weight(name)
    if weight == 1.0:
        return "It computes, loads data or scores; defaults and numerics change between versions."
    if weight == 0.25:
        return "It is a tool that most likely takes no part in scoring."
    return "It may take part in scoring."


def version_step(old: str | None, new: str | None) -> float:
    """1 for another major version, 0.9 minor, 0.8 patch, 0.7 later parts, 0.5 where one side has none."""
    if old is None or new is None:
        return 0.5
    before, after = (re.split(r"[.+!-]", version) for version in (old, new))
    for place, weight in enumerate((1.0, 0.9, 0.8)):
        if before[place : place + 1] != after[place : place + 1]:
            return weight
    return 0.7
