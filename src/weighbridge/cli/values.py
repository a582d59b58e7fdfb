"""Values as a table shows them: numbers, times, sizes, labels, all on one line. It prints nothing and asks no clock."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
RELATIVE_MAX_S: Final = 30 * DAY_S
"""Moments further away than this are shown as a date."""

CELL_MAX: Final = 200
"""Most characters of a nested value in a table; `--json` has all of it."""


def visible(text: str) -> str:
    """The text on one line, control characters written out, so that no name can steer a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def number(value: float) -> str:
    """A number with four significant digits; what stands before the point is never cut."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if 1_000 <= abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.4g}"


def cell(value: object) -> str:
    """Any plain value as a table shows it; None is `-`."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        text = ", ".join(f"{visible(str(key))}: {cell(item)}" for key, item in value.items())
        return _cut("{" + text + "}")
    if isinstance(value, Sequence):
        return _cut(", ".join(map(cell, value)))
    return visible(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= CELL_MAX else text[: CELL_MAX - 3] + "..."


def ago(at: float | None, now: float) -> str:
    """A moment as people say it, such as `3 min ago`; a date where it is a month away or more."""
    if not at:
        return "-"
    age = now - at
    if age < 0 or age >= RELATIVE_MAX_S:
        return day(at)
    if age < MINUTE_S:
        return f"{age:.0f} s ago"
    if age < HOUR_S:
        return f"{age // MINUTE_S:.0f} min ago"
    if age < DAY_S:
        return f"{age // HOUR_S:.0f} h ago"
    return f"{age // DAY_S:.0f} d ago"


def day(at: float) -> str:
    """The date of a moment in UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d")


def moment(at: float | None) -> str:
    """A moment to the second in UTC, such as `2026-05-03 10:00:00`."""
    if not at:
        return "-"
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """A span of time, such as `1 h 04 min`."""
    if seconds is None or seconds < 0:
        return "-"
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S:.0f} min {seconds % MINUTE_S:02.0f} s"
    return f"{seconds // HOUR_S:.0f} h {seconds % HOUR_S // MINUTE_S:02.0f} min"


def size(size_bytes: int) -> str:
    """Bytes in the largest binary unit that leaves a number of 1 or more."""
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} TiB"


def count_of(count: int, noun: str) -> str:
    """A count with its noun, such as `1 file` and `2,000 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def nested(values: Mapping[str, object], path: str) -> object:
    """The value under a key, or under a dotted path of keys where no key has that very name; else None."""
    if path in values:
        return values[path]
    head, dot, rest = path.partition(".")
    inner = values.get(head)
    return nested(inner, rest) if dot and isinstance(inner, Mapping) else None
