"""The laws of the source tree, as data: who may import whom, how large things may grow, what is an exception.

An exception list may only shrink. Whoever needs a new line here explains it in the commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "src" / "weighbridge"

# --- imports ------------------------------------------------------------------------------------------
# Layer -> what of ours it may import. The layer of a module is the longest key that begins its name.
MAY_IMPORT: Final[dict[str, tuple[str, ...]]] = {
    "errors": (),
    "domain": ("domain", "errors"),
    "settings": ("errors",),
    # requests and answers are one set of typed records for wire, services and SDK: none is written twice
    "services": ("services", "wire", "domain", "errors"),
    "storage": ("storage", "services.ports", "wire", "domain", "errors"),
    "wire": ("wire", "domain", "errors"),
    "bootstrap": ("services", "storage", "settings", "domain", "errors"),
    # the port of a blob store is the one contract that the client's file work and the stores share
    "sdk": ("sdk", "wire", "settings", "domain", "errors", "services.ports.blobs"),
    "evaluation": ("evaluation", "sdk", "wire", "settings", "domain", "errors"),
    "cli": ("cli", "sdk", "evaluation", "bootstrap", "settings", "domain", "errors"),
    "__main__": ("cli",),
    "testing": ("",),
    "": ("",),  # weighbridge/__init__.py: any, but only lazily (test_import_cost.py)
}

# The doors that lead upwards, each opened inside the function that needs it: the local transport is the
# client's way to the services, and `run.reproduce()` is a method for a thing that stands on the SDK.
MAY_IMPORT_IN_FUNCTIONS: Final[dict[str, tuple[str, ...]]] = {
    "sdk.transport.local": ("bootstrap", "services"),
    "sdk.run": ("evaluation",),
}

# Layer -> packages of others that it may import at module level; then those it may import inside functions.
# A layer that is not a key of the second table may import anything inside functions.
THIRD_PARTY_AT_TOP: Final[dict[str, frozenset[str]]] = {
    "": frozenset(),
    "errors": frozenset(),
    "settings": frozenset(),
    "domain": frozenset({"msgspec"}),
    "services": frozenset({"msgspec"}),
    "wire": frozenset({"msgspec"}),
    "bootstrap": frozenset({"msgspec"}),
    "storage": frozenset({"msgspec"}),
    "storage.blobs": frozenset({"msgspec", "blake3"}),
    "storage.history": frozenset({"msgspec", "blake3", "numpy", "sqlalchemy"}),
    "storage.metadata": frozenset({"msgspec", "sqlalchemy", "alembic"}),
    "sdk": frozenset({"msgspec", "blake3"}),
    "evaluation": frozenset({"msgspec"}),
    "evaluation.statistics": frozenset({"msgspec", "numpy"}),
    "cli": frozenset({"msgspec"}),
    "testing": frozenset({"msgspec"}),
}
THIRD_PARTY_IN_FUNCTIONS: Final[dict[str, frozenset[str]]] = {
    "errors": frozenset(),
    "settings": frozenset(),
    "domain": frozenset({"msgspec"}),
    "services": frozenset({"msgspec"}),
    "wire": frozenset({"msgspec"}),
}

# What `import weighbridge` may never load, and how many modules it may add to a bare interpreter.
NEVER_AT_IMPORT: Final = frozenset(
    """alembic asyncio blake3 http.client logging matplotlib msgspec multiprocessing numpy obstore pandas
    pyarrow rich scipy sklearn socket sqlalchemy sqlite3 ssl subprocess torch urllib.request""".split()
)
IMPORTED_MODULES_MAX: Final = 120

# --- sizes --------------------------------------------------------------------------------------------
MODULE_LINES_MAX: Final = 800
FUNCTION_LINES_MAX: Final = 60
PUBLIC_METHODS_MAX: Final = 20
TEST_FILE_LINES_MAX: Final = 600
POSITIONAL_PARAMETERS_MAX: Final = 3

# `module` or `module:Class.function` -> the size it may have for now. Properties are not counted as methods.
SIZE_EXCEPTIONS: Final[dict[str, int]] = {
    "sdk.artifact:Artifact": 27,  # W&B's methods, each of which scripts call
}

# A migration is written once and then never changed, so it is as long as the schema it makes.
SIZE_EXEMPT: Final = ("storage.metadata.migrations.versions",)

# W&B's signatures take more positional arguments than ours may; scripts written for it pass them so.
POSITIONAL_EXCEPTIONS: Final = frozenset(
    {
        "sdk.artifact:Artifact.__init__",
        "sdk.artifact:Artifact.add_dir",
        "sdk.artifact:Artifact.add_file",
        "sdk.artifact:Artifact.add_reference",
        "sdk.artifact:Artifact.download",
        "sdk.init:init",
        "sdk.module_level:link_model",
        "sdk.module_level:log",
        "sdk.public.api:Api.runs",
        "sdk.run:Run.define_metric",
        "sdk.run:Run.log",
        "sdk.run_artifacts:RunArtifacts.link_model",
        "sdk.run_artifacts:RunArtifacts.log_artifact",
        "sdk.run_artifacts:RunArtifacts.use_artifact",
    }
)

# --- habits -------------------------------------------------------------------------------------------
# Where `except Exception` may stand without raising again: the sender, and once there is a server its top
# HTTP handler and its job loop. Each reports what it caught.
BROAD_EXCEPT_MODULES: Final = frozenset({"sdk.sender"})

PRINT_MODULES: Final = frozenset({"cli.output"})

# Readers of the environment beside settings.py.
ENVIRON_MODULES: Final[dict[str, str]] = {
    "sdk.environment_capture": "captures the variables of its own stated list, never secrets, for `explain`",
}

DOC_OPT_OUTS_MAX: Final = 12
"""Code blocks of README.md and docs/ that no test runs; each says why."""
