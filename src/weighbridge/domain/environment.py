"""What surrounded a run: Python, machine, code, packages, seeds and precision settings.

One job: the record. `sdk.environment` fills it; `domain.causes` compares two of them. Nothing here looks at
the machine. A field that is empty was not known, never "known to be nothing"; `notes` says why.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from weighbridge.errors import InvalidInput

MAX_PATCH_SIZE_BYTES = 1024 * 1024
"""Most bytes of uncommitted changes that are kept."""

ENVIRONMENT_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "CUDNN_DETERMINISTIC",
    "HIP_VISIBLE_DEVICES",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "KMP_AFFINITY",
    "LOCAL_RANK",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTHONOPTIMIZE",
    "PYTORCH_CUDA_ALLOC_CONF",
    "RANK",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_JOB_ID",
    "SLURM_PROCID",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_NUM_THREADS",
    "WORLD_SIZE",
    "XLA_FLAGS",
)
"""The only environment variables ever recorded: those that change numbers, or place a run on a cluster."""

PLACEMENT_VARIABLES = frozenset(
    ("LOCAL_RANK", "RANK", "WORLD_SIZE", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID", "SLURM_PROCID")
)
"""Those of ENVIRONMENT_VARIABLES that say where a run ran and not how it computed."""


class GitState(msgspec.Struct, frozen=True, kw_only=True):
    """The work tree at the moment of capture. patch: `git diff HEAD`, cut at MAX_PATCH_SIZE_BYTES.

    patch_digest: BLAKE3 of the patch as kept; empty for a clean tree. untracked: how many files git does not
    know, which no patch holds; None when it was not counted.
    """

    commit: str = ""
    branch: str = ""
    remote: str = ""
    is_dirty: bool | None = None
    untracked: int | None = None
    patch: str = ""
    patch_digest: str = ""
    is_patch_cut: bool = False


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything captured of one process. Values are text where they are shown and not reckoned with."""

    python_version: str = ""
    python_implementation: str = ""
    executable: str = ""
    os: str = ""
    os_release: str = ""
    machine: str = ""
    hostname: str = ""
    cpu_model: str = ""
    cpu_count: int | None = None
    gpus: tuple[str, ...] = ()
    gpu_driver: str = ""
    command: tuple[str, ...] = ()
    """argv, with what looks like a secret replaced by `***`."""
    program: str = ""
    working_directory: str = ""
    scorer_digest: str = ""
    """BLAKE3 of the scorer's source text, where a scorer ran."""
    git: GitState | None = None
    packages: dict[str, str] = {}
    """Distribution name (PEP 503 form) -> version, of everything installed."""
    seeds: dict[str, str] = {}
    precision: dict[str, str] = {}
    variables: dict[str, str] = {}
    """Those of ENVIRONMENT_VARIABLES that are set."""
    notes: tuple[str, ...] = ()
    """What could not be captured, and why."""

    def to_plain(self) -> dict[str, object]:
        """The record as plain JSON values, as a run keeps it."""
        plain: dict[str, object] = msgspec.to_builtins(self)
        return plain


def environment_from_plain(plain: Mapping[str, object]) -> Environment:
    """The record a run keeps; {} gives an empty one, unknown fields are passed over. Raises InvalidInput."""
    try:
        return msgspec.convert(dict(plain), Environment)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"The environment kept with the run cannot be read: {error}.",
            hint="It was written by something other than Weighbridge; compare the runs without it.",
        ) from error
