"""The arithmetic of samples. Standard library only, for other interpreters than ours run it too."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def median(samples: Sequence[float]) -> float:
    """The median."""
    return float(statistics.median(samples))


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest sample that `percent` of all do not exceed."""
    ordered = sorted(samples)
    rank = math.ceil(percent / 100 * len(ordered))
    return float(ordered[max(rank, 1) - 1])
