"""What every test gets: surroundings of its own, so that no test sees a developer's home or settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("local", deadline=None, database=None)
hypothesis_settings.register_profile("ci", deadline=None, database=None, derandomize=True, print_blob=True)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "local")

_NUMBER = count()
_OURS = ("WEIGHBRIDGE_", "WANDB_")


@pytest.fixture(autouse=True)
def fresh_surroundings(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A home folder that does not exist yet, named by WEIGHBRIDGE_HOME; no other setting from outside."""
    base = tmp_path_factory.getbasetemp() / f"surroundings-{next(_NUMBER)}"
    for name in [key for key in os.environ if key.startswith(_OURS)]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(base))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(base / "config"))
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(base / "weighbridge"))
    yield base / "weighbridge"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs PyTorch where it is not installed, and say how to get it."""
    wanting = [item for item in items if item.get_closest_marker("torch")]
    if not wanting:
        return
    from importlib.util import find_spec

    if find_spec("torch") is None:
        skip = pytest.mark.skip(reason="PyTorch is not installed; `make torch` installs it")
        for item in wanting:
            item.add_marker(skip)
