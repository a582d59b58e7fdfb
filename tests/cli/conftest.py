"""A home with a dataset, two training runs, their models and the registry; made once, copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from weighbridge.cli.main import main
from weighbridge.sdk.artifact import Artifact
from weighbridge.sdk.client import client_for
from weighbridge.sdk.init import init
from weighbridge.settings import resolve

SCORER = '''
import pathlib


def score(model, datasets, config):
    """Read the accuracy that stands in the model file."""
    return {"val_acc": float(pathlib.Path(model, "model.txt").read_text())}


def broken(model, datasets, config):
    raise ValueError("no")
'''


class Said(NamedTuple):
    """What one call of the program said."""

    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """The program: words in, exit code and both streams out."""

    def call(*words: object) -> Said:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


def log_training(home: Path, folder: Path, *, number: int, claimed: float, measured: float) -> None:
    """A training run whose model file says what a scorer will measure."""
    model = folder / "model.txt"
    model.write_text(str(measured))
    settings = resolve(home=home, shipper="thread", silent=True, entity="team", project="digits")
    with init(
        settings=settings,
        id=f"train{number}",
        name=f"training-{number}",
        job_type="train",
        config={"lr": number},
    ) as run:
        run.use_artifact("split:latest")
        for step in range(30):
            run.log({"loss": 1 / (step + 1), "epoch": step})
        run.summary["final_acc"] = claimed
        artifact = Artifact("net", "model", metadata={"layers": 3})
        artifact.add_file(model)
        run.log_artifact(artifact)
        run.link_artifact(
            artifact, "model-registry/Digits", aliases=[["production"], ["staging"]][number - 1]
        )


def build_home(home: Path, folder: Path) -> None:
    """Dataset `split`, runs `train1` (claims what it measures) and `train2` (claims more), both registered."""
    folder.mkdir()
    (folder / "rows.csv").write_text("1,2\n3,4\n")
    settings = resolve(home=home, shipper="thread", silent=True, entity="team", project="digits")
    with init(settings=settings, id="prepare", name="preparing", job_type="prepare") as run:
        data = Artifact("split", "dataset")
        data.add_file(folder / "rows.csv")
        run.log_artifact(data)
    log_training(home, folder, number=1, claimed=0.9, measured=0.9)
    log_training(home, folder, number=2, claimed=0.95, measured=0.7)
    client_for(settings).close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home that every test gets a copy of."""
    base = tmp_path_factory.mktemp("template")
    build_home(base / "home", base / "made")
    return base / "home"


@pytest.fixture
def home(template: Path, fresh_surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the template where WEIGHBRIDGE_HOME points."""
    shutil.copytree(template, fresh_surroundings)
    monkeypatch.setenv("WEIGHBRIDGE_ENTITY", "team")
    monkeypatch.setenv("WEIGHBRIDGE_PROJECT", "digits")
    monkeypatch.setenv("WEIGHBRIDGE_SHIPPER", "thread")
    return fresh_surroundings


@pytest.fixture
def scorer(tmp_path: Path) -> str:
    """A scorer file."""
    path = tmp_path / "score.py"
    path.write_text(SCORER)
    return f"{path}:score"
