"""Reads link targets and writes the code a person copies. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weighbridge.domain.names import LATEST, LEGACY_REGISTRY, check_alias, check_tag, parse_artifact_path
from weighbridge.domain.registry import Place, complete
from weighbridge.errors import InvalidReference

ALIASES_MAX = 100
TAGS_MAX = 64


def parse_target(target_path: str, *, entity: str, organization: str) -> Place:
    """The registry collection that a target names: `model-registry/Digits`, `entity/model-registry/Name`,
    `wandb-registry-model/Name`, or any `project/collection`.

    A bare name goes to `model-registry`. Raises InvalidReference where it ends in `:alias`, InvalidName.
    """
    if ":" in target_path.removeprefix("wandb-artifact://"):
        raise InvalidReference(
            f"Link target {target_path[:200]!r} holds a ':'.",
            hint="Name the collection only, and pass aliases=[...].",
        )
    path = parse_artifact_path(target_path)
    return complete(path, entity=entity, project=LEGACY_REGISTRY, organization=organization)


def check_aliases(aliases: Sequence[str] | str | None) -> tuple[str, ...]:
    """Aliases as a tuple, each allowed and once, without `latest`, which the system moves. Raises InvalidName."""
    return tuple(alias for alias in _once(aliases, "aliases", ALIASES_MAX) if check_alias(alias) != LATEST)


def check_tags(tags: Sequence[str] | str | None) -> tuple[str, ...]:
    """Tags as a tuple, each allowed and once. Raises InvalidName."""
    return tuple(check_tag(tag) for tag in _once(tags, "tags", TAGS_MAX))


def _once(words: Iterable[str] | str | None, what: str, limit: int) -> list[str]:
    chosen = list(dict.fromkeys([words] if isinstance(words, str) else words or ()))
    if len(chosen) > limit:
        raise InvalidReference(
            f"{len(chosen)} {what} were given; at most {limit} are allowed.",
            hint="Put the rest into metadata.",
        )
    return chosen


def usage_code(path: str, type_name: str) -> str:
    """Python that fetches a version in a run, ready to copy."""
    return (
        "import weighbridge\n"
        "\n"
        "run = weighbridge.init()\n"
        f"artifact = run.use_artifact({path!r}, type={type_name!r})\n"
        "artifact_dir = artifact.download()\n"
    )
