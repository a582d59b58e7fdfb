"""The source tree keeps its laws (rules.py): arrows, cycles, sizes, habits."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.arch import rules, source_tree
from tests.arch.source_tree import Module
from tests.arch.test_source_tree import Checker


@cache
def the_package() -> dict[str, Module]:
    """Every module of the package, read once."""
    return source_tree.load(rules.PACKAGE)


@pytest.mark.parametrize(
    "checker",
    [
        source_tree.wrong_arrows,
        source_tree.wrong_packages,
        source_tree.cycles,
        source_tree.too_large,
        source_tree.too_many_positional,
        source_tree.needless_exceptions,
        source_tree.undocumented,
        source_tree.prints,
        source_tree.environ_readers,
        source_tree.broad_excepts,
    ],
    ids=lambda checker: checker.__name__,
)
def test_the_package_keeps_the_law(checker: Checker) -> None:
    found = checker(the_package())
    assert not found, "\n" + "\n".join(found)


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "base_utils"}
    found = [name for name in the_package() if empty & set(name.split("."))]
    assert not found


def test_test_files_stay_short() -> None:
    found = {
        str(path.relative_to(rules.ROOT)): lines
        for path in Path(rules.ROOT, "tests").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > rules.TEST_FILE_LINES_MAX
    }
    assert not found
