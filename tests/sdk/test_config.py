"""`run.config` as a mapping: refusals first, then every way to set it."""

from __future__ import annotations

import argparse
import math
from typing import Any

import pytest

from weighbridge.errors import InvalidInput
from weighbridge.sdk.config import Config


class Told:
    """Hears of every change, as the spool does; refuses the key `refused`."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []

    def __call__(self, values: dict[str, Any]) -> None:
        if "refused" in values:
            raise InvalidInput("the spool cannot hold it", hint="")
        self.changes.append(values)


def test_a_change_is_refused_and_names_both_values() -> None:
    told = Told()
    config = Config({"lr": 0.1, "nan": math.nan}, told)
    with pytest.raises(InvalidInput, match=r"'lr' is 0\.1 and would become 0\.2"):
        config.lr = 0.2
    with pytest.raises(InvalidInput, match="cannot be deleted"):
        del config["lr"]
    with pytest.raises(AttributeError, match="lrr.*Did you mean lr"):
        _ = config.lrr
    with pytest.raises(InvalidInput, match="takes a dict, got int"):
        config.update(3)
    config.update({"lr": 0.1, "nan": math.nan})
    assert told.changes == []
    assert config["lr"] == 0.1


def test_what_the_spool_refuses_is_not_shown_as_set() -> None:
    config = Config({}, Told())
    with pytest.raises(InvalidInput, match="cannot hold"):
        config.update({"refused": 1, "other": 2})
    assert config.as_dict() == {}


def test_every_way_to_set_it_is_told_once() -> None:
    told = Told()
    config = Config({}, told)
    config["a"] = 1
    config.b = 2
    config.update({"c": 3}, d=4)
    config.update([("e", 5)])
    config.update(argparse.Namespace(f=6))
    config.setdefaults({"a": 9, "g": 7})
    config.update({"a": 8}, allow_val_change=True)
    config.allow_changes()
    config.b = 3
    wanted = {"a": 8, "b": 3, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7}
    assert dict(config) == config.as_dict() == wanted
    assert len(config) == 7 and list(config.keys()) == list(wanted)
    assert told.changes == [
        {"a": 1},
        {"b": 2},
        {"c": 3, "d": 4},
        {"e": 5},
        {"f": 6},
        {"g": 7},
        {"a": 8},
        {"b": 3},
    ]
