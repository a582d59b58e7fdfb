"""`import weighbridge` stays light, counted in modules; time is left to benchmarks/."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.arch import rules

PROBE = """
import sys
before = set(sys.modules)
{statement}
print("\\n".join(sorted(set(sys.modules) - before)))
"""


def modules_added_by(statement: str) -> set[str]:
    """What a statement loads in a new interpreter, beyond what that had loaded already."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path[:0] = {sys.path!r}\n" + PROBE.format(statement=statement),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def forbidden(loaded: set[str]) -> set[str]:
    """Those of the loaded modules that `import weighbridge` may never load."""
    return loaded & rules.NEVER_AT_IMPORT


def test_the_probe_sees_what_is_loaded() -> None:
    loaded = modules_added_by("import sqlite3, numpy")
    assert {"sqlite3", "numpy"} <= forbidden(loaded)
    assert len(loaded) > rules.IMPORTED_MODULES_MAX


def test_import_loads_few_modules_and_nothing_heavy() -> None:
    loaded = modules_added_by("import weighbridge")
    assert "weighbridge" in loaded
    assert not forbidden(loaded)
    assert len(loaded) <= rules.IMPORTED_MODULES_MAX


def test_settings_load_nothing_heavy() -> None:
    assert not forbidden(modules_added_by("import weighbridge.settings"))


@pytest.mark.parametrize("name", ["init", "Artifact", "Api", "evaluate", "log"])
def test_touching_a_public_name_loads_no_heavy_package(name: str) -> None:
    heavy = {"numpy", "sqlalchemy", "alembic", "rich", "scipy", "sklearn", "pyarrow", "pandas", "torch"}
    assert not modules_added_by(f"import weighbridge; weighbridge.{name}") & heavy
