"""The checkers themselves: each must find what it looks for, in small trees made for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.arch import rules, source_tree
from tests.arch.source_tree import Module

Checker = Callable[[Mapping[str, Module]], list[str]]


def tree(folder: Path, **sources: str) -> dict[str, Module]:
    """A package of these modules; `__` in a name stands for a dot."""
    for name, source in sources.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return source_tree.load(folder)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("domain__run", "from weighbridge.services import runs"),
        ("domain__run", "import weighbridge.storage.blobs"),
        ("domain__run", "def f():\n    from weighbridge.sdk import run"),
        ("services__runs", "from weighbridge.storage.metadata import tables"),
        ("storage__rows", "from weighbridge.services import runs"),
        ("wire__runs", "from weighbridge.services import runs"),
        ("sdk__run", "def f():\n    from weighbridge.bootstrap import open_home"),
        ("sdk__transport__local", "from weighbridge.bootstrap import open_home"),
        ("evaluation__report", "from weighbridge.services import runs"),
        ("cli__main", "from weighbridge.storage import blobs"),
        ("settings", "from weighbridge.domain import run"),
        ("errors", "from weighbridge.domain import run"),
        ("sdk__run", "from weighbridge.testing import clock"),
        ("sdk__run", "import weighbridge"),
        ("sdk__run", "if True:\n    from weighbridge import cli"),
        (
            "sdk__run",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from weighbridge.cli import main",
        ),
        ("newfolder__run", "x = 1"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, module: str, source: str) -> None:
    targets = dict.fromkeys(
        (
            "services__runs",
            "storage__blobs",
            "storage__metadata__tables",
            "bootstrap",
            "cli__main",
            "testing__clock",
        ),
        "",
    )
    modules = tree(tmp_path, **{**targets, "domain__run": "", "sdk__run": "", module: source})
    assert source_tree.wrong_arrows(modules)


def test_right_arrows_pass(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        errors="import os",
        bootstrap="from weighbridge.services import runs",
        domain__run="from weighbridge.errors import NotFound",
        services__ports__rows="from weighbridge.domain.run import Run",
        services__runs="from weighbridge.services.ports import rows",
        storage__rows="from weighbridge.services.ports.rows import Rows",
        sdk__transport__local="def f():\n    from weighbridge.bootstrap import open_home",
        sdk__run="from weighbridge import __version__",
    )
    assert source_tree.wrong_arrows(modules) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("domain__run", "def f():\n    import numpy"),
        ("services__runs", "import sqlalchemy"),
        ("sdk__run", "import numpy as np"),
        ("sdk__run", "class A:\n    from rich import table"),
        ("settings", "import msgspec"),
        ("evaluation__compare", "from scipy import stats"),
        ("storage__history__fold", "import pyarrow"),
    ],
)
def test_a_package_where_it_may_not_be_is_found(tmp_path: Path, module: str, source: str) -> None:
    assert source_tree.wrong_packages(tree(tmp_path, **{module: source}))


def test_packages_where_they_may_be_pass(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        storage__history__read="import numpy as np\nimport msgspec, json",
        evaluation__statistics="import numpy as np\ndef f():\n    from scipy import stats",
        sdk__media="from __future__ import annotations\ndef f():\n    import torch",
    )
    assert source_tree.wrong_packages(modules) == []


def test_a_cycle_is_found_and_named(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        sdk__a="from weighbridge.sdk import b",
        sdk__b="import weighbridge.sdk.c",
        sdk__c="from weighbridge.sdk.a import x",
        sdk__d="from weighbridge.sdk import a",
    )
    assert source_tree.cycles(modules) == ["import cycle: sdk.a, sdk.b, sdk.c"]


def test_a_late_or_typing_import_makes_no_cycle(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        sdk__a="def f():\n    from weighbridge.sdk import b",
        sdk__b="from weighbridge.sdk import c",
        sdk__c="if TYPE_CHECKING:\n    from weighbridge.sdk import b\nfrom weighbridge.sdk import a",
    )
    assert source_tree.cycles(modules) == []


def test_sizes_are_refused_just_past_the_bound(tmp_path: Path) -> None:
    module_max, function_max, methods_max = (
        rules.MODULE_LINES_MAX,
        rules.FUNCTION_LINES_MAX,
        rules.PUBLIC_METHODS_MAX,
    )

    def function(lines: int) -> str:
        return "def f():\n" + "    x = 1\n" * (lines - 1)

    def class_(methods: int) -> str:
        return "class A:\n    def _own(self): ...\n" + "".join(
            f"    def m{i}(self): ...\n" for i in range(methods)
        )

    fits = tree(tmp_path / "fits", a="x = 1\n" * module_max, b=function(function_max), c=class_(methods_max))
    assert source_tree.too_large(fits) == []
    past = tree(
        tmp_path / "past",
        a="x = 1\n" * (module_max + 1),
        b=function(function_max + 1),
        c=class_(methods_max + 1),
    )
    assert [line.split()[0] for line in source_tree.too_large(past)] == ["a", "b:f", "c:A"]


def test_positional_parameters_are_refused_past_three(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        a="class A:\n    def fits(self, a, b, c, *, d, e): ...\n    def past(self, a, b, c, d=1): ...",
        b="def g(a, b, c, d): ...\ndef _own(a, b, c, d): ...",
    )
    assert [line.split()[0] for line in source_tree.too_many_positional(modules)] == ["a:A.past", "b:g"]


def test_properties_are_not_counted_as_methods(tmp_path: Path) -> None:
    body = "".join(f"    @property\n    def p{i}(self): ...\n" for i in range(rules.PUBLIC_METHODS_MAX + 1))
    assert source_tree.too_large(tree(tmp_path, a="class A:\n" + body)) == []


def test_an_exception_nothing_needs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "SIZE_EXCEPTIONS", {"a:f": 70, "a:g": 70})
    monkeypatch.setattr(rules, "POSITIONAL_EXCEPTIONS", frozenset({"a:h", "a:f"}))
    modules = tree(tmp_path, a="def f():\n" + "    x = 1\n" * 65 + "def h(a, b, c, d): ...\ndef g(): ...")
    needless = [
        line.split()[5].rstrip(",") for line in source_tree.needless_exceptions(modules) if " a:" in line
    ]
    assert needless == ["a:g", "a:f"]


@pytest.mark.parametrize(
    ("checker", "bad", "good"),
    [
        (source_tree.prints, "def f():\n    print(1)", "def f(out):\n    out.print(1)"),
        (source_tree.environ_readers, "import os\nx = os.environ['A']", "import os\nx = os.fspath('A')"),
        (source_tree.environ_readers, "from os import getenv", "from os import getcwd"),
        (source_tree.broad_excepts, "try: x\nexcept Exception: pass", "try: x\nexcept OSError: pass"),
        (source_tree.broad_excepts, "try: x\nexcept: y", "try: x\nexcept BaseException:\n    y\n    raise"),
        (
            source_tree.broad_excepts,
            "try: x\nexcept (OSError, Exception) as e: y",
            "try: x\nexcept (OSError, KeyError): y",
        ),
        (source_tree.undocumented, "x = 1", '"""One job."""\nx = 1'),
        (source_tree.undocumented, "# a comment is no docstring", ""),
    ],
)
def test_a_bad_habit_is_found(tmp_path: Path, checker: Checker, bad: str, good: str) -> None:
    assert len(checker(tree(tmp_path / "bad", sdk__a=bad))) == 1
    assert checker(tree(tmp_path / "good", sdk__a=good)) == []
