"""The settings: every one has a row in the reference, under the variables it really has."""

from __future__ import annotations

import re

from tests.arch import rules
from weighbridge.settings import TABLE


def rows(page: str) -> dict[str, str]:
    """The table rows of a page by the setting each begins with."""
    return {match.group(1): match.group() for match in re.finditer(r"^\| `(\w+)` \|.*$", page, re.MULTILINE)}


def test_every_setting_has_its_row() -> None:
    documented = rows((rules.ROOT / "docs" / "reference" / "settings.md").read_text())
    assert set(documented) == {setting.name for setting in TABLE}
    for setting in TABLE:
        assert all(variable in documented[setting.name] for variable in (setting.env, *setting.aliases))


def test_every_setting_says_what_it_does_and_takes() -> None:
    assert all(setting.help.endswith(".") and setting.allowed for setting in TABLE)
