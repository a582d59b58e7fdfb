"""What is known of a run when two runs are held side by side.

One job: the records `causes.explain` reads. Whoever has the runs at hand fills them; nothing here fetches.
"""

from __future__ import annotations

import msgspec

from weighbridge.domain.environment import Environment
from weighbridge.domain.run import MetricDefinition


class InputArtifact(msgspec.Struct, frozen=True):
    """One artifact version a run used. name: the collection, without version; digest: of its manifest."""

    name: str
    version: str
    digest: str
    type: str = "dataset"


class MetricHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What the history of one metric says. at_model_step: the value at the saved model's step, if logged."""

    last: float
    last_step: int
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None
    mean: float | None = None
    at_model_step: float | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One run as `explain` sees it. Anything left empty is taken as not known, and explains nothing.

    model_digest: of the version the producer logged, or the evaluation loaded. model_step: the producer's
    step when it logged the version. inputs: without the model itself. history: of claimed and measured
    metrics, on the producer's side.
    """

    run: str = ""
    config: dict[str, object] = {}
    summary: dict[str, object] = {}
    inputs: tuple[InputArtifact, ...] = ()
    model_digest: str = ""
    model_step: int | None = None
    environment: Environment = Environment()
    metrics: tuple[MetricDefinition, ...] = ()
    history: dict[str, MetricHistory] = {}
