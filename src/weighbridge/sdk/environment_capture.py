"""When a run's environment is captured: whole at init, and at the end what a script sets after that.

Seeds are set and frameworks imported after `init()` as often as before it, so the last word is the end's.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from weighbridge.sdk.environment import capture


def captured() -> dict[str, Any]:
    """What surrounds the process now, as plain values (domain.environment.Environment)."""
    plain: dict[str, Any] = msgspec.to_builtins(capture(environ=os.environ))
    return plain


def recaptured(before: dict[str, Any]) -> dict[str, Any] | None:
    """`before` with what can have changed since it was captured, or None if nothing has.

    Seeds and precision settings that were seen before and cannot be read now are kept.
    """
    now: dict[str, Any] = msgspec.to_builtins(
        capture(environ=os.environ, with_git=False, with_packages=False)
    )
    after = dict(before)
    for name in ("seeds", "precision"):
        after[name] = {**before.get(name, {}), **now.get(name, {})}
    return after if after != before else None
