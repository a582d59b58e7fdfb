"""What may be called what: each kind of name refuses what would break a path, a URL or a file."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain import names
from weighbridge.errors import InvalidName, InvalidReference

CHECKS: dict[str, Callable[[str], str]] = {
    "entity": names.check_entity,
    "project": names.check_project,
    "run id": names.check_run_id,
    "artifact name": names.check_artifact_name,
    "artifact type": names.check_artifact_type,
    "collection": names.check_collection,
    "alias": names.check_alias,
    "tag": names.check_tag,
    "run tag": names.check_run_tag,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("bad", ["", " a", "a ", "a\x00b", "a\nb", "x" * 129, "x" * 10_000, "\ud800"])
def test_every_kind_refuses_what_no_name_may_be(check: Callable[[str], str], bad: str) -> None:
    with pytest.raises(InvalidName):
        check(bad)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_kind_takes_a_plain_word_of_the_longest_length(check: Callable[[str], str]) -> None:
    assert check("x" * 128) == "x" * 128


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("entity", "-a"),
        ("entity", "a/b"),
        ("entity", "a b"),
        ("project", ".."),
        ("project", "."),
        ("project", "a/b"),
        ("project", "a\\b"),
        ("project", "a:b"),
        ("run id", ".."),
        ("run id", "a b"),
        ("run id", "a%2f"),
        ("artifact name", "a b"),
        ("artifact name", "a:b"),
        ("collection", "a/b"),
        ("collection", "a:b"),
        ("alias", "v0"),
        ("alias", "v12"),
        ("alias", "a:b"),
        ("tag", "a/b"),
    ],
)
def test_a_kind_refuses_what_its_own_rules_forbid(kind: str, bad: str) -> None:
    with pytest.raises(InvalidName) as caught:
        CHECKS[kind](bad)
    assert repr(bad) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("collection", "BDD Semantic Segmentation"),
        ("project", "Fußgänger & cars"),
        ("alias", "v01"),
        ("alias", "version 2"),
        ("tag", "two words"),
        ("run tag", "a/b: ü"),
        ("run id", "wolke-7"),
    ],
)
def test_a_kind_takes_what_users_write(kind: str, good: str) -> None:
    assert CHECKS[kind](good) == good


@pytest.mark.parametrize("bad", ["", "a\x00", "x" * 1_001])
def test_a_metric_name_is_bounded_text_without_nul(bad: str) -> None:
    with pytest.raises(InvalidName):
        names.check_metric_name(bad)
    assert names.check_metric_name("x" * 1_000) == "x" * 1_000


@pytest.mark.parametrize(
    "bad", ["", "  ", "a:", "a:b:c", "a/b/c/d", "/a", "a//b", "a/b/", "a:b/c", "e/p/n:a:b"]
)
def test_a_path_that_cannot_be_read_is_refused(bad: str) -> None:
    with pytest.raises(InvalidReference):
        names.parse_artifact_path(bad)


@pytest.mark.parametrize(
    ("text", "entity", "project", "collection", "version"),
    [
        ("digits", None, None, "digits", "latest"),
        ("digits:v3", None, None, "digits", "v3"),
        ("model-registry/BDD Semantic Segmentation:staging", None, "model-registry",
         "BDD Semantic Segmentation", "staging"),
        ("ada/vision/digits:" + "a" * 64, "ada", "vision", "digits", "a" * 64),
        ("wandb-artifact://ada/vision/digits:v0", "ada", "vision", "digits", "v0"),
    ],
)  # fmt: skip
def test_a_path_is_read_with_its_defaults_left_open(
    text: str, entity: str | None, project: str | None, collection: str, version: str
) -> None:
    path = names.parse_artifact_path(text)
    assert (path.entity, path.project, path.collection, path.version) == (
        entity,
        project,
        collection,
        version,
    )


@given(st.sampled_from(["", "ada/p/", "p/"]), st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True))
def test_a_path_reads_back_from_its_own_text(head: str, name: str) -> None:
    path = names.parse_artifact_path(f"{head}{name}")
    assert names.parse_artifact_path(str(path)) == path


@pytest.mark.parametrize(
    ("text", "index"), [("v0", 0), ("v12", 12), ("v01", None), ("V1", None), ("v", None)]
)
def test_only_canonical_versions_are_versions(text: str, index: int | None) -> None:
    assert names.version_index(text) == index


@given(st.integers(min_value=0, max_value=2**63), st.integers(min_value=1, max_value=10**6))
def test_a_display_name_is_a_pure_function_and_a_valid_name(seed: int, number: int) -> None:
    made = names.display_name(seed, number)
    assert made == names.display_name(seed, number)
    assert made.endswith(f"-{number}")
    assert names.check_run_id(made) == made


def test_registries_are_told_by_their_names() -> None:
    assert names.is_registry("model-registry")
    assert names.is_registry("wandb-registry-models")
    assert not names.is_registry("my-model-registry")
