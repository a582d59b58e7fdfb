"""Disk space of `pip install weighbridge`, without NumPy, pip and setuptools.

Method: a wheel of this tree is built, and installed with its dependencies
into a new virtual environment by pip as it is configured here. Counted are the disk blocks of all files of
the environment, compiled ones included, less those of NumPy (most training images have it), pip and
setuptools. A quick run installs nothing: it adds up the installed files of the same distributions where the
benchmark itself runs. The floor is an empty environment without pip.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from benchmarks.bench import ROOT, Bench
from benchmarks.measurement import Measurement
from benchmarks.processes import folder_bytes

TITLE: Final = "pip install weighbridge"
LIMIT_MB: Final = 60.0
NOT_COUNTED: Final = (
    "numpy",
    "pip",
    "setuptools",
    "_distutils_hack",
    "pkg_resources",
    "distutils-precedence",
)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def measure(bench: Bench) -> list[Measurement]:
    if bench.is_quick:
        own = folder_bytes(ROOT / "src" / "weighbridge")
        required = sum(_installed_bytes(name) for name in _closure(_required()) if name != "numpy")
        return [
            Measurement(what="distributions", value=(own + required) / 1e6, unit="MB", limit=LIMIT_MB),
            Measurement(what="of that, weighbridge", value=own / 1e6, unit="MB"),
        ]
    site = _install(bench)
    environment = site.parents[2]
    left_out = [path for path in site.iterdir() if path.name.lower().startswith(NOT_COUNTED)]
    binaries = [
        path for path in (environment / "bin").iterdir() if path.name.startswith(("pip", "f2py", "numpy"))
    ]
    uncounted = sum(_bytes(path) for path in (*left_out, *binaries))
    return [
        Measurement(
            what="environment without NumPy and pip",
            value=(folder_bytes(environment) - uncounted) / 1e6,
            unit="MB",
            limit=LIMIT_MB,
            note=", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in _largest(site)),
        ),
        Measurement(what="of that, weighbridge", value=folder_bytes(site / "weighbridge") / 1e6, unit="MB"),
        Measurement(what="environment whole", value=folder_bytes(environment) / 1e6, unit="MB"),
    ]


def _install(bench: Bench) -> Path:
    """The site-packages of a new environment that has this tree as a wheel."""
    wheels, environment = bench.folder / "wheels", bench.folder / "venv"
    pip = ["pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run([sys.executable, "-m", *pip, *build], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    (wheel,) = wheels.glob("weighbridge-*.whl")
    subprocess.run([str(python), "-m", *pip, "install", str(wheel)], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    return site


def _largest(site: Path) -> list[tuple[str, int]]:
    sizes = [(path.name, _bytes(path)) for path in site.iterdir() if not path.name.startswith(NOT_COUNTED)]
    return sorted(sizes, key=lambda item: -item[1])[:6]


def _bytes(path: Path) -> int:
    return folder_bytes(path) if path.is_dir() else path.lstat().st_blocks * 512


def _required() -> list[str]:
    """What this tree requires without extras, as pyproject.toml has it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: list[str] = tomllib.load(file)["project"]["dependencies"]
    return found


def _closure(requirements: list[str]) -> set[str]:
    """The distributions that are required, and all that those require without extras, by normal name."""
    found: set[str] = set()
    waiting = list(requirements)
    while waiting:
        match = _NAME.match(waiting.pop())
        name = re.sub(r"[-_.]+", "-", match.group()).lower() if match else ""
        if name in found:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform or an older Python
        found.add(name)
        waiting += [requirement for requirement in requires if "extra ==" not in requirement]
    return found


def _installed_bytes(name: str) -> int:
    distribution = importlib.metadata.distribution(name)
    paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
    return sum(path.lstat().st_blocks * 512 for path in paths if path.exists())
