"""The public names of Weighbridge, imported when first touched.

`import weighbridge` itself loads next to nothing, so that a training script pays only for what it uses.
A name goes into `_HOME_OF`, into the type checkers' list below, and into docs/reference/python.md
(`make reference`); tests/arch/test_exports.py holds the three together. No code of a feature stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weighbridge import errors as errors
    from weighbridge.errors import WeighbridgeError as WeighbridgeError
    from weighbridge.evaluation.evaluate import evaluate as evaluate
    from weighbridge.evaluation.report import EvaluationReport as EvaluationReport
    from weighbridge.evaluation.scorer import Scorer as Scorer
    from weighbridge.evaluation.scorer import ScorerResult as ScorerResult
    from weighbridge.sdk.artifact import Artifact as Artifact
    from weighbridge.sdk.init import attach as attach
    from weighbridge.sdk.init import init as init
    from weighbridge.sdk.module_level import config as config
    from weighbridge.sdk.module_level import define_metric as define_metric
    from weighbridge.sdk.module_level import finish as finish
    from weighbridge.sdk.module_level import link_artifact as link_artifact
    from weighbridge.sdk.module_level import link_model as link_model
    from weighbridge.sdk.module_level import log as log
    from weighbridge.sdk.module_level import log_artifact as log_artifact
    from weighbridge.sdk.module_level import log_model as log_model
    from weighbridge.sdk.module_level import login as login
    from weighbridge.sdk.module_level import setup as setup
    from weighbridge.sdk.module_level import summary as summary
    from weighbridge.sdk.module_level import use_artifact as use_artifact
    from weighbridge.sdk.module_level import use_model as use_model
    from weighbridge.sdk.public import Api as Api
    from weighbridge.sdk.run import Run as Run
    from weighbridge.settings import Settings as Settings

    run: Run | None

__version__: Final = "0.1.0"

_HOME_OF: Final = {
    "Api": "weighbridge.sdk.public",
    "Artifact": "weighbridge.sdk.artifact",
    "EvaluationReport": "weighbridge.evaluation.report",
    "Run": "weighbridge.sdk.run",
    "Scorer": "weighbridge.evaluation.scorer",
    "ScorerResult": "weighbridge.evaluation.scorer",
    "Settings": "weighbridge.settings",
    "WeighbridgeError": "weighbridge.errors",
    "attach": "weighbridge.sdk.init",
    "config": "weighbridge.sdk.module_level",
    "define_metric": "weighbridge.sdk.module_level",
    "errors": "weighbridge.errors",
    "evaluate": "weighbridge.evaluation.evaluate",
    "finish": "weighbridge.sdk.module_level",
    "init": "weighbridge.sdk.init",
    "link_artifact": "weighbridge.sdk.module_level",
    "link_model": "weighbridge.sdk.module_level",
    "log": "weighbridge.sdk.module_level",
    "log_artifact": "weighbridge.sdk.module_level",
    "log_model": "weighbridge.sdk.module_level",
    "login": "weighbridge.sdk.module_level",
    "run": "weighbridge.sdk.module_level",
    "setup": "weighbridge.sdk.module_level",
    "summary": "weighbridge.sdk.module_level",
    "use_artifact": "weighbridge.sdk.module_level",
    "use_model": "weighbridge.sdk.module_level",
}
_OF_THE_CURRENT_RUN: Final = frozenset({"config", "run", "summary"})
"""Looked up anew at each access, because they change when a run starts or ends."""

_LATER: Final = frozenset(
    """Audio Error Histogram Html Image Markdown Molecule Object3D Plotly Table Video agent alert log_code
    mark_preempting plot plot_table restore save sweep termerror termlog termwarn unwatch util watch""".split()
)
"""Names of W&B's module that are not here (yet), for a better message."""

__all__ = [
    "Api",
    "Artifact",
    "EvaluationReport",
    "Run",
    "Scorer",
    "ScorerResult",
    "Settings",
    "WeighbridgeError",
    "attach",
    "config",
    "define_metric",
    "errors",
    "evaluate",
    "finish",
    "init",
    "link_artifact",
    "link_model",
    "log",
    "log_artifact",
    "log_model",
    "login",
    "run",
    "setup",
    "summary",
    "use_artifact",
    "use_model",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        later = (
            " It is W&B's; docs/guides/moving-from-wandb.md says what comes when." if name in _LATER else ""
        )
        raise AttributeError(f"module 'weighbridge' has no attribute {name!r}.{later}")
    from importlib import import_module

    module = import_module(_HOME_OF[name])
    if name == "errors":
        return module
    if name == "run":
        return module.current()
    value: object = getattr(module, name)
    if name not in _OF_THE_CURRENT_RUN:
        globals()[name] = value  # log() is called in hot loops: found without coming here again
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__", *globals()})
