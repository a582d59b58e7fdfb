"""Link targets, aliases and tags as people write them; times as they read them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import InvalidName, InvalidReference
from weighbridge.sdk.links import ALIASES_MAX, check_aliases, check_tags, parse_target
from weighbridge.sdk.times import iso, seconds


@pytest.mark.parametrize("target", ["", "a/b/c/d", "model-registry/", "model-registry/Digits:v1"])
def test_a_target_that_names_no_collection_is_refused(target: str) -> None:
    with pytest.raises(InvalidReference):
        parse_target(target, entity="me", organization="org")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("Digits", ("me", "model-registry", "Digits")),
        ("model-registry/BDD Semantic Segmentation", ("me", "model-registry", "BDD Semantic Segmentation")),
        ("team/model-registry/Digits", ("team", "model-registry", "Digits")),
        ("wandb-registry-model/Digits", ("org", "wandb-registry-model", "Digits")),
        ("other/wandb-registry-model/Digits", ("other", "wandb-registry-model", "Digits")),
        ("mine/Digits", ("me", "mine", "Digits")),
    ],
)
def test_a_target_is_completed(target: str, expected: tuple[str, str, str]) -> None:
    place = parse_target(target, entity="me", organization="org")
    assert (place.entity, place.project, place.collection) == expected


def test_too_many_aliases_are_refused_and_the_most_are_not() -> None:
    with pytest.raises(InvalidReference, match="101 aliases"):
        check_aliases([f"a{index}" for index in range(ALIASES_MAX + 1)])
    assert len(check_aliases([f"a{index}" for index in range(ALIASES_MAX)])) == ALIASES_MAX


def test_labels_are_checked_and_kept_once() -> None:
    with pytest.raises(InvalidName):
        check_aliases(["v1"])
    with pytest.raises(InvalidName):
        check_tags(["a/b"])
    assert check_aliases(["best", "latest", "best"]) == ("best",)
    assert check_aliases("best") == ("best",)
    assert check_aliases(None) == ()
    assert check_tags(["two words", "two words"]) == ("two words",)


@given(st.integers(0, 4_000_000_000_000))
def test_times_survive_being_written_and_read(milliseconds: int) -> None:
    text = iso(milliseconds / 1_000)
    assert text is not None
    assert abs(seconds(text) - milliseconds / 1_000) < 0.002


def test_a_day_means_its_end_and_a_moment_without_zone_utc() -> None:
    assert iso(None) is None
    midnight = datetime.datetime(2026, 5, 4, tzinfo=datetime.UTC).timestamp()
    assert midnight - 0.001 < seconds("2026-05-03") < midnight
    assert seconds(datetime.date(2026, 5, 3)) == seconds("2026-05-03")
    assert seconds("2026-05-03T12:00:00") == seconds("2026-05-03T14:00:00+02:00")
