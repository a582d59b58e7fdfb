"""How a measured program is told what to do, and how it answers. Standard library only, and little of that."""

from __future__ import annotations

import json
import sys
from typing import Any


def options() -> dict[str, Any]:
    """The options of this process."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def answer(**values: object) -> None:
    """Print one line of JSON, at once."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
