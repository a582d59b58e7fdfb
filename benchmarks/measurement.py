"""The record of one measured number, and how it is written. It measures nothing itself."""

from __future__ import annotations

import math

import msgspec


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One number. `limit` is the most it may be: in its unit, or times `floor` where `is_limit_ratio`.

    floor: the physical limit or the plain script that the same run measured, in the same unit.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    is_limit_ratio: bool = False
    floor: float | None = None
    floor_name: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The value over its floor."""
        return None if not self.floor else self.value / self.floor

    @property
    def is_met(self) -> bool | None:
        """Whether the limit is kept; None where there is none."""
        judged = self.ratio if self.is_limit_ratio else self.value
        return None if self.limit is None or judged is None else judged <= self.limit


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one benchmark found, and under which circumstances."""

    name: str
    title: str
    measurements: tuple[Measurement, ...]
    date: str
    commit: str
    load_before: float
    """Runnable processes on average over the minute before; on a quiet machine near 0."""
    took_s: float
    is_quick: bool = False


def shown(value: float) -> str:
    """A number with three significant digits; whole ones, and all from 100 on, without a fraction."""
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(digits, 4)}f}"
