"""Capture what surrounds this process: Python, machine, code, packages, seeds, precision settings.

One job: fill `domain.environment.Environment`, cheaply and without ever raising. It imports no framework: it
looks at those that the script has imported already. It reads no environment variable itself: the caller hands
them in, and only the ones of ENVIRONMENT_VARIABLES are kept.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from weighbridge.domain.environment import ENVIRONMENT_VARIABLES, Environment
from weighbridge.sdk.git_state import git_state
from weighbridge.sdk.secrets import mask_command, mask_text

MAX_VARIABLE_LENGTH = 4_096
MAX_PACKAGES = 10_000

_packages: dict[tuple[tuple[str, int], ...], tuple[dict[str, str], tuple[str, ...]]] = {}
_RECORD = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[\d.]+.*)?\.(?:dist-info|egg-info)")


def capture(
    *,
    environ: Mapping[str, str],
    argv: Sequence[str] | None = None,
    directory: Path | None = None,
    scorer_digest: str = "",
    with_git: bool = True,
    with_packages: bool = True,
    git_program: str = "git",
) -> Environment:
    """The environment of this process, now. Never raises; `notes` says what could not be captured, and why.

    environ: os.environ, or what stands for it. argv: sys.argv by default. directory: where git is asked, the
    working directory by default. What cannot change in a process is read once: a second capture costs
    well under 5 ms.
    """
    notes: list[str] = []
    arguments = list(sys.argv if argv is None else argv)
    where = _working_directory(directory, notes)
    git, git_notes = git_state(where, program=git_program) if with_git and where else (None, ())
    packages, package_notes = installed_packages() if with_packages else ({}, ())
    seeds, precision = _of_frameworks(notes)
    if hash_seed := environ.get("PYTHONHASHSEED"):
        seeds["PYTHONHASHSEED"] = hash_seed
    gpus, gpu_driver = nvidia_gpus()
    return Environment(
        python_version=platform.python_version(),
        python_implementation=platform.python_implementation(),
        executable=sys.executable or "",
        os=platform.system(),
        os_release=platform.release(),
        machine=platform.machine(),
        hostname=platform.node(),
        cpu_model=_cpu_model(),
        cpu_count=os.cpu_count(),
        gpus=gpus,
        gpu_driver=gpu_driver,
        command=mask_command(arguments),
        program=_program(arguments),
        working_directory=str(where or ""),
        scorer_digest=scorer_digest,
        git=git,
        packages=packages,
        seeds=seeds,
        precision=precision,
        variables={
            name: mask_text(environ[name])[:MAX_VARIABLE_LENGTH]
            for name in ENVIRONMENT_VARIABLES
            if name in environ
        },
        notes=(*notes, *git_notes, *package_notes),
    )


def installed_packages() -> tuple[dict[str, str], tuple[str, ...]]:
    """Distribution -> version of everything on sys.path, the first found winning as at import; and notes.

    Read from the names of the `.dist-info` folders, which the specification of recorded projects fixes, so
    that no metadata file is opened. Kept until sys.path or one of its folders changes.
    """
    folders = [(entry or os.curdir, _modified_ns(entry or os.curdir)) for entry in sys.path]
    key = tuple((entry, modified) for entry, modified in folders if modified)
    if key not in _packages:
        _packages.clear()
        _packages[key] = _scan([entry for entry, _ in key])
    packages, notes = _packages[key]
    return dict(packages), notes


def _scan(folders: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    found: dict[str, str] = {}
    notes: list[str] = []
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except NotADirectoryError:
            continue  # a zip on sys.path
        except OSError as error:
            notes.append(f"packages: {folder} cannot be listed ({error.strerror})")
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")) or (match := _RECORD.fullmatch(name)) is None:
                continue
            found.setdefault(re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"])
    if len(found) > MAX_PACKAGES:
        notes.append(f"packages: {len(found) - MAX_PACKAGES} of {len(found)} are left out")
        found = dict(sorted(found.items())[:MAX_PACKAGES])
    return found, tuple(notes)


def _modified_ns(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except (OSError, ValueError):
        return 0


def _working_directory(directory: Path | None, notes: list[str]) -> Path | None:
    try:
        return Path(directory or os.getcwd()).absolute()
    except OSError as error:
        notes.append(f"working directory: it cannot be read ({error.strerror})")
        return None


def _program(arguments: Sequence[str]) -> str:
    """The script as the caller wrote it; for `python -m`, argv holds its path already."""
    return mask_text(arguments[0])[:MAX_VARIABLE_LENGTH] if arguments else ""


@cache
def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip().lower() in ("model name", "hardware", "cpu model"):
                    return value.strip()
    except OSError:
        pass  # not Linux
    return platform.processor()


@cache
def nvidia_gpus(root: Path = Path("/proc/driver/nvidia")) -> tuple[tuple[str, ...], str]:
    """Models and driver of NVIDIA GPUs as the kernel module lists them: no library, no child process."""
    models: list[str] = []
    try:
        for card in sorted((root / "gpus").iterdir()):
            text = (card / "information").read_text(encoding="utf-8", errors="replace")
            models += re.findall(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE)
    except OSError:
        pass  # no NVIDIA driver, or a container that hides it
    try:
        text = (root / "version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return tuple(models), ""
    found = re.search(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)", text)
    return tuple(models), found[1] if found else ""


_Reader = Callable[[ModuleType], object]

_SEEDS: dict[str, dict[str, _Reader]] = {
    "torch": {"torch.initial_seed": lambda torch: torch.initial_seed()},
}
_PRECISION: dict[str, dict[str, _Reader]] = {
    "torch": {
        "torch.default_dtype": lambda torch: torch.get_default_dtype(),
        "torch.float32_matmul_precision": lambda torch: torch.get_float32_matmul_precision(),
        "torch.deterministic_algorithms": lambda torch: torch.are_deterministic_algorithms_enabled(),
        "torch.num_threads": lambda torch: torch.get_num_threads(),
        "torch.cudnn.deterministic": lambda torch: torch.backends.cudnn.deterministic,
        "torch.cudnn.benchmark": lambda torch: torch.backends.cudnn.benchmark,
        "torch.cudnn.allow_tf32": lambda torch: torch.backends.cudnn.allow_tf32,
        "torch.cuda.matmul.allow_tf32": lambda torch: torch.backends.cuda.matmul.allow_tf32,
    },
    "jax": {
        "jax.enable_x64": lambda jax: jax.config.jax_enable_x64,
        "jax.default_matmul_precision": lambda jax: jax.config.jax_default_matmul_precision,
    },
    "tensorflow": {
        "tensorflow.tf32": lambda tf: tf.config.experimental.tensor_float_32_execution_enabled(),
        "tensorflow.mixed_precision": lambda tf: tf.keras.mixed_precision.global_policy().name,
    },
}


def _of_frameworks(notes: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Seeds and precision settings of the frameworks this process has imported; the others are not loaded."""
    return _read(_SEEDS, notes), _read(_PRECISION, notes)


def _read(readers: Mapping[str, Mapping[str, _Reader]], notes: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, settings in readers.items():
        module = sys.modules.get(name)
        if module is None:
            continue
        for label, reader in settings.items():
            try:
                found[label] = str(reader(module))[:200]
            except (AttributeError, ImportError, RuntimeError, TypeError, ValueError) as error:
                # Half-imported, or a version that has no such setting.
                notes.append(f"{label}: not known ({type(error).__name__})")
    return found
