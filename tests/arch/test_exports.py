"""The public names: `__all__`, the lazy table, the type checkers' imports and the reference are one list."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from importlib import import_module

import pytest

import weighbridge
from tests.arch import rules
from weighbridge.errors import NotInitialised

PUBLIC = set(weighbridge.__all__)
OF_A_RUN = {"config", "run", "summary"}


def names_for_type_checkers() -> set[str]:
    """What the TYPE_CHECKING block of the package defines."""
    tree = ast.parse((rules.PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    names = {
        alias.asname or alias.name for n in block.body if isinstance(n, ast.ImportFrom) for alias in n.names
    }
    return names | {ast.unparse(node.target) for node in block.body if isinstance(node, ast.AnnAssign)}


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        _ = weighbridge.nothing_like_it


def test_all_table_and_type_checkers_agree() -> None:
    assert weighbridge.__all__ == sorted(weighbridge.__all__)
    assert set(weighbridge._HOME_OF) == PUBLIC
    assert names_for_type_checkers() == PUBLIC
    assert set(dir(weighbridge)) >= PUBLIC | {"__version__"}


def test_the_reference_documents_exactly_the_public_names() -> None:
    page = (rules.ROOT / "docs" / "reference" / "python.md").read_text()
    assert set(re.findall(r"^## `(\w+)`", page, re.MULTILINE)) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_name_is_where_the_table_says(name: str) -> None:
    module = import_module(weighbridge._HOME_OF[name])
    if name not in OF_A_RUN | {"errors"}:
        assert getattr(weighbridge, name) is getattr(module, name)


def test_names_of_the_current_run_are_looked_up_each_time() -> None:
    assert weighbridge.run is None
    for name in OF_A_RUN:
        with suppress(NotInitialised):
            getattr(weighbridge, name)
        assert name not in vars(weighbridge)


def test_the_version_is_the_package_s() -> None:
    import tomllib

    project = tomllib.loads((rules.ROOT / "pyproject.toml").read_text())["project"]
    assert weighbridge.__version__ == project["version"]
