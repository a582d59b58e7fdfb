"""The error tree: one root, one code a class, every class drawn in the tree and documented."""

from __future__ import annotations

import inspect
import pickle
import re

from tests.arch import rules
from weighbridge import errors
from weighbridge.errors import WeighbridgeError


def family(kind: type[WeighbridgeError]) -> list[type[WeighbridgeError]]:
    """A class and every class below it."""
    return [kind, *(member for child in kind.__subclasses__() for member in family(child))]


def ours() -> list[type[WeighbridgeError]]:
    """The error classes of the package; tests may define their own."""
    return [kind for kind in family(WeighbridgeError) if kind.__module__.startswith("weighbridge.")]


def repeated(codes: list[str]) -> set[str]:
    """Codes that stand more than once."""
    return {code for code in codes if codes.count(code) > 1}


def test_a_repeated_code_is_found() -> None:
    assert repeated(["a", "b", "a"]) == {"a"}


def test_every_error_class_has_a_code_of_its_own() -> None:
    assert not [kind for kind in ours() if "code" not in vars(kind)]
    assert not repeated([kind.code for kind in ours()])
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code) for kind in ours())


def test_every_error_class_stands_in_errors_py_and_in_the_tree_on_top() -> None:
    drawn = set(re.findall(r"\b[A-Z]\w+\b", errors.__doc__ or ""))
    assert {kind.__module__ for kind in ours()} == {"weighbridge.errors"}
    assert {kind.__name__ for kind in ours()} <= drawn


def test_every_exception_of_errors_py_is_below_the_root() -> None:
    classes = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BaseException)
    ]
    assert set(classes) == set(ours())


def test_every_error_has_a_section_in_the_reference() -> None:
    page = (rules.ROOT / "docs" / "reference" / "errors.md").read_text()
    assert set(re.findall(r"^## `(\w+)`", page, re.MULTILINE)) == {kind.code for kind in ours()}


def test_errors_cross_process_borders_whole() -> None:
    for kind in ours():
        error = kind("Run r1 is gone.", hint="List the runs.", details={"run": "r1"})
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert (copy.message, copy.hint, copy.details) == (error.message, error.hint, error.details)
