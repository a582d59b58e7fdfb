"""W&B's module-level calls: the same as the methods of the current run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weighbridge.errors import NotInitialised
from weighbridge.sdk.notices import notice
from weighbridge.sdk.run import Run, open_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.domain.run import MetricDefinition
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.config import Config
    from weighbridge.sdk.summary import Summary

    config: Config
    summary: Summary


def current() -> Run | None:
    """The run that `init()` opened last and that is not finished, or None."""
    runs = open_runs()
    return runs[-1] if runs else None


def _needed(action: str) -> Run:
    run = current()
    if run is None:
        raise NotInitialised(
            f"weighbridge.{action} needs a run.",
            hint="Call weighbridge.init() first, or use a Run's own method.",
        )
    return run


def __getattr__(name: str) -> Config | Summary:
    """`config` and `summary` of the current run, looked up at each access. Raises NotInitialised."""
    if name == "config":
        return _needed("config").config
    if name == "summary":
        return _needed("summary").summary
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def log(
    data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None
) -> None:
    """Record a row of metrics in the current run; see `Run.log`."""
    _needed("log()").log(data, step=step, commit=commit, sync=sync)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """Finish the current run; nothing to do is no error."""
    run = current()
    if run is not None:
        run.finish(exit_code=exit_code, quiet=quiet)


def define_metric(name: str, step_metric: str | None = None, **options: Any) -> MetricDefinition:
    """Say how a metric of the current run is drawn and summed up; see `Run.define_metric`."""
    return _needed("define_metric()").define_metric(name, step_metric, **options)


def use_artifact(artifact_or_name: str | Artifact, type: str | None = None, **options: Any) -> Artifact:
    """Fetch an artifact and record that the current run uses it; see `Run.use_artifact`."""
    return _needed("use_artifact()").use_artifact(artifact_or_name, type=type, **options)


def log_artifact(
    artifact_or_path: Any, name: str | None = None, type: str | None = None, **options: Any
) -> Artifact:
    """Log an artifact from the current run; see `Run.log_artifact`."""
    return _needed("log_artifact()").log_artifact(artifact_or_path, name=name, type=type, **options)


def link_artifact(artifact: Artifact, target_path: str, aliases: list[str] | None = None) -> Artifact | None:
    """Link an artifact into a registry from the current run; see `Run.link_artifact`."""
    return _needed("link_artifact()").link_artifact(artifact, target_path, aliases=aliases)


def log_model(path: Any, name: str | None = None, aliases: list[str] | None = None) -> Artifact:
    """Log a model from the current run; see `Run.log_model`."""
    return _needed("log_model()").log_model(path, name=name, aliases=aliases)


def use_model(name: str) -> str:
    """Download a model for the current run and return its path; see `Run.use_model`."""
    return str(_needed("use_model()").use_model(name))


def link_model(
    path: Any, registered_model_name: str, name: str | None = None, aliases: list[str] | None = None
) -> Artifact | None:
    """Log a model from the current run and link it into the registry; see `Run.link_model`."""
    return _needed("link_model()").link_model(path, registered_model_name, name=name, aliases=aliases)


def login(key: str | None = None, **options: Any) -> bool:
    """Nothing to do for the local home; there so that scripts written for W&B run. Always True."""
    if key:
        notice("login() keeps no key for the local home; none is needed.")
    return True


def setup(settings: object = None) -> None:
    """Nothing to do; there so that scripts written for W&B run."""
